//! C1: every errno that the kernel gives arrives as its negative (arch-facts 2.3: what the kernel
//! rejects, and why).

use crate::common::*;
use crate::start::*;
use clone_trampoline::CloneFlags;
use clone_trampoline::raw::CloneArgs;
use std::ffi::c_int;
use std::os::unix::process::ExitStatusExt;
use std::ptr;
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};

type F = CloneFlags;

/// The errors that depend on the arguments alone.
#[test]
fn c1_the_kernels_errors_arrive() {
    let thread = F::VM | F::SIGHAND | F::THREAD;
    let mut word = 0;
    let word = (&raw mut word) as u64;
    let bad = 8; // an address in the page that is never mapped
    // flags, pidfd, parent_tid
    let both = [
        ("NEWNS with FS", F::NEWNS | F::FS, 0, 0, libc::EINVAL),
        ("NEWUSER with FS", F::NEWUSER | F::FS, 0, 0, libc::EINVAL),
        ("THREAD without SIGHAND", F::VM | F::VFORK | F::THREAD, 0, 0, libc::EINVAL),
        ("SIGHAND without VM", F::SIGHAND, 0, 0, libc::EINVAL),
        ("THREAD with NEWUSER", thread | F::NEWUSER | F::VFORK, 0, 0, libc::EINVAL),
        ("THREAD with NEWPID", thread | F::NEWPID | F::VFORK, 0, 0, libc::EINVAL),
        ("NEWIPC with SYSVSEM", F::NEWIPC | F::SYSVSEM, 0, 0, libc::EINVAL),
        ("PIDFD with DETACHED", F::PIDFD | F::DETACHED, word, 0, libc::EINVAL),
        ("PIDFD and PARENT_SETTID at one place", F::PIDFD | F::PARENT_SETTID, word, word, libc::EINVAL),
        ("a bad place for the pidfd", F::PIDFD, bad, 0, libc::EFAULT),
    ];
    let namespaces = F::NEWNS | F::NEWUSER | F::NEWPID | F::NEWIPC;
    if emulated() {
        skip("qemu-user hangs on a bad place for the pidfd");
    }
    if !privileged() {
        skip("a namespace may already be refused for want of privilege, or by a filter");
    }
    for &via in Via::both() {
        for (what, flags, pidfd, parent_tid, errno) in both {
            let hangs = emulated() && errno == libc::EFAULT;
            if hangs || !privileged() && flags.intersects(namespaces) {
                continue;
            }
            let mut start = Start::with(via, flags, 0);
            (start.args.pidfd, start.args.parent_tid) = (pidfd, parent_tid);
            let result = start.start(never, ptr::null_mut()).result;
            assert_eq!(result, -errno as isize, "{via:?}: {what}");
        }
    }
}

