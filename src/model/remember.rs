//! A small file in the state directory that remembers what was measured of models on this board.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sha256;

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
        let known = file.as_deref().and_then(read).unwrap_or_default();
        Remembered { file, known }
    }

    /// What was found out under the same circumstances.
    pub fn get(&self, depends_on: &str) -> Option<&T> {
        self.known.get(&sha256(depends_on.as_bytes()))
    }

    /// Remembers `value`. A file that cannot be written is no failure.
    pub fn insert(&mut self, depends_on: &str, value: T) {
        let Some(file) = &self.file else { return };
        if self.known.len() >= MAX_ENTRIES {
            self.known.clear();
        }
        self.known.insert(sha256(depends_on.as_bytes()), value);
        if let Err(error) = write(file, &self.known) {
            tracing::debug!(file = %file.display(), %error, "what was measured cannot be remembered");
        }
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Option<BTreeMap<String, T>> {
    if std::fs::metadata(file).ok()?.len() > MAX_BYTES {
        return None;
    }
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

fn write<T: Serialize>(file: &Path, known: &BTreeMap<String, T>) -> std::io::Result<()> {
    /// Tells apart what threads of one process write at once.
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir)?;
    }
    // Whole or not at all, also when two processes end their measurements at once.
    let partial = file.with_extension(format!("{}-{}.part", std::process::id(), WRITTEN.fetch_add(1, Relaxed)));
    std::fs::write(&partial, serde_json::to_vec_pretty(known)?)?;
    std::fs::rename(&partial, file)
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
