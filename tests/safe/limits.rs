//! What still differs from a thread: the known limits in the docs, each as it is today.

use crate::common::skip;
use crate::program::{Way, passes, program, runs, shares_memory, until};
use clone_trampoline::{call, spawn};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn pthread_kill_of_a_thread_of_the_parent_is_esrch() {
    if !shares_memory() || cfg!(not(target_env = "gnu")) {
        return;
    }
    let sleeper = thread::spawn(thread::park);
    // SAFETY: a thread that is not joined yet; signal 0 is only looked up.
    let result = call(|| unsafe {
        libc::pthread_kill(std::os::unix::thread::JoinHandleExt::as_pthread_t(&sleeper) as libc::pthread_t, 0)
    });
    assert_eq!(result, Ok(libc::ESRCH));
    sleeper.thread().unpark();
    sleeper.join().unwrap();
}

/// The kernel knows the owner of a contended mutex with priority inheritance by its tid.
#[test]
fn a_contended_pi_mutex_stays_locked() {
    use std::cell::UnsafeCell;
    use std::mem::MaybeUninit;
    struct Mutex(UnsafeCell<libc::pthread_mutex_t>);
    // SAFETY: that is what it is for.
    unsafe impl Sync for Mutex {}
    static MUTEX: Mutex = Mutex(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
    if !shares_memory() || cfg!(not(target_env = "gnu")) {
        return;
    }
    let end = program("limits::a_contended_pi_mutex_stays_locked", "call", || {
        let mutex = MUTEX.0.get();
        // SAFETY: a mutex in a static, initialised before it is used.
        unsafe {
            let mut kind = MaybeUninit::uninit();
            libc::pthread_mutexattr_init(kind.as_mut_ptr());
            libc::pthread_mutexattr_setprotocol(kind.as_mut_ptr(), libc::PTHREAD_PRIO_INHERIT);
            libc::pthread_mutex_init(mutex, kind.as_ptr());
        }
        let holder = thread::spawn(|| {
            // SAFETY: as above.
            unsafe {
                libc::pthread_mutex_lock(MUTEX.0.get());
                thread::sleep(Duration::from_millis(100));
                libc::pthread_mutex_unlock(MUTEX.0.get());
            }
        });
        thread::sleep(Duration::from_millis(30));
        // SAFETY: as above.
        let inside = call(|| unsafe {
            let mutex = MUTEX.0.get();
            (libc::pthread_mutex_lock(mutex), libc::pthread_mutex_unlock(mutex))
        });
        holder.join().unwrap();
        // SAFETY: as above.
        let after = unsafe { libc::pthread_mutex_trylock(mutex) };
        eprintln!("limit {inside:?} {after}");
    });
    if let Some(end) = end {
        end.is_exit(0);
        assert!(end.stderr.contains(&format!("limit Ok((0, {})) {}", libc::EPERM, libc::EBUSY)), "{end:?}");
    }
}

/// A child that was started inside is the inner process's to wait for, and init's after its end.
#[test]
fn a_command_started_inside_must_be_waited_for_inside() {
    if !shares_memory() {
        return;
    }
    // In a program of its own: the tests may themselves be the init of a container.
    passes("limits::a_command_started_inside_must_be_waited_for_inside", "call", || {
        let mut command = Command::new("/proc/self/exe");
        command.arg("--list").stdout(std::process::Stdio::null());
        let mut child = call(|| command.spawn().unwrap()).unwrap();
        assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    });
}

/// The caller sleeps in the kernel, where set*id of another thread cannot reach it.
#[test]
fn set_id_by_another_thread_waits_for_a_call() {
    if !shares_memory() {
        return;
    }
    passes("limits::set_id_by_another_thread_waits_for_a_call", "call", || {
        let other = thread::spawn(|| {
            thread::sleep(Duration::from_millis(100));
            let start = Instant::now();
            // SAFETY: no pointers.
            unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) };
            start.elapsed()
        });
        call(|| thread::sleep(Duration::from_millis(500))).unwrap();
        assert!(other.join().unwrap() > Duration::from_millis(200));
    });
}

/// The end of a call waits for threads that its closure left, as S8 says: a pool never ends.
#[test]
fn a_thread_that_never_ends_is_waited_for() {
    if !shares_memory() {
        return;
    }
    passes("limits::a_thread_that_never_ends_is_waited_for", "spawn", || {
        let handle = spawn(|| {
            thread::spawn(|| {
                loop {
                    thread::sleep(Duration::from_secs(1));
                }
            });
        })
        .unwrap();
        thread::sleep(Duration::from_millis(200));
        assert!(!handle.is_finished());
    });
}

/// A thread that the closure has left ends the child, after the value: it looks like any end.
#[test]
fn a_raw_exit_0_after_the_value_is_not_seen() {
    if !shares_memory() {
        return;
    }
    passes("limits::a_raw_exit_0_after_the_value_is_not_seen", "both", || {
        for way in Way::BOTH {
            let value = way.run(|| {
                let pid = std::process::id() as i32;
                thread::spawn(move || {
                    until("the closure's end", || !runs(pid));
                    // SAFETY: ends the child.
                    unsafe { libc::_exit(0) }
                });
                5
            });
            assert_eq!(value, Ok(5), "{way:?}");
        }
    });
}

#[test]
fn timers_are_the_childs() {
    if !shares_memory() {
        return;
    }
    passes("limits::timers_are_the_childs", "both", || {
        for way in Way::BOTH {
            // SAFETY: no pointers; the alarm does not come.
            way.run(|| unsafe { libc::alarm(10_000) }).unwrap();
            // SAFETY: as above.
            assert_eq!(unsafe { libc::alarm(0) }, 0, "{way:?}");
        }
    });
}

/// Whether another uid can be taken; raw, so that libc tells no other thread.
fn take_uid(uid: u32) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0 }
}

#[test]
fn changed_credentials_clear_the_parent_death_signal() {
    fn signal() -> i32 {
        let mut signal = -1;
        // SAFETY: a place for the signal.
        unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &mut signal) };
        signal
    }
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        let seen = way.run(|| (signal(), take_uid(65_533), signal())).unwrap();
        match seen {
            (libc::SIGKILL, true, after) => assert_eq!(after, 0, "{way:?}"),
            (before, false, after) => {
                assert_eq!((before, after), (libc::SIGKILL, libc::SIGKILL), "{way:?}");
                skip("needs CAP_SETUID");
            }
            seen => panic!("{way:?}: {seen:?}"),
        }
    }
}

/// glibc makes a change of ids known to all threads that it knows of by their tids, which are not the
/// child's. musl does the same, and waits for the answer of one that sleeps: for ever, as was seen.
#[cfg(target_env = "gnu")]
#[test]
fn set_id_in_a_thread_of_the_child_is_not_the_main_contexts() {
    if !shares_memory() {
        return;
    }
    // SAFETY: no arguments to get wrong.
    if unsafe { libc::geteuid() } != 0 {
        return skip("needs CAP_SETUID");
    }
    passes("limits::set_id_in_a_thread_of_the_child_is_not_the_main_contexts", "call", || {
        let seen = call(|| {
            // SAFETY: no pointers.
            let set = thread::spawn(|| unsafe { libc::setresuid(65_533, 65_533, 65_533) });
            // SAFETY: no arguments to get wrong.
            (set.join().unwrap(), unsafe { libc::getuid() })
        });
        assert_eq!(seen, Ok((0, 0)));
    });
}
