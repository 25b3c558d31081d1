//! Lets a child in its parent's memory wait until a thread of the parent has written its maps of ids.

use crate::Error;
use crate::start::id_map::{IdMaps, Process};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The gate at which a child waits until its parent has written its maps.
#[derive(Debug)]
pub(crate) struct Gate {
    maps: IdMaps,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
enum State {
    NoChild,
    Waiting(Process),
    Writing,
    Written(Result<(), Error>),
    /// There is no child, or it is gone.
    Over,
}

impl Gate {
    pub(crate) fn new(maps: IdMaps) -> Self {
        Self { maps, state: Mutex::new(State::NoChild), changed: Condvar::new() }
    }

    /// Waits until the maps are written. The child calls it.
    pub(crate) fn wait(&self) -> Result<(), Error> {
        self.set(State::Waiting(Process::own()?));
        match mem::replace(&mut *self.when(|state| matches!(state, State::Written(_))), State::Over) {
            State::Written(result) => result,
            _ => unreachable!("that is what has been waited for"),
        }
    }

    /// Writes the maps if the child waits for them. A thread of the parent calls it.
    pub(crate) fn serve(&self) {
        let mut state = self.when(|state| matches!(state, State::Waiting(_) | State::Over));
        let State::Waiting(process) = mem::replace(&mut *state, State::Writing) else {
            return;
        };
        drop(state);
        self.set(State::Written(self.maps.write_of(&process)));
    }

    /// Ends [`serve`](Self::serve). The thread that has started the child calls it when the child is gone.
    pub(crate) fn close(&self) {
        self.set(State::Over);
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_all();
    }

    fn when(&self, wanted: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !wanted(&state) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}
