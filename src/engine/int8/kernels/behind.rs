//! Tables that are applied behind a kernel, while what it made is in the first cache still.

use super::bytes::{ByteKernels, Lines};
use super::walk::Rectangle;

/// Bytes that wait for their table: few enough for the first cache, enough to be worth a call.
pub const BEHIND: usize = 4096;

/// A table on its way behind a kernel: adjacent results are looked up together.
pub struct Behind<'a> {
    table: &'a [i8; 256],
    bytes: &'a ByteKernels,
    start: *mut i8,
    len: usize,
}

impl<'a> Behind<'a> {
    /// Nothing waits yet.
    pub fn new(table: &'a [i8; 256], bytes: &'a ByteKernels) -> Self {
        Behind { table, bytes, start: std::ptr::null_mut(), len: 0 }
    }

    /// Takes in `len` bytes that have been written.
    ///
    /// # Safety
    /// They are there, are this thread's own, and are pushed once; the set is one of this processor.
    pub unsafe fn push(&mut self, start: *mut i8, len: usize) {
        if self.start.wrapping_add(self.len) != start || self.len >= BEHIND {
            // SAFETY: the caller's promise.
            unsafe { self.flush() };
            self.start = start;
        }
        self.len += len;
    }

    /// Looks up what waits.
    ///
    /// # Safety
    /// As [`Self::push`].
    pub unsafe fn flush(&mut self) {
        if self.len > 0 {
            let lines = Lines { x: self.start, out: self.start, pitches: [0; 2], rows: 1, len: self.len };
            // SAFETY: the caller's promise.
            unsafe { (self.bytes.lut)(self.table, &lines) };
        }
        self.len = 0;
    }
}

/// Runs `kernel` over a rectangle and looks its results up, piece by piece; without a table all at once.
///
/// # Safety
/// Offsets count from `arena` and lie inside it as the plan laid them out; `kernel` writes the last of the views.
pub unsafe fn rectangle<const N: usize>(
    table: Option<&[i8; 256]>,
    bytes: &ByteKernels,
    arena: *mut i8,
    whole: &Rectangle<N>,
    kernel: impl Fn(&Rectangle<N>),
) {
    let Some(table) = table else { return kernel(whole) };
    let (high, wide) = ((BEHIND / whole.len).clamp(1, whole.rows), whole.len.min(BEHIND));
    for row in (0..whole.rows).step_by(high) {
        for col in (0..whole.len).step_by(wide) {
            let piece = Rectangle {
                start: std::array::from_fn(|v| whole.start[v] + row * whole.pitches[v] + col * whole.steps[v]),
                rows: high.min(whole.rows - row),
                len: wide.min(whole.len - col),
                ..*whole
            };
            kernel(&piece);
            let (pitch, step) = (piece.pitches[N - 1], piece.steps[N - 1]);
            // SAFETY: the caller's promise; these bytes have just been written.
            unsafe {
                let out = arena.add(piece.start[N - 1]);
                if step == 1 {
                    (bytes.lut)(table, &Lines { x: out, out, pitches: [pitch; 2], rows: piece.rows, len: piece.len });
                    continue;
                }
                for at in (0..piece.rows).flat_map(|row| (0..piece.len).map(move |i| row * pitch + i * step)) {
                    *out.add(at) = table[usize::from(*out.add(at) as u8)];
                }
            }
        }
    }
}
