//! Memory shared with a device.

#![allow(unsafe_code, reason = "mmap and copying out of memory that a device writes to")]

use std::ffi::c_void;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A mapping, unmapped when dropped.
///
/// No reference into the memory is ever made, since a device may write to it at any time: bytes are copied out.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<c_void>,
    length: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread; copying out through `&self` only reads.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `length` bytes of `fd` at `offset`.
    ///
    /// # Errors
    /// Errors of `mmap(2)`; `EINVAL` for an empty mapping and for an offset that is not a multiple of 4096.
    pub fn new(fd: impl AsFd, offset: u64, length: usize) -> Result<Self, Errno> {
        // The system call counts offsets in units of 4096 on 32 bits and would drop the rest silently.
        if length == 0 || length > isize::MAX as usize || !offset.is_multiple_of(4096) {
            return Err(Errno::INVAL);
        }
        // SAFETY: a null address lets the kernel choose an unused one.
        let start = unsafe {
            mmap(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd.as_fd(), offset)?
        };
        let start = NonNull::new(start).ok_or(Errno::NOMEM)?;
        Ok(Mapping { start, length })
    }

    /// Replaces the content of `out` with the first `count` bytes, or all of a shorter mapping. Returns their number.
    pub fn copy_to(&self, count: usize, out: &mut Vec<u8>) -> usize {
        let count = count.min(self.length);
        out.clear();
        out.reserve(count);
        // SAFETY: `start` is valid for `length >= count` bytes until `self` is dropped, `out` has room for `count` bytes and
        // is memory of its own. A device that writes meanwhile changes bytes, which are valid in any combination; no
        // reference to them exists. The first `count` bytes of `out` are initialised when its length is set.
        unsafe {
            ptr::copy_nonoverlapping(self.start.as_ptr().cast::<u8>(), out.as_mut_ptr(), count);
            out.set_len(count);
        }
        count
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start and length are those of the mapping made in `new`, and no reference into it exists.
        let _ = unsafe { munmap(self.start.as_ptr(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn bytes_are_copied_within_bounds_and_the_buffer_is_reused() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(8192).collect();
        file.write_all(&bytes).unwrap();
        let mapping = Mapping::new(&file, 4096, 4096).unwrap();
        let mut out = vec![9; 10];
        assert_eq!(mapping.copy_to(100, &mut out), 100);
        assert_eq!(out, bytes[4096..4196]);
        assert_eq!(mapping.copy_to(1 << 30, &mut out), 4096, "no further than the mapping");
        assert_eq!(out, bytes[4096..]);
        let room = out.capacity();
        mapping.copy_to(50, &mut out);
        assert_eq!((out.len(), out.capacity()), (50, room));
    }

    #[test]
    fn impossible_mappings_are_errors() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Mapping::new(&file, 0, 0).unwrap_err(), Errno::INVAL);
        assert_eq!(Mapping::new(&file, 0, usize::MAX).unwrap_err(), Errno::INVAL);
        assert!(Mapping::new(&file, 1, 4096).is_err(), "an offset that is no multiple of a page");
    }
}
