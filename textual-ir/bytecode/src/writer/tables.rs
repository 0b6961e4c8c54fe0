//! Strings, entities, attribute lists, resources and positions, each written once and then known by a number.

use crate::{ALIGNMENT, INLINE_BYTES, stream::Out, tag};
use nim_ir::{
    Attr, AttrData, AttrList, Context, Dim, Expr, FloatKind, Loc, LocData, Name, Signedness, SourceId, Type, TypeData,
};
use rustc_hash::FxHashMap;

/// Everything but the module itself.
pub struct Tables<'a> {
    ctx: &'a Context,
    strings: FxHashMap<Name, u32>,
    string_bytes: Out,
    types: FxHashMap<Type, u32>,
    attrs: FxHashMap<Attr, u32>,
    locs: FxHashMap<LocData, u32>,
    exprs: FxHashMap<Expr, u32>,
    entities: Out,
    entity_count: u64,
    lists: FxHashMap<Vec<(Name, Attr)>, u32>,
    list_bytes: Out,
    resources: Vec<Name>,
    data: Vec<u8>,
    /// The file that positions are in, and the position before.
    file: Option<Name>,
    last: (u32, u32),
    positions: Out,
    position_count: u64,
    lines: FxHashMap<SourceId, Vec<usize>>,
}

