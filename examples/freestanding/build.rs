//! Links nothing but what is in the program: no start files, no libc, no loader.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // core's objects name the personality of unwinding, which nothing here does
    for argument in ["-nostdlib", "-static", "-no-pie", "-Wl,--defsym=rust_eh_personality=0"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
