//! Compiles `cpp/bridge.cpp` against the headers of the installed MLIR.

use std::{env, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=cpp/bridge.cpp");
    println!("cargo:rerun-if-env-changed=MLIR_SYS_220_PREFIX");
    let prefix = env::var("MLIR_SYS_220_PREFIX").unwrap_or_else(|_| "/usr/lib/llvm-22".to_owned());
    // As LLVM itself is compiled: its headers count on it that there is no run-time type information.
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .flag("-fno-rtti")
        .flag("-fno-exceptions")
        .opt_level(1)
        .debug(false)
        .warnings(false)
        .include(Path::new(&prefix).join("include"))
        .file("cpp/bridge.cpp")
        .compile("nim_mlir_bridge");
}
