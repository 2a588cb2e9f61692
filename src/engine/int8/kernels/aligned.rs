//! Blocks of bytes that start on a cache line.

use std::mem::MaybeUninit;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Zeroed bytes, the first one at a multiple of 64.
#[derive(Clone, Debug, Default)]
pub struct AlignedBytes {
    lines: Vec<Line>,
    len: usize,
}

impl AlignedBytes {
    /// `len` zeros, and as many behind them as fill the last line.
    pub fn zeroed(len: usize) -> Self {
        AlignedBytes { lines: vec![Line([0; LINE]); len.div_ceil(LINE)], len }
    }

    /// Number of bytes asked for.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if none were asked for.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `lines` owns at least `len` initialised bytes, `Line` has no padding and any byte is a valid u8.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// The bytes, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }

    /// The first byte's address; never null.
    pub fn as_ptr(&self) -> *const u8 {
        self.lines.as_ptr().cast()
    }

    /// The first byte's address, to be written.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.lines.as_mut_ptr().cast()
    }

    /// Writes little-endian 32-bit values from byte `at`.
    pub fn put_i32(&mut self, at: usize, values: impl IntoIterator<Item = i32>) {
        let bytes = self.as_mut_slice()[at..].chunks_exact_mut(4);
        for (to, value) in bytes.zip(values) {
            to.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Writes little-endian 16-bit values from byte `at`.
    pub fn put_i16(&mut self, at: usize, values: impl IntoIterator<Item = i16>) {
        let bytes = self.as_mut_slice()[at..].chunks_exact_mut(2);
        for (to, value) in bytes.zip(values) {
            to.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Writes little-endian 32-bit floats from byte `at`.
    pub fn put_f32(&mut self, at: usize, values: impl IntoIterator<Item = f32>) {
        self.put_i32(at, values.into_iter().map(|v| v.to_bits() as i32));
    }

    /// Writes signed bytes from byte `at`.
    pub fn put_i8(&mut self, at: usize, values: impl IntoIterator<Item = i8>) {
        for (to, value) in self.as_mut_slice()[at..].iter_mut().zip(values) {
            *to = value as u8;
        }
    }
}

/// Bytes on the stack that nobody has written yet, the first one at a multiple of 64.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Scratch<const N: usize>(MaybeUninit<[i8; N]>);

impl<const N: usize> Scratch<N> {
    /// `N` bytes; what is read of them has to be written before.
    pub const fn new() -> Self {
        Scratch(MaybeUninit::uninit())
    }

    /// The first byte's address.
    pub fn as_mut_ptr(&mut self) -> *mut i8 {
        self.0.as_mut_ptr().cast()
    }
}
