//! ONNX models into the `graph` dialect.
//!
//! Shapes are inferred while importing, so that every integer tensor that only carries shapes is an expression
//! over the inputs' dimensions and disappears; sizes that depend on data are bound to fresh symbols (`graph.bind`).
//! Each node gives its name to the ops made of it. Operators are composed of the dialect's few primitives in
//! [`rules`], one family a file.

pub mod inventory;
mod node;
mod order;
mod ranks;
mod rules;
mod scope;
mod specialize;
mod types;
mod weights;

use crate::{
    LoadedModel,
    proto::{FunctionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto},
};
use nim_graph::{Built, GraphBuilder};
use nim_ir::{BlockId, Body, Builder, Context, Diagnostic, Loc, Module, OpState, Trait, Type, ValueId};
use nim_tensor::{DType, Tensor};
pub(crate) use node::Node;
use rustc_hash::{FxHashMap, FxHashSet};
use std::{
    ops::{Deref, DerefMut},
    rc::Rc,
};

/// How inputs are taken.
#[derive(Default, Debug, Clone)]
pub struct ImportOptions {
    /// Every input dimension becomes a symbol of its own, whatever the file says.
    pub symbolic_inputs: bool,
    /// Inputs that become constants, by name.
    pub constants: FxHashMap<String, Tensor>,
    /// Shapes of inputs in place of those in the file, by name.
    pub shapes: FxHashMap<String, Vec<InputDim>>,
}

/// A dimension that an input is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InputDim {
    /// So many elements.
    Size(i64),
    /// A symbol: one size wherever it stands.
    Symbol(String),
}

/// A name's value in a scope. Optional outputs that are not made are absent.
type Scope = FxHashMap<String, Item>;

/// What a name of a model can stand for. Lists and optional values of which everything is known exist while importing only:
/// operators on them are carried out here.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A tensor.
    Value(ValueId),
    /// A list of tensors of one element type, all of which are known.
    Sequence(Rc<[Item]>, DType),
    /// A value or nothing; what it would be, where that is said.
    Optional(Option<Rc<Item>>, Option<Type>),
}

impl Item {
    /// The value of the program, if it is one.
    pub fn value(&self) -> Option<ValueId> {
        match self {
            Item::Value(v) => Some(*v),
            _ => None,
        }
    }
}

/// A function of the model that is being inlined: its attributes stand for references in its nodes.
#[derive(Default, Clone)]
pub(crate) struct Frame {
    attributes: FxHashMap<String, crate::proto::AttributeProto>,
}

/// Imports one model.
pub(crate) struct Importer<'a> {
    g: GraphBuilder<'a>,
    model: &'a LoadedModel,
    options: &'a ImportOptions,
    scopes: Vec<Scope>,
    frames: Vec<Frame>,
    opsets: FxHashMap<String, i64>,
    functions: FxHashMap<Callee, &'a FunctionProto>,
    rules: &'a FxHashMap<(&'static str, &'static str), rules::Rule>,
    depth: usize,
    /// Axes that a rule just refused because only run time knows them.
    unknown_axes: Option<specialize::Axes>,
    /// Inputs whose shapes are not made symbolic.
    fixed: &'a FxHashSet<String>,
    /// Ranks that the file declares of values: where nothing else says how many dimensions a value of run time has.
    declared: FxHashMap<&'a str, usize>,
    /// Names that the node which was refused takes; then those of the calls around it.
    refused: Vec<Vec<&'a str>>,
    /// Large tensors of the file.
    weights: weights::Weights,
}

impl<'a> Deref for Importer<'a> {
    type Target = GraphBuilder<'a>;
    fn deref(&self) -> &GraphBuilder<'a> {
        &self.g
    }
}
impl<'a> DerefMut for Importer<'a> {
    fn deref_mut(&mut self) -> &mut GraphBuilder<'a> {
        &mut self.g
    }
}

/// Operators of later versions may mean something else.
const NEWEST_OPSET: i64 = 28;

/// Imports a model as a module with one function `@main`, whose attributes `input_names` and `output_names` hold the
/// model's own names.
///
/// # Errors
/// What is wrong with the model: the place is the node, a note names the file.
pub fn import(ctx: &Context, model: &LoadedModel, options: &ImportOptions) -> Result<Module, Vec<Diagnostic>> {
    import_graph(ctx, model, options).map_err(|found| match model.path.as_os_str().is_empty() {
        true => found,
        false => found.into_iter().map(|d| d.note(format!("in the model {}", model.path.display()))).collect(),
    })
}

