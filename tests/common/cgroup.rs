//! cgroups for tests. Nothing is left behind in the machine's hierarchy, however a test ends.

use super::limit;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where cgroup2 is mounted.
pub fn root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("proc is mounted");
    let path = |line: &str| {
        let mut words = line.split(' ').skip(1);
        words.next().filter(|_| words.next() == Some("cgroup2")).map(PathBuf::from)
    };
    mounts.lines().find_map(path)
}

/// A cgroup of ours.
#[derive(Debug)]
pub struct Cgroup(pub PathBuf);

impl Cgroup {
    pub fn below(parent: &Path, name: &str) -> io::Result<Self> {
        let path = parent.join(name);
        fs::create_dir(&path).map(|()| Self(path))
    }

    /// One that no other run of this program has.
    pub fn of_ours(root: &Path, name: &str) -> io::Result<Self> {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a date").as_nanos();
        Self::below(root, &format!("clone-trampoline-{name}-{}-{now}", std::process::id()))
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap_or_else(|error| panic!("{text} to {file}: {error}"));
    }

    pub fn open(&self) -> File {
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
#[derive(Debug)]
pub struct Controller(Option<(PathBuf, &'static str)>);

impl Controller {
    pub fn below(cgroup: &Path, name: &'static str) -> io::Result<Self> {
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
