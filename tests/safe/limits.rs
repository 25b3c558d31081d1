//! What still differs from a thread: the known limits in the docs, each as it is today.

use crate::program::{passes, program, shares_memory};
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