fn import_graph(ctx: &Context, model: &LoadedModel, options: &ImportOptions) -> Result<Module, Vec<Diagnostic>> {
    let graph = model
        .proto
        .graph
        .as_ref()
        .ok_or_else(|| vec![Diagnostic::error("N0600", Loc::UNKNOWN, "the model has no graph")])?;
    let rules = rules::table();
    let opsets: FxHashMap<String, i64> = inventory::opsets(model).into_iter().collect();
    if let Some(&version) = opsets.get("").filter(|&&v| v > NEWEST_OPSET) {
        let message = format!("opset {version} is not supported: the newest one known is {NEWEST_OPSET}");
        return Err(vec![Diagnostic::error("N0601", Loc::UNKNOWN, message)]);
    }
    let functions: FxHashMap<_, _> =
        model.proto.functions.iter().map(|f| (callee(&f.domain, &f.name, &f.overload), f)).collect();
    let missing = inventory::unsupported(ctx, model);
    if !missing.is_empty() {
        return Err(missing);
    }
    let works = |options: &ImportOptions| import_graph(ctx, model, options).is_ok();
    let options = &ranks::settled(graph, options, &works).map_err(|found| vec![found])?;
    // Inputs whose shapes operators need as numbers stay as the file says.
    let mut fixed: FxHashSet<String> = FxHashSet::default();
    loop {
        let mut body = Body::new();
        let region = body.add_root_region();
        let block = body.add_block(region, &[], &[]);
        let mut importer = Importer {
            g: GraphBuilder::new(Builder::at_end(ctx, &mut body, block)),
            model,
            options,
            scopes: vec![Scope::default()],
            frames: vec![],
            opsets: opsets.clone(),
            functions: functions.clone(),
            rules: &rules,
            depth: 0,
            unknown_axes: None,
            fixed: &fixed,
            declared: FxHashMap::default(),
            refused: vec![],
            weights: weights::Weights::default(),
        };
        match importer.main(graph, block) {
            Ok(signature) => return Ok(signature.into_module(ctx, graph, body)),
            Err(diagnostic) => {
                let more = importer.to_be_fixed(graph);
                if more.is_empty() {
                    return Err(vec![diagnostic]);
                }
                fixed.extend(more);
            }
        }
    }
}

/// What `@main` takes and gives.
struct Signature {
    inputs: Vec<String>,
    input_types: Vec<Type>,
    outputs: Vec<String>,
    output_types: Vec<Type>,
}

impl Signature {
    fn into_module(self, ctx: &Context, graph: &GraphProto, body: Body) -> Module {
        let mut module = Module::new();
        let block = module.body.entry().expect("a module has its block");
        let names = |list: &[String]| ctx.array_attr(list.iter().map(|n| ctx.string_attr(n)).collect::<Vec<_>>());
        let ty = ctx.function_type(&self.input_types, &self.output_types);
        let state = OpState::new(ctx, "func.func", ctx.named_loc(&graph.name))
            .attr(ctx, "sym_name", ctx.string_attr("main"))
            .attr(ctx, "function_type", ctx.type_attr(ty))
            .attr(ctx, "nim.input_names", names(&self.inputs))
            .attr(ctx, "nim.output_names", names(&self.outputs))
            .nested(body);
        Builder::at_end(ctx, &mut module.body, block).insert(state);
        module
    }
}

/// `ai.onnx` is another name of the empty domain.
fn canonical_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// What calls a function of the model: its domain, name and overload.
type Callee = [String; 3];

fn callee(domain: &str, name: &str, overload: &str) -> Callee {
    [canonical_domain(domain), name, overload].map(str::to_string)
}

/// What a node is called in messages: its name, else its first output's.
pub(crate) fn node_name(node: &NodeProto) -> &str {
    let output = || node.output.iter().find(|o| !o.is_empty()).unwrap_or(&node.op_type);
    if node.name.is_empty() { output() } else { &node.name }
}

