//! Recognition of the daemon's own connection.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// User name of the daemon's own connection at the gate, random in each process. Other clients need none.
pub fn daemon_user() -> &'static str {
    static USER: OnceLock<String> = OnceLock::new();
    // Each RandomState has its own keys, the first ones from the system's random numbers.
    USER.get_or_init(|| {
        let drawn = || RandomState::new().hash_one(std::process::id());
        format!("leptond-{:016x}{:016x}", drawn(), drawn())
    })
}
