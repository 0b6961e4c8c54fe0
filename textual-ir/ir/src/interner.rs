//! Append-only hash-consing: equal values get equal ids, and references to them stay valid as long as the interner.

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
    sync::{PoisonError, RwLock},
};

/// A `Sync` interner. Interning takes `&self`.
pub struct Interner<T> {
    items: boxcar::Vec<T>,
    table: RwLock<HashTable<Entry>>,
}

/// An id and half of its value's hash: enough to tell most values apart, and to move entries, without looking at them.
#[derive(Copy, Clone)]
struct Entry {
    hash: u32,
    id: u32,
}

fn half_hash<Q: Hash + ?Sized>(value: &Q) -> u32 {
    (FxBuildHasher.hash_one(value) >> 32) as u32
}
/// Spreads half a hash over the bits that the table looks at.
fn whole(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Interner { items: boxcar::Vec::new(), table: RwLock::default() }
    }
}

impl<T: Hash + Eq> Interner<T> {
    /// The id of a value, adding it if it is new.
    pub fn intern(&self, value: T) -> u32 {
        self.find(&value).unwrap_or_else(|| self.insert(value))
    }

    /// The id of a value that is already there, looked up by a borrowed form of it.
    pub fn find<Q: Hash + Eq + ?Sized>(&self, value: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        let hash = half_hash(value);
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.find(whole(hash), |e| e.hash == hash && self.items[e.id as usize].borrow() == value).map(|e| e.id)
    }

    fn insert(&self, value: T) -> u32 {
        let hash = half_hash(&value);
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have added it between the two locks.
        if let Some(known) = table.find(whole(hash), |e| e.hash == hash && self.items[e.id as usize] == value) {
            return known.id;
        }
        let id = self.items.push(value) as u32;
        table.insert_unique(whole(hash), Entry { hash, id }, |e| whole(e.hash));
        id
    }

    /// The value behind an id of this interner.
    #[inline]
    pub fn get(&self, id: u32) -> &T {
        &self.items[id as usize]
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.items.count()
    }

    /// True when nothing was interned yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
