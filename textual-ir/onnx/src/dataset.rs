//! Test data next to a model: folders `test_data_set_0`, `test_data_set_1`, ... of files `input_0.pb`, `output_0.pb`.

use crate::{
    LoadedModel, OnnxError,
    proto::{GraphProto, ValueInfoProto},
    value,
};
use nim_tensor::{Blob, Value};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// A value and the graph input or output it belongs to.
#[derive(Clone, PartialEq, Debug)]
pub struct NamedValue {
    /// The name in the graph.
    pub name: String,
    /// The value.
    pub value: Value,
}

/// One folder of test data.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DataSet {
    /// The inputs, in the order of their files.
    pub inputs: Vec<NamedValue>,
    /// The expected outputs, in the order of their files.
    pub outputs: Vec<NamedValue>,
}

/// The test data folders in a model's folder, in numerical order; none if there are none.
pub fn list_data_sets(folder: &Path) -> Result<Vec<PathBuf>, OnnxError> {
    let found = numbered(folder, "test_data_set_", "")?;
    Ok(found.into_iter().map(|(_, path)| path).filter(|path| path.is_dir()).collect())
}

/// Reads one test data folder of a model.
///
/// File `input_J.pb` belongs to the graph input that its value names, else to the J-th input; inputs with an
/// initializer, which old models list too, count only if they are named. Outputs likewise.
pub fn read_data_set(folder: &Path, model: &LoadedModel) -> Result<DataSet, OnnxError> {
    let empty = GraphProto::default();
    let graph = model.proto.graph.as_ref().unwrap_or(&empty);
    let constants: HashSet<&str> = (graph.initializer.iter().map(|t| t.name.as_str()))
        .chain(graph.sparse_initializer.iter().map(crate::sparse::name_of))
        .collect();
    let free: Vec<&ValueInfoProto> = graph.input.iter().filter(|i| !constants.contains(i.name.as_str())).collect();
    Ok(DataSet {
        inputs: read_files(folder, "input_", &free, &graph.input)?,
        outputs: read_files(folder, "output_", &graph.output.iter().collect::<Vec<_>>(), &graph.output)?,
    })
}

fn read_files(
    folder: &Path,
    prefix: &str,
    by_position: &[&ValueInfoProto],
    by_name: &[ValueInfoProto],
) -> Result<Vec<NamedValue>, OnnxError> {
    let read = |(position, path): (usize, PathBuf)| {
        let blob = Blob::map_file(&path).map_err(|source| OnnxError::Io { path: path.clone(), source })?;
        let info = by_position.get(position).copied();
        let decoded = value::decode_named(&blob, info.and_then(|info| info.r#type.as_ref()));
        // The name decides; only then may the position have meant a value of another kind.
        let named = |name: &str| by_name.iter().find(|info| !name.is_empty() && info.name == name);
        let guess = || value::decode_named(&blob, None).ok().and_then(|(name, _)| named(&name));
        let other = match &decoded {
            Ok((name, _)) => named(name),
            Err(_) => guess(),
        };
        let (info, decoded) = match other {
            Some(other) if info.is_none_or(|info| info.name != other.name) => {
                (Some(other), value::decode_named(&blob, other.r#type.as_ref()))
            }
            _ => (info, decoded),
        };
        let (_, value) = decoded.map_err(|e| e.in_file(&path))?;
        let info = info.ok_or_else(|| {
            let kind = prefix.trim_end_matches('_');
            OnnxError::invalid(format!("the model has no {kind} for this file")).in_file(&path)
        })?;
        Ok(NamedValue { name: info.name.clone(), value })
    };
    numbered(folder, prefix, ".pb")?.into_iter().map(read).collect()
}

/// Entries `<prefix><number><suffix>` of a folder, by number.
fn numbered(folder: &Path, prefix: &str, suffix: &str) -> Result<Vec<(usize, PathBuf)>, OnnxError> {
    let io = |source| OnnxError::Io { path: folder.to_path_buf(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let digits = name.to_str().and_then(|n| n.strip_prefix(prefix)?.strip_suffix(suffix));
        if let Some(number) = digits.and_then(|d| d.parse().ok()) {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}
