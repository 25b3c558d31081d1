//! Tests of S9: the rseq area goes with the TLS.

use crate::common::{SYS_RSEQ, skip};
#[cfg(target_env = "gnu")]
use crate::program::passes;
use crate::program::{Way, catches_panics, shares_memory};

/// Returns whether the calling task has an area registered. If it has, another area is refused.
pub(crate) fn registered() -> bool {
    #[repr(C, align(32))]
    struct Area([u32; 8]);
    const UNREGISTER: i32 = 1;
    let mut area = Area([0; 8]);
    let rseq = |area: *mut Area, flags: i32| {
        // SAFETY: the area lives until it is unregistered.
        unsafe { libc::syscall(SYS_RSEQ, area, 32, flags, 0x5305_3053) }
    };
    let refused = rseq(&mut area, 0) != 0;
    if !refused {
        rseq(&mut area, UNREGISTER);
    }
    refused
}

#[test]
fn s9_the_child_has_its_threads_area_registered() {
    let has_area = registered();
    if !shares_memory() {
        return;
    }
    if !has_area {
        return skip("libc has no rseq area");
    }
    for way in Way::BOTH {
        assert_eq!(way.run(registered), Ok(true), "{way:?}");
        assert!(registered(), "{way:?}: the caller has it again");
    }
    // This also holds in a call inside a call.
    let nested = clone_trampoline::call(|| clone_trampoline::call(registered).unwrap() && registered());
    assert_eq!(nested, Ok(true));
    assert!(registered());
}

#[test]
fn s9_the_thread_has_its_area_back_after_a_panic() {
    if !registered() {
        return skip("libc has no rseq area");
    }
    if !shares_memory() || !catches_panics() {
        return;
    }
    _ = std::panic::catch_unwind(|| clone_trampoline::call(|| panic!("inside")));
    assert!(registered());
}

/// The area belongs to the child. Whatever wakes the waiting thread, the kernel must not write that thread's CPU into
/// the area.
#[cfg(target_env = "gnu")]
#[test]
fn s9_the_waiting_threads_cpu_is_not_the_childs() {
    use std::mem::MaybeUninit;
    use std::time::{Duration, Instant};
    fn cpus() -> Vec<usize> {
        let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
        // SAFETY: `set` has room for the set, and every value is valid.
        let set = unsafe {
            libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr());
            set.assume_init()
        };
        // SAFETY: the number of each bit is within the set.
        (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
    }
    fn run_on(cpu: usize) {
        // SAFETY: the set is valid once it is zeroed.
        unsafe {
            let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init();
            libc::CPU_SET(cpu, &mut set);
            assert_eq!(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set), 0);
        }
    }
    let has_area = registered();
    if !shares_memory() {
        return;
    }
    if !has_area {
        return skip("libc has no rseq area");
    }
    let &[one, other, ..] = cpus().as_slice() else { return skip("needs two CPUs") };
    passes("rseq::s9_the_waiting_threads_cpu_is_not_the_childs", "setresuid", || {
        run_on(one);
        let handle = clone_trampoline::spawn(move || {
            run_on(other);
            let start = Instant::now();
            let mut wrong = 0;
            while start.elapsed() < Duration::from_millis(300) {
                // glibc reads the CPU from the area.
                // SAFETY: the call takes no arguments.
                wrong += u32::from(unsafe { libc::sched_getcpu() } != other as i32);
            }
            wrong
        });
        let handle = handle.unwrap();
        while !handle.is_finished() {
            // Libc's handler runs on the waiting thread.
            // SAFETY: the call takes no pointers.
            assert_eq!(unsafe { libc::setresuid(u32::MAX, u32::MAX, u32::MAX) }, 0);
        }
        assert_eq!(handle.join().unwrap(), 0);
    });
}

/// Does the same as a per-CPU allocator: it increments the counter of its CPU by a restartable sequence of plain
/// instructions. Without S9 the kernel does not restart the sequence in the child, and increments are lost.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", target_env = "gnu"))]
mod lost_increments {
    use super::*;
    use clone_trampoline::call;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::thread;

    #[repr(align(64))]
    struct Slot(AtomicU64);

    static COUNTERS: [Slot; 64] = [const { Slot(AtomicU64::new(0)) }; 64];

    /// Makes one increment. Returns false if the area is not registered.
    fn increment() -> bool {
        let done: u64;
        // SAFETY: this is a restartable sequence after librseq's pattern: load, add, commit by one store. glibc tells
        // the offset of the area. The descriptor is in .data, as it has to be.
        unsafe {
            std::arch::asm!(
                ".pushsection .data.rel.ro, \"aw\", @progbits",
                ".balign 32",
                "55: .long 0, 0",
                ".quad 51f, 52f - 51f, 54f",
                ".popsection",
                "mov {area}, qword ptr [rip + __rseq_offset@GOTPCREL]",
                "mov {area}, qword ptr [{area}]",
                "add {area}, qword ptr fs:[0]",
                "50:",
                "lea {tmp}, [rip + 55b]",
                "mov qword ptr [{area} + 8], {tmp}",
                "51:",
                "mov {cpu:e}, dword ptr [{area} + 4]",
                "cmp {cpu:e}, 64",
                "jae 53f",
                "shl {cpu}, 6",
                "mov {tmp}, qword ptr [{counters} + {cpu}]",
                // The sequence is long enough for the scheduler to interrupt it.
                "mov {n:e}, 40",
                "56: dec {n:e}",
                "jnz 56b",
                "inc {tmp}",
                "mov qword ptr [{counters} + {cpu}], {tmp}",
                "52:",
                "mov {n:e}, 1",
                "jmp 57f",
                "53:",
                "xor {n:e}, {n:e}",
                "jmp 57f",
                ".byte 0x0f, 0xb9, 0x3d",
                ".long 0x53053053",
                "54:",
                "jmp 50b",
                "57:",
                area = out(reg) _,
                tmp = out(reg) _,
                cpu = out(reg) _,
                n = out(reg) done,
                counters = in(reg) COUNTERS.as_ptr(),
            );
        }
        done as u32 == 1
    }

    #[test]
    fn s9_no_increment_is_lost() {
        let has_area = registered();
        if !shares_memory() {
            return;
        }
        if !has_area {
            return skip("libc has no rseq area");
        }
        const THREADS: u64 = 4;
        static STOP: AtomicBool = AtomicBool::new(false);
        let counted = AtomicU64::new(0);
        thread::scope(|scope| {
            for n in 0..THREADS {
                let counted = &counted;
                scope.spawn(move || {
                    let run = || {
                        let mut done = 0_u64;
                        while !STOP.load(Ordering::Relaxed) {
                            done += u64::from(increment());
                        }
                        done
                    };
                    // Half of the runs are in children.
                    let done = if n % 2 == 0 { run() } else { call(run).unwrap() };
                    assert!(done > 0);
                    counted.fetch_add(done, Ordering::Relaxed);
                });
            }
            thread::sleep(std::time::Duration::from_millis(1500));
            STOP.store(true, Ordering::Relaxed);
        });
        let sum: u64 = COUNTERS.iter().map(|slot| slot.0.load(Ordering::Relaxed)).sum();
        assert_eq!(sum, counted.into_inner());
    }
}
