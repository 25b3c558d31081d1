//! Tests of what `Command` gives a program, what a start costs the caller, and what errors say. The programs are this
//! test program itself.

use crate::common::{self, skip};
use crate::program::{passes, program, rounds};
use clone_trampoline::{
    Builder, Child, Command, CommandArgs, CommandEnvs, Error, JoinHandle, Mount, Resource, ScopedJoinHandle,
    Stage, Stdio,
};
use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const VARIABLE: &str = "CLONE_TRAMPOLINE_PROBE";

/// Returns a command for this program. It runs `test` there, and so comes to [`inside`].
pub(crate) fn this_program(test: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(VARIABLE, "inside");
    command.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// If this is the program that the test has started, runs `body` and ends the program.
pub(crate) fn inside(body: impl FnOnce() -> i32) {
    if std::env::var_os(VARIABLE).is_some() {
        exit(body());
    }
}

/// Returns what `body` says in the program, after `prepare` has changed the command.
pub(crate) fn says(test: &str, prepare: impl FnOnce(&mut Command), body: impl FnOnce() -> String) -> String {
    say(body);
    said(test, prepare)
}

/// If this is that program, says what `body` returns and ends.
pub(crate) fn say(body: impl FnOnce() -> String) {
    inside(|| {
        // This bypasses libtest's capture.
        File::from(io::stdout().as_fd().try_clone_to_owned().unwrap()).write_all(body().as_bytes()).unwrap();
        42
    });
}

pub(crate) fn said(test: &str, prepare: impl FnOnce(&mut Command)) -> String {
    let mut command = this_program(test);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    prepare(&mut command);
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(42), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // libtest's own output comes before this.
    text.split_once("<<").and_then(|(_, text)| text.split_once(">>")).expect("what was said").0.to_owned()
}

pub(crate) fn status(field: &str) -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect(field);
    format!("<<{}>>", line.trim())
}

#[track_caller]
pub(crate) fn refused(command: &mut Command, stage: Stage, errno: i32) -> Error {
    let error = command.spawn().unwrap_err();
    let kind = error.kind();
    let error = Error::of(&error).unwrap().clone();
    assert_eq!((error.stage(), error.raw_os_error()), (stage, errno), "{error}");
    assert_eq!(kind, io::Error::from_raw_os_error(errno).kind());
    error
}

/// Does the same as `refused`, and checks that no descriptor is left. The program must do nothing else meanwhile.
#[track_caller]
pub(crate) fn fails(command: &mut Command, stage: Stage, errno: i32) -> Error {
    let before = descriptors();
    let error = refused(command, stage, errno);
    assert_eq!(descriptors(), before, "{error}");
    error
}

pub(crate) fn descriptors() -> Vec<OsString> {
    let mut all: Vec<_> =
        fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name()).collect();
    all.sort();
    all
}

#[test]
fn the_status_arrives() {
    inside(|| 42);
    let mut child = this_program("command::the_status_arrives").spawn().unwrap();
    assert!(child.pidfd().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(42));
    assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(42));
    child.kill().unwrap();
    let mut child = this_program("command::the_status_arrives").without_pidfd().spawn().unwrap();
    assert!(child.pidfd().is_none());
    let error = child.wait_timeout(Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("without_pidfd"), "{error}");
    assert_eq!(child.wait().unwrap().code(), Some(42));
}

#[test]
fn a_program_can_be_waited_for_with_a_limit_and_killed() {
    inside(|| {
        std::thread::sleep(Duration::from_secs(1000));
        1
    });
    let mut child =
        this_program("command::a_program_can_be_waited_for_with_a_limit_and_killed").spawn().unwrap();
    let begin = Instant::now();
    assert!(child.wait_timeout(Duration::from_millis(50)).unwrap().is_none());
    assert!(begin.elapsed() >= Duration::from_millis(50));
    child.send_signal(libc::SIGTERM).unwrap();
    assert_eq!(child.wait_timeout(Duration::MAX).unwrap().unwrap().signal(), Some(libc::SIGTERM));
    child.send_signal(libc::SIGTERM).unwrap();
}

