//! Tests `Command` under load, and with a caller that is stopped, killed or held up. This program has no libtest,
//! because it starts itself, and these programs should reach their point soon. It counts in the same way as libtest.
//!
//! `LOAD=20 cargo test --release --test load` makes twenty times as many starts as the default: 20,000 programs with
//! descriptors, 8,000 programs that have just been written, and 2,000 stops of a terminal's foreground.

mod common;

use clone_trampoline::{Command, Stdio};
use std::env;
use std::ffi::c_int;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, exit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const DONE: i32 = 42;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[1..] {
        ["done", ..] => exit(DONE),
        ["sleeps"] => thread::sleep(Duration::from_secs(1000)),
        ["has", first, second, closed] => exit(has(first, second, closed)),
        ["starts"] => starts(),
        ["loops"] => loops(),
        ["shell"] => exit(shell()),
        // libtest takes the same arguments.
        _ if common::emulated() => {
            common::skip("memory cannot be shared under an emulator");
            println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        }
        _ => {
            let tests: [(&str, fn()); 5] = [
                ("each_program_has_its_own_descriptors", each_program_has_its_own_descriptors),
                ("what_was_just_written_can_be_executed", what_was_just_written_can_be_executed),
                ("a_killed_parent_leaves_nobody", a_killed_parent_leaves_nobody),
                ("a_shell_is_told_of_each_stop", a_shell_is_told_of_each_stop),
                ("a_slow_file_system_holds_up_nobody_else", a_slow_file_system_holds_up_nobody_else),
            ];
            for (name, test) in tests {
                test();
                println!("test {name} ... ok");
            }
            println!(
                "test result: ok. {} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
                tests.len()
            );
        }
    }
}

/// Returns this many rounds, times `LOAD` if it is set. Without `LOAD`, a slow machine does only a second of them, but
/// at least ten.
fn rounds(default: usize) -> impl Iterator<Item = usize> {
    let load = env::var("LOAD").ok().map(|load| load.parse::<usize>().expect("a number"));
    let end = Instant::now() + Duration::from_secs(1);
    (0..default * load.unwrap_or(1))
        .take_while(move |round| load.is_some() || *round < 10 || Instant::now() < end)
}

fn this_program(arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments).stdin(Stdio::null());
    command
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut fds = [-1; 2];
    // SAFETY: `fds` has room for two descriptors, which are new.
    unsafe {
        common::ok(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC));
        (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
    }
}

/// Returns the kernel's number for the file that is open there.
fn inode(fd: c_int) -> Option<libc::ino_t> {
    let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `status` has room for the result.
    unsafe { (libc::fstat(fd, status.as_mut_ptr()) == 0).then(|| status.assume_init().st_ino) }
}

/// Descriptors that are not close-on-exec, like those of another library.
const STRANGERS: std::ops::Range<c_int> = 100..130;

/// In the program, checks that descriptors 10 and 11 are these, and that there are no others but the strangers.
fn has(first: &str, second: &str, closed: &str) -> i32 {
    let is = |fd, wanted: &str| inode(fd).is_some_and(|inode| inode.to_string() == wanted);
    if !is(10, first) || !is(11, second) {
        return 1;
    }
    let others = (3..200).filter(|fd| ![10, 11].contains(fd) && inode(*fd).is_some());
    let wanted: Vec<c_int> = if closed == "closed" { Vec::new() } else { STRANGERS.collect() };
    if others.collect::<Vec<_>>() == wanted { DONE } else { 2 }
}

