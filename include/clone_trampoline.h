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
 * `struct clone_args` of `uapi/linux/sched.h`, 88 bytes (`CLONE_ARGS_SIZE_VER2`, Linux 5.7).
 *
 * A type of its own, for programs without the kernel's headers; the layout is the same. Every field is
 * 64 bits wide on every architecture; addresses are zero-extended. Older kernels take
 * the whole struct as long as the fields they do not know are 0, and answer `E2BIG` otherwise.
 */
struct CLONE_TRAMPOLINE_ALIGNED(8) clone_trampoline_args {
        /**
         * `CLONE_TRAMPOLINE_` flags, without an exit signal.
         */
        uint64_t flags;
        /**
         * Address of an `int`: where `PIDFD` stores.
         */
        uint64_t pidfd;
        /**
         * Address of an `int` in the child's memory: where `CHILD_SETTID` and `CHILD_CLEARTID` store.
         */
        uint64_t child_tid;
        /**
         * Address of an `int` in the parent's memory: where `PARENT_SETTID` stores.
         */
        uint64_t parent_tid;
        /**
         * The signal that the parent gets when the child ends; 0: none, as `THREAD` and `PARENT` need.
         */
        uint64_t exit_signal;
        /**
         * The *lowest* address of the child's stack; 0: the caller's stack.
         */
        uint64_t stack;
        /**
         * The size of the child's stack in bytes; 0 if and only if `stack` is.
         */
        uint64_t stack_size;
        /**
         * The thread pointer, with `SETTLS` (i386: address of a `struct user_desc`).
         */
        uint64_t tls;
        /**
         * Address of an array of `int`: the tid to take in each pid namespace, innermost first (5.5).
         */
        uint64_t set_tid;
        /**
         * The number of elements of `set_tid`.
         */
        uint64_t set_tid_size;
        /**
         * A file descriptor of a cgroup v2 directory, with `INTO_CGROUP` (5.7).
         */
        uint64_t cgroup;
};

/**
 * What the child shares with its parent, what it gets of its own, and what is told to whom.
 *
 * The names are those of `linux/sched.h` without `CLONE_`; clone(2) describes each. The value is
 * 64 bits wide on every architecture. clone(2) takes the lower 32 bits and drops the others
 * without a word; flags that only clone3(2) can express say so below, with the first kernel that
 * knows them. A kernel that does not know a flag answers clone3(2) with `EINVAL`.
 */

/**
 * A new time namespace (5.6). clone3(2) only: in clone(2) this bit belongs to the exit
 * signal. With `VM` the namespace is made, but the child stays outside.
 */
#define CLONE_TRAMPOLINE_NEWTIME UINT64_C(0x80)
/**
 * The same memory, not a copy.
 */
#define CLONE_TRAMPOLINE_VM UINT64_C(0x100)
/**
 * The same root, working directory and umask.
 */
#define CLONE_TRAMPOLINE_FS UINT64_C(0x200)
/**
 * The same table of file descriptors.
 */
#define CLONE_TRAMPOLINE_FILES UINT64_C(0x400)
/**
 * The same signal handlers. Needs `VM`.
 */
#define CLONE_TRAMPOLINE_SIGHAND UINT64_C(0x800)
/**
 * A pidfd of the child for the parent, close-on-exec (5.2). clone(2) stores it where
 * `parent_tid` points, clone3(2) where `pidfd` points.
 */
#define CLONE_TRAMPOLINE_PIDFD UINT64_C(0x1000)
/**
 * Traced by the parent's tracer, too.
 */
#define CLONE_TRAMPOLINE_PTRACE UINT64_C(0x2000)
/**
 * The calling task sleeps until the child has exited or called execve(2).
 */
#define CLONE_TRAMPOLINE_VFORK UINT64_C(0x4000)
/**
 * A child of the caller's parent: a sibling.
 */
#define CLONE_TRAMPOLINE_PARENT UINT64_C(0x8000)
/**
 * A thread of the caller's process. Needs `SIGHAND`.
 */
#define CLONE_TRAMPOLINE_THREAD UINT64_C(0x10000)
/**
 * A new mount namespace.
 */
#define CLONE_TRAMPOLINE_NEWNS UINT64_C(0x20000)
/**
 * The same list of System V semaphore undo operations.
 */
#define CLONE_TRAMPOLINE_SYSVSEM UINT64_C(0x40000)
/**
 * The thread pointer is `tls` (i386: the TLS entry that the `struct user_desc` describes).
 */
