//! The assembly's C ABI: what every port in `asm/` exports.
//!
//! The four functions are assembly from the first instruction to the last. They call nothing, keep
//! no state, and use neither `errno` nor thread-local storage, so they may be called from a signal
//! handler, before libc has started, and in a child of [`clone_trampoline`] itself.
//!
//! What every port promises is written down in `PORTING.md`, clause by clause (C1 to C13), and tested
//! by `tests/contract/`. In short: the parent gets the tid or a negative errno, the child runs
//! `fn(arg)` and ends with the `exit` system call, `stack_top` may have any alignment, and every
//! call-saved register survives in the parent, however the call ends.
//!
//! `include/clone_trampoline.h` is this module for C: cbindgen makes it from the items below and
//! their documentation (`ci/header`), which therefore speaks to readers of both languages.

#![allow(unsafe_code)]

pub(crate) mod conflicts;
pub(crate) mod flags;

use core::ffi::{c_int, c_long, c_ulong, c_void};

/// What a child runs: `int fn(void *arg)` of C.
///
/// The return value is the child's exit status, of which the kernel keeps eight bits. The function
/// must not unwind.
///
/// ```
/// use clone_trampoline::raw::ChildFn;
/// use core::ffi::{c_int, c_void};
///
/// unsafe extern "C" fn child(arg: *mut c_void) -> c_int {
///     arg.is_null().into()
/// }
/// let f: ChildFn = child;
/// # // SAFETY: it reads nothing.
/// # assert_eq!(unsafe { f(core::ptr::null_mut()) }, 1);
/// ```
pub type ChildFn = unsafe extern "C" fn(arg: *mut c_void) -> c_int;

