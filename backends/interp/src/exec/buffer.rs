//! Buffers of the host program: shaped windows into memory that is shared and written to.

use nim_dyn::Device;
use nim_tensor::{DType, Tensor, tensor::element_count};
use std::{cell::RefCell, rc::Rc};

/// Memory of the host program.
pub type Storage = Rc<Memory>;

/// Memory on a device. There is no way from one to another but copies: whoever looks at it checks where it is.
#[derive(Debug)]
pub struct Memory {
    device: Device,
    bytes: RefCell<Vec<u8>>,
}

impl Memory {
    /// So many bytes on a device, all bits ones.
    pub fn fresh(device: Device, bytes: usize) -> Storage {
        Rc::new(Memory { device, bytes: RefCell::new(vec![0xff; bytes]) })
    }
}

/// A row-major window into memory.
#[derive(Clone, Debug)]
pub struct Buffer {
    storage: Storage,
    offset: usize,
    dtype: DType,
    dims: Vec<usize>,
}

impl Buffer {
    /// Memory of its own on a device with a tensor's elements; `None` for texts.
    pub fn of(device: Device, tensor: &Tensor) -> Option<Buffer> {
        (tensor.dtype() != DType::String).then(|| Buffer {
            storage: Rc::new(Memory { device, bytes: RefCell::new(tensor.bytes().to_vec()) }),
            offset: 0,
            dtype: tensor.dtype(),
            dims: tensor.dims().to_vec(),
        })
    }

    /// A window into memory; an error when it reaches beyond its end.
    pub fn view(storage: &Storage, offset: i64, dtype: DType, dims: Vec<usize>) -> Result<Buffer, String> {
        let size = element_count(&dims).and_then(|n| n.checked_mul(dtype.size())).ok_or("its size overflows")?;
        let memory = storage.bytes.borrow().len();
        let offset = usize::try_from(offset).ok().filter(|o| o.checked_add(size).is_some_and(|end| end <= memory));
        match offset {
            Some(offset) => Ok(Buffer { storage: storage.clone(), offset, dtype, dims }),
            None => Err(format!("{size} bytes at this place do not lie in {memory} bytes of memory")),
        }
    }

    /// The same memory under another shape of as many elements.
    pub fn reshaped(&self, dims: Vec<usize>) -> Option<Buffer> {
        (element_count(&dims) == element_count(&self.dims)).then(|| Buffer { dims, ..self.clone() })
    }

    /// True when an element of one is also an element of the other.
    pub fn overlaps(&self, other: &Buffer) -> bool {
        let end = |b: &Buffer| b.offset + element_count(&b.dims).unwrap_or(0) * b.dtype.size();
        Rc::ptr_eq(&self.storage, &other.storage) && self.offset.max(other.offset) < end(self).min(end(other))
    }

    /// True when both begin at the same place.
    pub fn begins_with(&self, other: &Buffer) -> bool {
        Rc::ptr_eq(&self.storage, &other.storage) && self.offset == other.offset
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        self.storage.device
    }

    /// The shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// What is in it now.
    pub fn tensor(&self) -> Tensor {
        let size = element_count(&self.dims).unwrap_or(0) * self.dtype.size();
        let bytes = self.storage.bytes.borrow()[self.offset..self.offset + size].to_vec();
        Tensor::from_bytes(self.dtype, &self.dims, bytes)
    }

    /// Writes a tensor of the same type and shape.
    pub fn write(&self, tensor: &Tensor) -> Result<(), String> {
        if tensor.dtype() != self.dtype || tensor.dims() != self.dims {
            return Err(format!("{tensor:?} is written to a buffer of {} and shape {:?}", self.dtype, self.dims));
        }
        let bytes = tensor.bytes();
        self.storage.bytes.borrow_mut()[self.offset..self.offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}
