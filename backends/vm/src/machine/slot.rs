//! What value registers hold.

use super::pool::Block;
use crate::bytecode::DeviceId;
use nim_tensor::{Blob, DType, Tensor, Value};
use smallvec::SmallVec;
use std::sync::Arc;

/// Dimensions of a tensor; not negative.
pub type Dims = SmallVec<[i64; 6]>;

/// A value register.
#[derive(Clone, Debug, Default)]
pub enum Slot {
    /// Nothing.
    #[default]
    Empty,
    /// Storage that tensors are placed in.
    Storage(Arc<Block>),
    /// A tensor of plain elements.
    Tensor(TensorRef),
    /// What is not plain elements: strings, sequences, optionals, maps.
    Host(Value),
    /// A value of an algebraic data type.
    Adt(Arc<Made>),
    /// A function with its first arguments.
    Function(Arc<Made>),
}

/// A value made of others.
#[derive(Debug, Default)]
pub struct Made {
    /// Number of the constructor in its type, or of the function in the program.
    pub number: u32,
    /// The others.
    pub fields: Vec<Slot>,
}

impl Drop for Made {
    /// Lists are as deep as they are long: they are taken apart without recursion.
    fn drop(&mut self) {
        let mut slots = std::mem::take(&mut self.fields);
        while let Some(slot) = slots.pop() {
            if let Slot::Adt(made) | Slot::Function(made) = slot
                && let Some(mut made) = Arc::into_inner(made)
            {
                slots.append(&mut made.fields);
            }
        }
    }
}

/// A row-major tensor somewhere in memory. Cloning shares the elements.
#[derive(Clone, Debug)]
pub struct TensorRef {
    ptr: *mut u8,
    bytes: usize,
    dtype: DType,
    dims: Dims,
    owner: Owner,
}

// SAFETY: the pointer is into memory that `owner` keeps alive. Writing through it happens only in the session that has
// the block (see `TensorRef::write_ptr`), never through a shared blob.
unsafe impl Send for TensorRef {}
// SAFETY: as above.
unsafe impl Sync for TensorRef {}

/// Who keeps the elements alive, and whether they may be written.
#[derive(Clone, Debug)]
enum Owner {
    /// A constant, an input, or the result of a runtime function: read only.
    Shared(Blob),
    /// Storage of the session.
    Block(Arc<Block>),
    /// A constant on a device, which all sessions share: read only.
    Constant(Arc<Block>),
}

/// Lets a result own its part of a block, so that it need not be copied.
struct Part {
    block: Arc<Block>,
    offset: usize,
    len: usize,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `TensorRef` proved that the part lies inside the block; blocks are zeroed when they are made, so all
        // bytes are initialised; nothing writes to a block that a result holds (see `TensorRef::to_tensor`).
        unsafe { std::slice::from_raw_parts(self.block.as_ptr().add(self.offset), self.len) }
    }
}

/// Bytes of a tensor; `None` on overflow or when a dimension is negative.
pub fn byte_size(dtype: DType, dims: &[i64]) -> Option<usize> {
    // A zero dimension makes the tensor empty however large the others are.
    let (mut count, mut empty) = (Some(1usize), false);
    for &dim in dims {
        let dim = usize::try_from(dim).ok()?;
        empty |= dim == 0;
        count = count.and_then(|n| n.checked_mul(dim));
    }
    let count = if empty { 0 } else { count? };
    count.checked_mul(dtype.size()).filter(|&n| n <= isize::MAX as usize)
}

impl TensorRef {
    /// A tensor inside a block; `None` when it does not lie inside.
    pub fn in_block(block: Arc<Block>, offset: usize, dtype: DType, dims: &[i64]) -> Option<TensorRef> {
        let bytes = byte_size(dtype, dims)?;
        if offset.checked_add(bytes)? > block.capacity() || !offset.is_multiple_of(dtype.size().max(1)) {
            return None;
        }
        // Inside of the block, or one past its end; of other devices it is only a number.
        let ptr = block.as_ptr().wrapping_add(offset);
        Some(TensorRef { ptr, bytes, dtype, dims: Dims::from_slice(dims), owner: Owner::Block(block) })
    }

    /// The same, written by nobody any more.
    pub fn constant(mut self) -> TensorRef {
        if let Owner::Block(block) = self.owner {
            self.owner = Owner::Constant(block);
        }
        self
    }

    /// A tensor that shares a host tensor's elements, copied first if they are not aligned for their type. `None` for
    /// strings.
    pub fn shared(tensor: &Tensor) -> Option<TensorRef> {
        let blob = tensor.blob()?;
        let size = tensor.dtype().size().clamp(1, 8);
        let blob = if (blob.as_ptr() as usize).is_multiple_of(size) { blob.clone() } else { aligned_copy(blob) };
        let dims = tensor.dims().iter().map(|&d| d as i64).collect();
        let ptr = blob.as_ptr().cast_mut();
        Some(TensorRef { ptr, bytes: blob.len(), dtype: tensor.dtype(), dims, owner: Owner::Shared(blob) })
    }