fn each_program_has_its_own_descriptors() {
    let null = File::open("/dev/null").unwrap();
    for fd in STRANGERS {
        // SAFETY: nobody else uses this number.
        assert_eq!(unsafe { libc::dup2(null.as_raw_fd(), fd) }, fd);
    }
    thread::scope(|scope| {
        for n in 0..4 {
            scope.spawn(move || {
                // These are close-on-exec, and have different numbers in each thread.
                let _ours: Vec<_> = (0..=n).map(|_| pipe()).collect();
                for round in rounds(250) {
                    let (reads, writes) = (pipe().0, pipe().1);
                    let [first, second] =
                        [&reads, &writes].map(|fd| inode(fd.as_raw_fd()).unwrap().to_string());
                    let closes = round % 2 == 0;
                    let mut command =
                        this_program(&["has", &first, &second, if closes { "closed" } else { "open" }]);
                    command.fd(10, reads).fd(11, writes).close_other_fds(closes);
                    let status = command.status().unwrap();
                    assert_eq!(status.code(), Some(DONE), "thread {n}, round {round}: {status}");
                }
            });
        }
    });
    for fd in STRANGERS {
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(fd) };
    }
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("clone-trampoline-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// Makes a program: a script with a `#!` line that runs this program.
    fn program(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path).unwrap();
        writeln!(file, "#!{} done", env::current_exe().unwrap().display()).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// A file that is open for writing cannot be executed (`ETXTBSY`). A child that another thread has just made would have
/// the writer's descriptor until it executes its program.
fn what_was_just_written_can_be_executed() {
    static OVER: AtomicBool = AtomicBool::new(false);
    let folder = Folder::new("written");
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !OVER.load(Ordering::Relaxed) {
                    let status = this_program(&["done"]).close_other_fds(true).status().unwrap();
                    assert_eq!(status.code(), Some(DONE));
                }
            });
        }
        let busy = rounds(400).find_map(|round| {
            let program = folder.program(&round.to_string());
            let status = Command::new(&program).close_other_fds(true).status();
            fs::remove_file(&program).unwrap();
            match status {
                Ok(status) if status.code() == Some(DONE) => None,
                other => Some(format!("round {round}: {other:?}")),
            }
        });
        OVER.store(true, Ordering::Relaxed);
        assert_eq!(busy, None);
    });
}

/// The program that is killed. It says when it has begun, and starts other programs that inherit its stdout.
fn starts() {
    let mut children = Vec::new();
    println!("begun");
    loop {
        children.push(this_program(&["sleeps"]).parent_death_signal(libc::SIGKILL).spawn().unwrap());
        if children.len() > 3 {
            let mut oldest = children.remove(0);
            oldest.kill().unwrap();
            oldest.wait().unwrap();
        }
    }
}

