//! C1: every errno that the kernel gives arrives as its negative (arch-facts 2.3: what the kernel
//! rejects, and why).

use crate::common::*;
use clone_trampoline::CloneFlags;
use clone_trampoline::raw::CloneArgs;
use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};

type F = CloneFlags;

/// The errors that depend on the arguments alone.
#[test]
fn c1_the_kernels_errors_arrive() {
    let thread = F::VM | F::SIGHAND | F::THREAD;
    let mut word = 0;
    let word = (&raw mut word) as u64;
    let bad = 8; // an address in the page that is never mapped
    // flags, exit signal, pidfd, parent_tid
    let both = [
        ("NEWNS with FS", F::NEWNS | F::FS, 0, 0, 0, libc::EINVAL),
        ("NEWUSER with FS", F::NEWUSER | F::FS, 0, 0, 0, libc::EINVAL),
        ("THREAD without SIGHAND", F::VM | F::VFORK | F::THREAD, 0, 0, 0, libc::EINVAL),
        ("SIGHAND without VM", F::SIGHAND, 0, 0, 0, libc::EINVAL),
        ("THREAD with NEWUSER", thread | F::NEWUSER | F::VFORK, 0, 0, 0, libc::EINVAL),
        ("THREAD with NEWPID", thread | F::NEWPID | F::VFORK, 0, 0, 0, libc::EINVAL),
        ("NEWIPC with SYSVSEM", F::NEWIPC | F::SYSVSEM, 0, 0, 0, libc::EINVAL),
        ("PIDFD with DETACHED", F::PIDFD | F::DETACHED, 0, word, 0, libc::EINVAL),
        ("PIDFD and PARENT_SETTID at one place", F::PIDFD | F::PARENT_SETTID, 0, word, word, libc::EINVAL),
        ("a bad place for the pidfd", F::PIDFD, 0, bad, 0, libc::EFAULT),
    ];
    for &via in Via::both() {
        for (what, flags, signal, pidfd, parent_tid, errno) in both {
            if emulated() && errno == libc::EFAULT {
                skip("qemu-user hangs on a bad place for the pidfd");
                continue;
            }
            let mut start = Start::with(via, flags, signal);
            (start.args.pidfd, start.args.parent_tid) = (pidfd, parent_tid);
            let result = start.start(never, ptr::null_mut()).result;
            assert_eq!(result, -errno as isize, "{via:?}: {what}");
        }
    }

    if !Via::both().contains(&Via::Clone3) {
        return;
    }
    let tids = [0, -1];
    let tid = (&raw const tids[0]) as u64;
    let own = std::process::id() as i32;
    let own = (&raw const own) as u64;
    let reap = F::AUTOREAP;
    let a = CloneArgs::default;
    let f = |flags: F| CloneArgs { flags: flags.bits(), ..a() };
    let full = size_of::<CloneArgs>();
    let clone3 = [
        ("an unknown flag", CloneArgs { flags: 1 << 63, ..a() }, full, libc::EINVAL),
        ("DETACHED", f(F::DETACHED), full, libc::EINVAL),
        ("an exit signal among the flags", CloneArgs { flags: 17, ..a() }, full, libc::EINVAL),
        (
            "CLEAR_SIGHAND with SIGHAND",
            f(F::CLEAR_SIGHAND | F::SIGHAND | F::VM | F::VFORK),
            full,
            libc::EINVAL,
        ),
        (
            "THREAD with an exit signal",
            CloneArgs { exit_signal: 17, ..f(thread | F::VFORK) },
            full,
            libc::EINVAL,
        ),
        ("PARENT with an exit signal", CloneArgs { exit_signal: 17, ..f(F::PARENT) }, full, libc::EINVAL),
        ("a stack without a size", CloneArgs { stack: word, ..a() }, full, libc::EINVAL),
        ("a size without a stack", CloneArgs { stack_size: 4096, ..a() }, full, libc::EINVAL),
        (
            "a stack outside user space",
            CloneArgs { stack: u64::MAX - 8191, stack_size: 4096, ..a() },
            full,
            libc::EINVAL,
        ),
        ("an exit signal that is none", CloneArgs { exit_signal: 255, ..a() }, full, libc::EINVAL),
        ("an exit signal of nine bits", CloneArgs { exit_signal: 256, ..a() }, full, libc::EINVAL),
        (
            "INTO_CGROUP, no descriptor",
            CloneArgs { cgroup: 1 << 31, ..f(F::INTO_CGROUP) },
            full,
            libc::EINVAL,
        ),
        ("INTO_CGROUP in a struct too short for it", f(F::INTO_CGROUP), 80, libc::EINVAL),
        (
            "INTO_CGROUP, a closed descriptor",
            CloneArgs { cgroup: 0x7fff_fff0, ..f(F::INTO_CGROUP) },
            full,
            libc::EBADF,
        ),
        ("set_tid without its size", CloneArgs { set_tid: own, ..a() }, full, libc::EINVAL),
        ("a set_tid_size without set_tid", CloneArgs { set_tid_size: 1, ..a() }, full, libc::EINVAL),
        (
            "more set_tid than namespaces can nest",
            CloneArgs { set_tid: own, set_tid_size: 33, ..a() },
            full,
            libc::EINVAL,
        ),
        ("both places NULL", f(F::PIDFD | F::PARENT_SETTID), full, libc::EINVAL),
        ("EMPTY_MNTNS with FS", f(F::EMPTY_MNTNS | F::FS), full, libc::EINVAL),
        ("AUTOREAP with THREAD", f(reap | thread | F::VFORK), full, libc::EINVAL),
        ("AUTOREAP with PARENT", f(reap | F::PARENT), full, libc::EINVAL),
        ("AUTOREAP with an exit signal", CloneArgs { exit_signal: 17, ..f(reap) }, full, libc::EINVAL),
        ("NNP with THREAD", f(F::NNP | thread | F::VFORK), full, libc::EINVAL),
        ("PIDFD_AUTOKILL without PIDFD", f(F::PIDFD_AUTOKILL | reap), full, libc::EINVAL),
        (
            "PIDFD_AUTOKILL without AUTOREAP",
            CloneArgs { pidfd: word, ..f(F::PIDFD_AUTOKILL | F::PIDFD) },
            full,
            libc::EINVAL,
        ),
    ];
    let mut rows = clone3.to_vec();
    if privileged() {
        rows.push(("a set_tid of 0", CloneArgs { set_tid: tid, set_tid_size: 1, ..a() }, full, libc::EINVAL));
        rows.push((
            "a set_tid below 0",
            CloneArgs { set_tid: tid + 4, set_tid_size: 1, ..a() },
            full,
            libc::EINVAL,
        ));
        rows.push((
            "a set_tid in use",
            CloneArgs { set_tid: own, set_tid_size: 1, ..a() },
            full,
            libc::EEXIST,
        ));
    } else {
        skip("set_tid needs CAP_SYS_ADMIN");
    }
    for (what, args, size, errno) in rows {
        let start = Start { via: Via::Clone3, args, size };
        let result = start.start(never, ptr::null_mut()).result;
        assert_eq!(result, -errno as isize, "clone3: {what}");
    }
}

