//! The context: everything interned, and the dialects that are registered.

use crate::{AttrData, AttrDef, DialectDef, Loc, LocData, OpDef, SourceId, TypeData, interner::Interner, location};
use nim_expr::ExprPool;
use nim_tensor::Blob;
use rustc_hash::FxHashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

/// Interned text: attribute names, symbols, strings.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Name(u32);

impl Name {
    const NUMBER: u32 = 1 << 31;

    /// The name that is this number in decimal digits, as values have in text. It is another name than the interned text,
    /// and costs nothing: large texts have a million of them.
    pub fn of_number(number: u32) -> Option<Name> {
        (number < Name::NUMBER).then_some(Name(number | Name::NUMBER))
    }
    /// The number, of a name made of one.
    pub fn number(self) -> Option<u32> {
        (self.0 & Name::NUMBER != 0).then_some(self.0 & !Name::NUMBER)
    }
    /// Its place among interned names, or the number of a name made of one.
    pub fn index(self) -> usize {
        (self.0 & !Name::NUMBER) as usize
    }
}

/// An interned op name, resolved against the registered dialects when it was first seen.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct OpName(u32);

#[derive(Clone)]
struct OpNameData {
    name: Name,
    def: Option<&'static OpDef>,
    /// The names of the attributes of `def`, in its order.
    attrs: Box<[Name]>,
}
impl PartialEq for OpNameData {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for OpNameData {}
impl std::hash::Hash for OpNameData {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// A text that spans point into.
pub struct Source {
    /// File name, or what stands for it.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// The place of its first byte for [`Loc::of_token`]; `None` when there was no room for it.
    pub place: Option<u32>,
    /// Of a text that is not kept: lines and columns of what was read from it.
    positions: Vec<(u32, u32)>,
    /// Where lines begin, found when somebody asks.
    lines: OnceLock<Vec<usize>>,
}

impl Source {
    /// How many places it takes.
    fn places(&self) -> usize {
        self.text.len().max(self.positions.len())
    }
    /// The bytes at which lines begin.
    pub fn line_starts(&self) -> &[usize] {
        let ends = || self.text.match_indices('\n').map(|(i, _)| i + 1);
        self.lines.get_or_init(|| std::iter::once(0).chain(ends()).collect())
    }
    /// Line and column of a byte, counted from 1; columns count bytes.
    pub fn line_column(&self, at: usize) -> (usize, usize) {
        let starts = self.line_starts();
        let line = starts.partition_point(|&start| start <= at);
        (line, at - starts[line.saturating_sub(1)] + 1)
    }
}

/// Append-only store of everything that bodies refer to. `Sync`: passes share it by `&`.
pub struct Context {
    names: Interner<Box<str>>,
    op_names: Interner<OpNameData>,
    pub(crate) types: Interner<TypeData>,
    pub(crate) attrs: Interner<AttrData>,
    locs: Interner<LocData>,
    sources: boxcar::Vec<Source>,
    /// The places that texts have among all of them, in order; see [`Loc::of_token`].
    places: RwLock<Vec<(u32, SourceId)>>,
    resources: RwLock<FxHashMap<Name, Blob>>,
    /// Alignments that texts gave to resources, where they are not the usual one.
    alignments: RwLock<FxHashMap<Name, u32>>,
    /// Resources of other tools: who, key, and the value as text.
    foreign: RwLock<Vec<(Name, Name, Name)>>,
    /// Aliases that are named in the text of attributes and types of unknown dialects: `#a` or `!t`, and what it stands for.
    aliases: RwLock<Vec<(Name, Name)>>,
    dialects: Vec<&'static DialectDef>,
    ops: FxHashMap<&'static str, &'static OpDef>,
    /// Symbolic integer expressions.
    pub exprs: ExprPool,
}

impl Context {
    /// A context that knows the given dialects.
    pub fn new(dialects: &[&'static DialectDef]) -> Context {
        let mut ops = FxHashMap::default();
        for dialect in dialects {
            for op in dialect.ops {
                ops.insert(op.name, *op);
            }
        }
        let ctx = Context {
            names: Interner::default(),
            op_names: Interner::default(),
            types: Interner::default(),
            attrs: Interner::default(),
            locs: Interner::default(),
            sources: boxcar::Vec::new(),
            places: RwLock::default(),
            resources: RwLock::default(),
            alignments: RwLock::default(),
            foreign: RwLock::default(),
            aliases: RwLock::default(),
            dialects: dialects.to_vec(),
            ops,
            exprs: ExprPool::new(),
        };
        ctx.loc(LocData::Unknown);
        ctx
    }

    /// Interns a text.
    pub fn name(&self, text: &str) -> Name {
        Name(self.names.find(text).unwrap_or_else(|| self.names.intern(text.into())))
    }
    /// The text of a name.
    #[inline]
    pub fn str(&self, name: Name) -> &str {
        match name.number() {
            Some(number) => self.str(self.name(&number.to_string())),
            None => self.names.get(name.0),
        }
    }

    /// Interns the name of an op, registered or not.
    pub fn op_name(&self, name: &str) -> OpName {
        let def = self.ops.get(name).copied();
        let mut data = OpNameData { name: self.name(name), def, attrs: Box::default() };
        OpName(self.op_names.find(&data).unwrap_or_else(|| {
            data.attrs = def.iter().flat_map(|d| d.attrs).map(|a| self.name(a.name)).collect();
            self.op_names.intern(data)
        }))
    }
    /// The full name: `graph.add`.
    #[inline]
    pub fn op_str(&self, op: OpName) -> &str {
        self.str(self.op_names.get(op.0).name)
    }
    /// The definition, if a registered dialect has it.
    #[inline]
    pub fn op_def(&self, op: OpName) -> Option<&'static OpDef> {
        self.op_names.get(op.0).def
    }
    /// What the definition says of its attributes, each with its interned name; nothing of ops that are not registered.
    pub fn attr_defs(&self, op: OpName) -> impl Iterator<Item = (Name, &'static AttrDef)> + '_ {
        let OpNameData { def, attrs, .. } = self.op_names.get(op.0);
        attrs.iter().copied().zip(def.iter().flat_map(|d| d.attrs))
    }
    /// What the definition says of one attribute.
    #[inline]
    pub fn attr_def(&self, op: OpName, name: Name) -> Option<&'static AttrDef> {
        let OpNameData { def, attrs, .. } = self.op_names.get(op.0);
        let at = attrs.iter().position(|&n| n == name)?;
        def.and_then(|d| d.attrs.get(at))
    }
    /// The part of an op's name before the first dot.
    pub fn op_dialect(&self, op: OpName) -> &str {
        self.op_str(op).split_once('.').map_or("builtin", |(dialect, _)| dialect)
    }
    /// Registered dialects.
    pub fn dialects(&self) -> &[&'static DialectDef] {
        &self.dialects
    }
    /// All registered ops, in the dialects' order.
    pub fn all_ops(&self) -> impl Iterator<Item = &'static OpDef> + '_ {
        self.dialects.iter().flat_map(|d| d.ops.iter().copied())
    }
    /// True when a dialect of this name is registered.
    pub fn has_dialect(&self, name: &str) -> bool {
        self.dialects.iter().any(|d| d.name == name)
    }

