//! Upstream's `arith`: scalar and elementwise arithmetic.

use crate::syntax::{self, attr, i1_like, print_attrs, resolve_same, scalar, set};
use nim_ir::{
    AttrData, Body, Context, Diagnostic, InferInput, OpDef, OpId, OpState, Type, TypeData, ValueId,
    syntax::{AsmParser, AsmPrinter, Parse},
};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `arith` dialect of upstream MLIR.
    pub static ARITH: "arith", "Upstream: integer and floating-point arithmetic on scalars and vectors.",
    ops[Constant, AddUiExtended, MulSiExtended, MulUiExtended, CmpI, CmpF, Select,
        ..INT_BINARY, ..INT_OVERFLOW, ..INT_EXACT, ..FLOAT_BINARY, ..FLOAT_UNARY, ..CASTS]
}

/// A constant: an integer, a float, or the elements of a vector or tensor.
#[op(name = "arith.constant", traits(Pure, ConstantLike), infer = infer_constant, parse = parse_constant,
     print = print_constant)]
pub struct Constant {
    /// the value, with its type
    #[attr(Any)]
    value: Required,
    /// the value
    #[result(ANY)]
    result: One,
}

/// The type that an attribute has as a value.
pub fn type_of_attr(ctx: &Context, attr: nim_ir::Attr) -> Option<Type> {
    match ctx.attr_data(attr) {
        AttrData::Bool(_) => Some(ctx.int_type(1)),
        AttrData::Int { ty, .. } | AttrData::Float { ty, .. } => Some(*ty),
        AttrData::Dense { ty, .. } | AttrData::DenseResource { ty, .. } | AttrData::DenseStrings { ty, .. } => {
            Some(*ty)
        }
        AttrData::Verbatim { ty, .. } => *ty,
        _ => None,
    }
}

fn infer_constant(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    let value = input.attrs.get(input.ctx.name("value"));
    match value.and_then(|a| type_of_attr(input.ctx, a)) {
        Some(ty) => Ok(vec![ty]),
        None => {
            Err(Diagnostic::error("N0351", input.loc, "a constant is an integer, a float or elements with their type"))
        }
    }
}

fn parse_constant(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    p.attr_dict(&mut state.attrs)?;
    let value = p.attr()?;
    set(p, state, "value", value);
    syntax::infer_results(p, state, &[])
}

fn print_constant(p: &mut dyn AsmPrinter, op: OpId) {
    print_attrs(p, op, &["value"]);
    if let Some(value) = attr(p, op, "value") {
        p.text(" ");
        p.attr(value);
    }
}

macro_rules! int_binary {
    ($list:ident: $($struct:ident $name:literal $doc:literal [$($t:ident),*];)*) => {
        $(
            #[doc = $doc]
            #[op(name = $name, traits(Pure, SameOperandsAndResultType, Elementwise $(, $t)*),
                 parse = syntax::parse_same, print = syntax::print_same)]
            pub struct $struct {
                /// left operand
                #[operand(INT_LIKE)] lhs: One,
                /// right operand
                #[operand(INT_LIKE)] rhs: One,
                /// result
                #[result(INT_LIKE)] result: One,
            }
        )*
        /// Integer ops without flags.
        pub const $list: &[&OpDef] = &[$(&$struct::DEF),*];
    };
}
int_binary! { INT_BINARY:
    CeilDivUi "arith.ceildivui" "Unsigned division rounded towards positive infinity." [];
    CeilDivSi "arith.ceildivsi" "Signed division rounded towards positive infinity." [];
    FloorDivSi "arith.floordivsi" "Signed division rounded towards negative infinity." [];
    RemUi "arith.remui" "Remainder of unsigned division." [];
    RemSi "arith.remsi" "Remainder of signed division; has the sign of the dividend." [];
    AndI "arith.andi" "Bitwise and." [Commutative];
    OrI "arith.ori" "Bitwise or." [Commutative];
    XorI "arith.xori" "Bitwise exclusive or." [Commutative];
    MaxSi "arith.maxsi" "The larger of two signed integers." [Commutative];
    MaxUi "arith.maxui" "The larger of two unsigned integers." [Commutative];
    MinSi "arith.minsi" "The smaller of two signed integers." [Commutative];
    MinUi "arith.minui" "The smaller of two unsigned integers." [Commutative];
}