/// Root with the capabilities that namespaces and set_tid need (root of a container has not).
fn privileged() -> bool {
    // CAP_SYS_ADMIN is bit 21 of CapEff.
    let status = std::fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let line = status.lines().find(|line| line.starts_with("CapEff:")).expect("CapEff");
    let bits = u64::from_str_radix(line[7..].trim(), 16).expect("hexadecimal");
    bits & (1 << 21) != 0
}

/// What the call gives in a process that `prepare` has changed.
fn result_after(prepare: impl Fn(), start: &Start) -> isize {
    let result = Shared::new(AtomicIsize::new(0));
    let end = in_process(|| {
        prepare();
        let tid = start.start(never, ptr::null_mut()).result;
        if tid > 0 {
            wait(tid);
        }
        result.store(tid, SeqCst);
        77
    });
    assert_eq!(end.code(), Some(77), "{start:?}: {end:?}");
    result.load(SeqCst)
}

fn ok(rc: c_int) {
    assert_eq!(rc, 0, "{}", std::io::Error::last_os_error());
}

fn nobody() {
    // SAFETY: in a process of one thread.
    ok(unsafe { libc::setresuid(65534, 65534, 65534) });
}

fn new_pid_namespace() {
    // SAFETY: in a process of one thread.
    ok(unsafe { libc::unshare(libc::CLONE_NEWPID) });
}

