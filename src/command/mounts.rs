//! The mounts and the root of a program in its own mount namespace.

use super::child::Step;
use super::plan::{NO_NAME, Plan};
use super::request::Request;
use crate::{Error, SafeFlags, Stage};
use std::ffi::{OsStr, OsString, c_int, c_long, c_ulong};
use std::path::{Path, PathBuf};

/// A mount in the program's own mount namespace, for [`Command::mount`](crate::Command::mount).
///
/// If the target directory is missing, it is made. The directory above it has to exist.
///
/// ```
/// use clone_trampoline::{Command, Mount, SafeFlags};
///
/// let mut command = Command::new("ls");
/// command.arg("/tmp").flags(SafeFlags::NEWUSER | SafeFlags::NEWNS).mount(Mount::file_system("tmpfs", "/tmp"));
/// match command.output() {
///     Ok(output) => assert_eq!(output.stdout, b""),
///     Err(error) => println!("no namespaces here: {error}"),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing until it is given to `Command::mount`"]
pub struct Mount {
    kind: Kind,
    target: PathBuf,
    options: OsString,
    read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Bind(PathBuf),
    FileSystem(OsString),
    InPlace,
}

impl Mount {
    fn new(kind: Kind, target: &Path) -> Self {
        Self { kind, target: target.to_owned(), options: OsString::new(), read_only: false }
    }

    /// Makes a file or directory appear at another place, with everything that is mounted below it. If it is a file,
    /// the target has to exist.
    pub fn bind<S: AsRef<Path>, T: AsRef<Path>>(source: S, target: T) -> Self {
        Self::new(Kind::Bind(source.as_ref().to_owned()), target.as_ref())
    }

    /// Makes a new file system of this type, such as `tmpfs` or `proc`. Devices and setuid programs in it do not work.
    ///
    /// `proc` shows the pid namespace of the program. In a user namespace, it needs `NEWPID`, and another `/proc` that is
    /// completely visible. Containers often hide parts of theirs.
    pub fn file_system<F: AsRef<OsStr>, T: AsRef<Path>>(kind: F, target: T) -> Self {
        Self::new(Kind::FileSystem(kind.as_ref().to_owned()), target.as_ref())
    }

    /// Refers to the mount that is already there, to make it [read-only](Self::read_only). For a
    /// directory that is no mount, use [`bind`](Self::bind) with the directory as both paths.
    pub fn in_place<T: AsRef<Path>>(target: T) -> Self {
        Self::new(Kind::InPlace, target.as_ref())
    }

    /// Sets the file system's own options, such as `size=16m,mode=700`.
    pub fn options<O: AsRef<OsStr>>(mut self, options: O) -> Self {
        self.options = options.as_ref().to_owned();
        self
    }

    /// Makes the mount and all mounts below it read-only, mount_setattr(2) (Linux 5.12). A process with `CAP_SYS_ADMIN`
    /// in the namespace can make them writable again.
    ///
    /// ```
    /// use clone_trampoline::{Command, Mount, SafeFlags};
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "touch /tmp/file 2>/dev/null || echo read-only"]);
    /// command.flags(SafeFlags::NEWUSER | SafeFlags::NEWNS).mount(Mount::in_place("/").read_only());
    /// match command.output() {
    ///     Ok(output) => assert_eq!(output.stdout, b"read-only\n"),
    ///     Err(error) => println!("no namespaces here: {error}"),
    /// }
    /// ```
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

// The type of mount(2)'s flags differs between targets.
const REC: c_ulong = libc::MS_REC as c_ulong;
const PRIVATE: c_ulong = libc::MS_PRIVATE as c_ulong;
const BIND: c_ulong = libc::MS_BIND as c_ulong;
const HARMLESS: c_ulong = libc::MS_NOSUID as c_ulong | libc::MS_NODEV as c_ulong;

impl Plan {
    pub(super) fn mount(&mut self, request: &Request) -> Result<(), Error> {
        let own = request.flags.contains(SafeFlags::NEWNS) || request.flags.contains(SafeFlags::EMPTY_MNTNS);
        if !own {
            let hint = "it would change the caller's mounts, or another program's: the flag NEWNS is missing";
            return match (request.mounts.first(), &request.new_root) {
                (Some(mount), _) => Err(refuse(Stage::Mount, &mount.target, hint)),
                (_, Some(root)) => Err(refuse(Stage::PivotRoot, root, hint)),
                _ => Ok(()),
            };
        }
        if request.private_mounts && request.flags.contains(SafeFlags::NEWNS) {
            let root = self.keep_text(Stage::PrivateMounts, OsStr::new("/"))?;
            self.call_mount(Stage::PrivateMounts, NO_NAME, [0, root, 0, 0], REC | PRIVATE);
        }
        for mount in &request.mounts {
            self.mount_one(mount)?;
        }
        request.new_root.as_deref().map_or(Ok(()), |root| self.pivot_root(root))
    }

