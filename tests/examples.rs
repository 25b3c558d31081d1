//! The examples do what they say, on every kernel that the tests run on.

use std::process::Command;

mod common;
#[path = "../examples/namespace_probe.rs"]
mod namespace_probe;
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
