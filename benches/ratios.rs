//! Measures what it costs to start a task in several ways. The result is a table of ratios.
//!
//! Every round does each operation for a while, one after the other, so that a disturbance of the machine disturbs all
//! of them. The table has the median of the rounds. `cargo bench --bench ratios -- 4096` first touches 4096 MB, which
//! makes fork(2) slower.
//!
//! This uses neither criterion nor divan. Both finish one operation before they begin the next, seconds apart. The
//! ratios of two such runs differ by more than the goals that they should show.
//!
//! strace(1) counts the system calls, if it is installed. It runs this program again with three numbers. The second
//! number is the row of an operation, and the third says how often to do it.

mod measure;

use clone_trampoline::raw::clone_trampoline;
use clone_trampoline::{Builder, CloneFlags, call, spawn};
use measure::{Chart, Operation, draw, measure, median, ratio, syscalls};
use std::ffi::{c_int, c_ulong, c_void};
use std::hint::black_box;
use std::ptr;
use std::thread;

const ROUNDS: usize = 60;
/// The size of the stack for operations that need one.
const SIZE: usize = 64 * 1024;

const VFORK: CloneFlags = CloneFlags::VM.union(CloneFlags::VFORK);
/// The flags with which `call` shares things.
const SHARED: CloneFlags = VFORK
    .union(CloneFlags::FS)
    .union(CloneFlags::FILES)
    .union(CloneFlags::SIGHAND)
    .union(CloneFlags::SYSVSEM);

extern "C" fn nothing(_: *mut c_void) -> c_int {
    0
}

fn wait(pid: c_int) {
    // SAFETY: this is a child of ours, and no status is stored.
    assert_eq!(unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) }, pid);
}

/// Uses the trampoline alone. If `stack_top` is null, the child runs on the caller's stack.
fn trampoline(flags: CloneFlags, stack_top: *mut c_void) {
    let null = ptr::null_mut();
    // SAFETY: with VFORK this thread sleeps, and the child uses no TLS.
    let pid = unsafe {
        clone_trampoline(
            Some(nothing),
            stack_top,
            flags.bits() as c_ulong,
            null,
            null.cast(),
            null,
            null.cast(),
        )
    };
    wait(pid as c_int);
}

fn glibc_clone(stack_top: *mut c_void) {
    // SAFETY: as above.
    wait(unsafe { libc::clone(nothing, stack_top, VFORK.bits() as c_int, ptr::null_mut()) });
}

fn nix_clone(stack: &mut [u8]) {
    let flags = nix::sched::CloneFlags::from_bits_retain(VFORK.bits() as c_int);
    // SAFETY: as above.
    let pid = unsafe { nix::sched::clone(Box::new(|| 0), stack, flags, None) };
    wait(pid.expect("clone").as_raw());
}

#[inline(never)]
#[allow(deprecated, reason = "a peer to be measured")]
fn vfork() {
    // SAFETY: the child ends at once, in this very frame.
    unsafe {
        let pid = libc::vfork();
        if pid == 0 {
            libc::_exit(0);
        }
        wait(pid);
    }
}

fn fork() {
    // SAFETY: the child ends at once.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            libc::_exit(0);
        }
        wait(pid);
    }
}

