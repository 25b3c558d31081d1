//! The child opens, the parent uses: file descriptors are shared in both directions, while the child
//! stands elsewhere, here in a directory of its own.

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
