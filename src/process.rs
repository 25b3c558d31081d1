//! The handle to a child process that has its own memory. The child runs a closure of `fork`, or a program.

#![allow(unsafe_code)]

use crate::start::end::{Pause, uninterrupted};
use crate::{Error, Stage};
use std::ffi::c_int;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{self, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output};
use std::ptr;
use std::time::{Duration, Instant};

/// A child process: a program of a [`Command`](crate::Command), or a closure of [`fork`](crate::fork).
///
/// This is like [`std::process::Child`], with a pidfd. Dropping it neither kills the child nor waits for it.
///
/// ```
/// use clone_trampoline::{Command, Stdio};
/// use std::io::{Read, Write};
///
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// child.stdin.take().unwrap().write_all(b"through a pipe")?;
/// let mut text = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut text)?;
/// assert_eq!(text, "through a pipe");
/// assert!(child.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// ```
/// use clone_trampoline::Builder;
/// use std::os::unix::process::ExitStatusExt;
///
/// // SAFETY: the closure takes no lock and owns nothing.
/// let mut child = unsafe {
///     Builder::new().without_pidfd().fork(|| loop {
///         libc::pause();
///     })
/// }?;
/// assert_ne!(child.id(), std::process::id());
/// assert!(child.pidfd().is_none());
/// assert!(child.try_wait()?.is_none());
/// child.kill()?;
/// assert_eq!(child.wait()?.signal(), Some(libc::SIGKILL));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Child {
    /// The writing end of the program's stdin, if stdin is [piped](crate::Stdio::piped).
    pub stdin: Option<ChildStdin>,
    /// The reading end of the program's stdout, if stdout is piped.
    pub stdout: Option<ChildStdout>,
    /// The reading end of the program's stderr, if stderr is piped.
    pub stderr: Option<ChildStderr>,
    pid: libc::pid_t,
    pidfd: Option<OwnedFd>,
    /// Whether other code waited for the child before there was a pidfd. Then the pid may name another process.
    gone: bool,
    /// The status, once the child has been waited for. From then on the pid may name another process.
    status: Option<ExitStatus>,
}

impl Child {
    pub(crate) const fn new(pid: libc::pid_t, pidfd: Option<OwnedFd>) -> Self {
        Self { stdin: None, stdout: None, stderr: None, pid, pidfd, gone: false, status: None }
    }

    /// Records that the child has been waited for.
    pub(crate) fn has_ended(&mut self, status: ExitStatus) {
        self.status = Some(status);
    }

    /// Records that other code has waited for the child.
    pub(crate) fn is_gone(&mut self) {
        (self.pidfd, self.gone) = (None, true);
    }

    pub(crate) fn set_pidfd(&mut self, pidfd: OwnedFd) {
        self.pidfd = Some(pidfd);
    }

