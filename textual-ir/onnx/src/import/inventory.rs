//! What a model is made of, and what of it can be imported.

use super::{canonical_domain, node_name, rules};
use crate::{
    LoadedModel,
    external::Location,
    proto::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto::DataLocation},
};
use nim_ir::{Context, Diagnostic, Loc};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

/// An operator that a model uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorUse {
    /// Its domain; empty for ONNX's own.
    pub domain: String,
    /// Its name.
    pub name: String,
    /// The nodes of it, those of subgraphs and functions among them. A node without a name is called as its first output.
    pub nodes: Vec<String>,
    /// Whether there is a rule that imports it.
    pub is_imported: bool,
}

impl fmt::Display for OperatorUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.domain.as_str() {
            "" => f.write_str(&self.name),
            domain => write!(f, "{domain}.{}", self.name),
        }
    }
}

/// The version of each operator set that a model asks for, by domain; ONNX's own is the empty one.
pub fn opsets(model: &LoadedModel) -> BTreeMap<String, i64> {
    model.proto.opset_import.iter().map(|o| (canonical_domain(&o.domain).to_string(), o.version)).collect()
}

/// Domain and name of every operator that can be imported.
pub fn known() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = rules::table().into_keys().collect();
    all.sort_unstable();
    all
}

/// All operators of a model by domain and name. Calls of its own functions are none.
pub fn operators(model: &LoadedModel) -> Vec<OperatorUse> {
    let (rules, functions) = (rules::table(), &model.proto.functions);
    let own = |node: &NodeProto| {
        let same = |f: &&crate::proto::FunctionProto| {
            f.name == node.op_type
                && f.overload == node.overload
                && canonical_domain(&f.domain) == canonical_domain(&node.domain)
        };
        functions.iter().find(same).is_some()
    };
    let mut found: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for node in everything(model).1.into_iter().filter(|node| !own(node)) {
        let key = (canonical_domain(&node.domain), node.op_type.as_str());
        found.entry(key).or_default().push(node_name(node).to_string());
    }
    let made = |((domain, name), nodes): ((&str, &str), Vec<String>)| OperatorUse {
        domain: domain.to_string(),
        name: name.to_string(),
        nodes,
        is_imported: rules.keys().any(|&key| key == (domain, name)),
    };
    found.into_iter().map(made).collect()
}

/// Everything that no rule is there for, all at once.
pub(super) fn unsupported(ctx: &Context, model: &LoadedModel) -> Vec<Diagnostic> {
    let missing = operators(model).into_iter().filter(|o| !o.is_imported);
    missing
        .map(|operator| {
            let loc = operator.nodes.first().map_or(Loc::UNKNOWN, |n| ctx.named_loc(n));
            let shown: Vec<&str> = operator.nodes.iter().take(8).map(String::as_str).collect();
            Diagnostic::error("N0601", loc, format!("the operator {operator} is not supported")).note(format!(
                "{} node(s): {}",
                operator.nodes.len(),
                shown.join(", ")
            ))
        })
        .collect()
}

/// What a model's initializers and `Constant` nodes hold together.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Parameters {
    /// How many there are.
    pub tensors: u64,
    /// Their elements; of sparse ones those that are stored.
    pub elements: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// Counts the initializers and the tensors of `Constant` nodes, of a model, its subgraphs and its functions.
pub fn parameters(model: &LoadedModel) -> Parameters {
    let mut sum = Parameters::default();
    let (graphs, nodes) = everything(model);
    for node in nodes.into_iter().filter(|n| n.op_type == "Constant" && canonical_domain(&n.domain).is_empty()) {
        let sparse = |a: &AttributeProto| a.sparse_tensor.as_ref().and_then(|s| s.values.clone());
        node.attribute.iter().for_each(|a| sum.add(a.t.as_ref().or(sparse(a).as_ref())));
    }
    for graph in graphs {
        let stored = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
        graph.initializer.iter().chain(stored).for_each(|t| sum.add(Some(t)));
    }
    sum
}

/// The graphs and nodes of a model, of its subgraphs and of its functions.
fn everything(model: &LoadedModel) -> (Vec<&GraphProto>, Vec<&NodeProto>) {
    let mut nodes: Vec<&NodeProto> = model.proto.functions.iter().flat_map(|f| &f.node).collect();
    let mut graphs: Vec<&GraphProto> = model.proto.graph.iter().collect();
    let (mut all_graphs, mut all_nodes) = (vec![], vec![]);
    loop {
        while let Some(node) = nodes.pop() {
            graphs.extend(node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)));
            all_nodes.push(node);
        }
        let Some(graph) = graphs.pop() else { return (all_graphs, all_nodes) };
        nodes.extend(graph.node.iter().rev());
        all_graphs.push(graph);
    }
}

/// The files besides its own that a model's tensors say they lie in, whether they are there or not.
pub fn external_files(model: &LoadedModel) -> BTreeSet<PathBuf> {
    let (graphs, nodes) = everything(model);
    let attributes = || nodes.iter().flat_map(|node| &node.attribute);
    let sparse = graphs.iter().flat_map(|g| &g.sparse_initializer);
    let sparse = sparse.chain(attributes().flat_map(|a| a.sparse_tensor.iter().chain(&a.sparse_tensors)));
    let tensors = graphs.iter().flat_map(|g| &g.initializer);
    let tensors = tensors.chain(attributes().flat_map(|a| a.t.iter().chain(&a.tensors)));
    let tensors = tensors.chain(sparse.flat_map(|s| s.values.iter().chain(&s.indices)));
    let folder = model.path.parent().unwrap_or(Path::new(""));
    let outside = tensors.filter(|t| t.data_location == DataLocation::External as i32);
    outside.filter_map(|t| Some(folder.join(Location::of(&t.external_data).ok()?.location))).collect()
}

impl Parameters {
    fn add(&mut self, tensor: Option<&TensorProto>) {
        let Some(tensor) = tensor else { return };
        let elements = tensor.dims.iter().fold(1u64, |n, &d| n.saturating_mul(u64::try_from(d).unwrap_or(0)));
        let bits = crate::dtype_of(tensor.data_type).map_or(0, |d| d.bits() as u64);
        self.tensors += 1;
        self.elements = self.elements.saturating_add(elements);
        self.bytes = self.bytes.saturating_add(elements.saturating_mul(bits).div_ceil(8));
    }
}
