//! Tests of features that only clone3(2) has, through the builder.

use crate::common::cgroup::{Cgroup, root};
use crate::common::{release, skip};
use crate::program::{Way, if_allowed, passes, shares_memory};
use clone_trampoline::{Builder, Error, SafeFlags, Stage};
use std::fs;
use std::os::fd::AsFd;

/// Returns the value. If the feature is forbidden or the kernel is too old for it, returns None and counts a skip.
#[track_caller]
fn if_known<T>(since: (u32, u32), result: Result<T, Error>) -> Option<T> {
    match result {
        Err(error)
            if error.stage() == Stage::Clone3
                && error.raw_os_error() == libc::EINVAL
                && release() < since =>
        {
            assert!(error.hint().unwrap().contains("and Linux"), "{error}");
            skip(&error.to_string());
            None
        }
        result => if_allowed(result),
    }
}

fn no_new_privs() -> i32 {
    // SAFETY: the call only asks about this process.
    unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) }
}

#[test]
fn nnp_is_the_childs_alone() {
    if !shares_memory() {
        return;
    }
    let before = no_new_privs();
    for way in Way::BOTH {
        let Some(inside) =
            if_known((7, 1), way.run_with(&Builder::new().flags(SafeFlags::NNP), no_new_privs))
        else {
            return;
        };
        assert_eq!((inside, no_new_privs()), (1, before), "{way:?}");
    }
}

#[test]
fn empty_mntns_has_an_empty_root() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        let builder = Builder::new().flags(SafeFlags::NEWUSER | SafeFlags::EMPTY_MNTNS);
        let seen = way.run_with(&builder, || (fs::exists("/").unwrap(), fs::exists("/proc").unwrap()));
        let Some(inside) = if_known((7, 1), seen) else { return };
        assert_eq!(inside, (true, false), "{way:?}");
        assert!(fs::exists("/proc").unwrap());
    }
}

#[test]
fn a_child_is_born_in_its_cgroup() {
    if !shares_memory() {
        return;
    }
    let Some(Ok(cgroup)) = root().map(|root| Cgroup::of_ours(&root, "born-in")) else {
        return skip("no cgroup can be made");
    };
    let directory = cgroup.open();
    let builder = Builder::new().cgroup(directory.as_fd());
    for way in Way::BOTH {
        let inside = way.run_with(&builder, || fs::read_to_string("/proc/self/cgroup").unwrap());
        let Some(inside) = if_known((5, 7), inside) else { break };
        assert!(inside.contains("born-in"), "{way:?}: {inside}");
        assert!(!fs::read_to_string("/proc/self/cgroup").unwrap().contains("born-in"), "{way:?}");
    }
    // SAFETY: the closure only reads a file.
    let child = unsafe {
        builder.fork(|| {
            i32::from(!fs::read_to_string("/proc/self/cgroup").is_ok_and(|own| own.contains("born-in")))
        })
    };
    if let Some(mut child) = if_known((5, 7), child) {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn clear_sighand_resets_the_childs_handlers_alone() {
    extern "C" fn handler(_: i32) {}
    fn is_default() -> bool {
        // SAFETY: all zeros is a valid value, and the call gets room for another one.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGUSR1, std::ptr::null(), &mut action);
            action.sa_sigaction == libc::SIG_DFL
        }
    }
    if !shares_memory() {
        return;
    }
    passes("features::clear_sighand_resets_the_childs_handlers_alone", "handler", || {
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
        let builder = Builder::new().flags(SafeFlags::CLEAR_SIGHAND);
        for way in Way::BOTH {
            let Some(inside) = if_known((5, 5), way.run_with(&builder, is_default)) else { break };
            assert_eq!((inside, is_default()), (true, false), "{way:?}");
        }
    });
}

/// Sets the uid that the program has already. Each thread of the program has to handle a signal of libc's for this.
#[cfg(not(target_env = "musl"))]
fn set_own_uid() {
    // SAFETY: the call takes no pointers.
    assert_eq!(unsafe { libc::setuid(libc::getuid()) }, 0);
}

#[test]
#[cfg(not(target_env = "musl"))]
fn set_id_works_inside_with_a_private_table_of_handlers() {
    if !shares_memory() {
        return;
    }
    let test = "features::set_id_works_inside_with_a_private_table_of_handlers";
    for flags in [SafeFlags::empty(), SafeFlags::CLEAR_SIGHAND] {
        for way in Way::BOTH {
            passes(test, &format!("{flags:?} {way:?}"), || {
                let builder = Builder::new().flags(flags).share_sighand(false);
                let inside = way.run_with(&builder, || {
                    let (ended, end) = std::sync::mpsc::channel::<()>();
                    let other = std::thread::spawn(move || _ = end.recv());
                    set_own_uid();
                    drop(ended);
                    other.join().unwrap();
                });
                _ = if_known((5, 5), inside);
            });
        }
    }
}
