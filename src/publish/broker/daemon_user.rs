//! Recognition of the daemon's own connection.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// The user name by which the gate knows the daemon's own connection: drawn at random in each process. No other client is
/// asked for one.
pub fn daemon_user() -> &'static str {
    static USER: OnceLock<String> = OnceLock::new();
    // Each RandomState has keys of its own, the first ones from the system's random numbers.
    USER.get_or_init(|| {
        let drawn = || RandomState::new().hash_one(std::process::id());
        format!("leptond-{:016x}{:016x}", drawn(), drawn())
    })
}
