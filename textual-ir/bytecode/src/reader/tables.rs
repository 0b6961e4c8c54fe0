//! Strings, entities, attribute lists, resources and positions.

use super::checks;
use crate::{
    stream::{Damage, In, Read, Table},
    tag,
};
use nim_ir::{
    Attr, AttrData, AttrList, Context, Dim, Expr, FloatKind, Loc, LocData, Name, Signedness, Type, TypeData,
    attrs::Elements,
};
use nim_tensor::{Blob, DType};

/// What numbers in the module refer to.
pub struct Tables<'a> {
    ctx: &'a Context,
    pub names: Vec<Name>,
    types: Table<Type>,
    attrs: Table<Attr>,
    /// The unknown location first.
    locs: Table<Loc>,
    exprs: Vec<Expr>,
    /// The empty list first.
    pub lists: Vec<AttrList>,
    /// The first of the positions and how many there are.
    pub positions: Option<(Loc, u32)>,
    /// Positions for which there was no room, as other locations.
    pub spilled: Vec<Loc>,
    data: Blob,
}

impl<'a> Tables<'a> {
    /// Reads all sections but the module.
    pub fn read(ctx: &'a Context, sections: &[Blob], max_depth: u32) -> Read<Tables<'a>> {
        let mut tables = Tables {
            ctx,
            names: vec![],
            types: Table::new(),
            attrs: Table::new(),
            locs: Table::new(),
            exprs: vec![],
            lists: vec![AttrList::new()],
            positions: None,
            spilled: vec![],
            data: sections[6].clone(),
        };
        tables.locs.push(Loc::UNKNOWN, 0);
        let mut stream = In::new(&sections[0]);
        for _ in 0..stream.count()? {
            tables.names.push(ctx.name(stream.text()?));
        }
        let mut stream = In::new(&sections[1]);
        for _ in 0..stream.count()? {
            tables.entity(&mut stream, max_depth)?;
        }
        let mut stream = In::new(&sections[2]);
        for _ in 0..stream.count()? {
            let (mut list, mut last) = (AttrList::new(), None);
            for _ in 0..stream.count()? {
                let (name, attr) = (stream.of(&tables.names)?, stream.of(&tables.attrs.items)?);
                if last.is_some_and(|last| ctx.str(last) >= ctx.str(name)) {
                    return Err(Damage("attributes are not in order"));
                }
                last = Some(name);
                list.set(ctx, name, attr);
            }
            tables.lists.push(list);
        }
        tables.resources(In::new(&sections[3]))?;
        tables.read_positions(In::new(&sections[4]))?;
        Ok(tables)
    }

    /// The types.
    pub fn types(&self) -> &[Type] {
        &self.types.items
    }
    pub fn list(&self, stream: &mut In<'_>) -> Read<AttrList> {
        let n = stream.number32()? as usize;
        self.lists.get(n).cloned().ok_or(Damage("a reference leads nowhere"))
    }
    pub fn loc_at(&self, n: u64) -> Read<Loc> {
        let loc = usize::try_from(n).ok().and_then(|n| self.locs.items.get(n).copied());
        loc.ok_or(Damage("a reference leads nowhere"))
    }
    pub fn loc(&self, stream: &mut In<'_>) -> Read<Loc> {
        stream.of(&self.locs.items)
    }

    fn entity(&mut self, stream: &mut In<'_>, max_depth: u32) -> Read<()> {
        stream.deepest = 0;
        let ctx = self.ctx;
        match stream.byte()? {
            tag::EXPR => {
                let text = ctx.str(stream.of(&self.names)?);
                self.exprs.push(ctx.exprs.parse(text).map_err(|_| Damage("an expression cannot be read"))?);
            }
            tag @ 0..64 => {
                let data = self.ty(tag, stream)?;
                self.types.push(ctx.ty(data), stream.deepest + 1);
            }
            tag @ 64..128 => {
                let attr = match self.attr(tag, stream)? {
                    AttrData::Dict(items) => ctx.dict_attr(items),
                    data => ctx.attr(data),
                };
                self.attrs.push(attr, stream.deepest + 1);
            }
            tag => {
                let data = self.loc_data(tag, stream)?;
                self.locs.push(ctx.loc(data), stream.deepest + 1);
            }
        }
        // Whoever prints or compares them recurses.
        if stream.deepest < max_depth { Ok(()) } else { Err(Damage("types or attributes are nested too deeply")) }
    }

    fn dims(&self, stream: &mut In<'_>) -> Read<Vec<Dim>> {
        let dim = |stream: &mut In<'_>| match stream.byte()? {
            0 => Ok(Dim::Unknown),
            1 => match stream.signed()? {
                size @ 0.. => Ok(self.ctx.dim(size)),
                _ => Err(Damage("a dimension is negative")),
            },
            2 => Ok(Dim::Expr(stream.of(&self.exprs)?)),
            _ => Err(Damage("a dimension of unknown kind")),
        };
        let count = stream.count()?;
        (0..count).map(|_| dim(stream)).collect()
    }

