//! Tests of what can confine a program of `Command`: namespaces, mounts, a terminal, capabilities, filters. The
//! programs are this test program itself.

use crate::command::{
    descriptors, fails, fails_at_birth, inside, refused, refused_at_birth, said, say, status, this_program,
};
use crate::common::{self, cgroup, skip};
use crate::program::passes;
use crate::seccomp;
use clone_trampoline::{Capability, Command, Error, Mount, SafeFlags, Stage, Stdio};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// The ids of this program.
fn ids() -> (u32, u32) {
    // SAFETY: the call takes no arguments.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Adds a user namespace and these flags. The caller's ids are root's there.
fn in_namespaces(command: &mut Command, flags: SafeFlags) -> &mut Command {
    let (uid, gid) = ids();
    command.flags(SafeFlags::NEWUSER | flags).uid_map(0, uid, 1).gid_map(0, gid, 1)
}

/// Returns whether such a program can be started here. If not, counts the test as skipped.
fn allowed(test: &str, prepare: impl FnOnce(&mut Command)) -> bool {
    let mut command = this_program(test);
    command.stdin(Stdio::null());
    prepare(&mut command);
    match command.status() {
        Ok(_) => true,
        Err(error) => {
            let errno = Error::of(&error).expect("an error of ours").raw_os_error();
            assert!(matches!(errno, libc::EPERM | libc::ENOSPC | libc::ENOSYS | libc::EINVAL), "{error}");
            skip(&error.to_string());
            false
        }
    }
}

fn link(kind: &str) -> PathBuf {
    fs::read_link(format!("/proc/thread-self/ns/{kind}")).unwrap_or_default()
}

const KINDS: [(&str, SafeFlags); 8] = [
    ("user", SafeFlags::NEWUSER),
    ("pid", SafeFlags::NEWPID),
    ("net", SafeFlags::NEWNET),
    ("uts", SafeFlags::NEWUTS),
    ("ipc", SafeFlags::NEWIPC),
    ("cgroup", SafeFlags::NEWCGROUP),
    ("time", SafeFlags::NEWTIME),
    ("mnt", SafeFlags::NEWNS),
];

fn links() -> String {
    let links: Vec<_> = KINDS.iter().map(|(kind, _)| link(kind).display().to_string()).collect();
    format!("<<{}>>", links.join(" "))
}

fn words(text: &str) -> Vec<&str> {
    text.trim_start_matches("<<").trim_end_matches(">>").split(' ').collect()
}

#[test]
fn each_namespace_is_the_programs() {
    say(links);
    let test = "sandbox::each_namespace_is_the_programs";
    let ours = links();
    for (number, (kind, flag)) in KINDS.into_iter().enumerate() {
        let prepare = |command: &mut Command| _ = in_namespaces(command, flag);
        if link(kind).as_os_str().is_empty() {
            skip(&format!("the kernel has no {kind} namespaces"));
            continue;
        }
        if !allowed(test, prepare) {
            continue;
        }
        let said = said(test, prepare);
        for (other, (before, now)) in words(&ours).into_iter().zip(words(&said)).enumerate() {
            let new = other == number || KINDS[other].0 == "user";
            assert_eq!(before != now, new, "{kind}: {before} {now}");
        }
    }
    assert_eq!(links(), ours);
}

/// If clone3(2) is refused, features that clone(2) has still work.
#[test]
fn namespaces_do_without_clone3() {
    inside(|| 42);
    let test = "sandbox::namespaces_do_without_clone3";
    passes(test, "filter", || {
        common::seccomp(libc::SYS_clone3 as u32, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
        let mut command = this_program(test);
        let error = match in_namespaces(&mut command, SafeFlags::NEWPID | SafeFlags::NEWNS).status() {
            Ok(status) => return assert_eq!(status.code(), Some(42)),
            Err(error) => error,
        };
        assert_eq!(Error::of(&error).unwrap().stage(), Stage::Clone, "{error}");
    });
}

#[test]
fn what_a_program_cannot_have_is_a_named_conflict() {
    inside(|| 42);
    let new = || this_program("sandbox::what_a_program_cannot_have_is_a_named_conflict");
    for (flag, name) in
        [(SafeFlags::FS, "FS "), (SafeFlags::FILES, "FILES "), (SafeFlags::SIGHAND, "SIGHAND ")]
    {
        let error = refused(new().flags(flag), Stage::Flags, libc::EINVAL);
        assert!(error.hint().unwrap().starts_with(name), "{error}");
    }
    refused(new().uid_map(0, 0, 1), Stage::Flags, libc::EINVAL);
    let error = refused(new().hostname("mine"), Stage::Hostname, libc::EINVAL);
    assert!(error.hint().unwrap().contains("NEWUTS"), "{error}");
    let error = refused(new().mount(Mount::in_place("/").read_only()), Stage::Mount, libc::EINVAL);
    assert!(error.hint().unwrap().contains("NEWNS"), "{error}");
    let error = refused(new().pivot_root("/tmp"), Stage::PivotRoot, libc::EINVAL);
    assert!(error.hint().unwrap().contains("NEWNS"), "{error}");
    refused(new().kill_on_close().without_pidfd(), Stage::Flags, libc::EINVAL);
    for prepare in [
        |command: &mut Command| _ = command.flags(SafeFlags::NEWUTS),
        |command: &mut Command| _ = command.set_tid(&[5]),
        |command: &mut Command| _ = command.autoreap(),
    ] {
        let mut command = new();
        prepare(&mut command);
        let error = command.exec();
        let error = Error::of(&error).unwrap();
        assert_eq!((error.stage(), error.raw_os_error()), (Stage::Flags, libc::EINVAL), "{error}");
    }
    // Unlike FS, these can be shared with a program.
    assert_eq!(new().flags(SafeFlags::SYSVSEM | SafeFlags::IO).status().unwrap().code(), Some(42));
}

fn maps() -> String {
    let read = |file: &str| {
        let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let (uid, gid) = ids();
    format!("<<{}; {}; {}; {uid} {gid}>>", read("uid_map"), read("gid_map"), read("setgroups"))
}

#[test]
fn the_callers_own_id_is_mapped_by_the_child() {
    say(maps);
    let test = "sandbox::the_callers_own_id_is_mapped_by_the_child";
    let (uid, gid) = ids();
    let prepare = |command: &mut Command| {
        command.flags(SafeFlags::NEWUSER).uid_map(5, uid, 1).gid_map(6, gid, 1);
    };
    if allowed(test, prepare) {
        assert_eq!(said(test, prepare), format!("5 {uid} 1; 6 {gid} 1; deny; 5 6"));
        // With setgroups(2) denied there, a uid alone drops no groups.
        let with_id = |command: &mut Command| {
            prepare(command);
            command.uid(5).gid(6);
        };
        assert_eq!(said(test, with_id), format!("5 {uid} 1; 6 {gid} 1; deny; 5 6"));
    }
}

/// The caller writes the maps itself if it is awake. If a closure makes it sleep, one of its threads does.
#[test]
fn ranges_are_mapped_by_the_caller() {
    say(maps);
    let test = "sandbox::ranges_are_mapped_by_the_caller";
    if !common::privileged() {
        return skip("ranges take CAP_SETUID");
    }
    let ranges = |command: &mut Command| {
        command
            .flags(SafeFlags::NEWUSER | SafeFlags::NEWPID)
            .uid_map(0, 100_000, 65_536)
            .gid_map(0, 200_000, 7);
    };
    if !allowed(test, ranges) {
        return;
    }
    let expected = "0 100000 65536; 0 200000 7; allow";
    // Pitfall: with the maps alone, the program runs as nobody.
    assert_eq!(said(test, ranges), format!("{expected}; 65534 65534"));
    for (closure, pidfd, scored) in [
        (false, true, false),
        (true, true, false),
        (false, false, false),
        (true, false, false),
        (false, true, true),
    ] {
        let said = said(test, |command| {
            ranges(command);
            command.uid(0).gid(3);
            if closure {
                // SAFETY: the closure takes no lock.
                unsafe { command.pre_exec(|| Ok(())) };
            }
            if !pidfd {
                command.without_pidfd();
            }
            if scored {
                command.oom_score_adj(1000);
            }
        });
        assert_eq!(said, format!("{expected}; 0 3"), "{closure} {pidfd}");
    }
}

/// A map that fails leaves nothing, and the command works when the cause is gone.
#[test]
fn a_map_that_cannot_be_written_is_named() {
    inside(|| 42);
    let test = "sandbox::a_map_that_cannot_be_written_is_named";
    if !allowed(test, |command| _ = command.flags(SafeFlags::NEWUSER)) {
        return;
    }
    passes(test, "program", || {
        let (uid, gid) = ids();
        for closure in [false, true] {
            let mut command = this_program(test);
            if closure {
                // SAFETY: the closure takes no lock.
                unsafe { command.pre_exec(|| Ok(())) };
            }
            // A map with two lines for one id is refused.
            command.flags(SafeFlags::NEWUSER).uid_map(0, uid, 1).uid_map(0, uid.wrapping_add(1), 1);
            let error = fails(&mut command, Stage::UidMap, libc::EINVAL);
            assert!(error.hint().is_some(), "{error}");
        }
        // Here the child writes the map itself.
        let mut command = this_program(test);
        command.flags(SafeFlags::NEWUSER).uid_map(u32::MAX, uid, 1);
        fails(&mut command, Stage::UidMap, libc::EINVAL);
        let mut command = this_program(test);
        command.flags(SafeFlags::NEWUSER).gid_map(u32::MAX, gid, 1);
        fails(&mut command, Stage::GidMap, libc::EINVAL);
        assert_eq!(this_program(test).flags(SafeFlags::NEWUSER).status().unwrap().code(), Some(42));
        // No child is left.
        // SAFETY: the call stores no status.
        assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::__WALL) }, -1);
    });
}

