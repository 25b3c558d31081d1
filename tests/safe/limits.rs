//! The known differences from a thread, which the docs list as limits. Each test shows the behaviour of today.

use crate::common::{Stack, limit, page, skip};
use crate::program::{Way, passes, program, runs, shares_memory, until};
use clone_trampoline::{Builder, SafeFlags, call, spawn};
use linux_raw_sys::io_uring as uring;
use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// glibc looks for the tid in the caller's process. musl looks for the tid alone.
#[test]
fn pthread_kill_of_a_thread_of_the_parent_is_esrch() {
    if !shares_memory() {
        return;
    }
    let sleeper = thread::spawn(thread::park);
    // SAFETY: the thread is not joined yet, and signal 0 is only looked up.
    let result = call(|| unsafe {
        libc::pthread_kill(std::os::unix::thread::JoinHandleExt::as_pthread_t(&sleeper) as libc::pthread_t, 0)
    });
    assert_eq!(result, Ok(if cfg!(target_env = "musl") { 0 } else { libc::ESRCH }));
    sleeper.thread().unpark();
    sleeper.join().unwrap();
}

/// For libc's other functions, pthread_self is the tid of the thread that sleeps.
#[test]
fn scheduling_of_oneself_is_the_sleeping_threads() {
    fn policy() -> c_int {
        // musl's own function has no answer.
        // SAFETY: the call takes no pointers.
        unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) as c_int }
    }
    if !shares_memory() {
        return;
    }
    passes("limits::scheduling_of_oneself_is_the_sleeping_threads", "call", || {
        let inside = call(|| {
            // SAFETY: all zeros are parameters, and those of a policy that anybody may take.
            let errno =
                unsafe { libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_BATCH, &zeroed()) };
            (errno, policy())
        });
        assert_eq!(inside, Ok((0, libc::SCHED_OTHER)));
        assert_eq!(policy(), libc::SCHED_BATCH);
    });
}

#[test]
fn affinity_of_oneself_is_the_sleeping_threads() {
    fn cpus() -> (libc::cpu_set_t, c_int) {
        // SAFETY: the call gets room for the set, which is all zeros if nothing is stored.
        unsafe {
            let mut set = zeroed();
            assert_eq!(libc::sched_getaffinity(0, size_of_val(&set), &mut set), 0);
            (set, libc::CPU_COUNT(&set))
        }
    }
    if !shares_memory() {
        return;
    }
    let (all, count) = cpus();
    if count < 2 {
        return skip("needs two CPUs");
    }
    passes("limits::affinity_of_oneself_is_the_sleeping_threads", "call", || {
        let inside = call(|| {
            // SAFETY: the set has one CPU, which exists.
            let errno = unsafe {
                let mut one = zeroed();
                libc::CPU_SET((0..).find(|&cpu| libc::CPU_ISSET(cpu, &all)).unwrap(), &mut one);
                libc::pthread_setaffinity_np(libc::pthread_self(), size_of_val(&one), &one)
            };
            (errno, cpus().1)
        });
        assert_eq!((inside, cpus().1), (Ok((0, count)), 1));
    });
}

