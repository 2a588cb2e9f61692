//! Keeping secrets out of what is said of a configuration: by the one masker that the log has too.

pub use crate::source::mask::{MASK, redact, redact_args};