/// newuidmap(1) writes maps that the caller may not write. Here it is a program that notes its arguments.
#[test]
fn a_user_with_subuids_asks_newuidmap() {
    inside(|| 42);
    let test = "sandbox::a_user_with_subuids_asks_newuidmap";
    if std::env::args().next().is_some_and(|name| name.ends_with("uidmap") || name.ends_with("gidmap")) {
        return;
    }
    let known = ["/etc/subuid", "/etc/subgid"].map(|file| fs::read_to_string(file).unwrap_or_default());
    let nobody = |text: &String| {
        text.lines().find_map(|line| line.strip_prefix("nobody:")?.split(':').next()?.parse::<u32>().ok())
    };
    let [Some(uids), Some(gids)] = known.each_ref().map(nobody) else {
        return skip("nobody has no line in /etc/subuid and /etc/subgid");
    };
    if !common::can_give_up_root() {
        return skip("takes root");
    }
    passes(test, "user", || {
        // SAFETY: this is a program of its own, which no other test shares.
        unsafe {
            common::ok(libc::setgroups(0, std::ptr::null()));
            common::ok(libc::setresgid(65_534, 65_534, 65_534));
            common::ok(libc::setresuid(65_534, 65_534, 65_534));
            libc::prctl(libc::PR_SET_DUMPABLE, 1);
        }
        let mut command = this_program(test);
        command.flags(SafeFlags::NEWUSER).uid_map(0, uids, 10).gid_map(0, gids, 10).uid(1).gid(2);
        match command.status() {
            Ok(status) => assert_eq!(status.code(), Some(42)),
            // Ordinary users get no user namespaces here.
            Err(error) => assert_eq!(Error::of(&error).unwrap().stage(), Stage::Clone, "{error}"),
        }
    });
}

/// Starts a program in new namespaces. It stays there until its stdin is closed.
fn holder(test: &str, flags: SafeFlags) -> Option<clone_trampoline::Child> {
    let mut command = this_program(test);
    command.env("HOLDS", "").stdin(Stdio::piped()).stdout(Stdio::piped());
    let result = in_namespaces(&mut command, flags).spawn();
    let mut child = match result {
        Ok(child) => child,
        Err(error) => {
            skip(&error.to_string());
            return None;
        }
    };
    let mut text = Vec::new();
    let stdout = child.stdout.as_mut().unwrap();
    while !text.ends_with(b">>") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    Some(child)
}

fn let_go(mut holder: clone_trampoline::Child) {
    holder.stdin = None;
    assert_eq!(holder.wait().unwrap().code(), Some(42));
}

fn hold() {
    if std::env::var_os("HOLDS").is_some() {
        inside(|| {
            // This bypasses libtest's capture.
            let stdout = io::stdout().as_fd().try_clone_to_owned().unwrap();
            File::from(stdout).write_all(b"<<>>").unwrap();
            io::stdin().read_to_end(&mut Vec::new()).unwrap();
            42
        });
    }
}

fn namespace(of: u32, kind: &str) -> File {
    File::open(format!("/proc/{of}/ns/{kind}")).unwrap()
}

/// Namespaces are joined in the order that gives the rights for each, whatever the order of the calls.
#[test]
fn namespaces_of_others_are_joined() {
    hold();
    say(links);
    let test = "sandbox::namespaces_of_others_are_joined";
    // This needs a program of its own: meanwhile, root owns the files in /proc of a program of an ordinary user.
    passes(test, "program", || join_all(test));
}

fn join_all(test: &str) {
    let kinds = ["mnt", "cgroup", "ipc", "uts", "net", "pid", "user"];
    let flags = SafeFlags::NEWNS | SafeFlags::NEWCGROUP | SafeFlags::NEWIPC | SafeFlags::NEWUTS;
    let Some(holder) = holder(test, flags | SafeFlags::NEWNET | SafeFlags::NEWPID) else { return };
    let all: Vec<_> = KINDS
        .iter()
        .map(|(kind, _)| fs::read_link(format!("/proc/{}/ns/{kind}", holder.id())).unwrap_or_default())
        .collect();
    for closes in [false, true] {
        for closure in [false, true] {
            let said = said(test, |command| {
                for kind in kinds {
                    command.join_namespace(namespace(holder.id(), kind));
                }
                command.close_other_fds(closes);
                if closure {
                    // SAFETY: the closure takes no lock.
                    unsafe { command.pre_exec(|| Ok(())) };
                }
            });
            assert!(words(&said).into_iter().map(Path::new).eq(all.iter().map(PathBuf::as_path)), "{said}");
        }
    }
    // A single namespace is joined without an intermediate child.
    let mut command = this_program(test);
    let error = command.join_namespace(namespace(holder.id(), "net")).status();
    if let Err(error) = error {
        assert_eq!(Error::of(&error).unwrap().stage(), Stage::JoinNamespace, "{error}");
    }
    let_go(holder);
}

