//! Where the broker's password is kept: never in the configuration.

use std::path::{Path, PathBuf};

use super::finish::{FileKind, write_atomically};

/// Where the service finds it.
pub const CREDENTIAL: &str = "/run/credentials/leptond.service/mqtt-password";
/// What hands it to the service.
const DROP_IN: &str = "etc/systemd/system/leptond.service.d/credentials.conf";

/// Where the password is written, and how the daemon gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The file, readable by its owner only.
    pub file: PathBuf,
    /// For `password_file` of the configuration.
    pub configured: PathBuf,
    /// The unit's drop-in and its text, where systemd hands the password over.
    pub drop_in: Option<(PathBuf, String)>,
}

/// Decides. `service` says whether systemd runs the daemon from this configuration and this user may tell it so.
pub fn place(config: &Path, root: &Path, service: bool) -> Place {
    let file = config.parent().unwrap_or(Path::new("")).join("mqtt-password");
    let file = std::path::absolute(&file).unwrap_or(file);
    if !service {
        return Place { configured: file.clone(), file, drop_in: None };
    }
    let text = format!("# Written by leptond setup.\n[Service]\nLoadCredential=mqtt-password:{}\n", file.display());
    Place { file, configured: CREDENTIAL.into(), drop_in: Some((root.join(DROP_IN), text)) }
}

impl Place {
    /// Writes password and drop-in.
    ///
    /// # Errors
    /// The file that cannot be written.
    pub fn write(&self, password: &str) -> anyhow::Result<()> {
        write_atomically(&self.file, format!("{password}\n").as_bytes(), FileKind::Secret)?;
        if let Some((path, text)) = &self.drop_in {
            write_atomically(path, text.as_bytes(), FileKind::Public)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_gets_a_credential_and_others_a_file() {
        let place_of = |service| place(Path::new("/etc/leptond/leptond.toml"), Path::new("/"), service);
        let (with, without) = (place_of(true), place_of(false));
        assert_eq!(with.configured, Path::new(CREDENTIAL));
        let (path, text) = with.drop_in.unwrap();
        assert_eq!(path, Path::new("/etc/systemd/system/leptond.service.d/credentials.conf"));
        assert!(text.contains("\nLoadCredential=mqtt-password:/etc/leptond/mqtt-password\n"), "{text}");
        assert_eq!((without.configured, without.drop_in), ("/etc/leptond/mqtt-password".into(), None));
    }
}
