//! Sequences and optional values.
//!
//! Where it is known when importing what is in them, they are carried out here and leave nothing behind. All others are
//! values of the types `!graph.sequence<T>` and `!graph.optional<T>`, and the runtime library works on them.

use super::{
    Importer, Item, ItemFamily, Items, Node,
    loops::{self, Bounds, Yielded},
    wrap_axis,
};
use crate::{
    dtype_of,
    import::types,
    proto::{GraphProto, type_proto},
};
use nim_graph::Built;
use nim_ir::{Dim, Expr, Type, TypeData, ValueId};
use nim_tensor::{DType, Tensor};
use std::rc::Rc;

pub(super) const RULES: ItemFamily = &[
    ("ConcatFromSequence", concat_from_sequence),
    ("Identity", |im, n| Ok(vec![n.item(im, 0)?])),
    ("Optional", optional),
    ("OptionalGetElement", optional_get),
    ("OptionalHasElement", optional_has),
    ("SequenceAt", sequence_at),
    ("SequenceConstruct", sequence_construct),
    ("SequenceEmpty", sequence_empty),
    ("SequenceErase", sequence_erase),
    ("SequenceInsert", sequence_insert),
    ("SequenceLength", sequence_length),
    ("SequenceMap", sequence_map),
    ("SplitToSequence", split_to_sequence),
];

/// Splits into more parts are left to run time.
const MAX_PARTS: i64 = 1 << 16;

/// A sequence.
enum List {
    /// Its values are known.
    Known(Vec<Item>, DType),
    /// Run time has it; what it holds.
    Value(ValueId, Type),
}

fn list(im: &Importer<'_>, n: &Node<'_>, i: usize) -> Built<List> {
    match n.item(im, i)? {
        Item::Sequence(items, dtype) => Ok(List::Known(items.to_vec(), dtype)),
        Item::Value(v) if im.wrapped(im.ty(v), "sequence").is_some() => {
            Ok(List::Value(v, im.wrapped(im.ty(v), "sequence").unwrap_or(im.ty(v))))
        }
        other => {
            let found = im.describe(&other);
            Err(im.error("N0640", format!("input {i} must be a sequence, found {found}")))
        }
    }
}

/// An element type as the number by which the runtime library knows it.
pub(super) fn element_code(dtype: DType) -> i64 {
    DType::ALL.iter().position(|d| *d == dtype).unwrap_or(0) as i64
}

fn made(items: Vec<Item>, dtype: DType) -> Items {
    Ok(vec![Item::Sequence(items.into(), dtype)])
}

fn value(v: ValueId) -> Items {
    Ok(vec![Item::Value(v)])
}

/// A position in a sequence of some length (or behind its end with `end`) if it is known; negative ones count from the end.
fn position(im: &Importer<'_>, v: ValueId, length: usize, end: bool) -> Built<Option<usize>> {
    let Some(&[at]) = im.ints(v).as_deref() else { return Ok(None) };
    let wrapped = if at < 0 { at + length as i64 } else { at };
    usize::try_from(wrapped)
        .ok()
        .filter(|&i| i < length + end as usize)
        .map(Some)
        .ok_or_else(|| im.error("N0641", format!("position {at} lies outside a sequence of {length} values")))
}

impl<'a> Importer<'a> {
    /// What an item is, for messages.
    pub(crate) fn describe(&self, item: &Item) -> String {
        match item {
            Item::Value(v) => self.ctx().display_type(self.ty(*v)),
            Item::Sequence(..) => "a sequence".into(),
            Item::Optional(..) => "an optional value".into(),
        }
    }

