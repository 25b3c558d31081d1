//! The safe tier, by the rules that make it sound (S1 to S10 in SOUNDNESS.md): a test whose name begins
//! with a rule's fails when the rule is taken out.

mod command;
#[path = "../common/mod.rs"]
mod common;
mod ends;
mod features;
mod fork;
mod hints;
mod limits;
mod maps;
mod panics;
mod program;
mod rseq;
mod rules;
mod sandbox;
mod seccomp;
mod signals;
mod values;
mod waiting;