    /// Interns a location.
    pub fn loc(&self, data: LocData) -> Loc {
        location::Loc(self.locs.intern(data))
    }
    /// What a location says.
    pub fn loc_data(&self, loc: Loc) -> &LocData {
        match self.token_span(loc) {
            Some((source, span)) => {
                let data = LocData::Span { source, start: span.start as u32, end: span.end as u32 };
                self.locs.get(self.locs.intern(data))
            }
            None => match self.token_position(loc) {
                Some(data) => self.locs.get(self.locs.intern(data)),
                None => self.locs.get(loc.0),
            },
        }
    }
    /// The text that a place of a token is in, and which of its places it is.
    fn token(&self, loc: Loc) -> Option<(SourceId, usize)> {
        let place = loc.token_place()?;
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let (base, source) = places[places.partition_point(|(base, _)| *base <= place) - 1];
        Some((source, (place - base) as usize))
    }
    fn token_span(&self, loc: Loc) -> Option<(SourceId, std::ops::Range<usize>)> {
        let (source, start) = self.token(loc)?;
        let kept = self.source(source).positions.is_empty();
        kept.then(|| (source, start..location::token_end(&self.source(source).text, start)))
    }
    fn token_position(&self, loc: Loc) -> Option<LocData> {
        let (source, at) = self.token(loc)?;
        let Source { name, positions, .. } = self.source(source);
        let &(line, column) = positions.get(at)?;
        Some(LocData::File { file: self.name(name), line, column })
    }
    /// The bytes of a text that the location is, without looking into names, derivations and fusions.
    pub fn plain_span(&self, loc: Loc) -> Option<(SourceId, std::ops::Range<usize>)> {
        self.token_span(loc).or_else(|| match self.loc_data(loc) {
            LocData::Span { source, start, end } => Some((*source, *start as usize..*end as usize)),
            _ => None,
        })
    }
    /// Keeps lines and columns of a file, so that each is a location without cost: the first of those locations, to be used
    /// with [`Loc::nth`].
    ///
    /// # Errors
    /// The positions, when there is no room for so many.
    pub fn add_positions(&self, file: &str, positions: Vec<(u32, u32)>) -> Result<Loc, Vec<(u32, u32)>> {
        let count = positions.len();
        let id = self.add(file.into(), String::new(), positions);
        match self.source(id).place {
            Some(place) => Ok(Loc::of_token(place, 0)),
            None => Err((0..count).map(|i| self.source(id).positions[i]).collect()),
        }
    }
    /// A location named after something, say an ONNX node.
    pub fn named_loc(&self, name: &str) -> Loc {
        self.loc(LocData::Name(self.name(name), Loc::UNKNOWN))
    }
    /// The location of what a pass derives from something else.
    pub fn derived_loc(&self, pass: &str, from: Loc) -> Loc {
        // Chains of the same pass say nothing new.
        if let LocData::Derived { pass: p, .. } = self.loc_data(from)
            && self.str(*p) == pass
        {
            return from;
        }
        self.loc(LocData::Derived { pass: self.name(pass), pattern: None, from })
    }
    /// The innermost name of a location: the ONNX node, say, that an op comes from.
    pub fn loc_name(&self, loc: Loc) -> Option<&str> {
        match self.loc_data(loc) {
            LocData::Name(name, _) => Some(self.str(*name)),
            LocData::Derived { from, .. } => self.loc_name(*from),
            LocData::Fused(locs, _) => locs.iter().find_map(|&l| self.loc_name(l)),
            LocData::CallSite(callee, caller) => self.loc_name(*callee).or_else(|| self.loc_name(*caller)),
            _ => None,
        }
    }
    /// The source span of a location, looked for inside names, derivations and fusions.
    pub fn loc_span(&self, loc: Loc) -> Option<(SourceId, std::ops::Range<usize>)> {
        if let Some(span) = self.token_span(loc) {
            return Some(span);
        }
        match self.loc_data(loc) {
            LocData::Span { source, start, end } => Some((*source, *start as usize..*end as usize)),
            LocData::Name(_, child) => self.loc_span(*child),
            LocData::Derived { from, .. } => self.loc_span(*from),
            LocData::Fused(locs, _) => locs.iter().find_map(|&l| self.loc_span(l)),
            LocData::CallSite(callee, caller) => self.loc_span(*callee).or_else(|| self.loc_span(*caller)),
            _ => None,
        }
    }