/// The intermediate child leaves nothing, whichever step fails.
#[test]
fn a_namespace_that_cannot_be_joined_is_named() {
    hold();
    inside(|| 42);
    let test = "sandbox::a_namespace_that_cannot_be_joined_is_named";
    let Some(mut holder) = holder(test, SafeFlags::NEWPID) else { return };
    let (user, pid) = (namespace(holder.id(), "user"), namespace(holder.id(), "pid"));
    passes_beside(test, || {
        let open = |file: &File| file.try_clone().unwrap();
        let error = fails(
            this_program(test).join_namespace(namespace_of_ours("user")),
            Stage::JoinNamespace,
            libc::EINVAL,
        );
        assert_eq!(error.argument().unwrap(), "user");
        let error = fails(
            this_program(test).join_namespace(File::open("/dev/null").unwrap()),
            Stage::JoinNamespace,
            libc::ENOTTY,
        );
        assert!(error.hint().unwrap().contains("namespace"), "{error}");
        if fs::exists("/proc/self/ns/time").unwrap() {
            let mut command = this_program(test);
            fails(command.join_namespace(namespace_of_ours("time")), Stage::JoinNamespace, libc::EUSERS);
        }
        let mut command = this_program(test);
        command.join_namespace(open(&user)).join_namespace(open(&pid));
        fails(command.current_dir("/nowhere"), Stage::Chdir, libc::ENOENT);
        // The kernel refuses this to the intermediate child.
        fails(command.autoreap(), Stage::Flags, libc::EINVAL);
        let mut command = this_program(test);
        command.join_namespace(open(&user)).join_namespace(open(&pid)).set_tid(&[1]);
        let error = fails_at_birth(&mut command, libc::EEXIST);
        assert!(error.hint().unwrap().contains("has one of the numbers"), "{error}");
        let error = this_program(test).join_namespace(open(&pid)).exec();
        assert_eq!(Error::of(&error).unwrap().stage(), Stage::JoinNamespace);
        // SAFETY: the call stores no status.
        assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::__WALL) }, -1);
    });
    holder.kill().unwrap();
    holder.wait().unwrap();
    // The init of this pid namespace has ended.
    passes_beside(test, || {
        let mut command = this_program(test);
        command.join_namespace(user).join_namespace(pid);
        let error = refused_at_birth(&mut command, libc::ENOMEM);
        assert!(error.hint().unwrap().contains("ended"), "{error}");
    });
}

/// While a start hides the memory of an ordinary user's program, root owns the files in /proc of all its children.
#[test]
fn starts_that_hide_the_memory_do_not_refuse_the_maps_of_others() {
    hold();
    inside(|| 42);
    let test = "sandbox::starts_that_hide_the_memory_do_not_refuse_the_maps_of_others";
    passes(test, "user", || {
        // SAFETY: this is a program of its own, which no other test shares.
        unsafe {
            if libc::getuid() == 0 {
                common::ok(libc::setresgid(65_531, 65_531, 65_531));
                common::ok(libc::setresuid(65_531, 65_531, 65_531));
                libc::prctl(libc::PR_SET_DUMPABLE, 1);
            }
        }
        let Some(holder) = holder(test, SafeFlags::empty()) else { return };
        let user = namespace(holder.id(), "user");
        let over = AtomicI32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while over.load(Relaxed) == 0 {
                    let mut command = this_program(test);
                    command.join_namespace(user.try_clone().unwrap());
                    assert_eq!(command.status().unwrap().code(), Some(42));
                }
            });
            let refused = crate::program::rounds().take(100).find_map(|_| {
                let mut command = this_program(test);
                let program = in_namespaces(&mut command, SafeFlags::empty()).status().err();
                let builder =
                    clone_trampoline::Builder::new().flags(SafeFlags::NEWUSER).uid_map(0, ids().0, 1);
                let task = crate::program::shares_memory().then(|| builder.call(|| ()).err()).flatten();
                program.map(|error| error.to_string()).or_else(|| task.map(|error| error.to_string()))
            });
            over.store(1, Relaxed);
            assert_eq!(refused, None);
        });
        let_go(holder);
    });
}

fn namespace_of_ours(kind: &str) -> File {
    File::open(format!("/proc/self/ns/{kind}")).unwrap()
}

/// A program keeps the rights of the caller for other namespaces, and new namespaces are made inside the joined ones.
#[test]
fn new_namespaces_are_made_inside_of_those_that_are_joined() {
    hold();
    if let Some(place) = std::env::var_os("PLACE") {
        say(|| format!("<<{} {}>>", link("net").display(), PathBuf::from(place).join("inside").exists()));
    }
    let test = "sandbox::new_namespaces_are_made_inside_of_those_that_are_joined";
    if !common::privileged() {
        return skip("takes CAP_SYS_ADMIN");
    }
    let folder = Folder::new("joined");
    let Some(holder) = holder(test, SafeFlags::NEWNS) else { return };
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    for of in [std::process::id(), holder.id()] {
        let said = said(test, |command| {
            command.env("PLACE", &folder.0).flags(SafeFlags::NEWNS).join_namespace(namespace(of, "mnt"));
            if of == holder.id() {
                command.join_namespace(namespace(of, "user"));
            }
            command.mount(Mount::file_system("tmpfs", &folder.0));
            command.mount(Mount::file_system("tmpfs", folder.0.join("inside")));
        });
        assert!(said.ends_with(" true"), "{said}");
        assert_eq!(mounts(), before);
    }
    // This joins a namespace that the caller owns, and the user namespace of another process.
    let said = said(test, |command| {
        command.env("PLACE", &folder.0).join_namespace(namespace_of_ours("net"));
        command.join_namespace(namespace(holder.id(), "user"));
    });
    assert_eq!(said, format!("{} false", link("net").display()));
    let mut command = this_program(test);
    command.join_namespace(namespace_of_ours("uts")).hostname("changed");
    refused(&mut command, Stage::Hostname, libc::EINVAL);
    for flag in [SafeFlags::NEWPID, SafeFlags::NEWUSER] {
        let mut command = this_program(test);
        command.join_namespace(namespace_of_ours("pid")).join_namespace(namespace(holder.id(), "user"));
        in_namespaces(&mut command, flag);
        refused(&mut command, Stage::JoinNamespace, libc::EINVAL);
    }
    let_go(holder);
}

