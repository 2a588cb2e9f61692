//! The sets of float kernels of this processor.

use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::reference;
use super::set::FloatKernels;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// The sets that this processor can run, plainest first.
pub fn available() -> Vec<&'static dyn FloatKernels> {
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(unused_mut, reason = "other processors have the reference only")
    )]
    let mut sets: Vec<&'static dyn FloatKernels> = vec![&reference::Reference];
    #[cfg(target_arch = "x86_64")]
    {
        if avx2::available() {
            sets.push(&avx2::Avx2);
        }
        if avx512::available() {
            sets.push(&avx512::Avx512);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if neon::available() {
        sets.push(&neon::Neon);
    }
    sets
}

/// The set to use.
pub fn best() -> &'static dyn FloatKernels {
    static BEST: OnceLock<&'static dyn FloatKernels> = OnceLock::new();
    *BEST.get_or_init(|| available().pop().unwrap_or(&reference::Reference))
}