/// The parent is killed at any moment of a start.
fn a_killed_parent_leaves_nobody() {
    for round in rounds(20) {
        let mut parent = this_program(&["starts"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = parent.stdout.take().unwrap();
        let mut begun = [0; 6];
        stdout.read_exact(&mut begun).unwrap();
        spin(Duration::from_micros(61 * (round as u64 % 50)));
        parent.kill().unwrap();
        assert_eq!(parent.wait().unwrap().signal(), Some(libc::SIGKILL));
        // The pipe hangs up when no process has its other end any more.
        let mut end = libc::pollfd { fd: stdout.as_raw_fd(), events: libc::POLLHUP, revents: 0 };
        // SAFETY: `end` is one pollfd.
        let ready = unsafe { libc::poll(&mut end, 1, common::limit().as_millis() as c_int) };
        assert_eq!((ready, end.revents), (1, libc::POLLHUP), "round {round}: somebody is left");
    }
}

fn spin(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// The program in the foreground of a terminal. It starts other programs.
fn loops() {
    loop {
        let status = this_program(&["done"]).status().unwrap();
        assert_eq!(status.code(), Some(DONE));
    }
}

/// The leader of a session with a terminal. It types Ctrl-Z, which stops the foreground, and expects to get each stop.
fn shell() -> i32 {
    // SAFETY: the terminal is new, and its other side becomes the session's.
    let terminal = unsafe {
        let terminal = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
        if terminal == -1 || libc::grantpt(terminal) != 0 || libc::unlockpt(terminal) != 0 {
            return 3;
        }
        terminal
    };
    let mut name = [0; 64];
    // SAFETY: `name` has room for the name, and is a C string afterwards.
    let line = unsafe {
        common::ok(libc::ptsname_r(terminal, name.as_mut_ptr(), name.len()));
        libc::open(name.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC)
    };
    assert!(line >= 0, "{}", io::Error::last_os_error());
    let mut job =
        this_program(&["loops"]).process_group(0).parent_death_signal(libc::SIGKILL).spawn().unwrap();
    let pid = job.id() as libc::pid_t;
    // SAFETY: the call takes no pointers.
    common::ok(unsafe { libc::tcsetpgrp(line, pid) });
    for round in rounds(100) {
        spin(Duration::from_micros(37 * (round as u64 % 40)));
        // SAFETY: the buffer has one byte.
        assert_eq!(unsafe { libc::write(terminal, [0x1a_u8].as_ptr().cast(), 1) }, 1);
        // The stop must arrive however the program stops and continues.
        let Some(status) = told(pid, libc::WUNTRACED) else { return 4 };
        assert_eq!(status.stopped_signal(), Some(libc::SIGTSTP), "round {round}: {status}");
        // SAFETY: the process group is ours.
        common::ok(unsafe { libc::kill(-pid, libc::SIGCONT) });
        let Some(status) = told(pid, libc::WCONTINUED) else { return 5 };
        assert!(status.continued(), "round {round}: {status}");
    }
    job.kill().unwrap();
    job.wait().unwrap();
    DONE
}

/// Returns the status that waitpid(2) gives within the limit.
fn told(pid: libc::pid_t, what: c_int) -> Option<ExitStatus> {
    let end = Instant::now() + common::limit();
    let mut status = 0;
    while Instant::now() < end {
        // SAFETY: `status` has room for the status.
        match unsafe { libc::waitpid(pid, &mut status, what | libc::WNOHANG) } {
            0 => thread::sleep(Duration::from_micros(50)),
            told => {
                assert_eq!(told, pid, "{}", io::Error::last_os_error());
                return Some(ExitStatus::from_raw(status));
            }
        }
    }
    None
}

fn a_shell_is_told_of_each_stop() {
    let status = this_program(&["shell"]).setsid(true).status().unwrap();
    match status.code() {
        Some(3) => common::skip("there are no pseudoterminals"),
        code => {
            assert_eq!(code, Some(DONE), "{status}: 4 is a stop, and 5 a continuation, that was not told")
        }
    }
}

static HANDLED: AtomicBool = AtomicBool::new(false);

extern "C" fn handle(_: c_int) {
    HANDLED.store(true, Ordering::SeqCst);
}

/// A lease keeps the program's file from being opened, like a server that does not answer. Meanwhile the caller handles
/// signals, and set*id in other threads does not wait for it.
fn a_slow_file_system_holds_up_nobody_else() {
    let folder = Folder::new("slow");
    let program = folder.program("slow");
    let file = File::open(&program).unwrap();
    // SAFETY: the handler only notes that it has run, and the lease is on a file of ours.
    let leased = unsafe {
        libc::signal(libc::SIGUSR1, handle as *const () as libc::sighandler_t);
        libc::signal(libc::SIGIO, libc::SIG_IGN);
        libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) == 0
    };
    if !leased {
        return common::skip(&format!("no lease: {}", io::Error::last_os_error()));
    }
    let (tell, told) = std::sync::mpsc::channel();
    let caller = thread::spawn(move || {
        // SAFETY: the call takes no arguments.
        tell.send(unsafe { libc::pthread_self() } as usize).unwrap();
        Command::new(program).status()
    });
    let thread = told.recv().unwrap();
    let end = Instant::now() + common::limit();
    let within = |what: &str, is: &dyn Fn() -> bool| {
        while !is() {
            assert!(Instant::now() < end, "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    };
    // The lease has another type while somebody waits for its end.
    // SAFETY: the descriptor is ours.
    let lease = || unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) };
    within("nobody has opened the program", &|| lease() != libc::F_WRLCK);
    // SAFETY: the thread has not been joined.
    common::ok(unsafe { libc::pthread_kill(thread as libc::pthread_t, libc::SIGUSR1) });
    within("the caller handles no signal", &|| HANDLED.load(Ordering::SeqCst));
    // This waits until each thread has handled a signal.
    // SAFETY: the call takes no pointers.
    common::ok(unsafe { libc::setuid(libc::getuid()) });
    assert!(!caller.is_finished(), "it has been held up");
    // SAFETY: the descriptor is ours.
    common::ok(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) });
    match caller.join().unwrap() {
        Ok(status) => assert_eq!(status.code(), Some(DONE), "{status}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ExecutableFileBusy, "{error}"),
    }
}