/// If the intermediate child is killed, the program's child goes on, and uses nothing of this program afterwards.
#[test]
fn an_intermediate_child_that_is_killed_leaves_nothing() {
    hold();
    inside(|| 42);
    let test = "sandbox::an_intermediate_child_that_is_killed_leaves_nothing";
    let Some(holder) = holder(test, SafeFlags::NEWPID) else { return };
    let (user, pid) = (namespace(holder.id(), "user"), namespace(holder.id(), "pid"));
    passes_beside(test, || {
        let ours = std::process::id();
        let children = move || fs::read_to_string(format!("/proc/{ours}/task/{ours}/children")).unwrap();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    // The first child of a start is the intermediate one.
                    if let Some(pid) = children().split(' ').next().and_then(|pid| pid.parse().ok()) {
                        // SAFETY: the call takes no pointers.
                        unsafe { libc::kill(pid, libc::SIGKILL) };
                    }
                }
            });
            for round in crate::program::rounds().take(100) {
                let mut command = this_program(test);
                if round % 2 == 0 {
                    // SAFETY: the closure takes no lock.
                    unsafe { command.pre_exec(|| Ok(())) };
                }
                command.ignore_signals(&[libc::SIGHUP; 1000]);
                command.join_namespace(user.try_clone().unwrap()).join_namespace(pid.try_clone().unwrap());
                match command.spawn() {
                    Ok(mut child) => {
                        let status = child.wait().unwrap();
                        assert!(
                            status.code() == Some(42) || status.signal() == Some(libc::SIGKILL),
                            "{status}"
                        );
                    }
                    Err(error) => assert!(error.to_string().contains("was killed"), "{error}"),
                }
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(children(), "");
    });
    let_go(holder);
}

/// Runs `body` in a fork of this program. It has no other children, and nobody else changes its descriptors.
#[track_caller]
fn passes_beside(test: &str, body: impl FnOnce()) {
    let status = common::in_process(|| {
        body();
        77
    });
    assert_eq!(status.code(), Some(77), "{test}");
}

#[test]
fn the_host_name_is_the_programs() {
    let name = || fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned();
    say(|| format!("<<{}>>", name()));
    let test = "sandbox::the_host_name_is_the_programs";
    let before = name();
    let prepare = |command: &mut Command| _ = in_namespaces(command, SafeFlags::NEWUTS).hostname("mine");
    if allowed(test, prepare) {
        assert_eq!(said(test, prepare), "mine");
        assert_eq!(name(), before);
        let mut command = this_program(test);
        in_namespaces(&mut command, SafeFlags::NEWUTS).hostname("x".repeat(65));
        refused(&mut command, Stage::Hostname, libc::EINVAL);
    }
}

/// A folder for a test, which is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("clone-trampoline-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// This also holds for a caller with privileges and a `/` that is shared with other namespaces.
#[test]
fn mounts_stay_inside() {
    if let Some(place) = std::env::var_os("PLACE") {
        say(|| format!("<<{}>>", PathBuf::from(place).join("inside").exists()));
    }
    let test = "sandbox::mounts_stay_inside";
    if !common::privileged() {
        return skip("takes CAP_SYS_ADMIN");
    }
    let folder = Folder::new("private");
    passes_beside(test, || {
        let path = std::ffi::CString::new(folder.0.to_str().unwrap()).unwrap();
        // SAFETY: paths.
        let shared = unsafe {
            let (none, flags) = (std::ptr::null(), libc::MS_REC | libc::MS_SHARED);
            common::ok(libc::unshare(libc::CLONE_NEWNS));
            libc::mount(path.as_ptr(), path.as_ptr(), none, libc::MS_BIND, std::ptr::null()) == 0
                && libc::mount(none, path.as_ptr(), none, flags, std::ptr::null()) == 0
        };
        assert!(shared, "{}", io::Error::last_os_error());
        for private in [true, false] {
            let said = said(test, |command| {
                command.env("PLACE", &folder.0).flags(SafeFlags::NEWNS).private_mounts(private);
                command.mount(Mount::file_system("tmpfs", &folder.0));
                command.mount(Mount::file_system("tmpfs", folder.0.join("inside")));
            });
            assert_eq!(said, "true");
            assert_eq!(folder.0.join("inside").exists(), !private);
        }
    });
}

