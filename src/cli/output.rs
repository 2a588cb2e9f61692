//! Output of a subcommand. Its reader may go away at any time (`| head`, a closed terminal): that is no failure, ends the command
//! where it only prints, and never panics, as `println!` and `eprintln!` would.

use std::io::{self, Write as _};

use super::Failure;

/// Writes lines to standard output; a reader that went away is not a failure.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush())).map(drop)
}

/// Writes lines to standard error, beside the results. A failure to write them is ignored.
pub(super) fn tell(text: &str) {
    let _unread = writeln!(io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}

/// The result of writing to standard output: `true` while it is read.
pub(super) fn written(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow::Error::from(error).context("standard output").into()),
    }
}
