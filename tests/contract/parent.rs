//! What the caller sees: C1 (the result, and nothing else changed), C3, C6, C7.

use crate::common::*;
use crate::start::*;
use clone_trampoline::CloneFlags;
use clone_trampoline::raw::{CloneArgs, clone3_trampoline};
use std::ffi::{c_int, c_void};
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicIsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

type F = CloneFlags;

const EINVAL: isize = -(libc::EINVAL as isize);

/// Stores the caller's tid where `arg` points.
unsafe extern "C" fn store_tid(arg: *mut c_void) -> c_int {
    // SAFETY: `arg` is an AtomicI32 that outlives the child; gettid does not fail, so that libc does
    // not write errno.
    unsafe { (*arg.cast::<AtomicI32>()).store(libc::syscall(libc::SYS_gettid) as i32, SeqCst) };
    42
}

#[test]
fn c1_the_parent_gets_the_childs_tid() {
    for &via in Via::both() {
        for &kind in Kind::all() {
            let tid = Shared::new(AtomicI32::new(0));
            let stack = Stack::new();
            let mut start = Start::new(via, kind);
            let (call, status) = run_on(start.stack(&stack), store_tid, tid.as_ptr().cast());
            assert_eq!(call.result, tid.load(SeqCst) as isize, "{via:?} {kind:?}");
            assert!(status.is_none_or(|s| s.code() == Some(42)), "{via:?} {kind:?} {status:?}");
        }
    }
}

/// How `f` ends as the first process of a pid namespace.
fn first_of_a_pid_namespace(f: impl FnOnce() -> i32) -> ExitStatus {
    in_process(|| {
        new_pid_namespace();
        in_process(f).code().unwrap_or(99)
    })
}

/// A tid takes more than the 15 bits that it has on a small machine.
#[test]
fn c1_a_large_tid_arrives_whole() {
    const LARGE: isize = 75_001;
    if !privileged() || emulated() {
        return skip("needs a pid namespace of its own, and so CAP_SYS_ADMIN on a real kernel");
    }
    for &via in Via::both() {
        let result = Shared::new(AtomicIsize::new(0));
        let end = first_of_a_pid_namespace(|| {
            // Since 6.14 each namespace has a limit of its own; before, it is the whole system's.
            let limit = "/proc/sys/kernel/pid_max";
            if release() >= (6, 14) && std::fs::write(limit, "100000").is_err() {
                return 78;
            }
            if std::fs::write("/proc/sys/kernel/ns_last_pid", (LARGE - 1).to_string()).is_err() {
                return 78;
            }
            let call = Start::new(via, Kind::Fork).start(done, ptr::null_mut());
            result.store(call.result, SeqCst);
            wait(LARGE).code().unwrap_or(99)
        });
        if end.code() == Some(78) {
            return skip("this kernel has no tid above 15 bits");
        }
        assert_eq!((end.code(), result.load(SeqCst)), (Some(42), LARGE), "{via:?}: {end:?}");
    }
}

/// Only the kernel's own sign tells an errno from a tid: where that is a flag, both are positive.
#[test]
fn c1_a_tid_may_be_as_small_as_an_errno() {
    if !privileged() || emulated() {
        return skip("needs a pid namespace of its own, and so CAP_SYS_ADMIN on a real kernel");
    }
    for &via in Via::both() {
        let result = Shared::new(AtomicIsize::new(0));
        let end = first_of_a_pid_namespace(|| {
            // The next process of it has tid 2, which is ENOENT, too.
            result.store(Start::new(via, Kind::Fork).start(done, ptr::null_mut()).result, SeqCst);
            wait(2).code().unwrap_or(99)
        });
        assert_eq!((end.code(), result.load(SeqCst)), (Some(42), 2), "{via:?}: {end:?}");
    }
}

/// On no path: success, the kernel's error, the trampoline's own.
#[test]
fn c1_errno_is_not_touched() {
    let result = |start: &Start, f: usize| {
        // SAFETY: this thread's errno.
        unsafe { *libc::__errno_location() = 77 };
        let result = start.start_maybe(f, ptr::null_mut()).result;
        // SAFETY: as above.
        let errno = unsafe { *libc::__errno_location() };
        assert_eq!(errno, 77, "{start:?}: {result}");
        result
    };
    for &via in Via::both() {
        let stack = Stack::new();
        let mut fork = Start::new(via, Kind::Fork);
        let fork = fork.stack(&stack);
        assert_eq!(wait(result(fork, done as *const () as usize)).code(), Some(42), "{via:?}");
        assert_eq!(result(fork, 0), EINVAL, "{via:?}: a null fn");
        let refused = Start::with(via, F::SIGHAND, 0);
        assert_eq!(result(&refused, never as *const () as usize), EINVAL, "{via:?}: the kernel's");
    }
    two_tasks_on_one_stack(|refused| assert_eq!(result(refused, never as *const () as usize), EINVAL));
}