#[test]
fn mounts_are_made_in_order() {
    if let Some(place) = std::env::var_os("PLACE") {
        let place = PathBuf::from(place);
        say(|| {
            let denied = |path: &Path| {
                fs::write(path, "").is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
            };
            let bound = place.join("bound");
            format!(
                "<<{} {} {} {}>>",
                fs::write(place.join("file"), "").is_ok(),
                bound.join("there").exists(),
                denied(&bound.join("file")),
                fs::metadata(&place).map(|it| it.permissions().readonly()).unwrap()
            )
        });
    }
    let test = "sandbox::mounts_are_made_in_order";
    let folder = Folder::new("mounts");
    let other = Folder::new("bound");
    fs::write(folder.0.join("below"), "").unwrap();
    fs::write(other.0.join("there"), "").unwrap();
    let prepare = |command: &mut Command| {
        let flags = SafeFlags::NEWNS;
        in_namespaces(command, flags).env("PLACE", &folder.0);
        command.mount(Mount::file_system("tmpfs", &folder.0).options("mode=755,size=64k"));
        command.mount(Mount::bind(&other.0, folder.0.join("bound")).read_only());
    };
    if !allowed(test, prepare) {
        return;
    }
    assert_eq!(said(test, prepare), "true true true false");
    assert!(folder.0.join("below").exists() && !folder.0.join("file").exists());
    let new = || {
        let mut command = this_program(test);
        in_namespaces(&mut command, SafeFlags::NEWNS);
        command
    };
    let error =
        refused(new().mount(Mount::file_system("tmpfs", "/nowhere/at/all")), Stage::Mount, libc::ENOENT);
    assert!(error.to_string().starts_with(r#"mount "/nowhere/at/all": "#), "{error}");
    let error = refused(new().mount(Mount::file_system("nofs", &folder.0)), Stage::Mount, libc::ENODEV);
    assert!(error.hint().is_some(), "{error}");
    // The error names the path that is missing, and no directory is made for it.
    let target = folder.0.join("unmade");
    let error = refused(new().mount(Mount::bind("/nowhere", &target)), Stage::Mount, libc::ENOENT);
    assert!(error.to_string().starts_with(r#"mount "/nowhere": "#), "{error}");
    assert!(!target.exists());
    let error =
        refused(new().mount(Mount::bind(&other.0, &target).options("size=1")), Stage::Mount, libc::EINVAL);
    assert!(error.hint().unwrap().contains("only a new file system"), "{error}");
    if !common::privileged() {
        let error = refused(new().mount(Mount::file_system("proc", &folder.0)), Stage::Mount, libc::EPERM);
        assert!(error.hint().unwrap().contains("NEWPID"), "{error}");
    }
    let error = refused(new().flags(SafeFlags::NEWUTS).hostname("a\0b"), Stage::Hostname, libc::EINVAL);
    assert!(error.hint().unwrap().contains("NUL"), "{error}");
    refused(new().mount(Mount::in_place(&folder.0).read_only()), Stage::Mount, libc::EINVAL);
    refused(new().pivot_root("/nowhere"), Stage::PivotRoot, libc::ENOENT);
}

/// The program has its own root and sees nothing of the old one.
#[test]
fn the_root_is_pivoted() {
    say(|| {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let old = mounts.lines().filter(|line| line.split(' ').nth(1) == Some("/")).count();
        format!("<<{} {old} {}>>", std::env::current_dir().unwrap().display(), fs::exists("/below").unwrap())
    });
    let test = "sandbox::the_root_is_pivoted";
    let folder = Folder::new("root");
    let root = folder.0.join("new");
    fs::create_dir(&root).unwrap();
    let prepare = |command: &mut Command| {
        in_namespaces(command, SafeFlags::NEWNS);
        command.mount(Mount::bind("/", &root)).pivot_root(&root);
    };
    if allowed(test, prepare) {
        assert_eq!(said(test, prepare), "/ 1 false");
    }
}

#[test]
fn a_program_is_born_in_its_cgroup() {
    say(|| {
        let text = fs::read_to_string("/proc/self/cgroup").unwrap();
        format!("<<{}>>", text.lines().find_map(|line| line.strip_prefix("0::")).unwrap())
    });
    let test = "sandbox::a_program_is_born_in_its_cgroup";
    let ours = cgroup::root().and_then(|root| cgroup::Cgroup::of_ours(&root, "born").ok());
    let Some(cgroup) = ours else { return skip("no cgroup2 where we may make a cgroup") };
    let said = said(test, |command| _ = command.cgroup(cgroup.open()));
    assert!(said.ends_with(cgroup.0.file_name().unwrap().to_str().unwrap()), "{said}");
    let mut command = this_program(test);
    let error = refused_at_birth(command.cgroup(File::open("/dev").unwrap()), libc::EBADF);
    assert!(error.hint().unwrap().contains("cgroup"), "{error}");
}

#[test]
fn the_pid_is_the_one_that_was_asked_for() {
    say(|| format!("<<{}>>", std::process::id()));
    let test = "sandbox::the_pid_is_the_one_that_was_asked_for";
    let prepare = |command: &mut Command| _ = in_namespaces(command, SafeFlags::NEWPID).set_tid(&[1]);
    if !allowed(test, prepare) {
        return;
    }
    assert_eq!(said(test, prepare), "1");
    let mut command = this_program(test);
    let error = refused_at_birth(in_namespaces(&mut command, SafeFlags::NEWPID).set_tid(&[2]), libc::EINVAL);
    assert!(error.hint().unwrap().contains("set_tid"), "{error}");
    if common::privileged() {
        let error = refused_at_birth(this_program(test).set_tid(&[std::process::id() as i32]), libc::EEXIST);
        assert!(error.hint().unwrap().contains("has one of the numbers"), "{error}");
    }
}

/// Opens a new pseudoterminal and returns its master and slave.
fn pty() -> Option<(OwnedFd, OwnedFd)> {
    // SAFETY: the descriptors are new, and the name of the terminal is a C string.
    unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        if master < 0 {
            skip(&format!("posix_openpt: {}", io::Error::last_os_error()));
            return None;
        }
        let master = OwnedFd::from_raw_fd(master);
        common::ok(libc::grantpt(master.as_raw_fd()));
        common::ok(libc::unlockpt(master.as_raw_fd()));
        let mut name = [0; 64];
        common::ok(libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()));
        let slave = libc::open(name.as_ptr(), libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        assert!(slave >= 0, "{}", io::Error::last_os_error());
        Some((master, OwnedFd::from_raw_fd(slave)))
    }
}

#[test]
fn a_terminal_controls_the_programs_session() {
    // SAFETY: the call takes no pointers.
    say(|| unsafe {
        let (pid, fd) = (libc::getpid(), 9);
        format!("<<{} {} {}>>", libc::getsid(0) == pid, libc::tcgetsid(fd) == pid, libc::tcgetpgrp(fd) == pid)
    });
    let test = "sandbox::a_terminal_controls_the_programs_session";
    let Some((_master, slave)) = pty() else { return };
    let said = said(test, |command| {
        let terminal = slave.try_clone().unwrap();
        command.controlling_terminal(terminal).fd(9, slave.try_clone().unwrap()).process_group(0);
    });
    assert_eq!(said, "true true true");
    let mut command = this_program(test);
    let error = refused(
        command.controlling_terminal(File::open("/dev/null").unwrap()),
        Stage::ControllingTerminal,
        libc::ENOTTY,
    );
    assert!(error.hint().unwrap().contains("terminal"), "{error}");
}

/// The program is in the foreground, like a shell's job. If the start fails, the shell is in the foreground again.
#[test]
fn a_group_is_in_the_foreground() {
    // SAFETY: the call takes no pointers.
    inside(|| unsafe { if libc::tcgetpgrp(9) == libc::getpid() { 42 } else { 1 } });
    let test = "sandbox::a_group_is_in_the_foreground";
    passes(test, "shell", || {
        let Some((_master, slave)) = pty() else { return };
        // SAFETY: the calls take no pointers. This is a program of its own, because the terminal's end would kill it.
        unsafe {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            // The leader of a group cannot make a session, and this program may be one.
            let leads = libc::setsid() >= 0;
            if !leads {
                return skip("this program leads a group already");
            }
            common::ok(libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0));
        }
        let job = || {
            let mut command = this_program(test);
            command.process_group(0).foreground(slave.try_clone().unwrap()).fd(9, slave.try_clone().unwrap());
            command
        };
        // SAFETY: the call takes no pointers.
        let foreground = || unsafe { libc::tcgetpgrp(slave.as_raw_fd()) };
        let ours = foreground();
        // SAFETY: the call takes no arguments.
        assert_eq!(ours, unsafe { libc::getpgrp() });
        fails(job().current_dir("/nowhere"), Stage::Chdir, libc::ENOENT);
        assert_eq!(foreground(), ours);
        let mut child = job().spawn().unwrap();
        assert_eq!(foreground(), child.id() as i32);
        assert_eq!(child.wait().unwrap().code(), Some(42));
    });
}

#[test]
fn what_reaps_or_kills_itself_needs_linux_7_1() {
    inside(|| {
        _ = io::stdin().read_to_end(&mut Vec::new());
        42
    });
    let test = "sandbox::what_reaps_or_kills_itself_needs_linux_7_1";
    let new = || {
        let mut command = this_program(test);
        command.stdin(Stdio::piped());
        command
    };
    if common::release() < (7, 1) {
        for (mut command, name) in [(new(), "autoreap"), (new(), "kill_on_close")] {
            let command = if name == "autoreap" { command.autoreap() } else { command.kill_on_close() };
            let error = refused_at_birth(command, libc::EINVAL);
            assert!(error.hint().unwrap().starts_with(name), "{error}");
        }
        return skip("Linux 7.1");
    }
    let mut child = new().autoreap().spawn().unwrap();
    assert!(child.try_wait().unwrap().is_none());
    assert!(child.wait_timeout(Duration::from_millis(1)).unwrap().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(42));
    // A failed start leaves nothing.
    refused(new().autoreap().current_dir("/nowhere"), Stage::Chdir, libc::ENOENT);
    for privileges in [false, true] {
        let mut command = new();
        command.no_new_privs(!privileges).kill_on_close();
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                assert!(privileges && !common::privileged(), "{error}");
                assert!(error.to_string().contains("no_new_privs"), "{error}");
                continue;
            }
        };
        let pid = child.id() as i32;
        drop(child);
        crate::program::until("the program's end", || !crate::program::runs(pid));
    }
}

