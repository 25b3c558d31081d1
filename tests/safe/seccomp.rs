//! Tests which system calls are made, and what happens if a filter refuses them. Nothing that was requested is dropped.

use crate::common::{SYS_RSEQ, SYS_WAIT4};
use crate::program::{Way, passes, shares_memory};
use clone_trampoline::{Builder, Error, SafeFlags, Stage, call, fork, spawn};
use std::ffi::c_long;
use std::fs::File;
use std::os::fd::AsFd;

pub(crate) const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

pub(crate) fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

// seccompiler has no 32-bit architecture, and libseccomp is C that every cross build would have to find.
/// Returns a filter that gives these system calls `action`, and all others `otherwise`.
pub(crate) fn instructions(calls: &[c_long], action: u32, otherwise: u32) -> Vec<libc::sock_filter> {
    let op = |code: u32, k, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)]; // seccomp_data.nr
    for &call in calls {
        filter.push(op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 0, 1));
        filter.push(op(libc::BPF_RET | libc::BPF_K, action, 0, 0));
    }
    filter.push(op(libc::BPF_RET | libc::BPF_K, otherwise, 0, 0));
    filter
}

/// Installs a filter: from now on, these system calls of this process get `action`, and all others `otherwise`.
pub(crate) fn filter(calls: &[c_long], action: u32, otherwise: u32) {
    let mut filter = instructions(calls, action, otherwise);
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the filter lives during the calls.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

#[test]
fn what_clone_can_express_needs_no_clone3() {
    if !shares_memory() {
        return;
    }
    let test = "seccomp::what_clone_can_express_needs_no_clone3";
    passes(test, "ENOSYS", || {
        filter(&[libc::SYS_clone3], errno(libc::ENOSYS), ALLOW);
        assert_eq!(call(|| 5), Ok(5));
        assert_eq!(spawn(|| 5).unwrap().join().unwrap(), 5);
        // SAFETY: the closure takes no lock.
        assert_eq!(unsafe { fork(|| 5) }.unwrap().wait().unwrap().code(), Some(5));
    });
    // Here glibc cannot make threads, so this does not test `spawn`.
    passes(test, "EPERM", || {
        filter(&[libc::SYS_clone3], errno(libc::EPERM), ALLOW);
        assert_eq!(call(|| 5), Ok(5));
        // SAFETY: the closure takes no lock.
        let mut child = unsafe { Builder::new().flags(SafeFlags::IO).fork(|| 5) }.unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(5));
    });
}

#[test]
fn what_needs_clone3_is_named() {
    if !shares_memory() {
        return;
    }
    let directory = File::open("/").unwrap();
    let new = Builder::new;
    let features = [
        ("CLEAR_SIGHAND needs", new().flags(SafeFlags::CLEAR_SIGHAND)),
        ("NNP needs", new().flags(SafeFlags::NNP)),
        ("EMPTY_MNTNS needs", new().flags(SafeFlags::EMPTY_MNTNS)),
        ("a cgroup needs", new().cgroup(directory.as_fd())),
        // This is for `fork` only.
        ("NEWTIME needs", new().flags(SafeFlags::NEWTIME)),
    ];
    for refusal in [libc::ENOSYS, libc::EPERM, libc::E2BIG, libc::EINVAL] {
        passes("seccomp::what_needs_clone3_is_named", &format!("{refusal}"), || {
            filter(&[libc::SYS_clone3], errno(refusal), ALLOW);
            for (hint, builder) in &features {
                let named = |error: Error| {
                    assert_eq!((error.stage(), error.raw_os_error()), (Stage::Clone3, refusal));
                    // With EPERM, the cause may also be missing privileges.
                    let named = error.hint().unwrap();
                    assert!(named.starts_with(hint) || named.contains("a seccomp filter"), "{error}");
                };
                if !hint.starts_with("NEWTIME") {
                    named(builder.call(|| panic!("the closure has run")).unwrap_err());
                }
                // SAFETY: no child is made.
                named(unsafe { builder.fork(|| 0) }.unwrap_err());
            }
        });
    }
}

#[test]
fn a_child_that_cannot_be_made_safe_does_not_run() {
    if !shares_memory() {
        return;
    }
    let test = "seccomp::a_child_that_cannot_be_made_safe_does_not_run";
    passes(test, "prctl", || {
        call(|| ()).unwrap();
        filter(&[libc::SYS_prctl], errno(libc::EPERM), ALLOW);
        let error = call(|| panic!("the closure has run")).unwrap_err();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::ParentDeath, libc::EPERM));
    });
    passes(test, "spawn, prctl", || {
        filter(&[libc::SYS_prctl], errno(libc::EPERM), ALLOW);
        // The error must not come from the thread's name, which is also set by prctl(2).
        let error = spawn(|| panic!("the closure has run")).unwrap_err();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::ParentDeath, libc::EPERM));
    });
    passes(test, "rseq", || {
        let has_area = crate::rseq::registered();
        filter(&[SYS_RSEQ], errno(libc::EPERM), ALLOW);
        match call(|| 5) {
            Ok(value) => assert!(!has_area && value == 5),
            Err(error) => {
                assert!(has_area);
                assert_eq!((error.stage(), error.raw_os_error()), (Stage::Rseq, libc::EPERM));
            }
        }
    });
}

