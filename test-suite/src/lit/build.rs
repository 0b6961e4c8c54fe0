//! Builds the project's programs before their tests run, as cargo does for tests within one crate: so that
//! `cargo test -p nim-test-suite` alone tests the sources as they are.

use crate::workspace::{Workspace, cargo};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates that need LLVM on the machine to be built.
pub const NEED_LLVM: [&str; 4] = ["melior", "mlir-sys", "inkwell", "llvm-sys"];

/// Where the programs lie: in `NIM_TOOLS` if it is set, else beside the running test, built now.
/// With LLVM installed, all of them and the back ends; without, those that need none.
///
/// # Errors
/// They do not build.
pub fn programs(llvm: &Path) -> Result<PathBuf, String> {
    if let Some(folder) = std::env::var_os("NIM_TOOLS") {
        return Ok(folder.into());
    }
    // target/PROFILE/deps/lit-HASH
    let test = std::env::current_exe().map_err(|why| format!("the running test: {why}"))?;
    let folder = test.ancestors().nth(2).ok_or("the running test lies in no target folder")?;
    let (Some(target), Some(profile)) = (folder.parent(), folder.file_name()) else {
        return Err("the running test lies in no target folder".into());
    };
    let workspace = Workspace::load()?;
    let has_llvm = llvm.join("llvm-config").is_file();
    let mut command = Command::new(cargo());
    command.args(["build", "--quiet", "--bins"]).current_dir(&workspace.root).arg("--target-dir").arg(target);
    // Programs that tests run are built as the tests are: `debug` is the folder of the profile `test` too.
    command.arg("--profile").arg(if profile == "debug" { "test".as_ref() } else { profile });
    if has_llvm {
        command.arg("--all-features");
    }
    for tool in workspace.crates.iter().filter(|one| one.folder.starts_with("tools/")) {
        if has_llvm || !workspace.needs(tool).iter().any(|name| NEED_LLVM.contains(name)) {
            command.args(["-p", &tool.name]);
        }
    }
    let status = command.status().map_err(|why| format!("cargo build: {why}"))?;
    if status.success() { Ok(folder.to_owned()) } else { Err("the tools do not build".into()) }
}
