//! Programs that cameras are read through.

use std::path::{Path, PathBuf};

use crate::frame::diagnostic::{Diagnostic, quoted};
use crate::sys::landlock;

/// Directories that a child must read: of the program where it is named by path, and of the files among its arguments.
pub(super) fn paths(program: &str, args: &[String]) -> Vec<PathBuf> {
    let program = program.contains('/').then(|| landlock::directory(Path::new(program)));
    // "--tuning-file=/srv/x.json" names a file as "--tuning-file /srv/x.json" does.
    let words = args.iter().map(|arg| arg.split_once('=').map_or(arg.as_str(), |(_, value)| value));
    let files = words.map(Path::new).filter(|path| path.is_absolute()).map(landlock::directory);
    program.into_iter().chain(files).collect()
}

/// The fault of the key `program`, which is empty for the first of the `usual` ones that is in PATH. A program named by path
/// must be there; a usual one may still be installed.
pub(super) fn check(program: &str, usual: &[&str]) -> Option<Diagnostic> {
    let in_path = |name: &str| {
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
    };
    let diagnostic = if program.contains('/') {
        (!Path::new(program).is_file()).then(|| Diagnostic::error("program", "there is no such program"))?
    } else if program.is_empty() {
        let missing = !usual.iter().any(|name| in_path(name));
        return missing.then(|| Diagnostic::warning("program", format!("{} is not installed", usual.join(" or "))));
    } else {
        (!in_path(program)).then(|| Diagnostic::error("program", "there is no such program in PATH"))?
    };
    Some(diagnostic.found(quoted(program)))
}
