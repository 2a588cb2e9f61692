//! Property tests of the int8 kernels, without the rest of leptond.
//!
//! Every set that this processor can run must equal the plain reference bit for bit, and the reference must equal a computation
//! that shares nothing with it ([`naive`](self) in the tests). What kernels read and write lies between pages that must not
//! be touched, so a read beyond what the interface allows ends the test, in inline assembly too.
//!
//! ```sh
//! cd tests/kernels && cargo test              # this processor
//! tests/qemu                                  # four ARM cores
//! tests/sanitize                              # AddressSanitizer and Miri
//! ```
//!
//! `PROPTEST_CASES` says how many cases each property is tried on. `LEPTOND_KERNEL_SETS`, when set to names with commas
//! between them, makes the run fail where the sets found are others.

#[path = "../../../src/engine/int8/kernels/mod.rs"]
pub mod kernels;

#[cfg(test)]
mod tests;
