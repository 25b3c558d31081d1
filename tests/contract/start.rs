//! Starting a task by either call, with every call-saved register watched.
//!
//! Here and not in `common`, because a package of crates.io has no `probe`.

#![allow(unreachable_pub, reason = "a test program has no other crate's code")]

use crate::common::{Shared, Stack, emulated, in_process, skip, wait, wait_for_zero};
use clone_trampoline::CloneFlags;
use clone_trampoline::raw::{CloneArgs, clone_trampoline, clone3_trampoline};
use std::ffi::{c_int, c_void};
use std::process::ExitStatus;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicIsize, Ordering};

/// The two calls that start a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Clone,
    Clone3,
}

impl Via {
    /// Both calls, or clone alone, counted as a skip, where there is no clone3.
    pub fn both() -> &'static [Via] {
        static CLONE3: OnceLock<c_int> = OnceLock::new();
        let errno = *CLONE3.get_or_init(|| {
            // SAFETY: size 0 is EINVAL before anything is read.
            unsafe { libc::syscall(libc::SYS_clone3, ptr::null_mut::<c_void>(), 0_usize) };
            std::io::Error::last_os_error().raw_os_error().expect("an errno")
        });
        if errno == libc::EINVAL {
            &[Via::Clone, Via::Clone3]
        } else {
            skip(&format!("clone3 answers errno {errno}"));
            &[Via::Clone]
        }
    }

    pub fn function(self) -> *const c_void {
        match self {
            Via::Clone => clone_trampoline as *const c_void,
            Via::Clone3 => clone3_trampoline as *const c_void,
        }
    }

    pub fn number(self) -> u32 {
        match self {
            Via::Clone => libc::SYS_clone as u32,
            Via::Clone3 => libc::SYS_clone3 as u32,
        }
    }
}

/// For children that only have to be there, and to end.
pub unsafe extern "C" fn done(_: *mut c_void) -> c_int {
    42
}

/// For calls that must not make a child.
pub unsafe extern "C" fn never(_: *mut c_void) -> c_int {
    93
}

/// What a child shares with its parent, and whether both run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A copy of the memory.
    Fork,
    /// The same memory; the parent sleeps.
    Vfork,
    /// The same memory, at the same time.
    Vm,
    /// A thread of the process.
    Thread,
}

impl Kind {
    /// The kinds that this kernel can do; qemu-user refuses one, counted as a skip.
    pub fn all() -> &'static [Kind] {
        if emulated() {
            skip("an emulator without CLONE_VM between processes");
            &[Kind::Fork, Kind::Thread]
        } else {
            &[Kind::Fork, Kind::Vfork, Kind::Vm, Kind::Thread]
        }
    }

    pub fn flags(self) -> CloneFlags {
        match self {
            Kind::Fork => CloneFlags::empty(),
            Kind::Vfork => CloneFlags::VM | CloneFlags::VFORK,
            Kind::Vm => CloneFlags::VM,
            Kind::Thread => {
                CloneFlags::VM
                    | CloneFlags::FS
                    | CloneFlags::FILES
                    | CloneFlags::SIGHAND
                    | CloneFlags::SYSVSEM
                    | CloneFlags::THREAD
                    | CloneFlags::PARENT_SETTID
                    | CloneFlags::CHILD_CLEARTID
            }
        }
    }
}

/// The arguments of either call, in clone3's form.
#[derive(Debug)]
pub struct Start {
    pub via: Via,
    pub args: CloneArgs,
    pub size: usize,
}

impl Start {
    /// A child of that kind which announces its end by SIGCHLD (a thread: by nothing).
    pub fn new(via: Via, kind: Kind) -> Self {
        let exit_signal = if kind == Kind::Thread { 0 } else { libc::SIGCHLD };
        Self::with(via, kind.flags(), exit_signal)
    }

    pub fn with(via: Via, flags: CloneFlags, exit_signal: c_int) -> Self {
        let args = CloneArgs { flags: flags.bits(), exit_signal: exit_signal as u64, ..CloneArgs::default() };
        Self { via, args, size: size_of::<CloneArgs>() }
    }

    pub fn stack(&mut self, stack: &Stack) -> &mut Self {
        self.stack_below(stack, stack.top())
    }

    /// The part of `stack` that lies below `top`.
    pub fn stack_below(&mut self, stack: &Stack, top: *mut u8) -> &mut Self {
        self.args.stack = stack.base as u64;
        self.args.stack_size = (top as usize - stack.base as usize) as u64;
        self
    }

    /// Makes the call, with every call-saved register watched.
    pub fn start(&self, f: unsafe extern "C" fn(*mut c_void) -> c_int, arg: *mut c_void) -> probe::Call {
        self.start_maybe(f as usize, arg)
    }

    /// `start` for a function that may be null.
    pub fn start_maybe(&self, f: usize, arg: *mut c_void) -> probe::Call {
        let a = &self.args;
        let args = match self.via {
            Via::Clone => [
                f,
                (a.stack + a.stack_size) as usize,
                (a.flags | a.exit_signal) as usize,
                arg as usize,
                // the two share a pointer in this call
                if a.pidfd == 0 { a.parent_tid as usize } else { a.pidfd as usize },
                a.tls as usize,
                a.child_tid as usize,
            ],
            Via::Clone3 => [(&raw const self.args) as usize, self.size, f, arg as usize, 0, 0, 0],
        };
        watched(self.via, args)
    }
}

/// Calls a trampoline with every call-saved register watched.
pub fn watched(via: Via, args: [usize; 7]) -> probe::Call {
    let function = via.function();
    let mut call = probe::Call { function, args, result: 0, sp: 0, registers_changed: 0, frame_changed: 0 };
    // SAFETY: one of the two trampolines with its arguments; the tests that call keep the rest of
    // its promises (stacks of their own, children that use no thread-local storage).
    unsafe { probe::probe_call(&mut call) };
    call
}

/// Runs a child of `kind` on a stack of its own to its end; its exit status, or None for a thread.
pub fn run(
    via: Via,
    kind: Kind,
    f: unsafe extern "C" fn(*mut c_void) -> c_int,
    arg: *mut c_void,
) -> Option<ExitStatus> {
    let stack = Stack::new();
    let mut start = Start::new(via, kind);
    run_on(start.stack(&stack), f, arg).1
}

/// The same for any arguments: the call as the parent saw it, and the status.
pub fn run_on(
    start: &mut Start,
    f: unsafe extern "C" fn(*mut c_void) -> c_int,
    arg: *mut c_void,
) -> (probe::Call, Option<ExitStatus>) {
    let alive = AtomicI32::new(1);
    let thread = start.args.flags & CloneFlags::THREAD.bits() != 0;
    if thread {
        start.args.child_tid = alive.as_ptr() as u64;
        start.args.parent_tid = alive.as_ptr() as u64;
    }
    let call = start.start(f, arg);
    assert!(call.result > 0, "{start:?}: errno {}", -call.result);
    if thread {
        wait_for_zero(&alive);
        (call, None)
    } else {
        let status = wait(call.result);
        (call, Some(status))
    }
}

/// What the call gives in a process that `prepare` has changed.
pub fn result_after(prepare: impl Fn(), start: &Start) -> isize {
    let result = Shared::new(AtomicIsize::new(0));
    let end = in_process(|| {
        prepare();
        let tid = start.start(never, ptr::null_mut()).result;
        if tid > 0 {
            wait(tid);
        }
        result.store(tid, Ordering::SeqCst);
        77
    });
    assert_eq!(end.code(), Some(77), "{start:?}: {end:?}");
    result.load(Ordering::SeqCst)
}
