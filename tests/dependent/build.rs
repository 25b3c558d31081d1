//! The variables that a build script of a dependent may use.

use std::env;
use std::path::Path;

fn main() {
    for (name, file) in [("INCLUDE", "/clone_trampoline.h"), ("ARCHIVE", "")] {
        let path = env::var(format!("DEP_CLONE_TRAMPOLINE_{name}")).expect(name);
        assert!(Path::new(&(path + file)).is_file(), "{name}");
    }
}