#define CLONE_TRAMPOLINE_SETTLS UINT64_C(0x80000)
/**
 * Store the tid where `parent_tid` points, in the parent's memory, before the call returns.
 */
#define CLONE_TRAMPOLINE_PARENT_SETTID UINT64_C(0x100000)
/**
 * When the child's memory ends while others still use it: store 0 where `child_tid`
 * points, and wake one waiter of that (not private) futex.
 */
#define CLONE_TRAMPOLINE_CHILD_CLEARTID UINT64_C(0x200000)
/**
 * Without effect since Linux 2.6.2. `EINVAL` in clone3(2), and in clone(2) with
 * `PIDFD`.
 */
#define CLONE_TRAMPOLINE_DETACHED UINT64_C(0x400000)
/**
 * A tracer cannot force `PTRACE` on this child.
 */
#define CLONE_TRAMPOLINE_UNTRACED UINT64_C(0x800000)
/**
 * Store the tid where `child_tid` points, in the child's memory, before `fn` runs.
 */
#define CLONE_TRAMPOLINE_CHILD_SETTID UINT64_C(0x1000000)
/**
 * A new cgroup namespace (4.6).
 */
#define CLONE_TRAMPOLINE_NEWCGROUP UINT64_C(0x2000000)
/**
 * A new UTS namespace: host and domain name.
 */
#define CLONE_TRAMPOLINE_NEWUTS UINT64_C(0x4000000)
/**
 * A new IPC namespace.
 */
#define CLONE_TRAMPOLINE_NEWIPC UINT64_C(0x8000000)
/**
 * A new user namespace.
 */
#define CLONE_TRAMPOLINE_NEWUSER UINT64_C(0x10000000)
/**
 * A new pid namespace.
 */
#define CLONE_TRAMPOLINE_NEWPID UINT64_C(0x20000000)
/**
 * A new network namespace.
 */
#define CLONE_TRAMPOLINE_NEWNET UINT64_C(0x40000000)
/**
 * The same I/O context, for the block layer's schedulers.
 */
#define CLONE_TRAMPOLINE_IO UINT64_C(0x80000000)
/**
 * Handled signals are reset to their default, ignored ones stay ignored (5.5, clone3(2)
 * only).
 */
#define CLONE_TRAMPOLINE_CLEAR_SIGHAND UINT64_C(0x100000000)
/**
 * Born in the cgroup whose directory the field `cgroup` names (5.7, clone3(2) only).
 */
#define CLONE_TRAMPOLINE_INTO_CGROUP UINT64_C(0x200000000)
/**
 * Leaves no zombie, and tells the parent nothing (7.1, clone3(2) only).
 */
#define CLONE_TRAMPOLINE_AUTOREAP UINT64_C(0x400000000)
/**
 * Born with no_new_privs (7.1, clone3(2) only).
 */
#define CLONE_TRAMPOLINE_NNP UINT64_C(0x800000000)
/**
 * Killed when the last copy of its pidfd is closed (7.1, clone3(2) only). Needs
 * `PIDFD` and `AUTOREAP`.
 */
#define CLONE_TRAMPOLINE_PIDFD_AUTOKILL UINT64_C(0x1000000000)
/**
 * A new mount namespace with nothing in it but an empty root (7.1, clone3(2) only).
 */
