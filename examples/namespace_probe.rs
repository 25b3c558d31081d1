//! Looks around inside new namespaces and returns what it sees as a value. Nothing is written to a pipe, parsed or left
//! behind.
//!
//! An ordinary user can run it if user namespaces are allowed.

use clone_trampoline::{Builder, SafeFlags};
use std::fs;

pub(crate) fn main() -> Result<(), clone_trampoline::Error> {
    let flags = SafeFlags::NEWUSER | SafeFlags::NEWUTS | SafeFlags::NEWIPC | SafeFlags::NEWNET;
    let outside = look();
    let inside: Vec<(String, String)> = Builder::new().flags(flags).call(look)?;
    for ((name, outside), (_, inside)) in outside.iter().zip(&inside) {
        println!("{name:12} {outside:24} {}", if inside == outside { "shared" } else { inside });
    }
    Ok(())
}

fn look() -> Vec<(String, String)> {
    let mut seen = Vec::new();
    for name in ["user", "uts", "ipc", "net", "mnt", "pid"] {
        let link = fs::read_link(format!("/proc/self/ns/{name}")).map(|link| link.display().to_string());
        seen.push((name.into(), link.unwrap_or_else(|error| error.to_string())));
    }
    let devices = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names = devices.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    seen.push(("devices".into(), names.collect::<Vec<_>>().join(" ")));
    seen
}
