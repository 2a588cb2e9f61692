//! The broker's password: a file beside the configuration, never in it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::DEFAULT_FILE;
use crate::publish;
use crate::sys::file::{self, FileError};
use crate::sys::owned::{self, FileKind, WriteError};

/// File that the unit makes of it while the service runs. A configuration need not say so.
pub const CREDENTIAL: &str = "/run/credentials/leptond.service/mqtt-password";
/// File that the unit takes it from.
pub const KEPT: &str = "/etc/leptond/mqtt-password";

/// The file of a password, and the way that the daemon gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The file, readable by its owner only.
    pub file: PathBuf,
    /// For `password_file` of the configuration; `None` where the unit hands the password over and no key is needed.
    pub configured: Option<PathBuf>,
}

/// Reports the file that the packaged service reads.
pub fn is_of_service(config: &Path) -> bool {
    std::path::absolute(config).is_ok_and(|file| file == Path::new(DEFAULT_FILE))
}

/// Decides: the service's configuration has its password where the unit looks for it, any other has it beside itself.
pub fn place(config: &Path) -> Place {
    if is_of_service(config) {
        return Place { file: KEPT.into(), configured: None };
    }
    let file = config.parent().unwrap_or(Path::new("")).join("mqtt-password");
    let file = std::path::absolute(&file).unwrap_or(file);
    Place { configured: Some(file.clone()), file }
}

impl Place {
    /// Writes the password.
    ///
    /// # Errors
    /// [`WriteError`] with the file that cannot be written.
    pub fn write(&self, password: &str) -> Result<(), WriteError> {
        owned::replace(&self.file, format!("{password}\n").as_bytes(), FileKind::Secret)
    }
}

/// The stand-in for the credential where no service manager hands it over.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// The configuration or the environment says where the password is, or none is wanted.
    Elsewhere,
    /// It was taken from the file.
    Taken,
    /// There is no such file, or it is empty: the service has no password either.
    Absent,
    /// This user may not read it.
    Denied,
}

/// Puts the password that the unit would hand over into `mqtt`, so that a trial by hand is the service's own. `of_service`:
/// the configuration is the service's; `kept` is [`KEPT`].
pub fn as_the_service(mqtt: &mut publish::Config, of_service: bool, kept: &Path) -> Kept {
    let credential = mqtt.password_file.as_deref() == Some(Path::new(CREDENTIAL));
    let implied = of_service
        && mqtt.password_file.is_none()
        && mqtt.password.is_empty()
        && !mqtt.username.is_empty()
        && std::env::var_os("CREDENTIALS_DIRECTORY").is_none();
    if !credential && !implied {
        return Kept::Elsewhere;
    }
    match file::read_text(kept, 1 << 20) {
        Ok(text) if text.lines().next().is_some_and(|line| !line.is_empty()) => {
            mqtt.password_file = None;
            text.lines().next().unwrap_or_default().clone_into(&mut mqtt.password);
            Kept::Taken
        }
        Err(FileError::Io(error)) if error.kind() == ErrorKind::PermissionDenied => Kept::Denied,
        _ => Kept::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_needs_no_key_and_others_have_a_file_of_their_own() {
        let (with, without) = (place(Path::new(DEFAULT_FILE)), place(Path::new("/srv/my.toml")));
        assert_eq!(with, Place { file: KEPT.into(), configured: None });
        let beside = PathBuf::from("/srv/mqtt-password");
        assert_eq!(without, Place { file: beside.clone(), configured: Some(beside) });
    }

    #[test]
    fn a_trial_by_hand_has_the_password_of_the_service() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("mqtt-password");
        let named = publish::Config { username: "u".into(), ..Default::default() };
        let own = publish::Config { password: "own".into(), ..named.clone() };
        let old = publish::Config { password_file: Some(CREDENTIAL.into()), ..named.clone() };
        let check = |mqtt: &publish::Config, of_service, expected: Kept, password: &str| {
            let mut mqtt = mqtt.clone();
            assert_eq!(as_the_service(&mut mqtt, of_service, &kept), expected);
            assert_eq!(mqtt.password, password);
        };
        check(&named, true, Kept::Absent, "");
        std::fs::write(&kept, "s3cret\nmore\n").unwrap();
        check(&named, true, Kept::Taken, "s3cret");
        check(&named, false, Kept::Elsewhere, "");
        check(&own, true, Kept::Elsewhere, "own");
        check(&old, false, Kept::Taken, "s3cret");
        check(&publish::Config::default(), true, Kept::Elsewhere, "");
        std::fs::write(&kept, "\n").unwrap();
        check(&named, true, Kept::Absent, "");
    }
}
