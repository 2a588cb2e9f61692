//! Marks of the start-up phases: `leptond bench --startup` listens at a socket named by [`VARIABLE`], and each [`mark`] is a line
//! with the monotonic clock's nanoseconds and a name.
//!
//! Without that variable, in every ordinary start, a mark costs one pointer check.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};

/// Names the socket for marks.
pub const VARIABLE: &str = "LEPTOND_STARTUP_MARKS";

/// `None`: marks are off.
static SOCKET: OnceLock<Option<UnixStream>> = OnceLock::new();

/// Connects to the listener for marks, if there is one. Call it before file access is restricted and before the first thread.
///
/// # Errors
/// The socket that the variable names cannot be used; the start goes on without marks.
pub fn open_marks(address: Option<&OsStr>) -> std::io::Result<()> {
    let connect = |address: &OsStr| {
        let socket = UnixStream::connect(address)?;
        // A listener that does not read must not delay the start that it measures.
        socket.set_nonblocking(true)?;
        std::io::Result::Ok(socket)
    };
    let (socket, result) = match address.filter(|a| !a.is_empty()).map(connect).transpose() {
        Ok(socket) => (socket, Ok(())),
        Err(error) => (None, Err(error)),
    };
    SOCKET.get_or_init(|| socket);
    result
}

/// Marks the end of phase `name`. A mark that cannot be sent is dropped; the listener notices the gap.
pub fn mark(name: &str) {
    if let Some(Some(mut socket)) = SOCKET.get().map(Option::as_ref) {
        let _ = socket.write(format!("{} {name}\n", monotonic_ns()).as_bytes());
    }
}

/// [`mark`] for a part of a pipeline; its name comes after a tab.
pub fn mark_of(name: &str, pipeline: &str) {
    if let Some(Some(_)) = SOCKET.get() {
        mark(&format!("{name}\t{pipeline}"));
    }
}

/// Time since boot in ns, the same in every process of the machine.
pub fn monotonic_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, ns) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds.saturating_mul(1_000_000_000).saturating_add(ns)
}
