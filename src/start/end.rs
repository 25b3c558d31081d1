//! How a task that shared this program's memory ended, and what follows from it (S1).
//!
//! A thread returns or panics. If it ends in another way, its whole process ends. A task that shares memory is treated
//! in the same way, because it may have left locks held or values half moved, or have run atexit handlers.

#![allow(unsafe_code)]

use super::arch::NSIG;
use super::kernel_signals::KernelAction;
use std::ffi::{c_int, c_ulong};
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// Calls waitpid(2). Returns None if the child has not ended and the options have `WNOHANG`.
///
/// # Errors
///
/// `ECHILD`: there is no such child, or other code has waited for it.
pub(crate) fn wait(pid: libc::pid_t, options: c_int) -> io::Result<Option<ExitStatus>> {
    let mut status = 0;
    // SAFETY: `status` has room for the status.
    let pid = uninterrupted(|| unsafe { libc::waitpid(pid, &mut status, options) })?;
    Ok((pid != 0).then(|| ExitStatus::from_raw(status)))
}

/// Returns the result of a system call, and repeats the call whenever a signal interrupts it.
pub(crate) fn uninterrupted(mut call: impl FnMut() -> c_int) -> io::Result<c_int> {
    loop {
        match call() {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            result => return Ok(result),
        }
    }
}

/// Waits until the kernel clears the word. It does that when the child no longer has this memory.
///
/// In `call` and `spawn`, this touches no TLS while the child lives. syscall(2) stores errno only if the call fails.
/// futex(2) fails with `EAGAIN` if the word has changed, but then the child is gone. It does not fail with `EINTR`,
/// because only libc's own signals are open, and their handlers let the call be restarted. A lazily bound program looks
/// syscall(2) up at its first call, and uses its TLS for that. `Task::new` has already made such a call.
pub(crate) fn wait_for_zero(word: &AtomicU32) {
    while word.load(Ordering::Acquire) != 0 {
        sleep_while(word, 1);
    }
}

/// Sleeps until the word has another value. It may also wake without a cause. A caller of `Command` keeps its TLS, so
/// there futex(2) may fail.
pub(crate) fn sleep_while(word: &AtomicU32, value: u32) {
    // SAFETY: the word lives during the call. The futex is not a private one, because the kernel wakes it as a shared
    // one.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, ptr::null::<u8>()) };
}

/// Sleeps between two checks of something that cannot be waited for. The first sleep is short, and each one is twice as
/// long as the one before, up to 5 ms.
#[derive(Debug)]
pub(crate) struct Pause(Duration);

impl Pause {
    pub(crate) const fn new() -> Self {
        Self(Duration::from_micros(20))
    }

    pub(crate) fn sleep(&mut self) {
        thread::sleep(self.0);
        self.0 = (2 * self.0).min(Duration::from_millis(5));
    }
}

/// How a child that shared this program's memory ended.
#[derive(Debug)]
pub(crate) enum End {
    Status(ExitStatus),
    /// The child has executed another program.
    Executed,
    /// Other code has waited for the child, with `__WALL` or `__WCLONE`.
    Stolen,
}

impl End {
    /// Waits until the child and all its threads are gone (S8), or until it executes another program. The child's first
    /// thread no longer has the memory when this is called.
    ///
    /// The child has no exit signal (S5), so `__WCLONE` finds it. execve(2) makes it a child that sends SIGCHLD, and a
    /// plain waitid(2) finds such a child. `alone` means that the child's first thread was the last one, so no other
    /// thread can execute a program.
    pub(crate) fn of(pid: libc::pid_t, alone: bool) -> Self {
        let mut pause = Pause::new();
        let options = if alone { libc::__WCLONE } else { libc::__WCLONE | libc::WNOHANG };
        loop {
            match wait(pid, options) {
                // The program itself traces the child. The child's first thread no longer has the memory. So it has
                // ended, and cannot stop any more, or the child has executed a program.
                Ok(Some(status)) if status.stopped_signal().is_some() => return Self::Executed,
                Ok(Some(status)) => return Self::Status(status),
                // The child's first thread has ended and another one has not. That one may still execute a program.
                Ok(None) => pause.sleep(),
                Err(_) if !alone && sends_sigchld(pid) => return Self::Executed,
                Err(_) => return Self::Stolen,
            }
        }
    }
}

/// Returns whether there is a child with this pid that sends SIGCHLD. Its status stays for others to collect.
fn sends_sigchld(pid: libc::pid_t) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` has room for what waitid(2) stores.
    unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, info.as_mut_ptr(), options) == 0 }
}

/// Ends the program as if a thread of it had ended in this way.
pub(crate) fn end_like(end: End, pid: libc::pid_t) -> ! {
    let abort = |how| abort(format_args!("process {pid}, which shared this program's memory, {how}"));
    match end {
        End::Status(status) => match (status.code(), status.signal()) {
            (Some(code), _) => exit_group(code),
            (_, signal) => abort(format_args!("was killed by signal {}", signal.unwrap_or(0))),
        },
        End::Executed => abort(format_args!("executed another program")),
        End::Stolen => abort(format_args!("ended, and somebody else waited for it")),
    }
}

// From here on nothing may wait for a lock. The lock of stderr or of abort(3) may belong to a thread of the child,
// which is gone. So only system calls are made, and none through a wrapper that might take a lock.

/// Writes the reason to stderr, and ends the calling process by `SIGABRT`.
pub(crate) fn abort(reason: std::fmt::Arguments<'_>) -> ! {
    let mut line = io::Cursor::new([0_u8; 160]);
    // The line is cut off if it does not fit.
    _ = writeln!(line, "clone-trampoline: {reason}");
    let length = line.position() as usize;
    // This is SIG_DFL, without flags and with an empty mask.
    let default = KernelAction::default();
    let mut abort_only = [0 as c_ulong; NSIG / c_ulong::BITS as usize];
    abort_only[0] = 1 << (libc::SIGABRT - 1);
    // SAFETY: the buffers are ours, and have the sizes that are given or are larger.
    unsafe {
        libc::syscall(libc::SYS_write, 2, line.get_ref().as_ptr(), length);
        libc::syscall(libc::SYS_rt_sigaction, libc::SIGABRT, default.as_ptr(), ptr::null::<u8>(), NSIG / 8);
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_UNBLOCK,
            abort_only.as_ptr(),
            ptr::null::<u8>(),
            NSIG / 8,
        );
        let (pid, tid) = (libc::syscall(libc::SYS_getpid), libc::syscall(libc::SYS_gettid));
        libc::syscall(libc::SYS_tgkill, pid, tid, libc::SIGABRT);
    }
    // SIGABRT does not kill the init of a pid namespace. It exits with the status that a shell shows for SIGABRT.
    exit_group(128 + libc::SIGABRT)
}

fn exit_group(code: c_int) -> ! {
    loop {
        // SAFETY: the call ends the process without the atexit handlers. If the child has called exit(3), it has run
        // them.
        unsafe { libc::syscall(libc::SYS_exit_group, code) };
    }
}
