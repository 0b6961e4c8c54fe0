//! Macros that turn short declarations into the data tables of `nim_ir::opdef`.
//!
//! * [`macro@op`]: a struct whose fields are operands, attributes, regions and results becomes an `OpDef`.
//! * [`macro@pass`]: a struct whose fields are options becomes a pass.
//! * [`dialect!`]: a list of such structs becomes a `DialectDef`.
//!
//! The macros only rearrange what is written; all meaning is in the tables. They work inside `macro_rules!`
//! expansions, so that a family of similar ops is one small table.

mod dialect;
mod expand;
mod model;
mod parse;
mod pass;
mod rules;

use proc_macro::TokenStream;
use syn::{ItemStruct, parse_macro_input};

/// Turns a struct into the definition table of an op.
///
/// ```ignore
/// /// Sum of two tensors, element by element.
/// ///
/// /// A longer description in Markdown.
/// #[op(name = "graph.add", traits(Pure, Commutative), infer = crate::shape::broadcast, verify = verify_add)]
/// pub struct Add {
///     /// left summand
///     #[operand(TENSOR)] lhs: One,
///     /// right summand
///     #[operand(TENSOR)] rhs: One,
///     /// what happens on overflow
///     #[attr(Enum("wrap", "saturate"), default = "\"wrap\"")] overflow: Default,
///     /// the sum
///     #[result(TENSOR)] result: One,
/// }
/// ```
///
/// Arguments: `name` (a constant string expression), `traits(...)`, `infer`, `verify`, `verify_use`, `parse`, `print` (paths of functions),
/// `format` (declarative syntax), `successors` (`any` or a number).
///
/// Fields are `#[operand(CONSTRAINT)] name: One | Optional | Variadic`, `#[result(CONSTRAINT)]` alike,
/// `#[region]` or `#[region(single_block)]` alike, and `#[attr(KIND)] name: Required | Optional`, or
/// `#[attr(KIND, default = "text")] name: Default`. A constraint is the path of a `TypeConstraint`; a bare name is looked for in
/// `nim_ir::opdef::constraints` first. A kind is a variant of `AttrKind`; `Enum("a", "b")` or `Enum(CONSTANT)`.
///
/// Operands and results may also be said by their types alone: `x: Operand<TENSOR>`, `bias: Option<Operand<TENSOR>>`,
/// `parts: Vec<Operand<TENSOR>>`, `y: Result<TENSOR>`.
///
/// What comes out is a unit struct with `NAME`, `DEF`, `is(ctx, body, op)`, and one accessor a field. Accessors of operands,
/// results and regions are for verified ops: they panic when the op does not have the shape that its table says.
#[proc_macro_attribute]
pub fn op(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args as parse::OpArgs);
    let item = parse_macro_input!(item as ItemStruct);
    match model::Op::new(args, item) {
        Ok(op) => expand::op(&op).into(),
        Err(error) => error.into_compile_error().into(),
    }
}

/// Turns a struct and a function into a pass, with `register(registry)`.
///
/// ```ignore
/// /// Put the bodies of functions in place of their calls.
/// #[pass(name = "inline", run = inline, module, gives("no_op(func.call)"))]
/// pub struct Inline {
///     /// functions with more ops stay
///     #[option(0)]
///     max_ops: usize,
/// }
///
/// fn inline(options: &Inline, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> { ... }
/// ```
///
/// Arguments: `name`, `run`, `needs(...)` and `gives(...)` (its contract), `rules = CONSTANT` (a slice of `nim_pass::Rule`, as `rules!` makes it),
/// and either `module` for a pass over modules or `on("func.func")` for the bodies that it works on (all without it): then the
/// function takes `&mut Body`. Without `run`, the rules are applied until none fits. The first sentence of the doc comment is the description. Options are `bool`, `String`, or what
/// can be read from text; a field `max_ops` is the option `max-ops`. Crates that use this depend on `nim-pass`.
#[proc_macro_attribute]
pub fn pass(args: TokenStream, item: TokenStream) -> TokenStream {
    let args = parse_macro_input!(args as pass::PassArgs);
    let item = parse_macro_input!(item as ItemStruct);
    pass::expand(&args, &item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a `DialectDef` of ops defined by [`macro@op`].
///
/// ```ignore
/// dialect! {
///     /// What is computed.
///     pub static GRAPH: "graph", "What is computed: whole tensors, named dimensions.",
///     ops[Add, shape::Reshape, ..elementwise::OPS],
///     types["graph.string": "A string."]
/// }
/// ```
///
/// `..PATH` splices in a constant `&[&'static OpDef]`; `types[...]` may be left out.
#[proc_macro]
pub fn dialect(input: TokenStream) -> TokenStream {
    let dialect = parse_macro_input!(input as dialect::Dialect);
    dialect::expand(&dialect).into()
}

/// Rewrite rules, one a line: a name, what it does, the ops that it looks at, conditions, and what takes the op's place.
///
/// ```ignore
/// rules! {
///     /// In the order in which an op is tried.
///     const RULES;
///
///     "drop-identity", "an identity is its operand": Identity { x } => x;
///     "same-type", "a cast to the same type": Cast { x } => x;
///     "join-transposes", "a transpose of a transpose is one":
///         Transpose { x: Transpose { x, perm: first }, perm }
///             if let Some(perm) = joined(&first, &perm), "`perm` names an axis that is not there"
///         => Transpose { x, perm };
///     "fold-weights", "factors go into weights": ["graph.conv", "graph.matmul"] => fold_weights;
/// }
/// ```
///
/// * A pattern names an op's struct and fields of it: operands and results are values, attributes what their kind says (`f64`,
///   `Vec<i64>`, `&str`, ...). A field may be bound (`x`, `perm: first`), be a literal (`mode: "constant"`), or, if it is an
///   operand, be a pattern for what makes it. A name that stands twice means the same value twice. `A { x } | B { x }` are
///   alternatives.
/// * Conditions are Rust, with `ctx`, `body` and `op` in scope; behind the comma stands why the rule does not fire, which
///   `--trace-rewrites` tells.
/// * What takes the op's place is a value of its type or an op: fields as in a pattern, `..op` for those that are left, `: type` where it
///   cannot be inferred. Ops may be operands of ops. All of it is computed before the first change.
/// * A rule that says more is a function of type `fn(&mut Site<'_>) -> Result<(), Miss>`, behind the names of its ops.
#[proc_macro]
pub fn rules(input: TokenStream) -> TokenStream {
    let rules = parse_macro_input!(input as rules::RuleList);
    rules.expand().into()
}
