//! Start tasks on Linux with clone(2) and clone3(2): programs, closures in processes of their own, and bare tasks for
//! runtimes.
//!
//! | I want to | use |
//! | --- | --- |
//! | run a program, with what std's `Command` lacks | [`Command`] |
//! | run a program in a sandbox, or a service | [`Command`]: [`flags`](Command::flags), [`mount`](Command::mount), [`cgroup`](Command::cgroup) |
//! | run a closure in other namespaces, another cgroup or working directory, and get its value | [`Builder::call`] |
//! | the same, while the caller goes on | [`Builder::spawn`] |
//! | fork a process, or be the init of a pid namespace | [`fork`], [`Builder::fork`] |
//! | build a runtime, a libc or a thread library, without std and without libc | [`raw`] |
//! | link it from C | `include/clone_trampoline.h`, and USING-AS-BACKEND.md |
//!
//! An [`Error`] names the step that failed, and its usual cause.
//!
//! # Programs
//!
//! [`Command`] has the interface of std's. It adds descriptors by their numbers, groups, limits, sessions, namespaces, mounts,
//! cgroups, terminals, capabilities, landlock and seccomp. A start takes no longer if the caller has more memory.
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
//! # Closures
//!
//! [`call`] is a function call whose body runs in a process of its own. Nothing is sent or copied. [`spawn`] does the same beside
//! the caller, as [`std::thread::spawn`] does.
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
//! Such a closure is almost a thread. [`Builder`] lists [the differences](Builder#what-differs-from-a-thread). Know these before
//! you use it:
//!
//! * [`call`] and `join` return only when **every thread that the closure has started has ended**.
//! * If the closure's process exits, is killed, or executes a program, **the whole program ends**, as if a thread had done it.
//! * A signal to the process group, such as Ctrl-C, is **handled once by the program, and once by each child**.
//! * It is **no security boundary**. The closure can write the whole program's memory. Untrusted code belongs in a program.
//! * **A closure that still runs keeps its privileges** when the program gives up its own.
//!
//! # Who shares what
//!
//! Time goes to the right. Double lines share the caller's memory.
//!
//! ```text
//! call      caller  ══╗ sleeps              ╔═══ goes on with the value
//!           child     ╚═══ f() ═══ exit ════╝
//!
//! spawn     caller  ══╦═══ goes on ═════════════ join() ═══ has the value
//!           thread    ╚═╗ sleeps              ╔═══╝
//!           child       ╚═══ f() ═══ exit ════╝
//!
//! fork      caller  ══╦═══ goes on ═════════════ wait() ═══ has the exit status
//!           child     └─── f(), in a copy of the memory ─── exit
//!
//! Command   caller  ══╦═══ goes on ═════════════ wait() ═══ has the exit status
//!           child     ╚═══ its steps ═══ execve(2) ─── the program ─── exit
//! ```
//!
//! | | memory | stack | thread-local storage | file descriptors | root, working directory, umask |
//! | --- | --- | --- | --- | --- | --- |
//! | [`call`] | the caller's | the caller's, below its frames | the caller's | shared | shared, unless asked otherwise |
//! | [`spawn`] | the caller's | that of a thread which waits | that of the same thread | shared | shared, unless asked otherwise |
//! | [`fork`] | a copy | a copy | a copy | a copy, unless asked otherwise | a copy, unless asked otherwise |
//! | [`Command`], before execve(2) | the caller's | the caller's, below its frames | used by closures only, while the caller sleeps | a copy | its own |
//! | [`raw`] | as the flags say | as the caller says | as the caller says | as the flags say | as the flags say |
//!
//! Two things make shared memory sound. The child has the thread-local storage of a thread that waits meanwhile. And a child
//! that does not end as a thread does ends the program. SOUNDNESS.md has the rules, with a test for each.
//!
//! # Runtimes
//!
//! Both system calls return twice, the second time on another stack, which no compiled language can express. So there is one
//! small assembly file per architecture, behind one C function: [`raw::clone_trampoline`] starts a task that runs `fn(arg)` and
//! exits with its return value, whatever the flags and the stack. [`raw`] has no std, no libc and no thread-local storage, and
//! can be used in a signal handler.
//!
//! # Features
//!
//! * `std` (on by default): programs and closures. Without it the crate is `no_std` and needs no libc. It then has [`raw`],
//!   [`CloneFlags`] and the table of [`Conflict`]s.

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]
// The first page speaks of all ways, and without std there is one.
#![cfg_attr(not(feature = "std"), allow(rustdoc::broken_intra_doc_links))]
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