    fn ty(&self, tag: u8, stream: &mut In<'_>) -> Read<TypeData> {
        Ok(match tag {
            tag::TYPE_NONE => TypeData::None,
            tag::TYPE_INDEX => TypeData::Index,
            tag::TYPE_INTEGER => {
                let width = checks::width(stream.number32()?)?;
                let sign = match stream.byte()? {
                    0 => Signedness::Signless,
                    1 => Signedness::Signed,
                    2 => Signedness::Unsigned,
                    _ => return Err(Damage("a sign of unknown kind")),
                };
                TypeData::Integer { width, sign }
            }
            tag::TYPE_FLOAT => TypeData::Float(stream.of(&FloatKind::NAMES.map(|(kind, _)| kind))?),
            tag::TYPE_COMPLEX => TypeData::Complex(stream.part(&self.types)?),
            tag::TYPE_TUPLE => TypeData::Tuple(stream.parts(&self.types)?),
            tag::TYPE_FUNCTION => {
                TypeData::Function { inputs: stream.parts(&self.types)?, results: stream.parts(&self.types)? }
            }
            tag::TYPE_TENSOR => TypeData::Tensor {
                dims: self.dims(stream)?,
                element: stream.part(&self.types)?,
                encoding: stream.part_option(&self.attrs)?,
            },
            tag::TYPE_UNRANKED_TENSOR => TypeData::UnrankedTensor(stream.part(&self.types)?),
            tag::TYPE_MEMREF => TypeData::MemRef {
                dims: self.dims(stream)?,
                element: stream.part(&self.types)?,
                layout: stream.part_option(&self.attrs)?,
                space: stream.part_option(&self.attrs)?,
            },
            tag::TYPE_UNRANKED_MEMREF => {
                TypeData::UnrankedMemRef { element: stream.part(&self.types)?, space: stream.part_option(&self.attrs)? }
            }
            tag::TYPE_VECTOR => {
                let count = stream.count()?;
                let mut dims = Vec::new();
                for _ in 0..count {
                    match (stream.signed()?, stream.byte()?) {
                        (size @ 1.., scalable @ 0..2) => dims.push((size, scalable == 1)),
                        _ => return Err(Damage("a vector has an impossible size")),
                    }
                }
                TypeData::Vector { dims, element: stream.part(&self.types)? }
            }
            tag::TYPE_DIALECT => {
                TypeData::Dialect { name: stream.of(&self.names)?, params: stream.parts(&self.attrs)? }
            }
            tag::TYPE_OPAQUE => TypeData::Opaque(stream.of(&self.names)?),
            _ => return Err(Damage("an entity of unknown kind")),
        })
    }

    fn attr(&self, tag: u8, stream: &mut In<'_>) -> Read<AttrData> {
        let ctx = self.ctx;
        Ok(match tag {
            tag::ATTR_UNIT => AttrData::Unit,
            tag::ATTR_FALSE => AttrData::Bool(false),
            tag::ATTR_TRUE => AttrData::Bool(true),
            tag::ATTR_INT => {
                let (ty, value) = (stream.part(&self.types)?, stream.wide()?);
                checks::integer(ctx, value, ty)?;
                AttrData::Int { value, ty }
            }
            tag::ATTR_FLOAT => {
                let ty = stream.part(&self.types)?;
                checks::float(ctx, ty)?;
                AttrData::Float { bits: stream.bits()?, ty }
            }
            tag::ATTR_STRING => AttrData::String(stream.of(&self.names)?),
            tag::ATTR_ARRAY => AttrData::Array(stream.parts(&self.attrs)?),
            tag::ATTR_DICT => {
                let count = stream.count()?;
                let mut items = vec![];
                for _ in 0..count {
                    items.push((stream.of(&self.names)?, stream.part(&self.attrs)?));
                }
                let mut names: Vec<Name> = items.iter().map(|(name, _)| *name).collect();
                names.sort_unstable();
                if names.windows(2).any(|w| w[0] == w[1]) {
                    return Err(Damage("a dictionary has a name twice"));
                }
                AttrData::Dict(items)
            }
            tag::ATTR_TYPE => AttrData::Type(stream.part(&self.types)?),
            tag::ATTR_SYMBOL => match stream.list(&self.names)? {
                path if path.is_empty() => return Err(Damage("a symbol has no name")),
                path => AttrData::SymbolRef(path),
            },
            tag::ATTR_DENSE | tag::ATTR_SPLAT | tag::ATTR_DENSE_FAR => {
                let ty = stream.part(&self.types)?;
                let (dtype, count) = checks::elements(ctx, ty)?;
                let splat = tag == tag::ATTR_SPLAT;
                let count = if splat { 1 } else { count };
                let bytes = if tag == tag::ATTR_DENSE_FAR {
                    let (at, len) = (stream.number()?, stream.number()?);
                    self.far(at, len)?
                } else {
                    let len = count.checked_mul(dtype.size()).ok_or(Damage("elements do not fit their type"))?;
                    Blob::new(stream.take(len)?.to_vec())
                };
                checks::bytes(dtype, count, &bytes)?;
                AttrData::Dense { ty, elements: Elements { bytes, splat } }
            }
            tag::ATTR_DENSE_STRINGS => {
                let ty = stream.part(&self.types)?;
                let elements = stream.list(&self.names)?;
                if checks::elements(ctx, ty)? != (DType::String, elements.len()) {
                    return Err(Damage("elements do not fit their type"));
                }
                AttrData::DenseStrings { ty, elements }
            }
            tag::ATTR_RESOURCE => {
                AttrData::DenseResource { ty: stream.part(&self.types)?, key: stream.of(&self.names)? }
            }
            tag::ATTR_DENSE_ARRAY => {
                let element = stream.part(&self.types)?;
                let count = stream.count()?;
                let values = (0..count).map(|_| stream.signed()).collect::<Read<Vec<i64>>>()?;
                checks::array(ctx, element, &values)?;
                AttrData::DenseArray { element, values }
            }
            tag::ATTR_EXPR => AttrData::Expr(stream.of(&self.exprs)?),
            tag::ATTR_LOC => AttrData::Loc(stream.part(&self.locs)?),
            tag::ATTR_OPAQUE => AttrData::Opaque(stream.of(&self.names)?),
            tag::ATTR_VERBATIM => {
                AttrData::Verbatim { text: stream.of(&self.names)?, ty: stream.part_option(&self.types)? }
            }
            _ => return Err(Damage("an entity of unknown kind")),
        })
    }