#[test]
fn capabilities_are_the_programs() {
    say(|| {
        let of = |field: &str| status(field).trim_matches(['<', '>']).to_owned();
        let sets = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"].map(of);
        format!("<<{} {}>>", sets.join(" "), ids().0)
    });
    let test = "sandbox::capabilities_are_the_programs";
    if !common::can_give_up_root() {
        return skip("takes CAP_SETUID and CAP_SETPCAP");
    }
    let set = format!("{:016x}", 1_u64 << 10 | 1_u64 << 38 | 1);
    let keep = [Capability::NetBindService, Capability::Perfmon, Capability::Chown];
    for uid in [None, Some(65_533)] {
        let said = said(test, |command| {
            command.capabilities(keep).no_new_privs(uid.is_some());
            if let Some(uid) = uid {
                command.uid(uid);
            }
        });
        assert_eq!(said, format!("{} {}", [&*set; 5].join(" "), uid.unwrap_or(0)));
    }
    assert_eq!(
        said(test, |command| _ = command.capabilities([])),
        format!("{} 0", ["0000000000000000"; 5].join(" "))
    );
    passes(test, "user", || {
        common::nobody();
        let error =
            fails(this_program(test).capabilities([Capability::Chown]), Stage::Capabilities, libc::EPERM);
        assert_eq!(error.argument().unwrap(), "[Chown]");
    });
}

/// The kernel would set the score of all tasks that share the memory.
#[test]
fn the_oom_score_is_the_programs_alone() {
    let score = || fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().to_owned();
    say(|| format!("<<{}>>", score()));
    let test = "sandbox::the_oom_score_is_the_programs_alone";
    let before = score();
    assert_eq!(said(test, |command| _ = command.oom_score_adj(999)), "999");
    assert_eq!(score(), before);
    refused(this_program(test).oom_score_adj(1001), Stage::OomScoreAdj, libc::EINVAL);
    passes(test, "user", || {
        fs::write("/proc/self/oom_score_adj", "500").unwrap();
        // The lowest value that is allowed is the one that a privileged process has set.
        let least = if common::privileged() { 500 } else { 0 };
        if common::privileged() {
            common::nobody();
        }
        let error = fails(this_program(test).oom_score_adj(least - 1), Stage::OomScoreAdj, libc::EACCES);
        assert!(error.hint().unwrap().contains("CAP_SYS_RESOURCE"), "{error}");
        assert_eq!(score(), "500");
    });
}

/// Makes a filter that answers one system call with an errno.
fn filter(call: libc::c_long, errno: i32) -> Vec<u8> {
    let bytes = |op: libc::sock_filter| {
        let [low, high] = op.code.to_ne_bytes();
        let [a, b, c, d] = op.k.to_ne_bytes();
        [low, high, op.jt, op.jf, a, b, c, d]
    };
    seccomp::instructions(&[call], seccomp::errno(errno), seccomp::ALLOW)
        .into_iter()
        .flat_map(bytes)
        .collect()
}

#[test]
fn filters_are_the_programs() {
    say(|| {
        // SAFETY: the call takes no arguments.
        unsafe {
            let first = libc::syscall(libc::SYS_getppid);
            let second = libc::syscall(libc::SYS_getpgid, 0);
            format!("<<{first} {second} {}>>", io::Error::last_os_error().raw_os_error().unwrap())
        }
    });
    let test = "sandbox::filters_are_the_programs";
    let said = said(test, |command| {
        command.no_new_privs(true).seccomp_filter(&filter(libc::SYS_getppid, libc::ENODATA));
        command.seccomp_filter(&filter(libc::SYS_getpgid, libc::ENODATA));
    });
    assert_eq!(said, format!("-1 -1 {}", libc::ENODATA));
    // This filter does not allow the execution of the program.
    let mut command = this_program(test);
    command.no_new_privs(true).seccomp_filter(&filter(libc::SYS_execve, libc::ENODATA));
    refused(&mut command, Stage::Exec, libc::ENODATA);
    for wrong in [&[][..], &[0; 7], &[0xff; 8], &[0; 8 * 5000]] {
        let mut command = this_program(test);
        let error = refused(command.no_new_privs(true).seccomp_filter(wrong), Stage::Seccomp, libc::EINVAL);
        assert!(error.hint().is_some(), "{error}");
    }
    passes(test, "user", || {
        if common::privileged() {
            common::nobody();
        }
        let error = fails(this_program(test).seccomp_filter(&filter(0, 0)), Stage::Seccomp, libc::EACCES);
        assert!(error.hint().unwrap().contains("no_new_privs"), "{error}");
    });
}

/// Makes a ruleset that allows files to be executed and read, but not written.
fn ruleset() -> Option<OwnedFd> {
    const NUMBER: libc::c_long = libc::SYS_clone3 + 444 - 435;
    const EXECUTE: u64 = 1;
    const WRITE_FILE: u64 = 2;
    // SAFETY: `struct landlock_ruleset_attr` began as one word, and the descriptor is new.
    unsafe {
        let handled = EXECUTE | WRITE_FILE;
        let fd = libc::syscall(NUMBER, &handled, size_of_val(&handled), 0);
        if fd < 0 {
            skip(&format!("no landlock: {}", io::Error::last_os_error()));
            return None;
        }
        let ruleset = OwnedFd::from_raw_fd(fd as i32);
        /// `struct landlock_path_beneath_attr`.
        #[repr(C, packed)]
        struct Beneath {
            allowed: u64,
            parent: i32,
        }
        let root = File::open("/").unwrap();
        let rule = Beneath { allowed: EXECUTE, parent: root.as_raw_fd() };
        assert_eq!(libc::syscall(NUMBER + 1, ruleset.as_raw_fd(), 1, &raw const rule, 0), 0);
        Some(ruleset)
    }
}

#[test]
fn rules_of_landlock_are_the_programs() {
    say(|| {
        let error = File::options().write(true).open("/dev/null").err();
        format!("<<{:?} {}>>", error.map(|error| error.kind()), File::open("/dev/null").is_ok())
    });
    let test = "sandbox::rules_of_landlock_are_the_programs";
    let mut command = this_program(test);
    let error = refused(
        command.no_new_privs(true).landlock(File::open("/dev/null").unwrap()),
        Stage::Landlock,
        errno_of_no_ruleset(),
    );
    assert!(error.hint().unwrap().contains("landlock"), "{error}");
    let Some(rules) = ruleset() else { return };
    let prepare = |command: &mut Command| _ = command.no_new_privs(true).landlock(rules.try_clone().unwrap());
    assert_eq!(said(test, prepare), "Some(PermissionDenied) true");
    // The program gets the number that the ruleset has, once with all other descriptors closed.
    for closes in [false, true] {
        let said = said(test, |command| {
            let rules = rules.try_clone().unwrap();
            command.fd(rules.as_raw_fd(), File::open("/dev/zero").unwrap()).close_other_fds(closes);
            command.no_new_privs(true).landlock(rules);
        });
        assert_eq!(said, "Some(PermissionDenied) true");
    }
}

fn errno_of_no_ruleset() -> i32 {
    // SAFETY: the call takes no pointers.
    unsafe { libc::syscall(libc::SYS_clone3 + 446 - 435, -1, 1) };
    match io::Error::last_os_error().raw_os_error() {
        Some(errno @ (libc::ENOSYS | libc::EOPNOTSUPP)) => errno,
        _ => libc::EBADFD,
    }
}