#[test]
fn arguments_and_environment_arrive() {
    let test = "command::arguments_and_environment_arrive";
    let prepare = |command: &mut Command| {
        command
            .arg0("another name")
            .env("ADDED", "a")
            .env("REMOVED", "r")
            .env_remove("REMOVED")
            .env_remove("HOME");
        assert_eq!(command.get_program(), "/proc/self/exe");
        assert_eq!(command.get_args().next().unwrap(), test);
        assert_eq!(command.get_envs().find(|(key, _)| *key == "HOME"), Some(("HOME".as_ref(), None)));
        assert!(format!("{command:?}").contains(r#" ["/proc/self/exe"] "another name" "#), "{command:?}");
    };
    let said = says(test, prepare, || {
        let variables = ["ADDED", "REMOVED", "HOME"].map(|name| std::env::var(name).unwrap_or("-".into()));
        format!("<<{} {}>>", std::env::args().next().unwrap(), variables.join(" "))
    });
    assert_eq!(said, "another name a - -");
}

#[test]
fn a_cleared_environment_is_empty() {
    let said = says(
        "command::a_cleared_environment_is_empty",
        |command| _ = command.env("BEFORE", "b").env_clear().env(VARIABLE, "inside"),
        || format!("<<{:?}>>", std::env::vars().collect::<Vec<_>>()),
    );
    assert_eq!(said, format!("{:?}", [(VARIABLE, "inside")]));
}

#[test]
fn the_working_directory_and_the_umask_are_the_programs() {
    let before = std::env::current_dir().unwrap();
    let said = says(
        "command::the_working_directory_and_the_umask_are_the_programs",
        |command| _ = command.current_dir("/proc").umask(0o123),
        || format!("<<{} {}>>", std::env::current_dir().unwrap().display(), &status("Umask:")[2..6]),
    );
    assert_eq!(said, "/proc 0123");
    assert_eq!(std::env::current_dir().unwrap(), before);
}

/// A program's name is looked up in the PATH and in the directory that the program will have.
#[test]
fn a_name_is_looked_for_in_the_programs_path() {
    inside(|| 42);
    let exe = std::env::current_exe().unwrap();
    let (folder, name) = (exe.parent().unwrap(), exe.file_name().unwrap());
    let with = |path: &str, directory: Option<&std::path::Path>| {
        let mut command = Command::new(name);
        command
            .args(["command::a_name_is_looked_for_in_the_programs_path", "--exact"])
            .env(VARIABLE, "inside");
        command.stdout(Stdio::null()).env("PATH", path);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        command
    };
    let absolute = format!("/nowhere:/proc/self/status:{}", folder.display());
    assert_eq!(with(&absolute, None).status().unwrap().code(), Some(42));
    assert_eq!(with("", Some(folder)).status().unwrap().code(), Some(42));
    assert_eq!(with("nowhere:", Some(folder)).status().unwrap().code(), Some(42));
    let error = refused(&mut with("/nowhere:/bin", None), Stage::Exec, libc::ENOENT);
    assert!(error.to_string().ends_with("not found in PATH=/nowhere:/bin"), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn descriptors_get_their_numbers() {
    let pipe = |text: &str| -> OwnedFd {
        let (reads, mut writes) = pipe();
        writes.write_all(text.as_bytes()).unwrap();
        reads
    };
    // Three descriptors change places in a cycle, and none may be lost. A fourth one keeps its number.
    let [a, b, c, kept] = ["a", "b", "c", "k"].map(pipe);
    let numbers = [a.as_raw_fd(), b.as_raw_fd(), c.as_raw_fd(), kept.as_raw_fd()];
    let list = numbers.map(|number| number.to_string()).join(",");
    let said = says(
        "command::descriptors_get_their_numbers",
        |command| {
            command
                .env("NUMBERS", list)
                .fd(numbers[1], a)
                .fd(numbers[2], b)
                .fd(numbers[0], c)
                .fd(numbers[3], kept);
        },
        || {
            let numbers = std::env::var("NUMBERS").unwrap();
            let read = |number: &str| {
                let mut text = String::new();
                // by /proc, as a descriptor of ours
                let file = File::open(format!("/proc/self/fd/{number}"));
                file.unwrap().read_to_string(&mut text).unwrap();
                text
            };
            format!("<<{}>>", numbers.split(',').map(read).collect::<String>())
        },
    );
    assert_eq!(said, "cabk");
}

/// A source's number may be a target, and so may the number of its duplicate.
#[test]
fn a_descriptor_in_the_way_is_moved() {
    let test = "command::a_descriptor_in_the_way_is_moved";
    inside(|| {
        let is = |name, path: &str| {
            let number = std::env::var(name).unwrap();
            fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(|device| device == *path)
        };
        if is("FIRST", "/dev/zero") && is("SECOND", "/dev/full") { 42 } else { 1 }
    });
    passes(test, "program", || {
        let [zero, full] = ["/dev/zero", "/dev/full"].map(|path| File::open(path).unwrap());
        let mut command = this_program(test);
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        let number = full.as_raw_fd();
        // The next descriptor would get this number.
        let free = File::open("/dev/null").unwrap().as_raw_fd();
        command.env("FIRST", number.to_string()).env("SECOND", free.to_string());
        command.fd(number, zero).fd(free, full);
        assert_eq!(command.status().unwrap().code(), Some(42));
    });
}

/// The program can read its stdin to the end, because nobody else can write to it.
#[test]
fn wait_closes_stdin() {
    inside(|| {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).unwrap();
        if text == "all" { 42 } else { 1 }
    });
    passes("command::wait_closes_stdin", "program", || {
        for waits in
            [|mut child: Child| child.wait(), |child: Child| child.wait_with_output().map(|it| it.status)]
        {
            let mut child = this_program("command::wait_closes_stdin").stdin(Stdio::piped()).spawn().unwrap();
            child.stdin.as_mut().unwrap().write_all(b"all").unwrap();
            assert_eq!(waits(child).unwrap().code(), Some(42));
        }
    });
}

pub(crate) fn pipe() -> (OwnedFd, File) {
    use std::os::fd::FromRawFd;
    let mut fds = [-1; 2];
    // SAFETY: `fds` has room for two descriptors, which are new.
    unsafe {
        assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(fds[0]), File::from_raw_fd(fds[1]))
    }
}

/// This includes descriptors that are not close-on-exec.
#[test]
fn other_descriptors_are_closed_if_that_is_asked_for() {
    let test = "command::other_descriptors_are_closed_if_that_is_asked_for";
    say(|| {
        // Only those above 5 count, because libtest and this look have some of their own.
        let given = |fd: &&OsString| fd.to_str().is_some_and(|fd| fd.parse().is_ok_and(|fd: i32| fd > 5));
        let all = descriptors();
        format!(
            "<<{}>>",
            all.iter().filter(given).map(|fd| fd.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        )
    });
    let open = File::open("/dev/null").unwrap();
    // SAFETY: the descriptors are our own.
    let [low, high] = [100, 700].map(|least| unsafe { libc::fcntl(open.as_raw_fd(), libc::F_DUPFD, least) });
    assert!(low >= 100 && high >= 700);
    for closes in [true, false] {
        for with_closure in [false, true] {
            let said = said(test, |command| {
                command.close_other_fds(closes).fd(9, File::open("/dev/null").unwrap());
                if with_closure {
                    // SAFETY: the closure does nothing.
                    unsafe { command.pre_exec(|| Ok(())) };
                }
            });
            assert_eq!(said == "9", closes, "{said}");
            for fd in [low, high] {
                assert_eq!(said.split(' ').any(|it| it == fd.to_string()), !closes, "{said}");
            }
        }
    }
    // The caller's own descriptors are still open.
    // SAFETY: the descriptors are our own.
    unsafe {
        assert!(libc::close(high) == 0 && libc::close(low) == 0);
    }
}

#[test]
fn output_is_read_from_both_pipes() {
    inside(|| {
        // This is more than a pipe holds. The two streams are written in turn.
        for _ in 0..100 {
            File::from(io::stdout().as_fd().try_clone_to_owned().unwrap()).write_all(&[b'o'; 3000]).unwrap();
            File::from(io::stderr().as_fd().try_clone_to_owned().unwrap()).write_all(&[b'e'; 3000]).unwrap();
        }
        42
    });
    let mut command = this_program("command::output_is_read_from_both_pipes");
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(42));
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'o').count() / 300_000, 1);
    assert_eq!(output.stderr, [b'e'; 300_000]);
}

