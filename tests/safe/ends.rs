//! Tests of S1 and S6. S1: a child that neither returns nor panics ends the program. S6: when the program ends, its
//! child ends, too.

use crate::common::{SYS_WAIT4, seccomp};
use crate::program::{End, Way, passes, program, rounds, runs, shares_memory, spawn_for_ever, until};
use crate::signals::block;
use clone_trampoline::{Builder, call, spawn};
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// The program's message when its child has called abort(3). musl's abort signals the parent's thread, so the program
/// dies of the same signal and prints nothing.
const KILLED_BY_ABORT: &str = if cfg!(target_env = "musl") { "" } else { "was killed by signal 6" };

/// Tests one way to end a child, in `call` and in `spawn`. The closure is `f`.
fn ends(test: &str, f: fn(), check: impl Fn(End)) {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        let end = program(test, &format!("{way:?}"), || {
            let result = way.run(f);
            eprintln!("the program goes on: {result:?}");
            exit(77)
        });
        if let Some(end) = end {
            check(end);
        }
    }
}

#[test]
fn s1_exit_has_its_status_and_runs_handlers_once() {
    extern "C" fn handler() {
        eprintln!("handler");
    }
    ends(
        "ends::s1_exit_has_its_status_and_runs_handlers_once",
        || {
            // SAFETY: the handler only prints.
            unsafe { libc::atexit(handler) };
            exit(9)
        },
        |end| {
            end.is_exit(9);
            assert_eq!(end.stderr.matches("handler").count(), 1, "{end:?}");
        },
    );
}

#[test]
fn s1_exit_0_is_an_end_too() {
    ends("ends::s1_exit_0_is_an_end_too", || exit(0), |end| end.is_exit(0));
}

#[test]
fn s1_exit_in_a_thread_of_the_child() {
    ends(
        "ends::s1_exit_in_a_thread_of_the_child",
        || thread::spawn(|| exit(11)).join().unwrap(),
        |end| end.is_exit(11),
    );
}

#[test]
fn s1_abort() {
    ends("ends::s1_abort", || std::process::abort(), |end| end.is_abort(KILLED_BY_ABORT));
}

#[test]
fn s1_killed() {
    ends(
        "ends::s1_killed",
        || {
            // SAFETY: the pid is the child's own.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        },
        |end| end.is_abort("was killed by signal 9"),
    );
}

#[test]
fn s1_exec() {
    ends(
        "ends::s1_exec",
        || panic!("{}", Command::new("/proc/self/exe").arg("--list").exec()),
        |end| end.is_abort("executed another program"),
    );
}

#[test]
fn s1_exec_of_a_program_that_lives_takes_it_along() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        let end =
            program("ends::s1_exec_of_a_program_that_lives_takes_it_along", &format!("{way:?}"), || {
                let result = way.run(|| {
                    eprintln!("pid {} pid", std::process::id());
                    let mut command = Command::new("/proc/self/exe");
                    command.args(["ends::sleeps_for_a_minute", "--exact", "--ignored"]);
                    panic!("{}", command.exec());
                });
                eprintln!("the program goes on: {result:?}");
            });
        let Some(end) = end else { continue };
        end.is_abort("executed another program");
        let pid = end.stderr.split(' ').nth(1).unwrap().parse().unwrap();
        until("the new program's end", || !runs(pid));
    }
}