    fn loc_data(&self, tag: u8, stream: &mut In<'_>) -> Read<LocData> {
        Ok(match tag {
            tag::LOC_FILE => {
                LocData::File { file: stream.of(&self.names)?, line: stream.number32()?, column: stream.number32()? }
            }
            tag::LOC_RANGE => LocData::FileRange {
                file: stream.of(&self.names)?,
                start: (stream.number32()?, stream.number32()?),
                end: (stream.number32()?, stream.number32()?),
            },
            tag::LOC_NAME => LocData::Name(stream.of(&self.names)?, stream.part(&self.locs)?),
            tag::LOC_FUSED => LocData::Fused(stream.parts(&self.locs)?, stream.part_option(&self.attrs)?),
            tag::LOC_CALL => LocData::CallSite(stream.part(&self.locs)?, stream.part(&self.locs)?),
            tag::LOC_DERIVED => LocData::Derived {
                pass: stream.of(&self.names)?,
                pattern: stream.option(&self.names)?,
                from: stream.part(&self.locs)?,
            },
            _ => return Err(Damage("an entity of unknown kind")),
        })
    }

    fn far(&self, at: u64, len: u64) -> Read<Blob> {
        let place = usize::try_from(at).ok().zip(usize::try_from(len).ok());
        place.and_then(|(at, len)| self.data.slice(at, len)).ok_or(Damage("a constant reaches beyond the data"))
    }

    fn resources(&self, mut stream: In<'_>) -> Read<()> {
        for _ in 0..stream.count()? {
            let (key, alignment) = (stream.of(&self.names)?, stream.number32()?);
            let (at, len) = (stream.number()?, stream.number()?);
            let blob = self.far(at, len)?;
            if self.ctx.resource_alignment(key) != alignment {
                self.ctx.set_resource_alignment(key, alignment);
            }
            match self.ctx.resource(key) {
                Some(known) if known != blob => {
                    return Err(Damage("a resource has other bytes in this context already"));
                }
                Some(_) => {}
                None => {
                    self.ctx.add_resource(self.ctx.str(key), blob);
                }
            }
        }
        for _ in 0..stream.count()? {
            let mut text = || Ok(self.ctx.str(stream.of(&self.names)?));
            match (text()?, text()?, text()?) {
                ("", alias, value) => drop(self.ctx.keep_alias(alias, value)),
                (owner, key, value) => self.ctx.add_foreign_resource(owner, key, value),
            }
        }
        Ok(())
    }

    fn read_positions(&mut self, mut stream: In<'_>) -> Read<()> {
        let Some(file) = stream.option(&self.names)? else { return Ok(()) };
        let count = stream.count()?;
        let mut positions = Vec::with_capacity(count);
        let mut line = 1u32;
        for _ in 0..count {
            let step = stream.signed()?;
            line = u32::try_from(i64::from(line).saturating_add(step)).map_err(|_| Damage("a line is negative"))?;
            positions.push((line, stream.number32()?));
        }
        let number = u32::try_from(count).map_err(|_| Damage("there are too many positions"))?;
        if number == 0 {
            return Ok(());
        }
        let name = self.ctx.str(file);
        match self.ctx.add_positions(name, positions) {
            Ok(first) => self.positions = Some((first, number)),
            Err(positions) => {
                let loc = |(line, column)| self.ctx.loc(LocData::File { file, line, column });
                self.spilled = positions.into_iter().map(loc).collect();
            }
        }
        Ok(())
    }
}
