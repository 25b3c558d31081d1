//! Tests of S2 to S5, S7 and S8.

use crate::common::{self, skip};
use crate::program::{Way, if_allowed, passes, program, rounds, shares_memory};
use clone_trampoline::{Builder, CloneFlags, SafeFlags, Stage, call, spawn};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn s2_a_descriptor_made_inside_is_the_same_outside() {
    if !shares_memory() {
        return;
    }
    // This needs a program of its own, in which no other test takes the number again.
    passes("rules::s2_a_descriptor_made_inside_is_the_same_outside", "both", || {
        for way in Way::BOTH {
            let mut zero = way.run(|| File::open("/dev/zero").unwrap()).unwrap();
            let mut byte = [1];
            zero.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [0], "{way:?}");
            // A descriptor that the closure closes is closed outside as well.
            let fd = zero.as_raw_fd();
            way.run(move || drop(zero)).unwrap();
            // SAFETY: the call takes only a number.
            assert_eq!(unsafe { libc::fcntl(fd, libc::F_GETFD) }, -1, "{way:?}");
        }
    });
}

#[test]
fn s3_newpid_is_refused_by_name() {
    for way in Way::BOTH {
        let error = way.run_with(&Builder::new().flags(SafeFlags::NEWPID), || ()).unwrap_err();
        assert_eq!(error.stage(), Stage::Flags);
        assert!(error.hint().unwrap().starts_with("NEWPID"), "{error}");
    }
}

/// Runs `first` in a program of its own, then unshare(CLONE_NEWPID) (as root or in a user namespace), and then `body`.
/// `body` returns 42 on success.
fn after_unshare(test: &str, case: &str, first: fn(), body: fn() -> i32) {
    if !shares_memory() {
        return;
    }
    let end = program(test, case, || {
        first();
        // Only a process of one thread can make a new user namespace.
        let status = common::in_process(|| {
            // SAFETY: the call takes no pointers.
            let done = unsafe {
                libc::unshare(libc::CLONE_NEWPID) == 0
                    || libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWPID) == 0
            };
            if done { body() } else { 75 }
        });
        std::process::exit(status.code().unwrap_or(1))
    });
    match end {
        Some(end) if end.status.code() == Some(75) => skip("no pid namespace may be made here"),
        Some(end) if end.status.code() == Some(76) => skip("the tids cannot be made equal here"),
        Some(end) => end.is_exit(42),
        None => {}
    }
}

#[test]
fn s3_a_pending_pid_namespace_is_refused() {
    let test = "rules::s3_a_pending_pid_namespace_is_refused";
    after_unshare(
        test,
        "call",
        || (),
        || {
            // No process has been the first of the namespace yet, so each try is refused.
            for _ in 0..2 {
                let error = call(|| unreachable!()).unwrap_err();
                assert_eq!(error.stage(), Stage::PidNamespace, "{error}");
            }
            42
        },
    );
    after_unshare(
        test,
        "spawn",
        || (),
        || {
            let error = spawn(|| unreachable!()).unwrap_err();
            // musl returns one errno for all causes.
            let errno = if cfg!(target_env = "musl") { libc::EAGAIN } else { libc::EINVAL };
            assert_eq!((error.stage(), error.raw_os_error()), (Stage::Thread, errno), "{error}");
            assert!(error.hint().unwrap().contains("unshare"), "{error}");
            42
        },
    );
    after_unshare(
        test,
        "opt-in",
        || (),
        || {
            // SAFETY: the closure creates no thread.
            let builder = unsafe { Builder::new().allow_pid_namespace() };
            assert_eq!(builder.call(std::process::id), Ok(1));
            42
        },
    );
}

/// If SIGCHLD were ignored for a moment, the kernel would take the status of a child that ends in that moment.
#[test]
fn s3_a_refusal_takes_nobodys_status() {
    if !shares_memory() {
        return;
    }
    if !common::privileged() {
        return skip("a thread alone cannot enter a user namespace");
    }
    passes("rules::s3_a_refusal_takes_nobodys_status", "call", || {
        static OVER: AtomicBool = AtomicBool::new(false);
        let refused = thread::spawn(|| {
            // SAFETY: the call takes no pointers.
            common::ok(unsafe { libc::unshare(libc::CLONE_NEWPID) });
            while !OVER.load(Ordering::SeqCst) {
                assert_eq!(call(|| ()).unwrap_err().stage(), Stage::PidNamespace);
            }
        });
        for _ in rounds() {
            let status = common::in_process(|| 42);
            assert_eq!(status.code(), Some(42));
        }
        OVER.store(true, Ordering::SeqCst);
        refused.join().unwrap();
    });
}