#[test]
#[ignore = "run by s1_exec_of_a_program_that_lives_takes_it_along"]
fn sleeps_for_a_minute() {
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn s1_stack_overflow() {
    fn deeper(n: u64) -> u64 {
        // Not every architecture's compiler touches each page of a large frame, which could then skip the guard page.
        let part = black_box([n; 64]);
        if n == 0 { 0 } else { part[1] + deeper(black_box(n - 1)) }
    }
    fn overflow() {
        black_box(deeper(1 << 40));
    }
    let test = "ends::s1_stack_overflow";
    let says = |end: &End| end.stderr.contains("has overflowed its stack");
    // In an unoptimised std, the report does not fit on the signal stack of every architecture.
    let Some(thread) = program(test, "thread", || thread::spawn(overflow).join().unwrap()) else {
        return ends(test, overflow, |_| ());
    };
    // On these architectures a few bytes decide, so a thread's report says nothing about that of a child.
    let by_a_hair = cfg!(any(target_arch = "arm", target_arch = "mips64"));
    ends(test, overflow, |end| {
        end.is_abort(if says(&end) { KILLED_BY_ABORT } else { "was killed by signal" });
        if !by_a_hair {
            assert_eq!(says(&end), says(&thread), "{end:?}, {thread:?}");
        }
    });
}

/// Leaves a thread behind that does `f` after the closure has returned.
fn straggler(f: fn()) {
    let (closure, over) = channel::<()>();
    thread::spawn(move || {
        _ = over.recv();
        // Meanwhile the value is stored. The end is the same without it.
        thread::sleep(Duration::from_millis(20));
        f();
    });
    drop(closure);
}

#[test]
fn s1_straggler_exits_0() {
    ends("ends::s1_straggler_exits_0", || straggler(|| exit(0)), |end| end.is_exit(0));
}

#[test]
fn s1_straggler_exits_7() {
    ends("ends::s1_straggler_exits_7", || straggler(|| exit(7)), |end| end.is_exit(7));
}

#[test]
fn s1_straggler_aborts() {
    ends(
        "ends::s1_straggler_aborts",
        || straggler(|| std::process::abort()),
        |end| end.is_abort(KILLED_BY_ABORT),
    );
}

/// daemon(3) ends the process in the same way.
#[test]
fn s1_straggler_ends_the_process_with_0() {
    // SAFETY: the call only ends the child.
    ends(
        "ends::s1_straggler_ends_the_process_with_0",
        || straggler(|| unsafe { libc::_exit(0) }),
        |end| {
            end.is_exit(0);
        },
    );
}

#[test]
fn s1_straggler_exits_in_a_call() {
    ends(
        "ends::s1_straggler_exits_in_a_call",
        || straggler(|| call(|| exit(0)).unwrap()),
        |end| end.is_exit(0),
    );
}

#[test]
fn s1_straggler_executes_another_program() {
    ends(
        "ends::s1_straggler_executes_another_program",
        || straggler(|| panic!("{}", Command::new("/proc/self/exe").arg("--list").exec())),
        |end| end.is_abort("executed another program"),
    );
}

/// The kernel does not answer, and the closure has changed its root to a place without /proc.
#[test]
fn s1_straggler_where_nobody_can_be_asked() {
    if !crate::common::privileged() {
        return crate::common::skip("chroot(2) takes privileges");
    }
    for case in [libc::EPERM, libc::EINVAL] {
        let test = "ends::s1_straggler_where_nobody_can_be_asked";
        if !shares_memory() {
            return;
        }
        for way in Way::BOTH {
            let end = program(test, &format!("{case} {way:?}"), || {
                let apart = Builder::new().share_fs(false);
                crate::seccomp::filter(
                    &[libc::SYS_unshare],
                    crate::seccomp::errno(case),
                    crate::seccomp::ALLOW,
                );
                let result = way.run_with(&apart, || {
                    std::os::unix::fs::chroot("/dev/shm").unwrap();
                    // SAFETY: the call only ends the child.
                    straggler(|| unsafe { libc::_exit(0) });
                });
                eprintln!("the program goes on: {result:?}");
                exit(77)
            });
            if let Some(end) = end {
                end.is_exit(0);
            }
        }
    }
}

/// The closure installs a filter that may return any errno.
#[test]
fn s1_a_filter_inside_does_not_hide_that_the_child_is_alone() {
    if !shares_memory() {
        return;
    }
    for case in [libc::EPERM, libc::EINVAL] {
        passes("ends::s1_a_filter_inside_does_not_hide_that_the_child_is_alone", &format!("{case}"), || {
            for way in Way::BOTH {
                let inside = move || {
                    crate::seccomp::filter(
                        &[libc::SYS_unshare],
                        crate::seccomp::errno(case),
                        crate::seccomp::ALLOW,
                    )
                };
                assert_eq!(way.run(inside), Ok(()));
            }
        });
    }
}

/// A tracee stops when it executes a program. This is not an end by a signal.
#[test]
fn s1_exec_of_a_tracee() {
    ends(
        "ends::s1_exec_of_a_tracee",
        || {
            // SAFETY: the call takes no pointers.
            unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
            panic!("{}", Command::new("/proc/self/exe").arg("--list").exec())
        },
        |end| end.is_abort("executed another program"),
    );
}

/// Another thread that waits for any child, with `__WALL`, may take the status. Then nobody knows how the child ended.
#[test]
fn s1_straggler_whose_status_is_stolen() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        for _ in rounds().take(20) {
            let end = program("ends::s1_straggler_whose_status_is_stolen", &format!("{way:?}"), || {
                thread::spawn(|| {
                    loop {
                        // SAFETY: the call stores no status.
                        unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::__WALL) };
                    }
                });
                // SAFETY: the call only ends the child.
                let result = way.run(|| straggler(|| unsafe { libc::_exit(0) }));
                eprintln!("the program goes on: {result:?}");
                exit(77)
            });
            let Some(end) = end else { break };
            // The program ends like exit(0), or by SIGABRT if nobody knows how the child ended.
            if end.status.code() != Some(0) {
                end.is_abort("somebody else waited for it");
            }
        }
    }
}

#[test]
fn s1_killed_while_a_thread_holds_stderr() {
    ends(
        "ends::s1_killed_while_a_thread_holds_stderr",
        || {
            let (held, wait) = channel();
            thread::spawn(move || {
                let _stderr = std::io::stderr().lock();
                held.send(()).unwrap();
                thread::sleep(Duration::from_secs(100));
            });
            wait.recv().unwrap();
            // SAFETY: the pid is the child's own.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        },
        |end| end.is_abort("was killed by signal 9"),
    );
}

/// wait(2) gives this errno when somebody else has waited for the child. Here a filter gives it, because a thread that
/// waits for any child would not always be the first.
#[test]
fn s1_status_taken_by_somebody_else() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        let end = program("ends::s1_status_taken_by_somebody_else", &format!("{way:?}"), || {
            seccomp(SYS_WAIT4 as u32, libc::SECCOMP_RET_ERRNO | libc::ECHILD as u32);
            // SAFETY: the call only ends the child.
            let result = way.run(|| unsafe { libc::_exit(0) });
            eprintln!("the program goes on: {result:?}");
            exit(77)
        });
        if let Some(end) = end {
            end.is_abort("somebody else waited for it");
        }
    }
}