/// The errors that depend on the struct.
#[test]
fn c1_the_kernels_errors_about_clone3s_args_arrive() {
    if !Via::both().contains(&Via::Clone3) {
        return;
    }
    let mut word = 0;
    let word = (&raw mut word) as u64;
    let thread = F::VM | F::SIGHAND | F::THREAD | F::VFORK;
    let none = CloneArgs::default();
    let with = |flags: CloneFlags| CloneArgs { flags: flags.bits(), ..CloneArgs::default() };
    let refuses_size = |size, errno: i32, what: &str, args: CloneArgs| {
        let result = Start { via: Via::Clone3, args, size }.start(never, ptr::null_mut()).result;
        assert_eq!(result, -errno as isize, "{what}");
    };
    let refuses = |errno, what, args| refuses_size(size_of::<CloneArgs>(), errno, what, args);
    let invalid = |what, args| refuses(libc::EINVAL, what, args);

    invalid("an unknown flag", CloneArgs { flags: 1 << 63, ..none });
    invalid("DETACHED", with(F::DETACHED));
    invalid("an exit signal among the flags", CloneArgs { flags: 17, ..none });
    invalid("an exit signal that is none", CloneArgs { exit_signal: 255, ..none });
    invalid("an exit signal of nine bits", CloneArgs { exit_signal: 256, ..none });
    invalid("THREAD with an exit signal", CloneArgs { exit_signal: 17, ..with(thread) });
    invalid("PARENT with an exit signal", CloneArgs { exit_signal: 17, ..with(F::PARENT) });
    invalid("CLEAR_SIGHAND with SIGHAND", with(F::CLEAR_SIGHAND | F::SIGHAND | F::VM | F::VFORK));
    invalid("a stack without a size", CloneArgs { stack: word, ..none });
    invalid("a size without a stack", CloneArgs { stack_size: 4096, ..none });
    let outside = CloneArgs { stack: u64::MAX - 8191, stack_size: 4096, ..none };
    // Where the kernel has an address space to itself (s390x) no address is outside. Whoever makes the call directly
    // returns to a stack that is not there.
    // SAFETY: the child is a copy.
    let accepts = match unsafe { libc::syscall(libc::SYS_clone3, &raw const outside, size_of::<CloneArgs>()) }
    {
        -1 => false,
        tid => wait(tid as isize).signal().is_some(),
    };
    if accepts {
        let start = Start { via: Via::Clone3, args: outside, size: size_of::<CloneArgs>() };
        let tid = start.start(never, ptr::null_mut()).result;
        assert!(tid > 0 && wait(tid).signal().is_some(), "a stack that is not there: {tid}");
    } else {
        invalid("a stack outside user space", outside);
    }
    invalid("PIDFD and PARENT_SETTID both at NULL", with(F::PIDFD | F::PARENT_SETTID));
    invalid("INTO_CGROUP, no descriptor", CloneArgs { cgroup: 1 << 31, ..with(F::INTO_CGROUP) });
    let closed = CloneArgs { cgroup: 0x7fff_fff0, ..with(F::INTO_CGROUP) };
    refuses(libc::EBADF, "INTO_CGROUP, a closed descriptor", closed);
    refuses_size(80, libc::EINVAL, "INTO_CGROUP in a struct too short for it", with(F::INTO_CGROUP));

    // Kernels before 7.1 refuse these because they do not know the flags.
    invalid("EMPTY_MNTNS with FS", with(F::EMPTY_MNTNS | F::FS));
    invalid("AUTOREAP with THREAD", with(F::AUTOREAP | thread));
    invalid("AUTOREAP with PARENT", with(F::AUTOREAP | F::PARENT));
    invalid("AUTOREAP with an exit signal", CloneArgs { exit_signal: 17, ..with(F::AUTOREAP) });
    invalid("NNP with THREAD", with(F::NNP | thread));
    invalid("PIDFD_AUTOKILL without PIDFD", with(F::PIDFD_AUTOKILL | F::AUTOREAP));
    let no_autoreap = CloneArgs { pidfd: word, ..with(F::PIDFD_AUTOKILL | F::PIDFD) };
    invalid("PIDFD_AUTOKILL without AUTOREAP", no_autoreap);
    let autokill = F::PIDFD_AUTOKILL | F::PIDFD | F::AUTOREAP;
    invalid("PIDFD_AUTOKILL with THREAD", CloneArgs { pidfd: word, ..with(autokill | thread) });

    let tids = |tids: &[i32], set_tid_size| CloneArgs {
        set_tid: tids.as_ptr() as u64,
        set_tid_size,
        ..CloneArgs::default()
    };
    invalid("set_tid without its size", tids(&[1], 0));
    invalid("set_tid_size without set_tid", CloneArgs { set_tid_size: 1, ..none });
    invalid("more set_tid than namespaces can nest", tids(&[1; 33], 33));
    if !privileged() {
        return skip("set_tid needs CAP_SYS_ADMIN");
    }
    invalid("more set_tid than namespaces are nested", tids(&[1; 32], 32));
    invalid("a set_tid of 0", tids(&[0], 1));
    invalid("a set_tid below 0", tids(&[-1], 1));
    invalid("a set_tid above pid_max", tids(&[i32::MAX], 1));
    let not_1 = CloneArgs { flags: F::NEWPID.bits(), ..tids(&[2], 1) };
    invalid("a set_tid other than 1 for the first process of a namespace", not_1);
    refuses(libc::EEXIST, "a set_tid in use", tids(&[std::process::id() as i32], 1));
}

/// The exit signal may be the last one of libc's, and in clone3 none above the kernel's.
#[test]
fn c1_exit_signals_end_where_the_kernels_do() {
    if emulated() {
        return skip("qemu-user knows no exit signal but SIGCHLD");
    }
    let last = libc::SIGRTMAX();
    for &via in Via::both() {
        // SAFETY: in a process of one thread, which the child's end would kill.
        let ignored = || assert_ne!(unsafe { libc::signal(last, libc::SIG_IGN) }, libc::SIG_ERR);
        let result = result_after(ignored, &Start::with(via, F::empty(), last));
        assert!(result > 0, "{via:?}: errno {}", -result);
    }
    // clone does not look
    if Via::both().contains(&Via::Clone3) {
        let status = std::fs::read_to_string("/proc/self/status").expect("our own");
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("a set of signals");
        let number = 4 * blocked.trim().len() as c_int; // _NSIG: a hexadecimal digit for four
        let result = Start::with(Via::Clone3, F::empty(), number + 1).start(never, ptr::null_mut()).result;
        assert_eq!(result, -libc::EINVAL as isize);
    }
}

