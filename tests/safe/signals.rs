//! Tests of S10: the waiting thread lends its TLS to its child, and holds up nothing else.

use crate::common::{Shared, limit};
use crate::program::{Way, passes, rounds, shares_memory, until};
use clone_trampoline::{Builder, call, spawn};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

fn blocked(signal: i32) -> bool {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: the call gets room for the mask.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), mask.as_mut_ptr());
        libc::sigismember(mask.as_ptr(), signal) == 1
    }
}

pub(crate) fn block(signal: i32) {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: the mask has one signal, and lives during the call.
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
    // SAFETY: the call gets room for the answer.
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

/// Nobody waits for the value, so its destructor runs on the thread that has waited for the child.
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

/// libc's handler of set*id runs on a signal stack if there is one. The waiting thread must not use that of the child.
/// musl: see tests/safe/limits.rs.
#[test]
#[cfg(not(target_env = "musl"))]
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
        // SAFETY: the handler only waits, and the old action is not stored.
        unsafe {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
            action.sa_sigaction = handler as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
        }
        // SAFETY: the pid is the child's own.
        let handle = spawn(|| unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) });
        until("the handler's begin", || BEGUN.load(Ordering::SeqCst));
        for _ in 0..200 {
            // SAFETY: the call takes no pointers.
            assert_eq!(unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) }, 0);
        }
        GO.store(true, Ordering::SeqCst);
        assert_eq!(handle.unwrap().join().unwrap(), 0);
    });
}

/// errno is in the child's TLS, so the waiting thread must make no system call that fails, whether it is interrupted or
/// not. musl: see tests/safe/limits.rs.
#[test]
#[cfg(not(target_env = "musl"))]
fn s10_errno_is_the_childs() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static GO: AtomicBool = AtomicBool::new(false);
    if !shares_memory() {
        return;
    }
    passes("signals::s10_errno_is_the_childs", "setresuid", || {
        let handle = spawn(|| {
            // SAFETY: this is the errno of this thread.
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
            // SAFETY: the call takes no pointers.
            assert_eq!(unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) }, 0);
        }
        GO.store(true, Ordering::SeqCst);
        assert_eq!(handle.unwrap().join().unwrap(), 77);
    });
}

/// Returns a field of /proc/self/task/TID/status as a number, for the thread with this name.
fn of_thread(name: &str, field: &str) -> Option<u128> {
    fs::read_dir("/proc/self/task").ok()?.flatten().find_map(|task| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let value =
            |key: &str| status.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()));
        (value("Name:")? == name).then(|| u128::from_str_radix(&value(field)?, 16).ok())?
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
    // set*id
    assert_eq!(bit(33), cfg!(target_env = "musl"), "{blocked:x}");
}

/// The handler runs only on threads that do not block the signal. It must not run on the waiting thread, because the
/// child has that thread's TLS.
#[test]
fn s10_no_handler_runs_on_the_waiting_thread() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    static WRONG: AtomicU32 = AtomicU32::new(0);
    extern "C" fn handler(_: i32) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the call takes no arguments.
        let tid = unsafe { libc::syscall(libc::SYS_gettid) };
        WRONG.fetch_add(u32::from(tid as i32 == LENDER.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
    static LENDER: AtomicI32 = AtomicI32::new(0);
    if !shares_memory() {
        return;
    }
    passes("signals::s10_no_handler_runs_on_the_waiting_thread", "timer", || {
        // SAFETY: the handler only counts.
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
            // SAFETY: the thread and the process are ours.
            unsafe {
                libc::syscall(libc::SYS_tgkill, libc::getpid(), lender, libc::SIGUSR1);
                libc::kill(handle.id() as i32, libc::SIGUSR1);
            }
            thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(WRONG.load(Ordering::Relaxed), 0);
        assert!(CALLS.load(Ordering::Relaxed) > 0, "the child has handled none");
        go.send(()).unwrap();
        _ = handle.join();
    });
}

/// musl: see tests/safe/limits.rs.
#[test]
#[cfg(not(target_env = "musl"))]
fn s10_set_id_by_another_thread_does_not_wait() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        passes("signals::s10_set_id_by_another_thread_does_not_wait", &format!("{way:?}"), || {
            let (inside, is_inside) = channel::<()>();
            let (go, wait) = channel::<()>();
            let other = thread::spawn(move || {
                is_inside.recv().unwrap();
                for _ in 0..200 {
                    // SAFETY: the call takes no pointers.
                    assert_eq!(unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) }, 0);
                }
                // libc's handler has run on the waiting thread's part of the stack, and not on the child's part.
                go.send(()).unwrap();
            });
            let value = way.run(move || {
                inside.send(()).unwrap();
                _ = wait.recv();
                5
            });
            assert_eq!(value, Ok(5));
            other.join().unwrap();
        });
    }
}

/// set*id holds glibc's lock of the threads while it waits for each of them.
#[test]
#[cfg(not(target_env = "musl"))]
fn s10_a_thread_can_be_made_inside_beside_set_id() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        passes("signals::s10_a_thread_can_be_made_inside_beside_set_id", &format!("{way:?}"), || {
            static OVER: AtomicBool = AtomicBool::new(false);
            let other = thread::spawn(|| {
                while !OVER.load(Ordering::SeqCst) {
                    // SAFETY: the call takes no pointers.
                    assert_eq!(unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) }, 0);
                }
            });
            for _ in rounds() {
                way.run(|| thread::spawn(|| ()).join().unwrap()).unwrap();
            }
            OVER.store(true, Ordering::SeqCst);
            other.join().unwrap();
        });
    }
}