#[test]
fn a_program_is_executed_by_its_descriptor() {
    inside(|| if descriptors().len() < 12 { 42 } else { 1 });
    let test = "sandbox::a_program_is_executed_by_its_descriptor";
    let new = || {
        let program = File::open("/proc/self/exe").unwrap();
        let number = program.as_raw_fd();
        let mut command = Command::from_fd("a name", program);
        command.args([test, "--exact", "--nocapture"]).env("CLONE_TRAMPOLINE_PROBE", "inside");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        (command, number)
    };
    let (mut command, _) = new();
    assert_eq!(command.get_program(), "a name");
    assert_eq!(command.status().unwrap().code(), Some(42));
    for closes in [false, true] {
        let (mut command, number) = new();
        command.fd(number, File::open("/dev/zero").unwrap()).close_other_fds(closes);
        assert_eq!(command.status().unwrap().code(), Some(42), "{closes}");
    }
    let mut command = Command::from_fd("a name", File::open("/proc/self/status").unwrap());
    refused(&mut command, Stage::Exec, libc::EACCES);
    let end = crate::program::program(test, "exec", || {
        let (mut command, _) = new();
        panic!("{}", command.exec());
    });
    if let Some(end) = end {
        end.is_exit(42);
    }
}

/// If the parent has no pid in the child's namespace, a pidfd is used to look for it.
#[test]
fn the_parents_death_reaches_another_pid_namespace() {
    inside(|| {
        std::thread::sleep(Duration::from_secs(1000));
        1
    });
    let test = "sandbox::the_parents_death_reaches_another_pid_namespace";
    let prepare = |command: &mut Command| {
        in_namespaces(command, SafeFlags::NEWPID).parent_death_signal(libc::SIGKILL);
    };
    let mut command = Command::new("/nowhere");
    prepare(&mut command);
    let error = command.status().unwrap_err();
    let error = Error::of(&error).unwrap();
    if error.stage() != Stage::Exec {
        return skip(&error.to_string());
    }
    let parent = std::thread::spawn(move || {
        let mut command = this_program(test);
        prepare(&mut command);
        command.close_other_fds(true).spawn().unwrap()
    });
    assert_eq!(parent.join().unwrap().wait().unwrap().signal(), Some(libc::SIGKILL));
}

/// While the child has another user's ids, it also has this program's memory.
#[test]
fn a_child_with_another_users_ids_cannot_be_traced_by_them() {
    let test = "sandbox::a_child_with_another_users_ids_cannot_be_traced_by_them";
    if !common::can_give_up_root() {
        return skip("takes CAP_SETUID");
    }
    passes(test, "program", || {
        let (reads, mut go) = crate::command::pipe();
        let (says, mut told) = crate::command::pipe();
        let spy = std::thread::spawn(move || {
            let mut pid = [0; 4];
            File::from(says).read_exact(&mut pid).unwrap();
            let pid = i32::from_ne_bytes(pid);
            let status = common::in_process(|| {
                // SAFETY: this process has one thread, and the calls take no pointers.
                unsafe {
                    common::ok(libc::setgroups(0, std::ptr::null()));
                    common::ok(libc::setresgid(65_533, 65_533, 65_533));
                    common::ok(libc::setresuid(65_533, 65_533, 65_533));
                    let traced = libc::ptrace(libc::PTRACE_SEIZE as _, pid, 0, 0) == 0;
                    let opened = File::open(format!("/proc/{pid}/mem")).is_ok();
                    let read = fs::read_link(format!("/proc/{pid}/exe")).is_ok();
                    70 + i32::from(traced) + 2 * i32::from(opened) + 4 * i32::from(read)
                }
            });
            go.write_all(b"!").unwrap();
            status.code()
        });
        let mut command = Command::new("/nowhere");
        let mut wait = File::from(reads);
        command.uid(65_533).gid(65_533);
        // SAFETY: the closure takes no lock.
        unsafe {
            command.pre_exec(move || {
                let pid = libc::syscall(libc::SYS_getpid) as i32;
                told.write_all(&pid.to_ne_bytes())?;
                wait.read_exact(&mut [0])
            });
        }
        refused(&mut command, Stage::Exec, libc::ENOENT);
        assert_eq!(spy.join().unwrap(), Some(70));
        // SAFETY: the call takes no pointers.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }, 1);
    });
}

/// The memory that a spy and its victim share.
#[repr(C)]
struct Board {
    /// The spy looks at this pid and some after it.
    pid: AtomicI32,
    has_begun: AtomicI32,
    has_read: AtomicI32,
    looks: AtomicI32,
    over: AtomicI32,
}

impl Board {
    fn of(fd: BorrowedFd<'_>) -> &'static Self {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: the file has one page, which stays mapped, and zeros are valid values there.
        unsafe {
            let page = libc::mmap(std::ptr::null_mut(), common::page(), protection, flags, fd.as_raw_fd(), 0);
            assert!(page != libc::MAP_FAILED, "{}", io::Error::last_os_error());
            &*page.cast()
        }
    }
}

const SECRET: u64 = 0x5ec2_e7f0_0d5e_c2e7;
/// The secret is stored at run time, because the executed program may have this variable at the same address.
static THE_SECRET: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// Runs the spy. It reads the memory of the pids on its board, at the address of its victim's secret.
fn spy() {
    let Some(place) = std::env::var_os("SPIES") else { return };
    let place: usize = place.to_str().unwrap().parse().unwrap();
    inside(|| {
        // SAFETY: the test gives this program descriptor 9.
        let board = Board::of(unsafe { BorrowedFd::borrow_raw(9) });
        // In its own pid namespace, pids count from the spy's.
        let base = if std::env::var_os("INSIDE").is_some() { std::process::id() as i32 } else { 0 };
        board.has_begun.store(1, Relaxed);
        while board.over.load(Relaxed) == 0 {
            board.looks.fetch_add(1, Relaxed);
            for pid in 0..3 {
                let mut read = 0_u64;
                let here = libc::iovec { iov_base: (&raw mut read).cast(), iov_len: 8 };
                let there = libc::iovec { iov_base: place as *mut _, iov_len: 8 };
                let pid = base + board.pid.load(Relaxed) + pid;
                // SAFETY: `read` has room for the word.
                let count = unsafe { libc::process_vm_readv(pid, &here, 1, &there, 1, 0) };
                if count == 8 && read == SECRET {
                    board.has_read.fetch_add(1, Relaxed);
                }
            }
        }
        42
    });
}

/// Starts programs that the spy tries to read, and checks that it cannot.
fn nobody_reads(test: &str, disguise: impl Fn(&mut Command), start: impl Fn(&mut Command), inside: bool) {
    let mut victim = Command::new("/proc/self/exe");
    victim.arg("--help").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    start(&mut victim);
    let mut pid = 0;
    nobody_reads_while(test, disguise, inside, |board, round| {
        board.pid.store(if inside { round as i32 + 1 } else { pid + 1 }, Relaxed);
        let mut child = victim.spawn().unwrap();
        pid = child.id() as i32;
        child.wait().unwrap();
    });
}

fn nobody_reads_while(
    test: &str,
    disguise: impl Fn(&mut Command),
    inside: bool,
    mut round: impl FnMut(&Board, u32),
) {
    // SAFETY: the name is a C string, and the descriptor is new and has one page.
    let file = unsafe {
        let fd = libc::memfd_create(c"board".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0);
        OwnedFd::from_raw_fd(fd)
    };
    File::from(file.try_clone().unwrap()).set_len(common::page() as u64).unwrap();
    let board = Board::of(file.as_fd());
    let bytes = SECRET.to_ne_bytes();
    for (word, bytes) in THE_SECRET.iter().zip(bytes.chunks(4)) {
        word.store(u32::from_ne_bytes(bytes.try_into().unwrap()), Relaxed);
    }
    let mut spy = this_program(test);
    spy.env("SPIES", (&raw const THE_SECRET as usize).to_string()).fd(9, file);
    if inside {
        spy.env("INSIDE", "");
    }
    disguise(&mut spy);
    let mut spy = match spy.spawn() {
        Ok(spy) => spy,
        Err(error) => return skip(&error.to_string()),
    };
    crate::program::until("the spy", || board.has_begun.load(Relaxed) == 1);
    for number in crate::program::rounds() {
        round(board, number);
    }
    board.over.store(1, Relaxed);
    assert_eq!(spy.wait().unwrap().code(), Some(42));
    assert_eq!(board.has_read.load(Relaxed), 0);
    // SAFETY: the call takes no pointers.
    assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }, 1);
}

