//! Runs a program, by default a shell, in a sandbox in which it can do little harm. The program has its own namespaces,
//! its own /proc, a read-only root and an empty /tmp. It runs as another user, without a network and without a way to
//! get privileges. If a cgroup can be made, it has 64 MiB of memory. It ends when this program ends.
//!
//! ```text
//! cargo run --example sandbox -- sh -c 'id; ls -l /proc/self/exe; touch /file; echo $$'
//! ```
//!
//! Root can run it, and so can an ordinary user if user namespaces are allowed.

use clone_trampoline::{Command, Mount, SafeFlags};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::{env, io};

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let mut command = Command::new(args.next().unwrap_or("sh".into()));
    match run(command.args(args)) {
        Ok(status) => ExitCode::from(status.code().map_or(1, |code| code as u8)),
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the program in the sandbox.
pub(crate) fn run(command: &mut Command) -> io::Result<ExitStatus> {
    // These are all namespaces except the time namespace. All processes of the sandbox are in its pid namespace, and
    // end with its first process.
    command
        .flags(SafeFlags::NEWUSER | SafeFlags::NEWNS | SafeFlags::NEWPID | SafeFlags::NEWNET)
        .flags(SafeFlags::NEWUTS | SafeFlags::NEWIPC | SafeFlags::NEWCGROUP)
        .hostname("sandbox");

    // User 1000 inside is the caller outside. If the caller is root, it is the user nobody.
    // SAFETY: the calls take no arguments.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let (uid, gid) = if uid == 0 { (65_534, 65_534) } else { (uid, gid) };
    command.uid_map(1000, uid, 1).gid_map(1000, gid, 1).uid(1000).gid(1000);

    command
        .mount(Mount::in_place("/").read_only())
        .mount(Mount::file_system("tmpfs", "/tmp").options("mode=1777,size=16m"))
        .mount(Mount::file_system("proc", "/proc"))
        .current_dir("/tmp")
        .env("HOME", "/tmp");

    // The new session has no terminal. Otherwise the program could type into the caller's terminal (TIOCSTI).
    command.setsid(true).close_other_fds(true).no_new_privs(true).parent_death_signal(libc::SIGKILL);

    let cgroup = Cgroup::new("sandbox");
    match &cgroup {
        Ok(cgroup) => _ = command.cgroup(File::open(&cgroup.0)?),
        Err(error) => eprintln!("sandbox: no limit of memory: {error}"),
    }
    command.status()
}

/// A cgroup below the cgroup of this program. It is removed when it is dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let root = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|words| words[2] == "cgroup2");
        let path = own.lines().find_map(|line| line.strip_prefix("0::/"));
        let (Some(root), Some(path)) = (root, path) else {
            return Err(io::Error::other("there is no cgroup v2 file system"));
        };
        let cgroup = Path::new(root[1]).join(path).join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&cgroup)?;
        let cgroup = Self(cgroup);
        fs::write(cgroup.0.join("memory.max"), "64M")?;
        Ok(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        _ = fs::remove_dir(&self.0);
    }
}
