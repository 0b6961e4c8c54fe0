//! Cases: where they lie, what they are made of.

use clap::ValueEnum;
use nim_onnx::{
    LoadedModel, dtype_of,
    import::inventory,
    load_model,
    proto::{TypeProto, type_proto},
};
use nim_tensor::DType;
use nim_tools::{Failure, Stage, files};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

/// How the inputs of a model are taken.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ValueEnum)]
pub enum Mode {
    /// As the file says.
    Static,
    /// Every dimension of every input becomes a symbol.
    Dynamic,
    /// The tensors of the test data become constants of the model.
    Const,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Static => "static",
            Mode::Dynamic => "dynamic",
            Mode::Const => "const",
        })
    }
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of its folder's folder and its own.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Operators of its model, those of subgraphs and functions too; with the domain where it is not ONNX's own.
    pub ops: BTreeSet<String>,
    /// Of each operator of the graph itself, the opset and the element types it is met with.
    pub uses: BTreeMap<String, Use>,
    /// Whether its numbers are drawn at random, so that only types and shapes can be compared.
    pub random: bool,
}

/// How a case uses an operator.
#[derive(Clone, Default, Debug)]
pub struct Use {
    /// The version of the operator set of its domain.
    pub opset: i64,
    /// Element types of operands and results, as far as the file says them.
    pub types: BTreeSet<&'static str>,
}

/// Operators whose results the standard leaves to chance.
const RANDOM: [&str; 6] =
    ["Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];

/// All cases below some folders, by name.
///
/// # Errors
/// A folder that cannot be read or holds no case.
pub fn find(folders: &[PathBuf], filter: Option<&str>) -> Result<Vec<Case>, Failure> {
    let mut cases = vec![];
    for folder in folders {
        let before = cases.len();
        if is_case(folder) {
            cases.push(folder.clone());
        } else {
            let entries = fs::read_dir(folder).map_err(|e| files::io_failure(folder, &e))?;
            let found = entries.filter_map(|e| e.ok()).map(|e| e.path()).filter(|p| is_case(p));
            cases.extend(found);
        }
        if cases.len() == before {
            let message = format!("{}: there is no case in it (CASE/model.onnx)", folder.display());
            return Err(Failure::new(Stage::Load, message));
        }
    }
    let mut named: Vec<(String, PathBuf)> = cases.into_iter().map(|p| (name(&p), p)).collect();
    named.retain(|(name, _)| filter.is_none_or(|f| name.contains(f)));
    named.sort();
    named.dedup();
    // A model that cannot be read has no operators that could be known; running it will say why.
    let read = |(name, folder): (String, PathBuf)| {
        let model = load_model(folder.join("model.onnx")).ok();
        let ops = model.as_ref().map(|m| inventory::operators(m).iter().map(ToString::to_string).collect());
        let ops: BTreeSet<String> = ops.unwrap_or_default();
        let random = RANDOM.iter().any(|op| ops.contains(*op)) || model.as_ref().is_some_and(trains_dropout);
        let uses = model.as_ref().map(uses).unwrap_or_default();
        Case { name, folder, ops, uses, random }
    };
    Ok(named.into_iter().map(read).collect())
}

fn uses(model: &LoadedModel) -> BTreeMap<String, Use> {
    let opsets = inventory::opsets(model);
    let Some(graph) = &model.proto.graph else { return BTreeMap::new() };
    let declared = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
    let declared = declared.filter_map(|v| Some((v.name.as_str(), element_type(v.r#type.as_ref()?)?)));
    let constants = graph.initializer.iter().map(|t| (t.name.as_str(), t.data_type));
    let types: BTreeMap<&str, i32> = declared.chain(constants).collect();
    let mut found: BTreeMap<String, Use> = BTreeMap::new();
    for node in &graph.node {
        let domain = if node.domain == "ai.onnx" { "" } else { &node.domain };
        let name = if domain.is_empty() { node.op_type.clone() } else { format!("{domain}.{}", node.op_type) };
        let names = node.input.iter().chain(&node.output);
        let own = names.filter_map(|n| dtype_of(*types.get(n.as_str())?).ok()).map(|d| match d {
            DType::String => "string",
            d => d.name(),
        });
        let entry = found.entry(name).or_default();
        entry.opset = opsets.get(domain).copied().unwrap_or(1);
        entry.types.extend(own);
    }
    found
}

/// The element type of a tensor, or of what a sequence, an optional value or a map holds.
fn element_type(ty: &TypeProto) -> Option<i32> {
    match ty.value.as_ref()? {
        type_proto::Value::TensorType(t) => Some(t.elem_type),
        type_proto::Value::SparseTensorType(t) => Some(t.elem_type),
        type_proto::Value::SequenceType(s) => element_type(s.elem_type.as_deref()?),
        type_proto::Value::OptionalType(o) => element_type(o.elem_type.as_deref()?),
        type_proto::Value::MapType(m) => element_type(m.value_type.as_deref()?),
        type_proto::Value::OpaqueType(_) => None,
    }
}

/// A Dropout that is told at run time that it trains: it drops elements at random.
fn trains_dropout(model: &LoadedModel) -> bool {
    let nodes = model.proto.graph.iter().flat_map(|g| &g.node);
    nodes.into_iter().any(|n| n.op_type == "Dropout" && n.input.get(2).is_some_and(|name| !name.is_empty()))
}

fn is_case(folder: &Path) -> bool {
    folder.join("model.onnx").is_file()
}

fn name(folder: &Path) -> String {
    let part = |p: Option<&Path>| p.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    format!("{}/{}", part(folder.parent()), part(Some(folder)))
}
