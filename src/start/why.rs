//! Says why the kernel refuses to start a task, if the errno has several causes.

use super::pending;
use crate::{CloneFlags, Error, Stage};
use std::ffi::c_int;
use std::io;

/// The flags that only clone3(2) can express, each with the probable reason for its refusal.
pub(super) const NEEDS_CLONE3: &[(CloneFlags, &str)] = &[
    (CloneFlags::NEWTIME, "NEWTIME needs clone3(2), let through by seccomp filters, and Linux 5.6"),
    (
        CloneFlags::CLEAR_SIGHAND,
        "CLEAR_SIGHAND needs clone3(2), let through by seccomp filters, and Linux 5.5",
    ),
    (CloneFlags::INTO_CGROUP, "a cgroup needs clone3(2), let through by seccomp filters, and Linux 5.7"),
    (
        CloneFlags::PIDFD_AUTOKILL,
        "kill_on_close needs clone3(2), let through by seccomp filters, and Linux 7.1",
    ),
    (CloneFlags::AUTOREAP, "autoreap needs clone3(2), let through by seccomp filters, and Linux 7.1"),
    // kill_on_close takes it along.
    (CloneFlags::NNP, "NNP needs clone3(2), let through by seccomp filters, and Linux 7.1"),
    (CloneFlags::EMPTY_MNTNS, "EMPTY_MNTNS needs clone3(2), let through by seccomp filters, and Linux 7.1"),
];

pub(crate) const NAMESPACES: CloneFlags = CloneFlags::NEWNS
    .union(CloneFlags::EMPTY_MNTNS)
    .union(CloneFlags::NEWUTS)
    .union(CloneFlags::NEWIPC)
    .union(CloneFlags::NEWNET)
    .union(CloneFlags::NEWCGROUP)
    .union(CloneFlags::NEWPID)
    .union(CloneFlags::NEWTIME);

/// Returns the probable cause of an errno of clone(2) or clone3(2).
pub(crate) fn explain(flags: CloneFlags, errno: c_int) -> Option<&'static str> {
    let clone3 = NEEDS_CLONE3.iter().find(|(flag, _)| flags.contains(*flag)).map(|(_, hint)| *hint);
    match errno {
        libc::EPERM if flags.contains(CloneFlags::PIDFD_AUTOKILL) => {
            Some("kill_on_close takes no_new_privs, or CAP_SYS_ADMIN")
        }
        libc::EPERM if flags.contains(CloneFlags::NEWUSER) => Some(
            "NEWUSER is refused: by kernel.unprivileged_userns_clone, AppArmor \
             (kernel.apparmor_restrict_unprivileged_userns), a seccomp filter, inside a chroot, or because the caller's \
             ids have no mapping in its own user namespace",
        ),
        libc::EPERM if flags.intersects(NAMESPACES) => Some(
            "a new namespace needs CAP_SYS_ADMIN, which NEWUSER gives, and a seccomp filter that allows it",
        ),
        libc::ENOSPC if flags.intersects(NAMESPACES | CloneFlags::NEWUSER) => {
            Some("one of the limits of /proc/sys/user/max_*_namespaces, or of their nesting, is reached")
        }
        libc::ENOMEM => Some(
            "memory is short, or the init of the pid namespace that the caller entered by \
             unshare(2) or setns(2) has ended, so that nothing can be started there",
        ),
        libc::EINVAL if flags.contains(CloneFlags::NEWPID) && pending::pid_namespace() == Some(true) => {
            Some("after unshare(2) or setns(2) with a pid namespace the kernel makes no other one")
        }
        libc::EINVAL if flags.contains(CloneFlags::VM) && pending::time_namespace() == Some(true) => {
            Some(OLD_TIME_NAMESPACE)
        }
        libc::EMFILE | libc::ENFILE if flags.contains(CloneFlags::PIDFD) => {
            Some("there is no descriptor left for the pidfd: see RLIMIT_NOFILE and fs.file-max")
        }
        libc::EAGAIN => Some(
            "RLIMIT_NPROC, the cgroup's pids.max, kernel.threads-max or kernel.pid_max is reached, or the caller's policy \
             is SCHED_DEADLINE without reset-on-fork",
        ),
        _ if flags.contains(CloneFlags::INTO_CGROUP) && cgroup_hint(errno).is_some() => cgroup_hint(errno),
        libc::ENOSYS | libc::EPERM | libc::EINVAL | libc::E2BIG => clone3,
        _ => None,
    }
}

/// The cause of an `EINVAL` while the caller's children are to get another time namespace.
pub(crate) const OLD_TIME_NAMESPACE: &str =
    "before about Linux 6.2 memory cannot be shared after unshare(2) or setns(2) with a time namespace";

/// Makes the error of a thread that cannot be started. The kernel's errno has many causes, and musl turns each of them
/// into EAGAIN.
pub(crate) fn no_thread(error: &io::Error) -> Error {
    let hint = match error.raw_os_error() {
        Some(libc::EINVAL | libc::EAGAIN) if pending::pid_namespace() == Some(true) => {
            Some("threads cannot be created after unshare(2) or setns(2) with a pid namespace: use fork")
        }
        Some(libc::EINVAL) if pending::time_namespace() == Some(true) => Some(OLD_TIME_NAMESPACE),
        Some(libc::EAGAIN) if cfg!(not(target_env = "gnu")) && pending::time_namespace() == Some(true) => {
            Some(
                "before about Linux 6.2 threads cannot be created after unshare(2) or setns(2) with a time namespace; or a \
             limit of tasks is reached",
            )
        }
        Some(libc::EAGAIN) => Some(
            "RLIMIT_NPROC, the cgroup's pids.max, kernel.threads-max or kernel.pid_max is reached, the caller's policy is \
             SCHED_DEADLINE without reset-on-fork, or there is no room for a stack of this size",
        ),
        _ => None,
    };
    Error::from_io(Stage::Thread, error).with_hint(hint)
}

/// Returns the probable cause of an errno if a tid was asked for.
pub(crate) fn no_such_tid(errno: c_int) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM => {
            "set_tid takes CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN over each pid namespace that a number is for"
        }
        libc::EEXIST => "a task, a process group or a session has one of the numbers",
        libc::EINVAL => {
            "set_tid has more numbers than there are pid namespaces, a number that is not a pid, or a number other \
             than 1 for the first process of a new pid namespace"
        }
        libc::E2BIG | libc::ENOSYS => {
            "set_tid needs clone3(2), let through by seccomp filters, and Linux 5.5"
        }
        _ => return None,
    })
}

/// Returns the probable cause of an errno with a cgroup. See cgroups(7), and `cgroup_css_set_fork` in the kernel's
/// source.
fn cgroup_hint(errno: c_int) -> Option<&'static str> {
    Some(match errno {
        libc::EOPNOTSUPP => {
            "the cgroup is in the state `domain invalid`: its cgroup.type has to be `threaded`"
        }
        libc::EBUSY => {
            "the cgroup has controllers enabled in its cgroup.subtree_control: only a cgroup without them takes tasks"
        }
        libc::ENOENT | libc::ENODEV => "the cgroup has been removed",
        libc::EBADF => "the descriptor is not that of a directory of a cgroup v2 file system",
        libc::EACCES => "the caller may not write the cgroup's cgroup.procs, or that of the common ancestor",
        _ => return None,
    })
}