/// The program dies of SIGABRT although it ignores and blocks this signal.
#[test]
fn s1_sigabrt_is_not_held_off() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        let end = program("ends::s1_sigabrt_is_not_held_off", &format!("{way:?}"), || {
            // SAFETY: this sets no handler.
            unsafe { libc::signal(libc::SIGABRT, libc::SIG_IGN) };
            block(libc::SIGABRT);
            // SAFETY: the pid is the child's own.
            let result = way.run(|| unsafe { libc::kill(libc::getpid(), libc::SIGKILL) });
            eprintln!("the program goes on: {result:?}");
            exit(77)
        });
        if let Some(end) = end {
            end.is_abort("was killed by signal 9");
        }
    }
}

/// The program prints the pid of its child and ends by `end`. The child has to end, too.
fn takes_the_child_along(test: &str, case: &str, start: fn(), check: impl Fn(&End)) {
    let Some(end) = program(test, case, start) else { return };
    check(&end);
    let pid = end.stderr.split("child ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    let pid = pid.unwrap_or_else(|| panic!("no pid in {end:?}"));
    until("the child's end", || !runs(pid));
}

fn kill_the_program() {
    // SAFETY: the pid is the program's own.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

#[test]
fn s6_program_killed() {
    if !shares_memory() {
        return;
    }
    let test = "ends::s6_program_killed";
    let killed = |end: &End| assert!(end.status.code().is_none(), "{end:?}");
    takes_the_child_along(
        test,
        "spawn",
        || {
            eprintln!("child {} child", spawn_for_ever());
            kill_the_program();
        },
        killed,
    );
    takes_the_child_along(
        test,
        "call",
        || {
            let (started, wait) = channel();
            thread::spawn(move || {
                call(move || {
                    eprintln!("child {} child", std::process::id());
                    started.send(()).unwrap();
                    thread::sleep(Duration::from_secs(100));
                })
            });
            wait.recv().unwrap();
            kill_the_program();
        },
        killed,
    );
}

#[test]
fn s6_main_returns() {
    if shares_memory() {
        takes_the_child_along(
            "ends::s6_main_returns",
            "spawn",
            || {
                eprintln!("child {} child", spawn_for_ever());
            },
            |end| end.is_exit(0),
        );
    }
}

#[test]
fn s6_another_thread_executes_a_program() {
    if !shares_memory() {
        return;
    }
    let test = "ends::s6_another_thread_executes_a_program";
    let listed = |end: &End| end.is_exit(0);
    takes_the_child_along(
        test,
        "spawn",
        || {
            eprintln!("child {} child", spawn_for_ever());
            panic!("{}", Command::new("/proc/self/exe").arg("--list").exec());
        },
        listed,
    );
    takes_the_child_along(
        test,
        "call",
        || {
            let (started, wait) = channel();
            thread::spawn(move || {
                wait.recv().unwrap();
                panic!("{}", Command::new("/proc/self/exe").arg("--list").exec());
            });
            call(move || {
                eprintln!("child {} child", std::process::id());
                started.send(()).unwrap();
                thread::sleep(Duration::from_secs(100));
            })
            .unwrap();
        },
        listed,
    );
}

/// Without the check after the prctl, a child would live on if its parent is gone before the prctl. The parent is
/// killed at many different moments early in the child's life.
#[test]
fn s6_killed_at_once() {
    if !shares_memory() {
        return;
    }
    // This needs a program of its own, so that no other thread has a lock when it forks.
    passes("ends::s6_killed_at_once", "spawn", || {
        let path = std::env::temp_dir().join(format!("clone-trampoline-{}", std::process::id()));
        for n in rounds() {
            let file = File::create(&path).unwrap();
            // SAFETY: the child of this fork has one thread, and ends by a signal.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                thread::spawn(move || {
                    let until = Instant::now() + Duration::from_micros(u64::from(n));
                    while Instant::now() < until {}
                    kill_the_program();
                });
                _ = spawn(move || {
                    _ = (&file).write_all(&std::process::id().to_ne_bytes());
                    thread::sleep(Duration::from_secs(100));
                });
                loop {
                    thread::sleep(Duration::from_secs(1));
                }
            }
            crate::common::wait(pid as isize);
            if let Ok(bytes) = <[u8; 4]>::try_from(std::fs::read(&path).unwrap()) {
                let child = i32::from_ne_bytes(bytes);
                until("the child's end", || !runs(child));
            }
        }
        _ = std::fs::remove_file(path);
    });
}
