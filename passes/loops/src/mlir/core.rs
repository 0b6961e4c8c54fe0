//! The text under construction: scopes, values, constants.
//!
//! Values are numbered while they are printed: an operation without side effects that was printed before, in a scope
//! that is still open, is not printed again. An operation is put into the outermost scope that knows its operands, so
//! what does not change in a loop stands before the loop.

use super::TargetInfo;
use super::memory::Element;
use nim_ir::{Body, Context, Diagnostic, Expr, Facts, Loc, Symbol, Type, TypeData, ValueId};
use rustc_hash::FxHashMap;
use std::fmt::Write;
use std::rc::Rc;

/// The type of a scalar in a register. Short floats are held as `f32`, `index` as `i64`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Reg {
    Int(u32),
    F32,
    F64,
}

impl Reg {
    pub fn is_float(self) -> bool {
        !matches!(self, Reg::Int(_))
    }
    pub fn bits(self) -> u32 {
        match self {
            Reg::Int(width) => width,
            Reg::F32 => 32,
            Reg::F64 => 64,
        }
    }
}

/// `f32`, or `vector<8xf32>`.
pub(super) fn type_text(reg: Reg, lanes: Option<u32>) -> String {
    let scalar = match reg {
        Reg::Int(width) => format!("i{width}"),
        Reg::F32 => "f32".to_owned(),
        Reg::F64 => "f64".to_owned(),
    };
    match lanes {
        Some(n) => format!("vector<{n}x{scalar}>"),
        None => scalar,
    }
}

/// A printed value.
#[derive(Clone, Debug)]
pub(super) struct Val {
    pub name: Rc<str>,
    pub reg: Reg,
    /// Number of lanes of a vector; `None` for a scalar.
    pub lanes: Option<u32>,
    /// The scope that it is defined in.
    pub depth: usize,
}

impl Val {
    pub fn ty(&self) -> String {
        type_text(self.reg, self.lanes)
    }
}

#[derive(Default)]
struct Scope {
    text: String,
    known: FxHashMap<String, Val>,
}

/// What a symbol of expressions stands for.
#[derive(Clone)]
pub(super) enum Binding {
    /// An `i64` value.
    Value(Val),
    /// Another expression: the variable of an unrolled or vector loop.
    Alias(Expr),
    /// A vector of `i64`, one value a lane.
    Lanes(Val),
}

/// The vector loop that is being printed.
#[derive(Clone, Copy)]
pub(super) struct LaneLoop {
    pub count: u32,
    pub symbol: Symbol,
}

/// The printer of one kernel.
pub(super) struct Emitter<'c> {
    pub ctx: &'c Context,
    pub body: &'c Body,
    pub target: &'c TargetInfo,
    pub loc: Loc,
    scopes: Vec<Scope>,
    next: u32,
    pub values: FxHashMap<ValueId, Val>,
    pub buffers: FxHashMap<ValueId, super::memory::Buffer>,
    pub symbols: FxHashMap<Symbol, Binding>,
    pub facts: Facts,
    pub lane_loop: Option<LaneLoop>,
    /// Which lanes take part, inside of a condition that differs from lane to lane.
    pub mask: Option<Val>,
    /// Whether the first lane is known to take part.
    pub first_on: bool,
    pub resolved: FxHashMap<Expr, Expr>,
    /// Which expressions are known not to be negative.
    pub proved: FxHashMap<Expr, bool>,
    /// Short floats as they lie in memory, by the names of the `f32` that they were widened to.
    pub widened: FxHashMap<Rc<str>, (Element, Val)>,
}

pub(super) type Emit<T> = Result<T, Diagnostic>;

impl<'c> Emitter<'c> {
    pub fn new(ctx: &'c Context, body: &'c Body, target: &'c TargetInfo, loc: Loc) -> Emitter<'c> {
        Emitter {
            ctx,
            body,
            target,
            loc,
            scopes: vec![Scope::default()],
            next: 0,
            values: FxHashMap::default(),
            buffers: FxHashMap::default(),
            symbols: FxHashMap::default(),
            facts: Facts::default(),
            lane_loop: None,
            mask: None,
            first_on: false,
            resolved: FxHashMap::default(),
            proved: FxHashMap::default(),
            widened: FxHashMap::default(),
        }
    }

    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error("N0703", self.loc, message)
    }

    /// The type that a scalar of the IR has in a register.
    pub fn reg(&self, ty: Type) -> Emit<Reg> {
        use nim_ir::FloatKind::*;
        Ok(match self.ctx.type_data(ty) {
            TypeData::Index => Reg::Int(64),
            TypeData::Integer { width, .. } => Reg::Int(*width),
            TypeData::Float(F64) => Reg::F64,
            TypeData::Float(F128 | F80 | TF32) | TypeData::Complex(_) => {
                let name = self.ctx.display_type(ty);
                return Err(self.error(format!("kernels cannot compute with {name}")));
            }
            TypeData::Float(_) => Reg::F32,
            _ => return Err(self.error(format!("{} is no scalar of a kernel", self.ctx.display_type(ty)))),
        })
    }

