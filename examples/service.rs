//! A small supervisor for a socket-activated service, like systemd. It listens, and starts a program that gets the
//! socket as its descriptor 3. When the program ends, it is started again. On SIGTERM the supervisor ends the program
//! and everything that the program has started.
//!
//! ```text
//! cargo run --example service -- 127.0.0.1:8080 python3 server.py
//! cargo run --example service -- 127.0.0.1:8080        (its own program, which serves three clients and ends)
//! ```
//!
//! If cgroups can be made, `cgroup.kill` kills the whole tree. Otherwise the program is the first process of a pid
//! namespace, and the tree ends with it. Such a process gets a SIGTERM only if it handles it, so a service without a
//! handler is killed after ten seconds.

use clone_trampoline::{Child, Command, SafeFlags};
use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args_os().skip(1);
    let address = args.next().unwrap_or("127.0.0.1:0".into()).into_string().map_err(|_| "an address")?;
    if address == "--serve" {
        return Ok(serve()?);
    }
    let socket = TcpListener::bind(address)?;
    println!("service: listening at {}", socket.local_addr()?);

    // A service that takes sockets like this checks that LISTEN_PID is its own pid. Only the child knows this pid, so a
    // shell sets the variable.
    let mut command = Command::new("sh");
    command.args(["-c", "LISTEN_PID=$$; export LISTEN_PID; exec \"$@\"", "sh"]);
    match args.next() {
        Some(program) => command.arg(program).args(args),
        None => command.arg(env::current_exe()?).arg("--serve"),
    };
    supervise(&mut command, socket)?;
    Ok(())
}

/// Keeps the program running until SIGTERM comes.
pub(crate) fn supervise(command: &mut Command, socket: TcpListener) -> io::Result<()> {
    let mut stop = Signals::new(libc::SIGTERM)?;
    // This program blocks SIGTERM, but the service must not.
    command.block_signals(&[]).close_other_fds(true).no_new_privs(true).parent_death_signal(libc::SIGKILL);
    command.fd(3, socket).env("LISTEN_FDS", "1");
    let has_cgroups = Tree::cgroup().is_some();
    if !has_cgroups {
        println!("service: it has a pid namespace");
        // SAFETY: the calls take no arguments.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        if uid != 0 {
            command.flags(SafeFlags::NEWUSER).uid_map(uid, uid, 1).gid_map(gid, gid, 1);
        }
        command.flags(SafeFlags::NEWPID);
    }
    let mut pause = Duration::from_millis(100);
    loop {
        // Each start gets a new cgroup, because Linux 6.18 kills each program that is born in a cgroup that was killed
        // before.
        let tree = if has_cgroups { Tree::cgroup() } else { Some(Tree::Namespace) };
        let tree = tree.ok_or(io::ErrorKind::PermissionDenied)?;
        if let Tree::Cgroup(cgroup) = &tree {
            command.cgroup(File::open(cgroup)?);
        }
        let mut child = command.spawn()?;
        println!("service: started process {}", child.id());
        let stopped = stop.wait_beside(&child)?;
        let status = tree.end(&mut child)?;
        println!("service: process {} ended: {status}", child.id());
        if stopped || stop.wait(pause)? {
            return Ok(());
        }
        pause = Duration::from_secs(5).min(2 * pause);
    }
}

/// The service, and all processes that it starts.
enum Tree {
    /// They are in this cgroup.
    Cgroup(PathBuf),
    /// The service is the first process of a pid namespace.
    Namespace,
}

impl Tree {
    /// Makes a cgroup below the cgroup of this program, if that is possible and `cgroup.kill` exists there (Linux
    /// 5.14).
    fn cgroup() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let root = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|words| words[2] == "cgroup2")?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let cgroup = Path::new(root[1]).join(own).join(format!("service-{}", std::process::id()));
        fs::create_dir(&cgroup).ok()?;
        if cgroup.join("cgroup.kill").exists() {
            return Some(Self::Cgroup(cgroup));
        }
        _ = fs::remove_dir(&cgroup);
        None
    }

    /// Ends the service and everything that it has started. The service has ten seconds to end by itself.
    fn end(&self, child: &mut Child) -> io::Result<ExitStatus> {
        child.send_signal(libc::SIGTERM)?;
        if child.wait_timeout(Duration::from_secs(10))?.is_none() {
            child.kill()?;
        }
        let status = child.wait()?;
        if let Self::Cgroup(cgroup) = self {
            fs::write(cgroup.join("cgroup.kill"), "1")?;
        }
        Ok(status)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Self::Cgroup(cgroup) = self {
            // The last process may still be ending.
            for _ in 0..100 {
                if fs::remove_dir(&*cgroup).is_ok() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            eprintln!("service: {} is left", cgroup.display());
        }
    }
}

/// A signal that a descriptor waits for, signalfd(2).
struct Signals(File);

impl Signals {
    fn new(signal: i32) -> io::Result<Self> {
        // SAFETY: the set is valid once it is zeroed, and signalfd(2) returns a new descriptor.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigaddset(&mut set, signal);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            match libc::signalfd(-1, &set, libc::SFD_CLOEXEC) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(Self(OwnedFd::from_raw_fd(fd).into())),
            }
        }
    }

    /// Waits until the child has ended (false) or the signal has come (true).
    fn wait_beside(&mut self, child: &Child) -> io::Result<bool> {
        self.poll(child.pidfd().map(|pidfd| pidfd.as_raw_fd()), -1)
    }

    /// Waits for the signal, and returns whether it came within this time.
    fn wait(&mut self, limit: Duration) -> io::Result<bool> {
        self.poll(None, limit.as_millis() as i32)
    }

    fn poll(&mut self, other: Option<i32>, milliseconds: i32) -> io::Result<bool> {
        let of = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut fds = [of(self.0.as_raw_fd()), of(other.unwrap_or(-1))];
        // SAFETY: `fds` has two entries.
        while unsafe { libc::poll(fds.as_mut_ptr(), 2, milliseconds) } == -1 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        let came = fds[0].revents != 0;
        if came {
            self.0.read_exact(&mut [0; size_of::<libc::signalfd_siginfo>()])?;
        }
        Ok(came)
    }
}

/// The service of this example. It tells three clients its pid, and ends.
pub(crate) fn serve() -> io::Result<()> {
    // SAFETY: the supervisor gives this program descriptor 3, and nothing else here uses it.
    let socket = unsafe { TcpListener::from_raw_fd(3) };
    for number in 1..=3 {
        let (mut client, _) = socket.accept()?;
        writeln!(client, "process {}, client {number}", std::process::id())?;
    }
    Err(io::Error::other("that was the last client"))
}
