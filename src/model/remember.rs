//! A small file in the state directory that remembers what was measured of models on this board.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sha256;
use crate::sys::{atomic, file};

/// Most entries that are remembered; the file starts anew beyond.
const MAX_ENTRIES: usize = 256;

/// A file larger than this was not written here.
const MAX_BYTES: u64 = 4 << 20;

/// What a file remembers, each thing under what it depends on.
pub struct Remembered<T> {
    file: Option<PathBuf>,
    known: BTreeMap<String, T>,
}

impl<T: Serialize + DeserializeOwned> Remembered<T> {
    /// What `name` in `dir` remembers: nothing if the file is missing or damaged, since it can be found out again. Without a
    /// directory nothing is remembered.
    pub fn open(dir: Option<&Path>, name: &str) -> Self {
        let file = dir.map(|d| d.join(name));
        if let Some(file) = &file {
            atomic::sweep(file);
        }
        let known = file.as_deref().and_then(read).unwrap_or_default();
        Remembered { file, known }
    }

    /// What was found out under the same circumstances.
    pub fn get(&self, depends_on: &str) -> Option<&T> {
        self.known.get(&sha256(depends_on.as_bytes()))
    }

    /// Remembers `value`. A file that cannot be written is no failure: it is said once for its directory.
    pub fn insert(&mut self, depends_on: &str, value: T) {
        let Some(file) = &self.file else { return };
        if self.known.len() >= MAX_ENTRIES {
            self.known.clear();
        }
        self.known.insert(sha256(depends_on.as_bytes()), value);
        let written =
            serde_json::to_vec_pretty(&self.known).map_err(Into::into).and_then(|text| atomic::replace(file, &text));
        if let Err(error) = written {
            warn_unkept(file, &error);
        }
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Option<BTreeMap<String, T>> {
    serde_json::from_slice(&file::read_regular(file, MAX_BYTES).ok()?).ok()
}

/// Directories of which it was said that nothing can be kept in them.
static UNKEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Says that `file` of the state directory cannot be written, and what is lost by it: as a warning the first time, then for those who
/// look closely. Every file there meets the same full disk.
pub fn warn_unkept(file: &Path, error: &std::io::Error) {
    let dir = file.parent().unwrap_or(file);
    let first = UNKEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_path_buf());
    let reason = match error.kind() {
        std::io::ErrorKind::StorageFull => "the disk is full".into(),
        std::io::ErrorKind::QuotaExceeded => "this user's quota of the disk is used up".into(),
        std::io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
        _ => error.to_string(),
    };
    let file = file.display();
    if first {
        tracing::warn!(
            %file, reason,
            "what this start finds out cannot be kept in the state directory: it is lost with the end of this run, and found out anew at the next start"
        );
    } else {
        tracing::debug!(%file, reason, "nor can this be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Remembered<u32> {
        Remembered::open(Some(dir), "numbers.json")
    }

    #[test]
    fn is_there_at_the_next_start_and_damage_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("made");
        open(&below).insert("a", 1);
        open(&below).insert("b", 2);
        assert_eq!((open(&below).get("a"), open(&below).get("b"), open(&below).get("c")), (Some(&1), Some(&2), None));
        let files: Vec<_> = std::fs::read_dir(&below).unwrap().collect();
        assert_eq!(files.len(), 1, "no half-written file is left: {files:?}");
        for damage in ["", "{\"x\": ", "[1, 2]", "{\"x\": \"text\"}"] {
            std::fs::write(below.join("numbers.json"), damage).unwrap();
            assert_eq!(open(&below).get("a"), None, "{damage}");
        }
        open(&below).insert("a", 3);
        assert_eq!(open(&below).get("a"), Some(&3));
    }

    #[test]
    fn does_not_grow_without_bound() {
        let dir = tempfile::tempdir().unwrap();
        let mut numbers = open(dir.path());
        numbers.known = (0..MAX_ENTRIES as u32).map(|i| (i.to_string(), i)).collect();
        numbers.insert("one more", 7);
        assert_eq!(numbers.known.len(), 1);
        std::fs::write(dir.path().join("numbers.json"), vec![b' '; MAX_BYTES as usize + 1]).unwrap();
        assert_eq!(open(dir.path()).get("one more"), None);
    }

    #[test]
    fn without_a_directory_nothing_is_remembered() {
        let mut numbers: Remembered<u32> = Remembered::open(None, "numbers.json");
        numbers.insert("a", 1);
        assert_eq!(numbers.get("a"), None);
    }
}