#[test]
fn signals_are_as_asked_for() {
    let test = "command::signals_are_as_asked_for";
    let blocked = says(
        test,
        |command| _ = command.block_signals(&[libc::SIGUSR1, libc::SIGUSR2]),
        || status("SigBlk:"),
    );
    assert_eq!(
        u128::from_str_radix(&blocked, 16).unwrap(),
        1 << (libc::SIGUSR1 - 1) | 1 << (libc::SIGUSR2 - 1)
    );
}

#[test]
fn ignored_signals_are_as_asked_for() {
    let test = "command::ignored_signals_are_as_asked_for";
    say(|| status("SigIgn:"));
    passes(test, "program", || {
        // SAFETY: this sets no handler.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
        let ignored = |prepare: fn(&mut Command)| {
            let set = u128::from_str_radix(&said(test, prepare), 16).unwrap();
            [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2].map(|signal| set >> (signal - 1) & 1 == 1)
        };
        assert_eq!(ignored(|_| ()), [true, false, false]);
        assert_eq!(ignored(|command| _ = command.default_signals(&[libc::SIGHUP])), [false, false, false]);
        let both = |command: &mut Command| {
            _ = command.ignore_signals(&[libc::SIGUSR1, libc::SIGUSR2]).default_signals(&[libc::SIGUSR1])
        };
        assert_eq!(ignored(both), [true, true, true]);
    });
}

/// A Rust program ignores SIGPIPE from its start, so this takes cat(1).
#[test]
fn sigpipe_is_not_ignored() {
    if !fs::exists("/bin/cat").unwrap() {
        return skip("there is no cat(1)");
    }
    let ignored = |command: &mut Command| {
        let output = command.arg("/proc/self/status").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let set = text.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim().to_owned();
        u128::from_str_radix(&set, 16).unwrap() >> (libc::SIGPIPE - 1) & 1 == 1
    };
    assert!(!ignored(&mut Command::new("/bin/cat")));
    assert!(ignored(Command::new("/bin/cat").ignore_signals(&[libc::SIGPIPE])));
}

/// A new root directory is also the working directory.
#[test]
fn the_root_is_the_programs() {
    say(|| format!("<<{}>>", std::env::current_dir().unwrap().display()));
    if !common::privileged() {
        return skip("takes CAP_SYS_CHROOT");
    }
    let test = "command::the_root_is_the_programs";
    assert_eq!(said(test, |command| _ = command.chroot("/")), "/");
    assert_eq!(said(test, |command| _ = command.chroot("/").current_dir("/proc")), "/proc");
    // Without chroot(2) this file would not exist.
    refused(Command::new("/status").chroot("/proc/self"), Stage::Exec, libc::EACCES);
}

#[test]
fn exec_takes_the_place_of_this_program() {
    inside(|| 42);
    let test = "command::exec_takes_the_place_of_this_program";
    let end = program(test, "exec", || {
        // The parent of the executed program is the parent of this one.
        let error = this_program(test).parent_death_signal(libc::SIGKILL).exec();
        panic!("{error}");
    });
    if let Some(end) = end {
        end.is_exit(42);
    }
}

/// Returns the open descriptors of this program with their files and flags, and the blocked signals.
fn open_and_blocked() -> (Vec<(OsString, Option<PathBuf>, i32)>, String) {
    let what = |fd: OsString| {
        let path = fs::read_link(PathBuf::from("/proc/self/fd").join(&fd)).ok();
        // SAFETY: the call takes no pointers.
        let flags = unsafe { libc::fcntl(fd.to_str().unwrap().parse().unwrap(), libc::F_GETFD) };
        // This look itself has a descriptor.
        (fd, path.filter(|path| !path.starts_with("/proc")), flags)
    };
    (descriptors().into_iter().map(what).collect(), status("SigBlk:"))
}

/// After a failed exec, the numbers that the program would have got have their old descriptors.
#[test]
fn an_exec_that_fails_gives_descriptors_back() {
    let test = "command::an_exec_that_fails_gives_descriptors_back";
    let fails = |number: Option<i32>, stage, errno| {
        let file = File::open("/dev/zero").unwrap();
        let own = file.as_raw_fd();
        let mut command = Command::new("/nowhere");
        // The numbers are one that the command owns, one that is free, and 0 to 2.
        command
            .fd(own, file)
            .fd(77, File::open("/dev/full").unwrap())
            .stdout(Stdio::null())
            .stdin(Stdio::null());
        if let Some(number) = number {
            command.fd(number, File::open("/dev/zero").unwrap());
        }
        command.close_other_fds(true).block_signals(&[libc::SIGUSR1]);
        // `close_other_fds` leaves the other descriptors close-on-exec, so they already are here.
        const CLOEXEC: libc::c_uint = 1 << 2;
        // SAFETY: the call takes no pointers.
        assert_eq!(unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOEXEC) }, 0);
        let before = open_and_blocked();
        for _ in 0..3 {
            let error = command.exec();
            let error = Error::of(&error).unwrap();
            assert_eq!((error.stage(), error.raw_os_error()), (stage, errno), "{error}");
        }
        assert_eq!(open_and_blocked(), before);
    };
    passes(test, "threads", || {
        fails(None, Stage::Exec, libc::ENOENT);
        // These numbers belong to the command and to the start itself: /dev/null gets the lowest number that is free.
        let (file, other) = (File::open("/dev/zero").unwrap(), File::open("/dev/full").unwrap());
        let (number, lowest) = (file.as_raw_fd(), File::open("/dev/null").unwrap().as_raw_fd());
        let mut command = Command::new("/nowhere");
        command
            .stdin(Stdio::null())
            .stdout(file)
            .fd(number, other)
            .fd(lowest, File::open("/dev/full").unwrap());
        assert_eq!(Error::of(&command.exec()).map(Error::stage), Some(Stage::Exec));
        // Another thread may use this descriptor.
        let open = File::open("/dev/null").unwrap();
        fails(Some(open.as_raw_fd()), Stage::Fd, libc::EBUSY);
    });
    passes(test, "alone", || {
        let status = common::in_process(|| {
            let open = File::open("/dev/null").unwrap();
            fails(Some(open.as_raw_fd()), Stage::Exec, libc::ENOENT);
            77
        });
        assert_eq!(status.code(), Some(77));
    });
}