/// In a process of its own, because a port that starts the second task breaks both.
fn two_tasks_on_one_stack(ask: impl Fn(&Start)) {
    let end = in_process(|| {
        ask(&Start::new(Via::Clone, Kind::Vm));
        77
    });
    assert_eq!(end.code(), Some(77), "two tasks at once on one stack: {end:?}");
}

#[test]
fn c1_clone3_args_are_unchanged() {
    if !Via::both().contains(&Via::Clone3) {
        return;
    }
    let stack = Stack::new();
    for (flags, works) in [(F::empty(), true), (F::SIGHAND, false)] {
        let mut start = Start::with(Via::Clone3, flags, libc::SIGCHLD);
        start.stack(&stack);
        let before = start.args;
        let result = start.start(done, ptr::null_mut()).result;
        assert_eq!(start.args, before);
        assert_eq!(result > 0, works, "{result}");
        if works {
            assert_eq!(wait(result).code(), Some(42));
        }
    }
}

/// The kernel alone reads `*args`: it knows how much of it there is, and says what is wrong with it.
#[test]
fn c1_clone3_args_are_the_kernels_to_judge() {
    if !Via::both().contains(&Via::Clone3) {
        return;
    }
    let page = page();
    let full = size_of::<CloneArgs>();
    let clone3 = |args: *const CloneArgs, size| {
        // SAFETY: a copy of this process on a copy of this stack, which returns at once.
        match unsafe { clone3_trampoline(args, size, Some(done), ptr::null_mut()) } as isize {
            tid @ 1.. => wait(tid).code().unwrap_or(99) - 42,
            errno => -errno as i32,
        }
    };
    // a page of zeros, and an inaccessible one behind it
    let memory = Stack::of(page);
    let zeros: *const CloneArgs = memory.base.cast();
    // SAFETY: within that page.
    let at_the_end: *const CloneArgs = unsafe { memory.top().sub(full) }.cast();
    let value_behind = [CloneArgs::default(), CloneArgs { cgroup: 1, ..CloneArgs::default() }];
    let unmapped: *const CloneArgs = ptr::without_provenance(8);
    assert_eq!(clone3(zeros, 0), libc::EINVAL);
    assert_eq!(clone3(zeros, 63), libc::EINVAL, "less than the first version");
    assert_eq!(clone3(zeros, 64), 0, "the first version");
    assert_eq!(clone3(zeros, full), 0);
    assert_eq!(clone3(zeros, full + 8), 0, "more than the kernel knows, but zeros");
    assert_eq!(clone3(value_behind.as_ptr(), 2 * full), libc::E2BIG, "more than the kernel knows");
    assert_eq!(clone3(zeros, page + 8), libc::E2BIG);
    assert_eq!(clone3(at_the_end, full), 0, "not a byte behind it is read");
    assert_eq!(clone3(at_the_end, full + 8), libc::EFAULT);
    assert_eq!(clone3(unmapped, full), libc::EFAULT);
}

/// A null `fn`, or null `args`: -EINVAL, and no child.
#[test]
fn c3_null_is_einval_and_no_child() {
    let result = Shared::new(AtomicIsize::new(0));
    for &via in Via::both() {
        for kind in [Kind::Fork, Kind::Vfork] {
            let end = in_process(|| {
                let stack = Stack::new();
                let mut start = Start::new(via, kind);
                result.store(start.stack(&stack).start_maybe(0, ptr::null_mut()).result, SeqCst);
                no_child()
            });
            assert_eq!((end.code(), result.load(SeqCst)), (Some(77), EINVAL), "{via:?} {kind:?}");
        }
    }
    let end = in_process(|| {
        result.store(null_args().result, SeqCst);
        no_child()
    });
    assert_eq!((end.code(), result.load(SeqCst)), (Some(77), EINVAL), "args");
}

fn null_args() -> probe::Call {
    watched(Via::Clone3, [0, size_of::<CloneArgs>(), never as *const () as usize, 0, 0, 0, 0])
}

/// A null `fn` is seen before the kernel sees the struct, whatever its size: glibc's port to arm looks at the
/// size in its place, and makes the child.
#[test]
fn c3_a_null_fn_of_clone3_is_not_the_kernels_to_find() {
    let unmapped: *const CloneArgs = ptr::without_provenance(8); // the kernel's EFAULT
    for size in [0, 64, 88] {
        // SAFETY: null is what is asked about; no args, no child.
        let errno = unsafe { clone3_trampoline(unmapped, size, None, ptr::null_mut()) };
        assert_eq!(errno as isize, EINVAL, "size {size}");
    }
}