/// The kernel knows the owner of a contended mutex with priority inheritance by its tid.
#[test]
fn a_contended_pi_mutex_stays_locked() {
    use std::cell::UnsafeCell;
    use std::mem::MaybeUninit;
    struct Mutex(UnsafeCell<libc::pthread_mutex_t>);
    // SAFETY: that is what it is for.
    unsafe impl Sync for Mutex {}
    static HELD: AtomicBool = AtomicBool::new(false);
    static CHILD: AtomicU32 = AtomicU32::new(0);
    static MUTEX: Mutex = Mutex(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
    if !shares_memory() {
        return;
    }
    let end = program("limits::a_contended_pi_mutex_stays_locked", "call", || {
        let mutex = MUTEX.0.get();
        // SAFETY: the mutex is in a static, and is initialised before it is used.
        unsafe {
            let mut kind = MaybeUninit::uninit();
            libc::pthread_mutexattr_init(kind.as_mut_ptr());
            libc::pthread_mutexattr_setprotocol(kind.as_mut_ptr(), libc::PTHREAD_PRIO_INHERIT);
            libc::pthread_mutex_init(mutex, kind.as_ptr());
        }
        let holder = thread::spawn(|| {
            // SAFETY: as above.
            unsafe { libc::pthread_mutex_lock(MUTEX.0.get()) };
            HELD.store(true, Ordering::SeqCst);
            let stat = |pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            until("the child's sleep, or its end", || {
                let pid = CHILD.load(Ordering::SeqCst);
                pid != 0 && (stat(pid).contains(") S ") || !runs(pid as i32))
            });
            // SAFETY: as above.
            unsafe { libc::pthread_mutex_unlock(MUTEX.0.get()) };
        });
        until("the lock", || HELD.load(Ordering::SeqCst));
        let inside = call(|| {
            CHILD.store(std::process::id(), Ordering::SeqCst);
            let mutex = MUTEX.0.get();
            // SAFETY: as above.
            unsafe { (libc::pthread_mutex_lock(mutex), libc::pthread_mutex_unlock(mutex)) }
        });
        holder.join().unwrap();
        // SAFETY: as above.
        let after = unsafe { libc::pthread_mutex_trylock(mutex) };
        eprintln!("limit {inside:?} {after}");
    });
    if let Some(end) = end {
        end.is_exit(0);
        let lock = if cfg!(target_env = "musl") { libc::EBUSY } else { 0 };
        assert!(
            end.stderr.contains(&format!("limit Ok(({lock}, {})) {}", libc::EPERM, libc::EBUSY)),
            "{end:?}"
        );
    }
}

/// A process that the closure starts is a child of the inner process, which has to wait for it. When the inner process
/// has ended, init does.
#[test]
fn a_command_started_inside_must_be_waited_for_inside() {
    if !shares_memory() {
        return;
    }
    // This needs a program of its own, because the tests may themselves be the init of a container.
    passes("limits::a_command_started_inside_must_be_waited_for_inside", "call", || {
        let mut command = Command::new("/proc/self/exe");
        command.arg("--list").stdout(std::process::Stdio::null());
        let mut child = call(|| command.spawn().unwrap()).unwrap();
        assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    });
}

/// musl's handler uses the TLS that the child has, so the waiting thread has to block the signal.
#[test]
#[cfg(target_env = "musl")]
fn set_id_by_another_thread_waits_for_the_child() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        passes("limits::set_id_by_another_thread_waits_for_the_child", &format!("{way:?}"), || {
            static INSIDE: AtomicBool = AtomicBool::new(false);
            static OVER: AtomicBool = AtomicBool::new(false);
            let other = thread::spawn(|| {
                until("the child", || INSIDE.load(Ordering::SeqCst));
                // SAFETY: the call takes no pointers.
                unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) };
                assert!(OVER.load(Ordering::SeqCst));
            });
            let closure = || {
                INSIDE.store(true, Ordering::SeqCst);
                // Meanwhile set*id must not return.
                thread::sleep(Duration::from_millis(300));
                OVER.store(true, Ordering::SeqCst);
            };
            way.run(closure).unwrap();
            other.join().unwrap();
        });
    }
}

/// Meanwhile set*id holds the lock of musl's threads.
#[test]
#[cfg(target_env = "musl")]
fn set_id_by_another_thread_and_a_thread_inside_wait_for_each_other() {
    use std::os::unix::process::ExitStatusExt;
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        let case = format!("{way:?}");
        let end = program(
            "limits::set_id_by_another_thread_and_a_thread_inside_wait_for_each_other",
            &case,
            || {
                static INSIDE: AtomicBool = AtomicBool::new(false);
                let pid = std::process::id() as i32;
                let other = thread::spawn(|| {
                    until("the child", || INSIDE.load(Ordering::SeqCst));
                    // SAFETY: the call takes no pointers.
                    unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) };
                });
                // Neither thread ends in this time.
                let killer = thread::spawn(move || {
                    until("the child", || INSIDE.load(Ordering::SeqCst));
                    thread::sleep(Duration::from_millis(600));
                    // SAFETY: the pid is the program's own.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                });
                _ = way.run(|| {
                    INSIDE.store(true, Ordering::SeqCst);
                    // By then set*id has begun.
                    thread::sleep(Duration::from_millis(200));
                    thread::spawn(|| ()).join().unwrap();
                });
                drop((other, killer));
            },
        );
        if let Some(end) = end {
            assert_eq!(end.status.signal(), Some(libc::SIGKILL), "{end:?}");
        }
    }
}