    // ---- scopes and lines

    pub fn depth(&self) -> usize {
        self.scopes.len() - 1
    }
    pub fn open(&mut self) {
        self.scopes.push(Scope::default());
    }
    /// Closes the innermost scope and answers its text.
    pub fn close(&mut self) -> String {
        // Both name values and ranges of what ends here; a loop may be printed again with others.
        self.resolved.clear();
        self.proved.clear();
        self.scopes.pop().map(|s| s.text).unwrap_or_default()
    }
    pub fn fresh(&mut self) -> Rc<str> {
        self.next += 1;
        format!("%{}", self.next - 1).into()
    }
    /// A line in the innermost scope.
    pub fn line(&mut self, text: &str) {
        let depth = self.depth();
        self.line_at(depth, text);
    }
    fn line_at(&mut self, depth: usize, text: &str) {
        let out = &mut self.scopes[depth].text;
        for _ in 0..depth + 2 {
            out.push_str("  ");
        }
        out.push_str(text);
        out.push('\n');
    }
    /// Text that has its own lines.
    pub fn append(&mut self, text: &str) {
        let depth = self.depth();
        self.scopes[depth].text.push_str(text);
    }

    /// An operation without side effects, in scope `depth`.
    pub fn pure_at(&mut self, depth: usize, reg: Reg, lanes: Option<u32>, rhs: String) -> Val {
        if let Some(known) = self.scopes[..=depth].iter().find_map(|s| s.known.get(&rhs)) {
            return known.clone();
        }
        // The same was printed further inside before: there it stays, here it is printed again.
        let name = self.fresh();
        self.line_at(depth, &format!("{name} = {rhs}"));
        let value = Val { name, reg, lanes, depth };
        self.scopes[depth].known.insert(rhs, value.clone());
        value
    }
    /// An operation without side effects, where its operands are known.
    pub fn pure(&mut self, reg: Reg, lanes: Option<u32>, operands: &[&Val], rhs: String) -> Val {
        let depth = operands.iter().map(|v| v.depth).max().unwrap_or(0);
        self.pure_at(depth, reg, lanes, rhs)
    }
    /// An operation that stays where it is and is not merged with others.
    pub fn fixed(&mut self, reg: Reg, lanes: Option<u32>, rhs: &str) -> Val {
        self.fixed_at(self.depth(), reg, lanes, rhs)
    }
    /// As [`Emitter::fixed`], in an outer scope.
    pub fn fixed_at(&mut self, depth: usize, reg: Reg, lanes: Option<u32>, rhs: &str) -> Val {
        let name = self.fresh();
        self.line_at(depth, &format!("{name} = {rhs}"));
        Val { name, reg, lanes, depth }
    }

    // ---- constants and small operations

    /// An integer, in all lanes.
    pub fn int(&mut self, value: i128, width: u32, lanes: Option<u32>) -> Val {
        let (reg, ty) = (Reg::Int(width), type_text(Reg::Int(width), lanes));
        // Two's complement of that width, as signed: MLIR refuses 255 : i8 in places.
        let shift = 128 - width.clamp(1, 128);
        let wrapped = (value << shift) >> shift;
        let text =
            if width == 1 { if value & 1 != 0 { "true" } else { "false" }.to_owned() } else { wrapped.to_string() };
        let rhs = match (lanes, width) {
            (Some(_), _) => format!("arith.constant dense<{text}> : {ty}"),
            (None, 1) => format!("arith.constant {text}"),
            (None, _) => format!("arith.constant {text} : {ty}"),
        };
        self.pure_at(0, reg, lanes, rhs)
    }
    pub fn i64(&mut self, value: i64) -> Val {
        self.int(value.into(), 64, None)
    }
    /// A float, in all lanes.
    pub fn float(&mut self, value: f64, reg: Reg, lanes: Option<u32>) -> Val {
        let literal = float_text(value, reg);
        let ty = type_text(reg, lanes);
        let literal = if lanes.is_some() { format!("dense<{literal}>") } else { literal };
        self.pure_at(0, reg, lanes, format!("arith.constant {literal} : {ty}"))
    }
    /// `0, step, 2*step, ...` as a vector of `i64`.
    pub fn steps(&mut self, step: i64, lanes: u32) -> Val {
        let mut list = String::new();
        for i in 0..i64::from(lanes) {
            let _ = write!(list, "{}{}", if i > 0 { ", " } else { "" }, i * step);
        }
        let ty = type_text(Reg::Int(64), Some(lanes));
        let (reg, rhs) = (Reg::Int(64), format!("arith.constant dense<[{list}]> : {ty}"));
        self.pure_at(0, reg, Some(lanes), rhs)
    }
    /// The scalar in all lanes; a vector stays as it is.
    pub fn spread(&mut self, value: &Val, lanes: Option<u32>) -> Val {
        match (value.lanes, lanes) {
            (None, Some(_)) => {
                let ty = type_text(value.reg, lanes);
                let rhs = format!("vector.broadcast {} : {} to {ty}", value.name, value.ty());
                self.pure(value.reg, lanes, &[value], rhs)
            }
            _ => value.clone(),
        }
    }
    /// One lane of a vector; a scalar stays as it is.
    pub fn lane(&mut self, value: &Val, lane: u32) -> Val {
        if value.lanes.is_none() {
            return value.clone();
        }
        let rhs = format!("vector.extract {}[{lane}] : {} from {}", value.name, type_text(value.reg, None), value.ty());
        self.pure(value.reg, None, &[value], rhs)
    }
    /// Scalars as the lanes of a vector.
    pub fn join_lanes(&mut self, scalars: &[Val]) -> Val {
        let reg = scalars[0].reg;
        let lanes = Some(scalars.len() as u32);
        let names: Vec<&str> = scalars.iter().map(|v| &*v.name).collect();
        let rhs = format!("vector.from_elements {} : {}", names.join(", "), type_text(reg, lanes));
        let operands: Vec<&Val> = scalars.iter().collect();
        self.pure(reg, lanes, &operands, rhs)
    }

