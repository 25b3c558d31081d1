//! Errors name their real cause, because one errno has many causes.

use crate::common::{in_process, skip};
use crate::program::{Way, passes, shares_memory};
use clone_trampoline::{Builder, SafeFlags, Stage, call, spawn};

#[test]
fn a_stack_that_cannot_be_had() {
    for size in [usize::MAX, usize::MAX / 4] {
        let error = Builder::new().stack_size(size).spawn(|| ()).unwrap_err();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Thread, libc::EINVAL));
        assert_eq!(error.hint(), Some("there can be no stack of this size"));
    }
    // No 64-bit process has so much: RISC-V's widest address space has 2^56 bytes.
    #[cfg(target_pointer_width = "64")]
    {
        let error = Builder::new().stack_size(1 << 57).spawn(|| ()).unwrap_err();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Thread, libc::EAGAIN));
        assert!(error.hint().unwrap().contains("no room for a stack"), "{error}");
    }
}

#[test]
fn a_name_with_a_nul_byte() {
    let builder = Builder::new().name("a\0b".into());
    let scoped = std::thread::scope(|scope| builder.spawn_scoped(scope, || ()).map(|_| ()).unwrap_err());
    for error in [builder.spawn(|| ()).unwrap_err(), scoped] {
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Thread, libc::EINVAL));
        assert_eq!(error.hint(), Some("the name of a thread has a NUL byte"));
    }
}

#[test]
fn a_limit_of_tasks() {
    if !shares_memory() {
        return;
    }
    passes("hints::a_limit_of_tasks", "both", || {
        // SAFETY: the values have the right types, and this is a program of its own.
        unsafe {
            if libc::getuid() == 0 {
                assert_eq!(libc::setresuid(65_531, 65_531, 65_531), 0);
            }
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &none), 0);
        }
        for way in Way::BOTH {
            let error = way.run(|| ()).unwrap_err();
            assert_eq!(error.raw_os_error(), libc::EAGAIN, "{error}");
            assert!(error.hint().unwrap().contains("RLIMIT_NPROC"), "{error}");
        }
        // SAFETY: the closure takes no lock.
        let error = unsafe { clone_trampoline::fork(|| 0) }.unwrap_err();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Fork, libc::EAGAIN));
        assert!(error.hint().unwrap().contains("RLIMIT_NPROC"), "{error}");
    });
}

#[test]
fn a_cgroup_that_takes_nobody() {
    if !shares_memory() {
        return;
    }
    let folder = std::fs::File::open("/").unwrap();
    let error = Builder::new().cgroup(std::os::fd::AsFd::as_fd(&folder)).call(|| ()).unwrap_err();
    if error.raw_os_error() != libc::EBADF {
        return skip(&error.to_string());
    }
    assert!(error.hint().unwrap().contains("cgroup v2"), "{error}");
}

/// The namespaces of the caller's future children can change. They are not a property of the machine.
#[test]
fn a_pending_time_namespace() {
    if !shares_memory() {
        return;
    }
    passes("hints::a_pending_time_namespace", "both", || {
        let status = in_process(|| {
            let own = std::fs::File::open("/proc/self/ns/time");
            // SAFETY: the call takes no pointers.
            let pending = unsafe {
                libc::unshare(libc::CLONE_NEWTIME) == 0
                    || libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWTIME) == 0
            };
            let (Ok(own), true) = (own, pending) else { return 75 };
            // From about Linux 6.2 on, memory can be shared there.
            let inside = call(|| 1).map_err(|error| {
                assert!(error.hint().unwrap().contains("time namespace"), "{error}");
            });
            assert_ne!(inside, Ok(2));
            let beside = spawn(|| 1).map(|handle| handle.join().unwrap()).map_err(|error| {
                assert!(error.hint().unwrap().contains("time namespace"), "{error}");
            });
            assert_eq!(inside.is_ok(), beside.is_ok());
            // SAFETY: the descriptor is ours.
            if unsafe { libc::setns(std::os::fd::AsRawFd::as_raw_fd(&own), libc::CLONE_NEWTIME) } == 0 {
                assert_eq!(call(|| 1), Ok(1));
            }
            77
        });
        match status.code() {
            Some(75) => skip("no time namespace may be made here"),
            code => assert_eq!(code, Some(77)),
        }
    });
}

/// Dropping the values that the closure owns may panic. The error is reported before.
#[test]
fn a_spawn_that_fails_and_a_drop_that_panics() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            panic!("drop of what the closure owns");
        }
    }
    if !shares_memory() || !crate::program::catches_panics() {
        return;
    }
    passes("hints::a_spawn_that_fails_and_a_drop_that_panics", "spawn", || {
        // SAFETY: the limit of descriptors is valid, and it is reached already.
        unsafe {
            let none = libc::rlimit { rlim_cur: 3, rlim_max: 3 };
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &none), 0);
        }
        let loud = Loud;
        let error = Builder::new().flags(SafeFlags::empty()).spawn(move || _ = &loud).unwrap_err();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Clone, libc::EMFILE), "{error}");
    });
}
