//! Errors of the disk, by what they mean for the outbox.

use std::io;
use std::path::{Path, PathBuf};

use crate::frame::status::OutboxFault;

/// The disk did not do what it was asked. Events go on in memory, and it is tried again later.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No space, or a quota or a limit of file sizes is reached.
    #[error("{path}: no space: {source}")]
    Full {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The file system is mounted read-only.
    #[error("{path}: {source}")]
    ReadOnly {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// No permission.
    #[error("{path}: {source}")]
    Denied {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error("{path}: another leptond uses this directory")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{path}: {source}")]
    Failed {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

impl StorageError {
    /// The error of an operation on `path`.
    pub fn of(path: &Path, source: io::Error) -> StorageError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                StorageError::Full { path, source }
            }
            io::ErrorKind::ReadOnlyFilesystem => StorageError::ReadOnly { path, source },
            io::ErrorKind::PermissionDenied => StorageError::Denied { path, source },
            _ => StorageError::Failed { path, source },
        }
    }

    /// The fault as it is shown.
    pub fn fault(&self) -> OutboxFault {
        match self {
            StorageError::Full { .. } => OutboxFault::Full,
            StorageError::ReadOnly { .. } => OutboxFault::ReadOnly,
            StorageError::Denied { .. } => OutboxFault::Denied,
            StorageError::Locked { .. } => OutboxFault::Locked,
            StorageError::Failed { .. } => OutboxFault::Failed,
        }
    }
}
