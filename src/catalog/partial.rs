//! Partial downloads with the metadata needed to resume them.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fault::FetchError;
use crate::sys::file;

/// Largest metadata file.
const NOTE_BYTES: u64 = 64 << 10;

/// Version of the partially downloaded file, as reported by the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    /// Hash of the source address, which may contain a password.
    pub(super) source: String,
    /// Strong entity tag (RFC 9110, 8.8.3).
    pub(super) etag: Option<String>,
    /// Last-Modified as the server writes it.
    pub(super) last_modified: Option<String>,
    /// Bytes of the whole file.
    pub(super) total_bytes: Option<u64>,
    /// Boot id of the download. Bytes written before a power cut may not have reached the disk, even if the file's length covers
    /// them.
    #[serde(default)]
    pub(super) boot: Option<String>,
}

/// Boot id of this computer.
pub(super) fn boot() -> Option<String> {
    Some(file::read_text("/proc/sys/kernel/random/boot_id".as_ref(), 1 << 10).ok()?.trim().into())
}

/// The beginning of a file, with its version beside it. Every byte is written as it arrives, so a killed process loses nothing.
#[derive(Debug)]
pub struct Partial {
    data: PathBuf,
    note: PathBuf,
    len: u64,
    file: Option<File>,
}

impl Partial {
    /// The partial file of `key` (a hash or an address) in `dir`; empty where there is none yet.
    pub fn open(dir: &Path, key: &str) -> Partial {
        let name = crate::model::sha256(key.as_bytes());
        let data = dir.join(format!("{}.part", &name[..32]));
        let len = fs::metadata(&data).map_or(0, |meta| meta.len());
        Partial { note: data.with_extension("json"), data, len, file: None }
    }

    /// Bytes received.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// `true` when nothing was received yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Path of the bytes.
    pub fn path(&self) -> &Path {
        &self.data
    }

    /// Version of the bytes, where known.
    pub(super) fn version(&self) -> Option<Version> {
        serde_json::from_slice(&file::read_regular(&self.note, NOTE_BYTES).ok()?).ok()
    }

    /// Starts over with another version.
    pub(super) fn begin(&mut self, version: &Version) -> Result<(), FetchError> {
        let file = File::create(&self.data).map_err(|e| disk(&self.data, &e))?;
        self.len = 0;
        self.file = Some(file);
        let text = serde_json::to_vec(version).unwrap_or_default();
        fs::write(&self.note, text).map_err(|e| disk(&self.note, &e))
    }

    /// Appends bytes.
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

    /// SHA-256 of the bytes, in lower-case hexadecimal.
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

    /// Deletes the bytes and their metadata.
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