/// As S8 says, a call does not end before the threads that its closure has left. A pool never ends.
#[test]
fn a_thread_that_never_ends_is_waited_for() {
    if !shares_memory() {
        return;
    }
    passes("limits::a_thread_that_never_ends_is_waited_for", "spawn", || {
        let handle = spawn(|| {
            thread::spawn(|| {
                loop {
                    thread::sleep(Duration::from_secs(1));
                }
            });
        })
        .unwrap();
        thread::sleep(Duration::from_millis(200));
        assert!(!handle.is_finished());
    });
}

/// Installs a handler for SIGUSR1 that counts.
fn count_signals() {
    extern "C" fn count(_: c_int) {
        SIGNALS.fetch_add(1, Ordering::SeqCst);
    }
    // SAFETY: the handler only counts.
    unsafe { libc::signal(libc::SIGUSR1, count as *const () as libc::sighandler_t) };
}
static SIGNALS: AtomicU32 = AtomicU32::new(0);

/// Sends a signal to the group, as Ctrl-C does.
fn signal_the_group() {
    // SAFETY: the test has made this process's group.
    unsafe { libc::kill(0, libc::SIGUSR1) };
}

#[test]
fn a_signal_to_the_group_is_handled_by_each() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        passes("limits::a_signal_to_the_group_is_handled_by_each", &format!("{way:?}"), || {
            // SAFETY: the call takes no pointers.
            unsafe { libc::setpgid(0, 0) };
            count_signals();
            way.run(|| {
                signal_the_group();
                until("the child's handler", || SIGNALS.load(Ordering::SeqCst) > 0);
            })
            .unwrap();
            until("the program's handler", || SIGNALS.load(Ordering::SeqCst) == 2);
        });
    }
}

#[test]
fn a_signal_without_a_handler_inside_ends_the_program() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        let test = "limits::a_signal_without_a_handler_inside_ends_the_program";
        let end = program(test, &format!("{way:?}"), || {
            // SAFETY: the call takes no pointers.
            unsafe { libc::setpgid(0, 0) };
            count_signals();
            let cleared = Builder::new().flags(SafeFlags::CLEAR_SIGHAND);
            let result = way.run_with(&cleared, || {
                signal_the_group();
                thread::sleep(limit());
            });
            // before Linux 5.5
            eprintln!("was killed by signal: {result:?}");
            std::process::abort()
        });
        if let Some(end) = end {
            end.is_abort("was killed by signal");
        }
    }
}

/// signal-hook and others install a handler once, and remember that they did.
#[test]
fn a_handler_of_the_childs_own_table_is_remembered_outside() {
    static INSTALLED: std::sync::Once = std::sync::Once::new();
    if !shares_memory() {
        return;
    }
    passes("limits::a_handler_of_the_childs_own_table_is_remembered_outside", "call", || {
        let own = Builder::new().share_sighand(false);
        own.call(|| INSTALLED.call_once(count_signals)).unwrap();
        INSTALLED.call_once(count_signals);
        // SAFETY: `action` has room for the action.
        let action = unsafe {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            libc::sigaction(libc::SIGUSR1, ptr::null(), action.as_mut_ptr());
            action.assume_init().sa_sigaction
        };
        assert_eq!(action, libc::SIG_DFL);
    });
}

/// This is how some libraries notice a fork.
#[test]
fn a_pid_that_is_remembered_is_one_sides() {
    use std::process::id;
    use std::sync::OnceLock;
    static FIRST_INSIDE: OnceLock<u32> = OnceLock::new();
    if !shares_memory() {
        return;
    }
    let outside = id();
    for way in Way::BOTH {
        assert_eq!(way.run(move || outside == id()), Ok(false), "{way:?}");
    }
    assert_eq!(call(|| *FIRST_INSIDE.get_or_init(id) == id()), Ok(true));
    assert_ne!(*FIRST_INSIDE.get_or_init(id), id());
}

#[test]
fn thread_locals_of_a_spawned_closure_are_dropped_outside() {
    struct Here(std::sync::mpsc::Sender<u32>);
    impl Drop for Here {
        fn drop(&mut self) {
            self.0.send(std::process::id()).unwrap();
        }
    }
    thread_local!(static LOCAL: std::cell::RefCell<Option<Here>> = const { std::cell::RefCell::new(None) });
    if !shares_memory() {
        return;
    }
    let (told, tells) = std::sync::mpsc::channel();
    spawn(move || LOCAL.set(Some(Here(told)))).unwrap().join().unwrap();
    assert_eq!(tells.recv_timeout(limit()), Ok(std::process::id()));
}