    fn same_lanes(&mut self, values: &[&Val]) -> (Option<u32>, Vec<Val>) {
        let lanes = values.iter().find_map(|v| v.lanes);
        let values = values.iter().map(|v| self.spread(v, lanes)).collect();
        (lanes, values)
    }
    /// An operation whose operands and result have one type: `arith.addi`. `flags` follow the operands.
    pub fn op(&mut self, name: &str, flags: &str, values: &[&Val]) -> Val {
        let (lanes, values) = self.same_lanes(values);
        let reg = values[0].reg;
        let names: Vec<&str> = values.iter().map(|v| &*v.name).collect();
        let rhs = format!("{name} {}{flags} : {}", names.join(", "), type_text(reg, lanes));
        let operands: Vec<&Val> = values.iter().collect();
        self.pure(reg, lanes, &operands, rhs)
    }
    /// Float arithmetic, which may be contracted to fused multiply-add unless the target forbids it.
    pub fn fop(&mut self, name: &str, values: &[&Val]) -> Val {
        let flags = if self.target.contract { " fastmath<contract>" } else { "" };
        self.op(name, flags, values)
    }
    /// `arith.cmpi` or `arith.cmpf`.
    pub fn compare(&mut self, predicate: &str, a: &Val, b: &Val) -> Val {
        let (lanes, values) = self.same_lanes(&[a, b]);
        let name = if a.reg.is_float() { "arith.cmpf" } else { "arith.cmpi" };
        let rhs = format!("{name} {predicate}, {}, {} : {}", values[0].name, values[1].name, values[0].ty());
        self.pure(Reg::Int(1), lanes, &[&values[0], &values[1]], rhs)
    }
    /// `arith.select`.
    pub fn select(&mut self, condition: &Val, yes: &Val, no: &Val) -> Val {
        let lanes = [condition, yes, no].iter().find_map(|v| v.lanes);
        let (yes, no) = (self.spread(yes, lanes), self.spread(no, lanes));
        let types = if condition.lanes.is_some() { format!("{}, {}", condition.ty(), yes.ty()) } else { yes.ty() };
        let rhs = format!("arith.select {}, {}, {} : {types}", condition.name, yes.name, no.name);
        self.pure(yes.reg, lanes, &[condition, &yes, &no], rhs)
    }
    /// A conversion: `arith.extsi`, `arith.bitcast`, ...; none when the type is there already.
    pub fn cast(&mut self, name: &str, value: &Val, to: Reg) -> Val {
        if value.reg == to {
            return value.clone();
        }
        let rhs = format!("{name} {} : {} to {}", value.name, value.ty(), type_text(to, value.lanes));
        self.pure(to, value.lanes, &[value], rhs)
    }
}

/// A float literal that MLIR reads back exactly.
fn float_text(value: f64, reg: Reg) -> String {
    let short = reg == Reg::F32;
    if !value.is_finite() || (short && !(value as f32).is_finite()) {
        return match short {
            true => format!("0x{:08X}", (value as f32).to_bits()),
            false => format!("0x{:016X}", value.to_bits()),
        };
    }
    let text = if short { format!("{:?}", value as f32) } else { format!("{value:?}") };
    match text.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0e{exponent}"),
        _ => text,
    }
}
