//! Flags and fields that only clone3 can express arrive whole (C7): each is seen to work, on the kernels
//! that know it.

use crate::common::*;
use crate::start::*;
use clone_trampoline::CloneFlags;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

type F = CloneFlags;

/// The first release that must know all of these flags (clone(2), and linux/sched.h of 7.1); clone3
/// itself came with 5.3.
fn first_release(flags: CloneFlags) -> (u32, u32) {
    let newest = F::AUTOREAP | F::NNP | F::PIDFD_AUTOKILL | F::EMPTY_MNTNS;
    let releases = [(newest, (7, 1)), (F::NEWTIME, (5, 6)), (F::CLEAR_SIGHAND, (5, 5))];
    releases.into_iter().find(|(new, _)| flags.intersects(*new)).map_or((5, 3), |(_, release)| release)
}

/// Starts a copy of this process with these flags and without exit signal; None, and a skip, where the
/// kernel is too old for them or the caller may not use them. Any other refusal fails.
fn start(
    flags: CloneFlags,
    f: unsafe extern "C" fn(*mut c_void) -> c_int,
    arg: *mut c_void,
    pidfd: &AtomicI32,
) -> Option<isize> {
    if !Via::both().contains(&Via::Clone3) {
        return None;
    }
    let mut start = Start::with(Via::Clone3, flags, 0);
    start.args.pidfd = pidfd.as_ptr() as u64;
    let result = start.start(f, arg).result;
    let first = first_release(flags);
    if result == -libc::EINVAL as isize && release() < first {
        skip(&format!("{flags:?} came with Linux {}.{}", first.0, first.1));
        return None;
    }
    if result == -libc::EPERM as isize && flags.intersects(F::NEWTIME | F::EMPTY_MNTNS) && !privileged() {
        skip(&format!("{flags:?} needs CAP_SYS_ADMIN"));
        return None;
    }
    assert!(result > 0, "{flags:?}: errno {}", -result);
    Some(result)
}

#[test]
fn c7_autoreap_leaves_no_zombie() {
    let pidfd = AtomicI32::new(-1);
    let Some(tid) = start(F::AUTOREAP | F::PIDFD, done, ptr::null_mut(), &pidfd) else { return };
    ended(pidfd.load(SeqCst));
    close(pidfd.load(SeqCst));
    // SAFETY: no place for a status.
    let rc = unsafe { libc::waitpid(tid as c_int, ptr::null_mut(), libc::__WALL) };
    let errno = std::io::Error::last_os_error().raw_os_error();
    assert_eq!((rc, errno), (-1, Some(libc::ECHILD)));
}

/// The parent of an autoreaped task waits for nobody, so that task may not use PARENT to give it a child
/// to wait for.
#[test]
fn c7_autoreap_has_no_siblings() {
    unsafe extern "C" fn sibling(result: *mut c_void) -> c_int {
        let start = Start::with(Via::Clone3, F::PARENT, 0);
        // SAFETY: a shared word that outlives the child.
        unsafe { (*result.cast::<AtomicI32>()).store(start.start(done, result).result as i32, SeqCst) };
        42
    }
    let (pidfd, result) = (AtomicI32::new(-1), Shared::new(AtomicI32::new(0)));
    let Some(_) = start(F::AUTOREAP | F::PIDFD, sibling, result.as_ptr().cast(), &pidfd) else { return };
    ended(pidfd.load(SeqCst));
    close(pidfd.load(SeqCst));
    assert_eq!(result.load(SeqCst), -libc::EINVAL);
}

#[test]
fn c7_nnp_is_the_childs_alone() {
    unsafe extern "C" fn no_new_privs(_: *mut c_void) -> c_int {
        // SAFETY: a question about this process.
        40 + unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) }
    }
    // SAFETY: `no_new_privs` ignores its argument.
    let before = unsafe { no_new_privs(ptr::null_mut()) };
    let Some(tid) = start(F::NNP, no_new_privs, ptr::null_mut(), &AtomicI32::new(-1)) else { return };
    assert_eq!(wait(tid).code(), Some(41));
    // SAFETY: as above.
    assert_eq!(unsafe { no_new_privs(ptr::null_mut()) }, before);
}