// `f` is an `Option<ChildFn>`, written out because cbindgen does not see through a name in an Option. rustc exports the
// symbols from a Rust dylib only if it knows whose they are.
#[link(name = "clone_trampoline")]
unsafe extern "C" {
    /// clone(2): makes a task that runs `f(arg)` on the stack below `stack_top`, then exits with
    /// its return value.
    ///
    /// Async-signal-safe; needs no thread-local storage, and no libc that has started.
    ///
    /// * `f`: its return value is the child's exit status, of which the kernel keeps eight bits. It
    ///   ends by the exit system call of this task alone, never of its process (C2).
    /// * `stack_top`: the highest address of the child's stack, one past its last byte. Any
    ///   alignment: the port aligns downwards, and writes nothing at or above it (C5). Null: the
    ///   child runs on the caller's stack (C4).
    /// * `flags`: [`CloneFlags`](crate::CloneFlags) and, in the lowest eight bits, the signal that the
    ///   parent gets when the child ends (0: none). The kernel reads 32 bits.
    /// * `parent_tid`, `child_tid`: where `PARENT_SETTID` (or `PIDFD`), `CHILD_SETTID` and
    ///   `CHILD_CLEARTID` store; not read otherwise. The kernel does not report a bad address of a
    ///   tid.
    /// * `tls`: the thread pointer, with `SETTLS` (i386: a `struct user_desc *`).
    ///
    /// # Errors
    ///
    /// The child's tid, as the caller's pid namespace has it, or a negative errno; the variable
    /// `errno` is left alone (C1). The errors are those of clone(2), and `-EINVAL` if `f` is null
    /// (C3), or for `VM` without `VFORK` and without a stack (C4).
    ///
    /// # Safety
    ///
    /// * The memory below `stack_top` is writable, large enough for what `f` does, and used by
    ///   nobody else until the child has ended or replaced its memory. (On i386 the call itself stores two
    ///   words there for the child, and has done so when it fails.)
    /// * `f` may run in the child with `arg`: on another thread of control and, without `VM`, in a copy
    ///   of the memory, in which every lock that another thread held stays locked. It does not unwind.
    /// * With `VM`, and without `SETTLS`, the child has the thread pointer of the calling thread. If the
    ///   two run at the same time (no `VFORK`), `f` uses nothing that lives in thread-local storage: no
    ///   allocation, no `errno`, no panic, no lazily bound symbol.
    /// * Pointers that the flags make the kernel use are valid for writing an `int`, `child_tid` with
    ///   `CHILD_CLEARTID` until the child has ended.
    ///
    /// Not guaranteed: that the child's use of libc works (its caches of the tid and its locks are
    /// the caller's), that signals do not reach a handler in the child, that the child is waited for.
    pub fn clone_trampoline(
        f: Option<unsafe extern "C" fn(arg: *mut c_void) -> c_int>,
        stack_top: *mut c_void,
        flags: c_ulong,
        arg: *mut c_void,
        parent_tid: *mut c_int,
        tls: *mut c_void,
        child_tid: *mut c_int,
    ) -> c_long;

    /// clone3(2), Linux 5.3: makes a task as `args` says, which runs `f(arg)`, then exits with its
    /// return value.
    ///
    /// Async-signal-safe; needs no thread-local storage, and no libc that has started.
    ///
    /// `size` is the size of `*args`; a newer kernel's longer struct may be passed, too. Unlike in
    /// clone(2), the stack is given by its lowest address and its size. `*args` is read by the
    /// kernel alone and never written (C1).
    ///
    /// # Errors
    ///
    /// The child's tid, as the caller's pid namespace has it, or a negative errno: those of
    /// clone3(2), and `-EINVAL` if `args` or `f` is null (C3). `-ENOSYS` is common where a seccomp
    /// filter is not made for it, as in older containers; so is `-EPERM`.
    ///
    /// # Safety
    ///
    /// As for [`clone_trampoline`]; the stack is `args.stack .. args.stack + args.stack_size`. With
    /// `VM`, without `VFORK` and without a stack the behaviour is undefined: this function cannot look.
    ///
    /// ```
    /// use clone_trampoline::raw::{CloneArgs, clone3_trampoline};
    /// use std::ffi::{c_int, c_void};
    ///
    /// unsafe extern "C" fn child(_: *mut c_void) -> c_int {
    ///     7
    /// }
    ///
    /// let args = CloneArgs { exit_signal: libc::SIGCHLD as u64, ..CloneArgs::default() };
    /// // SAFETY: the child is a copy of this process, on a copy of this stack, and returns at once.
    /// let tid = unsafe {
    ///     clone3_trampoline(&args, size_of::<CloneArgs>(), Some(child), std::ptr::null_mut())
    /// };
    /// if tid == -i64::from(libc::ENOSYS) as std::ffi::c_long {
    ///     return; // a kernel before 5.3, or a filter
    /// }
    /// let mut status = 0;
    /// // SAFETY: a child of ours, and a place for its status.
    /// assert_eq!(unsafe { libc::waitpid(tid as i32, &mut status, 0) }, tid as i32);
    /// assert_eq!(libc::WEXITSTATUS(status), 7);
    /// ```
    pub fn clone3_trampoline(
        args: *const CloneArgs,
        size: usize,
        f: Option<unsafe extern "C" fn(arg: *mut c_void) -> c_int>,
        arg: *mut c_void,
    ) -> c_long;

    /// Unmaps `length` bytes at `base`, the stack it runs on among them, and ends the calling task
    /// with `status` (C11).
    ///
    /// Async-signal-safe; needs no thread-local storage, and no libc that has started.
    ///
    /// The last act of a thread that nobody joins. Between munmap(2) and exit(2) there is no stack.
    /// If munmap(2) fails, the memory stays and the task ends all the same.
    ///
    /// # Safety
    ///
    /// * `base` and `length` are whole pages that nobody needs any more.
    /// * All signals are blocked: a handler would have no stack.
    /// * Nothing that the kernel writes at the task's end lies in the range: the word of
    ///   `CHILD_CLEARTID` (set_tid_address(2) names another one, or null), the robust futex list
    ///   (set_robust_list(2) unregisters it) and the area of rseq(2), unregistered as well.
    ///
    /// ```
    /// use clone_trampoline::{CloneFlags, raw};
    /// use std::ffi::{c_int, c_ulong, c_void};
    /// use std::ptr;
    ///
    /// const SIZE: usize = 64 * 1024;
    ///
    /// unsafe extern "C" fn child(base: *mut c_void) -> c_int {
    ///     // SAFETY: this stack is the child's alone. It has no robust list, no rseq area and no
    ///     // CHILD_CLEARTID; signals are left alone to keep the example short.
    ///     unsafe { raw::unmap_exit_trampoline(base, SIZE, 7) }
    /// }
    ///
    /// // SAFETY: a new mapping; with VFORK this thread sleeps until the child is gone.
    /// let tid = unsafe {
    ///     let prot = libc::PROT_READ | libc::PROT_WRITE;
    ///     let map = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    ///     let base = libc::mmap(ptr::null_mut(), SIZE, prot, map, -1, 0);
    ///     assert_ne!(base, libc::MAP_FAILED);
    ///     let flags = (CloneFlags::VM | CloneFlags::VFORK).bits() as c_ulong;
    ///     let top = base.byte_add(SIZE);
    ///     let (parent_tid, tls, child_tid) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    ///     raw::clone_trampoline(Some(child), top, flags, base, parent_tid, tls, child_tid)
    /// };
    /// let mut status = 0;
    /// // SAFETY: a child of ours, and a place for its status.
    /// assert_eq!(unsafe { libc::waitpid(tid as i32, &mut status, libc::__WALL) }, tid as i32);
    /// assert_eq!(libc::WEXITSTATUS(status), 7);
    /// ```
    pub fn unmap_exit_trampoline(base: *mut c_void, length: usize, status: c_int) -> !;

    /// syscall(2) without `errno`: makes the system call `number` with six arguments (C13).
    ///
    /// Async-signal-safe; needs no thread-local storage, and no libc that has started. It is for children that run
    /// beside the thread whose thread-local storage they have: the libc's function stores `errno` there when a call
    /// fails.
    ///
    /// `number` and the arguments are those of the architecture, as for syscall(2): the number differs, some
    /// 32-bit architectures split 64-bit values, in pairs that may have to begin at an even register, and on x32
    /// the number has the bit of x32, as the libc's constants have. Arguments that the call does not have are
    /// ignored.
    ///
    /// # Errors
    ///
    /// What the kernel returns, or a negative errno.
    ///
    /// # Safety
    ///
    /// That of the system call. It must not be one after which two tasks return here on one stack, as clone(2)
    /// with `VM`, or vfork(2).
    ///
    /// ```
    /// use clone_trampoline::raw::clone_trampoline_syscall;
    /// use std::ffi::c_long;
    ///
    /// // SAFETY: no pointers; no descriptor has this number.
    /// let closed = unsafe { clone_trampoline_syscall(libc::SYS_close, -1, 0, 0, 0, 0, 0) };
    /// assert_eq!(closed, c_long::from(-libc::EBADF));
    /// ```
    pub fn clone_trampoline_syscall(
        number: c_long,
        a: c_long,
        b: c_long,
        c: c_long,
        d: c_long,
        e: c_long,
        f: c_long,
    ) -> c_long;
}

