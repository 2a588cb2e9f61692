//! Digest of a model: nodes mean the same model by equal digests.

use std::fmt;

/// Digits of a digest that stand in subjects.
const SHORT: usize = 12;

/// SHA-256 over everything that a bundle is, in 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelDigest(String);

impl ModelDigest {
    /// Checks a digest; `None` where `text` is none.
    pub fn new(text: &str) -> Option<ModelDigest> {
        let fits = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| ModelDigest(text.into()))
    }

    /// The first 12 digits.
    pub fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sixty_four_digits_are_a_digest() {
        let digits = "0123456789abcdef".repeat(4);
        assert_eq!(ModelDigest::new(&digits).unwrap().short(), "0123456789ab");
        for wrong in ["", "0123456789ab", &digits.to_uppercase(), &format!("{digits}0"), &format!("{digits} {digits}")]
        {
            assert_eq!(ModelDigest::new(wrong), None, "{wrong}");
        }
    }
}
