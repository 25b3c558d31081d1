//! Tests of `fork`: copied memory, exit statuses, handles, and libc's cached tid.

use crate::common::{self, skip};
use crate::program::{catches_panics, if_allowed, passes, program, rounds, shares_memory, until};
use clone_trampoline::{Builder, Child, SafeFlags, call, fork};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Makes one child by fork(3) and one by clone(2). The flag IO leads to clone(2), and shares nothing that matters here.
fn both(f: fn() -> i32) -> [Child; 2] {
    [SafeFlags::empty(), SafeFlags::IO].map(|flags| {
        // SAFETY: the closures of these tests take no lock but malloc's and stderr's; a child that
        // hangs on one is killed.
        unsafe { Builder::new().flags(flags).fork(f) }.unwrap()
    })
}

#[test]
fn the_memory_is_a_copy_and_the_status_arrives() {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    for mut child in both(|| {
        COUNT.store(5, Ordering::SeqCst);
        0x1_07
    }) {
        assert_eq!(child.wait().unwrap().code(), Some(7));
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(7));
        assert_eq!(COUNT.load(Ordering::SeqCst), 0);
        child.kill().unwrap();
    }
}

#[test]
fn it_can_be_polled_and_killed() {
    for mut child in both(|| {
        loop {
            thread::sleep(Duration::from_secs(1));
        }
    }) {
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        let mut poll =
            libc::pollfd { fd: child.pidfd().unwrap().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one pollfd.
        assert_eq!(unsafe { libc::poll(&mut poll, 1, 30_000) }, 1);
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }
}

#[test]
fn a_panic_is_101_and_no_handlers_run() {
    if !catches_panics() {
        return;
    }
    let test = "fork::a_panic_is_101_and_no_handlers_run";
    let end = program(test, "panic", || {
        extern "C" fn handler() {
            eprintln!("handler");
        }
        // SAFETY: the handler only prints.
        unsafe { libc::atexit(handler) };
        // This also works from a thread that is not the main one.
        thread::spawn(|| {
            for mut child in both(|| panic!("reason")) {
                assert_eq!(child.wait().unwrap().code(), Some(101));
            }
        })
        .join()
        .unwrap();
    });
    if let Some(end) = end {
        end.is_exit(0);
        assert_eq!(end.stderr.matches("handler").count(), 1, "{end:?}");
        assert_eq!(end.stderr.matches("reason").count(), 2, "{end:?}");
    }
}

/// glibc keeps the tid in a word that is the lock of musl's list of threads. If that word were written on musl, the
/// child's first thread would hang.
#[test]
fn the_child_can_make_threads() {
    // This needs a program of its own, in which no other thread has a lock.
    passes("fork::the_child_can_make_threads", "thread", || {
        for mut child in both(|| thread::spawn(|| 7).join().unwrap()) {
            until("the child's end", || child.try_wait().unwrap().is_some());
            assert_eq!(child.wait().unwrap().code(), Some(7));
        }
    });
}

/// glibc takes this tid as the owner of a lock. musl keeps the parent's tid, see `Builder::fork`.
#[cfg(target_env = "gnu")]
#[test]
fn the_cached_tid_is_the_childs() {
    use std::mem::MaybeUninit;

    // SAFETY: the closure takes no lock.
    for mut child in both(|| unsafe {
        let (mut mutex, mut kind) = (MaybeUninit::zeroed(), MaybeUninit::uninit());
        libc::pthread_mutexattr_init(kind.as_mut_ptr());
        libc::pthread_mutexattr_settype(kind.as_mut_ptr(), libc::PTHREAD_MUTEX_ERRORCHECK);
        let mutex: *mut libc::pthread_mutex_t = mutex.as_mut_ptr();
        libc::pthread_mutex_init(mutex, kind.as_ptr());
        libc::pthread_mutex_lock(mutex);
        // struct __pthread_mutex_s: lock, count, owner.
        let owner = mutex.cast::<i32>().add(2).read();
        i32::from(owner != libc::syscall(libc::SYS_gettid) as i32)
    }) {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn it_can_be_the_init_of_a_pid_namespace() {
    let builder = Builder::new().flags(SafeFlags::NEWUSER | SafeFlags::NEWPID);
    // SAFETY: the closure takes no lock.
    let child = unsafe { builder.fork(|| std::process::id() as i32) };
    if let Some(mut child) = if_allowed(child) {
        assert_eq!(child.wait().unwrap().code(), Some(1));
    }
}

#[test]
fn what_cannot_be_had_is_named() {
    // SAFETY: no child is made.
    let error = unsafe { Builder::new().flags(SafeFlags::SIGHAND).fork(|| 0) }.unwrap_err();
    assert_eq!(error.hint(), Some("SIGHAND needs VM: a handler is an address in the memory"));
}

#[test]
fn the_free_function_is_the_same() {
    // SAFETY: the closure takes no lock.
    let mut child = unsafe { fork(|| 42) }.unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(42));
}

/// Once somebody else has waited for the child, another process may get its pid. This test arranges that.
#[test]
fn what_has_a_pidfd_acts_by_it() {
    passes("fork::what_has_a_pidfd_acts_by_it", "fork", || {
        // SAFETY: the closures take no lock.
        let mut child = unsafe { fork(|| 7) }.unwrap();
        let pid = child.id() as i32;
        // SAFETY: the call stores no status.
        assert_eq!(unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }, pid);
        // If the next pid can be chosen, a stranger gets the child's pid.
        if std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).is_err() {
            crate::common::skip("the next pid cannot be chosen here");
        }
        // SAFETY: the closure takes no lock. The stranger waits to be killed.
        let mut stranger = unsafe {
            Builder::new().without_pidfd().fork(|| {
                libc::pause();
                8
            })
        }
        .unwrap();
        assert_eq!(child.kill().unwrap_err().raw_os_error(), Some(libc::ESRCH));
        for result in [child.try_wait(), child.wait().map(Some)] {
            is_kept_or_gone(result, 7);
        }
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        assert_eq!(stranger.wait().unwrap().signal(), Some(libc::SIGKILL));
    });
}

