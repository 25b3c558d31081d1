//! How a task that shared this program's memory ended, and what follows from it (S1).
//!
//! A thread returns or panics; whatever else ends it ends its process. The same holds for a task that
//! shares memory: it may have left locks held, values half moved, atexit handlers run.

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

/// waitpid(2): None if, with `WNOHANG`, the child has not ended.
///
/// # Errors
///
/// `ECHILD`: there is no such child, or somebody else has waited for it.
pub(crate) fn wait(pid: libc::pid_t, options: c_int) -> io::Result<Option<ExitStatus>> {
    let mut status = 0;
    // SAFETY: a place for the status.
    let pid = uninterrupted(|| unsafe { libc::waitpid(pid, &mut status, options) })?;
    Ok((pid != 0).then(|| ExitStatus::from_raw(status)))
}

/// The result of a system call, made again whenever a signal interrupts it.
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

/// Waits for the kernel to clear the word, as it does when the child's memory is no longer its own.
///
/// Neither function that is called here touches TLS while the child lives: syscall(2) stores errno
/// only when the call fails. futex(2) fails with `EAGAIN` when the word has changed, which is the
/// child's end. In `call` and `spawn` it does not fail with `EINTR`, as the handlers of libc's own signals, the only ones
/// open, let it be restarted. A caller of `Command` keeps its TLS. The first call of syscall(2), which a lazily bound
/// program looks up in its TLS, is behind us: `Task::new` has made one.
pub(crate) fn wait_for_zero(word: &AtomicU32) {
    while word.load(Ordering::Acquire) != 0 {
        sleep_while(word, 1);
    }
}

/// Sleeps until the word has another value, and now and then wakes without a cause.
pub(crate) fn sleep_while(word: &AtomicU32, value: u32) {
    // SAFETY: a futex word that lives during the call. The kernel wakes it as a shared one.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, ptr::null::<u8>()) };
}

/// Sleeps between two looks at what cannot be waited for: shortly at first, then longer, 5 ms at most.
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
    /// It executes another program.
    Executed,
    /// Somebody else has waited for it, with `__WALL` or `__WCLONE`.
    Stolen,
}

impl End {
    /// Waits until the whole of the child is gone, its last thread too (S8), or it executes another program.
    ///
    /// It has no exit signal (S5), so that `__WCLONE` sees it. execve(2) makes it a child that sends SIGCHLD, which is
    /// what a plain waitid(2) sees. `alone`: its first thread was its last one, so that none is left to execute a program.
    pub(crate) fn of(pid: libc::pid_t, alone: bool) -> Self {
        let mut pause = Pause::new();
        let options = if alone { libc::__WCLONE } else { libc::__WCLONE | libc::WNOHANG };
        loop {
            match wait(pid, options) {
                // A tracee, which the program itself traces, stops where it executes a program.
                Ok(Some(status)) if status.stopped_signal().is_some() => return Self::Executed,
                Ok(Some(status)) => return Self::Status(status),
                // Its first thread has ended and another one has not. That one may still execute a program.
                Ok(None) => pause.sleep(),
                Err(_) if !alone && sends_sigchld(pid) => return Self::Executed,
                Err(_) => return Self::Stolen,
            }
        }
    }
}

/// Whether there is a child with this pid that sends SIGCHLD. Its status is left to whoever waits for it.
fn sends_sigchld(pid: libc::pid_t) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: a place for what is told of the child.
    unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, info.as_mut_ptr(), options) == 0 }
}

/// Ends the program as that end of a task in its memory would have, had the task been a thread.
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

// From here on nothing may wait for a lock: that of stderr or of abort(3) may belong to a thread of
// the child, which is gone. So system calls, and none through a wrapper that might take one.

/// Says the reason, and ends the calling process by `SIGABRT`.
pub(crate) fn abort(reason: std::fmt::Arguments<'_>) -> ! {
    let mut line = io::Cursor::new([0_u8; 160]);
    // Cut off if it does not fit.
    _ = writeln!(line, "clone-trampoline: {reason}");
    let length = line.position() as usize;
    // SIG_DFL, no flags, an empty mask
    let default = KernelAction::default();
    let mut abort_only = [0 as c_ulong; NSIG / c_ulong::BITS as usize];
    abort_only[0] = 1 << (libc::SIGABRT - 1);
    // SAFETY: buffers of ours, of the sizes that are given or larger.
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
    // Where SIGABRT does not kill: the init of a pid namespace. What a shell makes of it.
    exit_group(128 + libc::SIGABRT)
}

fn exit_group(code: c_int) -> ! {
    loop {
        // SAFETY: ends the process, without the atexit handlers: if they were to run, the child has run them.
        unsafe { libc::syscall(libc::SYS_exit_group, code) };
    }
}
