//! The sets of float kernels of this processor.

use std::sync::OnceLock;

use super::reference;
use super::set::FloatKernels;

/// The sets that this processor can run, plainest first.
pub fn available() -> Vec<&'static dyn FloatKernels> {
    vec![&reference::Reference]
}

/// The set to use.
pub fn best() -> &'static dyn FloatKernels {
    static BEST: OnceLock<&'static dyn FloatKernels> = OnceLock::new();
    *BEST.get_or_init(|| available().pop().unwrap_or(&reference::Reference))
}
