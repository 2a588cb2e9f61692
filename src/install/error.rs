//! Models that cannot be installed.

use std::path::PathBuf;

use crate::catalog::{CatalogError, FetchError, StoreError};
use crate::model::ModelError;
use crate::sys::file::FileError;

/// A model that cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The request makes no sense, or does not fit the model.
    #[error("{0}")]
    Request(String),
    /// The directory of models refuses it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalog cannot be used.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The file cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The model cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: FileError,
    },
    /// None of the places of a catalog's entry has a file.
    #[error("{0}: there is no such file")]
    NoFile(String),
    /// A file has another hash than it should.
    #[error("{place}: sha256 is {found}, {source_of_expected} {expected}")]
    Hash {
        /// The file or address.
        place: String,
        /// Its hash.
        found: String,
        /// `the catalog says` or `expected is`.
        source_of_expected: &'static str,
        /// The hash that it should have.
        expected: String,
    },
    /// A model of a kind that is not read, or a manifest that is not TOML.
    #[error("{0}")]
    Unsupported(String),
    /// It was read, and does not run as it should.
    #[error("{what} cannot be used: {reason}")]
    Unusable {
        /// As it was asked for.
        what: String,
        /// The reason, with the tensor, operator or golden input.
        reason: String,
    },
}
