//! What the suites share: stacks, memory that every kind of child shares, bounded waiting, and skips that
//! are counted.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

pub mod cgroup;

use std::ffi::{c_int, c_long, c_void};
use std::ops::Deref;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How wait4(3) is a system call: riscv32 never had the one of its name.
#[cfg(not(target_arch = "riscv32"))]
pub const SYS_WAIT4: c_long = libc::SYS_wait4;
#[cfg(target_arch = "riscv32")]
pub const SYS_WAIT4: c_long = libc::SYS_waitid;

/// rseq(2), which the libc crate does not have for riscv32.
#[cfg(not(target_arch = "riscv32"))]
pub const SYS_RSEQ: c_long = libc::SYS_rseq;
#[cfg(target_arch = "riscv32")]
pub const SYS_RSEQ: c_long = 293;

/// How many processes of `in_process` lie around this one.
static DEPTH: AtomicU32 = AtomicU32::new(0);

/// Longer than anything takes that does not hang, under emulation too. TEST_LIMIT has it in seconds. A
/// process within another has half of the other's time: the innermost says what hangs.
pub fn limit() -> Duration {
    let seconds = std::env::var("TEST_LIMIT").ok().and_then(|limit| limit.parse().ok());
    Duration::from_secs(seconds.unwrap_or(30)) / (1 << DEPTH.load(Ordering::Relaxed))
}

/// Says on the real stderr, past libtest's capture, that this test could not be done here, or not
/// wholly. CI counts the tests that say so.
pub fn skip(reason: &str) {
    say("SKIP", reason);
}

fn say(what: &str, text: &str) {
    let thread = std::thread::current();
    let line = format!("{what} {}: {text}\n", thread.name().unwrap_or("?"));
    // SAFETY: a buffer of ours and its length.
    unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
}

/// The kernel's release: (6, 12) for "6.12.38+deb13-amd64".
pub fn release() -> (u32, u32) {
    // SAFETY: uname fills a struct of ours with strings.
    let text = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        assert_eq!(libc::uname(&mut name), 0);
        std::ffi::CStr::from_ptr(name.release.as_ptr()).to_string_lossy().into_owned()
    };
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().expect(&text));
    (numbers.next().expect(&text), numbers.next().expect(&text))
}

/// Root with the capabilities that namespaces and set_tid need (root of a container has not).
pub fn privileged() -> bool {
    // CAP_SYS_ADMIN is bit 21 of CapEff.
    let status = std::fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let line = status.lines().find(|line| line.starts_with("CapEff:")).expect("CapEff");
    let bits = u64::from_str_radix(line[7..].trim(), 16).expect("hexadecimal");
    bits & (1 << 21) != 0
}

pub fn page() -> usize {
    // SAFETY: no arguments to get wrong.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("a page size")
}

fn map(size: usize, prot: c_int, flags: c_int) -> *mut u8 {
    // SAFETY: a new mapping replaces nothing.
    let base = unsafe { libc::mmap(ptr::null_mut(), size, prot, flags | libc::MAP_ANONYMOUS, -1, 0) };
    assert_ne!(base, libc::MAP_FAILED, "mmap of {size} bytes: {}", std::io::Error::last_os_error());
    base.cast()
}

/// A stack with an inaccessible page at either end: its top lies against an unmapped page.
#[derive(Debug)]
pub struct Stack {
    pub base: *mut u8,
    pub size: usize,
}

impl Stack {
    /// Enough for a test's child, an unwinder included.
    pub fn new() -> Self {
        Self::of(256 * 1024)
    }

    /// `size` is a multiple of the page.
    pub fn of(size: usize) -> Self {
        let mapping = map(size + 2 * page(), libc::PROT_NONE, libc::MAP_PRIVATE);
        // SAFETY: the inner pages of our new mapping.
        unsafe {
            let base = mapping.add(page());
            let rc = libc::mprotect(base.cast(), size, libc::PROT_READ | libc::PROT_WRITE);
            assert_eq!(rc, 0, "mprotect: {}", std::io::Error::last_os_error());
            Self { base, size }
        }
    }

    pub fn top(&self) -> *mut u8 {
        // SAFETY: one past the end.
        unsafe { self.base.add(self.size) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping of `of`, which no child uses any more: each test waits for its own.
        unsafe { libc::munmap(self.base.sub(page()).cast(), self.size + 2 * page()) };
    }
}

/// A value in memory that children see whether they share memory or copy it.
#[derive(Debug)]
pub struct Shared<T>(*mut T);

impl<T> Shared<T> {
    pub fn new(value: T) -> Self {
        let place: *mut T = map(size_of::<T>(), libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED).cast();
        // SAFETY: fresh, page-aligned memory of that size.
        unsafe { place.write(value) };
        Self(place)
    }

