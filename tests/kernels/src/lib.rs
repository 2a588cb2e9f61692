//! Property tests of the int8 and the float kernels, without the rest of leptond.
//!
//! Every set of int8 kernels that this processor can run must equal the plain reference bit for bit, and the reference must equal a computation
//! that shares nothing with it ([`naive`](self) in the tests). Float kernels, the plain ones among them, are compared with computations in
//! 64 bits, within bounds that the tests state. What kernels read and write lies between pages that must not
//! be touched, so a read beyond what the interface allows ends the test, in inline assembly too.
//!
//! ```sh
//! cd tests/kernels && cargo test              # this processor
//! tests/qemu                                  # five ARM cores
//! tests/sanitize                              # AddressSanitizer and Miri
//! tests/bench/floats                          # float kernels timed beside onnxruntime's
//! ```
//!
//! `PROPTEST_CASES` says how many cases each property is tried on. `LEPTOND_KERNEL_SETS`, when set to names with commas
//! between them, makes the run fail where the int8 sets found are others.

#[path = "../../../src/engine/int8/kernels/mod.rs"]
pub mod kernels;

#[cfg(test)]
mod tests;
