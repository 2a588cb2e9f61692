//! Errors of catalogs, downloads and models directories, each with its remedy.

use std::path::PathBuf;

/// A catalog is unusable.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The catalog cannot be read.
    #[error("catalog {place}: {reason}")]
    Unreadable {
        /// File or address.
        place: String,
        /// The system's error.
        reason: String,
    },
    /// The catalog is malformed.
    #[error("catalog {place}: {reason}")]
    Wrong {
        /// File or address.
        place: String,
        /// Description with model and key.
        reason: String,
    },
    /// A file of labels or anchors is missing.
    #[error("model {model:?}: the file {file:?} is neither beside the catalog nor part of the program ({known})")]
    Missing {
        /// The model.
        model: String,
        /// Name of the file.
        file: String,
        /// Known files.
        known: String,
    },
}

/// A download failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address is malformed.
    #[error("{url}: not an address that can be fetched: {reason}")]
    Address {
        /// As given.
        url: String,
        /// Description of the error.
        reason: String,
    },
    /// The host does not exist, or no name server is reachable.
    #[error("{url}: the name {host} was not found: check the address, and whether this computer is online")]
    Name {
        /// The address.
        url: String,
        /// Its host.
        host: String,
    },
    /// No TCP connection.
    #[error("{url}: cannot connect: {reason}")]
    Connect {
        /// The address.
        url: String,
        /// The system's error.
        reason: String,
    },
    /// No TLS connection.
    #[error("{url}: no TLS connection: {reason}")]
    Tls {
        /// The address.
        url: String,
        /// Cause and remedy.
        reason: String,
    },
    /// The server refuses.
    #[error("{url}: the server answers {status}{}", meaning(*.status))]
    Status {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The server's answer is invalid.
    #[error("{url}: {reason}")]
    Answer {
        /// The address.
        url: String,
        /// Description of the answer.
        reason: String,
    },
    /// The answer is a web page.
    #[error(
        "{url}: this is a web page and not the file itself; give the address behind its download link \
         (on GitHub the one of \"raw\")"
    )]
    Page {
        /// The address.
        url: String,
    },
    /// The answer is a Git LFS pointer.
    #[error(
        "{url}: this is a Git LFS pointer and not the file itself; give the address behind its download link \
         (on GitHub with /raw/ or media.githubusercontent.com)"
    )]
    Pointer {
        /// The address.
        url: String,
    },
    /// The file is too large.
    #[error("{url}: the file has {}, allowed are up to {limit_bytes} bytes", size(*.found_bytes))]
    TooLarge {
        /// The address.
        url: String,
        /// Size reported by the server, if any.
        found_bytes: Option<u64>,
        /// Largest size accepted.
        limit_bytes: u64,
    },
    /// The size differs from the catalog's.
    #[error("{url}: the file has {found_bytes} bytes, the catalog says {expected_bytes}: the file has changed")]
    Size {
        /// The address.
        url: String,
        /// Size reported by the server.
        found_bytes: u64,
        /// Size in the catalog.
        expected_bytes: u64,
    },
    /// The content differs from the expected one.
    #[error(
        "{url}: sha256 is {found}, expected is {expected}: it is another file, or was changed on the way; it was not kept"
    )]
    Hash {
        /// The address.
        url: String,
        /// Hash of the content.
        found: String,
        /// Expected hash.
        expected: String,
    },
    /// The disk is full.
    #[error("{}: no room: {needed_bytes} bytes are needed, {free_bytes} are free; make room and give the same command again", .dir.display())]
    Room {
        /// The directory.
        dir: PathBuf,
        /// Bytes still needed.
        needed_bytes: u64,
        /// Free bytes.
        free_bytes: u64,
    },
    /// A local file cannot be written or read.
    #[error("{}: {reason}", .path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// The system's error.
        reason: String,
    },
    /// The connection broke on the last attempt.
    #[error("{url}: {reason}{}", kept(*.kept_bytes, *.total_bytes))]
    Broken {
        /// The address.
        url: String,
        /// Cause of the last failure.
        reason: String,
        /// Bytes received and kept.
        kept_bytes: u64,
        /// Size of the file, where known.
        total_bytes: Option<u64>,
    },
}

fn meaning(status: u16) -> &'static str {
    match status {
        401 | 403 => ": access to the file is restricted",
        404 | 410 => ": there is no such file; check the address",
        429 => ": too many requests; wait a while",
        500..=599 => ": a server error; try again later",
        _ => "",
    }
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or("more bytes than that".into(), |bytes| format!("{bytes} bytes"))
}

fn kept(kept: u64, total: Option<u64>) -> String {
    match (kept, total) {
        (0, _) => String::new(),
        (kept, Some(total)) => format!("; {kept} of {total} bytes are kept, and the same command goes on from there"),
        (kept, None) => format!("; {kept} bytes are kept, and the same command goes on from there"),
    }
}

impl FetchError {
    /// `true` when a retry may succeed.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            FetchError::Broken { .. } => true,
            FetchError::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }

    /// `true` for local errors, which another address cannot avoid.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, FetchError::Room { .. } | FetchError::Disk { .. })
    }
}

/// A models directory was not changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No directory is writable.
    #[error("may not write to {}", .dirs.iter().map(|(d, why)| format!("{} ({why})", d.display())).collect::<Vec<_>>().join(" or "))]
    NotWritable {
        /// Each directory with its reason.
        dirs: Vec<(PathBuf, String)>,
    },
    /// Another bundle has this name.
    #[error("{}: there is another model of this name; --replace puts this one in its place", .path.display())]
    Occupied {
        /// The bundle.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{}: {reason}", .path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The system's error.
        reason: String,
    },
}