/// When the init of a pid namespace ends, the kernel sets SIGCHLD to ignored in its table of handlers. This must not be
/// the caller's table.
#[test]
fn s3_sigchld_stays_as_it_was() {
    extern "C" fn handler(_: i32) {}
    fn kept(f: impl FnOnce()) -> i32 {
        let handler = handler as *const () as libc::sighandler_t;
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGCHLD, handler) };
        f();
        // SAFETY: as above.
        if unsafe { libc::signal(libc::SIGCHLD, handler) } == handler { 42 } else { 1 }
    }
    let test = "rules::s3_sigchld_stays_as_it_was";
    after_unshare(
        test,
        "refused",
        || call(|| ()).unwrap(),
        || kept(|| assert_eq!(call(|| ()).unwrap_err().stage(), Stage::PidNamespace)),
    );
    after_unshare(
        test,
        "opt-in",
        || (),
        || {
            kept(|| {
                // SAFETY: the closures create no thread.
                let builder = unsafe { Builder::new().allow_pid_namespace() };
                assert_eq!(builder.call(std::process::id), Ok(1));
                let error = builder.share_sighand(true).call(|| ()).unwrap_err();
                assert_eq!(error.stage(), Stage::Flags);
            })
        },
    );
}

/// A child may happen to have the same tid in both namespaces. So the check does not compare tids.
#[test]
fn s3_a_pending_pid_namespace_is_refused_whatever_the_tids() {
    unsafe extern "C" fn ends_at_once(_: *mut std::ffi::c_void) -> i32 {
        0
    }
    let test = "rules::s3_a_pending_pid_namespace_is_refused_whatever_the_tids";
    let trial = || call(|| ()).unwrap();
    after_unshare(test, "call", trial, || {
        let counter = "/proc/sys/kernel/ns_last_pid";
        let (mut told, mut teller) = std::os::unix::net::UnixStream::pair().unwrap();
        // SAFETY: the calls take no pointers. The child of the fork is the init of the namespace, and is killed with
        // the program.
        unsafe {
            if libc::fork() == 0 {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                let mut pid = [0; 4];
                while told.read_exact(&mut pid).is_ok() {
                    // A write sets the counter of the writer's own namespace.
                    _ = std::fs::write(counter, i32::from_ne_bytes(pid).to_string());
                    told.write_all(b"!").unwrap();
                }
                libc::_exit(0);
            }
        }
        // Makes both namespaces continue from the same pid, unless another process comes in between.
        let mut in_step = || {
            let last: i32 = std::fs::read_to_string(counter).unwrap().trim().parse().unwrap();
            teller.write_all(&last.to_ne_bytes()).unwrap();
            teller.read_exact(&mut [0]).unwrap();
        };
        let mut coincidences = 0;
        for _ in 0..100 {
            in_step();
            let (mut outside, mut inside) = (0, 0);
            let flags =
                CloneFlags::VM | CloneFlags::VFORK | CloneFlags::PARENT_SETTID | CloneFlags::CHILD_SETTID;
            let null = std::ptr::null_mut();
            // SAFETY: the caller sleeps, and the child does nothing.
            let pid = unsafe {
                let flags = flags.bits() as std::ffi::c_ulong;
                clone_trampoline::raw::clone_trampoline(
                    Some(ends_at_once),
                    null,
                    flags,
                    null,
                    &mut outside,
                    null,
                    &mut inside,
                )
            };
            common::wait(pid as isize);
            coincidences += i32::from(outside == inside);
            in_step();
            assert_eq!(call(|| unreachable!()).unwrap_err().stage(), Stage::PidNamespace);
        }
        if coincidences == 0 { 76 } else { 42 }
    });
}

/// Runs `copied_memory` in an emulator.
fn is_noticed_in(emulator: &str) {
    let program = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new(emulator);
    command.arg(program).args(["rules::copied_memory", "--exact", "--ignored", "--nocapture"]);
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert!(stdout.contains("noticed") && !stdout.contains("the closure has run"), "{output:?}");
        }
        Err(_) => skip(&format!("there is no {emulator} here")),
    }
}

/// qemu-user refuses a VM|VFORK child without an exit signal, or turns the call into a fork.
#[test]
fn s4_an_emulator_that_copies_memory_is_noticed() {
    let architecture = if cfg!(target_arch = "x86") { "i386" } else { std::env::consts::ARCH };
    is_noticed_in(&format!("qemu-{architecture}"));
}

/// valgrind turns the call into a fork. On other architectures than x86-64 it does not know most programs.
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn s4_a_copy_in_valgrind_is_noticed() {
    is_noticed_in("valgrind");
}

#[test]
#[ignore = "run by the tests of S4, in an emulator"]
fn copied_memory() {
    for _ in 0..2 {
        let error = call(|| println!("the closure has run")).unwrap_err();
        assert_eq!(error.stage(), Stage::SharedMemory);
    }
    println!("noticed");
}

#[test]
fn s5_a_reaper_does_not_see_the_child() {
    static SIGNALS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(_: i32) {
        SIGNALS.fetch_add(1, Ordering::Relaxed);
    }
    if !shares_memory() {
        return;
    }
    passes("rules::s5_a_reaper_does_not_see_the_child", "reaper", || {
        // SAFETY: the handler only counts.
        unsafe { libc::signal(libc::SIGCHLD, count as *const () as libc::sighandler_t) };
        thread::spawn(|| {
            loop {
                // SAFETY: the call stores no status.
                let pid = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) };
                assert!(pid <= 0, "the reaper has got {pid}");
            }
        });
        for n in rounds() {
            for way in Way::BOTH {
                assert_eq!(way.run(move || n), Ok(n));
            }
        }
        // SAFETY: this sets no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        for way in Way::BOTH {
            assert_eq!(way.run(|| 5), Ok(5));
        }
        assert_eq!(SIGNALS.load(Ordering::Relaxed), 0, "SIGCHLD");
        // Each child has been waited for.
        // SAFETY: the call stores no status.
        let left = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WALL) };
        assert_eq!(left, -1, "a zombie");
    });
}

