//! Finds out whether the next child would be born in another pid or time namespace than its parent. This is so after
//! unshare(2) or setns(2) with such a namespace. See namespaces(7), `/proc/PID/ns/pid_for_children`.

#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, io};

/// Returns whether the children of the calling thread get another pid namespace. None if /proc does not tell: it is not
/// mounted, or Linux is older than 4.12 (5.6 for [`time_namespace`]).
pub(crate) fn pid_namespace() -> Option<bool> {
    // A process never leaves its pid namespace, so its number is kept. After fork(2) a copy of the process may be in
    // another one, so the number is read again if it differs from the children's.
    static OWN: AtomicU32 = AtomicU32::new(0);
    let childrens = namespace(c"/proc/thread-self/ns/pid_for_children")?;
    if childrens == OWN.load(Ordering::Relaxed) {
        return Some(false);
    }
    let own = namespace(c"/proc/thread-self/ns/pid")?;
    OWN.store(own, Ordering::Relaxed);
    Some(childrens != own)
}

/// Returns whether the children of the calling thread get another time namespace.
pub(crate) fn time_namespace() -> Option<bool> {
    Some(namespace(c"/proc/thread-self/ns/time_for_children")? != namespace(c"/proc/thread-self/ns/time")?)
}

/// Stands for the number of a namespace that has had no process yet. The kernel gives none.
const EMPTY: u32 = u32::MAX;

/// Returns the number in a link such as `pid:[4026531836]`.
fn namespace(link: &CStr) -> Option<u32> {
    let mut text = [0_u8; 64];
    // SAFETY: `link` is a C string, and `text` has the size that is given.
    let length = unsafe { libc::readlink(link.as_ptr(), text.as_mut_ptr().cast(), text.len()) };
    if length < 0 {
        let is_empty = io::Error::last_os_error().kind() == io::ErrorKind::NotFound
            && fs::symlink_metadata(OsStr::from_bytes(link.to_bytes())).is_ok();
        return is_empty.then_some(EMPTY);
    }
    let digits = text[..length as usize].iter().filter(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number: u32, digit| number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'))))
}
