//! The sets of kernels of this processor.

use std::sync::OnceLock;

#[cfg(target_arch = "arm")]
use super::armv7;
use super::reference;
use super::set::Kernels;
#[cfg(target_arch = "x86_64")]
use super::{amx, avx2, avx512vnni, avxvnni};
#[cfg(target_arch = "aarch64")]
use super::{dotprod, i8mm, neon};

/// The sets that this processor can run, plainest first.
pub fn available() -> Vec<&'static dyn Kernels> {
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm")),
        expect(unused_mut, reason = "other processors have the reference only")
    )]
    let mut sets: Vec<&'static dyn Kernels> = vec![&reference::Reference];
    #[cfg(target_arch = "x86_64")]
    {
        if avx2::available() {
            sets.push(&avx2::Avx2);
        }
        #[cfg(test)]
        if avxvnni::avx512_encoded_available() {
            sets.push(&avxvnni::Avx512Encoded);
        }
        if avxvnni::available() {
            sets.push(&avxvnni::AvxVnni);
        }
        if avx512vnni::available() {
            sets.push(&avx512vnni::Avx512Vnni);
        }
        if amx::available() {
            sets.push(&amx::Amx);
        }
    }
    #[cfg(target_arch = "arm")]
    if armv7::available() {
        sets.push(&armv7::Armv7);
    }
    #[cfg(target_arch = "aarch64")]
    {
        if neon::available() {
            sets.push(&neon::Neon);
        }
        if dotprod::available() {
            sets.push(&dotprod::Dotprod);
        }
        if i8mm::available() {
            sets.push(&i8mm::I8mm);
        }
    }
    sets
}

/// The set to use.
pub fn best() -> &'static dyn Kernels {
    static BEST: OnceLock<&'static dyn Kernels> = OnceLock::new();
    *BEST.get_or_init(|| available().pop().unwrap_or(&reference::Reference))
}
