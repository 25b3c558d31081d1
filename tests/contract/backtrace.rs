//! C8: a backtrace from the child ends at the trampoline, one from the parent's part of it goes on to the
//! caller.

use crate::common::*;
use crate::start::*;
use std::ffi::{c_int, c_void};
use std::process::Command;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

/// What the unwinder said.
#[derive(Debug, Default)]
#[repr(C)]
struct Trace {
    /// Where each frame goes on, innermost first. The walk ends where there is no more room.
    frames: [usize; 12],
    count: usize,
    /// Call-saved registers that probe_call's frame did not get back.
    lost_registers: usize,
    /// Why it stopped.
    reason: c_int,
}

const END_OF_STACK: c_int = 5; // _URC_END_OF_STACK
const STOP: c_int = 4; // _URC_NORMAL_STOP
const FAILURE: c_int = 9; // _URC_FAILURE

// The unwinder that std is linked with: it allocates nothing.
unsafe extern "C" {
    fn _Unwind_Backtrace(f: extern "C" fn(*mut c_void, *mut Trace) -> c_int, arg: *mut Trace) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
    fn _Unwind_GetGR(context: *mut c_void, register: c_int) -> usize;
}

fn inside(ip: usize, function: *const c_void, size: usize) -> bool {
    ip.wrapping_sub(probe::code(function)) < size
}

/// probe_entry is what follows it.
fn in_probe_call(ip: usize) -> bool {
    let code = |function: *const ()| probe::code(function.cast());
    (code(probe::probe_call as *const ())..code(probe::probe_entry as *const ())).contains(&ip)
}

extern "C" fn one_frame(context: *mut c_void, trace: *mut Trace) -> c_int {
    // SAFETY: the unwinder's context and our own Trace.
    unsafe {
        let (ip, trace) = (_Unwind_GetIP(context), &mut *trace);
        // libgcc reports the missing caller, too, as 0
        if ip == 0 {
            return 0;
        }
        // Enough of a parent's: how a thread of libtest began is not for us to unwind, and crashes some unwinders.
        let Some(frame) = trace.frames.get_mut(trace.count) else { return STOP };
        *frame = ip;
        trace.count += 1;
        if in_probe_call(ip) {
            let lost = |n: &c_int| {
                let pattern = probe::probe_pattern(*n);
                pattern != 0 && pattern != _Unwind_GetGR(context, *n)
            };
            trace.lost_registers = (0..32).filter(lost).count();
        }
    }
    0
}

unsafe extern "C" fn backtrace(arg: *mut c_void) -> c_int {
    let trace: *mut Trace = arg.cast();
    // SAFETY: a Trace that outlives the child.
    unsafe { (*trace).reason = _Unwind_Backtrace(one_frame, trace) };
    42
}

#[test]
fn c8_a_backtrace_from_the_child_ends_at_the_trampoline() {
    // The EHABI's unwinder does not report the frame that ends it, and has no other word for that.
    let ehabi = crate::object::ehabi();
    let (reason, least) = if ehabi { (FAILURE, 1) } else { (END_OF_STACK, 2) };
    for &via in Via::both() {
        for kind in [Kind::Fork, Kind::Vfork] {
            for own_stack in [true, false] {
                let trace = Shared::new(Trace::default());
                // A process of its own: nobody holds the loader's lock, which the unwinder takes.
                let end = in_process(|| {
                    let stack = Stack::new();
                    let mut start = Start::new(via, kind);
                    if own_stack {
                        start.stack(&stack);
                    }
                    let (_, end) = run_on(&mut start, backtrace, trace.as_ptr().cast());
                    end.and_then(|end| end.code()).unwrap_or(99)
                });
                let what = format!("{via:?} {kind:?} {own_stack}: {:#x?}", *trace);
                assert_eq!(end.code(), Some(42), "{what}: {end:?}");
                assert_eq!(trace.reason, reason, "{what}");
                let last = trace.count.checked_sub(1).and_then(|last| trace.frames.get(last)).expect(&what);
                let outermost = if ehabi { backtrace as *const c_void } else { via.function() };
                assert!(inside(*last, outermost, 256), "{what}: ends elsewhere");
                assert!(trace.count >= least, "{what}");
            }
        }
    }
}

