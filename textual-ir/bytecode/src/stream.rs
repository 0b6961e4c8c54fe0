//! Numbers and strings in bytes. Reading checks every bound; nothing is allocated on the word of a number alone.

/// Bytes being written.
#[derive(Default)]
pub struct Out {
    pub bytes: Vec<u8>,
}

impl Out {
    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }
    /// LEB128.
    pub fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }
    pub fn index(&mut self, n: usize) {
        self.number(n as u64);
    }
    /// A number with a sign in the lowest bit.
    #[inline]
    pub fn signed(&mut self, n: i64) {
        self.number(((n << 1) ^ (n >> 63)) as u64);
    }
    pub fn wide(&mut self, n: i128) {
        self.bytes.extend(n.to_le_bytes());
    }
    pub fn bits(&mut self, n: u64) {
        self.bytes.extend(n.to_le_bytes());
    }
    pub fn text(&mut self, text: &str) {
        self.index(text.len());
        self.bytes.extend(text.as_bytes());
    }
    /// 0 for nothing, else one more than the index.
    pub fn option(&mut self, n: Option<u32>) {
        self.number(n.map_or(0, |n| u64::from(n) + 1));
    }
}

/// What is wrong with a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage(pub &'static str);

/// Something read, or what is wrong with the file.
pub type Read<T> = Result<T, Damage>;

/// Entities by their numbers, each with how deeply it is made of others.
pub struct Table<T> {
    pub items: Vec<T>,
    depths: Vec<u32>,
}

impl<T> Table<T> {
    pub fn new() -> Table<T> {
        Table { items: vec![], depths: vec![] }
    }
    pub fn push(&mut self, item: T, depth: u32) {
        self.items.push(item);
        self.depths.push(depth);
    }
}

/// Bytes being read.
pub struct In<'a> {
    rest: &'a [u8],
    /// The deepest entity that was referred to.
    pub deepest: u32,
}

impl<'a> In<'a> {
    pub fn new(bytes: &'a [u8]) -> In<'a> {
        In { rest: bytes, deepest: 0 }
    }
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
    #[inline]
    pub fn byte(&mut self) -> Read<u8> {
        let (&byte, rest) = self.rest.split_first().ok_or(Damage("it ends early"))?;
        self.rest = rest;
        Ok(byte)
    }
    /// LEB128 of at most 64 bits.
    #[inline]
    pub fn number(&mut self) -> Read<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(first.into());
        }
        let (mut n, mut shift) = (u64::from(first & 0x7f), 7);
        loop {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(Damage("a number is too large"));
            }
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
            shift += 7;
        }
    }
    #[inline]
    pub fn number32(&mut self) -> Read<u32> {
        u32::try_from(self.number()?).map_err(|_| Damage("a number is too large"))
    }
    pub fn signed(&mut self) -> Read<i64> {
        let n = self.number()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }
    /// How many things follow; each of them takes a byte at least.
    #[inline]
    pub fn count(&mut self) -> Read<usize> {
        let n = self.number()?;
        match usize::try_from(n) {
            Ok(n) if n <= self.rest.len() => Ok(n),
            _ => Err(Damage("a list is longer than the file")),
        }
    }
    pub fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Damage("it ends early"))?;
        self.rest = rest;
        Ok(head)
    }
    pub fn wide(&mut self) -> Read<i128> {
        let bytes = self.take(16)?.try_into().map_err(|_| Damage("it ends early"))?;
        Ok(i128::from_le_bytes(bytes))
    }
    pub fn bits(&mut self) -> Read<u64> {
        let bytes = self.take(8)?.try_into().map_err(|_| Damage("it ends early"))?;
        Ok(u64::from_le_bytes(bytes))
    }
    pub fn bits32(&mut self) -> Read<u32> {
        let bytes = self.take(4)?.try_into().map_err(|_| Damage("it ends early"))?;
        Ok(u32::from_le_bytes(bytes))
    }
    pub fn text(&mut self) -> Read<&'a str> {
        let len = self.count()?;
        std::str::from_utf8(self.take(len)?).map_err(|_| Damage("a string is not UTF-8"))
    }
    /// The entity of an index.
    #[inline]
    pub fn of<T: Copy>(&mut self, table: &[T]) -> Read<T> {
        let n = self.number()?;
        usize::try_from(n).ok().and_then(|n| table.get(n).copied()).ok_or(Damage("a reference leads nowhere"))
    }
    /// The entity of an index, or nothing for 0.
    #[inline]
    pub fn option<T: Copy>(&mut self, table: &[T]) -> Read<Option<T>> {
        match self.number()? {
            0 => Ok(None),
            n => usize::try_from(n - 1)
                .ok()
                .and_then(|n| table.get(n).copied())
                .map(Some)
                .ok_or(Damage("a reference leads nowhere")),
        }
    }
    /// As [`In::of`], of an entity that an entity is made of.
    pub fn part<T: Copy>(&mut self, table: &Table<T>) -> Read<T> {
        let n = usize::try_from(self.number()?).map_err(|_| Damage("a reference leads nowhere"))?;
        self.part_at(table, n)
    }
    fn part_at<T: Copy>(&mut self, table: &Table<T>, n: usize) -> Read<T> {
        let found = table.items.get(n).copied().zip(table.depths.get(n).copied());
        let (item, depth) = found.ok_or(Damage("a reference leads nowhere"))?;
        self.deepest = self.deepest.max(depth);
        Ok(item)
    }
    /// As [`In::part`], or nothing for 0.
    pub fn part_option<T: Copy>(&mut self, table: &Table<T>) -> Read<Option<T>> {
        match usize::try_from(self.number()?).map_err(|_| Damage("a reference leads nowhere"))? {
            0 => Ok(None),
            n => self.part_at(table, n - 1).map(Some),
        }
    }
    /// As [`In::part`], many of them.
    pub fn parts<T: Copy>(&mut self, table: &Table<T>) -> Read<Vec<T>> {
        let count = self.count()?;
        (0..count).map(|_| self.part(table)).collect()
    }
    /// Names or the like of indices.
    pub fn list<T: Copy>(&mut self, table: &[T]) -> Read<Vec<T>> {
        let count = self.count()?;
        (0..count).map(|_| self.of(table)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut out = Out::default();
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        numbers.iter().for_each(|&n| out.number(n));
        let signed = [0, -1, 1, 63, -64, 64, i64::MIN, i64::MAX];
        signed.iter().for_each(|&n| out.signed(n));
        let mut read = In::new(&out.bytes);
        assert_eq!(numbers.map(|_| read.number()), numbers.map(Ok));
        assert_eq!(signed.map(|_| read.signed()), signed.map(Ok));
        assert!(read.is_empty());
        assert_eq!(In::new(&[0x80; 11]).number(), Err(Damage("a number is too large")));
        assert_eq!(In::new(&[5, 0]).count(), Err(Damage("a list is longer than the file")));
    }
}
