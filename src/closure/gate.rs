//! Where a child in its parent's memory waits until a thread of the parent has written its maps of ids.

use crate::Error;
use crate::start::id_map::{IdMaps, Process};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Where a child waits until its parent has written its maps.
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
    /// There is no child, or no longer.
    Over,
}

impl Gate {
    pub(crate) fn new(maps: IdMaps) -> Self {
        Self { maps, state: Mutex::new(State::NoChild), changed: Condvar::new() }
    }

    /// In the child.
    pub(crate) fn wait(&self) -> Result<(), Error> {
        self.set(State::Waiting(Process::own()?));
        match mem::replace(&mut *self.when(|state| matches!(state, State::Written(_))), State::Over) {
            State::Written(result) => result,
            _ => unreachable!("that is what has been waited for"),
        }
    }

    /// In a thread of the parent.
    pub(crate) fn serve(&self) {
        let mut state = self.when(|state| matches!(state, State::Waiting(_) | State::Over));
        let State::Waiting(process) = mem::replace(&mut *state, State::Writing) else {
            return;
        };
        drop(state);
        self.set(State::Written(self.maps.write_of(&process)));
    }

    /// In the thread that started the child, when it is gone.
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
