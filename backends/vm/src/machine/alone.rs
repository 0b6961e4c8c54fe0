//! Kernels called by themselves, without a program around them: for measuring one of them again and again.

use super::places::Pinned;
use crate::code_image::{CodeImage, LoadError, LoadedCode};
use crate::program::KernelFn;
use std::ffi::c_void;
use std::time::{Duration, Instant};

/// A cache line, and the alignment of buffers.
const LINE: usize = 64;

/// Memory that begins at a cache line, as that of programs does.
#[derive(Clone, Debug)]
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

impl Buffer {
    /// So many bytes, all of them zero.
    pub fn zeroed(len: usize) -> Buffer {
        Buffer { lines: vec![Line([0; LINE]); len.div_ceil(LINE).max(1)], len }
    }

    /// A copy of these bytes.
    pub fn new(bytes: &[u8]) -> Buffer {
        let mut out = Buffer::zeroed(bytes.len());
        out.bytes_mut().copy_from_slice(bytes);
        out
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the lines are initialised bytes, `len` of them at least.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// What is in it, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }

    /// Takes it out of all caches, where the machine lets programs do that.
    pub fn evict(&self) {
        #[cfg(target_arch = "x86_64")]
        for line in &self.lines {
            // SAFETY: every x86-64 machine has the instruction, and the address is valid.
            unsafe { std::arch::x86_64::_mm_clflush(std::ptr::from_ref(line).cast()) };
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        unsafe {
            std::arch::x86_64::_mm_mfence();
        }
    }

    /// Reads a byte of each line, so that it is in the caches that it fits.
    pub fn touch(&self) {
        std::hint::black_box(self.lines.iter().fold(0u8, |sum, line| sum ^ line.0[0]));
    }
}

/// The kernels of an image.
#[derive(Debug)]
pub struct Alone {
    code: LoadedCode,
}

impl Alone {
    /// Loads the code of an image.
    ///
    /// # Errors
    /// Code for another machine.
    pub fn load(image: &CodeImage) -> Result<Alone, LoadError> {
        Ok(Alone { code: LoadedCode::load(image)? })
    }

    /// Runs all iterations of a kernel on the calling thread; how long they take. `None` when the image has no such kernel.
    ///
    /// # Safety
    /// The function must be a kernel, and buffers, symbols and the number of iterations those that it was compiled for.
    pub unsafe fn run(
        &self,
        function: &str,
        buffers: &mut [&mut Buffer],
        symbols: &[i64],
        total: i64,
    ) -> Option<Duration> {
        // SAFETY: the caller says that it is a kernel.
        let kernel: KernelFn = unsafe { std::mem::transmute::<*const u8, KernelFn>(self.code.symbol(function)?) };
        let addresses: Vec<*mut c_void> = buffers.iter_mut().map(|b| b.bytes_mut().as_mut_ptr().cast()).collect();
        let start = Instant::now();
        if total > 0 {
            // SAFETY: the caller says that these are what the kernel wants; the buffers live until it returns.
            unsafe { kernel(addresses.as_ptr(), symbols.as_ptr(), 0, total) };
        }
        Some(start.elapsed())
    }
}

/// Keeps the calling thread on one CPU until the value goes.
pub fn pinned() -> Pinned {
    Pinned::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_at_lines_and_hold_their_bytes() {
        for len in [0, 1, 63, 64, 65, 1000] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let buffer = Buffer::new(&bytes);
            assert_eq!(buffer.bytes(), bytes);
            assert_eq!(buffer.bytes().as_ptr() as usize % LINE, 0);
            buffer.evict();
            buffer.touch();
            assert_eq!(buffer.bytes(), bytes);
        }
    }
}