/// Closures run after the signals, which they may change. They have the caller's thread-local storage.
#[test]
fn closures_have_the_last_word() {
    let test = "command::closures_have_the_last_word";
    thread_local!(static LOCAL: Cell<i32> = const { Cell::new(0) });
    say(|| status("SigIgn:"));
    LOCAL.set(7);
    let said = said(test, |command| {
        // SAFETY: the closure takes no lock.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGUSR1, libc::SIG_IGN);
                if LOCAL.replace(8) == 7 { Ok(()) } else { Err(io::Error::other("another thread's")) }
            });
        }
    });
    assert_eq!(u128::from_str_radix(&said, 16).unwrap() >> (libc::SIGUSR1 - 1) & 1, 1);
    assert_eq!(LOCAL.get(), 8);
}

#[test]
fn a_closure_that_panics_ends_the_child_alone() {
    if !crate::program::catches_panics() {
        return;
    }
    passes("command::a_closure_that_panics_ends_the_child_alone", "program", || {
        let mut command = Command::new("/nowhere");
        // SAFETY: the closure takes the lock of stderr, which nobody else has.
        unsafe { command.pre_exec(|| panic!("in a closure")) };
        assert_eq!(command.status().unwrap().signal(), Some(libc::SIGABRT));
        assert!(!std::thread::panicking());
        // With `exec` there is no child, so the panic goes on in this program.
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| command.exec())).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"in a closure"));
    });
}

/// O_NONBLOCK that is set through a duplicate also holds for the child's pidfd.
#[test]
fn a_pidfd_that_does_not_block_is_waited_for() {
    inside(|| {
        _ = io::stdin().read_to_end(&mut Vec::new());
        42
    });
    let mut command = this_program("command::a_pidfd_that_does_not_block_is_waited_for");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // SAFETY: the call takes no pointers.
    common::ok(unsafe { libc::fcntl(child.pidfd().unwrap().as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) });
    assert!(child.try_wait().unwrap().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(42));
}

/// A child that this program traces stops when it executes its program. That is not its end.
#[test]
fn a_traced_child_has_not_ended() {
    inside(|| 42);
    for pidfd in [true, false] {
        let mut command = this_program("command::a_traced_child_has_not_ended");
        if !pidfd {
            command.without_pidfd();
        }
        // SAFETY: the closure takes no lock.
        unsafe {
            command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME as _, 0, 0, 0) {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        let mut child = match command.spawn() {
            Err(error) => return skip(&error.to_string()),
            Ok(child) => child,
        };
        let status = child.wait().unwrap();
        assert_eq!(status.stopped_signal(), Some(libc::SIGTRAP), "{status}");
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }
}

#[test]
fn limits_and_nice_are_the_programs() {
    let said = says(
        "command::limits_and_nice_are_the_programs",
        |command| _ = command.rlimit(Resource::Core, 0, 1).rlimit(Resource::Files, 50, 60).nice(7),
        || {
            let limits = fs::read_to_string("/proc/self/limits").unwrap();
            let of = |name: &str| {
                limits.lines().find_map(|line| line.strip_prefix(name)).unwrap().split_whitespace()
            };
            // SAFETY: the call takes no pointers.
            let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
            let words: Vec<_> =
                of("Max core file size").take(2).chain(of("Max open files").take(2)).collect();
            format!("<<{} {nice}>>", words.join(" "))
        },
    );
    assert_eq!(said, "0 1 50 60 7");
}

#[test]
fn the_cpus_are_the_programs() {
    let list = || status("Cpus_allowed_list:");
    say(list);
    let test = "command::the_cpus_are_the_programs";
    // the last one of ours: `0-3,6` or `5`
    let ours = list();
    let last = ours.trim_end_matches(">>").rsplit(['<', ',', '-']).next().unwrap().to_owned();
    assert_eq!(said(test, |command| _ = command.affinity([last.parse().unwrap()])), last);
    assert_eq!(list(), ours);
}

#[test]
fn a_process_group_is_new() {
    let group = says(
        "command::a_process_group_is_new",
        |command| _ = command.process_group(0),
        // SAFETY: the call takes no pointers.
        || unsafe {
            format!("<<{} {}>>", libc::getpgrp() == libc::getpid(), libc::getsid(0) == libc::getpid())
        },
    );
    assert_eq!(group, "true false");
}

#[test]
fn a_session_is_new() {
    let session = says(
        "command::a_session_is_new",
        |command| _ = command.setsid(true),
        // SAFETY: the call takes no pointers.
        || unsafe { format!("<<{}>>", libc::getsid(0) == libc::getpid()) },
    );
    assert_eq!(session, "true");
}

#[test]
fn ids_and_groups_are_the_programs_and_the_caller_stays_dumpable() {
    say(|| {
        let of = |field: &str| status(field)[2..].trim_end_matches(">>").replace('\t', " ");
        format!("<<{}; {}; {}>>", of("Uid:"), of("Gid:"), of("Groups:"))
    });
    if !common::can_give_up_root() {
        return skip("takes CAP_SETUID and CAP_SETGID");
    }
    // SAFETY: the call takes no pointers.
    let dumpable = || unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
    let before = dumpable();
    let said = said("command::ids_and_groups_are_the_programs_and_the_caller_stays_dumpable", |command| {
        _ = command.uid(65_533).gid(65_532).groups(&[65_531, 65_530])
    });
    assert_eq!(said, "65533 65533 65533 65533; 65532 65532 65532 65532; 65530 65531");
    assert_eq!(dumpable(), before);
}

/// In one case a closure fails after it has changed the ids. In the other case a step fails.
#[test]
fn a_start_that_fails_after_a_change_of_ids_leaves_the_caller_dumpable() {
    if !common::can_give_up_root() {
        return skip("takes CAP_SETUID and CAP_SETGID");
    }
    let test = "command::a_start_that_fails_after_a_change_of_ids_leaves_the_caller_dumpable";
    // SAFETY: the call takes no pointers.
    let dumpable = || unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
    passes(test, "closure", || {
        let mut command = Command::new("true");
        // SAFETY: the closure only makes a system call.
        unsafe {
            command.pre_exec(|| {
                common::ok(libc::setresgid(65_533, 65_533, 65_533));
                Err(io::Error::from_raw_os_error(libc::EXDEV))
            });
        }
        fails(&mut command, Stage::PreExec, libc::EXDEV);
        assert_eq!(dumpable(), 1);
    });
    passes(test, "step", || {
        common::refuse(SYS_SETRESUID as u32);
        let mut command = Command::new("true");
        fails(command.gid(65_533).uid(65_533), Stage::Uid, libc::EPERM);
        assert_eq!(dumpable(), 1);
    });
}

#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::SYS_setresuid as SYS_SETRESUID;
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::SYS_setresuid32 as SYS_SETRESUID;

/// As in std, a program with a uid of its own gets none of the caller's groups.
#[test]
fn a_uid_alone_drops_the_groups() {
    say(|| status("Groups:"));
    if !common::can_give_up_root() {
        return skip("takes CAP_SETUID and CAP_SETGID");
    }
    let test = "command::a_uid_alone_drops_the_groups";
    passes(test, "program", || {
        let groups = [65_531, 65_530];
        // SAFETY: the length is that of the list.
        common::ok(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) });
        assert_eq!(said(test, |_| ()), "65530 65531");
        assert_eq!(said(test, |command| _ = command.uid(65_533)), "");
    });
}

