//! The pool: storage, hash-consing and symbols.
//!
//! Storage is append-only with stable addresses, so views borrow from `&self`; finding duplicates takes a read lock of
//! one shard, adding a node a write lock. No lock is held while another one is taken.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::{PoisonError, RwLock};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use crate::node::{Data, Expr, ExprNode, InvalidKind, Symbol};

/// Deepest nesting of nodes; recursion over an expression uses at most this many levels of stack.
pub(crate) const MAX_DEPTH: u16 = 192;
/// Largest number of nodes of an expression written out as a tree.
pub(crate) const MAX_SIZE: u32 = 1 << 16;

const SHARDS: usize = 16;

#[derive(Copy, Clone)]
struct Entry {
    hash: u64,
    id: u32,
}

pub(crate) struct Record {
    pub(crate) data: Data,
    /// Nodes when written out as a tree.
    size: u32,
    depth: u16,
    /// One bit for each symbol (modulo 64) below: a quick "does not mention".
    pub(crate) symbol_mask: u64,
}

/// All expressions and symbols of one compilation. `Sync` and append-only: every method takes `&self`.
///
/// # Panics
/// A handle belongs to the pool that made it. Methods may panic when given a handle of another pool.
pub struct ExprPool {
    records: boxcar::Vec<Record>,
    shards: [RwLock<HashTable<Entry>>; SHARDS],
    names: boxcar::Vec<Box<str>>,
    name_table: RwLock<HashTable<Entry>>,
}

impl Default for ExprPool {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ExprPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExprPool")
            .field("expressions", &self.records.count())
            .field("symbols", &self.names.count())
            .finish()
    }
}

impl ExprPool {
    /// An empty pool.
    pub fn new() -> Self {
        let pool = ExprPool {
            records: boxcar::Vec::new(),
            shards: std::array::from_fn(|_| RwLock::default()),
            names: boxcar::Vec::new(),
            name_table: RwLock::default(),
        };
        // The fixed handles `Expr::ZERO`, `Expr::ONE` and `Expr::invalid` rely on this order.
        pool.intern(Data::Const(0));
        pool.intern(Data::Const(1));
        for kind in InvalidKind::ALL {
            pool.intern(Data::Invalid(kind));
        }
        pool
    }

    /// The integer `v`.
    pub fn constant(&self, v: i64) -> Expr {
        match v {
            0 => Expr::ZERO,
            1 => Expr::ONE,
            _ => self.intern(Data::Const(v)),
        }
    }

    /// Interns a name; any string is a name, also an empty one.
    pub fn symbol(&self, name: &str) -> Symbol {
        let hash = FxBuildHasher.hash_one(name);
        let same = |e: &Entry| e.hash == hash && &*self.names[e.id as usize] == name;
        if let Some(e) = self.name_table.read().unwrap_or_else(PoisonError::into_inner).find(hash, same) {
            return Symbol(e.id);
        }
        let mut table = self.name_table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(e) = table.find(hash, same) {
            return Symbol(e.id);
        }
        // Four billion names do not fit in memory, so the index always fits.
        let id = self.names.push(name.into()) as u32;
        table.insert_unique(hash, Entry { hash, id }, |e| e.hash);
        Symbol(id)
    }

    /// The name of a symbol.
    pub fn symbol_name(&self, s: Symbol) -> &str {
        &self.names[s.index()]
    }

    /// The expression that is just the symbol.
    pub fn var(&self, s: Symbol) -> Expr {
        self.intern(Data::Symbol(s))
    }

    /// `var(symbol(name))`.
    pub fn named(&self, name: &str) -> Expr {
        self.var(self.symbol(name))
    }

    /// The number of distinct expressions made so far.
    pub fn len(&self) -> usize {
        self.records.count()
    }

    /// Never true: the pool starts with the constants 0 and 1.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A view of the node for pattern matching.
    pub fn node(&self, e: Expr) -> ExprNode<'_> {
        match self.data(e) {
            Data::Const(v) => ExprNode::Const(*v),
            Data::Symbol(s) => ExprNode::Symbol(*s),
            Data::Sum(terms) => ExprNode::Sum(terms),
            Data::Product { factors, .. } => ExprNode::Product(factors),
            Data::FloorDiv(a, b) => ExprNode::FloorDiv(*a, *b),
            Data::CeilDiv(a, b) => ExprNode::CeilDiv(*a, *b),
            Data::Mod(a, b) => ExprNode::Mod(*a, *b),
            Data::Min(list) => ExprNode::Min(list),
            Data::Max(list) => ExprNode::Max(list),
            Data::Invalid(kind) => ExprNode::Invalid(*kind),
        }
    }

    /// The value of a constant.
    pub fn as_const(&self, e: Expr) -> Option<i64> {
        match self.data(e) {
            Data::Const(v) => Some(*v),
            _ => None,
        }
    }

    /// The symbol, when the expression is just a symbol.
    pub fn as_symbol(&self, e: Expr) -> Option<Symbol> {
        match self.data(e) {
            Data::Symbol(s) => Some(*s),
            _ => None,
        }
    }

    /// Why the expression has no value, when it is known to have none.
    pub fn as_invalid(&self, e: Expr) -> Option<InvalidKind> {
        match self.data(e) {
            Data::Invalid(kind) => Some(*kind),
            _ => None,
        }
    }

    pub(crate) fn record(&self, e: Expr) -> &Record {
        &self.records[e.index()]
    }

    pub(crate) fn data(&self, e: Expr) -> &Data {
        &self.record(e).data
    }

    /// Interns a node that is already canonical. A node over the limits becomes invalid.
    pub(crate) fn intern(&self, data: Data) -> Expr {
        let hash = FxBuildHasher.hash_one(&data);
        // The table uses the high and low bits of the hash; the shard takes bits from the middle.
        let shard = &self.shards[(hash >> 32) as usize % SHARDS];
        let same = |e: &Entry| e.hash == hash && self.records[e.id as usize].data == data;
        if let Some(e) = shard.read().unwrap_or_else(PoisonError::into_inner).find(hash, same) {
            return Expr(e.id);
        }
        let (mut size, mut depth) = (1u32, 0u16);
        let mut symbol_mask = match data {
            Data::Symbol(s) => 1u64 << (s.0 % 64),
            _ => 0,
        };
        data.for_each_child(|child| {
            let record = self.record(child);
            size = size.saturating_add(record.size);
            depth = depth.max(record.depth + 1);
            symbol_mask |= record.symbol_mask;
        });
        let full = self.records.count() > u32::MAX as usize - 4096;
        if size > MAX_SIZE || depth > MAX_DEPTH || full {
            return Expr::invalid(InvalidKind::TooComplex);
        }
        let mut table = shard.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(e) = table.find(hash, same) {
            return Expr(e.id);
        }
        let id = self.records.push(Record { data, size, depth, symbol_mask }) as u32;
        table.insert_unique(hash, Entry { hash, id }, |e| e.hash);
        Expr(id)
    }
}