/// The goals: the rows of an operation and its peer in the table, and the ratio to reach.
const GOALS: [(&str, usize, usize, f64); 4] = [
    ("the trampoline by glibc's clone", 2, 3, 1.01),
    ("`call` by the bare VM|VFORK clone", 7, 0, 0.90),
    ("`call` by the bare clone with its flags", 7, 1, 1.10),
    ("`spawn` and join by a thread's", 9, 6, 2.20),
];

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let megabytes = numbers.first().copied().unwrap_or(10);
    let memory = black_box(vec![1_u8; megabytes << 20]);
    let mut stack = vec![0_u128; SIZE / 16];
    let top: *mut c_void = stack.as_mut_ptr_range().end.cast();
    let mut nix_stack = vec![0_u8; SIZE];

    let mut operations: [(&str, Operation<'_>); 11] = [
        ("trampoline, VM\\|VFORK, caller's stack (1.00)", Box::new(|| trampoline(VFORK, ptr::null_mut()))),
        ("trampoline, the flags of `call`", Box::new(|| trampoline(SHARED, ptr::null_mut()))),
        ("trampoline, VM\\|VFORK, its own stack", Box::new(|| trampoline(VFORK, top))),
        ("glibc clone, the same", Box::new(|| glibc_clone(top))),
        ("nix sched::clone, the same", Box::new(|| nix_clone(&mut nix_stack))),
        ("vfork", Box::new(vfork)),
        ("std thread, spawn and join", Box::new(|| thread::spawn(|| ()).join().expect("thread"))),
        ("`call`", Box::new(|| call(|| ()).expect("call"))),
        (
            "`call`, the flags of the first line",
            Box::new(|| {
                let private = Builder::new().share_fs(false).share_sighand(false).share_sysvsem(false);
                private.call(|| ()).expect("call");
            }),
        ),
        ("`spawn` and join, with a pidfd", Box::new(|| spawn(|| ()).expect("spawn").join().expect("join"))),
        (
            "`spawn` and join, without",
            Box::new(|| Builder::new().without_pidfd().spawn(|| ()).expect("spawn").join().expect("join")),
        ),
    ];
    if let [_, row, count] = numbers[..] {
        for _ in 0..count {
            operations.get_mut(row).map_or(&mut fork as &mut dyn FnMut(), |(_, operation)| operation)();
        }
        return;
    }
    let mut chart = Chart::new("ways", "megabytes");
    let syscalls: Vec<_> = (0..=operations.len()).map(row_syscalls).collect();
    for threads in 1..=2 {
        if threads == 2 {
            // This thread only sleeps. It matters that libc knows of it.
            thread::spawn(|| {
                loop {
                    thread::park();
                }
            });
        }
        let times = measure(&mut operations, ROUNDS);
        // fork has rounds of its own, because with much memory it slows down whatever comes after it.
        let forks = measure(&mut [("fork", Box::new(fork))], 5);
        let mut all_faults: Vec<f64> =
            operations.iter_mut().map(|(_, operation)| faults(operation)).collect();
        all_faults.push(faults(&mut fork));
        println!("\n{megabytes} MB touched, {threads} thread(s)\n");
        println!("| | us | ratio | page faults | system calls |\n| --- | --- | --- | --- | --- |");
        let names = operations.iter().map(|(name, _)| *name).chain(["fork"]);
        let counts = all_faults.iter().zip(&syscalls);
        for ((name, taken), (faults, syscalls)) in names.zip(times.iter().chain(&forks)).zip(counts) {
            let ratio = ratio(taken, &times[0]);
            let us = median(taken.iter().copied());
            println!("| {name} | {us:.1} | {ratio:.2} | {faults:.1} | {syscalls} |");
            if threads == 1 {
                chart.add(name, megabytes, us, ratio);
            }
        }
        println!();
        for (what, ours, peer, goal) in GOALS {
            let ratios = times[ours].iter().zip(&times[peer]).map(|(ours, peer)| ours / peer);
            println!("{what}: {:.2}, the goal is {goal}", median(ratios));
        }
    }
    assert_eq!(memory[memory.len() - 1], 1);
    chart.write().expect("docs/bench/ways.csv");
    draw();
}

/// Counts the page faults of one operation, in this process and its child.
fn faults(operation: &mut dyn FnMut()) -> f64 {
    const COUNT: i32 = 50;
    let so_far = || {
        [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].iter().fold(0, |sum, &who| {
            let mut usage = std::mem::MaybeUninit::uninit();
            // SAFETY: `usage` has room for the answer, and getrusage(2) stores all of it.
            sum + unsafe {
                libc::getrusage(who, usage.as_mut_ptr());
                usage.assume_init().ru_minflt
            }
        })
    };
    let before = so_far();
    for _ in 0..COUNT {
        operation();
    }
    (so_far() - before) as f64 / f64::from(COUNT)
}

/// Counts the system calls of the operation in this row, in a process of one thread and its child.
fn row_syscalls(row: usize) -> String {
    syscalls(|count| ["0".into(), row.to_string().into(), count.to_string().into()], 100)
}
