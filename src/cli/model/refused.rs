//! Errors of an installation, with the command that works.

use crate::catalog::StoreError;
use crate::cli::Failure;
use crate::cli::hint::hint;
use crate::cli::words::with_sudo;
use crate::install::error::InstallError;

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Failure {
        match error {
            InstallError::Request(words) => Failure::Usage(words),
            InstallError::Store(error) => refused(error),
            InstallError::Model(_) | InstallError::Unusable { .. } => anyhow::anyhow!(hint(error.to_string())).into(),
            error => anyhow::Error::from(error).into(),
        }
    }
}

/// The error of a directory of models, with the command that works where it may not be written.
pub(super) fn refused(error: StoreError) -> Failure {
    let denied = match &error {
        StoreError::NotWritable { .. } => true,
        StoreError::Io { reason, .. } => reason.contains("ermission denied"),
        StoreError::Occupied { .. } => false,
    };
    if denied && !rustix::process::geteuid().is_root() {
        let sudo = with_sudo();
        return anyhow::anyhow!("{error}; as root it works: {sudo}\n(or give a directory of your own with --dir DIR)")
            .into();
    }
    anyhow::Error::from(error).into()
}