    /// Calls waitid(2), with the pidfd if there is one. Returns None if the child has not ended.
    fn wait_id(&self, options: c_int) -> io::Result<Option<ExitStatus>> {
        if self.gone {
            return Err(io::Error::from_raw_os_error(libc::ECHILD));
        }
        let (mut kind, mut id) = match &self.pidfd {
            Some(pidfd) => (libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t),
            None => (libc::P_PID, self.pid as libc::id_t),
        };
        loop {
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            // A child that was killed before it executed its program has no exit signal, so only `__WALL` finds it.
            // With a pid alone, `__WALL` could find a child of `call`, so it is not used then.
            let all = if kind == libc::P_PIDFD { libc::__WALL } else { 0 };
            // SAFETY: `info` has room for what waitid(2) stores.
            let waited = uninterrupted(|| unsafe {
                libc::waitid(kind, id, info.as_mut_ptr(), options | libc::WEXITED | all)
            });
            match waited {
                Ok(_) => {}
                // Other code has made the pidfd non-blocking, by a duplicate of it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [libc::pollfd { fd: id as c_int, events: libc::POLLIN, revents: 0 }], None)?;
                    continue;
                }
                // Before Linux 5.4, waitid(2) takes no pidfd.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) && kind == libc::P_PIDFD => {
                    (kind, id) = (libc::P_PID, self.pid as libc::id_t);
                    continue;
                }
                Err(error) => return Err(error),
            }
            // SAFETY: `info` was zeroed, and waitid(2) has only filled it in.
            let info = unsafe { info.assume_init() };
            // SAFETY: waitid(2) stores these fields for a child. Otherwise they are still zero.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            return Ok((pid != 0).then(|| {
                ExitStatus::from_raw(match info.si_code {
                    libc::CLD_EXITED => (status & 0xff) << 8,
                    libc::CLD_DUMPED => status | 0x80,
                    libc::CLD_TRAPPED | libc::CLD_STOPPED => (status & 0xff) << 8 | 0x7f,
                    _ => status,
                })
            }));
        }
    }

    /// Fails if other code has waited for the child.
    pub(crate) fn is_there(&self) -> io::Result<()> {
        self.wait_id(libc::WNOHANG | libc::WNOWAIT).map(|_| ())
    }

    /// Returns the child's pid. Once the child has been waited for, another process may get this pid.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid as u32
    }

    /// Returns the child's pidfd. It is close-on-exec, and readable once the child has ended. It is None after
    /// [`without_pidfd`](crate::Command::without_pidfd).
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Closes the child's stdin, and then waits until the child has ended. If this program traces the child with
    /// ptrace(2), the status can be that of a stop. In that case the child has not ended.
    ///
    /// # Errors
    ///
    /// `ECHILD`: other code has waited for the child, or `SIGCHLD` is ignored. Since Linux 6.15 the kernel keeps the
    /// status for the pidfd, and there is no such error.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        let status = self.wait_or_look(0)?;
        Ok(status.expect("it has ended, as there was no WNOHANG"))
    }

    /// Returns the status if the child has ended, without waiting.
    ///
    /// # Errors
    ///
    /// The errors are those of [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.wait_or_look(libc::WNOHANG)
    }

    /// Waits until the child has ended, but not longer than `limit`. Returns None if it has not ended by then. Unlike
    /// [`wait`](Self::wait), it leaves the child's stdin open.
    ///
    /// It does not read stdout and stderr. A program that has filled a pipe waits for a reader, so send them to a file, or
    /// read them in a thread. [`kill`](Self::kill) reaches one process. What that one has started keeps running, and keeps
    /// the pipes open. To end all of them, start the program with `NEWPID`, in a [`cgroup`](crate::Command::cgroup), or in
    /// a process group of its own, as in the second example.
    ///
    /// # Errors
    ///
    /// The errors are those of [`wait`](Self::wait), and stage [`Pidfd`](Stage::Pidfd), `EBADF`, without a pidfd.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mut child = clone_trampoline::Command::new("sleep").arg("100").spawn()?;
    /// assert!(child.wait_timeout(Duration::from_millis(10))?.is_none());
    /// child.kill()?;
    /// assert!(child.wait_timeout(Duration::from_secs(100))?.is_some());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// ```
    /// use clone_trampoline::{Command, Stdio};
    /// use std::io::Read;
    /// use std::time::Duration;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo begun; sleep 100; echo done"]).stdout(Stdio::piped()).process_group(0);
    /// let mut child = command.spawn()?;
    /// let mut stdout = child.stdout.take().expect("it is piped");
    /// let reader = std::thread::spawn(move || {
    ///     let mut all = String::new();
    ///     stdout.read_to_string(&mut all).map(|_| all)
    /// });
    /// if child.wait_timeout(Duration::from_millis(500))?.is_none() {
    ///     // SAFETY: the call has no pointers. The group is the child's, which has not been waited for.
    ///     unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    ///     child.wait()?;
    /// }
    /// assert_eq!(reader.join().expect("no panic")?, "begun\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait_timeout(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        if self.status.is_some() {
            return Ok(self.status);
        }
        let Some(pidfd) = &self.pidfd else {
            return Err(Error::new(
                Stage::Pidfd,
                libc::EBADF,
                "wait_timeout takes a pidfd, which without_pidfd does not give",
            )
            .into());
        };
        let fd = pidfd.as_raw_fd();
        let end = Instant::now().checked_add(limit);
        let mut pause = Pause::new();
        loop {
            poll(&mut [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }], end)?;
            let status = self.try_wait()?;
            if status.is_some() || end.is_some_and(|end| end <= Instant::now()) {
                return Ok(status);
            }
            // The child has ended, but its tracer has not waited for it yet.
            pause.sleep();
        }
    }

    fn wait_or_look(&mut self, options: c_int) -> io::Result<Option<ExitStatus>> {
        if self.status.is_some() {
            return Ok(self.status);
        }
        let status = match (self.wait_id(options), &self.pidfd) {
            (Err(error), Some(pidfd)) if error.raw_os_error() == Some(libc::ECHILD) => {
                Some(kept_status(pidfd.as_fd()).ok_or(error)?)
            }
            (status, _) => status?,
        };
        self.status = status.filter(|status| status.stopped_signal().is_none());
        Ok(status)
    }

    /// Reads stdout and stderr to the end, if they are piped, and waits for the child.
    ///
    /// # Errors
    ///
    /// The errors are those of read(2) and of [`wait`](Self::wait).
    ///
    /// ```
    /// use clone_trampoline::{Command, Stdio};
    ///
    /// let child = Command::new("echo").arg("said").stdout(Stdio::piped()).spawn()?;
    /// assert_eq!(child.wait_with_output()?.stdout, b"said\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        match (self.stdout.take(), self.stderr.take()) {
            (None, None) => {}
            (Some(mut pipe), None) => _ = pipe.read_to_end(&mut stdout)?,
            (None, Some(mut pipe)) => _ = pipe.read_to_end(&mut stderr)?,
            (Some(out), Some(err)) => read_both(out.into(), &mut stdout, err.into(), &mut stderr)?,
        }
        Ok(Output { status: self.wait()?, stdout, stderr })
    }

    /// Kills the child with `SIGKILL`. It still has to be waited for. Does nothing if it has been waited for.
    ///
    /// # Errors
    ///
    /// The errors are those of pidfd_send_signal(2), such as `ESRCH` if other code has waited for the child. Without a
    /// pidfd they are those of kill(2), and `ECHILD` if other code has waited for the child.
    pub fn kill(&mut self) -> io::Result<()> {
        self.send_signal(libc::SIGKILL)
    }

    /// Sends the child a signal. Does nothing if it has been waited for.
    ///
    /// The first process of a pid namespace (`NEWPID`) only gets `SIGKILL` and the signals that it handles.
    ///
    /// # Errors
    ///
    /// The errors are those of [`kill`](Self::kill), and `EINVAL` if there is no such signal.
    ///
    /// ```
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut child = clone_trampoline::Command::new("sleep").arg("100").spawn()?;
    /// child.send_signal(libc::SIGTERM)?;
    /// assert_eq!(child.wait()?.signal(), Some(libc::SIGTERM));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_signal(&self, signal: c_int) -> io::Result<()> {
        if self.status.is_some() {
            return Ok(());
        }
        if let Some(pidfd) = &self.pidfd {
            let null = ptr::null::<libc::siginfo_t>();
            // SAFETY: the only pointer is null.
            if unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, null, 0) } == 0
            {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            // A filter may refuse this call. If the sender may not signal the child, kill(2) fails in the same way.
            if !matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) {
                return Err(error);
            }
        }
        // Without this check, the pid may name another process.
        self.is_there()?;
        // SAFETY: the call takes no pointers.
        if unsafe { libc::kill(self.pid, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Returns the status that the kernel keeps for a pidfd when the process is reaped, even if other code has reaped it
/// (`PIDFD_INFO_EXIT`, Linux 6.15).
fn kept_status(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    /// The first version of `struct pidfd_info` in uapi/linux/pidfd.h.
    #[repr(C)]
    struct Info {
        mask: u64,
        cgroup: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    const EXIT: u64 = 1 << 3;
    // This is _IOWR(0xFF, 11, struct pidfd_info). Its highest bits are the same on every architecture.
    const GET_INFO: u32 = 3 << 30 | (size_of::<Info>() as u32) << 16 | 0xff << 8 | 11;
    let ask = || {
        let mut info = Info { mask: EXIT, cgroup: 0, ids: [0; 11], exit_code: 0 };
        // SAFETY: `info` has the size that is part of the request's number.
        let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
        (result == 0).then_some(info)
    };
    // The kernel looks several times to make one answer. If the child is reaped between two looks, the answer is ESRCH,
    // or it has no parent. The next answer has the status.
    let mut info = ask().or_else(ask)?;
    let [_pid, _tgid, parent, ..] = info.ids;
    if info.mask & EXIT == 0 {
        if parent == process::id() {
            // A child of ours that cannot be waited for is being reaped. POLLHUP comes when that is done.
            poll(&mut [libc::pollfd { fd: pidfd.as_raw_fd(), events: 0, revents: 0 }], None).ok()?;
        }
        info = ask()?;
    }
    (info.mask & EXIT != 0).then(|| ExitStatus::from_raw(info.exit_code))
}

/// Calls poll(2) until something is ready or the time is over. With None there is no limit.
fn poll(fds: &mut [libc::pollfd], end: Option<Instant>) -> io::Result<()> {
    loop {
        let mut left = None;
        let ready = uninterrupted(|| {
            left = end.map(|end| end.saturating_duration_since(Instant::now()));
            // This rounds up, so as not to spin in the last millisecond.
            let milliseconds = left
                .map_or(-1, |left| c_int::try_from(left.as_micros().div_ceil(1000)).unwrap_or(c_int::MAX));
            // SAFETY: the kernel reads and writes the elements of `fds` only.
            unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, milliseconds) }
        })?;
        if ready > 0 || left.is_some_and(|left| left.is_zero()) {
            return Ok(());
        }
    }
}

/// Reads two pipes at once, because the child may wait for a reader of one while the other is still open.
fn read_both(out: OwnedFd, stdout: &mut Vec<u8>, err: OwnedFd, stderr: &mut Vec<u8>) -> io::Result<()> {
    let mut pipes = [Some((std::fs::File::from(out), stdout)), Some((std::fs::File::from(err), stderr))];
    for (pipe, _) in pipes.iter().flatten() {
        let mut on: c_int = 1;
        // SAFETY: the descriptor is ours, and FIONBIO reads an int.
        if unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONBIO as _, &raw mut on) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    while pipes.iter().any(Option::is_some) {
        let fd = |pipe: &Option<(std::fs::File, _)>| pipe.as_ref().map_or(-1, |(pipe, _)| pipe.as_raw_fd());
        let mut fds = [&pipes[0], &pipes[1]].map(|pipe| libc::pollfd {
            fd: fd(pipe),
            events: libc::POLLIN,
            revents: 0,
        });
        poll(&mut fds, None)?;
        for (place, ready) in pipes.iter_mut().zip(fds) {
            let Some((pipe, text)) = place else { continue };
            if ready.revents == 0 {
                continue;
            }
            match pipe.read_to_end(text) {
                Ok(_) => *place = None,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