macro_rules! int_overflow {
    ($($struct:ident $name:literal $doc:literal [$($t:ident),*];)*) => {
        $(
            #[doc = $doc]
            #[op(name = $name, traits(Pure, SameOperandsAndResultType, Elementwise $(, $t)*),
                 parse = syntax::parse_same, print = syntax::print_same)]
            pub struct $struct {
                /// left operand
                #[operand(INT_LIKE)] lhs: One,
                /// right operand
                #[operand(INT_LIKE)] rhs: One,
                /// `#arith.overflow<nsw, nuw>`: what does not happen
                #[attr(Any, default = "#arith.overflow<none>")] overflowFlags: Default,
                /// result
                #[result(INT_LIKE)] result: One,
            }
        )*
        /// Integer ops with overflow flags.
        pub const INT_OVERFLOW: &[&OpDef] = &[$(&$struct::DEF),*];
    };
}
#[allow(non_snake_case)]
mod overflow {
    use super::*;
    int_overflow! {
        AddI "arith.addi" "Integer sum, modulo two to the width." [Commutative];
        SubI "arith.subi" "Integer difference, modulo two to the width." [];
        MulI "arith.muli" "Integer product, modulo two to the width." [Commutative];
        ShlI "arith.shli" "Shift to the left." [];
    }
}
pub use overflow::*;

macro_rules! int_exact {
    ($($struct:ident $name:literal $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[op(name = $name, traits(Pure, SameOperandsAndResultType, Elementwise),
                 parse = syntax::parse_same, print = syntax::print_same)]
            pub struct $struct {
                /// left operand
                #[operand(INT_LIKE)] lhs: One,
                /// right operand
                #[operand(INT_LIKE)] rhs: One,
                /// nothing is rounded or shifted out
                #[attr(Unit)] isExact: Optional,
                /// result
                #[result(INT_LIKE)] result: One,
            }
        )*
        /// Integer ops with an `exact` flag.
        pub const INT_EXACT: &[&OpDef] = &[$(&$struct::DEF),*];
    };
}
#[allow(non_snake_case)]
mod exact {
    use super::*;
    int_exact! {
        DivUi "arith.divui" "Unsigned division rounded towards zero.";
        DivSi "arith.divsi" "Signed division rounded towards zero.";
        ShrUi "arith.shrui" "Shift to the right, zeros come in.";
        ShrSi "arith.shrsi" "Shift to the right, copies of the sign come in.";
    }
}
pub use exact::*;

macro_rules! float_binary {
    ($($struct:ident $name:literal $doc:literal [$($t:ident),*];)*) => {
        $(
            #[doc = $doc]
            #[op(name = $name, traits(Pure, SameOperandsAndResultType, Elementwise $(, $t)*),
                 parse = syntax::parse_same, print = syntax::print_same)]
            pub struct $struct {
                /// left operand
                #[operand(FLOAT_LIKE)] lhs: One,
                /// right operand
                #[operand(FLOAT_LIKE)] rhs: One,
                /// `#arith.fastmath<...>`: what may be assumed
                #[attr(Any, default = "#arith.fastmath<none>")] fastmath: Default,
                /// result
                #[result(FLOAT_LIKE)] result: One,
            }
        )*
        /// Float ops of two operands.
        pub const FLOAT_BINARY: &[&OpDef] = &[$(&$struct::DEF),*];
    };
}
float_binary! {
    AddF "arith.addf" "Sum." [Commutative];
    SubF "arith.subf" "Difference." [];
    MulF "arith.mulf" "Product." [Commutative];
    DivF "arith.divf" "Quotient." [];
    RemF "arith.remf" "Remainder of division; has the sign of the dividend." [];
    MaximumF "arith.maximumf" "The larger; NaN if either is NaN; -0 is less than +0." [Commutative];
    MinimumF "arith.minimumf" "The smaller; NaN if either is NaN; -0 is less than +0." [Commutative];
    MaxNumF "arith.maxnumf" "The larger; the other operand if one is NaN." [Commutative];
    MinNumF "arith.minnumf" "The smaller; the other operand if one is NaN." [Commutative];
}