/// Until a child executes its program, it has this program's memory.
#[test]
fn the_callers_memory_is_not_for_the_programs_user() {
    spy();
    let test = "sandbox::the_callers_memory_is_not_for_the_programs_user";
    if !common::can_give_up_root() {
        return skip("takes CAP_SETUID and CAP_SETPCAP");
    }
    passes(test, "uid", || {
        let user = |command: &mut Command| _ = command.uid(65_533).gid(65_533);
        nobody_reads(test, user, user, false);
    });
    // This spy runs as root, but with fewer capabilities than the caller.
    let less = |command: &mut Command| _ = command.capabilities([]).no_new_privs(true);
    passes(test, "capabilities", || nobody_reads(test, less, less, false));
    passes(test, "user namespace", || {
        nobody_reads(test, less, |command| _ = in_namespaces(command, SafeFlags::empty()), false);
    });
    passes(test, "call", || {
        if !crate::program::shares_memory() {
            return;
        }
        let builder = clone_trampoline::Builder::new().flags(SafeFlags::NEWUSER);
        nobody_reads_while(test, less, false, |board, _| {
            _ = builder.call(|| {
                board.pid.store(std::process::id() as i32, Relaxed);
                std::thread::sleep(Duration::from_millis(1));
                // No look may be under way when the child ends. The kernel first takes the memory and then checks the
                // rights. On Linux 7.2 this check was seen to come after the caller is dumpable again (SOUNDNESS.md).
                board.pid.store(-9, Relaxed);
                let looks = board.looks.load(Relaxed);
                crate::program::until("the spy's next look", || {
                    board.looks.load(Relaxed).wrapping_sub(looks) >= 2
                });
            });
        });
    });
}

/// Root of a namespace that is joined cannot read the memory either.
#[test]
fn the_callers_memory_is_not_for_those_who_are_joined() {
    hold();
    spy();
    let test = "sandbox::the_callers_memory_is_not_for_those_who_are_joined";
    if !common::privileged() {
        return skip("ranges take CAP_SETUID");
    }
    passes(test, "program", || {
        let mut command = this_program(test);
        command.env("HOLDS", "").stdin(Stdio::piped()).flags(SafeFlags::NEWUSER | SafeFlags::NEWPID);
        command.uid_map(0, 100_000, 65_536).gid_map(0, 100_000, 65_536).uid(0).gid(0);
        let holder = match command.spawn() {
            Ok(holder) => holder,
            Err(error) => return skip(&error.to_string()),
        };
        let join = |command: &mut Command| {
            command
                .join_namespace(namespace(holder.id(), "user"))
                .join_namespace(namespace(holder.id(), "pid"));
        };
        let root = |command: &mut Command| {
            join(command);
            command.uid(0).gid(0);
        };
        for start in [&join as &dyn Fn(&mut Command), &root] {
            nobody_reads(test, root, start, true);
        }
        let_go(holder);
    });
}

/// The flag that keeps capabilities over a change of ids is cleared when the program goes on.
#[test]
fn an_exec_that_fails_keeps_no_capabilities() {
    let test = "sandbox::an_exec_that_fails_keeps_no_capabilities";
    if !common::can_give_up_root() {
        return skip("takes CAP_SETPCAP");
    }
    passes(test, "program", || {
        let mut command = Command::new("/nowhere");
        command.capabilities([Capability::Chown]).uid(0);
        command.exec();
        // SAFETY: the call takes no pointers.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_KEEPCAPS) }, 0);
    });
}

/// AppArmor or a container's profile refuses namespaces in this way.
#[test]
fn a_refused_namespace_is_named_and_leaves_nothing() {
    inside(|| 42);
    let test = "sandbox::a_refused_namespace_is_named_and_leaves_nothing";
    passes(test, "filter", || {
        // docker's default profile does this, because a filter cannot look into the arguments of clone3(2).
        common::seccomp(libc::SYS_clone3 as u32, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
        if common::privileged() {
            let mut command = this_program(test);
            let error = fails_at_birth(command.join_namespace(namespace_of_ours("pid")), libc::ENOSYS);
            assert!(error.hint().unwrap().contains("clone3"), "{error}");
        }
        common::refuse(libc::SYS_setns as u32);
        common::refuse(libc::SYS_mount as u32);
        let mut command = this_program(test);
        let error =
            fails(command.join_namespace(namespace_of_ours("net")), Stage::JoinNamespace, libc::EPERM);
        assert!(error.hint().unwrap().contains("seccomp"), "{error}");
        let mut command = this_program(test);
        let error = in_namespaces(&mut command, SafeFlags::NEWNS).spawn().unwrap_err();
        let error = Error::of(&error).unwrap();
        assert!(matches!(error.stage(), Stage::PrivateMounts | Stage::Clone), "{error}");
        assert!(error.hint().is_some(), "{error}");
        let error = fails_at_birth(this_program(test).set_tid(&[5]), libc::ENOSYS);
        assert!(error.hint().unwrap().contains("clone3"), "{error}");
    });
    if !common::privileged() {
        return skip("takes root to limit namespaces");
    }
    // A user namespace that may contain no further ones stands for a machine that allows none.
    passes(test, "limit", || {
        let mut command = this_program(test);
        in_namespaces(&mut command, SafeFlags::empty());
        // SAFETY: the closure takes no lock.
        let inside = unsafe {
            command.pre_exec(|| {
                fs::write("/proc/sys/user/max_user_namespaces", "0")?;
                let mut command = Command::new("/nowhere");
                command.flags(SafeFlags::NEWUSER);
                let error = command.spawn().unwrap_err();
                let error = Error::of(&error).unwrap();
                Err(io::Error::other(format!("inside: {error}")))
            })
        };
        let error = inside.spawn().unwrap_err();
        if !error.to_string().contains("inside") {
            return skip(&error.to_string());
        }
        assert!(error.to_string().contains("max_*_namespaces"), "{error}");
    });
}
