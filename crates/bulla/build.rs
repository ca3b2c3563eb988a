//! How the program is linked: so that it starts quickly, for it may be run for one small file after another.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_for_gnu = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux")
        && env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|library| library == "gnu");
    if !is_for_gnu || env::var("HOST").ok() != env::var("TARGET").ok() {
        return;
    }
    // A program that may be loaded anywhere has its pointers set right each time it starts: some 59,000, in a list of 1.4
    // MB. Packed the list has a hundredth of that.
    if c_library() >= Some((2, 36)) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // The unwinder is linked in, instead of loaded as a library of its own: an eighth of a millisecond of each start.
    if let Some(directory) = unwinder() {
        println!("cargo::rustc-link-search=native={}", directory.display());
    }
}

/// Version of the C library, which reads a packed list since 2.36: this host's, so that what is built here runs here.
fn c_library() -> Option<(u32, u32)> {
    let text = answer_of("getconf", "GNU_LIBC_VERSION")?;
    let mut numbers = text.strip_prefix("glibc ")?.split('.').map_while(|number| number.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// A directory in which a linker that looks for the unwinder's library finds its archive.
fn unwinder() -> Option<PathBuf> {
    let archive = answer_of("cc", "-print-file-name=libgcc_eh.a")?;
    if !Path::new(&archive).is_absolute() {
        // The compiler has none.
        return None;
    }
    let directory = PathBuf::from(env::var_os("OUT_DIR")?);
    std::fs::write(directory.join("libgcc_s.so"), "INPUT(-lgcc_eh)\n").ok()?;
    Some(directory)
}

fn answer_of(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
