//! Op definitions as const data: everything that parser, printer, verifier, documentation and tools need to know.

use crate::{
    AttrList, Body, Context, Diagnostic, Loc, OpId, Type,
    syntax::{ParseFn, PrintFn},
    verifier::SymbolTable,
};

/// How many values or regions a field stands for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Arity {
    One,
    Optional,
    Variadic,
}

/// Whether an attribute must be there.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Presence {
    /// It must.
    Required,
    /// It need not.
    Optional,
    /// It need not; this text (an attribute in MLIR syntax) is what its absence means.
    Default(&'static str),
}

/// A named predicate on types.
#[derive(Copy, Clone)]
pub struct TypeConstraint {
    /// What it asks for: "a tensor of floats".
    pub description: &'static str,
    /// The predicate.
    pub check: fn(&Context, Type) -> bool,
}

impl std::fmt::Debug for TypeConstraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.description)
    }
}

/// What kind of attribute is asked for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum AttrKind {
    /// Anything.
    Any,
    /// `unit`
    Unit,
    /// `true` / `false`
    Bool,
    /// Any integer (`5 : i64`).
    Int,
    /// Any float (`5.0 : f32`).
    Float,
    /// `"text"`
    String,
    /// One of these strings.
    Enum(&'static [&'static str]),
    /// A type.
    Type,
    /// `@symbol`
    SymbolRef,
    /// A string that names this op in its symbol table.
    SymbolName,
    /// An array of anything.
    Array,
    /// `array<i64: ...>`
    Ints,
    /// A symbolic expression (an integer attribute counts as one).
    Expr,
    /// An array of symbolic expressions.
    Exprs,
    /// Elements: `dense`, `dense_resource`.
    Elements,
    /// A dictionary.
    Dict,
}

/// An operand field.
#[derive(Copy, Clone, Debug)]
pub struct OperandDef {
    /// Name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Its type.
    pub constraint: TypeConstraint,
    /// How many values. With more than one field that is not `One`, the op carries `operandSegmentSizes`.
    pub arity: Arity,
}

/// A result field.
#[derive(Copy, Clone, Debug)]
pub struct ResultDef {
    /// Name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Its type.
    pub constraint: TypeConstraint,
    /// How many values; at most one field is not `One`.
    pub arity: Arity,
}

/// An attribute field.
#[derive(Copy, Clone, Debug)]
pub struct AttrDef {
    /// Name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// What kind.
    pub kind: AttrKind,
    /// Whether it must be there.
    pub presence: Presence,
}

/// A region field.
#[derive(Copy, Clone, Debug)]
pub struct RegionDef {
    /// Name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// How many regions; only the last field may be variadic.
    pub arity: Arity,
    /// Exactly one block.
    pub single_block: bool,
}

/// Facts about an op that passes rely on.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Trait {
    /// No effect but its results: may be removed when unused, merged when equal, computed at any time.
    Pure,
    /// Reads memory but does not write: may be removed when unused.
    ReadOnly,
    /// Ends a block.
    Terminator,
    /// Blocks in its regions need no terminator.
    NoTerminator,
    /// Its regions are a body of their own and see no value from outside.
    IsolatedFromAbove,
    /// Its region is a symbol table.
    SymbolTable,
    /// It is a symbol: has `sym_name`.
    Symbol,
    /// Its attribute `callee` names a symbol of the module around it.
    SymbolUser,
    /// Two operands may be swapped.
    Commutative,
    /// Acts on each element alone, operands broadcast.
    Elementwise,
    /// All operands and results have one type.
    SameOperandsAndResultType,
    /// All operands have one type.
    SameTypeOperands,
    /// A compile-time constant with its elements in the attribute `value`.
    ConstantLike,
    /// Its regions are entered structurally; the terminator yields to it.
    StructuredControlFlow,
}

/// What a shape function (type inference) sees of an op that may not exist yet.
pub struct InferInput<'a> {
    /// The context.
    pub ctx: &'a Context,
    /// Types of the operands.
    pub operands: &'a [Type],
    /// Attributes.
    pub attrs: &'a AttrList,
    /// For messages.
    pub loc: Loc,
}