#[test]
fn no_new_privs_is_the_programs() {
    let test = "command::no_new_privs_is_the_programs";
    let said = says(test, |command| _ = command.no_new_privs(true), || status("NoNewPrivs:"));
    assert_eq!(said, "1");
}

/// The signal comes when the thread that started the program ends.
#[test]
fn the_parents_death_is_a_signal() {
    inside(|| {
        std::thread::sleep(Duration::from_secs(1000));
        1
    });
    let parent = std::thread::spawn(|| {
        let mut command = this_program("command::the_parents_death_is_a_signal");
        command.parent_death_signal(libc::SIGKILL).spawn().unwrap()
    });
    assert_eq!(parent.join().unwrap().wait().unwrap().signal(), Some(libc::SIGKILL));
}

/// Makes each stage fail that can be made to fail, in the order of the stages. The same command works when the cause is
/// gone.
#[test]
fn each_stage_names_what_failed_and_leaves_nothing() {
    inside(|| 42);
    // This needs a program of its own, because other tests open descriptors.
    passes("command::each_stage_names_what_failed_and_leaves_nothing", "program", each_stage);
}

fn each_stage() {
    let new = || this_program("command::each_stage_names_what_failed_and_leaves_nothing");
    let null = || File::open("/dev/null").unwrap();

    let error = fails(new().fd(9_000_000, null()), Stage::Fd, libc::EBADF);
    assert!(
        error.to_string().contains(" at 9000000: ") && error.hint().unwrap().contains("RLIMIT_NOFILE"),
        "{error}"
    );
    fails(new().fd(-1, null()), Stage::Fd, libc::EBADF);
    let error = fails(new().process_group(999_999_999), Stage::ProcessGroup, libc::EPERM);
    assert_eq!(error.argument().unwrap(), "999999999");
    fails(new().rlimit(Resource::Files, 2, 1), Stage::Rlimit, libc::EINVAL);
    fails(new().affinity([]), Stage::Affinity, libc::EINVAL);
    fails(new().affinity([usize::MAX]), Stage::Affinity, libc::EINVAL);
    // For the kernel this is -1, and would change nothing.
    fails(new().uid(u32::MAX), Stage::Uid, libc::EINVAL);
    fails(new().gid(u32::MAX), Stage::Gid, libc::EINVAL);
    for signal in [0, -1, i32::MIN, 1000] {
        fails(new().block_signals(&[signal]), Stage::ProgramSignals, libc::EINVAL);
    }
    let error = fails(new().current_dir("/nowhere"), Stage::Chdir, libc::ENOENT);
    assert_eq!(error.to_string(), r#"chdir "/nowhere": No such file or directory (os error 2)"#);
    fails(new().current_dir("/dev/null"), Stage::Chdir, libc::ENOTDIR);
    let error = fails(new().parent_death_signal(1000), Stage::ParentDeath, libc::EINVAL);
    assert!(error.hint().unwrap().contains("no such signal"), "{error}");
    let error = fails(new().rlimit(Resource::Files, 64, 32), Stage::Rlimit, libc::EINVAL);
    assert!(error.hint().unwrap().contains("soft limit"), "{error}");
    let error = fails(new().affinity([4000]), Stage::Affinity, libc::EINVAL);
    assert!(error.hint().unwrap().contains("none of these CPUs"), "{error}");
    let error = fails(new().setsid(true).process_group(1), Stage::ProcessGroup, libc::EPERM);
    assert!(error.hint().unwrap().contains("session"), "{error}");
    fails(new().ignore_signals(&[libc::SIGKILL]), Stage::ProgramSignals, libc::EINVAL);
    fails(&mut Command::new("/nowhere"), Stage::Exec, libc::ENOENT);
    let error = fails(&mut Command::new("/proc/self/status"), Stage::Exec, libc::EACCES);
    assert!(error.hint().unwrap().contains("not executable"), "{error}");
    fails(&mut Command::new("/proc/self/status/below"), Stage::Exec, libc::ENOTDIR);
    let error =
        fails(Command::new("x").env("PATH", "/nowhere:/proc/self/status"), Stage::Exec, libc::ENOTDIR);
    assert!(error.hint().unwrap().contains("not found in PATH"), "{error}");
    let error = fails(Command::new("x").env("PATH", "/proc/self/status:/nowhere"), Stage::Exec, libc::ENOENT);
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // The child has closed this descriptor, so it sees something else there than the caller.
    let program = File::open("/proc/self/exe").unwrap();
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    let error = fails(command.close_other_fds(true), Stage::Exec, libc::ENOENT);
    assert_eq!(error.hint(), None, "{error}");
    fails(&mut Command::new(""), Stage::Exec, libc::ENOENT);
    let error = fails(&mut Command::new("with\0nul"), Stage::Exec, libc::EINVAL);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    fails(new().arg("with\0nul"), Stage::Exec, libc::EINVAL);
    // SAFETY: the closure takes no lock.
    let error = unsafe {
        let refuse = || Err(io::Error::other("my own reason"));
        fails(new().pre_exec(refuse), Stage::PreExec, libc::EINVAL)
    };
    assert_eq!(error.to_string(), "pre_exec: my own reason");

    let script = std::env::temp_dir().join(format!("clone-trampoline-script-{}", std::process::id()));
    fs::write(&script, "#!/nowhere/interpreter\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let error = fails(&mut Command::new(&script), Stage::Exec, libc::ENOENT);
    assert!(error.hint().is_some_and(|hint| hint.contains("interpreter")), "{error}");
    let (folder, name) = (script.parent().unwrap(), script.file_name().unwrap());
    let path = format!("{}:{}", "x".repeat(5000), folder.display());
    let error = fails(Command::new(name).env("PATH", path), Stage::Exec, libc::ENOENT);
    assert!(error.hint().is_some_and(|hint| hint.contains("interpreter")), "{error}");
    fs::write(&script, "true\n").unwrap();
    let error = fails(&mut Command::new(&script), Stage::Exec, libc::ENOEXEC);
    assert!(error.hint().is_some_and(|hint| hint.contains("#!")), "{error}");
    fs::remove_file(&script).unwrap();

    let mut command = new();
    command.current_dir("/nowhere");
    fails(&mut command, Stage::Chdir, libc::ENOENT);
    assert_eq!(command.current_dir("/").status().unwrap().code(), Some(42));
}

/// The stages that fail without privileges, and those that fail only by a filter.
#[test]
fn each_stage_that_is_refused_is_named() {
    inside(|| 42);
    let test = "command::each_stage_that_is_refused_is_named";
    let new = || this_program(test);
    passes(test, "user", || {
        fails(new().chroot("/nowhere"), Stage::Chroot, libc::ENOENT);
        // SAFETY: this is a program of its own, which no other test shares.
        unsafe {
            if libc::getuid() == 0 {
                common::ok(libc::setresgid(65_531, 65_531, 65_531));
                common::ok(libc::setresuid(65_531, 65_531, 65_531));
            }
        }
        fails(new().groups(&[0]), Stage::Groups, libc::EPERM);
        fails(new().gid(0), Stage::Gid, libc::EPERM);
        fails(new().uid(0), Stage::Uid, libc::EPERM);
        // SAFETY: the call takes no arguments.
        let own = unsafe { libc::getuid() };
        // A caller that may not drop the groups keeps them.
        assert_eq!(new().uid(own).status().map(|status| status.code()).ok(), Some(Some(42)));
        fails(new().chroot("/"), Stage::Chroot, libc::EPERM);
        fails(new().nice(-20), Stage::Nice, libc::EACCES);
        // SAFETY: the address is that of a `struct rlimit`.
        common::ok(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 }) });
        let error = fails(new().rlimit(Resource::Core, 1, 1), Stage::Rlimit, libc::EPERM);
        assert_eq!(error.argument().unwrap(), "Core");
    });
    passes(test, "filter", || {
        type Prepare = fn(&mut Command) -> &mut Command;
        let stages: [(libc::c_long, Stage, Prepare); 4] = [
            (libc::SYS_setsid, Stage::Session, |command| command.setsid(true)),
            (libc::SYS_close_range, Stage::CloseFds, |command| command.close_other_fds(true)),
            (libc::SYS_prctl, Stage::NoNewPrivs, |command| command.no_new_privs(true)),
            (libc::SYS_dup3, Stage::Fd, |command| command.fd(9, File::open("/dev/null").unwrap())),
        ];
        for (number, stage, prepare) in stages {
            let status = common::in_process(|| {
                common::refuse(number as u32);
                let error = fails(prepare(&mut new()), stage, libc::EPERM);
                assert_eq!(error.hint().is_some(), stage == Stage::CloseFds, "{error}");
                77
            });
            assert_eq!(status.code(), Some(77), "{stage:?}");
        }
    });
}

