//! uid_map and gid_map: the caller's own, ranges, and what is refused.

use crate::common::skip;
use crate::program::{Way, if_allowed, shares_memory};
use clone_trampoline::{Builder, Error, SafeFlags, Stage};
use std::fs;

fn ids() -> (u32, u32) {
    // SAFETY: no arguments to get wrong.
    unsafe { (libc::getuid(), libc::getgid()) }
}

fn allowed<T>(result: Result<T, Error>) -> Option<T> {
    if_allowed(result)
}

#[test]
fn the_callers_own_ids_can_be_mapped() {
    if !shares_memory() {
        return;
    }
    let (uid, gid) = ids();
    for way in Way::BOTH {
        let builder = Builder::new().flags(SafeFlags::NEWUSER).uid_map(5, uid, 1).gid_map(6, gid, 1);
        let Some(inside) = allowed(way.run_with(&builder, ids)) else { return };
        assert_eq!(inside, (5, 6), "{way:?}");
    }
}

#[test]
fn ranges_are_written_by_the_parent() {
    if !shares_memory() {
        return;
    }
    if ids().0 != 0 {
        return skip("ranges take CAP_SETUID");
    }
    for way in Way::BOTH {
        let builder = Builder::new()
            .flags(SafeFlags::NEWUSER)
            .uid_map(0, 100_000, 1000)
            .uid_map(1000, 0, 1)
            .gid_map(0, 100_000, 65_536);
        let read = || {
            fs::read_to_string("/proc/self/uid_map")
                .map(|map| map.split_whitespace().map(String::from).collect())
        };
        let Some(map) = allowed(way.run_with(&builder, read)) else { return };
        let map: Vec<String> = map.unwrap();
        assert_eq!(map, ["0", "100000", "1000", "1000", "0", "1"], "{way:?}");
    }
}

#[test]
fn the_stage_that_failed_is_named() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        // No map has two lines for one id.
        let builder = Builder::new().flags(SafeFlags::NEWUSER).uid_map(0, 0, 2).uid_map(1, 5, 1);
        let error = way.run_with(&builder, || panic!("the closure has run")).unwrap_err();
        if error.stage() == Stage::Clone {
            return skip(&error.to_string());
        }
        assert_eq!(error.stage(), Stage::UidMap, "{error}");
        assert!(error.hint().is_some());
    }
    let error = Builder::new().uid_map(0, 0, 1).call(|| ()).unwrap_err();
    assert_eq!(error.stage(), Stage::Flags, "{error}");
}