/// Only the child uses the TLS of the waiting thread: no handler runs there meanwhile.
#[test]
fn s10_errno_is_the_childs_beside_set_id() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        passes("signals::s10_errno_is_the_childs_beside_set_id", &format!("{way:?}"), || {
            static OVER: AtomicBool = AtomicBool::new(false);
            let other = thread::spawn(|| {
                while !OVER.load(Ordering::SeqCst) {
                    // SAFETY: the call takes no pointers.
                    unsafe { libc::setuid(libc::getuid()) };
                }
            });
            for _ in rounds().take(20) {
                let wrong = way.run(|| {
                    (0..5000).find_map(|_| {
                        // SAFETY: the path is a C string. This file never exists.
                        unsafe { libc::access(c"/nonexistent".as_ptr(), libc::F_OK) };
                        let errno = std::io::Error::last_os_error().raw_os_error();
                        (errno != Some(libc::ENOENT)).then_some(errno)
                    })
                });
                assert_eq!(wrong, Ok(None));
            }
            OVER.store(true, Ordering::SeqCst);
            other.join().unwrap();
        });
    }
}

/// Writes to stdout and bypasses libtest's capture.
fn say(text: &str) {
    // SAFETY: the length is that of the buffer.
    unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
}

/// A terminal. A shell in its session waits for one job.
struct Terminal {
    file: File,
    shell: i32,
    seen: String,
}

impl Terminal {
    /// Starts a terminal with `work` as the job, in a process of its own. The shell says how the job stops and ends,
    /// and continues it.
    fn with_job(work: impl FnOnce()) -> Self {
        let mut terminal = 0;
        let null = std::ptr::null_mut::<libc::c_char>;
        // SAFETY: the child of forkpty has one thread and only does what a shell's job does.
        let shell =
            unsafe { libc::forkpty(&mut terminal, null(), std::ptr::null_mut(), std::ptr::null_mut()) };
        if shell == 0 {
            // SAFETY: the job has a group of its own, in the foreground of the new terminal. This process is the
            // terminal's shell.
            unsafe {
                let job = libc::fork();
                if job == 0 {
                    libc::setpgid(0, 0);
                    libc::signal(libc::SIGTTOU, libc::SIG_IGN);
                    libc::tcsetpgrp(0, libc::getpgrp());
                    work();
                    libc::_exit(42);
                }
                let mut status = 0;
                while libc::waitpid(job, &mut status, libc::WUNTRACED) == job && libc::WIFSTOPPED(status) {
                    say("stopped");
                    libc::kill(-job, libc::SIGCONT);
                }
                let exit = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 42;
                say(if exit { "exit 42" } else { "died" });
                libc::_exit(0);
            }
        }
        assert!(shell > 0, "forkpty");
        // SAFETY: the file descriptor is new, and nobody else has it.
        Self { file: unsafe { File::from_raw_fd(terminal) }, shell, seen: String::new() }
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + limit();
        while !self.seen.contains(text) {
            let mut poll = libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: `poll` is one pollfd.
            unsafe { libc::poll(&mut poll, 1, 100) };
            if poll.revents & libc::POLLIN != 0 {
                let mut buffer = [0; 256];
                let n = self.file.read(&mut buffer).unwrap_or(0);
                self.seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
            if Instant::now() > deadline {
                // SAFETY: the group is that of the shell and its job.
                unsafe { libc::kill(-self.shell, libc::SIGKILL) };
                panic!("{text:?} is not in {:?}", self.seen);
            }
        }
    }

    fn types(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).unwrap();
    }

    /// The shell has gone.
    fn ends(self) {
        crate::common::wait(self.shell as isize);
    }
}

fn read_line() {
    _ = std::io::stdin().read_line(&mut String::new());
}

/// Ctrl-Z on a terminal while a child lives: the shell sees the stop at once, and fg continues the job. Another thread
/// takes the signal.
#[test]
fn s10_a_terminal_can_stop_it() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        let mut terminal = Terminal::with_job(|| {
            let other = thread::spawn(thread::park);
            _ = way.run(|| {
                say("ready");
                read_line();
            });
            other.thread().unpark();
        });
        terminal.wait_for("ready");
        terminal.types("\x1a");
        terminal.wait_for("stopped");
        terminal.types("\n");
        terminal.wait_for("exit 42");
        terminal.ends();
    }
}

/// This is a known limit. In a `call` of a program of one thread, Ctrl-Z stops the closure. The job does not stop,
/// because its thread sleeps in the kernel. So the shell sees no stop until somebody else sends SIGCONT.
#[test]
fn a_terminals_shell_is_not_told_that_a_call_stops() {
    if !shares_memory() {
        return;
    }
    let child = Shared::new(AtomicI32::new(0));
    let job = Shared::new(AtomicI32::new(0));
    let mut terminal = Terminal::with_job(|| {
        job.store(std::process::id() as i32, Ordering::SeqCst);
        _ = call(|| {
            child.store(std::process::id() as i32, Ordering::SeqCst);
            say("ready");
            read_line();
        });
    });
    terminal.wait_for("ready");
    let (child, job) = (child.load(Ordering::SeqCst), job.load(Ordering::SeqCst));
    let status = |pid: i32, field: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(field));
        value.unwrap().trim().to_owned()
    };
    terminal.types("\x1a");
    until("the closure's stop", || status(child, "State:").starts_with('T'));
    let stop = 1_u128 << (libc::SIGTSTP - 1);
    until("the job's signal", || u128::from_str_radix(&status(job, "ShdPnd:"), 16) == Ok(stop));
    assert_eq!(status(job, "State:"), "D (disk sleep)");
    // SAFETY: the process group is that of the job.
    unsafe { libc::kill(-job, libc::SIGCONT) };
    terminal.types("\n");
    terminal.wait_for("exit 42");
    assert!(!terminal.seen.contains("stopped"), "{:?}", terminal.seen);
    terminal.ends();
}
