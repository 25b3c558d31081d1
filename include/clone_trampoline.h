/* clone(2) and clone3(2) for C, and for whatever speaks C's ABI: link with -lclone_trampoline.
 *
 * C1 to C13 are the clauses of PORTING.md, which every port keeps. Flags are called here as in
 * clone(2), without CLONE_; in the code their prefix is CLONE_TRAMPOLINE_, and <sched.h>'s CLONE_
 * works as well. */

#ifndef CLONE_TRAMPOLINE_H
#define CLONE_TRAMPOLINE_H

/* ci/header made this of src/raw/mod.rs and src/raw/flags.rs: do not edit it here. */

#include <stddef.h>
#include <stdint.h>
#define CLONE_TRAMPOLINE_ALIGNED(n) __attribute__((__aligned__(n)))

/**
 * The `struct clone_args` of `uapi/linux/sched.h`, 88 bytes (`CLONE_ARGS_SIZE_VER2`, Linux 5.7).
 *
 * This is a separate type with the same layout, for programs without the kernel's headers. Every field is 64 bits wide
 * on every architecture, and addresses are zero-extended. Older kernels take the whole struct if the fields that they
 * do not know are 0, and answer `E2BIG` otherwise. If a later kernel adds fields, they will be in a struct of another
 * name, and this one stays as it is.
 */
struct CLONE_TRAMPOLINE_ALIGNED(8) clone_trampoline_args {
        /**
         * `CLONE_TRAMPOLINE_` flags, without an exit signal.
         */
        uint64_t flags;
        /**
         * The address of an `int`, where `PIDFD` stores the pidfd.
         */
        uint64_t pidfd;
        /**
         * The address of an `int` in the child's memory, where `CHILD_SETTID` and `CHILD_CLEARTID` store.
         */
        uint64_t child_tid;
        /**
         * The address of an `int` in the parent's memory, where `PARENT_SETTID` stores.
         */
        uint64_t parent_tid;
        /**
         * The signal that the parent gets when the child ends, or 0 for none. `THREAD` and `PARENT` need 0.
         */
        uint64_t exit_signal;
        /**
         * The *lowest* address of the child's stack, or 0 for the caller's stack.
         */
        uint64_t stack;
        /**
         * The size of the child's stack in bytes. It is 0 if and only if `stack` is 0.
         */
        uint64_t stack_size;
        /**
         * The thread pointer, for `SETTLS` (on i386 the address of a `struct user_desc`).
         */
        uint64_t tls;
        /**
         * The address of an array of `int`: the child's tid in each pid namespace, innermost first (5.5).
         */
        uint64_t set_tid;
        /**
         * The number of elements of `set_tid`.
         */
        uint64_t set_tid_size;
        /**
         * A file descriptor of a cgroup v2 directory, for `INTO_CGROUP` (5.7).
         */
        uint64_t cgroup;
};

/**
 * What the child shares with its parent, what it gets of its own, and what the kernel stores and reports.
 *
 * The names are those of `linux/sched.h` without `CLONE_`, and clone(2) describes each flag. The number in
 * parentheses is the first kernel that knows the flag. The value is 64 bits wide on every architecture. clone(2)
 * takes the lower 32 bits and silently drops the others. The flags that only clone3(2) can express say so below.
 * clone3(2) answers `EINVAL` if the kernel does not know a flag.
 */

/**
 * A new time namespace (5.6, clone3(2) only). In clone(2) this bit belongs to the exit signal. With
 * `VM` the namespace is made, but the child stays outside.
 */
#define CLONE_TRAMPOLINE_NEWTIME UINT64_C(0x80)
/**
 * The same memory, not a copy (2.0).
 */
#define CLONE_TRAMPOLINE_VM UINT64_C(0x100)
/**
 * The same root, working directory and umask (2.0).
 */
#define CLONE_TRAMPOLINE_FS UINT64_C(0x200)
/**
 * The same table of file descriptors (2.0).
 */
#define CLONE_TRAMPOLINE_FILES UINT64_C(0x400)
/**
 * The same signal handlers (2.0). Needs `VM`.
 */
#define CLONE_TRAMPOLINE_SIGHAND UINT64_C(0x800)
/**
 * A pidfd of the child for the parent, close-on-exec (5.2). clone(2) stores it where `parent_tid` points, and
 * clone3(2) where `pidfd` points.
 */
#define CLONE_TRAMPOLINE_PIDFD UINT64_C(0x1000)
/**
 * The parent's tracer traces the child as well (2.2).
 */
#define CLONE_TRAMPOLINE_PTRACE UINT64_C(0x2000)
/**
 * The calling task sleeps until the child has exited or called execve(2) (2.2).
 */
#define CLONE_TRAMPOLINE_VFORK UINT64_C(0x4000)
/**
 * The child's parent is the caller's parent, so the child is a sibling of the caller (2.3.12).
 */
#define CLONE_TRAMPOLINE_PARENT UINT64_C(0x8000)
/**
 * A thread of the caller's process (2.4.0). Needs `SIGHAND`.
 */
