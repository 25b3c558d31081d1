//! Measures what it costs to start the same sandbox and wait for its end, by this crate and by its alternatives, at 10
//! MB and 1 GB of memory. The sandbox has user, mount, pid, network, UTS, IPC and cgroup namespaces, a read-only root,
//! an empty /tmp and its own /proc.
//!
//! Run it by `cargo run --release --manifest-path benches/sandbox/Cargo.toml`, with bwrap(1) and unshare(1) installed.
//! A sandbox that cannot be started here is left out, and the reason is printed.

#[path = "../../measure/mod.rs"]
#[allow(dead_code, reason = "system calls are not counted here")]
mod measure;

use clone_trampoline::{Command, Mount, SafeFlags};
use hakoniwa::{Container, Namespace};
use measure::{Operation, measure, median};
use std::ffi::{CStr, c_ulong};
use std::hint::black_box;
use std::os::unix::process::CommandExt;
use std::{fs, io, process, ptr};

const PROGRAM: &str = "/bin/true";
const ROUNDS: usize = 40;

fn ids() -> (u32, u32) {
    // SAFETY: the calls take no arguments.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

fn ours() -> io::Result<bool> {
    let (uid, gid) = ids();
    let flags = SafeFlags::NEWUSER | SafeFlags::NEWNS | SafeFlags::NEWPID | SafeFlags::NEWNET;
    let mut command = Command::new(PROGRAM);
    command
        .flags(flags | SafeFlags::NEWUTS | SafeFlags::NEWIPC | SafeFlags::NEWCGROUP)
        .uid_map(uid, uid, 1)
        .gid_map(gid, gid, 1)
        .mount(Mount::in_place("/").read_only())
        .mount(Mount::file_system("tmpfs", "/tmp"))
        .mount(Mount::file_system("proc", "/proc"))
        .no_new_privs(true)
        .parent_death_signal(libc::SIGKILL);
    Ok(command.status()?.success())
}

fn bwrap() -> io::Result<bool> {
    let mut command = process::Command::new("bwrap");
    command.args(["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--tmpfs", "/tmp", "--proc", "/proc"]);
    Ok(command.arg(PROGRAM).status()?.success())
}

/// This makes no read-only root and no /tmp.
fn unshare() -> io::Result<bool> {
    let mut command = process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["--net", "--uts", "--ipc", "--cgroup", PROGRAM]);
    Ok(command.status()?.success())
}

fn hakoniwa() -> io::Result<bool> {
    let (uid, gid) = ids();
    let mut container = Container::new();
    container.rootfs("/").map_err(io::Error::other)?;
    for namespace in [Namespace::Network, Namespace::Uts, Namespace::Ipc, Namespace::Cgroup] {
        container.unshare(namespace);
    }
    container.tmpfsmount("/tmp").uidmap(uid).gidmap(gid);
    Ok(container.command(PROGRAM).status().map_err(io::Error::other)?.success())
}

/// Does what one would write by hand. The program is not in a new pid namespace, because unshare(2) would put only its
/// children there. Its /proc is the caller's.
fn std_and_unshare() -> io::Result<bool> {
    let (uid, gid) = ids();
    let mut command = process::Command::new(PROGRAM);
    let prepare = move || {
        let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWUTS;
        let done = |result| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
        let mount = |source: *const libc::c_char, target: &CStr, kind: *const libc::c_char, flags: c_ulong| {
            // SAFETY: the arguments are C strings or null.
            done(unsafe { libc::mount(source, target.as_ptr(), kind, flags, ptr::null()) })
        };
        // SAFETY: the call takes no pointers.
        done(unsafe { libc::unshare(flags | libc::CLONE_NEWIPC | libc::CLONE_NEWCGROUP) })?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
        mount(ptr::null(), c"/", ptr::null(), libc::MS_REC | libc::MS_PRIVATE)?;
        let attributes = [1_u64, 0, 0, 0];
        // SAFETY: the arguments are a path and a `struct mount_attr` of 32 bytes.
        let read_only = unsafe {
            libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, c"/".as_ptr(), 0x8000, attributes.as_ptr(), 32)
        };
        done(read_only as i32)?;
        mount(c"tmpfs".as_ptr(), c"/tmp", c"tmpfs".as_ptr(), libc::MS_NOSUID | libc::MS_NODEV)
    };
    // SAFETY: this program has one thread when it forks, so the closure may take locks.
    unsafe { command.pre_exec(prepare) };
    Ok(command.status()?.success())
}

fn main() {
    type Start = fn() -> io::Result<bool>;
    let all: [(&str, Start); 5] = [
        ("`Command`", ours),
        ("bwrap(1)", bwrap),
        ("unshare(1)", unshare),
        ("hakoniwa", hakoniwa),
        ("std's `Command`, `pre_exec`, unshare(2)", std_and_unshare),
    ];
    let mut able = Vec::new();
    for (name, start) in all {
        match start() {
            Ok(true) => able.push((name, start)),
            Ok(false) => eprintln!("{name}: cannot start it here"),
            Err(error) => eprintln!("{name}: {error}"),
        }
    }
    println!("| memory | {} |", able.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" | "));
    println!("| --- |{}", " ---: |".repeat(able.len()));
    for megabytes in [10, 1000] {
        let memory = vec![1_u8; megabytes << 20];
        let mut operations: Vec<(&str, Operation<'_>)> = Vec::new();
        for (name, start) in &able {
            operations.push((name, Box::new(|| assert!(start().is_ok_and(|ended_well| ended_well)))));
        }
        let times = measure(&mut operations, ROUNDS);
        black_box(&memory);
        let us: Vec<f64> = times.iter().map(|times| median(times.iter().copied())).collect();
        let cells: Vec<_> = us.iter().map(|time| format!("{:.0} µs ({:.2})", time, time / us[0])).collect();
        println!("| {megabytes} MB | {} |", cells.join(" | "));
    }
}