macro_rules! float_unary {
    ($($struct:ident $name:literal $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[op(name = $name, traits(Pure, SameOperandsAndResultType, Elementwise),
                 parse = syntax::parse_same, print = syntax::print_same)]
            pub struct $struct {
                /// operand
                #[operand(FLOAT_LIKE)] operand: One,
                /// `#arith.fastmath<...>`: what may be assumed
                #[attr(Any, default = "#arith.fastmath<none>")] fastmath: Default,
                /// result
                #[result(FLOAT_LIKE)] result: One,
            }
        )*
        /// Float ops of one operand.
        pub const FLOAT_UNARY: &[&OpDef] = &[$(&$struct::DEF),*];
    };
}
float_unary! { NegF "arith.negf" "The number with the other sign."; }

/// Sum of unsigned integers and the carry.
#[op(name = "arith.addui_extended", traits(Pure, Commutative, SameTypeOperands), parse = parse_addui, print = print_addui)]
pub struct AddUiExtended {
    /// left operand
    #[operand(INT_LIKE)]
    lhs: One,
    /// right operand
    #[operand(INT_LIKE)]
    rhs: One,
    /// sum modulo two to the width
    #[result(INT_LIKE)]
    sum: One,
    /// true where it did not fit
    #[result(INT_LIKE)]
    overflow: One,
}

fn parse_addui(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let names = p.operands()?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let sum = p.ty()?;
    p.expect(",")?;
    let overflow = p.ty()?;
    state.operands = resolve_same(p, &names, sum)?;
    state.results = vec![sum, overflow];
    Ok(())
}

fn print_addui(p: &mut dyn AsmPrinter, op: OpId) {
    let (operands, types) = (p.body().operands(op), syntax::result_types(p, op));
    p.text(" ");
    p.values(&operands);
    print_attrs(p, op, &[]);
    p.text(" : ");
    p.types(&types);
}

macro_rules! mul_extended {
    ($($struct:ident $name:literal $doc:literal;)*) => { $(
        #[doc = $doc]
        #[op(name = $name, traits(Pure, Commutative, SameTypeOperands), infer = infer_twice,
             parse = syntax::parse_inferred, print = syntax::print_inferred)]
        pub struct $struct {
            /// left operand
            #[operand(INT_LIKE)] lhs: One,
            /// right operand
            #[operand(INT_LIKE)] rhs: One,
            /// lower half of the product
            #[result(INT_LIKE)] low: One,
            /// upper half of the product
            #[result(INT_LIKE)] high: One,
        }
    )* };
}
mul_extended! {
    MulSiExtended "arith.mulsi_extended" "Signed product in two halves.";
    MulUiExtended "arith.mului_extended" "Unsigned product in two halves.";
}

fn infer_twice(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(input.operands.first().map(|&t| vec![t, t]).unwrap_or_default())
}

/// Predicates of `arith.cmpi` by their numbers.
pub const CMPI_PREDICATES: [&str; 10] = ["eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"];
/// Predicates of `arith.cmpf` by their numbers: `o` is false where an operand is NaN, `u` is true.
pub const CMPF_PREDICATES: [&str; 16] =
    ["false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord", "ueq", "ugt", "uge", "ult", "ule", "une", "uno", "true"];

/// The number of a predicate of `arith.cmpf`; that of one which never holds if there is none of this name.
pub fn cmpf_number(predicate: &str) -> i64 {
    CMPF_PREDICATES.iter().position(|p| *p == predicate).unwrap_or(0) as i64
}

/// `x` and `bound` of `select(x > bound, x, bound)` (`ogt`) or `select(x < bound, x, bound)` (`olt`), which is the bound where `x` is NaN.
pub fn bounded(ctx: &Context, body: &Body, v: ValueId, predicate: &str) -> Option<(ValueId, ValueId)> {
    let made_by = |v: ValueId, name: &str| body.defining_op(v).filter(|&op| body.is(ctx, op, name));
    let [condition, x, bound] = body.operands(made_by(v, Select::NAME)?).as_slice().try_into().ok()?;
    let test = made_by(condition, CmpF::NAME)?;
    let found = ctx.as_int(body.attr_named(ctx, test, "predicate")?)?;
    (found == cmpf_number(predicate) && body.operands(test).as_slice() == [x, bound]).then_some((x, bound))
}

