//! S10: what the waiting thread lends to a spawned child, and what it does not hold up.

use crate::common::limit;
use crate::program::{passes, shares_memory, until};
use clone_trampoline::{Builder, spawn};
use std::fs;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

fn blocked(signal: i32) -> bool {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: a place for the mask.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr());
        libc::sigismember(mask.as_ptr(), signal) == 1
    }
}

pub(crate) fn block(signal: i32) {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: a mask of one signal.
    unsafe {
        libc::sigemptyset(mask.as_mut_ptr());
        libc::sigaddset(mask.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, mask.as_ptr(), std::ptr::null_mut());
    }
}

#[test]
fn s10_the_child_has_its_callers_mask() {
    if !shares_memory() {
        return;
    }
    block(libc::SIGUSR1);
    let inside = spawn(|| (blocked(libc::SIGUSR1), blocked(libc::SIGUSR2), blocked(libc::SIGTERM)));
    assert_eq!(inside.unwrap().join().unwrap(), (true, false, false));
}

fn has_no_signal_stack() -> bool {
    let mut stack = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: a place for the answer.
    unsafe {
        assert_eq!(libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr()), 0);
        stack.assume_init().ss_flags & libc::SS_DISABLE != 0
    }
}

#[test]
fn s10_the_child_has_a_signal_stack() {
    if shares_memory() {
        assert!(!spawn(has_no_signal_stack).unwrap().join().unwrap());
    }
}

/// Nobody waits for the value: its destructor runs on the thread that has waited for the child.
#[test]
fn s10_the_waiting_thread_gets_both_back() {
    struct Value(Sender<(bool, bool)>);
    impl Drop for Value {
        fn drop(&mut self) {
            _ = self.0.send((blocked(libc::SIGUSR2), has_no_signal_stack()));
        }
    }
    if !shares_memory() {
        return;
    }
    let (tell, told) = channel();
    let (go, wait) = channel::<()>();
    let handle = spawn(move || {
        _ = wait.recv();
        Value(tell)
    });
    drop(handle.unwrap());
    drop(go);
    assert_eq!(told.recv_timeout(limit()), Ok((false, false)));
}

/// Libc's handler of set*id takes a signal stack if there is one: not that of the child, which is on it.
#[test]
fn s10_the_signal_stack_is_the_childs_alone() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static GO: AtomicBool = AtomicBool::new(false);
    extern "C" fn handler(_: i32) {
        BEGUN.store(true, Ordering::SeqCst);
        while !GO.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
    }
    if !shares_memory() {
        return;
    }
    passes("signals::s10_the_signal_stack_is_the_childs_alone", "setresuid", || {
        // SAFETY: a handler that waits, and no place for the old one.
        unsafe {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
            action.sa_sigaction = handler as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
        }
        // SAFETY: the child's own pid.
        let handle = spawn(|| unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) });
        until("the handler's begin", || BEGUN.load(Ordering::SeqCst));
        for _ in 0..200 {
            // SAFETY: no pointers.
            assert_eq!(unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) }, 0);
        }
        GO.store(true, Ordering::SeqCst);
        assert_eq!(handle.unwrap().join().unwrap(), 0);
    });
}

/// The waiting thread makes no system call that fails, interrupted or not: errno is in the child's TLS.
#[test]
fn s10_errno_is_the_childs() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static GO: AtomicBool = AtomicBool::new(false);
    if !shares_memory() {
        return;
    }
    passes("signals::s10_errno_is_the_childs", "setresuid", || {
        let handle = spawn(|| {
            // SAFETY: errno of this thread.
            unsafe { *libc::__errno_location() = 77 };
            BEGUN.store(true, Ordering::SeqCst);
            while !GO.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            // SAFETY: as above.
            unsafe { *libc::__errno_location() }
        });
        until("the closure's begin", || BEGUN.load(Ordering::SeqCst));
        for _ in 0..200 {
            // SAFETY: no pointers.
            assert_eq!(unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) }, 0);
        }
        GO.store(true, Ordering::SeqCst);
        assert_eq!(handle.unwrap().join().unwrap(), 77);
    });
}

/// A field of /proc/self/task/TID/status of the thread whose name is given, as a number.
fn of_thread(name: &str, field: &str) -> Option<u64> {
    fs::read_dir("/proc/self/task").ok()?.flatten().find_map(|task| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let value =
            |key: &str| status.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()));
        (value("Name:")? == name).then(|| u64::from_str_radix(&value(field)?, 16).ok())?
    })
}

#[test]
fn s10_the_waiting_thread_blocks_signals_but_libcs() {
    if !shares_memory() {
        return;
    }
    let (go, wait) = channel::<()>();
    let handle = Builder::new().name("lender".into()).spawn(move || wait.recv()).unwrap();
    let blocked = of_thread("lender", "SigBlk:").expect("the thread that waits");
    go.send(()).unwrap();
    _ = handle.join();
    let bit = |signal: i32| blocked >> (signal - 1) & 1 == 1;
    for signal in [libc::SIGTERM, libc::SIGUSR1, libc::SIGALRM, libc::SIGCHLD, libc::SIGPROF] {
        assert!(bit(signal), "{signal} of {blocked:x}");
    }
    // glibc: cancellation and set*id. musl: timers, cancellation, set*id.
    assert!(!bit(33), "{blocked:x}");
}