#[test]
fn a_pidfd_that_cannot_be_had_is_an_error() {
    if !shares_memory() {
        return;
    }
    let test = "seccomp::a_pidfd_that_cannot_be_had_is_an_error";
    for refusal in [libc::ENOSYS, libc::EPERM] {
        passes(test, &format!("{refusal}"), || {
            filter(&[libc::SYS_pidfd_open], errno(refusal), ALLOW);
            // SAFETY: the closures take no lock.
            unsafe {
                let error = fork(|| 0).unwrap_err();
                assert_eq!((error.stage(), error.raw_os_error()), (Stage::Pidfd, refusal));
                let mut child = Builder::new().without_pidfd().fork(|| 5).unwrap();
                assert_eq!(child.wait().unwrap().code(), Some(5));
            }
            // The child is born with it, so there is nothing to refuse.
            let handle = spawn(|| 5).unwrap();
            assert!(handle.pidfd().is_some());
            handle.join().unwrap();
        });
    }
}

/// The calls that all tables below begin with: the trial of the first call, and a child's own start and end.
const CHILD: [c_long; 16] = [
    READLINK,
    libc::SYS_gettid,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_futex,
    libc::SYS_unshare,
    GETEUID,
    GETEGID,
    SYS_RSEQ,
    libc::SYS_clone,
    SYS_WAIT4,
    libc::SYS_prctl,
    libc::SYS_getppid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    // The test's program ends by this. It has no destructors then.
    libc::SYS_exit_group,
];

/// The calls that std and libc need for a thread, and malloc in a thread.
const THREAD: &[c_long] = &[
    #[cfg(not(target_arch = "arm"))]
    libc::SYS_mmap,
    #[cfg(all(target_pointer_width = "32", not(any(target_arch = "x86_64", target_arch = "riscv32"))))]
    libc::SYS_mmap2,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_sched_getaffinity,
    #[cfg(all(target_pointer_width = "32", not(target_arch = "x86_64")))]
    422, // futex_time64
    // std's channel calls this before it sleeps.
    libc::SYS_sched_yield,
];

// 32-bit architectures that used to have 16-bit uids have a second call.
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_getegid as GETEGID, SYS_geteuid as GETEUID};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{SYS_getegid32 as GETEGID, SYS_geteuid32 as GETEUID};

/// The system call of readlink(3). Newer architectures have another one.
#[cfg(not(any(
    target_arch = "aarch64",
    target_arch = "riscv64",
    target_arch = "riscv32",
    target_arch = "loongarch64"
)))]
const READLINK: c_long = libc::SYS_readlink;
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "riscv64",
    target_arch = "riscv32",
    target_arch = "loongarch64"
))]
const READLINK: c_long = libc::SYS_readlinkat;

/// The calls that close a pidfd. A debug build of std first checks the descriptor.
const CLOSES: [c_long; 2] = [libc::SYS_close, FCNTL];
#[cfg(any(target_pointer_width = "64", target_arch = "x86_64", target_arch = "riscv32"))]
const FCNTL: c_long = libc::SYS_fcntl;
#[cfg(all(target_pointer_width = "32", not(any(target_arch = "x86_64", target_arch = "riscv32"))))]
const FCNTL: c_long = libc::SYS_fcntl64;

fn exit_if(right: bool) -> ! {
    // SAFETY: the call only ends this process.
    unsafe { libc::_exit(if right { 42 } else { 1 }) }
}

/// Checks the tables of system calls in the crate's documentation.
#[test]
fn call_makes_these_system_calls() {
    if !shares_memory() {
        return;
    }
    passes("seccomp::call_makes_these_system_calls", "call", || {
        filter(&CHILD, ALLOW, KILL);
        exit_if((call(|| 5), call(|| 5)) == (Ok(5), Ok(5)))
    });
}

#[test]
fn spawn_makes_these_system_calls() {
    if !shares_memory() {
        return;
    }
    passes("seccomp::spawn_makes_these_system_calls", "spawn", || {
        filter(&[&CHILD, THREAD, &CLOSES].concat(), ALLOW, KILL);
        exit_if(spawn(|| 5).is_ok_and(|handle| handle.join().is_ok_and(|value| value == 5)))
    });
}

#[test]
fn a_child_makes_these_system_calls_after_its_closure() {
    if !shares_memory() {
        return;
    }
    let test = "seccomp::a_child_makes_these_system_calls_after_its_closure";
    passes(test, "both", || {
        for way in Way::BOTH {
            let last =
                || filter(&[libc::SYS_unshare, libc::SYS_prctl, SYS_RSEQ, libc::SYS_exit], ALLOW, KILL);
            way.run(last).unwrap();
        }
    });
}

/// The calls beside those of fork(3), which are libc's own.
#[test]
fn fork_makes_these_system_calls() {
    if !shares_memory() {
        return;
    }
    let own = [libc::SYS_clone, libc::SYS_waitid, libc::SYS_exit_group];
    // SAFETY: the closures take no lock.
    unsafe {
        let right = |child: Result<clone_trampoline::Child, _>| {
            child.is_ok_and(|mut child| child.wait().is_ok_and(|status| status.code() == Some(5)))
        };
        #[cfg(target_env = "gnu")]
        passes("seccomp::fork_makes_these_system_calls", "fork", || {
            // futex is allowed, because libtest's own thread may have one of the locks that fork(3) takes.
            let libcs = [libc::SYS_set_robust_list, libc::SYS_rt_sigprocmask, libc::SYS_futex];
            filter(&[&own[..], &CLOSES, &libcs, &[libc::SYS_pidfd_open]].concat(), ALLOW, KILL);
            exit_if(right(fork(|| 5)))
        });
        passes("seccomp::fork_makes_these_system_calls", "flags", || {
            filter(&[&own[..], &CLOSES, &[libc::SYS_prctl, libc::SYS_gettid]].concat(), ALLOW, KILL);
            exit_if(right(Builder::new().flags(SafeFlags::IO).fork(|| 5)))
        });
    }
}