impl<'a> Tables<'a> {
    pub fn new(ctx: &'a Context) -> Tables<'a> {
        Tables {
            ctx,
            strings: FxHashMap::default(),
            string_bytes: Out::default(),
            types: FxHashMap::default(),
            attrs: FxHashMap::default(),
            locs: FxHashMap::default(),
            exprs: FxHashMap::default(),
            entities: Out::default(),
            entity_count: 0,
            lists: FxHashMap::default(),
            list_bytes: Out::default(),
            resources: vec![],
            data: vec![],
            file: None,
            last: (1, 1),
            positions: Out::default(),
            position_count: 0,
            lines: FxHashMap::default(),
        }
    }

    /// The sections in their order.
    pub fn sections(mut self, module: Out) -> Vec<Vec<u8>> {
        let mut resources = Out::default();
        let keys = std::mem::take(&mut self.resources);
        let kept: Vec<_> = keys.into_iter().filter_map(|key| Some((key, self.ctx.resource(key)?))).collect();
        resources.index(kept.len());
        for (key, blob) in kept {
            let name = self.string(key);
            resources.number(name.into());
            resources.number(self.ctx.resource_alignment(key).into());
            let at = self.far(&blob.read());
            resources.index(at);
            resources.index(blob.len());
        }
        // Aliases are nobody's.
        let aliases = self.ctx.kept_aliases().into_iter().map(|(alias, value)| ("", alias, value));
        let foreign: Vec<_> = self.ctx.foreign_resources().into_iter().chain(aliases).collect();
        resources.index(foreign.len());
        for (owner, key, value) in foreign {
            for text in [owner, key, value] {
                let name = self.string(self.ctx.name(text));
                resources.number(name.into());
            }
        }
        let file = self.file.map(|file| self.string(file));
        let mut positions = Out::default();
        positions.option(file);
        positions.number(self.position_count);
        positions.bytes.extend(&self.positions.bytes);
        let counted = |count: usize, bytes: Out| {
            let mut out = Out::default();
            out.index(count);
            out.bytes.extend(bytes.bytes);
            out.bytes
        };
        vec![
            counted(self.strings.len(), self.string_bytes),
            counted(self.entity_count as usize, self.entities),
            counted(self.lists.len(), self.list_bytes),
            resources.bytes,
            positions.bytes,
            module.bytes,
            self.data,
        ]
    }

    /// Bytes in the data section; answers where.
    fn far(&mut self, bytes: &[u8]) -> usize {
        let at = self.data.len().next_multiple_of(ALIGNMENT);
        self.data.resize(at, 0);
        self.data.extend(bytes);
        at
    }

    pub fn string(&mut self, name: Name) -> u32 {
        // Names made of numbers are texts like all others here.
        let name = if name.number().is_some() { self.ctx.name(self.ctx.str(name)) } else { name };
        let next = self.strings.len() as u32;
        let (ctx, bytes) = (self.ctx, &mut self.string_bytes);
        *self.strings.entry(name).or_insert_with(|| {
            bytes.text(ctx.str(name));
            next
        })
    }

    /// A new entity: `parts` are written behind its tag.
    fn entity(&mut self, tag: u8, parts: &Out) {
        self.entities.byte(tag);
        self.entities.bytes.extend(&parts.bytes);
        self.entity_count += 1;
    }

    fn expr(&mut self, expr: Expr) -> u32 {
        if let Some(&known) = self.exprs.get(&expr) {
            return known;
        }
        let text = self.ctx.exprs.display(expr).to_string();
        let mut out = Out::default();
        let name = self.string(self.ctx.name(&text));
        out.number(name.into());
        self.entity(tag::EXPR, &out);
        let n = self.exprs.len() as u32;
        self.exprs.insert(expr, n);
        n
    }

    fn dims(&mut self, dims: &[Dim], out: &mut Out) {
        out.index(dims.len());
        for dim in dims {
            match dim.expr() {
                None => out.byte(0),
                Some(e) => match self.ctx.exprs.as_const(e) {
                    Some(size) => {
                        out.byte(1);
                        out.signed(size);
                    }
                    None => {
                        out.byte(2);
                        let e = self.expr(e);
                        out.number(e.into());
                    }
                },
            }
        }
    }
    fn types(&mut self, types: &[Type], out: &mut Out) {
        out.index(types.len());
        for &ty in types {
            let ty = self.ty(ty);
            out.number(ty.into());
        }
    }
    fn attr_option(&mut self, attr: Option<Attr>, out: &mut Out) {
        let attr = attr.map(|a| self.attr(a));
        out.option(attr);
    }

    pub fn ty(&mut self, ty: Type) -> u32 {
        if let Some(&known) = self.types.get(&ty) {
            return known;
        }
        let mut out = Out::default();
        let one = |tables: &mut Self, out: &mut Out, ty: Type| {
            let ty = tables.ty(ty);
            out.number(ty.into());
        };
        let tag = match self.ctx.type_data(ty) {
            TypeData::None => tag::TYPE_NONE,
            TypeData::Index => tag::TYPE_INDEX,
            TypeData::Integer { width, sign } => {
                out.number((*width).into());
                out.byte(match sign {
                    Signedness::Signless => 0,
                    Signedness::Signed => 1,
                    Signedness::Unsigned => 2,
                });
                tag::TYPE_INTEGER
            }
            TypeData::Float(kind) => {
                out.index(FloatKind::NAMES.iter().position(|(k, _)| k == kind).unwrap_or_default());
                tag::TYPE_FLOAT
            }
            TypeData::Complex(e) => {
                one(self, &mut out, *e);
                tag::TYPE_COMPLEX
            }
            TypeData::Tuple(types) => {
                self.types(types, &mut out);
                tag::TYPE_TUPLE
            }
            TypeData::Function { inputs, results } => {
                self.types(inputs, &mut out);
                self.types(results, &mut out);
                tag::TYPE_FUNCTION
            }
            TypeData::Tensor { dims, element, encoding } => {
                self.dims(dims, &mut out);
                one(self, &mut out, *element);
                self.attr_option(*encoding, &mut out);
                tag::TYPE_TENSOR
            }
            TypeData::UnrankedTensor(e) => {
                one(self, &mut out, *e);
                tag::TYPE_UNRANKED_TENSOR
            }
            TypeData::MemRef { dims, element, layout, space } => {
                self.dims(dims, &mut out);
                one(self, &mut out, *element);
                self.attr_option(*layout, &mut out);
                self.attr_option(*space, &mut out);
                tag::TYPE_MEMREF
            }
            TypeData::UnrankedMemRef { element, space } => {
                one(self, &mut out, *element);
                self.attr_option(*space, &mut out);
                tag::TYPE_UNRANKED_MEMREF
            }
            TypeData::Vector { dims, element } => {
                out.index(dims.len());
                for &(size, scalable) in dims {
                    out.signed(size);
                    out.byte(scalable.into());
                }
                one(self, &mut out, *element);
                tag::TYPE_VECTOR
            }
            TypeData::Dialect { name, params } => {
                let name = self.string(*name);
                out.number(name.into());
                self.attr_list(params, &mut out);
                tag::TYPE_DIALECT
            }
            TypeData::Opaque(text) => {
                let text = self.string(*text);
                out.number(text.into());
                tag::TYPE_OPAQUE
            }
        };
        self.entity(tag, &out);
        let n = self.types.len() as u32;
        self.types.insert(ty, n);
        n
    }

    fn attr_list(&mut self, attrs: &[Attr], out: &mut Out) {
        out.index(attrs.len());
        for &attr in attrs {
            let attr = self.attr(attr);
            out.number(attr.into());
        }
    }

    pub fn attr(&mut self, attr: Attr) -> u32 {
        if let Some(&known) = self.attrs.get(&attr) {
            return known;
        }
        let mut out = Out::default();
        let tag = self.attr_parts(attr, &mut out);
        self.entity(tag, &out);
        let n = self.attrs.len() as u32;
        self.attrs.insert(attr, n);
        n
    }

    fn attr_parts(&mut self, attr: Attr, out: &mut Out) -> u8 {
        let of_type = |tables: &mut Self, out: &mut Out, ty: Type| {
            let ty = tables.ty(ty);
            out.number(ty.into());
        };
        let of_name = |tables: &mut Self, out: &mut Out, name: Name| {
            let name = tables.string(name);
            out.number(name.into());
        };
        match self.ctx.attr_data(attr) {
            AttrData::Unit => tag::ATTR_UNIT,
            AttrData::Bool(false) => tag::ATTR_FALSE,
            AttrData::Bool(true) => tag::ATTR_TRUE,
            AttrData::Int { value, ty } => {
                of_type(self, out, *ty);
                out.wide(*value);
                tag::ATTR_INT
            }
            AttrData::Float { bits, ty } => {
                of_type(self, out, *ty);
                out.bits(*bits);
                tag::ATTR_FLOAT
            }
            AttrData::String(name) => {
                of_name(self, out, *name);
                tag::ATTR_STRING
            }
            AttrData::Array(items) => {
                self.attr_list(items, out);
                tag::ATTR_ARRAY
            }
            AttrData::Dict(items) => {
                out.index(items.len());
                for &(name, attr) in items {
                    of_name(self, out, name);
                    let attr = self.attr(attr);
                    out.number(attr.into());
                }
                tag::ATTR_DICT
            }
            AttrData::Type(ty) => {
                of_type(self, out, *ty);
                tag::ATTR_TYPE
            }
            AttrData::SymbolRef(path) => {
                out.index(path.len());
                path.iter().for_each(|&name| of_name(self, out, name));
                tag::ATTR_SYMBOL
            }
            AttrData::Dense { ty, elements } => {
                of_type(self, out, *ty);
                if elements.splat {
                    out.bytes.extend(&*elements.bytes);
                    tag::ATTR_SPLAT
                } else if elements.bytes.len() > INLINE_BYTES {
                    let at = self.far(&elements.bytes);
                    out.index(at);
                    out.index(elements.bytes.len());
                    tag::ATTR_DENSE_FAR
                } else {
                    out.bytes.extend(&*elements.bytes);
                    tag::ATTR_DENSE
                }
            }
            AttrData::DenseStrings { ty, elements } => {
                of_type(self, out, *ty);
                out.index(elements.len());
                elements.iter().for_each(|&name| of_name(self, out, name));
                tag::ATTR_DENSE_STRINGS
            }
            AttrData::DenseResource { ty, key } => {
                of_type(self, out, *ty);
                of_name(self, out, *key);
                if !self.resources.contains(key) {
                    self.resources.push(*key);
                }
                tag::ATTR_RESOURCE
            }
            AttrData::DenseArray { element, values } => {
                of_type(self, out, *element);
                out.index(values.len());
                values.iter().for_each(|&v| out.signed(v));
                tag::ATTR_DENSE_ARRAY
            }
            AttrData::Expr(e) => {
                let e = self.expr(*e);
                out.number(e.into());
                tag::ATTR_EXPR
            }
            AttrData::Loc(loc) => {
                let loc = self.loc(*loc);
                out.number(loc.into());
                tag::ATTR_LOC
            }
            AttrData::Opaque(text) => {
                of_name(self, out, *text);
                tag::ATTR_OPAQUE
            }
            AttrData::Verbatim { text, ty } => {
                of_name(self, out, *text);
                let ty = ty.map(|ty| self.ty(ty));
                out.option(ty);
                tag::ATTR_VERBATIM
            }
        }
    }

    /// The number of a list of attributes; 0 is the empty one.
    pub fn list(&mut self, attrs: &AttrList) -> u32 {
        if attrs.is_empty() {
            return 0;
        }
        let key: Vec<(Name, Attr)> = attrs.iter().collect();
        if let Some(&known) = self.lists.get(&key) {
            return known;
        }
        let mut out = Out::default();
        out.index(key.len());
        for &(name, attr) in &key {
            let (name, attr) = (self.string(name), self.attr(attr));
            out.number(name.into());
            out.number(attr.into());
        }
        self.list_bytes.bytes.extend(out.bytes);
        let n = self.lists.len() as u32 + 1;
        self.lists.insert(key, n);
        n
    }

    /// File, line and column of a location that is nothing else.
    fn position(&mut self, loc: Loc) -> Option<(Name, u32, u32)> {
        if let Some((source, span)) = self.ctx.plain_span(loc) {
            let text = &self.ctx.source(source).text;
            let starts = self
                .lines
                .entry(source)
                .or_insert_with(|| std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect());
            let line = starts.partition_point(|&start| start <= span.start);
            let column = span.start - starts[line - 1] + 1;
            return Some((self.ctx.name(&self.ctx.source(source).name), line as u32, column as u32));
        }
        match self.ctx.loc_data(loc) {
            LocData::File { file, line, column } => Some((*file, *line, *column)),
            _ => None,
        }
    }

    /// Makes a location the next of the positions; else answers its number.
    pub fn place(&mut self, loc: Loc) -> Option<u32> {
        if loc == Loc::UNKNOWN {
            return Some(0);
        }
        let Some((file, line, column)) = self.position(loc) else { return Some(self.loc(loc)) };
        if *self.file.get_or_insert(file) != file {
            return Some(self.loc(loc));
        }
        self.positions.signed(i64::from(line) - i64::from(self.last.0));
        self.positions.number(column.into());
        self.last = (line, column);
        self.position_count += 1;
        None
    }

    /// The number of a location; 0 is the unknown one.
    pub fn loc(&mut self, loc: Loc) -> u32 {
        if loc == Loc::UNKNOWN {
            return 0;
        }
        let data = match self.position(loc) {
            Some((file, line, column)) => LocData::File { file, line, column },
            None => self.ctx.loc_data(loc).clone(),
        };
        if let Some(&known) = self.locs.get(&data) {
            return known;
        }
        let mut out = Out::default();
        let name = |tables: &mut Self, out: &mut Out, name: Name| {
            let name = tables.string(name);
            out.number(name.into());
        };
        let inner = |tables: &mut Self, out: &mut Out, loc: Loc| {
            let loc = tables.loc(loc);
            out.number(loc.into());
        };
        let tag = match &data {
            LocData::Unknown | LocData::Span { .. } => return 0,
            LocData::File { file, line, column } => {
                name(self, &mut out, *file);
                out.number((*line).into());
                out.number((*column).into());
                tag::LOC_FILE
            }
            LocData::FileRange { file, start, end } => {
                name(self, &mut out, *file);
                [start.0, start.1, end.0, end.1].iter().for_each(|&n| out.number(n.into()));
                tag::LOC_RANGE
            }
            LocData::Name(text, child) => {
                name(self, &mut out, *text);
                inner(self, &mut out, *child);
                tag::LOC_NAME
            }
            LocData::Fused(locs, metadata) => {
                out.index(locs.len());
                locs.iter().for_each(|&l| inner(self, &mut out, l));
                self.attr_option(*metadata, &mut out);
                tag::LOC_FUSED
            }
            LocData::CallSite(callee, caller) => {
                inner(self, &mut out, *callee);
                inner(self, &mut out, *caller);
                tag::LOC_CALL
            }
            LocData::Derived { pass, pattern, from } => {
                name(self, &mut out, *pass);
                let pattern = pattern.map(|p| self.string(p));
                out.option(pattern);
                inner(self, &mut out, *from);
                tag::LOC_DERIVED
            }
        };
        self.entity(tag, &out);
        let n = self.locs.len() as u32 + 1;
        self.locs.insert(data, n);
        n
    }
}
