//! C1: the errors that depend on the cgroup arrive, too (arch-facts 2.3).

use crate::common::cgroup::{Cgroup, Controller, root};
use crate::common::*;
use crate::start::*;
use clone_trampoline::CloneFlags;
use std::fs::File;
use std::os::fd::AsRawFd;

type F = CloneFlags;

#[test]
fn c1_the_errors_of_into_cgroup_arrive() {
    let Some(root) = root() else { return skip("cgroup2 is not mounted") };
    if !Via::both().contains(&Via::Clone3) || !can_give_up_root() {
        return skip("needs clone3 and real root");
    }
    let memory = Controller::below(&root, "memory");
    let cgroup = match Cgroup::of_ours(&root, "into") {
        Ok(cgroup) => cgroup,
        Err(error) => return skip(&format!("no cgroup can be made: {error}")),
    };
    let born_in = |cgroup: &File| {
        let mut start = Start::with(Via::Clone3, F::INTO_CGROUP, libc::SIGCHLD);
        start.args.cgroup = cgroup.as_raw_fd() as u64;
        start
    };
    let directory = cgroup.open();
    let start = born_in(&directory);
    let result = result_after(|| {}, &start);
    assert!(result > 0, "errno {}", -result);
    let result = result_after(nobody, &start);
    assert_eq!(result, -libc::EACCES as isize, "no permission to write cgroup.procs");

    // Processes and controllers for children exclude each other, for controllers of memory's kind.
    match memory.and_then(|root| Ok((Controller::below(&cgroup.0, "memory")?, root))) {
        Ok(_both) => {
            let result = result_after(|| {}, &start);
            assert_eq!(result, -libc::EBUSY as isize, "a cgroup with controllers below");
        }
        Err(error) => skip(&format!("no memory controller: {error}")),
    }

    // Beside a threaded cgroup a plain one is of no use: "domain invalid".
    {
        let threaded = Cgroup::below(&cgroup.0, "threaded").expect("mkdir of a cgroup");
        let invalid = Cgroup::below(&cgroup.0, "invalid").expect("mkdir of a cgroup");
        threaded.write("cgroup.type", "threaded");
        let result = result_after(|| {}, &born_in(&invalid.open()));
        assert_eq!(result, -libc::EOPNOTSUPP as isize, "an invalid domain");
    }

    // ENODEV by the cgroup that is dead, or already ENOENT by its cgroup.procs
    drop(cgroup);
    let result = result_after(|| {}, &start);
    let expected = [-libc::ENODEV as isize, -libc::ENOENT as isize];
    assert!(expected.contains(&result), "a cgroup that is gone: {result}");
}

#[test]
fn c1_a_full_cgroup_is_eagain() {
    let Some(root) = root() else { return skip("cgroup2 is not mounted") };
    if !privileged() {
        return skip("needs CAP_SYS_ADMIN");
    }
    let _pids = match Controller::below(&root, "pids") {
        Ok(pids) => pids,
        Err(error) => return skip(&format!("no pids controller: {error}")),
    };
    for &via in Via::both() {
        let cgroup = match Cgroup::of_ours(&root, &format!("pids-{via:?}")) {
            Ok(cgroup) => cgroup,
            Err(error) => return skip(&format!("no cgroup can be made: {error}")),
        };
        let start = Start::with(via, F::empty(), libc::SIGCHLD);
        let with_room_for = |tasks| {
            cgroup.write("pids.max", tasks);
            result_after(|| cgroup.write("cgroup.procs", "0"), &start)
        };
        assert_eq!(with_room_for("1"), -libc::EAGAIN as isize, "{via:?}");
        let result = with_room_for("2");
        assert!(result > 0, "{via:?}: errno {}", -result);
    }
}
