//! The contract of the assembly, clause by clause: PORTING.md, C1 to C13. A test's name begins with
//! its clause; each runs over both calls where the clause is about both.

#[path = "../common/mod.rs"]
mod common;

mod backtrace;
mod cgroup;
mod child;
mod errors;
mod flags;
// under Miri nothing is assembled
#[cfg(not(miri))]
mod object;
mod parent;
mod start;
mod syscall;
mod unmap_exit;