#[test]
fn a_timer_made_inside_is_anothers_outside() {
    fn timer() -> libc::timer_t {
        let mut timer = ptr::null_mut();
        // SAFETY: the call gets room for the timer, which notifies nobody.
        unsafe {
            let mut silent: libc::sigevent = zeroed();
            silent.sigev_notify = libc::SIGEV_NONE;
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &mut silent, &mut timer), 0);
        }
        timer
    }
    if !shares_memory() {
        return;
    }
    passes("limits::a_timer_made_inside_is_anothers_outside", "call", || {
        let mine = timer() as usize;
        assert_eq!(call(|| timer() as usize), Ok(mine));
    });
}

#[test]
fn the_clock_of_a_thread_begins_anew() {
    fn clock() -> Duration {
        let mut time = MaybeUninit::uninit();
        // SAFETY: the call gets room for the time.
        let time = unsafe {
            assert_eq!(libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, time.as_mut_ptr()), 0);
            time.assume_init()
        };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    if !shares_memory() {
        return;
    }
    until("some work of this thread", || {
        std::hint::black_box((0..100_000).fold(1_u64, |product, n| product.wrapping_mul(n | 1)));
        clock() > Duration::from_millis(20)
    });
    assert!(call(clock).unwrap() < clock());
}

/// The program gives up its privileges, but the child keeps them. The program may then no longer kill the child. On
/// musl, the program would wait for the child before it gives them up.
#[test]
#[cfg(not(target_env = "musl"))]
fn a_child_keeps_what_the_program_gives_up() {
    if !shares_memory() {
        return;
    }
    if !crate::common::can_give_up_root() {
        return skip("takes root");
    }
    let end = program("limits::a_child_keeps_what_the_program_gives_up", "spawn", || {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let handle = spawn(move || {
            _ = wait.recv();
            // SAFETY: the call takes no arguments.
            eprintln!("uid {} inside", unsafe { libc::syscall(libc::SYS_geteuid) });
        });
        crate::common::nobody();
        // SAFETY: as above.
        eprintln!("uid {} outside", unsafe { libc::syscall(libc::SYS_geteuid) });
        drop(go);
        handle.unwrap().join().unwrap();
    });
    if let Some(end) = end {
        end.is_exit(0);
        assert!(end.stderr.contains("uid 65534 outside") && end.stderr.contains("uid 0 inside"), "{end:?}");
    }
}

#[test]
fn timers_are_the_childs() {
    if !shares_memory() {
        return;
    }
    passes("limits::timers_are_the_childs", "both", || {
        for way in Way::BOTH {
            // SAFETY: the call takes no pointers, and the alarm does not come.
            way.run(|| unsafe { libc::alarm(10_000) }).unwrap();
            // SAFETY: as above.
            assert_eq!(unsafe { libc::alarm(0) }, 0, "{way:?}");
        }
    });
}

/// The number of page faults that these tests cause. They touch fresh memory page by page.
const FAULTS: u64 = 64;

fn fault() {
    let fresh = Stack::of(FAULTS as usize * page());
    for n in 0..FAULTS as usize {
        // SAFETY: within the mapping.
        unsafe { fresh.base.add(n * page()).write_volatile(1) };
    }
}

#[test]
fn getrusage_is_the_childs() {
    fn faults() -> u64 {
        let mut usage = MaybeUninit::uninit();
        // SAFETY: `usage` has room for the answer, and the call stores all of it.
        unsafe {
            assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
            usage.assume_init().ru_minflt as u64
        }
    }
    if !shares_memory() {
        return;
    }
    fault();
    assert!(faults() >= FAULTS);
    for way in Way::BOTH {
        let inside = way.run(faults).unwrap();
        assert!(inside < FAULTS, "{way:?}: {inside}");
    }
}

/// Opens a counter of the calling task's page faults. Returns None, as a skip, if the kernel or a filter refuses.
fn counter() -> Option<File> {
    /// This is the first version of the struct, which every kernel takes.
    #[repr(C)]
    struct Attributes {
        kind: u32,
        size: u32,
        config: u64,
        unused: [u64; 3],
        flags: u64,
        unused_too: [u64; 2],
    }
    const SOFTWARE: u32 = 1;
    const PAGE_FAULTS: u64 = 2;
    // These are bits 5 and 6 of a C bit-field. They leave out the kernel and the hypervisor.
    const FLAGS: u64 = 3 << 5;
    let attributes = Attributes {
        kind: SOFTWARE,
        size: size_of::<Attributes>() as u32,
        config: PAGE_FAULTS,
        unused: [0; 3],
        flags: if cfg!(target_endian = "big") { FLAGS.reverse_bits() } else { FLAGS },
        unused_too: [0; 2],
    };
    let (of_caller, any_cpu, no_group, no_flags) = (0, -1, -1, 0_usize);
    // SAFETY: the attributes have the size that they contain.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &attributes, of_caller, any_cpu, no_group, no_flags)
    };
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // SAFETY: the file descriptor is new, and nobody else has it.
        _ if fd >= 0 => Some(unsafe { File::from_raw_fd(fd as c_int) }),
        Some(libc::EACCES | libc::EPERM | libc::ENOSYS) => {
            skip(&format!("perf_event_open: {error}"));
            None
        }
        _ => panic!("perf_event_open: {error}"),
    }
}

