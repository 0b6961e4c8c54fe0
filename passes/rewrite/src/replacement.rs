//! What a rule puts in place of an op: a value that is there, or ops to be made.

use crate::{Miss, Site};
use nim_ir::{
    Arity, Attr, AttrData, AttrList, Body, Context, Expr, Loc, OpDef, OpId, OpState, Trait, Type, ValueId,
    builder::infer_types,
};

/// What a rule of `rules!` puts in place of an op.
pub trait Replacement {
    /// The last check before the rule fires; it changes nothing.
    ///
    /// # Errors
    /// There is no such op.
    fn check(&mut self, _ctx: &Context, _body: &Body, _op: OpId) -> Result<(), Miss> {
        Ok(())
    }
    /// Takes the place of the op.
    fn put(self, site: &mut Site<'_>);
}

/// A value that is there already; it must have the type of what it takes the place of.
impl Replacement for ValueId {
    fn check(&mut self, _: &Context, body: &Body, op: OpId) -> Result<(), Miss> {
        match *body.results(op) {
            [result] if body.ty(result) == body.ty(*self) => Ok(()),
            [_] => Err(Miss("it has another type than what would take its place")),
            _ => Err(Miss("it has no single result")),
        }
    }
    fn put(self, site: &mut Site<'_>) {
        site.replace(self);
    }
}

/// An op to be made. Its operands may be ops to be made.
pub struct Make {
    def: &'static OpDef,
    operands: Vec<(&'static str, Vec<Part>)>,
    attrs: AttrList,
    ty: Option<Type>,
}

/// An operand of an op to be made.
pub enum Part {
    /// It is there already.
    Value(ValueId),
    /// The result of another op to be made.
    Made(Box<Make>),
}

/// What a field of an op may be given.
pub trait Field {
    /// Gives it.
    fn give(self, ctx: &Context, make: &mut Make, name: &'static str);
}

impl Make {
    /// An op without operands and attributes.
    pub fn new(def: &'static OpDef) -> Make {
        Make { def, operands: vec![], attrs: AttrList::new(), ty: None }
    }
    /// Takes operands and attributes of an op of the same name for all fields that are not given.
    #[must_use]
    pub fn like(mut self, ctx: &Context, body: &Body, op: OpId) -> Make {
        self.attrs = body.attrs(op).clone();
        for field in self.def.operands {
            if let Some(values) = nim_ir::verifier::operand_field(ctx, body, op, field.name) {
                self.operands.push((field.name, values.into_iter().map(Part::Value).collect()));
            }
        }
        self
    }
    /// Gives a field.
    #[must_use]
    pub fn field(mut self, ctx: &Context, name: &'static str, value: impl Field) -> Make {
        value.give(ctx, &mut self, name);
        self
    }
    /// Says the type of its only result; without it, it is inferred.
    #[must_use]
    pub fn ty(mut self, ty: Type) -> Make {
        self.ty = Some(ty);
        self
    }
    fn operand(&mut self, name: &'static str, parts: Vec<Part>) {
        match self.operands.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = parts,
            None => self.operands.push((name, parts)),
        }
    }
    fn attr(&mut self, ctx: &Context, name: &'static str, attr: Attr) {
        self.attrs.set(ctx, ctx.name(name), attr);
    }

    /// The type of the result, found before anything is changed.
    fn resolve(&mut self, ctx: &Context, body: &Body) -> Result<Type, Miss> {
        let def = self.def;
        let mut types = vec![];
        for field in def.operands {
            let parts = match self.operands.iter_mut().find(|(known, _)| *known == field.name) {
                Some((_, parts)) => parts.as_mut_slice(),
                None => &mut [],
            };
            if field.arity == Arity::One && parts.len() != 1 {
                return Err(Miss("the replacement lacks an operand"));
            }
            for part in parts {
                types.push(match part {
                    Part::Value(value) => body.ty(*value),
                    Part::Made(make) => make.resolve(ctx, body)?,
                });
            }
        }
        if let Some(ty) = self.ty {
            return Ok(ty);
        }
        let same = def.has(Trait::SameOperandsAndResultType).then(|| types.first().copied()).flatten();
        let ty = match same {
            Some(ty) => ty,
            None => match infer_types(ctx, ctx.op_name(def.name), &types, &self.attrs, Loc::UNKNOWN) {
                Ok(types) if types.len() == 1 => types[0],
                _ => return Err(Miss("the type of the replacement cannot be inferred")),
            },
        };
        self.ty = Some(ty);
        Ok(ty)
    }

