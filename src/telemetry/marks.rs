//! What a start goes through, told to who asked for it: `leptond bench --startup` listens at a socket that
//! [`VARIABLE`] names, and each [`mark`] is a line with the monotonic clock's nanoseconds and a name.
//!
//! Without that variable, which is every start but a measured one, a mark costs the look at one pointer.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};

/// Names the socket that marks are sent to.
pub const VARIABLE: &str = "LEPTOND_STARTUP_MARKS";

/// `None`: nobody asked.
static SOCKET: OnceLock<Option<UnixStream>> = OnceLock::new();

/// Connects to who asked for marks, if anybody did. To be called before files are given up and before the first thread.
///
/// # Errors
/// When the socket that the variable names cannot be used; the start goes on without marks.
pub fn open_marks(address: Option<&OsStr>) -> std::io::Result<()> {
    let connect = |address: &OsStr| {
        let socket = UnixStream::connect(address)?;
        // A listener that does not read must not hold up the start that it measures.
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

/// What `name` says ends now. A mark that cannot be sent is left out: the listener sees that it is missing.
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