    fn mount_one(&mut self, mount: &Mount) -> Result<(), Error> {
        if !mount.options.is_empty() && !matches!(mount.kind, Kind::FileSystem(_)) {
            return Err(refuse(Stage::Mount, &mount.target, "only a new file system takes options"));
        }
        let name = || Some(mount.target.as_os_str().into());
        let target = self.keep_text(Stage::Mount, mount.target.as_os_str())?;
        let directory = [c_long::from(libc::AT_FDCWD), target, 0o755, 0, 0, 0];
        let make = Step::Call { number: libc::SYS_mkdirat, arguments: directory, tolerated: libc::EEXIST };
        match &mount.kind {
            Kind::Bind(source) => {
                let named = Some(source.as_os_str().into());
                let source = self.keep_text(Stage::Mount, source.as_os_str())?;
                // Otherwise the error of a missing source would have the target's name, and leave a directory there.
                let look = [c_long::from(libc::AT_FDCWD), source, c_long::from(libc::F_OK), 0];
                self.call(Stage::Mount, named, libc::SYS_faccessat, look);
                self.push(Stage::Mount, name(), make);
                self.call_mount(Stage::Mount, name(), [source, target, 0, 0], BIND | REC);
            }
            Kind::FileSystem(kind) => {
                let kind = self.keep_text(Stage::Mount, kind)?;
                let options = self.keep_text(Stage::Mount, &mount.options)?;
                self.push(Stage::Mount, name(), make);
                self.call_mount(Stage::Mount, name(), [kind, target, kind, options], HARMLESS);
            }
            Kind::InPlace => {}
        }
        if mount.read_only {
            const RECURSIVE: c_long = 0x8000;
            const READ_ONLY: u64 = 1;
            // `struct mount_attr`: the flags to set, the flags to clear, the propagation and a user namespace.
            let attributes = [READ_ONLY, 0, 0, 0];
            let size = size_of_val(&attributes) as c_long;
            let attributes = self.keep(attributes.to_vec());
            let arguments = [c_long::from(libc::AT_FDCWD), target, RECURSIVE, attributes, size, 0];
            self.push(Stage::Mount, name(), Step::Call { number: MOUNT_SETATTR, arguments, tolerated: 0 });
        }
        Ok(())
    }

    /// Changes the root without another directory, as pivot_root(2) describes it: the old root lies on top of the new
    /// one, and is then unmounted.
    fn pivot_root(&mut self, root: &Path) -> Result<(), Error> {
        let name = || Some(root.as_os_str().into());
        let path = self.keep_text(Stage::PivotRoot, root.as_os_str())?;
        let here = self.keep_text(Stage::PivotRoot, OsStr::new("."))?;
        // The new root has to be a mount.
        self.call_mount(Stage::PivotRoot, name(), [path, path, 0, 0], BIND | REC);
        self.call(Stage::PivotRoot, name(), libc::SYS_chdir, [path, 0, 0, 0]);
        self.call(Stage::PivotRoot, name(), libc::SYS_pivot_root, [here, here, 0, 0]);
        self.call(Stage::PivotRoot, name(), libc::SYS_umount2, [here, c_long::from(libc::MNT_DETACH), 0, 0]);
        let root = self.keep_text(Stage::PivotRoot, OsStr::new("/"))?;
        self.call(Stage::PivotRoot, name(), libc::SYS_chdir, [root, 0, 0, 0]);
        Ok(())
    }

    fn call_mount(
        &mut self,
        stage: Stage,
        name: Option<Box<OsStr>>,
        [source, target, kind, options]: [c_long; 4],
        flags: c_ulong,
    ) {
        let arguments = [source, target, kind, flags as c_long, options, 0];
        self.push(stage, name, Step::Call { number: libc::SYS_mount, arguments, tolerated: 0 });
    }
}

/// Explains an errno of a mount. The path is that of the step which has failed.
pub(super) fn why(request: &Request, path: Option<&OsStr>, errno: c_int) -> Option<&'static str> {
    let kind = request.mounts.iter().find(|mount| Some(mount.target.as_os_str()) == path).map(|it| &it.kind);
    Some(match (errno, kind) {
        (libc::EPERM, Some(Kind::FileSystem(kind))) if kind == "proc" => {
            if request.flags.contains(SafeFlags::NEWPID) {
                "`proc` takes CAP_SYS_ADMIN in the user namespace, a seccomp filter that allows it, and in a user namespace \
                 another /proc that is completely visible"
            } else {
                "in a user namespace `proc` takes NEWPID; it also takes CAP_SYS_ADMIN, and a seccomp filter that allows it"
            }
        }
        (libc::EPERM, Some(Kind::FileSystem(_))) => {
            "it takes CAP_SYS_ADMIN in the user namespace, a seccomp filter that allows it, and a type of file system that a \
             user namespace may mount"
        }
        (libc::EPERM, _) => {
            "it takes CAP_SYS_ADMIN in the user namespace, and a seccomp filter that allows it; a mount that was made \
             outside may not lose its restrictions"
        }
        (libc::ENOENT, _) => "this path is missing, or the directory above it",
        (libc::ENOTDIR, Some(Kind::Bind(_))) => {
            "a part of the path is a file, or a file is mounted, which takes a file as its target"
        }
        (libc::ENODEV, _) => "the kernel does not know a file system of this type",
        (libc::EINVAL, Some(Kind::InPlace)) => "no mount is there",
        (libc::EINVAL, Some(Kind::FileSystem(_))) => "its options are wrong",
        (libc::EINVAL, _) => {
            "something there cannot be mounted at another place, such as a mount that was made outside"
        }
        (libc::ENOSYS, _) => "read_only needs mount_setattr(2), let through by seccomp filters: Linux 5.12",
        _ => return None,
    })
}

fn refuse(stage: Stage, path: &Path, hint: &'static str) -> Error {
    Error::new(stage, libc::EINVAL, hint).at(Some(path.as_os_str().into()))
}

/// On every architecture, the numbers of new system calls have the same distance from each other.
const MOUNT_SETATTR: c_long = libc::SYS_clone3 + 442 - 435;