/// The errors that depend on who calls.
#[test]
fn c1_the_kernels_errors_about_the_caller_arrive() {
    if !privileged() || emulated() {
        return skip("changes credentials and namespaces: needs CAP_SYS_ADMIN on a real kernel");
    }
    let one_process = || {
        let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: reads a local.
        ok(unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &limit) });
        nobody();
    };
    let init_is_gone = || {
        new_pid_namespace();
        assert_eq!(in_process(|| 77).code(), Some(77));
    };
    // SAFETY: in a process of one thread.
    let chrooted = || ok(unsafe { libc::chroot(c"/proc".as_ptr()) });
    // Each level maps its root, or the next one would fail for want of it: user_namespaces(7).
    let deepest = || {
        // SAFETY: in a process of one thread; at the deepest level it fails.
        while unsafe { libc::unshare(libc::CLONE_NEWUSER) } == 0 {
            for (file, text) in [("setgroups", "deny"), ("gid_map", "0 0 1"), ("uid_map", "0 0 1")] {
                std::fs::write(format!("/proc/self/{file}"), text).expect(file);
            }
        }
    };
    let thread = F::VM | F::SIGHAND | F::THREAD | F::VFORK;
    let rows: [(&str, &dyn Fn(), F, i32); 7] = [
        ("a namespace without privilege", &nobody, F::NEWUTS, libc::EPERM),
        ("RLIMIT_NPROC", &one_process, F::empty(), libc::EAGAIN),
        ("THREAD while children go elsewhere", &new_pid_namespace, thread, libc::EINVAL),
        ("NEWPID while children go elsewhere", &new_pid_namespace, F::NEWPID, libc::EINVAL),
        ("a pid namespace whose init is gone", &init_is_gone, F::empty(), libc::ENOMEM),
        ("NEWUSER in a chroot", &chrooted, F::NEWUSER, libc::EPERM),
        ("too many levels of user namespaces", &deepest, F::NEWUSER, libc::ENOSPC),
    ];
    for &via in Via::both() {
        for (what, prepare, flags, errno) in rows {
            let exit_signal = if flags.contains(F::THREAD) { 0 } else { libc::SIGCHLD };
            let result = result_after(prepare, &Start::with(via, flags, exit_signal));
            assert_eq!(result, -errno as isize, "{via:?}: {what}");
        }
        let result = result_after(|| {}, &Start::with(via, F::NEWUTS, libc::SIGCHLD));
        assert!(result > 0, "{via:?}: with privilege, errno {}", -result);

        // The first process of a pid namespace may have no sibling.
        let result = Shared::new(AtomicIsize::new(0));
        let end = in_process(|| {
            new_pid_namespace();
            let init = in_process(|| {
                let start = Start::with(via, F::PARENT, 0);
                result.store(start.start(never, ptr::null_mut()).result, SeqCst);
                77
            });
            init.code().unwrap_or(99)
        });
        assert_eq!((end.code(), result.load(SeqCst)), (Some(77), -libc::EINVAL as isize), "{via:?}");
    }
    if Via::both().contains(&Via::Clone3) {
        let tid = 0x3fff;
        let mut start = Start::with(Via::Clone3, F::empty(), libc::SIGCHLD);
        (start.args.set_tid, start.args.set_tid_size) = ((&raw const tid) as u64, 1);
        assert_eq!(result_after(nobody, &start), -libc::EPERM as isize, "set_tid without privilege");
    }
}

/// The errors that depend on the cgroup.
#[test]
fn c1_the_kernels_errors_about_the_cgroup_arrive() {
    let root = Path::new("/sys/fs/cgroup");
    if !Via::both().contains(&Via::Clone3) || !root.join("cgroup.procs").exists() || !privileged() {
        return skip("needs clone3, cgroup2 at /sys/fs/cgroup and CAP_SYS_ADMIN");
    }
    let path = root.join(format!("clone-trampoline-{}", std::process::id()));
    let (threaded, invalid) = (path.join("threaded"), path.join("invalid"));
    for path in [&path, &threaded, &invalid] {
        std::fs::create_dir(path).expect("mkdir of a cgroup");
    }
    let directory = |path| std::fs::File::open(path).expect("open of a cgroup");
    let (inner, outer) = (directory(&invalid), directory(&path));
    let mut start = Start::with(Via::Clone3, F::INTO_CGROUP, libc::SIGCHLD);

    start.args.cgroup = outer.as_raw_fd() as u64;
    let unprivileged = result_after(nobody, &start);
    let born_in_it = result_after(|| {}, &start);
    // Processes and controllers for children exclude each other, for controllers of memory's kind.
    let controllers = |path: &Path| std::fs::write(path.join("cgroup.subtree_control"), "+memory");
    let with_controllers = controllers(root).and_then(|()| controllers(&path)).map(|()| {
        let result = result_after(|| {}, &start);
        std::fs::write(path.join("cgroup.subtree_control"), "-memory").expect("no controllers");
        result
    });
    // Beside a threaded cgroup a plain one is of no use: "domain invalid".
    std::fs::write(threaded.join("cgroup.type"), "threaded").expect("a threaded cgroup");
    start.args.cgroup = inner.as_raw_fd() as u64;
    let beside_threaded = result_after(|| {}, &start);
    for path in [&threaded, &invalid] {
        std::fs::remove_dir(path).expect("rmdir of a cgroup");
    }
    let gone = result_after(|| {}, &start);
    std::fs::remove_dir(&path).expect("rmdir of a cgroup");

    assert_eq!(unprivileged, -libc::EACCES as isize, "no permission to write cgroup.procs");
    assert!(born_in_it > 0, "errno {}", -born_in_it);
    match with_controllers {
        Ok(result) => assert_eq!(result, -libc::EBUSY as isize, "a cgroup with controllers below"),
        Err(error) => skip(&format!("no memory controller: {error}")),
    }
    assert_eq!(beside_threaded, -libc::EOPNOTSUPP as isize, "an invalid domain");
    // ENODEV by the cgroup that is dead, or already ENOENT by its cgroup.procs
    let expected = [-libc::ENODEV as isize, -libc::ENOENT as isize];
    assert!(expected.contains(&gone), "a cgroup that is gone: {gone}");
}