#[test]
fn c7_pidfd_autokill_kills_when_the_pidfd_is_closed() {
    unsafe extern "C" fn sleep(_: *mut c_void) -> c_int {
        loop {
            // SAFETY: waits for a signal.
            unsafe { libc::pause() };
        }
    }
    let pidfd = AtomicI32::new(-1);
    let flags = F::PIDFD | F::AUTOREAP | F::PIDFD_AUTOKILL | F::NNP;
    let Some(tid) = start(flags, sleep, ptr::null_mut(), &pidfd) else { return };
    // SAFETY: makes a descriptor, which does not count as the child's pidfd.
    let watch = unsafe { libc::syscall(libc::SYS_pidfd_open, tid, 0) } as c_int;
    assert!(watch >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
    let mut poll = libc::pollfd { fd: watch, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd.
    assert_eq!(unsafe { libc::poll(&mut poll, 1, 50) }, 0, "it ended before");
    close(pidfd.load(SeqCst));
    ended(watch);
    close(watch);
}

#[test]
fn c7_empty_mntns_has_an_empty_root() {
    unsafe extern "C" fn sees_nothing(_: *mut c_void) -> c_int {
        // SAFETY: two questions about the file system; errno is this copy's own.
        let (root, proc) =
            unsafe { (libc::access(c"/".as_ptr(), libc::F_OK), libc::access(c"/proc".as_ptr(), libc::F_OK)) };
        if (root, proc) == (0, -1) { 42 } else { 43 }
    }
    let none = AtomicI32::new(-1);
    let Some(tid) = start(F::EMPTY_MNTNS, sees_nothing, ptr::null_mut(), &none) else { return };
    assert_eq!(wait(tid).code(), Some(42));
}

#[test]
fn c7_clear_sighand_resets_the_childs_handlers() {
    extern "C" fn handler(_: c_int) {}
    fn action() -> usize {
        // SAFETY: asks for the action of one signal.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGUSR2, ptr::null(), &mut action);
            action.sa_sigaction
        }
    }
    unsafe extern "C" fn is_default(_: *mut c_void) -> c_int {
        if action() == libc::SIG_DFL { 42 } else { 43 }
    }
    let ours = handler as *const () as usize;
    // SAFETY: a handler that does nothing.
    unsafe { libc::signal(libc::SIGUSR2, ours) };
    let none = AtomicI32::new(-1);
    let Some(tid) = start(F::CLEAR_SIGHAND, is_default, ptr::null_mut(), &none) else { return };
    assert_eq!(wait(tid).code(), Some(42));
    assert_eq!(action(), ours, "the parent keeps its handler");
}

#[test]
fn c7_newtime_makes_a_time_namespace() {
    unsafe extern "C" fn inode(arg: *mut c_void) -> c_int {
        // SAFETY: a copy of this process; the string and the struct are its own, `arg` is shared.
        unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            let rc = libc::stat(c"/proc/self/ns/time".as_ptr(), &mut stat);
            (*arg.cast::<AtomicI32>()).store(stat.st_ino as i32, SeqCst);
            42 + rc
        }
    }
    let inodes = [Shared::new(AtomicI32::new(0)), Shared::new(AtomicI32::new(0))];
    // SAFETY: `inode` gets its word.
    if unsafe { inode(inodes[0].as_ptr().cast()) } != 42 {
        return skip("a kernel without time namespaces");
    }
    let none = AtomicI32::new(-1);
    let Some(tid) = start(F::NEWTIME, inode, inodes[1].as_ptr().cast(), &none) else { return };
    assert_eq!(wait(tid).code(), Some(42));
    assert_ne!(inodes[0].load(SeqCst), inodes[1].load(SeqCst));
}

#[test]
fn c7_set_tid_is_the_tid() {
    // A tid that was just given back; the kernel goes round before it gives it out again.
    let Some(gone) = start(F::empty(), done, ptr::null_mut(), &AtomicI32::new(-1)) else { return };
    wait(gone);
    let free = gone as c_int;
    let mut start = Start::with(Via::Clone3, F::empty(), libc::SIGCHLD);
    (start.args.set_tid, start.args.set_tid_size) = ((&raw const free) as u64, 1);
    let result = start.start(done, ptr::null_mut()).result;
    // E2BIG: the field is not known
    if [libc::EINVAL, libc::E2BIG].contains(&(-result as i32)) && release() < (5, 5) {
        return skip("set_tid came with Linux 5.5");
    }
    if result == -libc::EPERM as isize && !privileged() {
        return skip("set_tid needs CAP_SYS_ADMIN");
    }
    assert_eq!(result, free as isize);
    assert_eq!(wait(result).code(), Some(42));
}
