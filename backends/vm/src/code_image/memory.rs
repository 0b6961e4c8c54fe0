//! A region of address space that holds one image, over `mmap` and `mprotect`.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// What may be done with a range of pages. There is no "write and execute".
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    Read,
    ReadWrite,
    ReadExecute,
}

impl Access {
    fn flags(self) -> libc::c_int {
        match self {
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Self::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        }
    }
}

/// Pages owned by this value, unmapped when it is dropped.
#[derive(Debug)]
pub(super) struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a Region is plain memory with an owner; no thread has a special claim on it.
unsafe impl Send for Region {}
// SAFETY: through `&Region` the memory is only read (by `base`), and writing takes `&mut`.
unsafe impl Sync for Region {}

impl Region {
    /// Reserves `len` bytes (a multiple of the page size, not 0) of zeroed, writable memory.
    pub(super) fn reserve(len: usize) -> io::Result<Self> {
        // SAFETY: a fresh anonymous mapping at an address that the system chooses touches no existing memory.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                Access::ReadWrite.flags(),
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mmap answered address 0"))?;
        Ok(Self { base, len })
    }

    /// Replaces `range` of the region by a private, read-only view of `file` from `offset` (a multiple of the page
    /// size) on. Pages stay shared with every other process that maps the same file.
    pub(super) fn map_file(&mut self, range: Range<usize>, file: &File, offset: u64) -> io::Result<()> {
        self.check(&range)?;
        if range.is_empty() {
            return Ok(());
        }
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: MAP_FIXED replaces exactly `range`, which `check` proved to lie inside memory that we own, and
        // `&mut self` proves that nobody else holds a reference into it.
        let got = unsafe {
            let at = self.base.as_ptr().add(range.start).cast();
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
            libc::mmap(at, range.len(), Access::Read.flags(), flags, file.as_raw_fd(), offset)
        };
        if got == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Copies `bytes` to `at`. The pages must be writable still.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let end = at.checked_add(bytes.len()).ok_or_else(out_of_region)?;
        self.check(&(at..end))?;
        // SAFETY: the destination lies inside memory that we own, and cannot overlap a borrowed slice since we are
        // borrowed mutably.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.as_ptr().add(at), bytes.len()) };
        Ok(())
    }

    /// Sets what may be done with the pages of `range`.
    pub(super) fn protect(&mut self, range: Range<u64>, access: Access) -> io::Result<()> {
        let range = range.start as usize..range.end as usize;
        self.check(&range)?;
        if range.is_empty() {
            return Ok(());
        }
        // SAFETY: the pages are ours, and `&mut self` proves that no slice of them is alive.
        let rc = unsafe { libc::mprotect(self.base.as_ptr().add(range.start).cast(), range.len(), access.flags()) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// First byte of the region.
    pub(super) fn base(&self) -> *const u8 {
        self.base.as_ptr()
    }

    fn check(&self, range: &Range<usize>) -> io::Result<()> {
        if range.start <= range.end && range.end <= self.len { Ok(()) } else { Err(out_of_region()) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: we own exactly this mapping. A failure leaves pages mapped, which harms nobody.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

fn out_of_region() -> io::Error {
    io::Error::other("access outside of the code region")
}
