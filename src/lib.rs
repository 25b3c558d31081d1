//! Start tasks on Linux with clone(2) and clone3(2).
//!
//! Both system calls return twice, the second time on another stack, which no compiled language
//! can express. This crate has one small assembly file per architecture that can, and one C ABI in
//! front of them all: [`raw::clone_trampoline`] makes a task that runs `fn(arg)` and ends with its
//! return value, whatever the flags and the stack.
//!
//! The [`raw`] tier is what runtimes build on: `no_std`, no libc, no thread-local storage, usable
//! from a signal handler, and `unsafe` to call.
//!
//! ```
//! use clone_trampoline::{CloneFlags, raw};
//! use std::ffi::{c_int, c_ulong, c_void};
//! use std::ptr;
//!
//! unsafe extern "C" fn child(number: *mut c_void) -> c_int {
//!     // SAFETY: the parent passes a pointer to its own number, and sleeps.
//!     unsafe { *number.cast::<i32>() = 5 };
//!     0
//! }
//!
//! let mut number = 10;
//! let flags = (CloneFlags::VM | CloneFlags::VFORK).bits() as c_ulong | libc::SIGCHLD as c_ulong;
//! // SAFETY: with VFORK the caller sleeps while the child runs, so the child may have its stack, and
//! // `child` touches nothing but the number.
//! let tid = unsafe {
//!     raw::clone_trampoline(
//!         Some(child),
//!         ptr::null_mut(), // no stack of its own: it runs on ours
//!         flags,
//!         (&raw mut number).cast(),
//!         ptr::null_mut(),
//!         ptr::null_mut(),
//!         ptr::null_mut(),
//!     )
//! };
//! assert!(tid > 0, "clone: errno {}", -tid);
//! assert_eq!(number, 5);
//! # let mut status = -1;
//! # // SAFETY: a child of ours, and a place for its status.
//! # assert_eq!(unsafe { libc::waitpid(tid as i32, &mut status, 0) }, tid as i32);
//! # assert_eq!(status, 0);
//! ```
//!
//! # Programs
//!
//! `Command` is std's, with what std cannot do without fork(2), or at all: descriptors by their numbers, none but those,
//! groups, limits, a session, a signal at the parent's death; namespaces, mounts, cgroups, terminals, capabilities,
//! landlock and seccomp. A start does not take longer where the caller has more memory. Its errors name what failed with
//! what.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use clone_trampoline::Command;
//!
//! let status = Command::new("true").close_other_fds(true).setsid(true).status()?;
//! assert!(status.success());
//! # }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # The safe tier
//!
//! | | memory | runs | what comes back | |
//! | --- | --- | --- | --- | --- |
//! | `Command` | another program's | beside the caller | its `Child` | safe |
//! | `call` | shared | while the caller sleeps | the closure's value, or its panic | safe |
//! | `spawn` | shared | beside the caller | the same, by `join` | safe |
//! | `fork` | copied | beside the caller | an exit status | `unsafe` |
//!
//! `call` is a function call whose body runs in a process of its own: with namespaces, a cgroup, a
//! working directory that are not the caller's. Nothing is sent or copied, and without maps of ids nothing is
//! allocated. Two things make `call` and `spawn`
//! sound. A child that shares memory has the TLS of a thread that waits meanwhile. And if the child ends in a way that a
//! thread cannot end, the program ends with it.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use clone_trampoline::{Builder, SafeFlags};
//! use std::net::TcpListener;
//!
//! // A listener in a network namespace of its own, used from here.
//! let builder = Builder::new().flags(SafeFlags::NEWUSER | SafeFlags::NEWNET);
//! match builder.call(|| TcpListener::bind("0.0.0.0:80")) {
//!     Ok(listener) => assert_eq!(listener.unwrap().local_addr().unwrap().port(), 80),
//!     Err(error) => println!("{error}"),
//! }
//! # }
//! ```
//!
//! **It is no security boundary**: code inside can write the parent's memory. Untrusted code belongs in
//! a program of its own.
//!
//! ## What still differs from a thread
//!
//! In `call` and `spawn`; tests/safe/limits.rs shows it, or the row says what it is known from:
//!
//! | what | how it shows |
//! | --- | --- |
//! | **Security**: credentials changed outside (set*id, capset(2), seccomp, landlock of the program) | do not reach a child that runs: it keeps its rights, and if the program may not kill it any more, it outlives the program |
//! | **Security**: credentials changed inside (set*id, execve of a setuid program, setns(2) into another owner's user namespace), or `PR_SET_PDEATHSIG` | the kernel then no longer ends the child with its parent |
//! | **Security**: setns(2) inside, into a user namespace, or fewer capabilities (capset(2)); NEWUSER where the caller is no root but has capabilities | who is root there, or has the same uid and fewer capabilities, can trace the child and write the program's memory |
//! | A thread of the child that never ends (a pool that is started lazily inside) | `call` and `join` never return: start pools before |
//! | A `std::process::Child` made inside | is waited for inside; outside that is `ECHILD`, and `kill` goes by a pid that may be another process's by then |
//! | A contended mutex with priority inheritance | stays locked: the kernel knows its owner by the tid |
//! | `pthread_kill` of a thread of the parent | glibc: `ESRCH` |
//! | What else goes by `pthread_self` (affinity, scheduling) | acts on the waiting thread |
//! | set*id inside | glibc: from a thread of the child, its main context keeps the old ids; musl: waits for ever, if there are threads. Until the last child is gone, the program is not dumpable. It stays so if a thread of the child has called set*id, if the child has set `PR_SET_PDEATHSIG` again, or in a copy that fork(2) has made while the child ran |
//! | **Security**: `PR_SET_DUMPABLE` 0, set outside while a child runs that has changed its ids | is 1 again when the child is gone (from the source of `dumpable.rs`) |
//! | musl: set*id of another thread | waits for the end of every `call` and `spawn`. Meanwhile a closure that makes, ends or joins a thread waits for ever |
//! | musl: `raise`, `abort`, `gettid` of libc | name the waiting thread; the program ends by `SIGABRT` without a line |
//! | A signal to the process group (Ctrl-C) | is handled once by the program, and once by each child |
//! | The same where the child lacks the program's handler (`CLEAR_SIGHAND`; with `share_sighand(false)` one that was installed outside after the child's birth) | kills the child, and with it the program, although the program has a handler |
//! | A handler that a library installs inside, with handlers of the child's own | is gone outside, while the library remembers it in memory. glibc does so with pthread_cancel(3): the next cancel outside kills the program |
//! | A pid that a library remembers to notice a fork | is another one inside: used first on one side, the library refuses on the other |
//! | What std or a library finds out inside, and remembers (a system call that a filter of the child's refuses) | holds outside, too (seen with std and statx(2)) |
//! | Thread-locals of a spawned closure | are dropped outside: after the child, in the parent's process and namespaces |
//! | Timers, alarm(2), getrusage(2), CPU clocks, counters of perf_event_open(2) | are the child's: a timer made inside is another timer's id outside |
//! | An io_uring request submitted inside that waits for its file | is cancelled (`ECANCELED`), which shows when the file is ready at the latest |
//! | An allocator with an rseq area of its own | loses increments of its per-CPU counters: only libc's area is handed over (as the kernel drops it) |
//! | A filter that refuses unshare(2), where /proc is not mounted either | an exit(0) of a thread that the closure left, after its value, is taken for a usual end: memory that the thread used may be freed too early (from the source of `alone.rs`) |
//! | A program that is executed by a thread that the closure left | ends this program, and runs on |
//! | A call that is refused for a pid namespace, where /proc is not mounted | ignores `SIGCHLD` for some microseconds: a child that ends then leaves no status |
//! | Another thread executes a program in the first microseconds of a child of the main thread | the child ends with that program, not at once (from the kernel's source: `de_thread` gives it the tid that the child looks for) |
//! | A seccomp filter with `SECCOMP_RET_KILL_THREAD` that ends the closure's thread, while another thread of the child lives | the program ends without a line, with the status of the child's last thread (seen on Linux 6.18) |
//! | What goes by the program's pid (SIGSTOP, prlimit(2), a cgroup's cgroup.procs) | does not reach a child, which is another process. Whoever stops the child alone (SIGSTOP, a debugger, a frozen cgroup) stops it with the locks that it holds (signal(7)) |
//! | A core dump inside, before Linux 5.16 | the parent is killed by `SIGKILL` (from the kernel's source: `zap_threads`) |
//!
//! In a `call` of a program that has one thread, the caller sleeps uninterruptibly: Ctrl-Z stops the closure, the shell is
//! not told, and it takes somebody's `SIGCONT` to go on (tests/safe/signals.rs). In a program of several threads, the
//! caller of `call` takes no signals: other threads do, and a signal that they all block waits for the end of the call. Long or interactive work belongs in `spawn`, and so does work
//! inside async code. On aarch64, call it with ZA off.
//!
//! ## System calls
//!
//! In this order, on the way that goes well and with unshare(2) not refused; rseq(2) only where libc uses it, and for wait4(2) on riscv32, which has
//! none, waitid(2). A test has a seccomp filter kill what makes others.
//!
//! | | caller | child |
//! | --- | --- | --- |
//! | the first of the process, once | readlink, clone, wait4 | getppid, exit |
//! | `call`, one thread | readlink, gettid, unshare, prctl, geteuid, getegid, rseq, clone, *sleeps*, rseq, wait4 | unshare, prctl, getppid, tgkill, rseq, *closure*, unshare, prctl, rseq, exit |
//! | `call`, several | readlink, gettid, unshare, rt_sigprocmask, sigaltstack, prctl, geteuid, getegid, rseq, clone, futex, rseq, sigaltstack, rt_sigprocmask, wait4 | unshare, sigaltstack, prctl, getppid, tgkill, rseq, rt_sigprocmask, *closure*, unshare, prctl, rseq, exit |
//! | `spawn`, in its thread | gettid, sched_getaffinity (of glibc), rt_sigprocmask, sigaltstack, prctl, geteuid, getegid, rseq, clone, futex, rseq, sigaltstack, rt_sigprocmask, wait4 | unshare, sigaltstack, prctl, getppid, tgkill, rseq, rt_sigprocmask, *closure*, unshare, prctl, rseq, exit |
//! | `Command`, started and waited for | rt_sigprocmask, clone3, rt_sigprocmask, futex, waitid, close | rt_sigaction, rt_sigprocmask, execve |
//! | `fork` | those of fork(3), pidfd_open, waitid | *closure*, exit_group |
//! | `fork` with flags | prctl, gettid, clone | *closure*, exit_group |
//!
//! Each further request of a `Command` is one more system call of the child, or a few. `uid` without `groups` adds setgroups(2).
//! With ids or closures the caller also reads its dumpable flag and ids, and sets the flag again if the child's credentials
//! have changed. Once in 20 ms it reads `/proc/thread-self/status`, where a tracer is named.
//!
//! clone(2) wherever it can express what is asked: it is clone3(2) for `CLEAR_SIGHAND`, `NNP`,
//! `EMPTY_MNTNS`, `NEWTIME` and a cgroup alone. Where clone3 is missing or refused, these are errors that
//! say so; nothing that was asked for is dropped. `Command` takes clone3(2) for `CLEAR_SIGHAND`, and where that is missing or
//! refused clone(2) and 64 times rt_sigaction(2) in the child.
//!
//! Page faults: none in `call` and `spawn`, as in std's threads, after the first time; fork(3) of a small
//! program 25.
//!
//! # Features
//!
//! * `std` (on by default): the safe tier. Without it the crate is `no_std`, and needs no libc: [`raw`],
//!   [`CloneFlags`] and the table of [`Conflict`]s.

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]
// the thread pointer (arch.rs); no core is prebuilt for mips, so its compiler is a nightly one anyway
#![cfg_attr(
    any(target_arch = "mips", target_arch = "mips64", target_arch = "mips32r6", target_arch = "mips64r6"),
    feature(asm_experimental_arch)
)]

#[cfg(all(feature = "std", target_os = "android"))]
compile_error!(
    "the feature `std` does not work on Android, whose libc caches the pid: use `default-features = false`"
);

pub mod raw;

pub use raw::conflicts::{Conflict, Syscall};
pub use raw::flags::CloneFlags;

cfg_if::cfg_if! {
    if #[cfg(feature = "std")] {
        mod closure;
        mod command;
        mod error;
        mod process;
        mod safe_flags;
        mod start;

        pub use closure::builder::Builder;
        pub use closure::call::call;
        pub use closure::fork::fork;
        pub use closure::spawn::{JoinHandle, ScopedJoinHandle, spawn, start_thread};
        pub use command::{Capability, Command, CommandArgs, CommandEnvs, Mount, Resource, Stdio};
        pub use error::{Error, Stage};
        pub use process::Child;
        pub use safe_flags::SafeFlags;
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../MIGRATING.md")]
mod readme {}
