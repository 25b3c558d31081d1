//! The child's life: C2 (ends with its status, alone), C4, C5 (on which stack), C8 (its frame pointer),
//! C9 (its thread pointer).

use crate::common::*;
use crate::start::*;
use clone_trampoline::CloneFlags;
use std::ffi::{c_int, c_void};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::{mem, ptr};

type F = CloneFlags;

/// Returns the number that `arg` points to.
unsafe extern "C" fn status(arg: *mut c_void) -> c_int {
    // SAFETY: an i32 that outlives the child.
    unsafe { *arg.cast() }
}

#[test]
fn c2_all_eight_bits_of_the_status_arrive() {
    for &via in Via::both() {
        let stack = Stack::new();
        for code in (0..256).chain([0x7bcd_ef67, -3]) {
            let code = Shared::new(code);
            let mut start = Start::new(via, Kind::Vfork);
            let (_, end) = run_on(start.stack(&stack), status, code.as_ptr().cast());
            assert_eq!(end.and_then(|end| end.code()), Some(*code & 0xff), "{via:?}");
        }
    }
}

/// An fn of another shared object: it finds its own data by what its caller leaves in a register where the ABI has
/// it so (powerpc64's r2 and r12, mips's t9).
#[test]
fn c2_fn_may_be_in_another_object() {
    // SAFETY: a pointer to void is passed as one to char.
    let atoi: unsafe extern "C" fn(*mut c_void) -> c_int = unsafe { mem::transmute(libc::atoi as *const ()) };
    for &via in Via::both() {
        let stack = Stack::new();
        let mut start = Start::new(via, Kind::Vfork);
        let (_, end) = run_on(start.stack(&stack), atoi, c"107".as_ptr().cast_mut().cast());
        assert_eq!(end.and_then(|end| end.code()), Some(107), "{via:?}");
    }
}

/// A thread that returns from `fn` ends itself, not its process.
#[test]
fn c2_a_thread_ends_only_itself() {
    for &via in Via::both() {
        let end = in_process(|| {
            let mut code = 9;
            run(via, Kind::Thread, status, (&raw mut code).cast());
            77
        });
        assert_eq!(end.code(), Some(77), "{via:?}: {end:?}");
    }
}

/// Where a filter makes exit return, the child dies of a trap rather than run into what follows.
#[test]
fn c2_a_child_that_cannot_exit_goes_no_further() {
    /// Where a return would lead that nobody should make.
    unsafe extern "C" fn escaped() {
        // SAFETY: ends the process.
        unsafe { libc::_exit(99) }
    }
    /// What a return pops has 64 bits on x32, too.
    #[cfg(target_arch = "x86_64")]
    type Word = u64;
    #[cfg(not(target_arch = "x86_64"))]
    type Word = usize;
    if emulated() {
        return skip("qemu-user has no seccomp");
    }
    for &via in Via::both() {
        let signal = Shared::new(AtomicI32::new(0));
        let end = in_process(|| {
            // The words above the stack, and `arg`, are what a return would take for its address.
            let stack = Stack::new();
            let escape = escaped as *mut c_void;
            // SAFETY: the last words of the stack, which the child does not get.
            let top = unsafe {
                let top = stack.top().sub(256);
                std::slice::from_raw_parts_mut(top.cast(), 256 / size_of::<Word>()).fill(escape as Word);
                top
            };
            refuse(libc::SYS_exit as u32);
            let mut start = Start::new(via, Kind::Fork);
            let (_, end) = run_on(start.stack_below(&stack, top), done, escape);
            let end = end.expect("a process");
            signal.store(end.signal().unwrap_or(0), SeqCst);
            77
        });
        assert_eq!(end.code(), Some(77), "{via:?}: {end:?}");
        let signal = signal.load(SeqCst);
        let traps = [libc::SIGSEGV, libc::SIGILL, libc::SIGTRAP, libc::SIGBUS];
        assert!(traps.contains(&signal), "{via:?}: signal {signal}");
    }
}

/// What a child saw at its entry, in memory that every kind of child shares.
fn entry(next: unsafe extern "C" fn(*mut c_void) -> c_int) -> Shared<probe::Entry> {
    Shared::new(probe::Entry { sp: 0, frame_pointer: 1, thread_pointer: 1, next })
}

