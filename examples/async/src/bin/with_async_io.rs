//! Waits for programs by async-io, the reactor of smol and async-std: a pidfd is readable when its process has ended.
//!
//! `cargo run --bin with_async_io` in `examples/async`.

use async_io::{Async, block_on};
use clone_trampoline::{Child, Command};
use futures_lite::future;
use std::io;
use std::process::ExitStatus;

async fn wait(mut child: Child) -> io::Result<ExitStatus> {
    // of our own, as an `Async` owns what it waits for
    let pidfd = child.pidfd().expect("a Command asks for one").try_clone_to_owned()?;
    Async::new_nonblocking(pidfd)?.readable().await?;
    Ok(child.try_wait()?.expect("it has ended"))
}

fn main() -> io::Result<()> {
    block_on(async {
        let program = |code: i32| {
            let child = Command::new("/bin/sh").args(["-c", &format!("exit {code}")]).spawn();
            async { wait(child?).await }
        };
        let (five, seven) = future::try_zip(program(5), program(7)).await?;
        assert_eq!((five.code(), seven.code()), (Some(5), Some(7)));
        println!("two programs have ended, with {five} and {seven}");
        Ok(())
    })
}