fn count(counter: &File) -> u64 {
    let mut value = [0; 8];
    let mut counter = counter;
    assert_eq!(counter.read(&mut value).unwrap(), 8);
    u64::from_ne_bytes(value)
}

#[test]
fn perf_counters_are_of_one_side_alone() {
    if !shares_memory() {
        return;
    }
    let Some(callers) = counter() else { return };
    fault();
    let before = count(&callers);
    if before < FAULTS && page() > 4096 {
        return skip(&format!("{before} faults for {FAULTS} large pages: this kernel maps several at once"));
    }
    assert!(before >= FAULTS, "{before}");
    let childs = call(|| {
        let childs = counter().expect("as outside");
        fault();
        fault();
        childs
    });
    let during = count(&callers) - before;
    assert!(during < FAULTS, "{during}");
    let childs = childs.unwrap();
    let inside = count(&childs);
    assert!(inside >= 2 * FAULTS, "{inside}");
    fault();
    assert_eq!(count(&childs), inside);
}

/// A ring with one entry in each direction. A submission is always the first entry, and so is the next completion.
struct Ring {
    file: File,
    /// The kernel shares these: indices, requests and completions.
    tail: *mut AtomicU32,
    request: *mut uring::io_uring_sqe,
    head: *mut AtomicU32,
    completed: *mut AtomicU32,
    completions: *mut uring::io_uring_cqe,
    entries: u32,
}

impl Ring {
    /// Returns None, as a skip, if the kernel or a filter refuses.
    fn new() -> Option<Self> {
        // SAFETY: all zeros are valid parameters, and the kernel stores its own there.
        let (fd, params) = unsafe {
            let mut params: uring::io_uring_params = zeroed();
            (libc::syscall(libc::SYS_io_uring_setup, 1, &mut params), params)
        };
        let error = io::Error::last_os_error();
        if fd < 0 && matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) {
            skip(&format!("io_uring_setup: {error}"));
            return None;
        }
        assert!(fd >= 0, "io_uring_setup: {error}");
        // One page of each is enough. The pages stay mapped.
        let map = |offset: u32| {
            let (prot, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
            // SAFETY: the new mapping replaces nothing.
            let base = unsafe { libc::mmap(ptr::null_mut(), page(), prot, shared, fd as c_int, offset as _) };
            assert_ne!(base, libc::MAP_FAILED, "{offset:#x}: {}", io::Error::last_os_error());
            base.cast::<u8>()
        };
        let (sq, cq) = (map(uring::IORING_OFF_SQ_RING), map(uring::IORING_OFF_CQ_RING));
        // SAFETY: the file descriptor is new, and the kernel gives the offsets.
        unsafe {
            Some(Self {
                file: File::from_raw_fd(fd as c_int),
                tail: sq.add(params.sq_off.tail as usize).cast(),
                request: map(uring::IORING_OFF_SQES).cast(),
                head: cq.add(params.cq_off.head as usize).cast(),
                completed: cq.add(params.cq_off.tail as usize).cast(),
                completions: cq.add(params.cq_off.cqes as usize).cast(),
                entries: params.cq_entries,
            })
        }
    }

    /// Asks for one byte of a file.
    fn read(&self, file: c_int, byte: *mut u8) {
        // SAFETY: the array of indices is all zeros, so this is the first entry, and the kernel reads it within the
        // call.
        unsafe {
            *self.request = zeroed();
            (*self.request).opcode = uring::io_uring_op::IORING_OP_READ as u8;
            (*self.request).fd = file;
            (*self.request).__bindgen_anon_2.addr = byte as u64;
            (*self.request).len = 1;
            (*self.tail).fetch_add(1, Ordering::Release);
            let ring = self.file.as_raw_fd();
            let submitted = libc::syscall(libc::SYS_io_uring_enter, ring, 1, 0, 0, ptr::null::<u8>(), 0);
            assert_eq!(submitted, 1, "{}", io::Error::last_os_error());
        }
    }