/// Two tasks at once on one stack: refused by clone; clone3 cannot look.
#[test]
fn c4_no_stack_with_vm_without_vfork_is_einval() {
    let call = Start::new(Via::Clone, Kind::Vm).start(never, ptr::null_mut());
    assert_eq!(call.result, -libc::EINVAL as isize);
}

#[test]
fn c4_without_a_stack_the_child_runs_below_the_callers_frame() {
    for &via in Via::both() {
        for kind in [Kind::Fork, Kind::Vfork] {
            let entry = entry(done);
            let mut start = Start::new(via, kind);
            let (call, end) = run_on(&mut start, probe::probe_entry, entry.as_ptr().cast());
            assert_eq!(end.and_then(|end| end.code()), Some(42), "{via:?} {kind:?}");
            let below = call.sp.checked_sub(entry.sp);
            assert!(below.is_some_and(|n| n < 1024), "{via:?} {kind:?}: {below:?} below the caller's SP");
            assert_eq!(entry.sp % probe::probe_stack_alignment(), 0, "{via:?} {kind:?}");
        }
    }
}

/// Uses a lot of stack, every byte of it.
unsafe extern "C" fn deep(arg: *mut c_void) -> c_int {
    fn descend(level: usize) -> u8 {
        let mut frame = [0xd7_u8; 1024];
        let frame = std::hint::black_box(&mut frame);
        if level > 0 { frame[level] ^ descend(level - 1) } else { frame[0] }
    }
    std::hint::black_box(descend(32));
    std::hint::black_box(arg);
    42
}

/// The parent of a vfork finds its stack as it left it, from its SP upwards: nothing it needs lies
/// below, where the child was.
#[test]
fn c4_a_deep_child_on_the_callers_stack_leaves_it_as_it_was() {
    if emulated() {
        return skip("an emulator that makes a fork of vfork");
    }
    for &via in Via::both() {
        let (call, end) = run_on(&mut Start::new(via, Kind::Vfork), deep, ptr::null_mut());
        assert_eq!(end.and_then(|end| end.code()), Some(42), "{via:?}");
        assert_eq!(call.frame_changed, 0, "{via:?}");
        assert_eq!(call.registers_changed, 0, "{via:?}");
    }
}

#[test]
fn c5_any_stack_top_is_aligned() {
    for &via in Via::both() {
        for kind in [Kind::Fork, Kind::Vfork] {
            let stack = Stack::new();
            for offset in 0..=32 {
                let entry = entry(done);
                // SAFETY: within the stack.
                let top = unsafe { stack.top().sub(64).add(offset) };
                let mut start = Start::new(via, kind);
                start.stack_below(&stack, top);
                let (_, end) = run_on(&mut start, probe::probe_entry, entry.as_ptr().cast());
                assert_eq!(end.and_then(|end| end.code()), Some(42), "{via:?} {kind:?} {offset}");
                // Arithmetic, because an emulator may let a misaligned access pass.
                assert_eq!(entry.sp % probe::probe_stack_alignment(), 0, "{via:?} {kind:?} {offset}");
                let below = (top as usize).checked_sub(entry.sp);
                assert!(below.is_some_and(|n| n < 256), "{via:?} {kind:?} {offset}: {below:?}");
            }
        }
    }
}

/// A vfork child that runs `f` writes nothing at or above its stack's top, wherever that is.
fn nothing_above_the_stack_is_written(f: unsafe extern "C" fn(*mut c_void) -> c_int, arg: *mut c_void) {
    for &via in Via::both() {
        for offset in 0..=16 {
            let stack = Stack::new();
            let above = 512;
            // SAFETY: the last bytes of the stack, which the child does not get.
            let (top, rest) = unsafe {
                let top = stack.top().sub(above).add(offset);
                (top, std::slice::from_raw_parts_mut(top, above - offset))
            };
            rest.fill(0xa5);
            let mut start = Start::new(via, Kind::Vfork);
            let (_, end) = run_on(start.stack_below(&stack, top), f, arg);
            assert_eq!(end.and_then(|end| end.code()), Some(42), "{via:?} {offset}");
            // SAFETY: as above; the child is gone.
            let rest = unsafe { std::slice::from_raw_parts(top, above - offset) };
            assert!(rest.iter().all(|&byte| byte == 0xa5), "{via:?} {offset}");
        }
    }
}

