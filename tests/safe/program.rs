//! Runs this test program again, for cases in which it is expected to end in an unusual way.

use crate::common::{in_process, limit};
use clone_trampoline::{Builder, Error, Stage, call, spawn};
use std::env;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io::{Cursor, Read, Seek, Write};
use std::os::fd::FromRawFd;
use std::os::unix::process::ExitStatusExt;
use std::panic::{catch_unwind, resume_unwind};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

const VARIABLE: &str = "CLONE_TRAMPOLINE_CASE";

/// Whether this is such a program.
pub(crate) fn is_case() -> bool {
    env::var_os(VARIABLE).is_some()
}

/// How a program ended, and what it wrote to stderr.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

impl End {
    #[track_caller]
    pub(crate) fn is_exit(&self, code: i32) {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
    }

    #[track_caller]
    pub(crate) fn is_abort(&self, line: &str) {
        assert_eq!(self.status.signal(), Some(libc::SIGABRT), "{self:?}");
        assert!(self.stderr.contains(line), "{line:?} is not in {self:?}");
    }
}

/// Runs `body` in a program of its own, with one thread and nothing captured, and returns how that program ended.
/// `test` is the name of the calling test, which also runs in that program. There, cases other than the wanted one
/// return None.
pub(crate) fn program(test: &str, case: &str, body: impl FnOnce()) -> Option<End> {
    match env::var(VARIABLE) {
        Ok(wanted) if wanted == case => {
            tell_faults();
            body();
            end(0)
        }
        Ok(_) => return None,
        Err(_) => {}
    }
    let mut stderr = memory_file();
    let mut command = Command::new(env::current_exe().expect("the test's own program"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(VARIABLE, case).env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr.try_clone().expect("dup"));
    let mut child = command.spawn().expect("the test's own program");
    let deadline = Instant::now() + limit();
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().expect("kill");
            panic!("{test}, {case}: the program hangs");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let mut text = String::new();
    stderr.rewind().expect("rewind");
    stderr.read_to_string(&mut text).expect("what the program wrote");
    Some(End { status, stderr: text })
}

/// Ends the program, but not by std's exit. That unmaps the signal stack of the main thread, which may still run on it
/// in glibc's handler for set*id.
fn end(code: c_int) -> ! {
    // SAFETY: nothing else calls exit(3) here. The handlers of atexit(3) run.
    unsafe { libc::exit(code) }
}

/// Prints the cause of a SIGSEGV of this program, before std's handler runs. If the program ends by a SIGSEGV and
/// prints nothing, the kernel could not deliver it: there was no room for a frame, or the area of rseq(2) was missing.
fn tell_faults() {
    static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();
    extern "C" fn handler(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
        let mut line = Cursor::new([0_u8; 120]);
        // SAFETY: the kernel passes a valid `info`, and `before` is the action that was there before.
        unsafe {
            let (code, place) = ((*info).si_code, (*info).si_addr());
            let tid = libc::syscall(libc::SYS_gettid);
            _ = writeln!(line, "SIGSEGV, si_code {code}, at {place:p}, thread {tid}");
            libc::write(2, line.get_ref().as_ptr().cast(), line.position() as usize);
            if let Some(before) = BEFORE.get() {
                libc::sigaction(libc::SIGSEGV, before, std::ptr::null_mut());
            }
        }
    }
    // SAFETY: the values have the right types, and the handler calls only what a handler may call.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        let mut before = std::mem::zeroed();
        crate::common::ok(libc::sigaction(libc::SIGSEGV, &action, &mut before));
        _ = BEFORE.set(before);
    }
}

/// Runs `body` in a program of its own, like [`program`]. `body` must not panic.
#[track_caller]
pub(crate) fn passes(test: &str, case: &str, body: impl FnOnce()) {
    let end = program(test, case, || {
        body();
        end(42)
    });
    if let Some(end) = end {
        end.is_exit(42);
    }
}

fn memory_file() -> File {
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"stderr".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "memfd_create");
    // Otherwise two processes that write at once would overwrite each other's text.
    // SAFETY: the file descriptor is our own.
    unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_APPEND) };
    // SAFETY: the file descriptor is new, and nobody else has it.
    unsafe { File::from_raw_fd(fd) }
}

/// The two ways to run a closure in a child that shares memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Call,
    Spawn,
}

impl Way {
    pub(crate) const BOTH: [Way; 2] = [Way::Call, Way::Spawn];

    pub(crate) fn run<T: Send + 'static>(self, f: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        self.run_with(&Builder::new(), f)
    }

    pub(crate) fn run_with<T: Send + 'static>(
        self,
        builder: &Builder<'_>,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        match self {
            Way::Call => builder.call(f),
            Way::Spawn => builder.spawn(f).map(|handle| handle.join().expect("no panic")),
        }
    }
}

/// Returns whether memory can be shared here. If not, counts the test as skipped.
pub(crate) fn shares_memory() -> bool {
    if is_case() {
        return true; // or the program would not have been started
    }
    match call(|| ()) {
        Ok(()) => true,
        Err(error) if error.stage() == Stage::SharedMemory => {
            crate::common::skip(&error.to_string());
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Returns whether std can catch a panic here. If not, counts the test as skipped. On x32, std's `_Unwind_Exception`
/// has words of 32 bits, but the unwinder's has 64. The unwinder overwrites the data by which std recognises its own
/// panics.
pub(crate) fn catches_panics() -> bool {
    if is_case() {
        return true; // or the program would not have been started
    }
    let end = in_process(|| {
        _ = catch_unwind(|| resume_unwind(Box::new(())));
        77
    });
    let catches = end.code() == Some(77);
    if !catches {
        crate::common::skip(&format!("std does not catch a panic here: {end}"));
    }
    catches
}

/// Returns the value. If the kernel or a filter does not allow it, returns None and counts a skip.
#[track_caller]
pub(crate) fn if_allowed<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error)
            if matches!(error.raw_os_error(), libc::EPERM | libc::ENOSYS | libc::ENOSPC | libc::EACCES) =>
        {
            crate::common::skip(&error.to_string());
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Returns 0, 1, ... up to 299. An emulated machine stops earlier, because time is limited.
pub(crate) fn rounds() -> impl Iterator<Item = u32> {
    let start = Instant::now();
    (0..300).take_while(move |_| start.elapsed() < limit() / 10)
}

/// Waits, for a bounded time, until `done` is true.
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit();
    while !done() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process runs: it exists and is no zombie.
pub(crate) fn runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with(['Z', 'X'])))
}

/// A spawned closure that never ends.
pub(crate) fn spawn_for_ever() -> u32 {
    spawn(|| {
        loop {
            thread::sleep(Duration::from_secs(1));
        }
    })
    .expect("spawn")
    .id()
}
