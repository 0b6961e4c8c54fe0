//! A node while it is imported: inputs and attributes with defaults and messages.

use super::{Frame, Importer, Item};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use nim_graph::Built;
use nim_ir::ValueId;

/// A node with its inputs looked up.
pub(crate) struct Node<'a> {
    proto: &'a NodeProto,
    /// Version of the operator set of its domain.
    pub version: i64,
    /// Inputs; absent ones are `None`.
    pub inputs: Vec<Option<ValueId>>,
    /// Inputs, sequences and optional values among them.
    pub items: Vec<Option<Item>>,
    frame: Frame,
}

impl<'a> Node<'a> {
    pub(super) fn new(proto: &'a NodeProto, version: i64, items: Vec<Option<Item>>, frame: Frame) -> Node<'a> {
        let inputs = items.iter().map(|item| item.as_ref().and_then(Item::value)).collect();
        Node { proto, version, inputs, items, frame }
    }
    /// The operator.
    pub fn op_type(&self) -> &'a str {
        &self.proto.op_type
    }
    /// Number of outputs that the file names, trailing empty ones left out.
    pub fn outputs(&self) -> usize {
        self.proto.output.iter().rposition(|o| !o.is_empty()).map_or(0, |i| i + 1)
    }
    /// True when output `i` is named.
    pub fn wants(&self, i: usize) -> bool {
        self.proto.output.get(i).is_some_and(|o| !o.is_empty())
    }
    /// The rank that the file declares of output `i`.
    pub fn declared_rank(&self, importer: &Importer<'_>, i: usize) -> Option<usize> {
        importer.declared.get(self.proto.output.get(i)?.as_str()).copied()
    }
    /// An input that must be there.
    pub fn input(&self, importer: &Importer<'_>, i: usize) -> Built {
        self.opt(i).ok_or_else(|| match self.items.get(i) {
            Some(Some(item)) => {
                importer.error("N0610", format!("input {i} must be a tensor, found {}", importer.describe(item)))
            }
            _ => importer.error("N0610", format!("input {i} is missing")),
        })
    }
    /// An input of any kind that must be there.
    pub fn item(&self, importer: &Importer<'_>, i: usize) -> Built<Item> {
        match self.items.get(i) {
            Some(Some(item)) => Ok(item.clone()),
            _ => Err(importer.error("N0610", format!("input {i} is missing"))),
        }
    }
    /// An input that may be absent.
    pub fn opt(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }
    /// All inputs, none of which may be absent.
    pub fn all(&self, importer: &Importer<'_>) -> Built<Vec<ValueId>> {
        (0..self.inputs.len()).map(|i| self.input(importer, i)).collect()
    }
    /// Its attributes, references to those of the function that is inlined resolved.
    pub fn attributes(&self) -> Vec<AttributeProto> {
        let resolve = |a: &AttributeProto| -> Option<AttributeProto> {
            if a.ref_attr_name.is_empty() {
                return Some(a.clone());
            }
            let mut found = self.frame.attributes.get(&a.ref_attr_name)?.clone();
            found.name = a.name.clone();
            Some(found)
        };
        self.proto.attribute.iter().filter_map(resolve).collect()
    }
    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        let own = self.proto.attribute.iter().find(|a| a.name == name)?;
        match own.ref_attr_name.as_str() {
            "" => Some(own),
            reference => self.frame.attributes.get(reference),
        }
    }
    /// True when the attribute is given.
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }
    /// An integer.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }
    /// An integer that may be absent.
    pub fn int_opt(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|a| a.i)
    }
    /// A truth value, written as 0 or 1.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.int(name, default as i64) != 0
    }
    /// A float.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }
    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|a| a.ints.clone())
    }
    /// A list of floats.
    pub fn floats(&self, name: &str) -> Option<Vec<f32>> {
        self.attribute(name).map(|a| a.floats.clone())
    }
    /// A text.
    pub fn string(&self, name: &str, default: &str) -> String {
        self.attribute(name).map_or(default.to_string(), |a| String::from_utf8_lossy(&a.s).into_owned())
    }
    /// A list of texts.
    pub fn strings(&self, name: &str) -> Option<Vec<String>> {
        self.attribute(name).map(|a| a.strings.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect())
    }
    /// A tensor.
    pub fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attribute(name)?.t.as_ref()
    }
    /// A type.
    pub fn type_proto(&self, name: &str) -> Option<&crate::proto::TypeProto> {
        self.attribute(name)?.tp.as_ref()
    }
    /// A sparse tensor.
    pub fn sparse_tensor(&self, name: &str) -> Option<&crate::proto::SparseTensorProto> {
        self.attribute(name)?.sparse_tensor.as_ref()
    }
    /// A subgraph.
    pub fn graph(&self, importer: &Importer<'_>, name: &str) -> Built<&'a GraphProto> {
        self.graph_opt(name).ok_or_else(|| importer.error("N0611", format!("the subgraph `{name}` is missing")))
    }
    /// A subgraph that may be absent.
    pub fn graph_opt(&self, name: &str) -> Option<&'a GraphProto> {
        self.proto.attribute.iter().find(|a| a.name == name).and_then(|a| a.g.as_ref())
    }
}