macro_rules! compare {
    ($($struct:ident $name:literal $doc:literal $constraint:ident $list:ident $parse:ident $print:ident
       [$($(#[$m:meta])* $attr:ident: $default:literal)?];)*) => { $(
        #[doc = $doc]
        #[op(name = $name, traits(Pure, SameTypeOperands, Elementwise), infer = infer_compare, verify = verify_compare,
             parse = $parse, print = $print)]
        pub struct $struct {
            /// number of the predicate, an `i64`
            #[attr(Int)] predicate: Required,
            /// left operand
            #[operand($constraint)] lhs: One,
            /// right operand
            #[operand($constraint)] rhs: One,
            $($(#[$m])* #[attr(Any, default = $default)] $attr: Default,)?
            /// `i1`, or a vector of it
            #[result(INT_LIKE)] result: One,
        }
        fn $parse(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
            parse_compare(p, state, &$list)
        }
        fn $print(p: &mut dyn AsmPrinter, op: OpId) {
            print_compare(p, op, &$list);
        }
    )* };
}
compare! {
    CmpI "arith.cmpi" "Comparison of integers." INT_LIKE CMPI_PREDICATES parse_cmpi print_cmpi [];
    CmpF "arith.cmpf" "Comparison of floats." FLOAT_LIKE CMPF_PREDICATES parse_cmpf print_cmpf
        [/** what may be assumed */ fastmath: "#arith.fastmath<none>"];
}

fn infer_compare(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(input.operands.first().map(|&t| vec![i1_like(input.ctx, t)]).unwrap_or_default())
}

fn predicates_of(name: &str) -> &'static [&'static str] {
    if name == CmpI::NAME { &CMPI_PREDICATES } else { &CMPF_PREDICATES }
}

fn verify_compare(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let name = ctx.op_str(body.op_name(op));
    let known = predicates_of(name);
    if let Some(n) = body.attr_named(ctx, op, "predicate").and_then(|a| ctx.as_int(a))
        && usize::try_from(n).map_or(true, |n| n >= known.len())
    {
        let message = format!("`{name}` has no predicate {n}; there are 0 to {}", known.len() - 1);
        found.push(Diagnostic::error("N0352", body.loc(op), message));
    }
}

fn parse_compare(p: &mut dyn AsmParser, state: &mut OpState, names: &[&str]) -> Parse<()> {
    let loc = p.loc();
    let word = p.keyword()?;
    let word = p.ctx().str(word).to_string();
    let Some(number) = names.iter().position(|n| *n == word) else {
        return syntax::unknown_word(p, loc, "predicate", &word, names);
    };
    let predicate = p.ctx().i64_attr(number as i64);
    set(p, state, "predicate", predicate);
    p.expect(",")?;
    syntax::parse_inferred(p, state)
}

fn print_compare(p: &mut dyn AsmPrinter, op: OpId, names: &[&str]) {
    let number = attr(p, op, "predicate").and_then(|a| p.ctx().as_int(a)).unwrap_or(0);
    p.text(" ");
    p.text(usize::try_from(number).ok().and_then(|n| names.get(n)).copied().unwrap_or("false"));
    p.text(", ");
    let operands = p.body().operands(op);
    let ty = p.body().ty(operands[0]);
    p.values(&operands);
    syntax::print_flags(p, op, "fastmath", "fastmath", "arith.fastmath");
    print_attrs(p, op, &["predicate", "fastmath"]);
    p.text(" : ");
    p.ty(ty);
}

/// One of two values. The condition is an `i1`, or a vector of them that chooses for each element.
#[op(name = "arith.select", traits(Pure, Elementwise), verify = verify_select, parse = parse_select, print = print_select)]
pub struct Select {
    /// which
    #[operand(INT_LIKE)]
    condition: One,
    /// where true
    #[operand(ANY)]
    true_value: One,
    /// where false
    #[operand(ANY)]
    false_value: One,
    /// result
    #[result(ANY)]
    result: One,
}

fn verify_select(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let [condition, a, b] = [0, 1, 2].map(|i| body.ty(body.operand(op, i)));
    let result = body.ty(body.result(op));
    if a != b || a != result {
        let (a, b) = (ctx.display_type(a), ctx.display_type(b));
        let message = format!("`arith.select` needs values and result of one type, found {a} and {b}");
        found.push(Diagnostic::error(nim_ir::verifier::UNEQUAL_TYPES, body.loc(op), message));
    } else if condition != ctx.int_type(1) && condition != i1_like(ctx, a) {
        let message = format!("the condition of `arith.select` is i1 or {}", ctx.display_type(i1_like(ctx, a)));
        found.push(Diagnostic::error(nim_ir::verifier::WRONG_TYPE, body.loc(op), message));
    }
}

fn parse_select(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let names = p.operands()?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let mut condition = p.ctx().int_type(1);
    let mut ty = p.ty()?;
    if p.accept(",") {
        condition = ty;
        ty = p.ty()?;
    }
    state.operands = syntax::resolve_all(p, &names, &[condition, ty, ty])?;
    state.results = vec![ty];
    Ok(())
}

fn print_select(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let (condition, ty) = (p.body().ty(operands[0]), p.body().ty(operands[1]));
    p.text(" ");
    p.values(&operands);
    print_attrs(p, op, &[]);
    p.text(" : ");
    if condition != p.ctx().int_type(1) {
        p.ty(condition);
        p.text(", ");
    }
    p.ty(ty);
}

macro_rules! casts {
    ($($struct:ident $name:literal $doc:literal $from:ident $to:ident;)*) => {
        $(
            #[doc = $doc]
            #[op(name = $name, traits(Pure, Elementwise), verify = verify_cast,
                 parse = syntax::parse_cast, print = syntax::print_cast)]
            pub struct $struct {
                /// operand
                #[operand($from)] r#in: One,
                /// result
                #[result($to)] out: One,
            }
        )*
        /// Conversions.
        pub const CASTS: &[&OpDef] = &[$(&$struct::DEF),*];
    };
}
casts! {
    ExtUi "arith.extui" "A wider integer, zeros come in." INT_LIKE INT_LIKE;
    ExtSi "arith.extsi" "A wider integer, copies of the sign come in." INT_LIKE INT_LIKE;
    TruncI "arith.trunci" "A narrower integer." INT_LIKE INT_LIKE;
    ExtF "arith.extf" "A wider float." FLOAT_LIKE FLOAT_LIKE;
    TruncF "arith.truncf" "A narrower float, rounded to nearest, ties to even." FLOAT_LIKE FLOAT_LIKE;
    UiToFp "arith.uitofp" "An unsigned integer as a float." INT_LIKE FLOAT_LIKE;
    SiToFp "arith.sitofp" "A signed integer as a float." INT_LIKE FLOAT_LIKE;
    FpToUi "arith.fptoui" "A float as an unsigned integer, rounded towards zero." FLOAT_LIKE INT_LIKE;
    FpToSi "arith.fptosi" "A float as a signed integer, rounded towards zero." FLOAT_LIKE INT_LIKE;
    IndexCast "arith.index_cast" "Between `index` and a signed integer." INT_LIKE INT_LIKE;
    IndexCastUi "arith.index_castui" "Between `index` and an unsigned integer." INT_LIKE INT_LIKE;
    Bitcast "arith.bitcast" "The same bits as another type of the same width." ANY ANY;
}