#define CLONE_TRAMPOLINE_EMPTY_MNTNS UINT64_C(0x2000000000)

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/**
 * clone(2): makes a task that runs `f(arg)` on the stack below `stack_top`, then exits with
 * its return value.
 *
 * Async-signal-safe; needs no thread-local storage, and no libc that has started.
 *
 * * `f`: its return value is the child's exit status, of which the kernel keeps eight bits. It
 *   ends by the exit system call of this task alone, never of its process (C2).
 * * `stack_top`: the highest address of the child's stack, one past its last byte. Any
 *   alignment: the port aligns downwards, and writes nothing at or above it (C5). Null: the
 *   child runs on the caller's stack (C4).
 * * `flags`: `CLONE_TRAMPOLINE_` flags and, in the lowest eight bits, the signal that the
 *   parent gets when the child ends (0: none). The kernel reads 32 bits.
 * * `parent_tid`, `child_tid`: where `PARENT_SETTID` (or `PIDFD`), `CHILD_SETTID` and
 *   `CHILD_CLEARTID` store; not read otherwise. The kernel does not report a bad address of a
 *   tid.
 * * `tls`: the thread pointer, with `SETTLS` (i386: a `struct user_desc *`).
 *
 * # Errors
 *
 * The child's tid, as the caller's pid namespace has it, or a negative errno; the variable
 * `errno` is left alone (C1). The errors are those of clone(2), and `-EINVAL` if `f` is null
 * (C3), or for `VM` without `VFORK` and without a stack (C4).
 *
 * # Safety
 *
 * * The memory below `stack_top` is writable, large enough for what `f` does, and used by
 *   nobody else until the child has ended or replaced its memory. (On i386 the call itself stores two
 *   words there for the child, and has done so when it fails.)
 * * `f` may run in the child with `arg`: on another thread of control and, without `VM`, in a copy
 *   of the memory, in which every lock that another thread held stays locked. It does not unwind.
 * * With `VM`, and without `SETTLS`, the child has the thread pointer of the calling thread. If the
 *   two run at the same time (no `VFORK`), `f` uses nothing that lives in thread-local storage: no
 *   allocation, no `errno`, no panic, no lazily bound symbol.
 * * Pointers that the flags make the kernel use are valid for writing an `int`, `child_tid` with
 *   `CHILD_CLEARTID` until the child has ended.
 *
 * Not guaranteed: that the child's use of libc works (its caches of the tid and its locks are
 * the caller's), that signals do not reach a handler in the child, that the child is waited for.
 */
extern long clone_trampoline(int (*f)(void *arg),
                             void *stack_top,
                             unsigned long flags,
                             void *arg,
                             int *parent_tid,
                             void *tls,
                             int *child_tid);

/**
 * clone3(2), Linux 5.3: makes a task as `args` says, which runs `f(arg)`, then exits with its
 * return value.
 *
 * Async-signal-safe; needs no thread-local storage, and no libc that has started.
 *
 * `size` is the size of `*args`; a newer kernel's longer struct may be passed, too. Unlike in
 * clone(2), the stack is given by its lowest address and its size. `*args` is read by the
 * kernel alone and never written (C1).
 *
 * # Errors
 *
 * The child's tid, as the caller's pid namespace has it, or a negative errno: those of
 * clone3(2), and `-EINVAL` if `args` or `f` is null (C3). `-ENOSYS` is common where a seccomp
 * filter is not made for it, as in older containers; so is `-EPERM`.
 *
 * # Safety
 *
 * As for `clone_trampoline`; the stack is `args.stack .. args.stack + args.stack_size`. With
 * `VM`, without `VFORK` and without a stack the behaviour is undefined: this function cannot look.
 */
extern long clone3_trampoline(const struct clone_trampoline_args *args,
                              size_t size,
                              int (*f)(void *arg),
                              void *arg);

/**
 * Unmaps `length` bytes at `base`, the stack it runs on among them, and ends the calling task
 * with `status` (C11).
 *
 * Async-signal-safe; needs no thread-local storage, and no libc that has started.
 *
 * The last act of a thread that nobody joins. Between munmap(2) and exit(2) there is no stack.
 * If munmap(2) fails, the memory stays and the task ends all the same.
 *
 * # Safety
 *
 * * `base` and `length` are whole pages that nobody needs any more.
 * * All signals are blocked: a handler would have no stack.
 * * Nothing that the kernel writes at the task's end lies in the range: the word of
 *   `CHILD_CLEARTID` (set_tid_address(2) names another one, or null), the robust futex list
 *   (set_robust_list(2) unregisters it) and the area of rseq(2), unregistered as well.
 */
extern void unmap_exit_trampoline(void *base, size_t length, int status) __attribute__((__noreturn__));

/**
 * syscall(2) without `errno`: makes the system call `number` with six arguments (C13).
 *
 * Async-signal-safe; needs no thread-local storage, and no libc that has started. It is for children that run
 * beside the thread whose thread-local storage they have: the libc's function stores `errno` there when a call
 * fails.
 *
 * `number` and the arguments are those of the architecture, as for syscall(2): the number differs, some
 * 32-bit architectures split 64-bit values, in pairs that may have to begin at an even register, and on x32
 * the number has the bit of x32, as the libc's constants have. Arguments that the call does not have are
 * ignored.
 *
 * # Errors
 *
 * What the kernel returns, or a negative errno.
 *
 * # Safety
 *
 * That of the system call. It must not be one after which two tasks return here on one stack, as clone(2)
 * with `VM`, or vfork(2).
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