/// If the limit cannot be read, dup3(2) still checks it.
#[test]
fn a_filter_that_refuses_the_limit_of_descriptors_is_none() {
    inside(|| 42);
    let test = "command::a_filter_that_refuses_the_limit_of_descriptors_is_none";
    passes(test, "filter", || {
        common::refuse(libc::SYS_prlimit64 as u32);
        assert_eq!(this_program(test).status().unwrap().code(), Some(42));
        refused(this_program(test).fd(9_000_000, File::open("/dev/null").unwrap()), Stage::Fd, libc::EBADF);
    });
}

/// getenv(3) and std do the same.
#[test]
fn of_two_paths_the_first_one_counts() {
    inside(|| {
        let found = Command::new("the-program").spawn().map(drop);
        let error = found.unwrap_err();
        if error.to_string().contains("not found in PATH=/first") { 42 } else { 1 }
    });
    let test = "command::of_two_paths_the_first_one_counts";
    passes(test, "program", || {
        // This uses execve(2) itself, because no Command makes such an environment.
        let text = |text: &str| std::ffi::CString::new(text).unwrap();
        let path = std::ffi::CString::new("/proc/self/exe").unwrap();
        let arguments = ["safe", test, "--exact", "--nocapture", "--test-threads=1"].map(text);
        let variables = ["PATH=/first", "PATH=/second", &format!("{VARIABLE}=inside")].map(text);
        let list = |all: &[std::ffi::CString]| -> Vec<*const libc::c_char> {
            all.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (arguments, variables) = (list(&arguments), list(&variables));
        let status = common::in_process(|| {
            // SAFETY: the path is a C string, and both lists end with null.
            unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), variables.as_ptr()) };
            1
        });
        assert_eq!(status.code(), Some(42));
    });
}

/// A program gets everything that was requested, whichever call makes the child.
#[test]
fn it_works_where_clone3_is_refused() {
    if std::env::var_os("SAYS").is_some() {
        say(|| status("SigIgn:"));
    }
    inside(|| 42);
    let test = "command::it_works_where_clone3_is_refused";
    extern "C" fn handler(_: i32) {}
    passes(test, "filter", || {
        // With this errno, the threads of the program itself do without clone3(2).
        common::seccomp(libc::SYS_clone3 as u32, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
        for _ in 0..2 {
            let mut command = this_program(test);
            let mut child = command.close_other_fds(true).spawn().unwrap();
            assert!(child.pidfd().is_some());
            assert_eq!(child.wait().unwrap().code(), Some(42));
        }
        // SAFETY: this sets no handler.
        unsafe { libc::signal(libc::SIGUSR2, libc::SIG_IGN) };
        let ignored = u128::from_str_radix(&said(test, |command| _ = command.env("SAYS", "")), 16).unwrap();
        assert_eq!(ignored >> (libc::SIGUSR1 - 1) & 1, 0);
        assert_eq!(ignored >> (libc::SIGUSR2 - 1) & 1, 1);
    });
    passes(test, "other", || {
        common::refuse(libc::SYS_clone3 as u32);
        let error = refused(&mut Command::new("/nowhere"), Stage::Exec, libc::ENOENT);
        assert_eq!(error.to_string(), r#"exec "/nowhere": No such file or directory (os error 2)"#);
    });
}

/// A failed start leaves no zombie, and the caller gets no signal.
#[test]
fn a_start_that_fails_sends_no_sigchld() {
    passes("command::a_start_that_fails_sends_no_sigchld", "program", || {
        let pending = || status("SigPnd:") + &status("ShdPnd:");
        // SAFETY: the set is valid once it is zeroed.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigaddset(&mut set, libc::SIGCHLD);
            libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        }
        let before = pending();
        for _ in 0..20 {
            Command::new("/nowhere").spawn().unwrap_err();
        }
        assert_eq!(pending(), before);
        // SAFETY: the call stores no status.
        assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::__WALL) }, -1);
    });
}