impl<'a> Importer<'a> {
    fn main(&mut self, graph: &'a GraphProto, block: BlockId) -> Built<Signature> {
        self.initializers(graph)?;
        let mut signature = Signature { inputs: vec![], input_types: vec![], outputs: vec![], output_types: vec![] };
        for input in &graph.input {
            if self.scopes[0].contains_key(&input.name) {
                continue;
            }
            if let Some(tensor) = self.options.constants.get(&input.name) {
                let value = self.g.constant(&tensor.clone(), &input.name)?;
                self.define(&input.name, value);
                continue;
            }
            let ty = self.input_type(input)?;
            self.g.reserve_symbols(ty);
            let name = self.ctx().name(&value_name(&input.name));
            let value = self.g.b.body.add_block_arg(block, ty, Some(name));
            self.define(&input.name, value);
            signature.inputs.push(input.name.clone());
            signature.input_types.push(ty);
        }
        self.nodes(graph)?;
        let mut results = vec![];
        for output in &graph.output {
            let item = self.lookup(&output.name).ok_or_else(|| {
                self.error("N0602", format!("the graph's output {:?} is defined nowhere", output.name))
            })?;
            let value = self.as_value(&item)?;
            results.push(value);
            signature.outputs.push(output.name.clone());
            signature.output_types.push(self.ty(value));
        }
        self.g.b.loc = Loc::UNKNOWN;
        self.g.b.op("func.return", &results, &[], &[]);
        self.remove_unused();
        Ok(signature)
    }

    /// Erases ops that compute what nobody reads: mostly integer tensors whose elements became expressions.
    fn remove_unused(&mut self) {
        let ctx = self.ctx();
        for op in self.g.b.body.walk().into_iter().rev() {
            let body = &self.g.b.body;
            let pure = ctx.op_def(body.op_name(op)).is_some_and(|def| def.has(Trait::Pure));
            // Ops that bind a symbol may be needed for it.
            let binds = body.attr_named(ctx, op, "size").is_some();
            if pure && !binds && !body.results(op).is_empty() && body.results(op).iter().all(|&v| !body.has_uses(v)) {
                self.g.b.body.erase(op);
            }
        }
    }

    /// Inputs to be taken as the file says after a node was refused, so that it may be accepted: with symbolic inputs, first
    /// those that steer the node, then the first one, then all lists of integers, then all.
    fn to_be_fixed(&self, graph: &GraphProto) -> Vec<String> {
        if !self.options.symbolic_inputs {
            return vec![];
        }
        let open = |name: &str| !self.fixed.contains(name) && graph.input.iter().any(|i| i.name == name);
        for names in &self.refused {
            let steering: Vec<String> = names.iter().skip(1).filter(|n| open(n)).map(|n| n.to_string()).collect();
            if !steering.is_empty() {
                return steering;
            }
            if let Some(first) = names.first().filter(|n| open(n)) {
                return vec![first.to_string()];
            }
        }
        let all: Vec<&ValueInfoProto> = graph.input.iter().filter(|i| open(&i.name)).collect();
        let lists: Vec<String> = all.iter().filter(|i| types::is_integer_list(i)).map(|i| i.name.clone()).collect();
        if lists.is_empty() { all.iter().map(|i| i.name.clone()).collect() } else { lists }
    }

