//! Makes many calls from many threads, with random flags, and with signals and set*id all the time. Nothing may be left
//! behind.
//!
//! `cargo test --release --test stress -- --ignored` takes about a minute on a real machine. STRESS_CALLS is the number
//! of children that each of the four threads makes. One in four of them is made by `spawn`. With 340,000 there are a
//! million calls.

mod common;

use clone_trampoline::{Builder, CloneFlags, SafeFlags};
use std::fs;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const THREADS: u64 = 4;

fn calls() -> u64 {
    std::env::var("STRESS_CALLS").map_or(50_000, |calls| calls.parse().expect("a number"))
}

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Sends SIGALRM every 100 us as long as it lives.
struct Alarm(libc::timer_t);

impl Alarm {
    fn new() -> Self {
        let interval = libc::timespec { tv_sec: 0, tv_nsec: 100_000 };
        let times = libc::itimerspec { it_interval: interval, it_value: interval };
        let mut timer = ptr::null_mut();
        // SAFETY: the handler only counts, and the timer is new.
        unsafe {
            libc::signal(libc::SIGALRM, count as *const () as libc::sighandler_t);
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, ptr::null_mut(), &mut timer), 0);
            assert_eq!(libc::timer_settime(timer, 0, &times, ptr::null_mut()), 0);
        }
        Self(timer)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: the timer is our own.
        unsafe { assert_eq!(libc::timer_delete(self.0), 0) };
    }
}

/// Returns the numbers of file descriptors, threads and mappings.
fn held() -> [usize; 3] {
    ["/proc/self/fd", "/proc/self/task"]
        .map(|path| fs::read_dir(path).unwrap().count())
        .into_iter()
        .chain([fs::read_to_string("/proc/self/maps").unwrap().lines().count()])
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

/// Returns the memory in use, in KiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn one(random: u64, may_make_namespaces: bool) -> u64 {
    let mut bits = CloneFlags::IO.bits();
    if may_make_namespaces {
        bits |= [CloneFlags::NEWUTS, CloneFlags::NEWIPC, CloneFlags::NEWNS, CloneFlags::NEWCGROUP]
            .iter()
            .enumerate()
            .filter(|(n, _)| random >> (8 + 3 * n) & 7 == 0)
            .fold(0, |bits, (_, flag)| bits | flag.bits());
        if random >> 24 & 0xff == 0 {
            bits |= CloneFlags::NEWNET.bits();
        }
    }
    let flags = SafeFlags::try_from(CloneFlags::from_bits_retain(bits)).unwrap();
    let builder = Builder::new().flags(flags).share_sighand(random & 3 != 0);
    // This allocates memory inside and frees it outside.
    let work = move || {
        (0..random % 20).map(|n| vec![n as u8; 1 + (random >> n) as usize % 3000]).collect::<Vec<_>>()
    };
    let made = match random >> 4 & 3 {
        0 => builder.spawn(work).unwrap().join().unwrap(),
        _ => builder.call(work).unwrap(),
    };
    assert!(made.iter().enumerate().all(|(n, bytes)| bytes.iter().all(|&byte| byte == n as u8)));
    made.len() as u64
}

#[test]
#[ignore = "takes a minute"]
fn nothing_is_left_behind() {
    if common::emulated() {
        return common::skip("memory cannot be shared here");
    }
    let may_make_namespaces = Builder::new().flags(SafeFlags::NEWNS).call(|| ()).is_ok();
    one(0, may_make_namespaces);
    let before = held();
    let alarm = Alarm::new();
    let over = AtomicBool::new(false);
    // The measure begins after a tenth of the calls. By then each thread has its arena of malloc's and its stacks.
    let warm = AtomicUsize::new(0);
    let sum: u64 = thread::scope(|scope| {
        let (over, warm) = (&over, &warm);
        let ids = scope.spawn(move || {
            let mut changes = 0_u64;
            while !over.load(Ordering::Relaxed) {
                // SAFETY: the call takes no pointers.
                assert_eq!(unsafe { libc::setuid(libc::getuid()) }, 0);
                changes += 1;
                thread::sleep(std::time::Duration::from_micros(200));
            }
            changes
        });
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let mut random = 0x9e37_79b9_7f4a_7c15 ^ (thread + 1);
                    let (mut sum, mut expected) = (0, 0);
                    for call in 0..calls() {
                        if call == calls() / 10 {
                            warm.fetch_max(resident(), Ordering::Relaxed);
                        }
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        sum += one(random, may_make_namespaces);
                        expected += random % 20;
                    }
                    assert_eq!(sum, expected);
                    sum
                })
            })
            .collect();
        let sum = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        over.store(true, Ordering::Relaxed);
        println!("set*id {} times", ids.join().unwrap());
        sum
    });
    drop(alarm);
    let (warm, end) = (warm.into_inner(), resident());
    println!("{warm} KiB after a tenth, {end} KiB at the end, {} signals", SIGNALS.load(Ordering::Relaxed));
    assert!(end < warm + warm / 4 + 1024, "memory: {warm} KiB, then {end}");
    assert!(sum > 0 && SIGNALS.load(Ordering::Relaxed) > 1000);

    // No child is left, not even a zombie.
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the call gets room for the answer.
    let result = unsafe {
        libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), libc::WEXITED | libc::WNOHANG | libc::__WALL)
    };
    assert_eq!((result, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::ECHILD)));
    let after = held();
    assert_eq!(before[..2], after[..2], "file descriptors, threads");
    // malloc's arenas and cached thread stacks may stay, at most a few per thread.
    assert!(after[2] < before[2] + 60, "mappings: {before:?}, {after:?}");
}
