//! A file on its way: what has come so far, and what is needed to ask for the rest.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fault::FetchError;
use crate::sys::file;

/// A larger note was not written here.
const NOTE_BYTES: u64 = 64 << 10;

/// What the server said of the version whose beginning is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// Hash of the address that it came from, which may hold a password.
    pub(super) source: String,
    /// Strong entity tag (RFC 9110, 8.8.3).
    pub(super) etag: Option<String>,
    /// Time of the last change as the server writes it.
    pub(super) last_modified: Option<String>,
    /// Bytes of the whole file.
    pub(super) total_bytes: Option<u64>,
    /// Since when this computer runs. What was written before a power cut may not have reached the disk, whatever its length says.
    #[serde(default)]
    pub(super) boot: Option<String>,
}

/// Since when this computer runs, as a name.
pub(super) fn boot() -> Option<String> {
    Some(file::read_text("/proc/sys/kernel/random/boot_id".as_ref(), 1 << 10).ok()?.trim().into())
}

/// The beginning of a file, with its version beside it. Every byte is written as it comes, so that whatever ends the process
/// costs nothing.
#[derive(Debug)]
pub struct Partial {
    data: PathBuf,
    note: PathBuf,
    len: u64,
    file: Option<File>,
}

impl Partial {
    /// The one for what is known as `key` (a hash, or an address) in `dir`; empty where there is none yet.
    pub fn open(dir: &Path, key: &str) -> Partial {
        let name = crate::model::sha256(key.as_bytes());
        let data = dir.join(format!("{}.part", &name[..32]));
        let len = fs::metadata(&data).map_or(0, |meta| meta.len());
        Partial { note: data.with_extension("json"), data, len, file: None }
    }

    /// Bytes that are there.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing is there yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the bytes are.
    pub fn path(&self) -> &Path {
        &self.data
    }

    /// Which version they are of, where that is known.
    pub(super) fn version(&self) -> Option<Version> {
        serde_json::from_slice(&file::read_regular(&self.note, NOTE_BYTES).ok()?).ok()
    }

    /// Begins anew with another version.
    pub(super) fn begin(&mut self, version: &Version) -> Result<(), FetchError> {
        let file = File::create(&self.data).map_err(|e| disk(&self.data, &e))?;
        self.len = 0;
        self.file = Some(file);
        let text = serde_json::to_vec(version).unwrap_or_default();
        fs::write(&self.note, text).map_err(|e| disk(&self.note, &e))
    }

    /// Adds bytes at the end.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(&self.data);
                if let Ok(file) = &mut file {
                    file.seek(SeekFrom::Start(self.len)).map_err(|e| disk(&self.data, &e))?;
                }
                none.insert(file.map_err(|e| disk(&self.data, &e))?)
            }
        };
        file.write_all(bytes).map_err(|e| disk(&self.data, &e))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// SHA-256 of what is there, in lower-case hexadecimal.
    pub(super) fn sha256(&self) -> Result<String, FetchError> {
        let mut file = File::open(&self.data).map_err(|e| disk(&self.data, &e))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect()),
                Ok(n) => hash.update(&buffer[..n]),
                Err(e) => return Err(disk(&self.data, &e)),
            }
        }
    }

    /// Throws away what is there.
    pub fn discard(&mut self) {
        self.file = None;
        self.len = 0;
        let _ = fs::remove_file(&self.data);
        let _ = fs::remove_file(&self.note);
    }
}

fn disk(path: &Path, error: &std::io::Error) -> FetchError {
    let reason = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "the disk is full; make room and give the same command again, it goes on from here".into()
        }
        _ => error.to_string(),
    };
    FetchError::Disk { path: path.into(), reason }
}
