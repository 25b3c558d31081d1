use std::env;

fn main() {
    println!("cargo::rerun-if-changed=.");
    println!("cargo::rerun-if-changed=../../asm/port.h");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    cc::Build::new().include("../../asm").file(format!("{arch}.S")).compile("probe");
}
