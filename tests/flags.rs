//! Compares the table of conflicts with the running kernel. A set of flags that the kernel allows is not refused with
//! `EINVAL`, and a set that it forbids is refused. This covers all pairs of flags, and random sets with a fixed seed.

mod common;

use clone_trampoline::raw::{CloneArgs, clone_trampoline, clone3_trampoline};
use clone_trampoline::{CloneFlags, Conflict, Syscall};
use common::{Stack, limit, skip};
use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

const ONLY_CLONE3: CloneFlags = CloneFlags::NEWTIME
    .union(CloneFlags::CLEAR_SIGHAND)
    .union(CloneFlags::INTO_CGROUP)
    .union(CloneFlags::AUTOREAP)
    .union(CloneFlags::NNP)
    .union(CloneFlags::PIDFD_AUTOKILL)
    .union(CloneFlags::EMPTY_MNTNS);

unsafe extern "C" fn ends_at_once(_: *mut c_void) -> c_int {
    0
}

/// Starts a child with these flags and waits for its end, however it is announced. Returns the tid or -errno.
fn start(call: Syscall, flags: CloneFlags, exit_signal: c_int, stack: &Stack) -> c_long {
    // The kernel stores values here. Nothing reads them.
    static TID: AtomicI32 = AtomicI32::new(0);
    static CHILD_TID: AtomicI32 = AtomicI32::new(0);
    static PIDFD: AtomicI32 = AtomicI32::new(-1);
    PIDFD.store(-1, Ordering::Relaxed);
    let args = CloneArgs {
        flags: flags.bits(),
        pidfd: PIDFD.as_ptr() as u64,
        child_tid: CHILD_TID.as_ptr() as u64,
        parent_tid: TID.as_ptr() as u64,
        exit_signal: exit_signal as u64,
        stack: stack.base as u64,
        stack_size: stack.size as u64,
        // No cgroup has this descriptor, so the error is EBADF.
        cgroup: i32::MAX as u64,
        ..CloneArgs::default()
    };
    let pidfd_or_tid = if flags.contains(CloneFlags::PIDFD) { &PIDFD } else { &TID };
    // SAFETY: the child has its own stack and uses no TLS. It is gone before the stack is used again.
    let tid = unsafe {
        match call {
            Syscall::Clone => clone_trampoline(
                Some(ends_at_once),
                stack.top().cast(),
                (flags.bits() | exit_signal as u64) as c_ulong,
                ptr::null_mut(),
                pidfd_or_tid.as_ptr(),
                ptr::null_mut(),
                CHILD_TID.as_ptr(),
            ),
            Syscall::Clone3 => {
                clone3_trampoline(&args, size_of::<CloneArgs>(), Some(ends_at_once), ptr::null_mut())
            }
            other => unreachable!("{other:?} is no call that this test knows"),
        }
    };
    if tid > 0 {
        let deadline = Instant::now() + limit();
        // SAFETY: the tid was our child's, and the pidfd is ours.
        unsafe {
            while libc::waitpid(tid as c_int, ptr::null_mut(), libc::__WALL | libc::WNOHANG) != tid as c_int
                && libc::syscall(libc::SYS_tkill, tid, 0) == 0
            {
                if Instant::now() > deadline {
                    tell(&format!("{flags:?} does not end"));
                    libc::_exit(1)
                }
                libc::sched_yield();
            }
            libc::close(PIDFD.load(Ordering::Relaxed));
        }
    }
    tid
}

/// Writes to the real stderr. Output that libtest captures in a forked process is lost.
fn tell(line: &str) {
    let line = format!("{line}\n");
    // SAFETY: the length is that of the buffer.
    unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
}

/// xorshift64: the same sets in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

struct Kernel {
    calls: Vec<Syscall>,
    /// Flags that it knows.
    known: CloneFlags,
    /// Since Linux 6.9.
    pidfd_of_thread: bool,
    stack: Stack,
}

impl Kernel {
    fn look() -> Self {
        let stack = Stack::of(16 * common::page());
        let works = |flags| start(Syscall::Clone3, flags, 0, &stack) != -c_long::from(libc::EINVAL);
        let clone3 = start(Syscall::Clone3, CloneFlags::empty(), 0, &stack);
        let mut calls = vec![Syscall::Clone];
        if clone3 > 0 {
            calls.push(Syscall::Clone3);
        } else {
            skip(&format!("clone3: errno {}", -clone3));
        }
        // The argument of SETTLS differs between architectures, and SETTLS has no conflicts.
        let mut known = CloneFlags::all() - CloneFlags::SETTLS;
        for flag in ONLY_CLONE3 - CloneFlags::PIDFD_AUTOKILL {
            if !works(flag) {
                known.remove(flag);
            }
        }
        if !works(CloneFlags::PIDFD_AUTOKILL | CloneFlags::PIDFD | CloneFlags::AUTOREAP | CloneFlags::NNP) {
            known.remove(CloneFlags::PIDFD_AUTOKILL);
        }
        let thread = CloneFlags::VM | CloneFlags::SIGHAND | CloneFlags::THREAD | CloneFlags::PIDFD;
        let pidfd_of_thread = start(Syscall::Clone, thread, 0, &stack) > 0;
        Self { calls, known, pidfd_of_thread, stack }
    }

