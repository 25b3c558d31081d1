//! Limits on how much of the machine a program may use.

use super::plan::{Plan, list};
use super::request::Request;
use crate::error::argument;
use crate::{Error, Stage};
use std::ffi::{c_int, c_long};

/// A resource that [`Command::rlimit`](crate::Command::rlimit) limits. setrlimit(2) describes each of them under the
/// name of its constant.
///
/// ```
/// use clone_trampoline::{Command, Resource};
///
/// let mut command = Command::new("true");
/// command.rlimit(Resource::Core, 0, 0).rlimit(Resource::CpuSeconds, 10, 10);
/// assert!(command.status()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// `RLIMIT_AS`: bytes of address space.
    AddressSpace,
    /// `RLIMIT_CORE`: bytes of a core dump.
    Core,
    /// `RLIMIT_CPU`: seconds of CPU time.
    CpuSeconds,
    /// `RLIMIT_DATA`: bytes of data.
    Data,
    /// `RLIMIT_FSIZE`: bytes of a file.
    FileSize,
    /// `RLIMIT_LOCKS`: locks of files. The kernel no longer uses it.
    Locks,
    /// `RLIMIT_MEMLOCK`: bytes of locked memory.
    LockedMemory,
    /// `RLIMIT_MSGQUEUE`: bytes of message queues.
    MessageQueues,
    /// `RLIMIT_NICE`: 20 minus the lowest nice value.
    Nice,
    /// `RLIMIT_NOFILE`: one more than the highest descriptor.
    Files,
    /// `RLIMIT_NPROC`: tasks of the user.
    Processes,
    /// `RLIMIT_RTPRIO`: real-time priority.
    RealTimePriority,
    /// `RLIMIT_RTTIME`: microseconds of real-time CPU time.
    RealTimeMicroseconds,
    /// `RLIMIT_SIGPENDING`: queued signals.
    PendingSignals,
    /// `RLIMIT_STACK`: bytes of the main thread's stack.
    Stack,
}

impl Resource {
    const fn number(self) -> c_int {
        (match self {
            Self::AddressSpace => libc::RLIMIT_AS,
            Self::Core => libc::RLIMIT_CORE,
            Self::CpuSeconds => libc::RLIMIT_CPU,
            Self::Data => libc::RLIMIT_DATA,
            Self::FileSize => libc::RLIMIT_FSIZE,
            Self::Locks => libc::RLIMIT_LOCKS,
            Self::LockedMemory => libc::RLIMIT_MEMLOCK,
            Self::MessageQueues => libc::RLIMIT_MSGQUEUE,
            Self::Nice => libc::RLIMIT_NICE,
            Self::Files => libc::RLIMIT_NOFILE,
            Self::Processes => libc::RLIMIT_NPROC,
            Self::RealTimePriority => libc::RLIMIT_RTPRIO,
            Self::RealTimeMicroseconds => libc::RLIMIT_RTTIME,
            Self::PendingSignals => libc::RLIMIT_SIGPENDING,
            Self::Stack => libc::RLIMIT_STACK,
        }) as c_int
    }
}

impl Plan {
    /// Sets the OOM score. This has to come before steps that may replace the caller's /proc.
    pub(super) fn adjust_oom_score(&mut self, request: &Request) {
        if let Some(score) = request.oom_score_adj {
            self.write(Stage::OomScoreAdj, c"/proc/self/oom_score_adj", score.to_string());
        }
    }

    pub(super) fn limit(&mut self, request: &Request) -> Result<(), Error> {
        for (resource, soft, hard) in &request.limits {
            // This is a `struct rlimit64` on every architecture.
            let limits = self.keep(vec![*soft, *hard]);
            let arguments = [0, c_long::from(resource.number()), limits, 0];
            self.call(Stage::Rlimit, argument(format_args!("{resource:?}")), libc::SYS_prlimit64, arguments);
        }
        if let Some(nice) = request.nice {
            let arguments = [libc::PRIO_PROCESS as c_long, 0, c_long::from(nice), 0];
            self.call(Stage::Nice, argument(nice), libc::SYS_setpriority, arguments);
        }
        if let Some(cpus) = &request.cpus {
            let name = list(cpus);
            // No kernel is built for so many CPUs.
            if cpus.iter().any(|cpu| *cpu > 0xffff) {
                return Err(Error::new(Stage::Affinity, libc::EINVAL, "there is no such CPU").at(name));
            }
            // The kernel's set is an array of long.
            let bits = usize::BITS as usize;
            let mut set = vec![0_usize; cpus.iter().max().map_or(1, |cpu| cpu / bits + 1)];
            for cpu in cpus {
                set[cpu / bits] |= 1 << (cpu % bits);
            }
            let size = size_of_val(&*set) as c_long;
            let set = self.keep(set);
            self.call(Stage::Affinity, name, libc::SYS_sched_setaffinity, [0, size, set, 0]);
        }
        Ok(())
    }
}