    /// An item as one value of the program. Sequences and optional values say of their tensors only what the elements are,
    /// so that those of one kind have one type wherever they come from.
    pub(crate) fn as_value(&mut self, item: &Item) -> Built {
        match item {
            Item::Value(v) => {
                let (own, plain) = (self.ty(*v), self.plain(self.ty(*v)));
                Ok(if own == plain { *v } else { self.runtime_value("value.same", &[*v], &[], plain) })
            }
            Item::Sequence(items, dtype) => {
                let ty = self.sequence_type(*dtype);
                let values = items.iter().map(|i| self.as_value(i)).collect::<Built<Vec<_>>>()?;
                Ok(self.runtime_value("sequence.construct", &values, &[], ty))
            }
            Item::Optional(Some(item), _) => {
                let value = self.as_value(item)?;
                let inner = match self.dtype(value) {
                    Ok(dtype) => self.any_tensor(dtype),
                    Err(_) => self.ty(value),
                };
                let ty = self.wrapper_type("optional", inner);
                Ok(self.runtime_value("optional.some", &[value], &[], ty))
            }
            Item::Optional(None, inner) => {
                let inner =
                    inner.ok_or_else(|| self.error("N0641", "what an empty optional would hold is not said"))?;
                let ty = self.wrapper_type("optional", self.plain(inner));
                Ok(self.runtime_value("optional.none", &[], &[], ty))
            }
        }
    }

    /// A tensor of any shape.
    fn any_tensor(&self, dtype: DType) -> Type {
        self.ctx().ty(TypeData::UnrankedTensor(self.ctx().type_of_dtype(dtype)))
    }
    fn sequence_type(&self, dtype: DType) -> Type {
        self.wrapper_type("sequence", self.any_tensor(dtype))
    }
    /// A sequence or optional type without the shapes of its tensors; other types as they are.
    fn plain(&self, ty: Type) -> Type {
        for name in ["sequence", "optional"] {
            if let Some(inner) = self.wrapped(ty, name) {
                let inner = match self.ctx().dtype_of(inner) {
                    Some(dtype) => self.any_tensor(dtype),
                    None => self.plain(inner),
                };
                return self.wrapper_type(name, inner);
            }
        }
        ty
    }
    /// A tensor type as `ty`, of sizes that come at run time, and what the library checks it by.
    fn element_of(&mut self, ty: Type, rank: Option<usize>) -> Built<(Type, [i64; 2])> {
        let own = self.ctx().dims(ty).map(<[Dim]>::len);
        let (Some(dtype), Some(rank)) = (self.ctx().dtype_of(ty), own.or(rank)) else {
            let found = self.ctx().display_type(ty);
            return Err(self
                .error("N0642", format!("the rank of a tensor taken out of something that holds {found} is not known"))
                .note("the type that the file gives the sequence should have a shape"));
        };
        let dims: Vec<Expr> = (0..rank).map(|_| self.fresh_symbol("size")).collect();
        Ok((self.ctx().tensor_of(&dims, self.ctx().type_of_dtype(dtype)), [element_code(dtype), rank as i64]))
    }
    /// The value at a position of a sequence of run time.
    fn taken(&mut self, list: ValueId, inner: Type, at: ValueId, rank: Option<usize>) -> Built {
        let (ty, ints) = self.element_of(inner, rank)?;
        Ok(self.runtime_value("sequence.at", &[list, at], &ints, ty))
    }
    fn length(&mut self, list: ValueId) -> ValueId {
        let ty = self.ctx().tensor_of(&[], self.ctx().int_type(64));
        self.runtime_value("sequence.length", &[list], &[], ty)
    }
}

fn sequence_construct<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let dtype = im.dtype(n.input(im, 0)?)?;
    let items = (0..n.items.len()).map(|i| n.input(im, i).map(Item::Value)).collect::<Built<_>>()?;
    made(items, dtype)
}

fn sequence_empty<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    made(vec![], dtype_of(n.int("dtype", 1) as i32).map_err(|e| im.error("N0614", e.to_string()))?)
}

fn sequence_at<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let (list, at) = (list(im, n, 0)?, n.input(im, 1)?);
    match list {
        List::Known(items, dtype) => match position(im, at, items.len(), false)? {
            Some(at) => Ok(vec![items[at].clone()]),
            None => {
                let ranks: Vec<usize> = items.iter().filter_map(|i| im.rank(i.value()?).ok()).collect();
                let rank = ranks.first().copied().filter(|r| ranks.iter().all(|o| o == r)).or(n.declared_rank(im, 0));
                let inner = im.any_tensor(dtype);
                let all = im.as_value(&Item::Sequence(items.into(), dtype))?;
                value(im.taken(all, inner, at, rank)?)
            }
        },
        List::Value(v, inner) => {
            let rank = n.declared_rank(im, 0);
            value(im.taken(v, inner, at, rank)?)
        }
    }
}

