//! The crates of this workspace, as `cargo metadata` tells them.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its folder.
    pub root: PathBuf,
    /// Its crates.
    pub crates: Vec<Crate>,
}

/// One crate.
#[derive(Clone, Debug)]
pub struct Crate {
    /// Its name, `nim-graph`.
    pub name: String,
    /// Its folder from the root, `dialects/graph`.
    pub folder: String,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// The names of its features.
    pub features: Vec<String>,
    /// Whether plain `cargo build` builds it.
    pub is_default: bool,
}

/// An arrow.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// The crate it points to.
    pub name: String,
    /// Only for tests and benchmarks.
    pub dev: bool,
    /// Only with a feature.
    pub optional: bool,
}

impl Workspace {
    /// The workspace that this crate belongs to.
    ///
    /// # Errors
    /// `cargo metadata` fails or says what is not understood.
    pub fn load() -> Result<Workspace, String> {
        let output = Command::new(cargo())
            .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .map_err(|why| format!("cargo metadata: {why}"))?;
        if !output.status.success() {
            return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let value: Value = serde_json::from_slice(&output.stdout).map_err(|why| format!("cargo metadata: {why}"))?;
        Workspace::read(&value).ok_or_else(|| "cargo metadata: not in the form that is known".into())
    }

    fn read(value: &Value) -> Option<Workspace> {
        let root = PathBuf::from(value["workspace_root"].as_str()?);
        let defaults = value["workspace_default_members"].as_array()?;
        let dependency = |value: &Value| {
            Some(Dependency {
                name: value["name"].as_str()?.to_owned(),
                dev: value["kind"] == "dev",
                optional: value["optional"].as_bool()?,
            })
        };
        let read_crate = |value: &Value| {
            let folder = Path::new(value["manifest_path"].as_str()?).parent()?.strip_prefix(&root).ok()?;
            Some(Crate {
                name: value["name"].as_str()?.to_owned(),
                folder: folder.to_str()?.to_owned(),
                dependencies: value["dependencies"].as_array()?.iter().map(dependency).collect::<Option<_>>()?,
                features: value["features"].as_object()?.keys().cloned().collect(),
                is_default: defaults.contains(&value["id"]),
            })
        };
        let crates = value["packages"].as_array()?.iter().map(read_crate).collect::<Option<_>>()?;
        Some(Workspace { root, crates })
    }

    /// The crate of this name, where it is one of ours.
    pub fn find(&self, name: &str) -> Option<&Crate> {
        self.crates.iter().find(|one| one.name == name)
    }

    /// All that a crate needs to be built without features: its own name first, then ours and others', each once.
    pub fn needs<'a>(&'a self, one: &'a Crate) -> Vec<&'a str> {
        let mut names = vec![one.name.as_str()];
        let mut next = 0;
        while next < names.len() {
            for dependency in self.find(names[next]).into_iter().flat_map(|one| &one.dependencies) {
                if !dependency.dev && !dependency.optional && !names.contains(&dependency.name.as_str()) {
                    names.push(&dependency.name);
                }
            }
            next += 1;
        }
        names
    }
}

/// The cargo that runs us, or the one on the path.
pub fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
