//! The `leptond` command: runs it and turns its result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    leptond::cli::run(std::env::args_os())
}