    pub fn as_ptr(&self) -> *mut T {
        self.0
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: written by `new`, mapped until drop; tests read what a child wrote after its end,
        // or through atomics.
        unsafe { &*self.0 }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`.
        unsafe { libc::munmap(self.0.cast(), size_of::<T>()) };
    }
}

/// qemu-user and valgrind make a fork of a VM|VFORK child: what it writes stays its own. libc's clone is
/// asked, as a broken trampoline must not turn tests into skips.
pub fn emulated() -> bool {
    static EMULATED: OnceLock<bool> = OnceLock::new();
    extern "C" fn set(word: *mut c_void) -> c_int {
        // SAFETY: the parent's local, which outlives the call.
        unsafe { word.cast::<i32>().write_volatile(1) };
        42
    }
    *EMULATED.get_or_init(|| {
        let mut word = 0;
        let stack = Stack::new();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: a stack of its own for a child that writes one word while we sleep.
        let tid = unsafe { libc::clone(set, stack.top().cast(), flags, (&raw mut word).cast()) };
        assert!(tid > 0, "libc's clone: {}", std::io::Error::last_os_error());
        assert_eq!(wait(tid as isize).code(), Some(42));
        // SAFETY: a local; the child is gone.
        unsafe { (&raw const word).read_volatile() == 0 }
    })
}

/// Waits for a child, whatever its exit signal; one that hangs is killed and fails the test.
pub fn wait(tid: isize) -> ExitStatus {
    let tid = c_int::try_from(tid).expect("a tid");
    let deadline = Instant::now() + limit();
    let mut status = 0;
    loop {
        // SAFETY: a place for the status.
        match unsafe { libc::waitpid(tid, &mut status, libc::WNOHANG | libc::__WALL) } {
            0 if Instant::now() < deadline => std::thread::sleep(Duration::from_micros(200)),
            0 => {
                // SAFETY: our own child, not yet waited for.
                unsafe {
                    libc::kill(tid, libc::SIGKILL);
                    libc::waitpid(tid, &mut status, libc::__WALL);
                }
                panic!("child {tid} hangs");
            }
            -1 => panic!("waitpid({tid}): {}", std::io::Error::last_os_error()),
            _ => return ExitStatus::from_raw(status),
        }
    }
}

/// Waits until the process of a pidfd has ended.
pub fn ended(pidfd: c_int) {
    let mut poll = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd.
    let ready = unsafe { libc::poll(&mut poll, 1, limit().as_millis() as c_int) };
    // a task that is reaped, too, hangs up besides
    assert!(ready == 1 && poll.revents & libc::POLLIN != 0, "not readable: {:#x}", poll.revents);
}

pub fn close(fd: c_int) {
    // SAFETY: a descriptor of ours that nobody uses any more.
    assert_eq!(unsafe { libc::close(fd) }, 0);
}

/// Waits until a thread's end has cleared its tid and woken the futex. The kernel's wake is not
/// private, so the wait must not be.
pub fn wait_for_zero(word: &AtomicI32) {
    let deadline = Instant::now() + limit();
    loop {
        let value = word.load(Ordering::Acquire);
        if value == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "the tid is not cleared: {value}");
        futex_wait(word, value, deadline - Instant::now());
    }
}

/// Sleeps while the word has this value. Who is not woken fails, even if the word has changed meanwhile.
fn futex_wait(word: &AtomicI32, value: i32, limit: Duration) {
    let timeout = libc::timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos() as _ };
    // SAFETY: a futex word and a timeout that live during the call.
    let rc = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, &timeout) };
    let errno = std::io::Error::last_os_error().raw_os_error();
    let awake = rc == 0 || errno == Some(libc::EAGAIN) || errno == Some(libc::EINTR);
    assert!(awake, "futex {value}, now {}: errno {errno:?}", word.load(Ordering::Acquire));
}

/// Runs `f` in a process of one thread, where nothing else maps memory, forks or waits.
pub fn in_process(f: impl FnOnce() -> c_int) -> ExitStatus {
    // SAFETY: libc's fork leaves its own locks usable in the child, which ends with _exit.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            DEPTH.fetch_add(1, Ordering::Relaxed);
            // SAFETY: who waits for this process takes it along.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let code = catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
                // libtest's capture would keep it to this process
                say("PANIC", panic.downcast_ref::<String>().map_or("of a test's process", |text| text));
                101
            });
            // SAFETY: ends this process.
            unsafe { libc::_exit(code) }
        }
        pid => wait(pid as isize),
    }
}

/// Root who can become `nobody`, as one of a user namespace with a single user cannot.
pub fn can_give_up_root() -> bool {
    // SAFETY: in a process of one thread.
    privileged() && in_process(|| unsafe { 77 + libc::setresuid(65534, 65534, 65534) }).code() == Some(77)
}

/// The result of a libc call that must not fail.
pub fn ok(rc: c_int) {
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
}

/// Gives up root.
pub fn nobody() {
    // SAFETY: in a process of one thread.
    ok(unsafe { libc::setresuid(65534, 65534, 65534) });
}

/// The next child is the first process of a new pid namespace.
pub fn new_pid_namespace() {
    // SAFETY: in a process of one thread.
    ok(unsafe { libc::unshare(libc::CLONE_NEWPID) });
}

/// Makes one system call fail with EPERM in this process and its children.
pub fn refuse(number: u32) {
    seccomp(number, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
}

/// Has seccomp do `action` at one system call of this process and its children.
pub fn seccomp(number: u32, action: u32) {
    let op = |code: u32, k, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // seccomp_data.nr
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number, 0, 1),
        op(libc::BPF_RET | libc::BPF_K, action, 0, 0),
        op(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: a filter that lives during the calls.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let rc = libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program);
        assert_eq!(rc, 0, "seccomp: {}", std::io::Error::last_os_error());
    }
}