/// A handler that runs nowhere but on the threads that have it unblocked: not on the waiting one,
/// whose TLS the child has.
#[test]
fn s10_no_handler_runs_on_the_waiting_thread() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    static WRONG: AtomicU32 = AtomicU32::new(0);
    extern "C" fn handler(_: i32) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: no arguments to get wrong.
        let tid = unsafe { libc::syscall(libc::SYS_gettid) };
        WRONG.fetch_add(u32::from(tid as i32 == LENDER.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
    static LENDER: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);
    if !shares_memory() {
        return;
    }
    passes("signals::s10_no_handler_runs_on_the_waiting_thread", "timer", || {
        // SAFETY: a handler that counts, and the program's own pid.
        unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
        let (go, wait) = channel::<()>();
        let handle = Builder::new().name("lender".into()).spawn(move || wait.recv()).unwrap();
        for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
            if fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "lender") {
                LENDER.store(task.file_name().to_str().unwrap().parse().unwrap(), Ordering::Relaxed);
            }
        }
        let lender = LENDER.load(Ordering::Relaxed);
        assert_ne!(lender, 0);
        for _ in 0..100 {
            // SAFETY: a thread and a process of ours.
            unsafe {
                libc::syscall(libc::SYS_tgkill, libc::getpid(), lender, libc::SIGUSR1);
                libc::kill(handle.pid() as i32, libc::SIGUSR1);
            }
            thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(WRONG.load(Ordering::Relaxed), 0);
        assert!(CALLS.load(Ordering::Relaxed) > 0, "the child has handled none");
        go.send(()).unwrap();
        _ = handle.join();
    });
}

#[test]
fn s10_set_id_by_another_thread_does_not_wait() {
    if !shares_memory() {
        return;
    }
    passes("signals::s10_set_id_by_another_thread_does_not_wait", "setresuid", || {
        let (go, wait) = channel::<()>();
        let handle = spawn(move || {
            _ = wait.recv();
            5
        });
        let handle = handle.unwrap();
        for _ in 0..200 {
            // SAFETY: no pointers.
            assert_eq!(unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) }, 0);
        }
        // libc's handler has run on the waiting thread's part of the stack, and not on the child's.
        assert!(!handle.is_finished());
        go.send(()).unwrap();
        assert_eq!(handle.join().unwrap(), 5);
    });
}

/// Writes to stdout, past libtest's capture.
fn say(text: &str) {
    // SAFETY: a buffer and its length.
    unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
}

/// Ctrl-Z on a terminal while a spawned child lives: the shell sees the stop at once, and fg goes on.
#[test]
fn s10_a_terminal_can_stop_it() {
    if !shares_memory() {
        return;
    }
    let mut terminal = 0;
    let null = std::ptr::null_mut::<libc::c_char>;
    // SAFETY: the child of forkpty has one thread and does what a shell's job does.
    let pid = unsafe { libc::forkpty(&mut terminal, null(), std::ptr::null_mut(), std::ptr::null_mut()) };
    if pid == 0 {
        // SAFETY: a job of its own, in the foreground of the new terminal, whose shell is this process.
        unsafe {
            let job = libc::fork();
            if job == 0 {
                libc::setpgid(0, 0);
                libc::signal(libc::SIGTTOU, libc::SIG_IGN);
                libc::tcsetpgrp(0, libc::getpgrp());
                let handle = spawn(|| {
                    say("ready");
                    std::io::stdin().read_line(&mut String::new())
                });
                _ = handle.unwrap().join();
                libc::_exit(42);
            }
            let mut status = 0;
            libc::waitpid(job, &mut status, libc::WUNTRACED);
            say(if libc::WIFSTOPPED(status) { "stopped" } else { "ended" });
            libc::kill(-job, libc::SIGCONT);
            libc::waitpid(job, &mut status, 0);
            say(if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 42 { "exit 42" } else { "died" });
            libc::_exit(0);
        }
    }
    assert!(pid > 0, "forkpty");
    let mut seen = String::new();
    let mut wait_for = |text: &str| {
        let deadline = Instant::now() + limit();
        while !seen.contains(text) {
            let mut poll = libc::pollfd { fd: terminal, events: libc::POLLIN, revents: 0 };
            let mut buffer = [0_u8; 256];
            // SAFETY: one pollfd, and a buffer.
            let n = unsafe {
                libc::poll(&mut poll, 1, 100);
                if poll.revents & libc::POLLIN == 0 {
                    0
                } else {
                    libc::read(terminal, buffer.as_mut_ptr().cast(), 256)
                }
            };
            seen.push_str(&String::from_utf8_lossy(&buffer[..n.max(0) as usize]));
            if Instant::now() > deadline {
                // SAFETY: the child and its job.
                unsafe { libc::kill(-pid, libc::SIGKILL) };
                panic!("{text:?} is not in {seen:?}");
            }
        }
    };
    let write = |bytes: &[u8]| {
        // SAFETY: a buffer and its length.
        unsafe { libc::write(terminal, bytes.as_ptr().cast(), bytes.len()) };
    };
    wait_for("ready");
    write(b"\x1a");
    wait_for("stopped");
    write(b"\n");
    wait_for("exit 42");
    crate::common::wait(pid as isize);
    // SAFETY: the terminal of forkpty.
    unsafe { libc::close(terminal) };
}
