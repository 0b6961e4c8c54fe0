//! Which programs a test may name and where they lie, and the features that follow from what is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The programs and models of this machine.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Where the project's own programs lie.
    pub own: PathBuf,
    /// Where LLVM's programs lie, `bin` of its prefix.
    pub llvm: PathBuf,
    /// Where the models lie: `NIM_MODELS`.
    pub models: PathBuf,
}

impl Tools {
    /// Takes the places from the environment; `own` is where the project's programs were built.
    pub fn new(own: PathBuf) -> Tools {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let llvm = variable("MLIR_SYS_220_PREFIX").unwrap_or_else(|| "/usr/lib/llvm-22".into()).join("bin");
        let cache = || variable("HOME").unwrap_or_default().join(".cache/nim-models");
        Tools { own, llvm, models: variable("NIM_MODELS").unwrap_or_else(cache) }
    }

    /// What tests may ask for in `REQUIRES:`. `llvm`: the back ends are built; `mlir-opt`: upstream's tool is installed;
    /// `models`: models were fetched; `model:ID`: this one was, with its reference inputs and outputs; `cases:KIND`: cases of
    /// operators.
    pub fn features(&self) -> BTreeSet<String> {
        let mut features = BTreeSet::new();
        let mut add = |there: bool, name: String| {
            if there {
                features.insert(name);
            }
        };
        add(self.own.join("nim-compile").is_file(), "llvm".into());
        add(self.llvm.join("mlir-opt").is_file(), "mlir-opt".into());
        add(cfg!(target_arch = "x86_64"), "x86".into());
        let folders = |of: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(of).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
        };
        let mut models =
            folders(&self.models.join("zoo")).into_iter().map(|id| (format!("zoo/{id}"), id)).collect::<Vec<_>>();
        for package in folders(&self.models.join("pkg")) {
            let ids = folders(&self.models.join("pkg").join(&package));
            models.extend(ids.into_iter().map(|id| (format!("pkg/{package}/{id}"), format!("{package}/{id}"))));
        }
        models.retain(|(folder, _)| self.models.join(folder).join("golden.json").is_file());
        add(!models.is_empty(), "models".into());
        for kind in ["node", "extra", "fuzz"] {
            let cases = self.models.join("onnx-tests").join(kind);
            add(cases.is_dir(), format!("cases:{kind}"));
        }
        models.into_iter().for_each(|(_, id)| add(true, format!("model:{id}")));
        features
    }

    /// The file of a program, or its name where the system is to find it.
    ///
    /// # Errors
    /// One of the project's own programs is not built.
    pub fn find(&self, program: &str) -> Result<PathBuf, String> {
        if program.contains('/') {
            return Ok(program.into());
        }
        if program.starts_with("nim-") {
            let path = self.own.join(program);
            return if path.is_file() { Ok(path) } else { Err(format!("{program} is not built")) };
        }
        let of_llvm =
            program.starts_with("mlir-") || program.starts_with("llvm-") || matches!(program, "opt" | "llc" | "lli");
        Ok(if of_llvm { self.llvm.join(program) } else { program.into() })
    }
}

/// Replaces `%s`, `%S`, `%t`, `%T`, `%models` and `%%` in a word.
pub fn substitute(word: &str, table: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let found = table.iter().find_map(|(name, value)| Some((value, rest.strip_prefix(name)?)));
        let Some((value, after)) =
            found.filter(|(_, after)| !after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
        else {
            // an SSA name or a format in an argument stays as it is
            out.push('%');
            continue;
        };
        out.push_str(value);
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substitutes_whole_names() {
        let table = [("models", "M".to_owned()), ("s", "a.nir".into()), ("t", "/x/t".into())];
        let of = |word: &str| substitute(word, &table);
        assert_eq!(of("%s"), "a.nir");
        assert_eq!(of("%t.nir=%t2"), "/x/t.nir=/x/t2");
        assert_eq!(of("%models/zoo"), "M/zoo");
        assert_eq!(of("%% %sum %0 %d"), "% %sum %0 %d");
    }
}
