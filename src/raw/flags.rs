//! The flags of clone(2) and clone3(2), by the names of `uapi/linux/sched.h` without their prefix.

use bitflags::bitflags;

bitflags! {
    /// What the child shares with its parent, what it gets of its own, and what is told to whom.
    ///
    /// The names are those of `linux/sched.h` without `CLONE_`; clone(2) describes each. The value is
    /// 64 bits wide on every architecture. clone(2) takes the lower 32 bits and drops the others
    /// without a word; flags that only clone3(2) can express say so below, with the first kernel that
    /// knows them. A kernel that does not know a flag answers clone3(2) with `EINVAL`.
    ///
    /// ```
    /// use clone_trampoline::CloneFlags;
    ///
    /// let like_a_thread = CloneFlags::VM | CloneFlags::FS | CloneFlags::FILES | CloneFlags::SIGHAND;
    /// assert_eq!(like_a_thread.bits(), 0xf00);
    /// ```
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct CloneFlags: u64 {
        /// A new time namespace (5.6). clone3(2) only: in clone(2) this bit belongs to the exit
        /// signal. With [`VM`](Self::VM) the namespace is made, but the child stays outside.
        const NEWTIME = 0x80;
        /// The same memory, not a copy.
        const VM = 0x100;
        /// The same root, working directory and umask.
        const FS = 0x200;
        /// The same table of file descriptors.
        const FILES = 0x400;
        /// The same signal handlers. Needs [`VM`](Self::VM).
        const SIGHAND = 0x800;
        /// A pidfd of the child for the parent, close-on-exec (5.2). clone(2) stores it where
        /// `parent_tid` points, clone3(2) where `pidfd` points.
        const PIDFD = 0x1000;
        /// Traced by the parent's tracer, too.
        const PTRACE = 0x2000;
        /// The calling task sleeps until the child has exited or called execve(2).
        const VFORK = 0x4000;
        /// A child of the caller's parent: a sibling.
        const PARENT = 0x8000;
        /// A thread of the caller's process. Needs [`SIGHAND`](Self::SIGHAND).
        const THREAD = 0x1_0000;
        /// A new mount namespace.
        const NEWNS = 0x2_0000;
        /// The same list of System V semaphore undo operations.
        const SYSVSEM = 0x4_0000;
        /// The thread pointer is `tls` (i386: the TLS entry that the `struct user_desc` describes).
        const SETTLS = 0x8_0000;
        /// Store the tid where `parent_tid` points, in the parent's memory, before the call returns.
        const PARENT_SETTID = 0x10_0000;
        /// When the child's memory ends while others still use it: store 0 where `child_tid`
        /// points, and wake one waiter of that (not private) futex.
        const CHILD_CLEARTID = 0x20_0000;
        /// Without effect since Linux 2.6.2. `EINVAL` in clone3(2), and in clone(2) with
        /// [`PIDFD`](Self::PIDFD).
        const DETACHED = 0x40_0000;
        /// A tracer cannot force [`PTRACE`](Self::PTRACE) on this child.
        const UNTRACED = 0x80_0000;
        /// Store the tid where `child_tid` points, in the child's memory, before `fn` runs.
        const CHILD_SETTID = 0x100_0000;
        /// A new cgroup namespace (4.6).
        const NEWCGROUP = 0x200_0000;
        /// A new UTS namespace: host and domain name.
        const NEWUTS = 0x400_0000;
        /// A new IPC namespace.
        const NEWIPC = 0x800_0000;
        /// A new user namespace.
        const NEWUSER = 0x1000_0000;
        /// A new pid namespace.
        const NEWPID = 0x2000_0000;
        /// A new network namespace.
        const NEWNET = 0x4000_0000;
        /// The same I/O context, for the block layer's schedulers.
        const IO = 0x8000_0000;
        /// Handled signals are reset to their default, ignored ones stay ignored (5.5, clone3(2)
        /// only).
        const CLEAR_SIGHAND = 0x1_0000_0000;
        /// Born in the cgroup whose directory the field `cgroup` names (5.7, clone3(2) only).
        const INTO_CGROUP = 0x2_0000_0000;
        /// Leaves no zombie, and tells the parent nothing (7.1, clone3(2) only).
        const AUTOREAP = 0x4_0000_0000;
        /// Born with no_new_privs (7.1, clone3(2) only).
        const NNP = 0x8_0000_0000;
        /// Killed when the last copy of its pidfd is closed (7.1, clone3(2) only). Needs
        /// [`PIDFD`](Self::PIDFD) and [`AUTOREAP`](Self::AUTOREAP).
        const PIDFD_AUTOKILL = 0x10_0000_0000;
        /// A new mount namespace with nothing in it but an empty root (7.1, clone3(2) only).
        const EMPTY_MNTNS = 0x20_0000_0000;
    }
}
