//! The environment of a program: the caller's at the moment of the start, with the requested changes.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;

#[derive(Debug, Default)]
pub(super) struct CommandEnv {
    clear: bool,
    /// The changes. None means that the variable is removed.
    vars: BTreeMap<OsString, Option<OsString>>,
}

impl CommandEnv {
    pub(super) fn set(&mut self, key: &OsStr, value: &OsStr) {
        self.vars.insert(key.into(), Some(value.into()));
    }

    pub(super) fn remove(&mut self, key: &OsStr) {
        if self.clear {
            self.vars.remove(key);
        } else {
            self.vars.insert(key.into(), None);
        }
    }

    pub(super) fn clear(&mut self) {
        self.clear = true;
        self.vars.clear();
    }

    pub(super) fn changes(&self) -> CommandEnvs<'_> {
        CommandEnvs(self.vars.iter())
    }

    pub(super) fn is_cleared(&self) -> bool {
        self.clear
    }

    pub(super) fn is_the_callers(&self) -> bool {
        self.vars.is_empty() && !self.clear
    }

    /// Writes the changes in front of a program, in the form that a shell or env(1) takes.
    pub(super) fn write_for_a_shell(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let removed: Vec<_> = self.vars.iter().filter(|(_, value)| value.is_none()).collect();
        if self.clear {
            write!(f, "env -i ")?;
        } else if !removed.is_empty() {
            write!(f, "env ")?;
            removed.iter().try_for_each(|(key, _)| write!(f, "-u {} ", key.to_string_lossy()))?;
        }
        let mut set = self.vars.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        set.try_for_each(|(key, value)| write!(f, "{}={value:?} ", key.to_string_lossy()))
    }

    /// Returns all variables, sorted if something was changed. They are read through std, because only std takes the
    /// lock that `set_var` takes.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        if self.is_the_callers() {
            return env::vars_os().collect();
        }
        let mut all: BTreeMap<OsString, OsString> =
            if self.clear { BTreeMap::new() } else { env::vars_os().collect() };
        for (key, value) in &self.vars {
            match value {
                Some(value) => _ = all.insert(key.clone(), value.clone()),
                None => _ = all.remove(key),
            }
        }
        all.into_iter().collect()
    }
}

/// The changes to the environment of a [`Command`](crate::Command), from [`get_envs`](crate::Command::get_envs). Each
/// item is a variable and its new value, or None if the variable is removed.
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct CommandEnvs<'a>(btree_map::Iter<'a, OsString, Option<OsString>>);

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
