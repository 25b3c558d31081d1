//! Tests of uid_map and gid_map: the caller's own id, ranges, and maps that are refused.

use crate::common::{in_process, new_pid_namespace, privileged, skip};
use crate::program::{Way, if_allowed, is_case, passes, shares_memory};
use clone_trampoline::{Builder, Error, SafeFlags, Stage};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

fn ids() -> (u32, u32) {
    // SAFETY: the call takes no arguments.
    unsafe { (libc::getuid(), libc::getgid()) }
}

fn allowed<T>(result: Result<T, Error>) -> Option<T> {
    if_allowed(result)
}

#[test]
fn the_callers_own_ids_can_be_mapped() {
    if !shares_memory() {
        return;
    }
    let (uid, gid) = ids();
    for way in Way::BOTH {
        let builder = Builder::new().flags(SafeFlags::NEWUSER).uid_map(5, uid, 1).gid_map(6, gid, 1);
        let Some(inside) = allowed(way.run_with(&builder, ids)) else { return };
        assert_eq!(inside, (5, 6), "{way:?}");
    }
}

#[test]
fn ranges_are_written_by_the_parent() {
    if !shares_memory() {
        return;
    }
    if ids().0 != 0 {
        return skip("ranges take CAP_SETUID");
    }
    for way in Way::BOTH {
        let builder = Builder::new()
            .flags(SafeFlags::NEWUSER)
            .uid_map(0, 100_000, 1000)
            .uid_map(1000, 0, 1)
            .gid_map(0, 100_000, 65_536);
        let read = || {
            fs::read_to_string("/proc/self/uid_map")
                .map(|map| map.split_whitespace().map(String::from).collect())
        };
        let Some(map) = allowed(way.run_with(&builder, read)) else { return };
        let map: Vec<String> = map.unwrap();
        assert_eq!(map, ["0", "100000", "1000", "1000", "0", "1"], "{way:?}");
    }
}

