//! The assembly's C ABI: the four functions that every port in `asm/` exports.
//!
//! The functions are assembly from the first instruction to the last. They call nothing, keep no state, and use neither
//! `errno` nor thread-local storage. So they may be called from a signal handler, before libc has started, and in a
//! child of [`clone_trampoline`] itself.
//!
//! `PORTING.md` has the contract that every port keeps, in clauses C1 to C13, and `tests/contract/` tests each clause.
//! In short: the parent gets the tid or a negative errno. The child runs `fn(arg)` and ends with the `exit` system
//! call. `stack_top` may have any alignment. Every call-saved register survives in the parent, however the call ends.
//!
//! cbindgen makes `include/clone_trampoline.h` from the items below and their documentation (`ci/header`). So this
//! documentation is for readers of Rust and of C.

#![allow(unsafe_code)]

pub(crate) mod conflicts;
pub(crate) mod flags;

use core::ffi::{c_int, c_long, c_ulong, c_void};

/// The function that a child runs: `int fn(void *arg)` in C.
///
/// Its return value is the child's exit status. The kernel keeps eight bits of it. The function must not unwind.
///
/// ```
/// use clone_trampoline::raw::ChildFn;
/// use core::ffi::{c_int, c_void};
///
/// unsafe extern "C" fn child(arg: *mut c_void) -> c_int {
///     arg.is_null().into()
/// }
/// let f: ChildFn = child;
/// # // SAFETY: `child` does not use the memory at `arg`.
/// # assert_eq!(unsafe { f(core::ptr::null_mut()) }, 1);
/// ```
pub type ChildFn = unsafe extern "C" fn(arg: *mut c_void) -> c_int;

