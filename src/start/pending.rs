//! Whether the next child would be born in another namespace than its parent's: after unshare(2) or setns(2) with a pid
//! or time namespace. See namespaces(7), `/proc/PID/ns/pid_for_children`.

#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, io};

/// For children of the calling thread. None where /proc does not tell: it is not mounted, or Linux is older than 4.12
/// (pid) or 5.5 (time).
pub(crate) fn pid_namespace() -> Option<bool> {
    // A process never leaves its pid namespace. In a copy that fork(2) has made it may be another one, which is looked
    // for where the two differ.
    static OWN: AtomicU32 = AtomicU32::new(0);
    let childrens = namespace(c"/proc/thread-self/ns/pid_for_children")?;
    if childrens == OWN.load(Ordering::Relaxed) {
        return Some(false);
    }
    let own = namespace(c"/proc/thread-self/ns/pid")?;
    OWN.store(own, Ordering::Relaxed);
    Some(childrens != own)
}

/// The same for a time namespace.
pub(crate) fn time_namespace() -> Option<bool> {
    Some(namespace(c"/proc/thread-self/ns/time_for_children")? != namespace(c"/proc/thread-self/ns/time")?)
}

/// A namespace in which there has been no process yet has no number.
const EMPTY: u32 = u32::MAX;

/// The number that a link such as `pid:[4026531836]` has.
fn namespace(link: &CStr) -> Option<u32> {
    let mut text = [0_u8; 64];
    // SAFETY: a path, and a buffer with its size.
    let length = unsafe { libc::readlink(link.as_ptr(), text.as_mut_ptr().cast(), text.len()) };
    if length < 0 {
        let is_empty = io::Error::last_os_error().kind() == io::ErrorKind::NotFound
            && fs::symlink_metadata(OsStr::from_bytes(link.to_bytes())).is_ok();
        return is_empty.then_some(EMPTY);
    }
    let digits = text[..length as usize].iter().filter(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number: u32, digit| number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'))))
}