/// 77 in a process that has no child and never had one that it did not wait for.
fn no_child() -> i32 {
    // SAFETY: no place for a status.
    let rc = unsafe { libc::waitpid(-1, ptr::null_mut(), libc::__WALL | libc::WNOHANG) };
    let errno = std::io::Error::last_os_error().raw_os_error();
    if rc == -1 && errno == Some(libc::ECHILD) { 77 } else { 78 }
}

fn assert_saved(call: &probe::Call, what: &str) {
    assert_eq!(call.registers_changed, 0, "call-saved registers: {what}");
    assert_eq!(call.frame_changed, 0, "the caller's frame: {what}");
}

#[test]
fn c6_call_saved_registers_survive_a_clone() {
    for &via in Via::both() {
        for &kind in Kind::all() {
            let stack = Stack::new();
            let (call, _) = run_on(Start::new(via, kind).stack(&stack), done, ptr::null_mut());
            assert_saved(&call, &format!("{via:?} {kind:?}"));
        }
    }
}

#[test]
fn c6_call_saved_registers_survive_a_failed_clone() {
    let stack = Stack::new();
    for &via in Via::both() {
        let call = Start::with(via, F::SIGHAND, 0).stack(&stack).start(never, ptr::null_mut());
        assert_eq!(call.result, EINVAL, "{via:?}: the kernel's");
        assert_saved(&call, &format!("{via:?}: the kernel's error"));

        let call = Start::new(via, Kind::Fork).stack(&stack).start_maybe(0, ptr::null_mut());
        assert_eq!(call.result, EINVAL, "{via:?}: a null fn");
        assert_saved(&call, &format!("{via:?}: a null fn"));
    }
    two_tasks_on_one_stack(|refused| {
        let call = refused.start(never, ptr::null_mut());
        assert_eq!(call.result, EINVAL);
        assert_saved(&call, "two tasks at once on one stack");
    });
    let call = null_args();
    assert_eq!(call.result, EINVAL, "null args");
    assert_saved(&call, "null args");
}

/// An argument can be in a register that is call-saved all the same, and in which the kernel wants another
/// one: s390x has `parent_tid` in r6. Here all differ, and none of them is used.
#[test]
fn c6_an_argument_in_a_call_saved_register_survives() {
    let stack = Stack::new();
    for flags in [F::empty(), F::VM | F::VFORK, F::SIGHAND] {
        let mut start = Start::with(Via::Clone, flags, libc::SIGCHLD);
        (start.args.parent_tid, start.args.tls, start.args.child_tid) = (11, 13, 17);
        let call = start.stack(&stack).start(done, ptr::null_mut());
        assert_saved(&call, &format!("{flags:?}"));
        if call.result > 0 {
            assert_eq!(wait(call.result).code(), Some(42), "{flags:?}");
        } else {
            assert_eq!((call.result, flags), (EINVAL, F::SIGHAND));
        }
    }
}

/// `parent_tid` and `child_tid` each arrive where the kernel expects them, in its own order.
#[test]
fn c7_each_tid_is_stored_where_it_was_asked_for() {
    for &via in Via::both() {
        for &kind in Kind::all() {
            for (flags, parent, child) in [
                (F::PARENT_SETTID, true, false),
                (F::CHILD_SETTID, false, true),
                (F::PARENT_SETTID | F::CHILD_SETTID, true, true),
            ] {
                if kind == Kind::Thread {
                    continue; // its two places are taken: c7_child_cleartid_wakes_the_waiter
                }
                let words = Shared::new([const { AtomicI32::new(-1) }; 2]);
                let stack = Stack::new();
                let mut start = Start::with(via, kind.flags() | flags, libc::SIGCHLD);
                start.args.parent_tid = words[0].as_ptr() as u64;
                start.args.child_tid = words[1].as_ptr() as u64;
                let (call, _) = run_on(start.stack(&stack), done, ptr::null_mut());
                let expected = [parent, child].map(|set| if set { call.result as i32 } else { -1 });
                let found = [words[0].load(SeqCst), words[1].load(SeqCst)];
                assert_eq!(found, expected, "{via:?} {kind:?} {flags:?}");
            }
        }
    }
}

