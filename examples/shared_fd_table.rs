//! The child opens a file, and the parent uses it. File descriptors are shared in both directions, although the child
//! has its own working directory here.

use clone_trampoline::Builder;
use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = Builder::new().share_fs(false).call(|| {
        env::set_current_dir("/proc/sys/kernel")?;
        File::open("ostype")
    })??;
    println!("still in {}", env::current_dir()?.display());
    println!("{}", BufReader::new(file).lines().next().ok_or("an empty file")??);
    Ok(())
}