fn sequence_insert<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let (list, new) = (list(im, n, 0)?, n.input(im, 1)?);
    let dtype = im.dtype(new)?;
    let (all, inner) = match list {
        List::Known(mut items, own) => {
            if own != dtype {
                return Err(im.error("N0640", format!("a sequence of {own} cannot take a tensor of {dtype}")));
            }
            let at = match n.opt(2) {
                Some(v) => position(im, v, items.len(), true)?,
                None => Some(items.len()),
            };
            if let Some(at) = at {
                items.insert(at, Item::Value(new));
                return made(items, own);
            }
            let inner = im.any_tensor(own);
            (im.as_value(&Item::Sequence(items.into(), own))?, inner)
        }
        List::Value(v, inner) => (v, inner),
    };
    // What all tensors have in common is kept.
    let rank = im.rank(new)?;
    let same = im.ctx().dims(inner).is_some_and(|d| d.len() == rank) && im.ctx().dtype_of(inner) == Some(dtype);
    let ty = if same { im.wrapper_type("sequence", inner) } else { im.sequence_type(dtype) };
    let operands: Vec<ValueId> = [all, new].into_iter().chain(n.opt(2)).collect();
    value(im.runtime_value("sequence.insert", &operands, &[], ty))
}

fn sequence_erase<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let (all, ty) = match list(im, n, 0)? {
        List::Known(mut items, dtype) => {
            let at = match n.opt(1) {
                Some(v) => position(im, v, items.len(), false)?,
                None if items.is_empty() => {
                    return Err(im.error("N0641", "nothing can be taken from an empty sequence"));
                }
                None => Some(items.len() - 1),
            };
            if let Some(at) = at {
                items.remove(at);
                return made(items, dtype);
            }
            let v = im.as_value(&Item::Sequence(items.into(), dtype))?;
            (v, im.ty(v))
        }
        List::Value(v, _) => (v, im.ty(v)),
    };
    let operands: Vec<ValueId> = [all].into_iter().chain(n.opt(1)).collect();
    value(im.runtime_value("sequence.erase", &operands, &[], ty))
}

fn sequence_length<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    match list(im, n, 0)? {
        List::Known(items, _) => value(im.constant(&Tensor::scalar(items.len() as i64), "length")?),
        List::Value(v, _) => value(im.length(v)),
    }
}

fn tensors(im: &Importer<'_>, items: Vec<Item>) -> Built<Vec<ValueId>> {
    items
        .into_iter()
        .map(|i| i.value().ok_or_else(|| im.error("N0640", format!("a tensor is needed, found {}", im.describe(&i)))))
        .collect()
}

fn concat_from_sequence<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let new_axis = n.flag("new_axis", false);
    match list(im, n, 0)? {
        List::Known(items, _) => {
            let mut values = tensors(im, items)?;
            let Some(&first) = values.first() else {
                return Err(im.error("N0641", "an empty sequence cannot be concatenated"));
            };
            let axis = wrap_axis(im, n.int("axis", 0), im.rank(first)? + new_axis as usize)?;
            if new_axis {
                for v in &mut values {
                    *v = im.unsqueeze(*v, &[axis as i64])?;
                }
            }
            value(im.concat(&values, axis)?)
        }
        List::Value(v, inner) => {
            let declared = n.declared_rank(im, 0).and_then(|r| r.checked_sub(new_axis as usize));
            let (ty, [code, rank]) = im.element_of(inner, declared)?;
            let rank = usize::try_from(rank).unwrap_or(0);
            let axis = wrap_axis(im, n.int("axis", 0), rank + new_axis as usize)?;
            let mut dims = im.ctx().dim_exprs(ty).unwrap_or_default();
            if new_axis {
                dims.insert(axis, im.fresh_symbol("size"));
            }
            let ty = im.ctx().tensor_of(&dims, im.ctx().element_type(ty).unwrap_or(ty));
            let ints = [axis as i64, new_axis.into(), code, rank as i64];
            value(im.runtime_value("sequence.concat", &[v], &ints, ty))
        }
    }
}

