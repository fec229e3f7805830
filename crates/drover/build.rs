//! Links without position independence: each task's shim is a copy of this program, and relocated pages would be its own.

fn main() {
    println!("cargo:rustc-link-arg-bins=-no-pie");
    println!("cargo:rerun-if-changed=build.rs");
}
