//! Packs the program's relocations: the loader reads each of them at the start, and unpacked they stay in memory for as long
//! as the daemon runs. It must not do anything else.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
