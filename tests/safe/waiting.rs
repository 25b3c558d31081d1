//! Tests of a child's handle: waiting and signals, while others wait and signal at the same time.

use crate::command::{inside, refused, this_program};
use crate::common;
use crate::maps::SETRESUID;
use crate::program::{passes, rounds};
use crate::seccomp::{ALLOW, errno, filter};
use clone_trampoline::{Command, Stage, Stdio};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

extern "C" fn nothing(_: i32) {}

/// Interrupts the calling thread all the time while `body` runs.
fn interrupted(body: impl FnOnce()) {
    // SAFETY: the handler does nothing (without SA_RESTART, so it interrupts system calls). The calling thread outlives
    // the other one.
    let thread = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as libc::sighandler_t;
        common::ok(libc::sigaction(libc::SIGUSR1, &action, ptr::null_mut()));
        libc::pthread_self() as usize
    };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // SAFETY: the thread still exists.
                unsafe { libc::pthread_kill(thread as libc::pthread_t, libc::SIGUSR1) };
                std::hint::spin_loop();
            }
        });
        body();
        over.store(true, Ordering::Relaxed);
    });
}

/// A failed start leaves no zombie, and a child that was killed before its program leaves no status.
#[test]
fn a_handler_that_interrupts_a_start_leaves_nothing() {
    let test = "waiting::a_handler_that_interrupts_a_start_leaves_nothing";
    // SAFETY: the call stores no status.
    let none_is_left = || unsafe { libc::waitpid(-1, ptr::null_mut(), libc::__WALL | libc::WNOHANG) } == -1;
    passes(test, "error", || {
        interrupted(|| {
            for _ in rounds().take(100).flat_map(|_| 0..20) {
                Command::new("/nowhere").spawn().unwrap_err();
            }
        });
        assert!(none_is_left());
    });
    passes(test, "status", || {
        filter(&[libc::SYS_execve], libc::SECCOMP_RET_KILL_PROCESS, ALLOW);
        interrupted(|| {
            for _ in rounds().take(100).flat_map(|_| 0..10) {
                let mut child = Command::new("/nowhere").without_pidfd().spawn().unwrap();
                assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGSYS));
            }
        });
        assert!(none_is_left());
    });
}

/// Returns how to make a program that waits for its stdin.
fn waits() -> impl Fn(&str) -> Command {
    inside(|| {
        _ = io::stdin().read_to_end(&mut Vec::new());
        42
    });
    |test| {
        let mut command = this_program(test);
        command.stdin(Stdio::piped());
        command
    }
}

#[test]
fn a_filter_that_refuses_waitid_is_an_error() {
    let new = waits();
    let test = "waiting::a_filter_that_refuses_waitid_is_an_error";
    passes(test, "filter", || {
        let mut child = new(test).spawn().unwrap();
        filter(&[libc::SYS_waitid], errno(libc::EPERM), ALLOW);
        assert_eq!(child.try_wait().unwrap_err().raw_os_error(), Some(libc::EPERM));
        child.kill().unwrap();
    });
}

/// If a filter does not know pidfd_send_signal(2), kill(2) is used.
#[test]
fn a_filter_that_refuses_pidfd_send_signal_is_none() {
    let new = waits();
    let test = "waiting::a_filter_that_refuses_pidfd_send_signal_is_none";
    passes(test, "filter", || {
        filter(&[libc::SYS_pidfd_send_signal], errno(libc::EPERM), ALLOW);
        let mut child = new(test).spawn().unwrap();
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    });
}

/// The kernel reports an end to the tracer first, and to the parent only after the tracer has waited.
#[test]
fn a_tracer_that_waits_late_is_no_end_of_the_limit() {
    let new = waits();
    let test = "waiting::a_tracer_that_waits_late_is_no_end_of_the_limit";
    passes(test, "program", || {
        let mut child = new(test).spawn().unwrap();
        let pid = child.id() as i32;
        let (told, mut tells) = crate::command::pipe();
        let tracer = move || {
            // SAFETY: the calls take no pointers. The tracer waits for the program and then ends.
            unsafe {
                if libc::ptrace(libc::PTRACE_SEIZE as _, pid, 0, 0) != 0 {
                    return 78;
                }
                _ = io::Write::write_all(&mut tells, b"!");
                libc::kill(pid, libc::SIGKILL);
                std::thread::sleep(Duration::from_millis(300));
                i32::from(libc::waitpid(pid, ptr::null_mut(), libc::__WALL) != pid)
            }
        };
        let tracing = std::thread::spawn(move || common::in_process(tracer).code());
        _ = std::fs::File::from(told).read_exact(&mut [0]);
        let begin = Instant::now();
        let status = child.wait_timeout(common::limit()).unwrap();
        if tracing.join().unwrap() == Some(78) {
            child.kill().unwrap();
            return;
        }
        assert_eq!(status.unwrap().signal(), Some(libc::SIGKILL), "after {:?}", begin.elapsed());
    });
}

