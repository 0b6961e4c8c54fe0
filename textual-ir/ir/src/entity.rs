//! Typed `u32` ids and the vectors they index.

use std::{
    marker::PhantomData,
    ops::{Index, IndexMut},
};

/// A typed index.
pub trait EntityId: Copy + Eq {
    /// The id of position `index`.
    fn from_index(index: usize) -> Self;
    /// Its position.
    fn index(self) -> usize;
}

/// Declares a `u32` id type.
#[macro_export]
macro_rules! entity_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(std::num::NonZero<u32>);
        impl $crate::entity::EntityId for $name {
            #[inline]
            fn from_index(index: usize) -> Self {
                // One more than the position, so that an optional id is no larger than an id.
                $name(std::num::NonZero::<u32>::MIN.saturating_add(index as u32))
            }
            #[inline]
            fn index(self) -> usize {
                self.0.get() as usize - 1
            }
        }
    };
}

/// A vector indexed by the ids it hands out.
#[derive(Clone, Debug)]
pub struct PrimaryMap<K, V> {
    items: Vec<V>,
    key: PhantomData<K>,
}

impl<K, V> Default for PrimaryMap<K, V> {
    fn default() -> Self {
        PrimaryMap { items: Vec::new(), key: PhantomData }
    }
}

impl<K: EntityId, V> PrimaryMap<K, V> {
    /// Adds an item and returns its id.
    pub fn push(&mut self, item: V) -> K {
        self.items.push(item);
        K::from_index(self.items.len() - 1)
    }
    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }
    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
    /// Room for so many more items.
    pub fn reserve(&mut self, additional: usize) {
        self.items.reserve_exact(additional);
    }
    /// Moves the items to a map that has little more room than they need; the room of this one stays.
    pub(crate) fn take_fitted(&mut self) -> PrimaryMap<K, V> {
        PrimaryMap { items: fitted(&mut self.items), key: PhantomData }
    }
    /// Ids and items.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.items.iter().enumerate().map(|(i, v)| (K::from_index(i), v))
    }
    /// Ids and items, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.items.iter_mut().enumerate().map(|(i, v)| (K::from_index(i), v))
    }
}

/// Moves items to a vector that has room for them, and for a few more: a full one would double when a pass adds one.
pub(crate) fn fitted<T>(items: &mut Vec<T>) -> Vec<T> {
    let mut fitted = Vec::with_capacity(items.len() + items.len() / 8);
    fitted.append(items);
    fitted
}

impl<K: EntityId, V> Index<K> for PrimaryMap<K, V> {
    type Output = V;
    #[inline]
    fn index(&self, key: K) -> &V {
        &self.items[key.index()]
    }
}
impl<K: EntityId, V> IndexMut<K> for PrimaryMap<K, V> {
    #[inline]
    fn index_mut(&mut self, key: K) -> &mut V {
        &mut self.items[key.index()]
    }
}
