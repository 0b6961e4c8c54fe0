//! Whether types and attributes satisfy constraints, and what to say when they do not.

use crate::define::{Constraint, Definition, Definitions};
use nim_ir::{Attr, AttrData, Context, FloatKind, TypeData};
use nim_text::print_attr;
use rustc_hash::FxHashMap;

/// Built-in types and attributes by upstream's names, and whether something is one of them.
type Is = fn(&AttrData, Option<&TypeData>) -> bool;
const BUILTIN: &[(&str, Is)] = &[
    ("!builtin.integer", |_, t| matches!(t, Some(TypeData::Integer { .. }))),
    ("!builtin.index", |_, t| matches!(t, Some(TypeData::Index))),
    ("!builtin.none", |_, t| matches!(t, Some(TypeData::None))),
    ("!builtin.complex", |_, t| matches!(t, Some(TypeData::Complex(_)))),
    ("!builtin.tuple", |_, t| matches!(t, Some(TypeData::Tuple(_)))),
    ("!builtin.function", |_, t| matches!(t, Some(TypeData::Function { .. }))),
    ("!builtin.tensor", |_, t| matches!(t, Some(TypeData::Tensor { .. }))),
    ("!builtin.unranked_tensor", |_, t| matches!(t, Some(TypeData::UnrankedTensor(_)))),
    ("!builtin.memref", |_, t| matches!(t, Some(TypeData::MemRef { .. }))),
    ("!builtin.unranked_memref", |_, t| matches!(t, Some(TypeData::UnrankedMemRef { .. }))),
    ("!builtin.vector", |_, t| matches!(t, Some(TypeData::Vector { .. }))),
    ("#builtin.string", |a, _| matches!(a, AttrData::String(_))),
    ("#builtin.integer", |a, _| matches!(a, AttrData::Int { .. } | AttrData::Bool(_))),
    ("#builtin.float", |a, _| matches!(a, AttrData::Float { .. })),
    ("#builtin.array", |a, _| matches!(a, AttrData::Array(_))),
    ("#builtin.dictionary", |a, _| matches!(a, AttrData::Dict(_))),
    ("#builtin.type", |a, _| matches!(a, AttrData::Type(_))),
    ("#builtin.unit", |a, _| matches!(a, AttrData::Unit)),
    ("#builtin.symbol_ref", |a, _| matches!(a, AttrData::SymbolRef(_))),
    ("#builtin.dense_array", |a, _| matches!(a, AttrData::DenseArray { .. })),
];

/// The float type of a name such as `!builtin.f32`.
fn float(name: &str) -> Option<FloatKind> {
    FloatKind::from_name(name.strip_prefix("!builtin.")?)
}

/// Whether a name is that of a built-in type or attribute.
pub fn is_builtin(name: &str) -> bool {
    BUILTIN.iter().any(|(n, _)| *n == name) || float(name).is_some()
}

/// A type or attribute of a dialect in its parts: `dialect.name`, and its parameters.
pub struct Parts {
    pub name: String,
    pub is_type: bool,
    pub parameters: Result<Vec<Attr>, String>,
}

/// The parts of a type or attribute that is kept as text; nothing for others.
pub fn parts(ctx: &Context, attr: Attr) -> Option<Parts> {
    let (text, is_type) = match ctx.attr_data(attr) {
        AttrData::Opaque(text) => (ctx.str(*text), false),
        AttrData::Type(ty) => match ctx.type_data(*ty) {
            TypeData::Opaque(text) => (ctx.str(*text), true),
            _ => return None,
        },
        _ => return None,
    };
    let (name, rest) = text.split_at(text.find('<').unwrap_or(text.len()));
    let inside = rest.strip_prefix('<').and_then(|r| r.trim_end().strip_suffix('>'));
    let parameters = match inside.map(str::trim).filter(|i| !i.is_empty()) {
        None => Ok(vec![]),
        // An array has just the syntax of a list of parameters.
        Some(inside) => match nim_text::parse_attr(ctx, &format!("[{inside}]")) {
            Ok(list) => ctx.as_array(list).map(<[Attr]>::to_vec).ok_or_else(|| "no list".to_string()),
            Err(found) => Err(found.first().map_or(String::new(), |d| d.message.clone())),
        },
    };
    Some(Parts { name: name.trim_start_matches(['!', '#']).to_string(), is_type, parameters })
}

/// What the values of a definition's constraints stand for in one op or type.
pub struct Assignment<'a> {
    pub ctx: &'a Context,
    pub all: &'a Definitions,
    pub definition: &'a Definition,
    assigned: Vec<Option<Attr>>,
    /// What does not satisfy a constraint, and why: constraints share parts, which are looked at once each. What is assigned
    /// later allows nothing more.
    failed: FxHashMap<(usize, Attr), String>,
    depth: u32,
}

/// Longest reason that is told in full.
const LONGEST_REASON: usize = 400;
/// Most alternatives of which it is told why they do not hold.
const MOST_REASONS: usize = 16;