    /// The result of the next request that completes.
    fn result(&self) -> i32 {
        let mut poll = libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd; the kernel has filled the entries up to `completed`.
        unsafe {
            assert_eq!(libc::poll(&mut poll, 1, limit().as_millis() as c_int), 1, "no completion");
            let head = (*self.head).load(Ordering::Relaxed);
            assert_ne!((*self.completed).load(Ordering::Acquire), head);
            let result = (*self.completions.add((head % self.entries) as usize)).res;
            (*self.head).store(head + 1, Ordering::Release);
            result
        }
    }
}

/// A request that was submitted inside ends with an error, at the latest when its file is ready. It reads nothing from
/// the file.
#[test]
fn io_uring_requests_submitted_inside_are_cancelled() {
    if !shares_memory() {
        return;
    }
    let Some(ring) = Ring::new() else { return };
    let (file, mut other) = UnixStream::pair().unwrap();
    let mut byte = 0;
    ring.read(file.as_raw_fd(), &mut byte);
    other.write_all(b"1").unwrap();
    assert_eq!((ring.result(), byte), (1, b'1'));

    call(|| ring.read(file.as_raw_fd(), &mut byte)).unwrap();
    other.write_all(b"2").unwrap();
    assert_eq!((ring.result(), byte), (-libc::ECANCELED, b'1'));
    let mut left = [0];
    (&file).read_exact(&mut left).unwrap();
    assert_eq!(&left, b"2");
}

/// Tries to take another uid. This is the raw system call, so libc does not change other threads.
fn take_uid(uid: u32) -> bool {
    // SAFETY: the call takes no pointers.
    unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0 }
}

#[test]
fn changed_credentials_clear_the_parent_death_signal() {
    fn signal() -> i32 {
        let mut signal = -1;
        // SAFETY: `signal` has room for the signal.
        unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &mut signal) };
        signal
    }
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        let seen = way.run(|| (signal(), take_uid(65_533), signal())).unwrap();
        match seen {
            (libc::SIGKILL, true, after) => assert_eq!(after, 0, "{way:?}"),
            (before, false, after) => {
                assert_eq!((before, after), (libc::SIGKILL, libc::SIGKILL), "{way:?}");
                skip("needs CAP_SETUID");
            }
            seen => panic!("{way:?}: {seen:?}"),
        }
    }
}

/// glibc makes a change of ids known to all threads by their tids, but the tids that it knows are not the child's. musl
/// does the same, and waits for an answer from a thread that sleeps: see the next test.
#[cfg(target_env = "gnu")]
#[test]
fn set_id_in_a_thread_of_the_child_is_not_the_main_contexts() {
    if !shares_memory() {
        return;
    }
    // SAFETY: the call takes no arguments.
    if unsafe { libc::geteuid() } != 0 {
        return skip("needs CAP_SETUID");
    }
    passes("limits::set_id_in_a_thread_of_the_child_is_not_the_main_contexts", "call", || {
        let seen = call(|| {
            // SAFETY: the call takes no pointers.
            let set = thread::spawn(|| unsafe { libc::setresuid(65_533, 65_533, 65_533) });
            // SAFETY: the call takes no arguments.
            (set.join().unwrap(), unsafe { libc::getuid() })
        });
        assert_eq!(seen, Ok((0, 0)));
    });
}

/// libc waits for the sleeping thread, and that thread never wakes to handle libc's signal.
#[cfg(target_env = "musl")]
#[test]
fn set_id_in_a_thread_of_the_child_never_returns() {
    use std::os::unix::process::ExitStatusExt;
    if !shares_memory() {
        return;
    }
    let end = program("limits::set_id_in_a_thread_of_the_child_never_returns", "call", || {
        _ = call(|| {
            // SAFETY: the call takes no pointers.
            let set = thread::spawn(|| unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) });
            thread::sleep(Duration::from_millis(300));
            if !set.is_finished() {
                // SAFETY: the pid is the program's own.
                unsafe { libc::kill(libc::getppid(), libc::SIGKILL) };
                set.join().unwrap();
            }
        });
    });
    if let Some(end) = end {
        assert_eq!(end.status.signal(), Some(libc::SIGKILL), "{end:?}");
    }
}
