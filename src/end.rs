//! How a task that shared this program's memory ended, and what follows from it (S1).
//!
//! A thread returns or panics; whatever else ends it ends its process. The same holds for a task that
//! shares memory: it may have left locks held, values half moved, atexit handlers run.

#![allow(unsafe_code)]

use crate::arch::NSIG;
use std::ffi::{c_int, c_ulong};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};

/// Waits until the whole of a child process is gone, its last thread too (S8).
///
/// # Errors
///
/// `ECHILD`: somebody else has waited for it, with `__WALL`.
pub(crate) fn wait(pid: libc::pid_t) -> io::Result<ExitStatus> {
    let mut status = 0;
    loop {
        // SAFETY: a place for the status. S5: without __WALL a child without an exit signal is not seen.
        if unsafe { libc::waitpid(pid, &mut status, libc::__WALL) } == pid {
            return Ok(ExitStatus::from_raw(status));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Whether a child that was started without an exit signal has called execve(2): that makes it
/// SIGCHLD, and a plain waitpid(2) sees such children alone.
pub(crate) fn executes_another_program(pid: libc::pid_t) -> bool {
    let mut status = 0;
    // SAFETY: a place for the status.
    let result = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
    result != -1 || io::Error::last_os_error().raw_os_error() != Some(libc::ECHILD)
}

/// The pid of the first process in this memory that called exit(3).
static EXITED: AtomicI32 = AtomicI32::new(0);

/// Lets [`has_exited`] know of exits from now on. The kernel does not: exit(0), called by a thread of
/// the child after the closure has returned, looks like the end of any child.
pub(crate) fn watch_exits() {
    extern "C" fn exits() {
        // SAFETY: no arguments to get wrong.
        let pid = unsafe { libc::getpid() };
        // A second one changes nothing: the parent of the first ends the program.
        _ = EXITED.compare_exchange(0, pid, Ordering::Relaxed, Ordering::Relaxed);
    }
    static WATCHING: Once = Once::new();
    // SAFETY: a function that may run at any exit. If libc has no memory for it, that one exit(0)
    // goes unnoticed.
    WATCHING.call_once(|| _ = unsafe { libc::atexit(exits) });
}

/// Whether that child has run the atexit handlers of the program.
pub(crate) fn has_exited(pid: libc::pid_t) -> bool {
    EXITED.load(Ordering::Relaxed) == pid
}

/// Ends the program as the end of a task in its memory would have, had it been a thread.
pub(crate) fn end_like(status: io::Result<ExitStatus>, pid: libc::pid_t) -> ! {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => exit_group(code),
            (_, signal) => abort(format_args!(
                "process {pid}, which shared this program's memory, was killed by signal {}",
                signal.unwrap_or(0)
            )),
        },
        Err(_) => abort(format_args!(
            "process {pid}, which shared this program's memory, ended, and somebody else waited for it"
        )),
    }
}

/// Ends the program because a task in its memory has executed another one.
pub(crate) fn end_executed(pid: libc::pid_t) -> ! {
    abort(format_args!("process {pid}, which shared this program's memory, executed another program"))
}

// From here on nothing may wait for a lock: that of stderr or of abort(3) may belong to a thread of
// the child, which is gone. So system calls, and none through a wrapper that might take one.

fn abort(reason: std::fmt::Arguments<'_>) -> ! {
    let mut line = io::Cursor::new([0_u8; 160]);
    // Cut off if it does not fit.
    _ = writeln!(line, "clone-trampoline: {reason}");
    let length = line.position() as usize;
    // The kernel's struct sigaction of any architecture: zero is SIG_DFL, no flags, an empty mask.
    let default = [0_u64; 16];
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
        // SAFETY: ends the process, without the atexit handlers, which the child has run already.
        unsafe { libc::syscall(libc::SYS_exit_group, code) };
    }
}
