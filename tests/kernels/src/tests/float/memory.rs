//! Memory for floats in which a wrong access is seen: it ends, or begins, at a page that cannot be touched.

use crate::tests::memory::pages::Pages;
use crate::tests::rng::Rng;

/// Floats with nothing readable before them or nothing readable behind them, and for results a pattern around them.
pub struct Floats {
    pages: Pages,
    at: usize,
    len: usize,
    before: Vec<u32>,
}

impl Floats {
    /// A copy of `values`: at the beginning of its pages or at their end.
    pub fn new(values: &[f32], tight_front: bool) -> Self {
        // Heap blocks have the alignment of what they hold; a few bytes more let floats begin at a multiple of four.
        let mut pages = Pages::new(4 * values.len() + if cfg!(any(miri, heap_buffers)) { 3 } else { 0 });
        let bytes = pages.bytes();
        let front = bytes.as_ptr().align_offset(4);
        let at = if tight_front { front } else { front + (bytes.len() - front) / 4 * 4 - 4 * values.len() };
        let mut floats = Floats { pages, at, len: values.len(), before: Vec::new() };
        // SAFETY: the floats lie within the pages.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), floats.ptr(), values.len()) };
        floats.before = floats.bits();
        floats
    }

    /// `len` random floats, to be written by a kernel.
    pub fn output(len: usize, rng: &mut Rng) -> Self {
        let values: Vec<f32> = (0..len).map(|_| f32::from_bits(rng.next() as u32)).collect();
        Floats::new(&values, rng.below(2) == 0)
    }

    /// The first float.
    pub fn ptr(&mut self) -> *mut f32 {
        self.pages.bytes()[self.at..].as_mut_ptr().cast()
    }

    /// The floats now.
    pub fn values(&mut self) -> Vec<f32> {
        self.bits().into_iter().map(f32::from_bits).collect()
    }

    fn bits(&mut self) -> Vec<u32> {
        let bytes = &self.pages.bytes()[self.at..][..4 * self.len];
        bytes.chunks_exact(4).map(|b| u32::from_ne_bytes([b[0] as u8, b[1] as u8, b[2] as u8, b[3] as u8])).collect()
    }

    /// Panics if a float has changed that is not `written`.
    pub fn check_untouched(&mut self, written: impl Fn(usize) -> bool, case: &dyn std::fmt::Debug) {
        let now = self.bits();
        for (i, (now, before)) in now.iter().zip(&self.before).enumerate() {
            assert!(now == before || written(i), "float {i} of {} was written: {case:?}", self.len);
        }
    }
}