#define CLONE_TRAMPOLINE_THREAD UINT64_C(0x10000)
/**
 * A new mount namespace (2.4.19).
 */
#define CLONE_TRAMPOLINE_NEWNS UINT64_C(0x20000)
/**
 * The same list of System V semaphore undo operations (2.5.10).
 */
#define CLONE_TRAMPOLINE_SYSVSEM UINT64_C(0x40000)
/**
 * The thread pointer is `tls` (2.5.32). On i386 `tls` points to a `struct user_desc` instead, which describes
 * the TLS entry.
 */
#define CLONE_TRAMPOLINE_SETTLS UINT64_C(0x80000)
/**
 * Stores the tid where `parent_tid` points, in the parent's memory, before the call returns (2.5.49).
 */
#define CLONE_TRAMPOLINE_PARENT_SETTID UINT64_C(0x100000)
/**
 * Stores 0 where `child_tid` points, and wakes one waiter of that futex, which is not private (2.5.49). The
 * kernel does this when the child gives up its memory while others still use it.
 */
#define CLONE_TRAMPOLINE_CHILD_CLEARTID UINT64_C(0x200000)
/**
 * A flag of Linux 2.5, without effect since 2.6.2. clone3(2) refuses it with `EINVAL`, and so does clone(2)
 * together with `PIDFD`.
 */
#define CLONE_TRAMPOLINE_DETACHED UINT64_C(0x400000)
/**
 * A tracer cannot force `PTRACE` on this child (2.5.46).
 */
#define CLONE_TRAMPOLINE_UNTRACED UINT64_C(0x800000)
/**
 * Stores the tid where `child_tid` points, in the child's memory, before `fn` runs (2.5.49).
 */
#define CLONE_TRAMPOLINE_CHILD_SETTID UINT64_C(0x1000000)
/**
 * A new cgroup namespace (4.6).
 */
#define CLONE_TRAMPOLINE_NEWCGROUP UINT64_C(0x2000000)
/**
 * A new UTS namespace: host and domain name (2.6.19).
 */
#define CLONE_TRAMPOLINE_NEWUTS UINT64_C(0x4000000)
/**
 * A new IPC namespace (2.6.19).
 */
#define CLONE_TRAMPOLINE_NEWIPC UINT64_C(0x8000000)
/**
 * A new user namespace (2.6.23; usable without privileges since 3.8).
 */
#define CLONE_TRAMPOLINE_NEWUSER UINT64_C(0x10000000)
/**
 * A new pid namespace (2.6.24).
 */
#define CLONE_TRAMPOLINE_NEWPID UINT64_C(0x20000000)
/**
 * A new network namespace (2.6.24).
 */
#define CLONE_TRAMPOLINE_NEWNET UINT64_C(0x40000000)
/**
 * The same I/O context, for the block layer's schedulers (2.6.25).
 */
#define CLONE_TRAMPOLINE_IO UINT64_C(0x80000000)
/**
 * Handled signals are reset to their default, and ignored ones stay ignored (5.5, clone3(2) only).
 */
#define CLONE_TRAMPOLINE_CLEAR_SIGHAND UINT64_C(0x100000000)
/**
 * The child is born in the cgroup of the directory in the field `cgroup` (5.7, clone3(2) only).
 */
#define CLONE_TRAMPOLINE_INTO_CGROUP UINT64_C(0x200000000)
/**
 * The child leaves no zombie, and its parent gets no signal when it ends (7.1, clone3(2) only).
 */
#define CLONE_TRAMPOLINE_AUTOREAP UINT64_C(0x400000000)
/**
 * The child is born with no_new_privs (7.1, clone3(2) only).
 */
#define CLONE_TRAMPOLINE_NNP UINT64_C(0x800000000)
/**
 * The child is killed when the last copy of its pidfd is closed (7.1, clone3(2) only). Needs
 * `PIDFD` and `AUTOREAP`.
 */
#define CLONE_TRAMPOLINE_PIDFD_AUTOKILL UINT64_C(0x1000000000)
/**
 * A new mount namespace that has nothing but an empty root (7.1, clone3(2) only).
 */