    /// Whether the table and the kernel agree about a set of flags.
    fn agrees(&self, call: Syscall, mut flags: CloneFlags, exit_signal: c_int) -> bool {
        flags &= self.known;
        if call == Syscall::Clone {
            flags -= ONLY_CLONE3;
        }
        let mut expected = Conflict::find(flags, exit_signal, call).map(Conflict::message);
        if flags.contains(CloneFlags::PIDFD | CloneFlags::THREAD) && !self.pidfd_of_thread {
            expected = Some("PIDFD of a THREAD, before Linux 6.9");
        }
        let result = start(call, flags, exit_signal, &self.stack);
        let right = match expected {
            Some(_) => result < 0,
            None => result != -c_long::from(libc::EINVAL),
        };
        if !right {
            tell(&format!("{call:?} {flags:?} exit signal {exit_signal}: {result}, expected {expected:?}"));
        }
        right
    }
}

/// Runs `f` in a process with privileges, if they can be had. Its parent reaps everything that it leaves.
fn in_family(f: impl FnOnce() -> bool) {
    let mut status = 0;
    // SAFETY: the calls get room for the statuses, and the processes have one thread.
    unsafe {
        let parent = libc::fork();
        if parent == 0 {
            // This limits the time of both processes.
            libc::alarm(280);
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
            let child = libc::fork();
            if child == 0 {
                if libc::geteuid() != 0 {
                    libc::unshare(libc::CLONE_NEWUSER);
                }
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::_exit(if catch_unwind(AssertUnwindSafe(f)).is_ok_and(|right| right) { 42 } else { 1 });
            }
            while libc::waitpid(-1, &mut status, libc::__WALL) != child {}
            libc::_exit(libc::WEXITSTATUS(status))
        }
        libc::waitpid(parent, &mut status, 0);
    }
    assert_eq!(ExitStatus::from_raw(status).code(), Some(42), "see above");
}

#[test]
fn pairs() {
    if common::emulated() {
        return skip("an emulator has rules of its own");
    }
    in_family(|| {
        let kernel = Kernel::look();
        // Each base has flags that other flags need, so that the pair itself is tested.
        let sharing = [CloneFlags::VM, CloneFlags::VM | CloneFlags::SIGHAND];
        let bases = [
            CloneFlags::empty(),
            sharing[0],
            sharing[1],
            CloneFlags::VM | CloneFlags::SIGHAND | CloneFlags::THREAD,
            CloneFlags::PIDFD | CloneFlags::AUTOREAP,
        ];
        let mut right = true;
        for &call in &kernel.calls {
            for base in bases {
                for a in kernel.known {
                    for b in kernel.known {
                        // A network namespace takes long to make.
                        let slow = !base.is_empty() && (CloneFlags::NEWNET == a || CloneFlags::NEWNET == b);
                        if a.bits() > b.bits() || slow {
                            continue;
                        }
                        right &= kernel.agrees(call, base | a | b, 0);
                        // No rule connects VM or SIGHAND with the exit signal, so the other bases show them all.
                        if !sharing.contains(&base) {
                            right &= kernel.agrees(call, base | a | b, libc::SIGCHLD);
                        }
                    }
                }
            }
        }
        right
    });
}

#[test]
fn random_sets() {
    if common::emulated() {
        return skip("an emulator has rules of its own");
    }
    in_family(|| {
        let start = Instant::now();
        let kernel = Kernel::look();
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut right = true;
        for n in 0..20_000 {
            // An emulated machine takes ten times as long.
            if n >= 1_000 && start.elapsed() > Duration::from_secs(5) {
                tell(&format!("the first {n} of 20000 sets"));
                break;
            }
            let r = random.next();
            let call = kernel.calls[r as usize % kernel.calls.len()];
            let exit_signal = if r & 0x100 == 0 { 0 } else { libc::SIGCHLD };
            // Sets with few flags are as frequent as sets with many.
            let mut bits = random.next();
            for _ in 0..(r >> 9) % 4 {
                bits &= random.next();
            }
            let mut flags = CloneFlags::from_bits_truncate(bits);
            if (r >> 16) % 50 != 0 {
                flags.remove(CloneFlags::NEWNET);
            }
            right &= kernel.agrees(call, flags, exit_signal);
        }
        right
    });
}