/// `struct clone_args` of `uapi/linux/sched.h`, 88 bytes (`CLONE_ARGS_SIZE_VER2`, Linux 5.7).
///
/// A type of its own, for programs without the kernel's headers; the layout is the same. Every field is
/// 64 bits wide on every architecture; addresses are zero-extended. Older kernels take
/// the whole struct as long as the fields they do not know are 0, and answer `E2BIG` otherwise.
///
/// ```
/// use clone_trampoline::{CloneFlags, raw::CloneArgs};
///
/// let mut tid = 0;
/// let args = CloneArgs {
///     flags: CloneFlags::PARENT_SETTID.bits(),
///     parent_tid: (&raw mut tid) as u64,
///     ..CloneArgs::default()
/// };
/// assert_eq!(args.stack, 0);
/// assert_eq!(size_of_val(&args), 88);
/// ```
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloneArgs {
    /// [`CloneFlags`](crate::CloneFlags), without an exit signal.
    pub flags: u64,
    /// Address of an `int`: where `PIDFD` stores.
    pub pidfd: u64,
    /// Address of an `int` in the child's memory: where `CHILD_SETTID` and `CHILD_CLEARTID` store.
    pub child_tid: u64,
    /// Address of an `int` in the parent's memory: where `PARENT_SETTID` stores.
    pub parent_tid: u64,
    /// The signal that the parent gets when the child ends; 0: none, as `THREAD` and `PARENT` need.
    pub exit_signal: u64,
    /// The *lowest* address of the child's stack; 0: the caller's stack.
    pub stack: u64,
    /// The size of the child's stack in bytes; 0 if and only if `stack` is.
    pub stack_size: u64,
    /// The thread pointer, with `SETTLS` (i386: address of a `struct user_desc`).
    pub tls: u64,
    /// Address of an array of `int`: the tid to take in each pid namespace, innermost first (5.5).
    pub set_tid: u64,
    /// The number of elements of `set_tid`.
    pub set_tid_size: u64,
    /// A file descriptor of a cgroup v2 directory, with `INTO_CGROUP` (5.7).
    pub cgroup: u64,
}