    /// In whose memory it is. Only what is on the host can be looked at here.
    #[inline]
    pub fn device(&self) -> DeviceId {
        match &self.owner {
            Owner::Shared(_) => DeviceId::HOST,
            Owner::Block(block) | Owner::Constant(block) => block.device(),
        }
    }
    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }
    /// Dimensions.
    pub fn dims(&self) -> &[i64] {
        &self.dims
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self.dtype.size() {
            0 => 0,
            size => self.bytes / size,
        }
    }
    /// True when it has no element.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
    /// Bytes of its elements.
    pub fn byte_len(&self) -> usize {
        self.bytes
    }
    /// Address for reading.
    pub fn read_ptr(&self) -> *const u8 {
        self.ptr
    }
    /// Address for writing; `None` when the elements belong to somebody else.
    pub fn write_ptr(&self) -> Option<*mut u8> {
        match &self.owner {
            Owner::Block(_) => Some(self.ptr),
            Owner::Shared(_) | Owner::Constant(_) => None,
        }
    }
    /// The storage it lies in, if that is the session's.
    pub fn block(&self) -> Option<&Arc<Block>> {
        match &self.owner {
            Owner::Block(block) => Some(block),
            Owner::Shared(_) | Owner::Constant(_) => None,
        }
    }
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        assert!(self.device() == DeviceId::HOST, "memory of another device is looked at");
        // SAFETY: the constructors proved that the elements lie in memory that `owner` keeps alive; blocks are zeroed
        // when they are made, so all bytes are initialised. The session lends no slice across a write.
        unsafe { std::slice::from_raw_parts(self.ptr, self.bytes) }
    }
    /// The same elements under other dimensions; `None` when the counts differ.
    pub fn reshaped(&self, dims: &[i64]) -> Option<TensorRef> {
        let fits = byte_size(self.dtype, dims)? == self.bytes;
        fits.then(|| TensorRef { dims: Dims::from_slice(dims), owner: self.owner.clone(), ..*self })
    }

    /// A host tensor of these elements. Shared, not copied: whoever calls it must not write to the block afterwards.
    pub fn to_tensor(&self) -> Tensor {
        let dims: Vec<usize> = self.dims.iter().map(|&d| d as usize).collect();
        let blob = match &self.owner {
            Owner::Shared(blob) => blob.clone(),
            Owner::Block(block) | Owner::Constant(block) => {
                let offset = self.ptr as usize - block.as_ptr() as usize;
                Blob::new(Part { block: block.clone(), offset, len: self.bytes })
            }
        };
        // The size fits: it was computed from the same dimensions.
        Tensor::from_blob(self.dtype, &dims, blob).unwrap_or_else(|_| Tensor::from_bytes(self.dtype, &[0], Vec::new()))
    }
}

/// A copy that is aligned for every element type.
fn aligned_copy(bytes: &[u8]) -> Blob {
    struct Words(Vec<u64>, usize);
    impl AsRef<[u8]> for Words {
        fn as_ref(&self) -> &[u8] {
            // SAFETY: the words hold at least as many initialised bytes, and any byte is a valid u8.
            unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.1) }
        }
    }
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    });
    Blob::new(Words(words.collect(), bytes.len()))
}

impl Slot {
    /// The register's value for the runtime library and the world outside; `None` when it holds none. Values of algebraic
    /// data types need their type: see `session::adt`.
    pub fn to_value(&self) -> Option<Value> {
        match self {
            Slot::Tensor(tensor) => (tensor.device() == DeviceId::HOST).then(|| Value::Tensor(tensor.to_tensor())),
            Slot::Host(value) => Some(value.clone()),
            Slot::Empty | Slot::Storage(_) | Slot::Adt(_) | Slot::Function(_) => None,
        }
    }
    /// A register's content for a value from outside.
    pub fn from_value(value: &Value) -> Slot {
        match value.as_tensor().and_then(TensorRef::shared) {
            Some(tensor) => Slot::Tensor(tensor),
            None => Slot::Host(value.clone()),
        }
    }
    /// Dimensions of a tensor, also of strings.
    pub fn dims(&self) -> Option<Dims> {
        match self {
            Slot::Tensor(tensor) => Some(tensor.dims.clone()),
            Slot::Host(Value::Tensor(tensor)) => Some(tensor.dims().iter().map(|&d| d as i64).collect()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::pool::Pool;

    #[test]
    fn tensors_stay_inside_their_block() {
        let block = Pool::new(1 << 20).allocate(64).unwrap();
        let at = |offset, dims: &[i64]| TensorRef::in_block(block.clone(), offset, DType::F32, dims);
        assert_eq!(at(0, &[4, 4]).unwrap().len(), 16);
        assert!(at(4, &[4, 4]).is_none());
        let constant = at(0, &[4]).unwrap().constant();
        assert!(at(0, &[4]).unwrap().write_ptr().is_some() && constant.write_ptr().is_none());
        assert!(constant.reshaped(&[2, 2]).unwrap().write_ptr().is_none());
        assert!(at(2, &[1]).is_none());
        assert!(at(0, &[-1]).is_none());
        assert!(at(0, &[i64::MAX, i64::MAX]).is_none());
        assert!(at(usize::MAX, &[1]).is_none());
        let t = at(16, &[3]).unwrap();
        assert!(t.reshaped(&[3, 1]).is_some() && t.reshaped(&[4]).is_none());
        assert_eq!(t.to_tensor().elements::<f32>()[..], [0.0; 3]);
    }

    #[test]
    fn unaligned_elements_are_copied() {
        let bytes = Blob::new((0u8..20).collect::<Vec<_>>());
        for start in 0..4 {
            let tensor = Tensor::from_blob(DType::F64, &[2], bytes.slice(start, 16).unwrap()).unwrap();
            let shared = TensorRef::shared(&tensor).unwrap();
            assert_eq!(shared.read_ptr() as usize % 8, 0);
            assert_eq!(shared.bytes(), tensor.bytes());
            assert!(shared.write_ptr().is_none());
        }
    }
}