/// The sizes of a split where it is known how many there are, and whether their axis goes.
fn known_parts<'a>(im: &mut Importer<'a>, n: &Node<'a>, whole: Expr) -> Built<Option<(Vec<Expr>, bool)>> {
    let p = &im.ctx().exprs;
    let whole = p.as_const(whole);
    match n.opt(1) {
        None => {
            let count = whole.filter(|&c| c <= MAX_PARTS);
            Ok(count.map(|count| (vec![p.constant(1); count as usize], !n.flag("keepdims", true))))
        }
        Some(v) if im.rank(v)? == 0 => {
            let Some(each) = im.ints(v).and_then(|v| v.first().copied()) else { return Ok(None) };
            if each <= 0 {
                return Err(im.error("N0641", format!("an axis cannot be cut into parts of size {each}")));
            }
            let Some(whole) = whole.filter(|&c| c / each <= MAX_PARTS) else { return Ok(None) };
            let mut sizes = vec![p.constant(each); (whole / each) as usize];
            if whole % each > 0 {
                sizes.push(p.constant(whole % each));
            }
            Ok(Some((sizes, false)))
        }
        Some(v) => match im.dims(v)?.as_slice() {
            &[count] if im.ctx().exprs.as_const(count).is_some() => Ok(Some((im.exprs_or_bind(v, "split")?, false))),
            _ => Ok(None),
        },
    }
}

fn split_to_sequence<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let x = n.input(im, 0)?;
    let (dims, dtype) = (im.dims(x)?, im.dtype(x)?);
    let axis = wrap_axis(im, n.int("axis", 0), dims.len())?;
    let Some((sizes, squeezed)) = known_parts(im, n, dims[axis])? else {
        let keep = n.flag("keepdims", true);
        let rank = dims.len() - usize::from(!keep && n.opt(1).is_none());
        let inner = im.ctx().tensor_type(&vec![Dim::Unknown; rank], im.element(x)?);
        let ty = im.wrapper_type("sequence", inner);
        let operands: Vec<ValueId> = [x].into_iter().chain(n.opt(1)).collect();
        return value(im.runtime_value("sequence.split", &operands, &[axis as i64, keep.into()], ty));
    };
    let total = im.ctx().exprs.sum(sizes.iter().copied());
    im.guard("eq", total, dims[axis], "sizes of the parts of a split");
    let mut start = im.num(0);
    let mut parts = vec![];
    for size in sizes {
        let mut part = im.slice_axis(x, axis, start, size)?;
        if squeezed {
            part = im.squeeze(part, &[axis])?;
        }
        parts.push(Item::Value(part));
        start = im.ctx().exprs.add(start, size);
    }
    made(parts, dtype)
}

/// The element type that the file gives a value, if it is a tensor.
fn declared(im: &Importer<'_>, info: Option<&crate::proto::ValueInfoProto>) -> Built<DType> {
    match info.and_then(|i| i.r#type.as_ref()).and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::TensorType(t)) => dtype_of(t.elem_type).map_err(|e| im.error("N0614", e.to_string())),
        _ => Err(im.error("N0640", "the body of a SequenceMap must say of its outputs which tensors they are")),
    }
}

/// The body once for each position; inputs that are no sequences are the same for all.
fn sequence_map<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let body = n.graph(im, "body")?;
    let first = list(im, n, 0)?;
    let inputs: Vec<Item> = (0..n.items.len()).map(|i| n.item(im, i)).collect::<Built<_>>()?;
    let counted = |item: &Item| match item {
        Item::Value(v) => im.wrapped(im.ty(*v), "sequence").is_none(),
        _ => true,
    };
    let length = match first {
        List::Known(items, _) if inputs.iter().all(counted) => items.len(),
        List::Known(items, dtype) => {
            let v = im.as_value(&Item::Sequence(items.into(), dtype))?;
            return mapped(im, body, v, inputs);
        }
        List::Value(v, _) => return mapped(im, body, v, inputs),
    };
    let mut out: Vec<Vec<Item>> = vec![vec![]; body.output.len()];
    for i in 0..length {
        let mut args = vec![];
        for item in &inputs {
            args.push(match item {
                Item::Sequence(items, _) => match items.get(i) {
                    Some(item) => item.clone(),
                    None => return Err(im.error("N0641", format!("a sequence has fewer than {length} values"))),
                },
                other => other.clone(),
            });
        }
        for (list, item) in out.iter_mut().zip(im.subgraph(body, &args)?) {
            list.push(item);
        }
    }
    let mut results = vec![];
    for (i, list) in out.into_iter().enumerate() {
        let dtype = match list.first().and_then(Item::value) {
            Some(v) => im.dtype(v)?,
            None => declared(im, body.output.get(i))?,
        };
        results.push(Item::Sequence(list.into(), dtype));
    }
    Ok(results)
}

