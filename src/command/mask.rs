//! Sets of signals, and the mask of a thread.

#![allow(unsafe_code)]

use crate::arch::NSIG;
use crate::error::argument;
use crate::kernel_signals::set_mask;
use crate::{Error, Stage};
use std::ffi::c_int;
use std::ptr;

/// The kernel's set of signals.
pub(super) type Set = [u8; NSIG / 8];

pub(super) fn set_of(signals: &[c_int]) -> Result<Set, Error> {
    const BITS: usize = usize::BITS as usize;
    let mut words = [0_usize; NSIG / BITS];
    for &signal in signals {
        if !(1..=NSIG as c_int).contains(&signal) {
            let error = Error::new(Stage::ProgramSignals, libc::EINVAL, "there is no such signal");
            return Err(error.at(argument(signal)));
        }
        let bit = signal as usize - 1;
        words[bit / BITS] |= 1 << (bit % BITS);
    }
    let mut set = Set::default();
    for (bytes, word) in set.chunks_exact_mut(size_of::<usize>()).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Ok(set)
}

/// The signals that the calling thread has blocked.
pub(super) struct Mask(pub(super) Set);

impl Mask {
    /// Blocks all signals, those of libc, too.
    pub(super) fn block_all() -> Result<Self, Error> {
        let mut before = Set::default();
        // SAFETY: a set, and a place for one.
        unsafe { set_mask([0xff_u8; NSIG / 8].as_ptr(), before.as_mut_ptr()) }
            .map_err(|error| Error::from_io(Stage::ProgramSignals, &error))?;
        Ok(Self(before))
    }

    pub(super) fn restore(&self) {
        // SAFETY: a set.
        _ = unsafe { set_mask(self.0.as_ptr(), ptr::null_mut()) };
    }
}