#define CLONE_TRAMPOLINE_EMPTY_MNTNS UINT64_C(0x2000000000)

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/**
 * Calls clone(2): makes a task that runs `f(arg)` on the stack below `stack_top` and then exits with its return
 * value.
 *
 * It is async-signal-safe, and needs neither thread-local storage nor a libc that has started.
 *
 * * `f`: the function that the child runs. The kernel keeps eight bits of its return value as the exit status. The
 *   child ends by the system call exit, which ends this task alone, and never by exit_group, which would end all
 *   threads of its process (C2).
 * * `stack_top`: the highest address of the child's stack, one past its last byte. It may have any alignment: the
 *   port aligns downwards, and writes nothing at or above it (C5). If it is null, the child runs on the caller's
 *   stack (C4).
 * * `flags`: `CLONE_TRAMPOLINE_` flags and, in the lowest eight bits, the signal that the parent gets when
 *   the child ends (0 for none). The kernel reads 32 bits.
 * * `parent_tid`, `child_tid`: the addresses that `PARENT_SETTID` (or `PIDFD`), `CHILD_SETTID` and
 *   `CHILD_CLEARTID` store to. The kernel ignores them without these flags. It does not report a bad address of a
 *   tid.
 * * `tls`: the child's thread pointer, with `SETTLS` (on i386 a `struct user_desc *`).
 *
 * # Errors
 *
 * Returns the child's tid as the caller's pid namespace numbers it, or a negative errno. The variable `errno` does
 * not change (C1). The errors are those of clone(2), and `-EINVAL` if `f` is null (C3), or for `VM` without
 * `VFORK` and without a stack (C4).
 *
 * # Safety
 *
 * * The memory below `stack_top` is writable, large enough for what `f` does, and used by nobody else until the
 *   child has ended or replaced its memory. (On i386 the call itself stores two words there for the child, even if
 *   the call then fails.)
 * * `f` may run in the child with `arg`: in another thread of control and, without `VM`, in a copy of the memory.
 *   In that copy, a lock that another thread held stays locked. `f` does not unwind.
 * * With `VM`, and without `SETTLS`, the child has the thread pointer of the calling thread. If the two run at the
 *   same time (no `VFORK`), `f` uses nothing in thread-local storage. So it does not allocate, use `errno`, panic,
 *   or call a lazily bound symbol.
 * * Every pointer that the flags make the kernel use is valid for writing an `int`. With `CHILD_CLEARTID`,
 *   `child_tid` stays valid until the child has ended.
 *
 * The call does not guarantee that libc works in the child (its caches of the tid and its locks are the caller's),
 * that no signal reaches a handler in the child, or that anybody waits for the child.
 */
extern long clone_trampoline(int (*f)(void *arg),
                             void *stack_top,
                             unsigned long flags,
                             void *arg,
                             int *parent_tid,
                             void *tls,
                             int *child_tid);

/**
 * Calls clone3(2) (Linux 5.3): makes a task from `args` that runs `f(arg)` and then exits with its return value.
 *
 * It is async-signal-safe, and needs neither thread-local storage nor a libc that has started.
 *
 * `size` is the size of `*args`. The longer struct of a newer kernel may be passed as well. Unlike in clone(2),
 * the stack is given by its lowest address and its size. Only the kernel reads `*args`, and nothing writes to it
 * (C1).
 *
 * # Errors
 *
 * Returns the child's tid as the caller's pid namespace numbers it, or a negative errno. The errors are those of
 * clone3(2), and `-EINVAL` if `args` or `f` is null (C3). `-ENOSYS` and `-EPERM` are common under a seccomp filter
 * that does not know clone3(2), as in older containers.
 *
 * # Safety
 *
 * The conditions of `clone_trampoline` apply. The stack is `args.stack .. args.stack + args.stack_size`. With
 * `VM`, without `VFORK` and without a stack the behaviour is undefined, because this function cannot look at the
 * flags.
 */
extern long clone3_trampoline(const struct clone_trampoline_args *args,
                              size_t size,
                              int (*f)(void *arg),
                              void *arg);

/**
 * Unmaps `length` bytes at `base`, including the stack that it runs on, and ends the calling task with `status`
 * (C11).
 *
 * It is async-signal-safe, and needs neither thread-local storage nor a libc that has started.
 *
 * A thread that nobody joins can free its own stack in this way. Between munmap(2) and exit(2) the task has no
 * stack. If munmap(2) fails, the memory stays mapped and the task still ends.
 *
 * # Safety
 *
 * * `base` and `length` describe whole pages that nobody needs any more.
 * * All signals are blocked, because a handler would have no stack.
 * * The range has nothing that the kernel writes when the task ends: the word of `CHILD_CLEARTID`
 *   (set_tid_address(2) names another word, or null), the robust futex list (set_robust_list(2) unregisters it),
 *   and the area of rseq(2) (which can be unregistered as well).
 */
extern void unmap_exit_trampoline(void *base,
                                  size_t length,
                                  int status) __attribute__((__noreturn__));

/**
 * Makes the system call `number` with six arguments, like syscall(2) but without `errno` (C13).
 *
 * It is async-signal-safe, and needs neither thread-local storage nor a libc that has started. It is for a child
 * that has the thread-local storage of a thread that runs at the same time. libc's function would store `errno`
 * there when a call fails.
 *
 * `number` and the arguments are those of the architecture, as for syscall(2). Some 32-bit architectures split a
 * 64-bit value into a pair of arguments, which may have to begin at an even register. On x32 the number includes
 * the bit of x32, as libc's constants do. Arguments that the call does not have are ignored.
 *
 * # Errors
 *
 * Returns what the kernel returns, which is a negative errno if the call fails.
 *
 * # Safety
 *
 * The conditions are those of the system call. It must not be a call after which two tasks return here on one
 * stack, such as clone(2) with `VM`, or vfork(2).
 */
extern long clone_trampoline_syscall(long number,
                                     long a,
                                     long b,
                                     long c,
                                     long d,
                                     long e,
                                     long f);

#ifdef __cplusplus
}  // extern "C"
#endif /* __cplusplus */

#endif  /* CLONE_TRAMPOLINE_H */