/// If another thread waits with `__WALL`, it takes the status, but the value still arrives.
#[test]
fn s5_a_stolen_status_loses_no_value() {
    if !shares_memory() {
        return;
    }
    passes("rules::s5_a_stolen_status_loses_no_value", "thief", || {
        thread::spawn(|| {
            loop {
                // SAFETY: the call stores no status.
                unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::__WALL) };
            }
        });
        for n in rounds() {
            for way in Way::BOTH {
                assert_eq!(way.run(move || n), Ok(n));
            }
        }
    });
}

#[test]
fn s7_the_safe_flags_are_these() {
    let safe = [
        "FS",
        "FILES",
        "SIGHAND",
        "SYSVSEM",
        "IO",
        "CLEAR_SIGHAND",
        "NNP",
        "NEWNS",
        "EMPTY_MNTNS",
        "NEWUTS",
        "NEWIPC",
        "NEWNET",
        "NEWUSER",
        "NEWCGROUP",
        "NEWPID",
        "NEWTIME",
    ];
    for bit in 0..64 {
        let flag = CloneFlags::from_bits_retain(1 << bit);
        let named = flag.iter_names().next().is_some_and(|(name, _)| safe.contains(&name));
        assert_eq!(SafeFlags::try_from(flag).is_ok(), named, "{flag:?}");
    }
}

#[test]
fn s7_what_a_namespace_excludes_is_private() {
    if !shares_memory() {
        return;
    }
    let builder = Builder::new().flags(SafeFlags::NEWUSER | SafeFlags::NEWNS | SafeFlags::NEWIPC);
    let directory = std::env::current_dir().unwrap();
    let moved = if_allowed(builder.call(|| std::env::set_current_dir("/proc").is_ok()));
    if moved.is_some() {
        assert_eq!(moved, Some(true));
        assert_eq!(std::env::current_dir().unwrap(), directory);
    }
    // A flag that is asked for by name is not dropped.
    let error = builder.share_fs(true).call(|| ()).unwrap_err();
    assert_eq!((error.stage(), error.raw_os_error()), (Stage::Flags, libc::EINVAL));
}

/// A thread behaves in the same way.
#[test]
fn s7_directory_and_handlers_are_shared() {
    if !shares_memory() {
        return;
    }
    passes("rules::s7_directory_and_handlers_are_shared", "both", || {
        for (way, directory, disposition) in
            [(Way::Call, "/proc", libc::SIG_IGN), (Way::Spawn, "/", libc::SIG_DFL)]
        {
            way.run(move || {
                std::env::set_current_dir(directory).unwrap();
                // SAFETY: this sets no handler.
                unsafe { libc::signal(libc::SIGUSR1, disposition) };
            })
            .unwrap();
            assert_eq!(std::env::current_dir().unwrap().to_str(), Some(directory), "{way:?}");
            // SAFETY: as above.
            assert_eq!(unsafe { libc::signal(libc::SIGUSR1, disposition) }, disposition, "{way:?}");
        }
    });
}

#[test]
fn s7_undo_operations_survive() {
    if !shares_memory() {
        return;
    }
    // SAFETY: the semaphores are our own, and the operations are valid.
    unsafe {
        let id = libc::semget(libc::IPC_PRIVATE, 1, 0o600);
        if id < 0 {
            return skip("there are no System V semaphores here");
        }
        let up = move || {
            let mut operation = libc::sembuf { sem_num: 0, sem_op: 1, sem_flg: libc::SEM_UNDO as _ };
            assert_eq!(libc::semop(id, &mut operation, 1), 0);
        };
        call(up).unwrap();
        let shared = libc::semctl(id, 0, libc::GETVAL);
        Builder::new().share_sysvsem(false).call(up).unwrap();
        let private = libc::semctl(id, 0, libc::GETVAL);
        libc::semctl(id, 0, libc::IPC_RMID);
        assert_eq!((shared, private), (1, 1));
    }
}

#[test]
fn s8_threads_of_the_child_are_waited_for() {
    if !shares_memory() {
        return;
    }
    passes("rules::s8_threads_of_the_child_are_waited_for", "both", || {
        for way in Way::BOTH {
            let done = Arc::new(AtomicBool::new(false));
            let inside = Arc::clone(&done);
            way.run(move || {
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(100));
                    inside.store(true, Ordering::SeqCst);
                });
            })
            .unwrap();
            assert!(done.load(Ordering::SeqCst), "{way:?}");
            // Nothing is left, not even a zombie.
            // SAFETY: the call stores no status.
            let left = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WALL) };
            assert_eq!(left, -1, "{way:?}");
        }
    });
}