/// std's Command panics here when a start fails.
#[test]
fn it_works_where_sigchld_is_ignored() {
    inside(|| 7);
    passes("command::it_works_where_sigchld_is_ignored", "program", || {
        // SAFETY: this sets no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        assert_eq!(Command::new("/nowhere").spawn().unwrap_err().kind(), ErrorKind::NotFound);
        let mut child = this_program("command::it_works_where_sigchld_is_ignored").spawn().unwrap();
        match child.wait() {
            Ok(status) => assert_eq!(status.code(), Some(7)),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
                assert!(common::release() < (6, 15), "the kernel keeps the status");
            }
        }
    });
}

/// The child gets the signals of the caller's group, but none of the caller's handlers runs in it. This holds for
/// clone3(2) and for clone(2).
#[test]
fn handlers_are_the_callers_alone() {
    inside(|| 42);
    static CALLER: AtomicI32 = AtomicI32::new(0);
    static ELSEWHERE: AtomicU32 = AtomicU32::new(0);
    extern "C" fn handler(_: i32) {
        // libc's own function may return a cached pid.
        // SAFETY: the call takes no arguments.
        if unsafe { libc::syscall(libc::SYS_getpid) } as i32 != CALLER.load(Ordering::Relaxed) {
            ELSEWHERE.fetch_add(1, Ordering::Relaxed);
        }
    }
    let test = "command::handlers_are_the_callers_alone";
    for case in ["clone3", "clone"] {
        passes(test, case, || {
            // SAFETY: the program has a group of its own, and the handler only counts. By default the signal is
            // ignored.
            unsafe {
                CALLER.store(libc::getpid(), Ordering::Relaxed);
                common::ok(libc::setpgid(0, 0));
                libc::signal(libc::SIGURG, handler as *const () as libc::sighandler_t);
            }
            if case == "clone" {
                common::seccomp(libc::SYS_clone3 as u32, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
            }
            let over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        // SAFETY: the signal goes to our own group.
                        unsafe { libc::kill(0, libc::SIGURG) };
                    }
                });
                for _ in rounds().take(200) {
                    let mut command = Command::new("/nowhere");
                    refused(&mut command, Stage::Exec, libc::ENOENT);
                }
                over.store(true, Ordering::Relaxed);
            });
            assert_eq!(ELSEWHERE.load(Ordering::Relaxed), 0);
            assert_eq!(this_program(test).status().unwrap().code(), Some(42));
        });
    }
}

/// A signal to the group may end the child before it executes its program. The caller gets this as an ordinary status.
#[test]
fn a_child_that_is_killed_at_birth_has_a_status() {
    let test = "command::a_child_that_is_killed_at_birth_has_a_status";
    inside(|| {
        std::thread::sleep(Duration::from_secs(1000));
        1
    });
    extern "C" fn handler(_: i32) {}
    passes(test, "program", || {
        // SAFETY: the program has a group of its own, and the handler does nothing.
        unsafe {
            common::ok(libc::setpgid(0, 0));
            libc::signal(libc::SIGTERM, handler as *const () as libc::sighandler_t);
        }
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // SAFETY: the signal goes to our own group.
                    unsafe { libc::kill(0, libc::SIGTERM) };
                }
            });
            for round in rounds().take(100) {
                let mut command = this_program(test);
                if round % 2 == 0 {
                    command.without_pidfd();
                }
                let status = command.status().unwrap();
                assert_eq!(status.signal(), Some(libc::SIGTERM), "{round}: {status}");
            }
            over.store(true, Ordering::Relaxed);
        });
    });
}

/// Each thread's program gets its thread's descriptors and no others.
#[test]
fn threads_at_once_do_not_mix_up_descriptors() {
    inside(|| {
        let number =
            |fd: i32| fs::read_link(format!("/proc/self/fd/{fd}")).ok().map(|path| path.into_os_string());
        let right = number(10) == std::env::var_os("WANTED") && number(11).is_none();
        if right { 42 } else { 1 }
    });
    std::thread::scope(|scope| {
        for path in ["/dev/null", "/dev/zero", "/dev/full", "/proc/version"] {
            scope.spawn(move || {
                for _ in rounds().take(15) {
                    let mut command = this_program("command::threads_at_once_do_not_mix_up_descriptors");
                    command.env("WANTED", path).fd(10, File::open(path).unwrap());
                    assert_eq!(command.status().unwrap().code(), Some(42), "{path}");
                }
            });
        }
    });
}

