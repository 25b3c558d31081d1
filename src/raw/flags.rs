//! The flags of clone(2) and clone3(2). Their names are those of `uapi/linux/sched.h` without the prefix.

use bitflags::bitflags;

bitflags! {
    /// What the child shares with its parent, what it gets of its own, and what the kernel stores and reports.
    ///
    /// The names are those of `linux/sched.h` without `CLONE_`, and clone(2) describes each flag. The number in
    /// parentheses is the first kernel that knows the flag. The value is 64 bits wide on every architecture. clone(2)
    /// takes the lower 32 bits and silently drops the others. The flags that only clone3(2) can express say so below.
    /// clone3(2) answers `EINVAL` if the kernel does not know a flag.
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
        /// A new time namespace (5.6, clone3(2) only). In clone(2) this bit belongs to the exit signal. With
        /// [`VM`](Self::VM) the namespace is made, but the child stays outside.
        const NEWTIME = 0x80;
        /// The same memory, not a copy (2.0).
        const VM = 0x100;
        /// The same root, working directory and umask (2.0).
        const FS = 0x200;
        /// The same table of file descriptors (2.0).
        const FILES = 0x400;
        /// The same signal handlers (2.0). Needs [`VM`](Self::VM).
        const SIGHAND = 0x800;
        /// A pidfd of the child for the parent, close-on-exec (5.2). clone(2) stores it where `parent_tid` points, and
        /// clone3(2) where `pidfd` points.
        const PIDFD = 0x1000;
        /// The parent's tracer traces the child as well (2.2).
        const PTRACE = 0x2000;
        /// The calling task sleeps until the child has exited or called execve(2) (2.2).
        const VFORK = 0x4000;
        /// The child's parent is the caller's parent, so the child is a sibling of the caller (2.3.12).
        const PARENT = 0x8000;
        /// A thread of the caller's process (2.4.0). Needs [`SIGHAND`](Self::SIGHAND).
        const THREAD = 0x1_0000;
        /// A new mount namespace (2.4.19).
        const NEWNS = 0x2_0000;
        /// The same list of System V semaphore undo operations (2.5.10).
        const SYSVSEM = 0x4_0000;
        /// The thread pointer is `tls` (2.5.32). On i386 `tls` points to a `struct user_desc` instead, which describes
        /// the TLS entry.
        const SETTLS = 0x8_0000;
        /// Stores the tid where `parent_tid` points, in the parent's memory, before the call returns (2.5.49).
        const PARENT_SETTID = 0x10_0000;
        /// Stores 0 where `child_tid` points, and wakes one waiter of that futex, which is not private (2.5.49). The
        /// kernel does this when the child gives up its memory while others still use it.
        const CHILD_CLEARTID = 0x20_0000;
        /// A flag of Linux 2.5, without effect since 2.6.2. clone3(2) refuses it with `EINVAL`, and so does clone(2)
        /// together with [`PIDFD`](Self::PIDFD).
        const DETACHED = 0x40_0000;
        /// A tracer cannot force [`PTRACE`](Self::PTRACE) on this child (2.5.46).
        const UNTRACED = 0x80_0000;
        /// Stores the tid where `child_tid` points, in the child's memory, before `fn` runs (2.5.49).
        const CHILD_SETTID = 0x100_0000;
        /// A new cgroup namespace (4.6).
        const NEWCGROUP = 0x200_0000;
        /// A new UTS namespace: host and domain name (2.6.19).
        const NEWUTS = 0x400_0000;
        /// A new IPC namespace (2.6.19).
        const NEWIPC = 0x800_0000;
        /// A new user namespace (2.6.23; usable without privileges since 3.8).
        const NEWUSER = 0x1000_0000;
        /// A new pid namespace (2.6.24).
        const NEWPID = 0x2000_0000;
        /// A new network namespace (2.6.24).
        const NEWNET = 0x4000_0000;
        /// The same I/O context, for the block layer's schedulers (2.6.25).
        const IO = 0x8000_0000;
        /// Handled signals are reset to their default, and ignored ones stay ignored (5.5, clone3(2) only).
        const CLEAR_SIGHAND = 0x1_0000_0000;
        /// The child is born in the cgroup of the directory in the field `cgroup` (5.7, clone3(2) only).
        const INTO_CGROUP = 0x2_0000_0000;
        /// The child leaves no zombie, and its parent gets no signal when it ends (7.1, clone3(2) only).
        const AUTOREAP = 0x4_0000_0000;
        /// The child is born with no_new_privs (7.1, clone3(2) only).
        const NNP = 0x8_0000_0000;
        /// The child is killed when the last copy of its pidfd is closed (7.1, clone3(2) only). Needs
        /// [`PIDFD`](Self::PIDFD) and [`AUTOREAP`](Self::AUTOREAP).
        const PIDFD_AUTOKILL = 0x10_0000_0000;
        /// A new mount namespace that has nothing but an empty root (7.1, clone3(2) only).
        const EMPTY_MNTNS = 0x20_0000_0000;
    }
}
