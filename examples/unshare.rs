//! A small unshare(1): runs a program in new namespaces.
//!
//! ```text
//! cargo run --example unshare -- user,net,pid ls /proc/self/ns
//! ```
//!
//! An ordinary user can run it if `user` is among the names and user namespaces are allowed.

use clone_trampoline::{Command, SafeFlags};
use std::env::args_os;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut args = args_os().skip(1);
    let (names, program) = (args.next().unwrap_or("user,uts,pid".into()), args.next().unwrap_or("id".into()));
    let mut command = Command::new(program);
    for name in names.to_str().ok_or("names of namespaces")?.split(',') {
        command.flags(match name {
            "cgroup" => SafeFlags::NEWCGROUP,
            "ipc" => SafeFlags::NEWIPC,
            "mnt" => SafeFlags::NEWNS,
            "net" => SafeFlags::NEWNET,
            "pid" => SafeFlags::NEWPID,
            "time" => SafeFlags::NEWTIME,
            "user" => SafeFlags::NEWUSER,
            "uts" => SafeFlags::NEWUTS,
            _ => return Err(format!("{name}: no namespace").into()),
        });
    }
    let status = command.args(args).status()?;
    Ok(ExitCode::from(status.code().map_or(1, |code| code as u8)))
}