/// The parent of a vfork is seen at the trap, by profilers and in core dumps: from there a backtrace finds
/// the caller, and the registers that the trampoline has borrowed.
#[test]
fn c8_a_backtrace_from_the_parents_part_goes_on_to_the_caller() {
    static TRACE: AtomicPtr<Trace> = AtomicPtr::new(ptr::null_mut());
    extern "C" fn at_the_trap(_: c_int) {
        // SAFETY: the test's Trace; ends the process, in which the call has no result.
        unsafe {
            backtrace(TRACE.load(SeqCst).cast());
            libc::_exit(77)
        }
    }
    #[inline(never)]
    extern "C" fn caller(start: &Start) -> isize {
        std::hint::black_box(start.start(never, ptr::null_mut()).result) + 1
    }
    if crate::object::ehabi() {
        return skip("the EHABI's unwinder passes no trampoline");
    }
    if emulated() {
        return skip("qemu-user has no seccomp");
    }
    for &via in Via::both() {
        let trace = Shared::new(Trace::default());
        let end = in_process(|| {
            TRACE.store(trace.as_ptr(), SeqCst);
            // SAFETY: a handler in a process of one thread, which the filter has trapped.
            unsafe { libc::signal(libc::SIGSYS, at_the_trap as *const () as usize) };
            seccomp(via.number(), libc::SECCOMP_RET_TRAP);
            caller(&Start::new(via, Kind::Fork)) as c_int
        });
        let what = format!("{via:?}: {:#x?}", *trace);
        assert_eq!(end.code(), Some(77), "{what}: {end:?}");
        let mut frames = trace.frames.iter().skip_while(|ip| !inside(**ip, via.function(), 256));
        let found = frames.next().is_some();
        if cfg!(target_env = "musl") && !found {
            return skip("the unwinder of ci/musl passes no signal's frame");
        }
        assert!(found, "{what}: the trampoline is not in it");
        assert!(frames.next().is_some_and(|ip| in_probe_call(*ip)), "{what}: its caller is not in it");
        assert_eq!(trace.lost_registers, 0, "{what}");
        assert!(
            frames.any(|ip| inside(*ip, caller as *const c_void, 1024)),
            "{what}: its caller's callers are not in it"
        );
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
unsafe extern "C" fn gdb_stops_here(arg: *mut c_void) -> c_int {
    std::hint::black_box(arg);
    42
}

/// gdb debugs this very test, which then only starts the child.
#[test]
fn c8_gdb_sees_the_trampoline_as_the_outermost_frame() {
    const DEBUGGED: &str = "START_UNDER_GDB_BY";
    if let Ok(call) = std::env::var(DEBUGGED) {
        let via = if call == "clone3_trampoline" { Via::Clone3 } else { Via::Clone };
        run(via, Kind::Fork, gdb_stops_here, ptr::null_mut());
        return;
    }
    if Command::new("gdb").arg("--version").output().is_err() {
        return skip("no gdb here");
    }
    if emulated() {
        return skip("gdb would see the emulator");
    }
    for &via in Via::both() {
        let call = if via == Via::Clone { "clone_trampoline" } else { "clone3_trampoline" };
        let mut gdb = Command::new("timeout");
        gdb.env(DEBUGGED, call);
        gdb.args(["-s", "KILL", "60", "gdb", "-nx", "-batch"]);
        gdb.args(["-ex", "set confirm off", "-ex", "set follow-fork-mode child"]);
        gdb.args(["-ex", "break gdb_stops_here", "-ex", "run", "-ex", "backtrace", "-ex", "kill"]);
        gdb.arg("--args").arg(std::env::current_exe().expect("our own path"));
        gdb.args(["--exact", std::thread::current().name().expect("the test's name"), "--test-threads=1"]);
        let output = gdb.output().expect("gdb runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let frames: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert!(frames.first().is_some_and(|f| f.contains("gdb_stops_here")), "{via:?}: {text}");
        assert!(frames.last().is_some_and(|f| f.contains(&format!(" {call}"))), "{via:?}: {text}");
        assert!(!text.contains("Backtrace stopped"), "{via:?}: {text}");
    }
}