/// Covers limits that are reached at birth or before. The same command works when the cause is gone.
#[test]
fn a_limit_that_is_reached_is_named_and_leaves_nothing() {
    let test = "command::a_limit_that_is_reached_is_named_and_leaves_nothing";
    inside(|| 42);
    passes(test, "descriptors", || {
        let mut command = this_program(test);
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` has room for the limits.
        common::ok(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) });
        let limited = |soft: usize, command: &mut Command| {
            let new = libc::rlimit { rlim_cur: soft as libc::rlim_t, ..limit };
            // SAFETY: the address is that of a `struct rlimit`.
            unsafe {
                common::ok(libc::setrlimit(libc::RLIMIT_NOFILE, &new));
                let error = command.spawn().map(|mut child| child.wait());
                common::ok(libc::setrlimit(libc::RLIMIT_NOFILE, &limit));
                Error::of(&error.unwrap_err()).unwrap().clone()
            }
        };
        let before = descriptors();
        let used = File::open("/dev/null").unwrap().as_raw_fd() as usize;
        // There is no number left for the duplicate.
        let (zero, full) = (File::open("/dev/zero").unwrap(), File::open("/dev/full").unwrap());
        let second = full.as_raw_fd();
        let mut moved = this_program(test);
        moved.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        moved.fd(second, zero).fd(second + 1, full);
        let error = limited(second as usize + 2, &mut moved);
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Fd, libc::EMFILE), "{error}");
        drop(moved);
        let error = limited(used, &mut command);
        assert_eq!(error.raw_os_error(), libc::EMFILE, "{error}");
        assert!(error.hint().unwrap().contains("pidfd"), "{error}");
        // There is a number for only one of the pipe's two ends.
        let mut piped = this_program(test);
        let error = limited(used + 1, piped.stdin(Stdio::inherit()).stdout(Stdio::piped()));
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Stdio, libc::EMFILE), "{error}");
        assert_eq!(descriptors(), before);
        assert_eq!(command.status().unwrap().code(), Some(42));
        assert_eq!(piped.status().unwrap().code(), Some(42));
    });
    passes(test, "processes", || {
        // SAFETY: this is a program of its own, which no other test shares.
        unsafe {
            if libc::getuid() == 0 {
                common::ok(libc::setresuid(65_531, 65_531, 65_531));
            }
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            common::ok(libc::getrlimit(libc::RLIMIT_NPROC, &mut limit));
            common::ok(libc::setrlimit(libc::RLIMIT_NPROC, &libc::rlimit { rlim_cur: 0, ..limit }));
            let mut command = this_program(test);
            let error = fails_at_birth(&mut command, libc::EAGAIN);
            assert!(error.hint().unwrap().contains("RLIMIT_NPROC"), "{error}");
            common::ok(libc::setrlimit(libc::RLIMIT_NPROC, &limit));
            // Other users may not be able to reach the folder of this program, so the status does not matter.
            _ = command.status();
        }
    });
}

#[track_caller]
pub(crate) fn refused_at_birth(command: &mut Command, errno: i32) -> Error {
    let error = Error::of(&command.spawn().unwrap_err()).unwrap().clone();
    assert!(matches!(error.stage(), Stage::Clone | Stage::Clone3), "{error}");
    assert_eq!(error.raw_os_error(), errno, "{error}");
    error
}

/// Does the same as `refused_at_birth`, and checks that no descriptor is left. The program must do nothing else
/// meanwhile.
#[track_caller]
pub(crate) fn fails_at_birth(command: &mut Command, errno: i32) -> Error {
    let before = descriptors();
    let error = refused_at_birth(command, errno);
    assert_eq!(descriptors(), before);
    error
}

#[test]
fn a_cgroup_that_is_full_is_named() {
    inside(|| 42);
    let full = common::cgroup::root().and_then(|root| {
        let controller = common::cgroup::Controller::below(&root, "pids").ok()?;
        let cgroup = common::cgroup::Cgroup::of_ours(&root, "full").ok()?;
        fs::write(cgroup.0.join("pids.max"), "1").ok()?;
        Some((cgroup, controller))
    });
    let Some((full, _)) = &full else { return skip("there is no cgroup with a limit of tasks") };
    let status = common::in_process(|| {
        full.write("cgroup.procs", "0");
        let mut command = this_program("command::a_cgroup_that_is_full_is_named");
        let error = fails_at_birth(&mut command, libc::EAGAIN);
        assert!(error.hint().unwrap().contains("pids.max"), "{error}");
        full.write("pids.max", "2");
        assert_eq!(command.status().unwrap().code(), Some(42));
        77
    });
    assert_eq!(status.code(), Some(77));
}

/// The child has 16 KiB of its caller's stack, between the frames of the start. The test paints the stack before. The
/// longest part that is still painted is the room that the child has not used.
#[test]
fn the_child_has_room_enough() {
    inside(|| 42);
    const PAINT: u8 = 0xa5;
    const DEPTH: usize = 128 * 1024;
    #[inline(never)]
    fn paint() -> *mut u8 {
        let mut area = [std::mem::MaybeUninit::<u8>::uninit(); DEPTH];
        let lowest = std::hint::black_box(area.as_mut_ptr()).cast::<u8>();
        // SAFETY: this writes exactly the area.
        unsafe { lowest.write_bytes(PAINT, DEPTH) };
        std::hint::black_box(lowest)
    }
    let mut command = this_program("command::the_child_has_room_enough");
    command.env("PATH", "/nowhere:/proc").current_dir("/").umask(0o22).process_group(0);
    command.fd(9, File::open("/dev/null").unwrap()).nice(1).block_signals(&[libc::SIGUSR1]);
    if !cfg!(any(
        target_arch = "x86",
        target_arch = "x86_64",
        target_arch = "powerpc64",
        target_arch = "s390x"
    )) {
        return skip("a start touches the room before, as the compiler does not");
    }
    let lowest = paint();
    let child = command.spawn();
    // SAFETY: this is the thread's own stack, below this frame. Nothing is called before it has been read.
    let longest = unsafe {
        let (mut longest, mut run, mut used) = (0, 0, false);
        for i in 0..DEPTH {
            if lowest.add(i).read_volatile() == PAINT {
                run += 1;
                continue;
            }
            // The part below all frames does not count.
            if used && run > longest {
                longest = run;
            }
            (run, used) = (0, true);
        }
        longest
    };
    assert_eq!(child.unwrap().wait().unwrap().code(), Some(42));
    assert!((2048..16 * 1024).contains(&longest), "{longest} bytes are left");
}

/// `fork` and `Command` have the same type of handle.
#[test]
fn the_handle_is_that_of_fork() {
    fn code(mut child: Child) -> Option<i32> {
        child.wait().unwrap().code()
    }
    inside(|| 42);
    // SAFETY: the closure takes no lock.
    assert_eq!(code(unsafe { clone_trampoline::fork(|| 7) }.unwrap()), Some(7));
    assert_eq!(code(this_program("command::the_handle_is_that_of_fork").spawn().unwrap()), Some(42));
}

#[test]
fn it_is_send_and_sync() {
    fn is<T: Send + Sync>() {}
    is::<Command>();
    is::<CommandArgs<'_>>();
    is::<CommandEnvs<'_>>();
    is::<Child>();
    is::<Stdio>();
    is::<Mount>();
    is::<Error>();
    is::<Builder<'_>>();
    is::<JoinHandle<u8>>();
    is::<ScopedJoinHandle<'_, u8>>();
}
