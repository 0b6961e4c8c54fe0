//! Writes `libMLIR-C.so`, a linker script over the C API archives of the installed MLIR.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=MLIR_SYS_220_PREFIX");
    let out = env::var("OUT_DIR")?;
    let prefix = env::var("MLIR_SYS_220_PREFIX").unwrap_or_else(|_| "/usr/lib/llvm-22".to_owned());
    let lib = Path::new(&prefix).join("lib");
    let mut archives = Vec::new();
    let entries = fs::read_dir(&lib).map_err(|e| format!("no MLIR 22 in {}: {e}", lib.display()))?;
    for entry in entries {
        let name = entry?.file_name().into_string().unwrap_or_default();
        // The execution engine's C API drags in the ORC JIT and its own initialisers; nothing here uses it.
        if name.starts_with("libMLIRCAPI") && name.ends_with(".a") && !name.contains("ExecutionEngine") {
            archives.push(format!("\"{}\"", lib.join(name).display()));
        }
    }
    if archives.is_empty() {
        return Err(
            format!("no libMLIRCAPI*.a in {}: is the MLIR 22 development package installed?", lib.display()).into()
        );
    }
    // Sorted, so that the same installation always links in the same order.
    archives.sort();
    fs::write(Path::new(&out).join("libMLIR-C.so"), format!("GROUP( {} )\n", archives.join(" ")))?;
    println!("cargo:rustc-link-search=native={out}");
    Ok(())
}