    /// Makes it in front of the site's op.
    fn build(self, site: &mut Site<'_>) -> ValueId {
        let (ctx, def, loc) = (site.ctx, self.def, site.loc());
        let mut state = OpState::new(ctx, def.name, loc);
        let mut sizes = vec![];
        let mut operands = self.operands;
        for field in def.operands {
            let parts =
                operands.iter_mut().find(|(known, _)| *known == field.name).map(|(_, parts)| std::mem::take(parts));
            let parts = parts.unwrap_or_default();
            sizes.push(parts.len() as i64);
            for part in parts {
                let value = match part {
                    Part::Value(value) => value,
                    Part::Made(make) => make.build(site),
                };
                state.operands.push(value);
            }
        }
        state.attrs = self.attrs;
        if def.has_operand_segments() {
            state = state.attr(ctx, "operandSegmentSizes", ctx.i32_array(&sizes));
        }
        state.results.extend(self.ty);
        let made = site.builder().insert(state);
        site.body.result(made)
    }
}

impl Replacement for Make {
    fn check(&mut self, ctx: &Context, body: &Body, op: OpId) -> Result<(), Miss> {
        let &[result] = body.results(op) else { return Err(Miss("it has no single result")) };
        // What takes the op's place has its type.
        self.ty.get_or_insert(body.ty(result));
        self.resolve(ctx, body).map(drop)
    }
    fn put(self, site: &mut Site<'_>) {
        let value = self.build(site);
        site.replace(value);
    }
}

impl Field for ValueId {
    fn give(self, _: &Context, make: &mut Make, name: &'static str) {
        make.operand(name, vec![Part::Value(self)]);
    }
}
impl Field for Make {
    fn give(self, _: &Context, make: &mut Make, name: &'static str) {
        make.operand(name, vec![Part::Made(Box::new(self))]);
    }
}
impl Field for Option<ValueId> {
    fn give(self, _: &Context, make: &mut Make, name: &'static str) {
        make.operand(name, self.into_iter().map(Part::Value).collect());
    }
}
impl Field for Vec<ValueId> {
    fn give(self, _: &Context, make: &mut Make, name: &'static str) {
        make.operand(name, self.into_iter().map(Part::Value).collect());
    }
}

fn type_of(ctx: &Context, number: Attr) -> Option<Type> {
    match ctx.attr_data(number) {
        AttrData::Int { ty, .. } | AttrData::Float { ty, .. } => Some(*ty),
        _ => None,
    }
}

/// Attributes, by how they are written in Rust.
macro_rules! attributes {
    ($($ty:ty: |$ctx:ident, $value:ident, $old:ident| $attr:expr;)*) => {
        $(impl Field for $ty {
            fn give(self, $ctx: &Context, make: &mut Make, name: &'static str) {
                let ($value, $old) = (self, make.attrs.get($ctx.name(name)));
                let attr = $attr;
                make.attr($ctx, name, attr);
            }
        })*
    };
}
attributes! {
    Attr: |_ctx, value, _old| value;
    Type: |ctx, value, _old| ctx.type_attr(value);
    bool: |ctx, value, _old| ctx.bool_attr(value);
    &str: |ctx, value, _old| ctx.string_attr(value);
    Expr: |ctx, value, _old| ctx.expr_attr(value);
    Vec<i64>: |ctx, value, _old| ctx.i64_array(&value);
    Vec<Expr>: |ctx, value, _old| ctx.exprs_attr(&value);
    // Numbers have the type of what they take the place of.
    i64: |ctx, value, old| ctx.int_attr(value.into(), old.and_then(|a| type_of(ctx, a)).unwrap_or(ctx.int_type(64)));
    f64: |ctx, value, old| ctx.float_attr(value, old.and_then(|a| type_of(ctx, a)).unwrap_or(ctx.f32_type()));
}

/// A value that a field may have: `of` is what reads the field.
pub fn typed_as<'c, T>(of: impl Fn(&'c Context, &Body, OpId) -> Option<T>, value: T) -> T {
    let _ = of;
    value
}

/// An op to be made, for a field that is one operand: `of` is what reads it.
pub fn operand_of<'c>(of: impl Fn(&'c Context, &Body, OpId) -> Option<ValueId>, made: Make) -> Make {
    let _ = of;
    made
}
