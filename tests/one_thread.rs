//! Tests of behaviour that shows only in a program that has had no thread yet. libtest makes a thread for each test, so
//! this program does without it, and counts in the same way.

use clone_trampoline::{Builder, SafeFlags, Stage, call};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{env, thread};

/// glibc installs its handler for set*id with the first thread of a program, and remembers this in memory. That thread
/// may be made in a child with its own table of handlers.
fn set_id_works_after_a_thread_in_a_private_table(flags: SafeFlags) {
    let made = Builder::new().flags(flags).share_sighand(false).call(|| thread::spawn(|| ()).join().is_ok());
    if let Err(error) = made {
        // This is an emulator, or a kernel before Linux 5.5.
        assert!(matches!(error.stage(), Stage::SharedMemory | Stage::Clone3), "{error}");
        return;
    }
    let (ended, end) = channel::<()>();
    let other = thread::spawn(move || _ = end.recv());
    // Without the handler, libc's signal would kill the program.
    // SAFETY: the call takes no pointers.
    assert_eq!(unsafe { libc::setuid(libc::getuid()) }, 0);
    drop(ended);
    other.join().unwrap();
}

/// No signal may wait for the end of a call, because no other thread is there to take it.
fn a_signal_ends_the_program_during_a_call() {
    _ = call(|| {
        // SAFETY: the parent of this child is this program.
        unsafe { libc::kill(libc::getppid(), libc::SIGTERM) };
        thread::sleep(Duration::from_secs(60));
    });
}

fn main() {
    let cases = ["private", "cleared", "signal"];
    match env::args().nth(1).as_deref() {
        Some("private") => set_id_works_after_a_thread_in_a_private_table(SafeFlags::empty()),
        Some("cleared") => set_id_works_after_a_thread_in_a_private_table(SafeFlags::CLEAR_SIGHAND),
        Some("signal") => return a_signal_ends_the_program_during_a_call(),
        // libtest takes the same arguments.
        _ => {
            let shares = call(|| ()).is_ok();
            for case in cases {
                let mut child = Command::new(env::current_exe().unwrap()).arg(case).spawn().unwrap();
                let deadline = Instant::now() + Duration::from_secs(30);
                let status = loop {
                    match child.try_wait().unwrap() {
                        Some(status) => break status,
                        None if Instant::now() > deadline => {
                            child.kill().unwrap();
                            panic!("{case} hangs");
                        }
                        None => thread::sleep(Duration::from_millis(2)),
                    }
                };
                match case {
                    "signal" if shares => {
                        assert_eq!(status.signal(), Some(libc::SIGTERM), "{case}: {status}")
                    }
                    "signal" => {}
                    _ => assert_eq!(status.code(), Some(42), "{case}: {status}"),
                }
                println!("test {case} ... ok");
            }
            println!(
                "test result: ok. {} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
                cases.len()
            );
            return;
        }
    }
    std::process::exit(42)
}