    /// Keeps a text that spans point into.
    pub fn add_source(&self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.add(name.into(), text.into(), vec![])
    }
    fn add(&self, name: String, text: String, positions: Vec<(u32, u32)>) -> SourceId {
        let mut source = Source { name, text, place: None, positions, lines: OnceLock::new() };
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        let base = places.last().map_or(0, |&(base, last)| u64::from(base) + self.source(last).places() as u64 + 1);
        let fits = base + (source.places() as u64) < u64::from(u32::MAX >> 1);
        source.place = u32::try_from(base).ok().filter(|_| fits);
        let place = source.place;
        let id = SourceId(self.sources.push(source) as u32);
        if let Some(place) = place {
            places.push((place, id));
        }
        id
    }
    /// A kept text.
    pub fn source(&self, id: SourceId) -> &Source {
        &self.sources[id.0 as usize]
    }

    /// Keeps a large constant under a key; when the key is taken by other bytes, a number is put behind it.
    pub fn add_resource(&self, key: &str, blob: Blob) -> Name {
        let mut resources = self.resources.write().unwrap_or_else(PoisonError::into_inner);
        let mut name = self.name(key);
        let mut n = 0;
        while let Some(other) = resources.get(&name) {
            if other.identity() == blob.identity() {
                return name;
            }
            n += 1;
            name = self.name(&format!("{key}_{n}"));
        }
        resources.insert(name, blob);
        name
    }
    /// Keeps a resource of another tool: whose it is, its key, and its value as the text has it.
    pub fn add_foreign_resource(&self, owner: &str, key: &str, value: &str) {
        let entry = (self.name(owner), self.name(key), self.name(value));
        let mut foreign = self.foreign.write().unwrap_or_else(PoisonError::into_inner);
        match foreign.iter_mut().find(|f| (f.0, f.1) == (entry.0, entry.1)) {
            Some(known) => *known = entry,
            None => foreign.push(entry),
        }
    }
    /// Resources of other tools, in the order of the text: whose, key, value as text.
    pub fn foreign_resources(&self) -> Vec<(&str, &str, &str)> {
        let foreign = self.foreign.read().unwrap_or_else(PoisonError::into_inner);
        foreign.iter().map(|&(owner, key, value)| (self.str(owner), self.str(key), self.str(value))).collect()
    }
    /// Keeps what an alias stands for: the text of an attribute or type of an unknown dialect names it. False when the alias
    /// stands for something else already.
    pub fn keep_alias(&self, alias: &str, value: &str) -> bool {
        let entry = (self.name(alias), self.name(value));
        let mut aliases = self.aliases.write().unwrap_or_else(PoisonError::into_inner);
        match aliases.iter().find(|known| known.0 == entry.0) {
            Some(known) => known.1 == entry.1,
            None => {
                aliases.push(entry);
                true
            }
        }
    }
    /// Aliases with what they stand for, each behind those that it names.
    pub fn kept_aliases(&self) -> Vec<(&str, &str)> {
        let aliases = self.aliases.read().unwrap_or_else(PoisonError::into_inner);
        aliases.iter().map(|&(alias, value)| (self.str(alias), self.str(value))).collect()
    }
    /// The alignment in bytes that a text asks for where it holds the resource; 64 unless told otherwise.
    pub fn resource_alignment(&self, key: Name) -> u32 {
        self.alignments.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied().unwrap_or(64)
    }
    /// Keeps the alignment that a text gives to a resource.
    pub fn set_resource_alignment(&self, key: Name, alignment: u32) {
        self.alignments.write().unwrap_or_else(PoisonError::into_inner).insert(key, alignment);
    }
    /// The bytes under a key.
    pub fn resource(&self, key: Name) -> Option<Blob> {
        self.resources.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }
}
