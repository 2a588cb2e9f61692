//! Memory in which a wrong access is seen: inputs end [`SLACK`] bytes before a page that cannot be read, and begin right behind
//! one; outputs lie among bytes that have to stay.

use std::fmt::Debug;

use crate::kernels::SLACK;

use super::rng::Rng;

/// Input bytes for a kernel, with nothing readable before them nor [`SLACK`] bytes behind them.
///
/// No run of bytes can do both exactly, since pages have a size: each is made in one of the two ways.
#[derive(Debug)]
pub struct Input {
    pages: pages::Pages,
    at: usize,
    len: usize,
}

impl Input {
    /// A copy of `bytes` and random ones in the slack. `tight_front`: the page before is the near one, and what is behind is only
    /// random.
    pub fn new(bytes: &[i8], tight_front: bool, rng: &mut Rng) -> Self {
        let mut pages = pages::Pages::new(bytes.len() + SLACK);
        let whole = pages.bytes();
        let at = if tight_front { 0 } else { whole.len() - bytes.len() - SLACK };
        for byte in whole.iter_mut() {
            *byte = rng.next() as i8;
        }
        whole[at..at + bytes.len()].copy_from_slice(bytes);
        Input { pages, at, len: bytes.len() }
    }

    /// The bytes, to be read by a kernel.
    pub fn ptr(&mut self) -> *const i8 {
        self.pages.bytes()[self.at..].as_ptr()
    }

    /// The bytes, the slack not among them.
    pub fn bytes(&mut self) -> &[i8] {
        &self.pages.bytes()[self.at..][..self.len]
    }
}

/// Output bytes for a kernel: `len` of them inside a random pattern, behind which nothing can be written.
#[derive(Debug)]
pub struct Output {
    pages: pages::Pages,
    before: Vec<i8>,
    at: usize,
    len: usize,
}

impl Output {
    /// `guard` bytes, `len` bytes of output, `guard` bytes, a page that cannot be touched.
    pub fn new(len: usize, guard: usize, rng: &mut Rng) -> Self {
        let mut pages = pages::Pages::new(len + 2 * guard);
        let whole = pages.bytes();
        let at = whole.len() - guard - len;
        for byte in whole.iter_mut() {
            *byte = rng.next() as i8;
        }
        Output { before: whole.to_vec(), pages, at, len }
    }

    /// Output over `bytes`, which stay where a kernel does not write.
    pub fn over(bytes: &[i8], guard: usize, rng: &mut Rng) -> Self {
        let mut output = Output::new(bytes.len(), guard, rng);
        let range = output.at..output.at + bytes.len();
        output.pages.bytes()[range.clone()].copy_from_slice(bytes);
        output.before[range].copy_from_slice(bytes);
        output
    }

    /// The first byte of output.
    pub fn ptr(&mut self) -> *mut i8 {
        self.pages.bytes()[self.at..].as_mut_ptr()
    }

    /// The output now.
    pub fn bytes(&mut self) -> &[i8] {
        &self.pages.bytes()[self.at..][..self.len]
    }

    /// Nothing around the output has changed, and the output is what `expected` says: a byte, or the one that was there before.
    pub fn check(&mut self, expected: &[Option<i8>], case: impl Debug) {
        assert_eq!(expected.len(), self.len);
        let (now, at) = (self.pages.bytes(), self.at);
        for (i, (&now, &before)) in now.iter().zip(&self.before).enumerate() {
            let inside = i.checked_sub(at).and_then(|i| expected.get(i).copied().flatten());
            assert_eq!(now, inside.unwrap_or(before), "byte {} of 0..{}: {case:?}", i as isize - at as isize, self.len);
        }
    }
}

#[cfg(all(unix, not(miri), not(heap_buffers)))]
pub(super) mod pages {
    //! Anonymous pages between two that cannot be touched.

    #[derive(Debug)]
    pub struct Pages {
        base: *mut u8,
        usable: usize,
        page: usize,
    }

    impl Pages {
        /// At least `len` bytes, a whole number of pages.
        pub fn new(len: usize) -> Self {
            // SAFETY: asks for a number.
            let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
            let usable = len.max(1).next_multiple_of(page);
            // SAFETY: new memory, wherever the kernel likes.
            let base = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    usable + 2 * page,
                    libc::PROT_NONE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                    -1,
                    0,
                )
            };
            assert_ne!(base, libc::MAP_FAILED);
            let base = base.cast::<u8>();
            // SAFETY: the pages in the middle of what was just mapped.
            let done = unsafe { libc::mprotect(base.add(page).cast(), usable, libc::PROT_READ | libc::PROT_WRITE) };
            assert_eq!(done, 0);
            Pages { base, usable, page }
        }

        /// All of it.
        pub fn bytes(&mut self) -> &mut [i8] {
            // SAFETY: readable, writable and zeroed by the kernel, for as long as `self` is.
            unsafe { std::slice::from_raw_parts_mut(self.base.add(self.page).cast(), self.usable) }
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            // SAFETY: exactly what was mapped; nobody can have kept a slice of it.
            unsafe { libc::munmap(self.base.cast(), self.usable + 2 * self.page) };
        }
    }
}

#[cfg(not(all(unix, not(miri), not(heap_buffers))))]
pub(super) mod pages {
    //! Heap blocks of the exact size: Miri and AddressSanitizer watch its ends themselves.

    #[derive(Debug)]
    pub struct Pages(Vec<i8>);

    impl Pages {
        pub fn new(len: usize) -> Self {
            Pages(vec![0; len.max(1)])
        }

        pub fn bytes(&mut self) -> &mut [i8] {
            &mut self.0
        }
    }
}