/// Without privileges, newuidmap and newgidmap write the maps. Here they are true(1), which takes any arguments and
/// does nothing.
#[test]
fn ranges_without_privileges_are_asked_of_newuidmap() {
    if !shares_memory() {
        return;
    }
    passes("maps::ranges_without_privileges_are_asked_of_newuidmap", "both", || {
        let folder = std::env::temp_dir().join(format!("clone-trampoline-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        for name in ["newuidmap", "newgidmap"] {
            symlink("/bin/true", folder.join(name)).unwrap();
        }
        // SAFETY: the call takes no pointers.
        unsafe {
            if libc::getuid() == 0 {
                assert_eq!(libc::setresgid(65_533, 65_533, 65_533), 0);
                assert_eq!(libc::setresuid(65_533, 65_533, 65_533), 0);
                // Otherwise root would own /proc/PID.
                libc::prctl(libc::PR_SET_DUMPABLE, 1);
            }
        }
        let ranges =
            Builder::new().flags(SafeFlags::NEWUSER).uid_map(0, 1 << 20, 1000).gid_map(0, 1 << 20, 1000);
        let run = |way: Way, path: &Path| {
            // SAFETY: the other threads do not look at the environment.
            unsafe { std::env::set_var("PATH", path) };
            way.run_with(&ranges, || 5)
        };
        for way in Way::BOTH {
            let error = run(way, &folder.join("nothing")).unwrap_err();
            if error.stage() == Stage::Clone {
                return skip(&error.to_string());
            }
            assert_eq!((error.stage(), error.raw_os_error()), (Stage::UidMap, libc::EPERM));
            assert!(error.hint().unwrap().contains("newuidmap"), "{error}");
            if !fs::exists("/bin/true").unwrap() {
                return skip("there is no true(1) to stand for them");
            }
            assert_eq!(run(way, &folder), Ok(5), "{way:?}");
        }
    });
}

/// If SIGCHLD is ignored, nobody learns how newuidmap ended. So the crate looks whether the maps are there. Here
/// newuidmap is a script that asks a process of root.
#[test]
fn maps_by_newuidmap_are_seen_where_sigchld_is_ignored() {
    if !shares_memory() {
        return;
    }
    if ids().0 != 0 || !fs::exists("/bin/sh").unwrap() {
        return skip("takes root, and a shell");
    }
    const TEST: &str = "maps::maps_by_newuidmap_are_seen_where_sigchld_is_ignored";
    let folder_of = |pid| std::env::temp_dir().join(format!("clone-trampoline-maps-{pid}"));
    let server = (!is_case()).then(|| Server::new(folder_of(std::process::id())));
    passes(TEST, "both", || {
        let path = std::env::var("PATH").unwrap_or_default();
        let folder = folder_of(std::os::unix::process::parent_id());
        // SAFETY: no other thread looks at the environment, and the calls take no pointers.
        unsafe {
            std::env::set_var("PATH", format!("{}:{path}", folder.display()));
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            assert_eq!(libc::setresgid(65_533, 65_533, 65_533), 0);
            assert_eq!(libc::setresuid(65_533, 65_533, 65_533), 0);
            libc::prctl(libc::PR_SET_DUMPABLE, 1);
        }
        let ranges = Builder::new().flags(SafeFlags::NEWUSER).uid_map(0, 1 << 20, 10).gid_map(0, 1 << 20, 10);
        for way in Way::BOTH {
            match way.run_with(&ranges, || fs::read_to_string("/proc/self/uid_map").unwrap()) {
                Err(error) if error.stage() == Stage::Clone => return skip(&error.to_string()),
                map => {
                    assert_eq!(map.unwrap().split_whitespace().collect::<Vec<_>>(), ["0", "1048576", "10"])
                }
            }
        }
    });
    drop(server);
}

/// A process of root that writes maps. A newuidmap and a newgidmap ask it to.
struct Server(Child, PathBuf);

impl Server {
    fn new(folder: PathBuf) -> Self {
        fs::create_dir(&folder).unwrap();
        let file = |name: &str, mode: u32, make: &dyn Fn(&Path)| {
            let path = folder.join(name);
            make(&path);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let fifo = |path: &Path| {
            let path = CString::new(path.as_os_str().as_bytes()).unwrap();
            // SAFETY: the path is a C string.
            crate::common::ok(unsafe { libc::mkfifo(path.as_ptr(), 0o666) });
        };
        let script = |name: &str, text: &str| {
            file(name, 0o755, &|path| fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap())
        };
        let [asked, answer] = ["asked", "answer"].map(|name| file(name, 0o666, &fifo));
        let (asked, answer) = (asked.display(), answer.display());
        for (name, map) in [("newuidmap", "uid_map"), ("newgidmap", "gid_map")] {
            // Versions before shadow 4.14 refuse this.
            let old = "case $1 in fd:*) exit 1;; esac";
            script(name, &format!("{old}; echo {map} $* >{asked}; read answer <{answer}"));
        }
        let writes = "echo $ids >/proc/$pid/$map";
        let server =
            script("server", &format!("while read map pid ids <{asked}; do {writes}; echo >{answer}; done"));
        Self(Command::new(server).spawn().unwrap(), folder)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
        _ = fs::remove_dir_all(&self.1);
    }
}

/// The child's pid in the new namespace is 1, but /proc has it under another number.
#[test]
fn ranges_go_with_a_pid_namespace() {
    if !shares_memory() {
        return;
    }
    if ids().0 != 0 {
        return skip("ranges take CAP_SETUID");
    }
    let builder =
        Builder::new().flags(SafeFlags::NEWUSER | SafeFlags::NEWPID).uid_map(0, 0, 10).gid_map(0, 0, 10);
    // SAFETY: the closure makes no thread.
    let builder = unsafe { builder.allow_pid_namespace() };
    for way in Way::BOTH {
        let inside = way
            .run_with(&builder, || (std::process::id(), fs::read_to_string("/proc/self/uid_map").unwrap()));
        let Some((pid, map)) = allowed(inside) else { return };
        assert_eq!((pid, map.split_whitespace().collect()), (1, vec!["0", "0", "10"]), "{way:?}");
    }
}

#[test]
fn the_stage_that_failed_is_named() {
    if !shares_memory() {
        return;
    }
    for way in Way::BOTH {
        // No map has two lines for one id.
        let builder = Builder::new().flags(SafeFlags::NEWUSER).uid_map(0, 0, 2).uid_map(1, 5, 1);
        let error = way.run_with(&builder, || panic!("the closure has run")).unwrap_err();
        if error.stage() == Stage::Clone {
            return skip(&error.to_string());
        }
        assert_eq!(error.stage(), Stage::UidMap, "{error}");
        assert!(error.hint().is_some());
    }
    let error = Builder::new().uid_map(0, 0, 1).call(|| ()).unwrap_err();
    assert_eq!(error.stage(), Stage::Flags, "{error}");
}

/// Whether the memory of this program may be dumped and traced by its user.
fn is_dumpable() -> bool {
    // SAFETY: the call takes no pointers.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

/// set*id in the child makes the memory undumpable, and this memory is also the program's.
#[test]
fn the_program_is_as_dumpable_as_before() {
    if !shares_memory() {
        return;
    }
    if ids().0 != 0 {
        return skip("another uid takes CAP_SETUID");
    }
    passes("maps::the_program_is_as_dumpable_as_before", "both", || {
        // SAFETY: the call takes no pointers.
        let changes = || unsafe {
            // This is the system call, because libc's function changes all threads of a program.
            assert_eq!(libc::syscall(SETRESUID, 65_533, 65_533, 65_533), 0);
            is_dumpable()
        };
        assert!(is_dumpable());
        for way in Way::BOTH {
            assert_eq!(way.run(changes), Ok(false), "{way:?}");
            assert!(is_dumpable(), "{way:?}");
        }
        // While another child with changed ids may exist, the memory stays undumpable.
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel::<()>();
        let other = clone_trampoline::spawn(move || {
            changes();
            begun.send(()).unwrap();
            _ = wait.recv();
        });
        begins.recv().unwrap();
        assert_eq!(clone_trampoline::call(changes), Ok(false));
        assert!(!is_dumpable());
        drop(go);
        other.unwrap().join().unwrap();
        assert!(is_dumpable());
        // If the program itself has cleared the flag, it stays so.
        // SAFETY: the call takes no pointers.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
        assert_eq!(clone_trampoline::call(changes), Ok(false));
        assert!(!is_dumpable());
    });
}

// 32-bit architectures that used to have 16-bit uids have a second call.
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
pub(crate) const SETRESUID: libc::c_long = libc::SYS_setresuid32;
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
pub(crate) const SETRESUID: libc::c_long = libc::SYS_setresuid;

/// A program that gives up its own ids during a child's life may hold data that its new user must not see. On musl,
/// set*id would wait for the child.
#[test]
#[cfg(not(target_env = "musl"))]
fn a_program_that_changes_its_ids_stays_undumpable() {
    if !shares_memory() {
        return;
    }
    if !crate::common::can_give_up_root() {
        return skip("another uid takes CAP_SETUID");
    }
    passes("maps::a_program_that_changes_its_ids_stays_undumpable", "spawn", || {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel::<()>();
        let change = |id: u32| {
            // SAFETY: the call takes no pointers.
            assert_eq!(unsafe { libc::syscall(SETRESUID, id, id, id) }, 0);
        };
        let child = clone_trampoline::spawn(move || {
            change(65_533);
            begun.send(()).unwrap();
            _ = wait.recv();
        });
        begins.recv().unwrap();
        // SAFETY: the call takes no pointers.
        assert_eq!(unsafe { libc::setresuid(65_532, 65_532, 65_532) }, 0);
        drop(go);
        child.unwrap().join().unwrap();
        assert!(!is_dumpable());
    });
}

/// The kernel notes a change of ids in the task that makes it, and only the child's first thread is asked.
#[test]
fn a_change_of_ids_by_a_thread_inside_stays() {
    if !shares_memory() {
        return;
    }
    if !crate::common::can_give_up_root() {
        return skip("another uid takes CAP_SETUID");
    }
    for way in Way::BOTH {
        passes("maps::a_change_of_ids_by_a_thread_inside_stays", &format!("{way:?}"), || {
            let inside = || {
                let change = std::thread::spawn(|| {
                    // SAFETY: the call takes no pointers.
                    unsafe { libc::syscall(SETRESUID, 65_533, 65_533, 65_533) }
                });
                change.join().unwrap()
            };
            assert_eq!(way.run(inside), Ok(0));
            assert!(!is_dumpable());
        });
    }
}

/// A program that is not dumpable does not own its files in /proc.
#[test]
fn the_hint_names_a_program_that_is_not_dumpable() {
    if !shares_memory() {
        return;
    }
    passes("maps::the_hint_names_a_program_that_is_not_dumpable", "call", || {
        // SAFETY: the call takes no pointers.
        unsafe {
            if libc::getuid() == 0 {
                assert_eq!(libc::setresgid(65_533, 65_533, 65_533), 0);
                assert_eq!(libc::setresuid(65_533, 65_533, 65_533), 0);
            }
            libc::prctl(libc::PR_SET_DUMPABLE, 0);
        }
        let error = Builder::new().flags(SafeFlags::NEWUSER).uid_map(0, ids().0, 1).call(|| ()).unwrap_err();
        if error.stage() == Stage::Clone {
            return skip(&error.to_string());
        }
        assert!(error.hint().unwrap().contains("not dumpable"), "{error}");
    });
}

/// In a pid namespace that still has the outer /proc, the child's pid names another process there.
#[test]
fn a_map_is_written_to_the_child_whatever_proc_calls_it() {
    if !shares_memory() {
        return;
    }
    if !privileged() {
        return skip("a pid namespace and ranges take CAP_SYS_ADMIN");
    }
    passes("maps::a_map_is_written_to_the_child_whatever_proc_calls_it", "both", || {
        let status = in_process(|| {
            new_pid_namespace();
            // This is the init of the namespace.
            let status = in_process(|| {
                let builder = Builder::new().flags(SafeFlags::NEWUSER).uid_map(0, 0, 10).gid_map(0, 0, 10);
                for way in Way::BOTH {
                    let read = || fs::read_to_string("/proc/self/uid_map").unwrap();
                    let map = match way.run_with(&builder, read) {
                        Err(error) if error.stage() == Stage::Clone => return 77,
                        map => map.unwrap(),
                    };
                    let map: Vec<&str> = map.split_whitespace().collect();
                    assert_eq!(map, ["0", "0", "10"], "{way:?}");
                }
                77
            });
            status.code().unwrap_or(1)
        });
        assert_eq!(status.code(), Some(77));
    });
}
