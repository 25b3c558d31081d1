//! The environment of a program: the caller's at the moment of the start, with what was changed.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::env;
use std::ffi::{OsStr, OsString};

#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    cleared: bool,
    /// None: removed.
    changes: BTreeMap<OsString, Option<OsString>>,
}

impl Environment {
    pub(super) fn set(&mut self, key: &OsStr, value: &OsStr) {
        self.changes.insert(key.into(), Some(value.into()));
    }

    pub(super) fn remove(&mut self, key: &OsStr) {
        if self.cleared {
            self.changes.remove(key);
        } else {
            self.changes.insert(key.into(), None);
        }
    }

    pub(super) fn clear(&mut self) {
        self.cleared = true;
        self.changes.clear();
    }

    /// All variables, sorted if something was changed. By std's own functions: they alone know of the lock that set_var takes.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        if self.changes.is_empty() && !self.cleared {
            return env::vars_os().collect();
        }
        let mut all: BTreeMap<OsString, OsString> =
            if self.cleared { BTreeMap::new() } else { env::vars_os().collect() };
        for (key, value) in &self.changes {
            match value {
                Some(value) => _ = all.insert(key.clone(), value.clone()),
                None => _ = all.remove(key),
            }
        }
        all.into_iter().collect()
    }
}

/// The changes of a [`Command`](crate::Command)'s environment, by [`get_envs`](crate::Command::get_envs): a variable and
/// its value, or None if it is removed.
#[derive(Clone, Debug)]
pub struct CommandEnvs<'a>(btree_map::Iter<'a, OsString, Option<OsString>>);

impl Environment {
    pub(super) fn changes(&self) -> CommandEnvs<'_> {
        CommandEnvs(self.changes.iter())
    }
}

impl<'a> Iterator for CommandEnvs<'a> {
    type Item = (&'a OsStr, Option<&'a OsStr>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key.as_os_str(), value.as_deref()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for CommandEnvs<'_> {}