/// A loop over the positions of sequences of run time.
fn mapped<'a>(im: &mut Importer<'a>, body: &'a GraphProto, first: ValueId, inputs: Vec<Item>) -> Items {
    let length = im.length(first);
    let trip = im.exprs_or_bind(length, "length")?;
    let mut items = vec![];
    for item in inputs {
        let item = if item.value().is_none() { Item::Value(im.as_value(&item)?) } else { item };
        if let Some(v) = item.value().filter(|&v| im.wrapped(im.ty(v), "sequence").is_some()) {
            let other = im.length(v);
            let other = im.exprs_or_bind(other, "length")?;
            im.guard("eq", trip[0], other[0], "lengths of the sequences of a SequenceMap");
        }
        items.push(item);
    }
    let mut empty = vec![];
    for output in &body.output {
        let dtype = declared(im, Some(output))?;
        empty.push(im.as_value(&Item::Sequence(Rc::new([]), dtype))?);
    }
    let bounds = Bounds { trip: Some(length), condition: None, trip_expr: Some(trip[0]) };
    let results = loops::run_loop(im, &bounds, &empty, &|im, it| {
        let mut args = vec![];
        for (i, item) in items.iter().enumerate() {
            let list = item.value().and_then(|v| Some((v, im.wrapped(im.ty(v), "sequence")?)));
            args.push(match list {
                Some((v, inner)) => {
                    let rank = body.input.get(i).and_then(types::declared_rank);
                    Item::Value(im.taken(v, inner, it.index, rank)?)
                }
                None => item.clone(),
            });
        }
        let mut next = vec![];
        for (&list, item) in it.carried.iter().zip(im.subgraph(body, &args)?) {
            let v = im.as_value(&item)?;
            let ty = im.ty(list);
            next.push(im.runtime_value("sequence.insert", &[list, v], &[], ty));
        }
        Ok(Yielded { condition: None, next, stacked: vec![] })
    })?;
    Ok(results.into_iter().map(Item::Value).collect())
}

fn optional<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let item = n.items.first().cloned().flatten();
    let inner = match n.type_proto("type") {
        Some(ty) => Some(types::value_type(im.ctx(), ty, "optional", false).map_err(|m| im.error("N0614", m))?),
        None => None,
    };
    Ok(vec![Item::Optional(item.map(Rc::new), inner)])
}

fn optional_get<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    match n.item(im, 0)? {
        Item::Optional(Some(item), _) => Ok(vec![item.as_ref().clone()]),
        Item::Optional(None, _) => Err(im.error("N0641", "the value of an optional is taken, but there is none")),
        Item::Value(v) => match im.wrapped(im.ty(v), "optional") {
            Some(inner) if im.ctx().dtype_of(inner).is_some() => {
                let (ty, ints) = im.element_of(inner, n.declared_rank(im, 0))?;
                value(im.runtime_value("optional.get", &[v], &ints, ty))
            }
            Some(inner) => value(im.runtime_value("optional.get", &[v], &[], inner)),
            None => value(v),
        },
        other => Ok(vec![other]),
    }
}

fn optional_has<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let has = match n.items.first().cloned().flatten() {
        None | Some(Item::Optional(None, _)) => false,
        Some(Item::Value(v)) if im.wrapped(im.ty(v), "optional").is_some() => {
            let ty = im.ctx().tensor_of(&[], im.ctx().int_type(1));
            return value(im.runtime_value("optional.has", &[v], &[], ty));
        }
        Some(_) => true,
    };
    value(im.constant(&Tensor::bools(&[], vec![has]), "has")?)
}