fn bits(ctx: &Context, ty: Type) -> Option<u32> {
    match ctx.type_data(scalar(ctx, ty)) {
        TypeData::Integer { width, .. } => Some(*width),
        TypeData::Float(kind) => Some(kind.bits()),
        _ => None,
    }
}

fn verify_cast(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let name = ctx.op_str(body.op_name(op));
    let (from, to) = (body.ty(body.operand(op, 0)), body.ty(body.result(op)));
    let is_index = |ty| matches!(ctx.type_data(scalar(ctx, ty)), TypeData::Index);
    let complaint = match name {
        "arith.extui" | "arith.extsi" | "arith.extf" if bits(ctx, from) >= bits(ctx, to) => "must widen",
        "arith.trunci" | "arith.truncf" if bits(ctx, from) <= bits(ctx, to) => "must narrow",
        "arith.bitcast" if bits(ctx, from) != bits(ctx, to) => "must keep the width",
        "arith.index_cast" | "arith.index_castui" if is_index(from) == is_index(to) => {
            "converts between index and an integer"
        }
        _ if syntax::with_element(ctx, from, scalar(ctx, to)) != to => "must keep the shape",
        _ => return,
    };
    let message = format!("`{name}` {complaint}, found {} and {}", ctx.display_type(from), ctx.display_type(to));
    found.push(Diagnostic::error("N0353", body.loc(op), message));
}

/// True for ops that have no value for some operands (a division by zero): they are merged and removed as other pure ops
/// are, but must not be moved to where they would run on other operands.
pub fn may_trap(name: &str) -> bool {
    matches!(
        name,
        "arith.divui"
            | "arith.divsi"
            | "arith.ceildivui"
            | "arith.ceildivsi"
            | "arith.floordivsi"
            | "arith.remui"
            | "arith.remsi"
    )
}
