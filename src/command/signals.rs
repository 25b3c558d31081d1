//! The signals of the program, and those of the thread that starts it.

use super::child::{Step, action, address};
use super::plan::{NO_NAME, Plan, Way};
use super::request::Request;
use crate::error::argument;
use crate::start::arch::NSIG;
use crate::start::kernel_signals::{Mask, Set};
use crate::{Error, Stage};
use std::ffi::{c_int, c_long};

fn set_of(signals: &[c_int]) -> Result<Set, Error> {
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

impl Plan {
    pub(super) fn set_signals(&mut self, request: &Request, way: Way) -> Result<(), Error> {
        const SIZE: c_long = (NSIG / 8) as c_long;
        if way == (Way::Child { resets: true }) {
            self.push(Stage::ProgramSignals, NO_NAME, Step::ResetHandlers);
        }
        let defaults = request.defaults.iter().chain(&[libc::SIGPIPE]).map(|&signal| (signal, libc::SIG_DFL));
        let ignored = request.ignored.iter().map(|&signal| (signal, libc::SIG_IGN));
        for (signal, handler) in defaults.chain(ignored) {
            let action = self.keep(vec![action(handler)]);
            let arguments = [c_long::from(signal), action, 0, SIZE];
            self.call(Stage::ProgramSignals, argument(signal), libc::SYS_rt_sigaction, arguments);
        }
        if let Some(signals) = &request.blocked {
            self.mask.set(set_of(signals)?);
        }
        let arguments = [c_long::from(libc::SIG_SETMASK), address(self.mask.as_ptr()), 0, SIZE];
        self.call(Stage::ProgramSignals, NO_NAME, libc::SYS_rt_sigprocmask, arguments);
        Ok(())
    }

    /// Blocks all signals of the calling thread. The caller restores them once the child exists.
    pub(super) fn block_signals(&self, request: &Request) -> Result<Mask, Error> {
        let mask = Mask::block_all().map_err(|error| Error::from_io(Stage::ProgramSignals, &error))?;
        if request.blocked.is_none() {
            self.mask.set(mask.0);
        }
        Ok(mask)
    }
}