/// A debugger takes a child without VFORK for a thread.
#[test]
fn a_tracer_sees_the_child_of_vfork() {
    inside(|| 42);
    let test = "waiting::a_tracer_sees_the_child_of_vfork";
    passes(test, "program", || {
        // SAFETY: the child has one thread, and its parent traces it.
        let traced = unsafe { libc::fork() };
        if traced == 0 {
            // SAFETY: the call takes no pointers.
            unsafe {
                libc::ptrace(libc::PTRACE_TRACEME as _, 0, 0, 0);
                libc::raise(libc::SIGSTOP);
                let code = this_program(test).status().ok().and_then(|status| status.code());
                libc::_exit(code.unwrap_or(1));
            }
        }
        let mut seen = Vec::new();
        // SAFETY: `status` has room for each status, and the process is a child that stops.
        unsafe {
            let mut status = 0;
            assert_eq!(libc::waitpid(traced, &mut status, 0), traced);
            let options = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK;
            assert_eq!(libc::ptrace(libc::PTRACE_SETOPTIONS as _, traced, 0, options as libc::c_long), 0);
            assert_eq!(libc::ptrace(libc::PTRACE_CONT as _, traced, 0, 0), 0);
            loop {
                let pid = libc::waitpid(-1, &mut status, libc::__WALL);
                if pid != traced {
                    // The new child stops at its birth, and is detached.
                    if libc::WIFSTOPPED(status) {
                        libc::ptrace(libc::PTRACE_DETACH as _, pid, 0, 0);
                    }
                    continue;
                }
                if libc::WIFEXITED(status) {
                    assert_eq!(libc::WEXITSTATUS(status), 42);
                    break;
                }
                let signal = match status >> 16 {
                    0 if libc::WSTOPSIG(status) != libc::SIGTRAP => libc::WSTOPSIG(status),
                    event => {
                        seen.push(event);
                        0
                    }
                };
                libc::ptrace(libc::PTRACE_CONT as _, traced, 0, libc::c_long::from(signal));
            }
        }
        assert_eq!(seen, [libc::PTRACE_EVENT_VFORK]);
    });
}

/// If a program's stdout is closed, it is no descriptor to give, and no other descriptor takes its number.
#[test]
fn a_closed_stdout_is_no_descriptor() {
    let test = "waiting::a_closed_stdout_is_no_descriptor";
    passes(test, "program", || {
        // SAFETY: nobody here writes to it.
        common::ok(unsafe { libc::close(1) });
        let mut command = Command::new("/nowhere");
        command.stdin(io::stdout()).stderr(Stdio::piped()).stdout(Stdio::null());
        refused(&mut command, Stage::Stdio, libc::EBADF);
        // SAFETY: the call takes no pointers.
        assert_eq!(unsafe { libc::fcntl(1, libc::F_GETFD) }, -1);
    });
}

/// Another thread of the program may use the descriptor, because a child of `call` has the program's memory and
/// descriptors.
#[test]
fn exec_inside_a_call_takes_no_descriptor_of_the_program() {
    if !crate::program::shares_memory() {
        return;
    }
    let test = "waiting::exec_inside_a_call_takes_no_descriptor_of_the_program";
    passes(test, "program", || {
        let ours = std::fs::File::open("/dev/null").unwrap();
        let number = ours.as_raw_fd();
        let error = clone_trampoline::call(|| {
            let mut command = Command::new("/nowhere");
            command.fd(number, std::fs::File::open("/dev/zero").unwrap()).exec()
        });
        let error = error.unwrap();
        let error = clone_trampoline::Error::of(&error).unwrap();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Fd, libc::EBUSY), "{error}");
    });
}

/// The program itself decides about the flag that keeps others from tracing it.
#[test]
fn a_start_leaves_the_dumpable_flag_to_the_program() {
    let test = "waiting::a_start_leaves_the_dumpable_flag_to_the_program";
    // SAFETY: the call takes no pointers.
    let get = || unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
    // SAFETY: the call takes no pointers.
    let set = |flag: i32| common::ok(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, flag) });
    passes(test, "closure", || {
        set(1);
        let mut command = Command::new("/nowhere");
        // SAFETY: the closure takes no lock. It changes the program's memory, so it stands for another thread.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_DUMPABLE, 0);
                Ok(())
            });
        }
        command.spawn().unwrap_err();
        assert_eq!(get(), 0);
        if !common::privileged() {
            return;
        }
        // A change of ids counts even if it is undone.
        set(1);
        let mut command = Command::new("/nowhere");
        // SAFETY: the closure only makes system calls.
        unsafe {
            command.parent_death_signal(libc::SIGKILL).pre_exec(|| {
                libc::syscall(SETRESUID, -1, 65_533, -1);
                libc::syscall(SETRESUID, -1, 0, -1);
                Ok(())
            });
        }
        command.spawn().unwrap_err();
        assert_eq!(get(), 1);
    });
}

/// The memory of a program that has given up its privileges may hold what its new user must not see.
#[test]
fn a_program_that_gives_up_its_ids_beside_starts_stays_undumpable() {
    if !common::can_give_up_root() {
        return common::skip("takes CAP_SETUID");
    }
    let test = "waiting::a_program_that_gives_up_its_ids_beside_starts_stays_undumpable";
    passes(test, "program", || {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut command = Command::new("/nowhere");
                    command.uid(0).spawn().unwrap_err();
                }
            });
            for round in rounds().take(60).flat_map(|round| [round; 10]) {
                // SAFETY: the call takes no pointers.
                unsafe {
                    common::ok(libc::seteuid(65_534));
                    std::thread::sleep(Duration::from_micros(50));
                    assert_eq!(libc::prctl(libc::PR_GET_DUMPABLE), 0, "{round}");
                    common::ok(libc::seteuid(0));
                    common::ok(libc::prctl(libc::PR_SET_DUMPABLE, 1));
                }
            }
            over.store(true, Ordering::Relaxed);
        });
    });
}
