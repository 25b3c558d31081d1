//! Checks that the examples work, on every kernel that the tests run on.

use clone_trampoline::{Child, Stdio};
use std::env::var_os;
use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::FromRawFd;
use std::process::Command;

mod common;
#[path = "../examples/namespace_probe.rs"]
mod namespace_probe;
#[allow(dead_code, reason = "its main")]
#[path = "../examples/sandbox.rs"]
mod sandbox;
#[allow(dead_code, reason = "its main")]
#[path = "../examples/service.rs"]
mod service;
#[path = "../examples/shared_fd_table.rs"]
mod shared_fd_table;
#[path = "../examples/socket_in_netns.rs"]
mod socket_in_netns;
#[path = "../examples/start_thread.rs"]
mod start_thread;

#[test]
fn what_needs_no_privileges_runs() {
    shared_fd_table::main().expect("it works");
    for result in [socket_in_netns::main(), namespace_probe::main().map_err(Into::into)] {
        if let Err(error) = result {
            assert!(error.to_string().contains("NEWUSER is refused"), "{error}");
            common::skip(&error.to_string());
        }
    }
}

/// The main job: Linus's program prints its six lines.
#[test]
fn start_thread_prints_the_six_lines_of_1996() {
    if std::env::var_os("RUN_START_THREAD").is_some() {
        return start_thread::main().expect("each step works");
    }
    let output = Command::new(std::env::current_exe().expect("our own path"))
        .args(["--exact", "start_thread_prints_the_six_lines_of_1996", "--nocapture", "--test-threads=1"])
        .env("RUN_START_THREAD", "1")
        .output()
        .expect("our own program runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, rest) = text.split_once("mother:\t fd = ").expect(&text);
    let (fd, _) = rest.split_once('\n').expect(&text);
    let expected = format!(
        "mother:\t fd = {fd}\nmother:\t vm = 10\nchild:\t got argument {fd} as fd\nchild:\t vm = 5\n\
         mother:\t vm = 5\nmother:\t child closed our file descriptor\n"
    );
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains(&expected), "{text}");
}

/// Returns a command for this program. It runs this test, and acts as `part` there.
fn part(test: &str, part: &str) -> clone_trampoline::Command {
    let mut command = clone_trampoline::Command::new("/proc/self/exe");
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("PART", part);
    command
}

#[test]
fn the_sandbox_shuts_a_program_in() {
    let test = "the_sandbox_shuts_a_program_in";
    if var_os("PART").is_some() {
        let status = fs::read_to_string("/proc/self/status").expect("/proc is there");
        let line = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim().to_owned()
        };
        assert_eq!(std::process::id(), 1);
        assert_eq!(line("Uid:"), "1000\t1000\t1000\t1000");
        assert_eq!((&*line("NoNewPrivs:"), u64::from_str_radix(&line("CapPrm:"), 16)), ("1", Ok(0)));
        assert!(File::create("/file").is_err() && File::create("/tmp/file").is_ok());
        assert!(TcpStream::connect("127.0.0.1:1").is_err());
        assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname").expect("/proc is there"), "sandbox\n");
        std::process::exit(42);
    }
    match sandbox::run(part(test, "inside").stdin(Stdio::null()).stdout(Stdio::null())) {
        Ok(status) => assert_eq!(status.code(), Some(42)),
        // A container hides parts of /proc, or there are no user namespaces.
        Err(error) => {
            assert!(error.to_string().contains("Operation not permitted"), "{error}");
            common::skip(&error.to_string());
        }
    }
}

#[test]
fn the_service_is_started_again_and_ended() {
    let test = "the_service_is_started_again_and_ended";
    // SAFETY: the test gives these parts descriptor 3, and nothing else uses it.
    let socket = || unsafe { TcpListener::from_raw_fd(3) };
    match var_os("PART").as_ref().and_then(|part| part.to_str()) {
        Some("serve") => {
            // its descriptor is the socket
            service::serve().expect_err("it ends after three clients");
            std::process::exit(5);
        }
        Some(_) => {
            service::supervise(&mut part(test, "serve"), socket()).expect("it stops at SIGTERM");
            std::process::exit(42);
        }
        None => {}
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has one");
    let mut supervisor: Child = part(test, "supervise")
        .fd(3, listener)
        // This must hold for each thread, including those that libtest makes.
        .block_signals(&[libc::SIGTERM])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("our own program runs");
    let answer = || {
        let mut client = TcpStream::connect(address).expect("somebody listens");
        client.set_read_timeout(Some(common::limit())).expect("a time");
        let mut text = String::new();
        client.read_to_string(&mut text).expect("an answer in time");
        text
    };
    let answers = [(); 4].map(|()| answer());
    assert!(answers[0].ends_with("client 1\n") && answers[2].ends_with("client 3\n"), "{answers:?}");
    assert!(answers[3].ends_with("client 1\n"), "{answers:?}");
    supervisor.send_signal(libc::SIGTERM).expect("it is there");
    let status = supervisor.wait_timeout(common::limit()).expect("it is ours");
    assert_eq!(status.and_then(|status| status.code()), Some(42));
}