// The type of `f` is `Option<ChildFn>`. It is written out because cbindgen does not resolve an alias inside an Option.
// The library is named here because rustc exports the symbols from a Rust dylib only if it knows which library has
// them.
#[link(name = "clone_trampoline")]
unsafe extern "C" {
    /// Calls clone(2): makes a task that runs `f(arg)` on the stack below `stack_top` and then exits with its return
    /// value.
    ///
    /// It is async-signal-safe, and needs neither thread-local storage nor a libc that has started.
    ///
    /// * `f`: the function that the child runs. The kernel keeps eight bits of its return value as the exit status. The
    ///   child ends by the system call exit, which ends this task alone, and never by exit_group, which would end all
    ///   threads of its process (C2).
    /// * `stack_top`: the highest address of the child's stack, one past its last byte. It may have any alignment: the
    ///   port aligns downwards, and writes nothing at or above it (C5). If it is null, the child runs on the caller's
    ///   stack (C4).
    /// * `flags`: [`CloneFlags`](crate::CloneFlags) and, in the lowest eight bits, the signal that the parent gets when
    ///   the child ends (0 for none). The kernel reads 32 bits.
    /// * `parent_tid`, `child_tid`: the addresses that `PARENT_SETTID` (or `PIDFD`), `CHILD_SETTID` and
    ///   `CHILD_CLEARTID` store to. The kernel ignores them without these flags. It does not report a bad address of a
    ///   tid.
    /// * `tls`: the child's thread pointer, with `SETTLS` (on i386 a `struct user_desc *`).
    ///
    /// # Errors
    ///
    /// Returns the child's tid as the caller's pid namespace numbers it, or a negative errno. The variable `errno` does
    /// not change (C1). The errors are those of clone(2), and `-EINVAL` if `f` is null (C3), or for `VM` without
    /// `VFORK` and without a stack (C4).
    ///
    /// # Safety
    ///
    /// * The memory below `stack_top` is writable, large enough for what `f` does, and used by nobody else until the
    ///   child has ended or replaced its memory. (On i386 the call itself stores two words there for the child, even if
    ///   the call then fails.)
    /// * `f` may run in the child with `arg`: in another thread of control and, without `VM`, in a copy of the memory.
    ///   In that copy, a lock that another thread held stays locked. `f` does not unwind.
    /// * With `VM`, and without `SETTLS`, the child has the thread pointer of the calling thread. If the two run at the
    ///   same time (no `VFORK`), `f` uses nothing in thread-local storage. So it does not allocate, use `errno`, panic,
    ///   or call a lazily bound symbol.
    /// * Every pointer that the flags make the kernel use is valid for writing an `int`. With `CHILD_CLEARTID`,
    ///   `child_tid` stays valid until the child has ended.
    ///
    /// The call does not guarantee that libc works in the child (its caches of the tid and its locks are the caller's),
    /// that no signal reaches a handler in the child, or that anybody waits for the child.
    pub fn clone_trampoline(
        f: Option<unsafe extern "C" fn(arg: *mut c_void) -> c_int>,
        stack_top: *mut c_void,
        flags: c_ulong,
        arg: *mut c_void,
        parent_tid: *mut c_int,
        tls: *mut c_void,
        child_tid: *mut c_int,
    ) -> c_long;

    /// Calls clone3(2) (Linux 5.3): makes a task from `args` that runs `f(arg)` and then exits with its return value.
    ///
    /// It is async-signal-safe, and needs neither thread-local storage nor a libc that has started.
    ///
    /// `size` is the size of `*args`. The longer struct of a newer kernel may be passed as well. Unlike in clone(2),
    /// the stack is given by its lowest address and its size. Only the kernel reads `*args`, and nothing writes to it
    /// (C1).
    ///
    /// # Errors
    ///
    /// Returns the child's tid as the caller's pid namespace numbers it, or a negative errno. The errors are those of
    /// clone3(2), and `-EINVAL` if `args` or `f` is null (C3). `-ENOSYS` and `-EPERM` are common under a seccomp filter
    /// that does not know clone3(2), as in older containers.
    ///
    /// # Safety
    ///
    /// The conditions of [`clone_trampoline`] apply. The stack is `args.stack .. args.stack + args.stack_size`. With
    /// `VM`, without `VFORK` and without a stack the behaviour is undefined, because this function cannot look at the
    /// flags.
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
    /// // SAFETY: the child is a copy of this process, runs on a copy of this stack, and returns at once.
    /// let tid = unsafe {
    ///     clone3_trampoline(&args, size_of::<CloneArgs>(), Some(child), std::ptr::null_mut())
    /// };
    /// if tid == -i64::from(libc::ENOSYS) as std::ffi::c_long {
    ///     return; // The kernel is older than 5.3, or a filter refuses the call.
    /// }
    /// let mut status = 0;
    /// // SAFETY: `status` has room for the status.
    /// assert_eq!(unsafe { libc::waitpid(tid as i32, &mut status, 0) }, tid as i32);
    /// assert_eq!(libc::WEXITSTATUS(status), 7);
    /// ```
    pub fn clone3_trampoline(
        args: *const CloneArgs,
        size: usize,
        f: Option<unsafe extern "C" fn(arg: *mut c_void) -> c_int>,
        arg: *mut c_void,
    ) -> c_long;

    /// Unmaps `length` bytes at `base`, including the stack that it runs on, and ends the calling task with `status`
    /// (C11).
    ///
    /// It is async-signal-safe, and needs neither thread-local storage nor a libc that has started.
    ///
    /// A thread that nobody joins can free its own stack in this way. Between munmap(2) and exit(2) the task has no
    /// stack. If munmap(2) fails, the memory stays mapped and the task still ends.
    ///
    /// # Safety
    ///
    /// * `base` and `length` describe whole pages that nobody needs any more.
    /// * All signals are blocked, because a handler would have no stack.
    /// * The range has nothing that the kernel writes when the task ends: the word of `CHILD_CLEARTID`
    ///   (set_tid_address(2) names another word, or null), the robust futex list (set_robust_list(2) unregisters it),
    ///   and the area of rseq(2) (which can be unregistered as well).
    ///
    /// ```
    /// use clone_trampoline::{CloneFlags, raw};
    /// use std::ffi::{c_int, c_ulong, c_void};
    /// use std::ptr;
    ///
    /// const SIZE: usize = 64 * 1024;
    ///
    /// unsafe extern "C" fn child(base: *mut c_void) -> c_int {
    ///     // SAFETY: only the child uses this stack. The child has no robust list, no rseq area and no
    ///     // CHILD_CLEARTID. Signals are not blocked, to keep the example short.
    ///     unsafe { raw::unmap_exit_trampoline(base, SIZE, 7) }
    /// }
    ///
    /// // SAFETY: the mapping is new, and with VFORK this thread sleeps until the child is gone.
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
    /// // SAFETY: `status` has room for the status.
    /// assert_eq!(unsafe { libc::waitpid(tid as i32, &mut status, libc::__WALL) }, tid as i32);
    /// assert_eq!(libc::WEXITSTATUS(status), 7);
    /// ```
    pub fn unmap_exit_trampoline(base: *mut c_void, length: usize, status: c_int) -> !;

    /// Makes the system call `number` with six arguments, like syscall(2) but without `errno` (C13).
    ///
    /// It is async-signal-safe, and needs neither thread-local storage nor a libc that has started. It is for a child
    /// that has the thread-local storage of a thread that runs at the same time. libc's function would store `errno`
    /// there when a call fails.
    ///
    /// `number` and the arguments are those of the architecture, as for syscall(2). Some 32-bit architectures split a
    /// 64-bit value into a pair of arguments, which may have to begin at an even register. On x32 the number includes
    /// the bit of x32, as libc's constants do. Arguments that the call does not have are ignored.
    ///
    /// # Errors
    ///
    /// Returns what the kernel returns, which is a negative errno if the call fails.
    ///
    /// # Safety
    ///
    /// The conditions are those of the system call. It must not be a call after which two tasks return here on one
    /// stack, such as clone(2) with `VM`, or vfork(2).
    ///
    /// ```
    /// use clone_trampoline::raw::clone_trampoline_syscall;
    /// use std::ffi::c_long;
    ///
    /// // SAFETY: the call takes no pointers, and no descriptor has this number.
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

/// The `struct clone_args` of `uapi/linux/sched.h`, 88 bytes (`CLONE_ARGS_SIZE_VER2`, Linux 5.7).
///
/// This is a separate type with the same layout, for programs without the kernel's headers. Every field is 64 bits wide
/// on every architecture, and addresses are zero-extended. Older kernels take the whole struct if the fields that they
/// do not know are 0, and answer `E2BIG` otherwise. If a later kernel adds fields, they will be in a struct of another
/// name, and this one stays as it is.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CloneArgs {
    /// [`CloneFlags`](crate::CloneFlags), without an exit signal.
    pub flags: u64,
    /// The address of an `int`, where `PIDFD` stores the pidfd.
    pub pidfd: u64,
    /// The address of an `int` in the child's memory, where `CHILD_SETTID` and `CHILD_CLEARTID` store.
    pub child_tid: u64,
    /// The address of an `int` in the parent's memory, where `PARENT_SETTID` stores.
    pub parent_tid: u64,
    /// The signal that the parent gets when the child ends, or 0 for none. `THREAD` and `PARENT` need 0.
    pub exit_signal: u64,
    /// The *lowest* address of the child's stack, or 0 for the caller's stack.
    pub stack: u64,
    /// The size of the child's stack in bytes. It is 0 if and only if `stack` is 0.
    pub stack_size: u64,
    /// The thread pointer, for `SETTLS` (on i386 the address of a `struct user_desc`).
    pub tls: u64,
    /// The address of an array of `int`: the child's tid in each pid namespace, innermost first (5.5).
    pub set_tid: u64,
    /// The number of elements of `set_tid`.
    pub set_tid_size: u64,
    /// A file descriptor of a cgroup v2 directory, for `INTO_CGROUP` (5.7).
    pub cgroup: u64,
}
