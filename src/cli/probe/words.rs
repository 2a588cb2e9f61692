//! Words for lists and sizes.

/// The words with commas between them, or `none`.
pub(super) fn words<S: AsRef<str>>(words: &[S], none: &str) -> String {
    if words.is_empty() {
        return none.into();
    }
    words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

/// Whole MiB of so many bytes.
pub(super) fn mib(bytes: u64) -> u64 {
    bytes >> 20
}
