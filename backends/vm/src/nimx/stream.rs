//! Numbers, strings and lists as bytes, little-endian, and the checksum of sections.

/// Writes a table.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub(crate) fn string(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend_from_slice(text.as_bytes());
    }
    pub(crate) fn words(&mut self, words: &[u32]) {
        self.u32(words.len() as u32);
        words.iter().for_each(|&w| self.u32(w));
    }
}

/// Reads a table; `None` where it ends too early or a text is not UTF-8.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
    pub(crate) fn string(&mut self) -> Option<String> {
        let count = self.u32()? as usize;
        String::from_utf8(self.take(count)?.to_vec()).ok()
    }
    pub(crate) fn words(&mut self) -> Option<Vec<u32>> {
        let count = self.u32()? as usize;
        let bytes = self.take(count.checked_mul(4)?)?;
        Some(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
    /// As many items as a count says; each takes at least one byte, so a damaged count asks for little memory.
    pub(crate) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.u32()? as usize;
        let mut items = Vec::with_capacity(count.min(self.0.len()));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Some(items)
    }
}

/// Detects damage, not malice. Four lanes, so that it runs at the speed of memory.
#[derive(Clone)]
pub(crate) struct Checksum {
    lanes: [u64; 4],
    rest: Vec<u8>,
    len: u64,
}

const PRIME: u64 = 0x9e37_79b1_85eb_ca87;

impl Checksum {
    pub(crate) fn new() -> Self {
        Checksum { lanes: [1, 2, 3, 4].map(|i: u64| i.wrapping_mul(PRIME)), rest: Vec::new(), len: 0 }
    }
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len() as u64;
        if !self.rest.is_empty() {
            let missing = (32 - self.rest.len()).min(bytes.len());
            self.rest.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.rest.len() < 32 {
                return;
            }
            let rest = std::mem::take(&mut self.rest);
            self.blocks(&rest);
        }
        let whole = bytes.len() / 32 * 32;
        self.blocks(&bytes[..whole]);
        self.rest.extend_from_slice(&bytes[whole..]);
    }
    fn blocks(&mut self, bytes: &[u8]) {
        for block in bytes.chunks_exact(32) {
            for (lane, word) in self.lanes.iter_mut().zip(block.chunks_exact(8)) {
                let mut w = [0; 8];
                w.copy_from_slice(word);
                // The rotation carries high bits down, which multiplication alone never does.
                *lane = (*lane ^ u64::from_le_bytes(w)).wrapping_mul(PRIME).rotate_left(31);
            }
        }
    }
    pub(crate) fn finish(mut self) -> u64 {
        let mut rest = std::mem::take(&mut self.rest);
        rest.resize(32, 0);
        self.blocks(&rest);
        self.lanes.into_iter().fold(self.len, |h, lane| (h ^ lane).wrapping_mul(PRIME).rotate_left(29))
    }
    pub(crate) fn of(bytes: &[u8]) -> u64 {
        let mut sum = Self::new();
        sum.update(bytes);
        sum.finish()
    }
}

/// The checksum of constants: that of their own ones, so that they can be written and checked in any order.
pub(crate) fn constants_checksum(each: impl Iterator<Item = u64>) -> u64 {
    Checksum::of(&each.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_does_not_depend_on_pieces() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * 7 + i / 11) as u8).collect();
        let whole = Checksum::of(&bytes);
        for cut in [1, 31, 32, 33, 500] {
            let mut sum = Checksum::new();
            bytes.chunks(cut).for_each(|piece| sum.update(piece));
            assert_eq!(sum.finish(), whole);
        }
        for i in 0..bytes.len() {
            let mut other = bytes.clone();
            other[i] ^= 0x10;
            assert_ne!(Checksum::of(&other), whole);
        }
        assert_ne!(Checksum::of(&bytes[..999]), whole);
    }
}