#[test]
fn c5_nothing_at_or_above_stack_top_is_written() {
    nothing_above_the_stack_is_written(deep, ptr::null_mut());
}

/// Where the psABI gives `fn` a place above its SP (o32's argument area, powerpc's LR slot, s390x's save
/// area), which `probe_entry` writes, that place is the child's: not the frame of a caller who sleeps.
#[test]
fn c4_what_fn_may_write_above_its_sp_is_not_the_callers() {
    for &via in Via::both() {
        let entry = entry(done);
        let mut start = Start::new(via, Kind::Vfork);
        let (call, end) = run_on(&mut start, probe::probe_entry, entry.as_ptr().cast());
        assert_eq!(end.and_then(|end| end.code()), Some(42), "{via:?}");
        assert_eq!(call.frame_changed, 0, "{via:?}");
        assert_eq!(call.registers_changed, 0, "{via:?}");
    }
}

/// The same place on a stack of the child's own.
#[test]
fn c5_what_fn_may_write_above_its_sp_is_below_stack_top() {
    let entry = entry(done);
    nothing_above_the_stack_is_written(probe::probe_entry, entry.as_ptr().cast());
}

/// The stack is one page, and the pages on either side are not there.
#[test]
fn c5_a_stack_of_one_page_between_unmapped_ones_is_enough() {
    for &via in Via::both() {
        for &kind in Kind::all() {
            let stack = Stack::of(page());
            let entry = entry(done);
            let mut start = Start::new(via, kind);
            run_on(start.stack(&stack), probe::probe_entry, entry.as_ptr().cast());
            let used = stack.top() as usize - entry.sp;
            assert!(used < 256, "{via:?} {kind:?}: {used} bytes");
        }
    }
}

#[test]
fn c8_the_frame_pointer_is_zero() {
    for &via in Via::both() {
        for &kind in Kind::all() {
            let stack = Stack::new();
            let entry = entry(done);
            run_on(Start::new(via, kind).stack(&stack), probe::probe_entry, entry.as_ptr().cast());
            assert_eq!(entry.frame_pointer, 0, "{via:?} {kind:?}");
        }
    }
}

/// What was in the memory of its stack before says nothing.
#[test]
fn c8_the_frame_pointer_is_zero_on_a_used_stack() {
    for &via in Via::both() {
        for &kind in Kind::all() {
            let stack = Stack::new();
            // SAFETY: the whole stack, which nobody uses yet.
            unsafe { stack.base.write_bytes(0xa5, stack.size) };
            let entry = entry(done);
            run_on(Start::new(via, kind).stack(&stack), probe::probe_entry, entry.as_ptr().cast());
            assert_eq!(entry.frame_pointer, 0, "{via:?} {kind:?}");
        }
    }
}

/// SETTLS switches the child's thread pointer, and the parent's stays.
#[test]
fn c9_settls_switches_the_childs_thread_pointer() {
    let own = |entry: &Shared<probe::Entry>| {
        // SAFETY: an Entry; `done` ignores its argument.
        assert_eq!(unsafe { probe::probe_entry(entry.as_ptr().cast()) }, 42);
        entry.thread_pointer
    };
    let before = own(&entry(done));
    for &via in Via::both() {
        for &kind in Kind::all() {
            // A block whose first word is its own address, as x86 wants it; room on both sides.
            let block = Shared::new([0_usize; 512]);
            let pointer = (&raw const block[256]) as usize;
            // SAFETY: our own memory.
            unsafe { (*block.as_ptr())[256] = pointer };
            let mut scratch = [0_u64; 2];
            let stack = Stack::new();
            for set in [true, false] {
                let entry = entry(done);
                let mut start = Start::new(via, kind);
                if set {
                    start.args.flags |= F::SETTLS.bits();
                    // SAFETY: 16 bytes of scratch.
                    let tls = unsafe { probe::probe_tls_argument(pointer, scratch.as_mut_ptr().cast()) };
                    start.args.tls = tls as u64;
                }
                run_on(start.stack(&stack), probe::probe_entry, entry.as_ptr().cast());
                let expected = if set { pointer } else { before };
                assert_eq!(entry.thread_pointer, expected, "{via:?} {kind:?} {set}");
            }
        }
    }
    assert_eq!(own(&entry(done)), before);
}
