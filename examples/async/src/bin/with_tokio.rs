//! Waits for programs in a runtime of tokio: a pidfd is readable when its process has ended.
//!
//! `cargo run --bin with_tokio` in `examples/async`.

use clone_trampoline::{Child, Command};
use std::io;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::{Interest, unix::AsyncFd};
use tokio::task::JoinSet;

async fn wait(mut child: Child) -> io::Result<ExitStatus> {
    {
        let pidfd = child.pidfd().expect("a Command asks for one");
        // SAFETY: it is borrowed from the child, so that it stays open, and the same, for longer than this.
        let ended = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE)? };
        _ = ended.readable().await?;
    }
    Ok(child.try_wait()?.expect("it has ended"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let mut programs = JoinSet::new();
    for n in 0..100 {
        let child = Command::new("/bin/sh").args(["-c", &format!("exit {n}")]).spawn()?;
        programs.spawn(wait(child));
    }
    let mut codes: Vec<_> =
        programs.join_all().await.into_iter().map(|status| status.unwrap().code().unwrap()).collect();
    codes.sort_unstable();
    assert!(codes.into_iter().eq(0..100));

    // To stop waiting, drop the future: the program goes on. This one is killed.
    let child = Command::new("sleep").arg("1000").spawn()?;
    let mut killer = Killer(child);
    let pidfd = killer.0.pidfd().expect("a Command asks for one");
    // SAFETY: as above.
    let ready = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE)? };
    tokio::select! {
        _ = ready.readable() => panic!("it has ended"),
        () = tokio::task::yield_now() => {}
    }
    drop(ready);
    killer.0.kill()?;
    assert!(killer.0.wait_timeout(Duration::from_secs(10))?.is_some());
    println!("100 programs have ended, and one was killed");
    Ok(())
}

/// Kills the program if anything else here fails.
struct Killer(Child);

impl Drop for Killer {
    fn drop(&mut self) {
        _ = self.0.kill();
    }
}
