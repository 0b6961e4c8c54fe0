//! Objects that were made before.
//!
//! A kernel's object is a function of its text at the level of `loops`, the machine, what LLVM is asked for, and this program. Their
//! SHA-256 is the name under which it is kept; the entry begins with the SHA-256 of name and object, so that one that was
//! damaged, cut short or put under another name is not taken for an object. Where entries lie is not this crate's business.

use sha2::{Digest, Sha256};
use std::fmt::Debug;

/// Somewhere to keep bytes by name. May forget and may fail: then kernels are compiled again.
pub trait ObjectCache: Debug + Send + Sync {
    /// What was kept under a name: 64 hexadecimal digits.
    fn load(&self, name: &str) -> Option<Vec<u8>>;
    /// Keeps bytes under a name.
    fn store(&self, name: &str, bytes: &[u8]);
    /// Something besides text, machine and options that objects depend on: which program this is.
    fn program(&self) -> &str;
}

const DIGEST: usize = 32;

/// The name of what is made of these parts.
pub(crate) fn name(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    // Lengths first: parts that move from one field to the next make another name.
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An object that was kept, if it is as it was.
pub(crate) fn load(cache: &dyn ObjectCache, name: &str) -> Option<Vec<u8>> {
    let mut bytes = cache.load(name)?;
    let (digest, object) = bytes.split_at_checked(DIGEST)?;
    if digest != check(name, object) {
        return None;
    }
    bytes.drain(..DIGEST);
    Some(bytes)
}

/// Keeps an object.
pub(crate) fn store(cache: &dyn ObjectCache, name: &str, object: &[u8]) {
    cache.store(name, &[&check(name, object)[..], object].concat());
}

fn check(name: &str, object: &[u8]) -> [u8; DIGEST] {
    Sha256::new().chain_update(name).chain_update(object).finalize().into()
}
