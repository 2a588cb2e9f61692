//! Words that nobody can guess: ids of work, and subjects of answers.

use std::fs::File;
use std::io::Read as _;

use super::error::FleetError;

/// The system's random numbers.
pub(super) struct Random(File);

impl Random {
    /// Opens them.
    ///
    /// # Errors
    /// [`FleetError::System`].
    pub(super) fn open() -> Result<Random, FleetError> {
        File::open("/dev/urandom").map(Random).map_err(|e| FleetError::System(format!("/dev/urandom: {e}")))
    }

    /// 32 hex digits.
    ///
    /// # Errors
    /// [`FleetError::System`].
    pub(super) fn word(&mut self) -> Result<String, FleetError> {
        let mut bytes = [0_u8; 16];
        self.0.read_exact(&mut bytes).map_err(|e| FleetError::System(format!("/dev/urandom: {e}")))?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// True for what [`Random::word`] gives.
pub(super) fn is_word(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