/// Since Linux 6.15 the kernel keeps the status of a child that nobody can wait for any more.
#[track_caller]
fn is_kept_or_gone(result: std::io::Result<Option<ExitStatus>>, code: i32) {
    match result {
        Ok(status) => assert_eq!(status.and_then(|status| status.code()), Some(code)),
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
            assert!(common::release() < (6, 15), "the kernel keeps the status");
        }
    }
}

/// A stop is not an end: the child can still be killed.
#[test]
fn a_traced_child_that_stops_has_not_ended() {
    // SAFETY: the closure takes no lock.
    let mut child = unsafe {
        fork(|| {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGUSR1);
            7
        })
    }
    .unwrap();
    assert_eq!(child.wait().unwrap().stopped_signal(), Some(libc::SIGUSR1));
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
}

/// Tests the handle of a child that was gone before there was a pidfd, while a stranger has its pid.
fn strangers_are_left_alone(gone: &mut Child) {
    _ = std::fs::write("/proc/sys/kernel/ns_last_pid", (gone.id() - 1).to_string());
    // SAFETY: the closure takes no lock.
    let mut stranger = unsafe {
        Builder::new().without_pidfd().fork(|| {
            libc::pause();
            8
        })
    }
    .unwrap();
    assert_eq!(gone.kill().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    assert_eq!(gone.try_wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    _ = stranger.wait();
}

/// If SIGCHLD is ignored, a child may be gone before its pidfd is opened. This is not a failure.
#[test]
fn a_child_that_is_gone_already_is_no_error() {
    passes("fork::a_child_that_is_gone_already_is_no_error", "fork", || {
        // SAFETY: the call takes no pointers.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        for _ in rounds() {
            // SAFETY: the closure takes no lock.
            let mut child = unsafe { fork(|| 3) }.unwrap();
            if child.pidfd().is_some() {
                is_kept_or_gone(child.wait().map(Some), 3);
            } else {
                assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
                strangers_are_left_alone(&mut child);
            }
        }
    });
}

/// Somebody else has waited for the child, and a child of `call` now has its pid. The handle must not take that child's
/// status.
#[test]
fn a_child_of_call_with_the_same_pid_is_not_waited_for() {
    if !shares_memory() {
        return;
    }
    if !common::privileged() {
        return skip("a pid namespace takes CAP_SYS_ADMIN");
    }
    passes("fork::a_child_of_call_with_the_same_pid_is_not_waited_for", "both", || {
        let inside = || {
            let (go, begins) = channel::<()>();
            let (say, said) = channel();
            let (end, ends) = channel::<()>();
            call(|| ()).unwrap(); // The first call makes another child.
            let caller = thread::spawn(move || {
                begins.recv().unwrap();
                call(move || {
                    say.send(std::process::id()).unwrap();
                    _ = ends.recv();
                    5
                })
            });
            // SAFETY: the closure takes no lock.
            let mut gone = unsafe { Builder::new().without_pidfd().fork(|| 7) }.unwrap();
            // SAFETY: the call stores no status.
            assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) }, gone.id() as i32);
            if std::fs::write("/proc/sys/kernel/ns_last_pid", (gone.id() - 1).to_string()).is_err() {
                return 75;
            }
            go.send(()).unwrap();
            assert_eq!(said.recv().unwrap(), gone.id());
            assert_eq!(gone.try_wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
            assert_eq!(gone.kill().unwrap_err().raw_os_error(), Some(libc::ECHILD));
            drop(end);
            assert_eq!(caller.join().unwrap(), Ok(5));
            77
        };
        let status = common::in_process(|| {
            common::new_pid_namespace();
            common::in_process(inside).code().unwrap_or(1)
        });
        match status.code() {
            Some(75) => skip("the kernel does not let pids be chosen"),
            code => assert_eq!(code, Some(77)),
        }
    });
}
