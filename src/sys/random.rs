//! Random numbers of the system.

use std::fs::File;
use std::io::{self, Read as _};

/// A word that nobody can guess: 128 bits as 32 hex digits.
///
/// # Errors
/// The system gives no random numbers.
pub fn word() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Test for the form of what [`word`] gives.
pub fn is_word(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_differ_and_have_their_form() {
        let words = [word().unwrap(), word().unwrap()];
        assert_ne!(words[0], words[1]);
        assert!(words.iter().all(|word| is_word(word)), "{words:?}");
        for wrong in ["", "0123", &words[0].to_uppercase().replace(|c: char| c.is_ascii_digit(), "G")] {
            assert!(!is_word(wrong), "{wrong}");
        }
    }
}
