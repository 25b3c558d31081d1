//! Which system calls are made, and what happens where a filter refuses them: nothing that was asked
//! for is dropped.

use crate::program::{program, shares_memory};
use clone_trampoline::{Builder, SafeFlags, Stage, call, fork, spawn};
use std::ffi::c_long;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

/// From here on these system calls of this process get `action`, and all others `otherwise`.
fn filter(calls: &[c_long], action: u32, otherwise: u32) {
    let op = |code: u32, k, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = vec![op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)]; // seccomp_data.nr
    for &call in calls {
        filter.push(op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 0, 1));
        filter.push(op(libc::BPF_RET | libc::BPF_K, action, 0, 0));
    }
    filter.push(op(libc::BPF_RET | libc::BPF_K, otherwise, 0, 0));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: a filter that lives during the calls.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

/// Runs `body` in a program, which ends with 42 if it passes.
fn passes(test: &str, case: &str, body: fn()) {
    if !shares_memory() {
        return;
    }
    let end = program(test, case, || {
        body();
        std::process::exit(42)
    });
    if let Some(end) = end {
        end.is_exit(42);
    }
}

#[test]
fn what_clone_can_express_needs_no_clone3() {
    let test = "seccomp::what_clone_can_express_needs_no_clone3";
    passes(test, "ENOSYS", || {
        filter(&[libc::SYS_clone3], errno(libc::ENOSYS), ALLOW);
        assert_eq!(call(|| 5), Ok(5));
        assert_eq!(spawn(|| 5).unwrap().join().unwrap(), 5);
        // SAFETY: the closure takes no lock.
        assert_eq!(unsafe { fork(|| 5) }.unwrap().wait().unwrap().code(), Some(5));
    });
    // glibc's threads are an error then, so no spawn.
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
    let test = "seccomp::what_needs_clone3_is_named";
    let case = |refusal: i32| {
        let builder = Builder::new().flags(SafeFlags::CLEAR_SIGHAND);
        filter(&[libc::SYS_clone3], errno(refusal), ALLOW);
        let error = builder.call(|| panic!("the closure has run")).unwrap_err();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Clone3, refusal));
        assert!(error.hint().unwrap().starts_with("CLEAR_SIGHAND needs clone3(2)"), "{error}");
        // SAFETY: no child is made.
        let error = unsafe { builder.fork(|| 0) }.unwrap_err();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Clone3, refusal));
    };
    for refusal in [libc::ENOSYS, libc::EPERM, libc::E2BIG, libc::EINVAL] {
        if !shares_memory() {
            return;
        }
        let end = program(test, &format!("{refusal}"), || {
            case(refusal);
            std::process::exit(42)
        });
        if let Some(end) = end {
            end.is_exit(42);
        }
    }
}

#[test]
fn a_child_that_cannot_be_made_safe_does_not_run() {
    let test = "seccomp::a_child_that_cannot_be_made_safe_does_not_run";
    passes(test, "prctl", || {
        call(|| ()).unwrap();
        filter(&[libc::SYS_prctl], errno(libc::EPERM), ALLOW);
        let error = call(|| panic!("the closure has run")).unwrap_err();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::ParentDeath, libc::EPERM));
    });
    passes(test, "spawn, prctl", || {
        filter(&[libc::SYS_prctl], errno(libc::EPERM), ALLOW);
        // Not through thread names, which are a prctl, too.
        let error = spawn(|| panic!("the closure has run")).unwrap_err();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::ParentDeath, libc::EPERM));
    });
    passes(test, "rseq", || {
        let has_area = crate::rseq::registered();
        filter(&[libc::SYS_rseq], errno(libc::EPERM), ALLOW);
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
    let test = "seccomp::a_pidfd_that_cannot_be_had_is_an_error";
    for refusal in [libc::ENOSYS, libc::EPERM] {
        let end = program(test, &format!("{refusal}"), || {
            filter(&[libc::SYS_pidfd_open], errno(refusal), ALLOW);
            // SAFETY: the closures take no lock.
            unsafe {
                let error = fork(|| 0).unwrap_err();
                assert_eq!((error.stage(), error.raw_os_error()), (Stage::Pidfd, refusal));
                let mut child = Builder::new().without_pidfd().fork(|| 5).unwrap();
                assert_eq!(child.wait().unwrap().code(), Some(5));
            }
            // Born with it: nothing to be refused.
            if shares_memory() {
                let handle = spawn(|| 5).unwrap();
                assert!(handle.pidfd().is_some());
                handle.join().unwrap();
            }
            std::process::exit(42)
        });
        if let Some(end) = end {
            end.is_exit(42);
        }
    }
}

/// The table in the docs of `Builder::call`.
#[test]
fn call_makes_these_system_calls() {
    passes("seccomp::call_makes_these_system_calls", "call", || {
        let calls = [
            // the trial of the first call: clone, getppid, exit, wait4
            // the caller
            libc::SYS_gettid,
            libc::SYS_rseq,
            libc::SYS_clone,
            libc::SYS_wait4,
            // the child
            libc::SYS_prctl,
            libc::SYS_getppid,
            libc::SYS_tgkill,
            libc::SYS_exit,
            // the end of this program, which has no destructors then
            libc::SYS_exit_group,
        ];
        filter(&calls, ALLOW, KILL);
        let first = call(|| 5);
        let second = call(|| 5);
        // SAFETY: ends this process.
        unsafe { libc::_exit(if (first, second) == (Ok(5), Ok(5)) { 42 } else { 1 }) }
    });
}