/// The kernel says nothing of a place where it cannot store a tid, and the task runs all the same.
#[test]
fn c1_a_bad_place_for_a_tid_is_no_error() {
    for &via in Via::both() {
        for flag in [F::PARENT_SETTID, F::CHILD_SETTID, F::CHILD_CLEARTID] {
            for &kind in Kind::all().iter().filter(|&&kind| kind != Kind::Thread) {
                let stack = Stack::new();
                let mut start = Start::with(via, kind.flags() | flag, libc::SIGCHLD);
                (start.args.parent_tid, start.args.child_tid) = (8, 8);
                let (_, end) = run_on(start.stack(&stack), done, ptr::null_mut());
                assert_eq!(end.and_then(|end| end.code()), Some(42), "{via:?} {kind:?} {flag:?}");
            }
        }
    }
}

/// The errors that depend on who calls.
#[test]
fn c1_the_kernels_errors_about_the_caller_arrive() {
    if !can_give_up_root() || emulated() {
        return skip("changes credentials and namespaces: needs real root on a real kernel");
    }
    let one_process = || {
        let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: reads a local.
        ok(unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &limit) });
        nobody();
    };
    let init_is_gone = || {
        new_pid_namespace();
        assert_eq!(in_process(|| 77).code(), Some(77));
    };
    // SAFETY: in a process of one thread.
    let chrooted = || ok(unsafe { libc::chroot(c"/proc".as_ptr()) });
    // Each level maps its root, or the next one would fail for want of it: user_namespaces(7).
    let deepest = || {
        // SAFETY: in a process of one thread; at the deepest level it fails.
        while unsafe { libc::unshare(libc::CLONE_NEWUSER) } == 0 {
            for (file, text) in [("setgroups", "deny"), ("gid_map", "0 0 1"), ("uid_map", "0 0 1")] {
                std::fs::write(format!("/proc/self/{file}"), text).expect(file);
            }
        }
    };
    // SAFETY: in a process of one thread.
    let unmapped = || ok(unsafe { libc::unshare(libc::CLONE_NEWUSER) });
    let thread = F::VM | F::SIGHAND | F::THREAD | F::VFORK;
    let rows: [(&str, &dyn Fn(), F, i32); 8] = [
        ("a namespace without privilege", &nobody, F::NEWUTS, libc::EPERM),
        ("RLIMIT_NPROC", &one_process, F::empty(), libc::EAGAIN),
        ("THREAD while children go elsewhere", &new_pid_namespace, thread, libc::EINVAL),
        ("NEWPID while children go elsewhere", &new_pid_namespace, F::NEWPID, libc::EINVAL),
        ("a pid namespace whose init is gone", &init_is_gone, F::empty(), libc::ENOMEM),
        ("NEWUSER in a chroot", &chrooted, F::NEWUSER, libc::EPERM),
        ("NEWUSER of a user that the namespace does not map", &unmapped, F::NEWUSER, libc::EPERM),
        ("too many levels of user namespaces", &deepest, F::NEWUSER, libc::ENOSPC),
    ];
    for &via in Via::both() {
        for (what, prepare, flags, errno) in rows {
            let exit_signal = if flags.contains(F::THREAD) { 0 } else { libc::SIGCHLD };
            let result = result_after(prepare, &Start::with(via, flags, exit_signal));
            assert_eq!(result, -errno as isize, "{via:?}: {what}");
        }
        let result = result_after(|| {}, &Start::with(via, F::NEWUTS, libc::SIGCHLD));
        assert!(result > 0, "{via:?}: with privilege, errno {}", -result);

        // The first process of a pid namespace may have no sibling.
        let result = Shared::new(AtomicIsize::new(0));
        let end = in_process(|| {
            new_pid_namespace();
            let init = in_process(|| {
                let start = Start::with(via, F::PARENT, 0);
                result.store(start.start(never, ptr::null_mut()).result, SeqCst);
                77
            });
            init.code().unwrap_or(99)
        });
        assert_eq!((end.code(), result.load(SeqCst)), (Some(77), -libc::EINVAL as isize), "{via:?}");
    }
    if Via::both().contains(&Via::Clone3) {
        let tid = 0x3fff;
        let mut start = Start::with(Via::Clone3, F::empty(), libc::SIGCHLD);
        (start.args.set_tid, start.args.set_tid_size) = ((&raw const tid) as u64, 1);
        assert_eq!(result_after(nobody, &start), -libc::EPERM as isize, "set_tid without privilege");

        // Without NNP the child could gain privileges that its parent has not.
        let mut pidfd = 0;
        let mut start = Start::with(Via::Clone3, F::PIDFD | F::AUTOREAP | F::PIDFD_AUTOKILL, 0);
        start.args.pidfd = (&raw mut pidfd) as u64;
        let result = result_after(nobody, &start);
        let unknown = result == -libc::EINVAL as isize && release() < (7, 1);
        assert!(result == -libc::EPERM as isize || unknown, "PIDFD_AUTOKILL without privilege: {result}");
    }
}
