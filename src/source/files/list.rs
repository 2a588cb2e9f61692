//! The files that a path, directory or glob stands for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Extensions of files with many pictures.
pub(super) const STREAMS: [&str; 3] = ["mjpeg", "mjpg", "y4m"];
/// Extensions of files with one picture.
const PICTURES: [&str; 4] = ["jpg", "jpeg", "png", "bmp"];
/// Characters that make a path a glob.
pub(super) const WILD: [char; 3] = ['*', '?', '['];

/// True for the extension of a file with one picture, or with many.
pub fn names_pictures(path: &Path) -> bool {
    has_extension(path, &PICTURES) || has_extension(path, &STREAMS)
}

/// Reason for having no list of files.
pub(super) enum Unlisted {
    /// Nothing is there now.
    Now(String),
    /// There can be none.
    Never(String),
}

impl Unlisted {
    pub(super) fn reason(self) -> String {
        match self {
            Unlisted::Now(reason) | Unlisted::Never(reason) => reason,
        }
    }
}

/// Files that `pattern` stands for, last first.
///
/// # Errors
/// [`Unlisted`] when there are none.
pub(super) fn list(pattern: &str) -> Result<Vec<PathBuf>, Unlisted> {
    let now = |e: std::io::Error| Unlisted::Now(e.to_string());
    let path = Path::new(pattern);
    let mut files = Vec::new();
    match std::fs::metadata(path) {
        Ok(about) if about.is_dir() => {
            for entry in std::fs::read_dir(path).map_err(now)? {
                let path = entry.map_err(now)?.path();
                let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                if !hidden && names_pictures(&path) && !path.is_dir() {
                    files.push(path);
                }
            }
            if files.is_empty() {
                let reason = "no .jpg, .jpeg, .png, .bmp, .mjpeg, .mjpg or .y4m file in this directory";
                return Err(Unlisted::Now(reason.into()));
            }
        }
        Ok(about) if about.is_file() => files.push(path.into()),
        Ok(_) => return Err(Unlisted::Never("neither a file nor a directory".into())),
        Err(error) if !pattern.contains(WILD) => return Err(now(error)),
        Err(_) => {
            let found = glob::glob(pattern)
                .map_err(|e| Unlisted::Never(format!("not a glob: {} at position {}", e.msg, e.pos)))?;
            files.extend(found.flatten().filter(|p| !p.is_dir()));
            if files.is_empty() {
                return Err(Unlisted::Now("no file matches".into()));
            }
        }
    }
    files.sort_unstable_by(|a, b| b.cmp(a));
    Ok(files)
}

pub(super) fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or("");
    wanted.iter().any(|w| extension.eq_ignore_ascii_case(w))
}