impl<'a> Assignment<'a> {
    pub fn new(ctx: &'a Context, all: &'a Definitions, definition: &'a Definition) -> Assignment<'a> {
        let assigned = vec![None; definition.constraints.len()];
        Assignment { ctx, all, definition, assigned, failed: FxHashMap::default(), depth: 0 }
    }

    fn show(&self, attr: Attr) -> String {
        print_attr(self.ctx, attr)
    }

    /// Two things that mean the same: texts of dialects may be spelled differently.
    fn same(&self, a: Attr, b: Attr) -> bool {
        if a == b {
            return true;
        }
        let (Some(a), Some(b)) = (parts(self.ctx, a), parts(self.ctx, b)) else { return false };
        match (a.parameters, b.parameters) {
            (Ok(x), Ok(y)) => {
                let parameters = x.len() == y.len() && x.iter().zip(&y).all(|(&x, &y)| self.same(x, y));
                a.name == b.name && a.is_type == b.is_type && parameters
            }
            _ => false,
        }
    }

    /// Whether something satisfies a constraint; the error says which one it does not.
    pub fn verify(&mut self, attr: Attr, n: usize) -> Result<(), String> {
        if let Some(before) = self.assigned[n] {
            return match self.same(before, attr) {
                true => Ok(()),
                false => Err(format!("expected `{}`, which the same value stands for before", self.show(before))),
            };
        }
        if let Some(why) = self.failed.get(&(n, attr)) {
            return Err(why.clone());
        }
        if self.depth >= nim_text::max_depth() {
            return Err("its constraints are nested too deeply".into());
        }
        self.depth += 1;
        let holds = self.constraint(attr, n);
        self.depth -= 1;
        match holds {
            Ok(()) => {
                self.assigned[n] = Some(attr);
                Ok(())
            }
            Err(mut why) => {
                if why.len() > LONGEST_REASON {
                    let end = (0..=LONGEST_REASON).rev().find(|&at| why.is_char_boundary(at));
                    why.truncate(end.unwrap_or(0));
                    why.push_str("...");
                }
                self.failed.insert((n, attr), why.clone());
                Err(why)
            }
        }
    }

    fn constraint(&mut self, attr: Attr, n: usize) -> Result<(), String> {
        let constraint = &self.definition.constraints[n];
        match constraint {
            Constraint::Any => Ok(()),
            Constraint::Is(wanted) if self.same(*wanted, attr) => Ok(()),
            Constraint::Is(wanted) => Err(format!("`irdl.is` wants `{}`", self.show(*wanted))),
            Constraint::Base(name) => match self.of(attr, name) {
                Some(_) => Ok(()),
                None => Err(format!("`irdl.base` wants `{name}`")),
            },
            Constraint::Builtin(name) => {
                let data = self.ctx.attr_data(attr);
                let ty = match data {
                    AttrData::Type(ty) => Some(self.ctx.type_data(*ty)),
                    _ => None,
                };
                let known = BUILTIN.iter().find(|(n, _)| n == name);
                let holds = match known {
                    Some((_, is)) => is(data, ty),
                    None => matches!(ty, Some(TypeData::Float(kind)) if Some(*kind) == float(name)),
                };
                if holds { Ok(()) } else { Err(format!("`irdl.base` wants `{name}`")) }
            }
            Constraint::Parametric(name, inner) => {
                let Some(found) = self.of(attr, name) else {
                    return Err(format!("`irdl.parametric` wants `{name}`"));
                };
                let parameters = found.parameters?;
                if parameters.len() != inner.len() {
                    let (wanted, found) = (inner.len(), parameters.len());
                    return Err(format!("`irdl.parametric` wants {wanted} parameters of `{name}`, there are {found}"));
                }
                for (i, (&parameter, &inner)) in parameters.iter().zip(inner).enumerate() {
                    let why = self.verify(parameter, inner);
                    why.map_err(|why| format!("parameter {i} of `{name}` is `{}`: {why}", self.show(parameter)))?;
                }
                Ok(())
            }
            Constraint::AnyOf(inner) => {
                let mut whys: Vec<String> = vec![];
                for &inner in inner {
                    match self.verify(attr, inner) {
                        Ok(()) => return Ok(()),
                        Err(why) if whys.len() >= MOST_REASONS || whys.contains(&why) => {}
                        Err(why) => whys.push(why),
                    }
                }
                Err(format!("`irdl.any_of` wants one of: {}", whys.join("; ")))
            }
            Constraint::AllOf(inner) => inner.iter().try_for_each(|&inner| self.verify(attr, inner)),
        }
    }

    /// The parts of something that is of a definition.
    fn of(&self, attr: Attr, name: &str) -> Option<Parts> {
        let found = parts(self.ctx, attr).filter(|p| p.name == name)?;
        let table = if found.is_type { &self.all.types } else { &self.all.attrs };
        table.contains_key(name).then_some(found)
    }
}
