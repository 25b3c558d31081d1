//! C1: the errors that depend on the cgroup arrive, too (arch-facts 2.3). Nothing is left behind in the
//! machine's hierarchy, however a test ends.

use crate::common::*;
use clone_trampoline::CloneFlags;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

type F = CloneFlags;

/// Where cgroup2 is mounted.
fn root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("proc is mounted");
    let path = |line: &str| {
        let mut words = line.split(' ').skip(1);
        words.next().filter(|_| words.next() == Some("cgroup2")).map(PathBuf::from)
    };
    mounts.lines().find_map(path)
}

/// A cgroup of ours.
struct Cgroup(PathBuf);

impl Cgroup {
    fn below(parent: &Path, name: &str) -> io::Result<Self> {
        let path = parent.join(name);
        fs::create_dir(&path).map(|()| Self(path))
    }

    /// One that no other run of this program has.
    fn of_ours(root: &Path, name: &str) -> io::Result<Self> {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a date").as_nanos();
        Self::below(root, &format!("clone-trampoline-{name}-{}-{now}", std::process::id()))
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap_or_else(|error| panic!("{text} to {file}: {error}"));
    }

    fn open(&self) -> File {
        File::open(&self.0).expect("open of a cgroup")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A task that was waited for can still be there for a moment.
        let deadline = Instant::now() + limit();
        while fs::remove_dir(&self.0).is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            if Instant::now() > deadline {
                return eprintln!("{} cannot be removed", self.0.display());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A controller for the children of a cgroup, as long as this lives.
struct Controller(Option<(PathBuf, &'static str)>);

impl Controller {
    fn below(cgroup: &Path, name: &'static str) -> io::Result<Self> {
        let file = cgroup.join("cgroup.subtree_control");
        if fs::read_to_string(&file)?.split_whitespace().any(|there| there == name) {
            return Ok(Self(None));
        }
        fs::write(&file, format!("+{name}"))?;
        Ok(Self(Some((file, name))))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if let Some((file, name)) = &self.0
            && let Err(error) = fs::write(file, format!("-{name}"))
        {
            eprintln!("-{name} to {}: {error}", file.display());
        }
    }
}

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
