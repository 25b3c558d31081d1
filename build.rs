//! Assembles `asm/<target_arch>.S`, the port of the target, into `libclone_trampoline.a`.
//!
//! This file knows no architecture: a new port is a new file in `asm/` and no change here.

use std::env;
use std::fs;
use std::path::Path;
use std::process::exit;

fn main() {
    // cc prints rerun-if-env-changed lines, which switch off cargo's own watch over the package.
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=asm");
    println!("cargo::rerun-if-env-changed=DOCS_RS");

    // PipeReader and PipeWriter are younger than the oldest Rust that is promised.
    println!("cargo::rustc-check-cfg=cfg(std_has_pipes)");
    if autocfg::new().probe_rustc_version(1, 87) {
        autocfg::emit("std_has_pipes");
    }

    // For build scripts of dependents: DEP_CLONE_TRAMPOLINE_INCLUDE and, below, _ARCHIVE.
    let root = var("CARGO_MANIFEST_DIR");
    println!("cargo::metadata=include={root}/include");

    // Miri links nothing.
    if env::var_os("CARGO_CFG_MIRI").is_some() {
        return;
    }

    let target = var("TARGET");
    let os = var("CARGO_CFG_TARGET_OS");
    if os != "linux" && os != "android" {
        fail(&[
            format!("{target} is not a Linux target (target_os is \"{os}\")"),
            "clone(2) and clone3(2) are system calls of the Linux kernel".into(),
        ]);
    }

    let asm = Path::new(&root).join("asm");
    let arch = var("CARGO_CFG_TARGET_ARCH");
    let port = asm.join(format!("{arch}.S"));
    if !port.exists() {
        fail(&[
            format!("there is no port for {target}: asm/{arch}.S is missing"),
            format!("ports exist for {}", ports(&asm).join(", ")),
            "PORTING.md beside Cargo.toml tells how to write one".into(),
        ]);
    }

    if let Err(error) = cc::Build::new().file(&port).try_compile("clone_trampoline") {
        // docs.rs has no assembler for its further targets, and documents without an archive. Code of the host, such as
        // another crate's build script that calls this one, is linked there too.
        if env::var_os("DOCS_RS").is_some() {
            println!("cargo::warning=without clone_trampoline's archive: {error}");
            return;
        }
        let name = target.replace('-', "_");
        fail(&[
            format!("asm/{arch}.S could not be assembled for {target}: {error}"),
            format!("if what it lacks is a C compiler for {target}, gcc or clang: name one in CC_{name}"),
        ]);
    }

    let archive = format!("{}/libclone_trampoline.a", var("OUT_DIR"));
    println!("cargo::metadata=archive={archive}");
    // For our own tests, which look into the object file.
    println!("cargo::rustc-env=CLONE_TRAMPOLINE_ARCHIVE={archive}");
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}

fn ports(asm: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(asm)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "S"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

fn fail(lines: &[String]) -> ! {
    for line in lines {
        println!("cargo::error={}", line.replace('\n', " "));
    }
    exit(1)
}