    fn input_type(&mut self, input: &ValueInfoProto) -> Built<Type> {
        let base = value_name(&input.name);
        let symbolic = self.options.symbolic_inputs && !self.fixed.contains(&input.name);
        let fail = |g: &Self, message: String| g.error("N0603", format!("input {:?}: {message}", input.name));
        let given = self.options.shapes.get(&input.name);
        match &input.r#type {
            Some(ty) if given.is_some() => types::reshaped(ty, given.map_or(&[], |g| g))
                .and_then(|ty| types::value_type(self.ctx(), &ty, &base, false))
                .map_err(|m| fail(self, m)),
            Some(ty) => types::value_type(self.ctx(), ty, &base, symbolic).map_err(|m| fail(self, m)),
            None => Err(fail(self, "it has no type".into())),
        }
    }

    fn initializers(&mut self, graph: &'a GraphProto) -> Built<()> {
        for proto in &graph.initializer {
            let value = self.tensor_constant(proto, &proto.name)?;
            self.define(&proto.name, value);
        }
        for proto in &graph.sparse_initializer {
            let name = proto.values.as_ref().map_or("", |v| v.name.as_str());
            let tensor = self.model.sparse_tensor(proto).map_err(|e| self.error("N0604", e.to_string()))?;
            let value = self.g.constant(&tensor, name)?;
            self.define(name, value);
        }
        Ok(())
    }

    /// A tensor of the file as a constant, sharing the file's bytes.
    pub(crate) fn tensor_constant(&mut self, proto: &TensorProto, name: &str) -> Built {
        let tensor = self.model.tensor(proto).map_err(|e| self.error("N0604", e.to_string()))?;
        let tensor = self.weights.once(tensor);
        let value = self.g.constant(&tensor, &value_name(name))?;
        if !name.is_empty() {
            let name = self.ctx().name(&value_name(name));
            self.g.b.name_value(value, name);
        }
        Ok(value)
    }

    fn define(&mut self, name: &str, value: ValueId) {
        self.define_item(name, Item::Value(value));
    }

    fn define_item(&mut self, name: &str, item: Item) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_string(), item);
        }
    }

    fn lookup(&self, name: &str) -> Option<Item> {
        self.scopes.iter().rev().find_map(|s| s.get(name).cloned())
    }

    fn nodes(&mut self, graph: &'a GraphProto) -> Built<()> {
        let known = |name: &str| self.lookup(name).is_some();
        let order = order::topological(&graph.node, &known).map_err(|message| self.error("N0605", message))?;
        let infos: FxHashMap<&str, &ValueInfoProto> =
            graph.value_info.iter().chain(&graph.output).map(|v| (v.name.as_str(), v)).collect();
        self.declared.extend(infos.iter().filter_map(|(&name, info)| Some((name, types::declared_rank(info)?))));
        for index in order {
            let node = &graph.node[index];
            self.node(node)?;
            for output in &node.output {
                if let (Some(info), Some(Item::Value(value))) = (infos.get(output.as_str()), self.lookup(output)) {
                    self.check_info(node, info, value)?;
                }
            }
        }
        Ok(())
    }

    /// The file's own claim about a value must not contradict what was inferred.
    fn check_info(&mut self, node: &NodeProto, info: &ValueInfoProto, value: ValueId) -> Built<()> {
        let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
            return Ok(());
        };
        let inferred = self.ty(value);
        if let Err(message) = types::contradicts(self.ctx(), tensor, inferred) {
            let inferred = self.ctx().display_type(inferred);
            return Err(self
                .error("N0606", format!("the file says that {:?} is {message}, but {inferred} follows", info.name))
                .note(format!("from node {:?} ({})", node_name(node), node.op_type)));
        }
        Ok(())
    }

    fn node(&mut self, proto: &'a NodeProto) -> Built<()> {
        let ctx = self.ctx();
        let outer = self.g.b.loc;
        self.g.b.loc = ctx.named_loc(node_name(proto));
        let mut inputs = Vec::with_capacity(proto.input.len());
        for input in &proto.input {
            if input.is_empty() {
                inputs.push(None);
                continue;
            }
            let value = self.lookup(input);
            // An optional output that was not made counts as absent.
            inputs.push(value);
        }
        let domain = canonical_domain(&proto.domain);
        let version = self.opsets.get(domain).copied().unwrap_or(1);
        let function = self.functions.get(&callee(domain, &proto.op_type, &proto.overload)).copied();
        let node = Node::new(proto, version, inputs, self.frames.last().cloned().unwrap_or_default());
        let results = match (function, self.rules.get(&(domain, proto.op_type.as_str()))) {
            (Some(function), _) => self.inline(function, &node),
            (None, Some(rules::Rule::Values(rule))) => {
                let rule = *rule;
                let values = rule(self, &node).or_else(|d| match self.unknown_axes.take() {
                    Some(axes) => self.specialized(&axes, &|im| rule(im, &node)),
                    None => Err(d),
                });
                values.map(|values| values.into_iter().map(Item::Value).collect())
            }
            (None, Some(rules::Rule::Items(rule))) => rule(self, &node),
            (None, None) => Err(self.error("N0601", format!("the operator {} is not supported", proto.op_type))),
        };
        let results = results.map_err(|d| {
            self.refused.push(proto.input.iter().map(String::as_str).collect());
            self.about_node(d, &node)
        })?;
        for (output, item) in proto.output.iter().zip(results) {
            if !output.is_empty() {
                if let Some(value) = item.value() {
                    let name = ctx.name(&value_name(output));
                    self.g.b.name_value(value, name);
                }
                self.define_item(output, item);
            }
        }
        self.g.b.loc = outer;
        Ok(())
    }

    /// Adds operator and input types to an error about a node.
    fn about_node(&self, diagnostic: Diagnostic, node: &Node<'_>) -> Diagnostic {
        let describe = |item: &Option<Item>| match item {
            Some(item) => self.describe(item),
            None => "nothing".to_string(),
        };
        let inputs: Vec<String> = node.items.iter().map(describe).collect();
        diagnostic.note(format!("operator {} of opset {} on ({})", node.op_type(), node.version, inputs.join(", ")))
    }
}

/// A model's name as an SSA value name: letters, digits, `_`, `.`, `$`, `-` stay.
fn value_name(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$' | '-') { c } else { '_' })
        .collect();
    match clean.chars().next() {
        Some(c) if c.is_ascii_digit() => format!("v{clean}"),
        None => "v".into(),
        _ => clean,
    }
}