/// PARENT_SETTID is done before the call returns, CHILD_SETTID before `fn` runs.
#[test]
fn c7_tids_are_visible_in_time() {
    unsafe extern "C" fn compare(arg: *mut c_void) -> c_int {
        // SAFETY: three words that outlive the child; gettid does not fail.
        unsafe {
            let words = &*arg.cast::<[AtomicI32; 3]>();
            words[2].store(words[1].load(SeqCst), SeqCst);
            43 - i32::from(words[1].load(SeqCst) == libc::syscall(libc::SYS_gettid) as i32)
        }
    }
    if emulated() {
        return skip("qemu-user lets the child of a fork store its parent's word");
    }
    for &via in Via::both() {
        for &kind in Kind::all() {
            let words = Shared::new([const { AtomicI32::new(-1) }; 3]);
            let stack = Stack::new();
            let exit_signal = if kind == Kind::Thread { 0 } else { libc::SIGCHLD };
            let flags = kind.flags() | F::PARENT_SETTID | F::CHILD_SETTID;
            let mut start = Start::with(via, flags, exit_signal);
            start.args.parent_tid = words[0].as_ptr() as u64;
            start.args.child_tid = words[1].as_ptr() as u64;
            let call = start.stack(&stack).start(compare, words.as_ptr().cast());
            assert_eq!(words[0].load(SeqCst) as isize, call.result, "{via:?} {kind:?}");
            if kind == Kind::Thread {
                wait_for_zero(&words[1]);
                assert_eq!(words[2].load(SeqCst) as isize, call.result, "{via:?} {kind:?}");
            } else {
                assert_eq!(wait(call.result).code(), Some(42), "{via:?} {kind:?}");
            }
        }
    }
}

/// The end of a thread clears `child_tid` and wakes the futex; the stack is free then. The child ends only
/// once the waiter sleeps, or a wait without a wake would do.
#[test]
fn c7_child_cleartid_wakes_the_waiter() {
    struct Gate {
        waiter: AtomicI32,
        open: AtomicI32,
        deadline: Instant,
    }
    unsafe extern "C" fn wait_at_the_gate(gate: *mut c_void) -> c_int {
        // SAFETY: a gate that outlives the child.
        let gate = unsafe { &*gate.cast::<Gate>() };
        while gate.open.load(SeqCst) == 0 && Instant::now() < gate.deadline {
            // SAFETY: never fails, so that libc does not write errno.
            unsafe { libc::syscall(libc::SYS_sched_yield) };
        }
        42
    }
    for &via in Via::both() {
        let (stack, word) = (Stack::new(), AtomicI32::new(-1));
        let deadline = Instant::now() + limit();
        let gate = Shared::new(Gate { waiter: AtomicI32::new(0), open: AtomicI32::new(0), deadline });
        let shared: &Gate = &gate;
        let end = std::thread::scope(|scope| {
            // A thread out here: in a copy of this process std's own locks may be another thread's, and stay so.
            scope.spawn(|| {
                // Whether it sleeps in a system call about this word.
                let sleeps = |pid: i32| {
                    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
                    call.split(' ').nth(1) == Some(&format!("{:#x}", word.as_ptr() as usize))
                };
                while !sleeps(shared.waiter.load(SeqCst)) {
                    assert!(Instant::now() < deadline, "the waiter does not sleep");
                    std::thread::sleep(Duration::from_micros(200));
                }
                shared.open.store(1, SeqCst);
            });
            in_process(|| {
                let mut start = Start::new(via, Kind::Thread);
                start.args.child_tid = word.as_ptr() as u64;
                start.args.parent_tid = word.as_ptr() as u64;
                let call = start.stack(&stack).start(wait_at_the_gate, gate.as_ptr().cast());
                assert_eq!(word.load(SeqCst) as isize, call.result, "{via:?}");
                gate.waiter.store(std::process::id() as i32, SeqCst);
                wait_for_zero(&word);
                77
            })
        });
        assert_eq!(end.code(), Some(77), "{via:?}: {end:?}");
    }
}

/// clone stores the pidfd where `parent_tid` points, clone3 where `pidfd` points.
#[test]
fn c7_the_pidfd_arrives_and_names_the_child() {
    for &via in Via::both() {
        let pidfd = Shared::new(AtomicI32::new(-1));
        let stack = Stack::new();
        let mut start = Start::with(via, F::PIDFD, libc::SIGCHLD);
        start.args.pidfd = pidfd.as_ptr() as u64;
        let call = start.stack(&stack).start(done, ptr::null_mut());
        if emulated() && call.result == EINVAL {
            return skip("a qemu-user without PIDFD");
        }
        assert!(call.result > 0, "{via:?}: errno {}", -call.result);
        let fd = pidfd.load(SeqCst);
        ended(fd);
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).expect("fdinfo");
        assert!(info.contains("Pid:"), "{via:?}: not a pidfd:\n{info}");
        close(fd);
        assert_eq!(wait(call.result).code(), Some(42), "{via:?}");
    }
}
