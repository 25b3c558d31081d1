//! The ways to start a closure: in the caller's memory ([`call`] and [`spawn`], both by [`task`]), or in a copy of it
//! ([`fork`]).

pub(crate) mod builder;
pub(crate) mod call;
pub(crate) mod fork;
mod gate;
mod rseq;
pub(crate) mod spawn;
mod task;
