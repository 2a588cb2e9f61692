//! What can go wrong, each kind with what to do about it.

use std::path::PathBuf;

/// A list of models that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It cannot be read.
    #[error("catalog {place}: {reason}")]
    Unreadable {
        /// File or address.
        place: String,
        /// The system's words.
        reason: String,
    },
    /// It is not a catalog.
    #[error("catalog {place}: {reason}")]
    Wrong {
        /// File or address.
        place: String,
        /// What is wrong, with model and key.
        reason: String,
    },
    /// A label file that is not there.
    #[error("model {model:?}: labels_file {file:?} is neither beside the catalog nor part of the program ({known})")]
    Labels {
        /// The model.
        model: String,
        /// What it names.
        file: String,
        /// What there is.
        known: String,
    },
}

/// Why a file did not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not an address that can be asked.
    #[error("{url}: not an address that can be fetched: {reason}")]
    Address {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such host, or no name server to ask.
    #[error("{url}: the name {host} was not found: check the address, and whether this computer is online")]
    Name {
        /// The address.
        url: String,
        /// Its host.
        host: String,
    },
    /// Nothing answers there.
    #[error("{url}: cannot connect: {reason}")]
    Connect {
        /// The address.
        url: String,
        /// The system's words.
        reason: String,
    },
    /// No safe connection.
    #[error("{url}: no safe connection (TLS): {reason}")]
    Tls {
        /// The address.
        url: String,
        /// What is wrong, and what helps.
        reason: String,
    },
    /// The server says no.
    #[error("{url}: the server answers {status}{}", meaning(*.status))]
    Status {
        /// The address.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The server's answer makes no sense.
    #[error("{url}: {reason}")]
    Answer {
        /// The address.
        url: String,
        /// What about it.
        reason: String,
    },
    /// A page to look at instead of a file.
    #[error(
        "{url}: this is a web page and not the file itself; give the address behind its download link \
         (on GitHub the one of \"raw\")"
    )]
    Page {
        /// The address.
        url: String,
    },
    /// A stand-in for a file that Git keeps elsewhere.
    #[error(
        "{url}: this is a Git LFS pointer and not the file itself; give the address behind its download link \
         (on GitHub with /raw/ or media.githubusercontent.com)"
    )]
    Pointer {
        /// The address.
        url: String,
    },
    /// Larger than is wanted here.
    #[error("{url}: the file has {}, allowed are up to {limit_bytes} bytes", size(*.found_bytes))]
    TooLarge {
        /// The address.
        url: String,
        /// What it has, where the server says it.
        found_bytes: Option<u64>,
        /// What is allowed.
        limit_bytes: u64,
    },
    /// Another size than the catalog's.
    #[error("{url}: the file has {found_bytes} bytes, the catalog says {expected_bytes}: it is another file now")]
    Size {
        /// The address.
        url: String,
        /// What the server says.
        found_bytes: u64,
        /// What the catalog says.
        expected_bytes: u64,
    },
    /// Other bytes than were asked for.
    #[error(
        "{url}: sha256 is {found}, expected is {expected}: it is another file, or was changed on the way; it was not kept"
    )]
    Hash {
        /// The address.
        url: String,
        /// Of what came.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// The disk has no room.
    #[error("{}: no room: {needed_bytes} bytes are needed, {free_bytes} are free; make room and give the same command again", .dir.display())]
    Room {
        /// The directory.
        dir: PathBuf,
        /// What is still to come.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// A file of ours cannot be written or read.
    #[error("{}: {reason}", .path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The connection broke, and attempts are used up.
    #[error("{url}: {reason}{}", kept(*.kept_bytes, *.total_bytes))]
    Broken {
        /// The address.
        url: String,
        /// What happened last.
        reason: String,
        /// What came so far and is kept.
        kept_bytes: u64,
        /// What the file has, where it is known.
        total_bytes: Option<u64>,
    },
}

fn meaning(status: u16) -> &'static str {
    match status {
        401 | 403 => ": it does not give the file to everybody",
        404 | 410 => ": there is no such file; check the address",
        429 => ": too many requests; wait a while",
        500..=599 => ": it is in trouble itself; try again later",
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
    /// Whether the same may work a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            FetchError::Broken { .. } => true,
            FetchError::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether another address could not do better: what is wrong is on this side.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, FetchError::Room { .. } | FetchError::Disk { .. })
    }
}

/// Why a models directory was not changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// None of the directories can be written.
    #[error("may not write to {}", .dirs.iter().map(|(d, why)| format!("{} ({why})", d.display())).collect::<Vec<_>>().join(" or "))]
    NotWritable {
        /// Each with the reason.
        dirs: Vec<(PathBuf, String)>,
    },
    /// There is another bundle of the name.
    #[error("{}: there is another model of this name; --replace puts this one in its place", .path.display())]
    Occupied {
        /// The bundle.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{}: {reason}", .path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
}