/// Infers result types from operand types and attributes; the error is the message of a diagnostic.
pub type InferFn = fn(&InferInput<'_>) -> Result<Vec<Type>, Diagnostic>;
/// Op-specific verification.
pub type VerifyFn = fn(&Context, &Body, OpId, &mut Vec<Diagnostic>);

/// Verification against the symbols of the module: the op uses what stands elsewhere.
pub type VerifyUseFn = fn(&Context, &SymbolTable<'_>, &Body, OpId, &mut Vec<Diagnostic>);

/// All there is to know about an op.
#[derive(Debug)]
pub struct OpDef {
    /// `graph.add`
    pub name: &'static str,
    /// First sentence of the documentation.
    pub summary: &'static str,
    /// All of the documentation (Markdown).
    pub description: &'static str,
    /// Operands in order.
    pub operands: &'static [OperandDef],
    /// Results in order.
    pub results: &'static [ResultDef],
    /// Inherent attributes (upstream: properties), in order.
    pub attrs: &'static [AttrDef],
    /// Regions in order.
    pub regions: &'static [RegionDef],
    /// Number of successor blocks; `None` for any.
    pub successors: Option<usize>,
    /// Facts.
    pub traits: &'static [Trait],
    /// Declarative assembly format, in the notation of upstream's ODS; `None` prints the default pretty form:
    /// name, operands, attributes, functional type, regions.
    pub format: Option<&'static str>,
    /// Hand-written syntax, in place of a format.
    pub parse: Option<ParseFn>,
    /// Hand-written syntax, in place of a format.
    pub print: Option<PrintFn>,
    /// Result types from operands and attributes.
    pub infer: Option<InferFn>,
    /// Further checks.
    pub verify: Option<VerifyFn>,
    /// Checks against what the op's symbols and types name in the module.
    pub verify_use: Option<VerifyUseFn>,
}

impl OpDef {
    /// A definition with nothing in it, to be completed: `OpDef { summary: "...", ..OpDef::new("graph.add") }`.
    pub const fn new(name: &'static str) -> OpDef {
        OpDef {
            name,
            summary: "",
            description: "",
            operands: &[],
            results: &[],
            attrs: &[],
            regions: &[],
            successors: Some(0),
            traits: &[],
            format: None,
            parse: None,
            print: None,
            infer: None,
            verify: None,
            verify_use: None,
        }
    }
    /// True when the op has a trait.
    #[inline]
    pub fn has(&self, t: Trait) -> bool {
        self.traits.contains(&t)
    }
    /// Several operand fields may hold any number of values, so the op carries `operandSegmentSizes`.
    pub fn has_operand_segments(&self) -> bool {
        self.operands.iter().filter(|o| o.arity != Arity::One).count() > 1
    }
    /// An inherent attribute by name.
    pub fn attr(&self, name: &str) -> Option<&'static AttrDef> {
        self.attrs.iter().find(|a| a.name == name)
    }
}

/// A type of a dialect, for completion, documentation and "did you mean".
#[derive(Debug)]
pub struct TypeDef {
    /// `graph.sequence`
    pub name: &'static str,
    /// What it means.
    pub description: &'static str,
}

/// A dialect: its name and its tables.
#[derive(Debug)]
pub struct DialectDef {
    /// `graph`
    pub name: &'static str,
    /// The question it answers.
    pub description: &'static str,
    /// Its ops.
    pub ops: &'static [&'static OpDef],
    /// Its types.
    pub types: &'static [TypeDef],
}

/// Common type constraints.
pub mod constraints {
    use super::TypeConstraint;
    use crate::TypeData;

    macro_rules! constraints {
        ($($(#[$m:meta])* $name:ident = $desc:literal, |$ctx:ident, $ty:ident| $check:expr;)*) => {
            $($(#[$m])* pub const $name: TypeConstraint = TypeConstraint { description: $desc, check: |$ctx, $ty| $check };)*
        };
    }
    constraints! {
        /// Anything.
        ANY = "any type", |_ctx, _ty| true;
        /// A tensor.
        TENSOR = "a tensor", |ctx, ty| ctx.is_tensor(ty);
        /// A tensor of floats.
        FLOAT_TENSOR = "a tensor of floats", |ctx, ty| ctx.is_tensor(ty)
            && ctx.dtype_of(ty).is_some_and(|d| d.is_float());
        /// A tensor of integers.
        INT_TENSOR = "a tensor of integers", |ctx, ty| ctx.is_tensor(ty)
            && ctx.dtype_of(ty).is_some_and(|d| d.is_integer());
        /// A tensor of `i1`.
        BOOL_TENSOR = "a tensor of i1", |ctx, ty| ctx.is_tensor(ty)
            && ctx.dtype_of(ty) == Some(nim_tensor::DType::Bool);
        /// A memref.
        MEMREF = "a memref", |ctx, ty| matches!(ctx.type_data(ty), TypeData::MemRef { .. });
        /// A ranked tensor or memref.
        SHAPED = "a tensor or memref", |ctx, ty| ctx.dims(ty).is_some();
        /// `index`.
        INDEX = "index", |ctx, ty| matches!(ctx.type_data(ty), TypeData::Index);
        /// `i1`.
        BOOL = "i1", |ctx, ty| matches!(ctx.type_data(ty), TypeData::Integer { width: 1, .. });
        /// An integer or `index`, or a vector of them.
        INT_LIKE = "an integer, index, or vector of them", |ctx, ty| matches!(
            ctx.type_data(scalar(ctx, ty)), TypeData::Integer { .. } | TypeData::Index);
        /// A float, or a vector of floats.
        FLOAT_LIKE = "a float or vector of floats", |ctx, ty| matches!(ctx.type_data(scalar(ctx, ty)), TypeData::Float(_));
        /// An integer, float or `index`, not shaped.
        SCALAR = "an integer, float or index", |ctx, ty| matches!(
            ctx.type_data(ty), TypeData::Integer { .. } | TypeData::Index | TypeData::Float(_) | TypeData::Complex(_));
        /// A vector.
        VECTOR = "a vector", |ctx, ty| matches!(ctx.type_data(ty), TypeData::Vector { .. });
    }

    fn scalar(ctx: &crate::Context, ty: crate::Type) -> crate::Type {
        match ctx.type_data(ty) {
            TypeData::Vector { element, .. } | TypeData::Tensor { element, .. } => *element,
            _ => ty,
        }
    }
}
