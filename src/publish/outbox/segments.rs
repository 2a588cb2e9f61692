//! The log on disk: append-only files, so that a commit costs an SD card the pages that it fills and nothing else.
//!
//! A run begins a file of its own and never writes to another run's; a file that is full is followed by the next. A file is removed
//! as a whole when all of its records are done with. Files are named `<owner>-<number>.log`, where the owner is a hash of topic prefix and
//! node name: records of another node are neither sent nor counted, and removed when they are old.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::fault::StorageError;
use super::record::{self, Checkpoint, Entry, HEADER, Record};
use super::storage::{Committed, Opened, Storage};

/// Size at which the next file begins.
const SEGMENT_BYTES: u64 = 1 << 20;

/// Unit in which a disk is written.
const PAGE_BYTES: u64 = 4096;

/// A log of events in a directory.
pub struct Segments {
    dir: PathBuf,
    owner: String,
    most_bytes: u64,
    ttl: Duration,
    /// Held while the log is open.
    lock: Option<File>,
    segments: VecDeque<Segment>,
    /// The file that is appended to, the last of `segments`.
    current: Option<File>,
    /// Number of the next file.
    next: u64,
    reader: Option<Reader>,
}

/// One file.
struct Segment {
    path: PathBuf,
    number: u64,
    /// The highest id in it; 0 = none.
    last: u64,
    bytes: u64,
}

/// Place of the last read.
struct Reader {
    number: u64,
    bytes: Vec<u8>,
    at: usize,
    /// The id that was read last.
    after: u64,
}

impl Segments {
    /// The log of `node` under `prefix` in `dir`, of `most_bytes` at most. Files of others are removed when they were not written to for
    /// `ttl`.
    pub fn new(dir: &Path, prefix: &str, node: &str, most_bytes: u64, ttl: Duration) -> Segments {
        let hash = Sha256::new().chain_update(prefix).chain_update([0]).chain_update(node).finalize();
        let owner = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        Segments {
            dir: dir.to_owned(),
            owner,
            most_bytes,
            ttl,
            lock: None,
            segments: VecDeque::new(),
            current: None,
            next: 0,
            reader: None,
        }
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Takes the directory for this process.
    fn lock(&mut self) -> Result<(), StorageError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.map_err(|error| StorageError::of(&self.dir, error))?;
        let path = self.dir.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|error| StorageError::of(&path, error))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                self.lock = Some(file);
                Ok(())
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StorageError::Locked { path: self.dir.clone() }),
            Err(error) => Err(StorageError::of(&path, error.into())),
        }
    }

    /// Own files by number; old ones of others are removed.
    fn list(&self) -> Result<Vec<(u64, PathBuf)>, StorageError> {
        let failed = |error| StorageError::of(&self.dir, error);
        let mut own = Vec::new();
        for file in std::fs::read_dir(&self.dir).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".log"));
            let Some((owner, number)) = name.and_then(|name| name.split_once('-')) else { continue };
            let Ok(number) = u64::from_str_radix(number, 16) else { continue };
            if owner == self.owner {
                own.push((number, path));
            } else if self.is_old(&path) {
                // A file that stays is found again at the next start.
                let _ = std::fs::remove_file(&path);
            }
        }
        own.sort();
        Ok(own)
    }

    fn is_old(&self, path: &Path) -> bool {
        let written = path.metadata().and_then(|about| about.modified());
        let age = written.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        age.is_some_and(|age| age > self.ttl)
    }

    /// Begins a file.
    fn begin(&mut self) -> Result<(), StorageError> {
        let path = self.dir.join(format!("{}-{:08x}.log", self.owner, self.next));
        let made = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&path);
        let file = made.map_err(|error| StorageError::of(&path, error))?;
        let settle = || File::open(&self.dir)?.sync_all();
        if let Err(error) = (&file).write_all(HEADER).and_then(|()| settle()) {
            let _ = std::fs::remove_file(&path);
            return Err(StorageError::of(&path, error));
        }
        self.segments.push_back(Segment { path, number: self.next, last: 0, bytes: HEADER.len() as u64 });
        self.current = Some(file);
        self.next += 1;
        Ok(())
    }

    /// Appends to the current file. After a failure the next commit begins a new one, and nothing of this one is left behind.
    fn append(&mut self, bytes: &[u8]) -> Result<u64, StorageError> {
        let (Some(file), Some(segment)) = (&mut self.current, self.segments.back_mut()) else { return Ok(0) };
        let before = segment.bytes;
        if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_data()) {
            let error = StorageError::of(&segment.path, error);
            // What cannot be cut off is passed over by its checksum, or by its ids, which come again.
            let _ = file.set_len(before);
            self.current = None;
            if segment.last == 0 && std::fs::remove_file(&segment.path).is_ok() {
                self.segments.pop_back();
            }
            return Err(error);
        }
        segment.bytes += bytes.len() as u64;
        Ok((segment.bytes.div_ceil(PAGE_BYTES) - before / PAGE_BYTES) * PAGE_BYTES)
    }

    /// Removes the oldest file, unless it is appended to.
    fn remove_oldest(&mut self) -> bool {
        let Some(oldest) = self.segments.front().filter(|_| self.segments.len() > 1) else { return false };
        match std::fs::remove_file(&oldest.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => false,
            _ => self.segments.pop_front().is_some(),
        }
    }

    /// Events of a file with ids above `after`, in order and each once.
    fn events(path: &Path, after: u64) -> Vec<Record> {
        let bytes = std::fs::read(path).unwrap_or_default();
        let (mut at, mut last, mut found) = (HEADER.len(), after, Vec::new());
        while let Some((entry, next)) = record::entry(&bytes, at) {
            at = next;
            if let Entry::Event(record) = entry
                && record.id > last
            {
                last = record.id;
                found.push(record);
            }
        }
        found
    }

    /// Goes on in the file after `number`, or in the first.
    fn load(&mut self, number: Option<u64>, after: u64) -> Result<bool, StorageError> {
        let next = self.segments.iter().find(|s| s.last > after && number.is_none_or(|number| s.number > number));
        let Some(segment) = next else { return Ok(false) };
        let bytes = std::fs::read(&segment.path).map_err(|error| StorageError::of(&segment.path, error))?;
        self.reader = Some(Reader { number: segment.number, bytes, at: HEADER.len(), after });
        Ok(true)
    }
}

impl Storage for Segments {
    fn open(&mut self) -> Result<Opened, StorageError> {
        self.lock()?;
        let mut opened = Opened::default();
        self.segments.clear();
        for (number, path) in self.list()? {
            let bytes = std::fs::read(&path).map_err(|error| StorageError::of(&path, error))?;
            let (mut at, mut last) = (HEADER.len(), 0);
            let whole = bytes.starts_with(HEADER);
            while let Some((entry, next)) = record::entry(&bytes, at).filter(|_| whole) {
                at = next;
                match entry {
                    Entry::Event(record) => last = record.id.max(last),
                    Entry::Checkpoint(checkpoint) => opened.checkpoint = checkpoint,
                }
            }
            let good = if whole { at } else { 0 };
            opened.damaged_bytes += (bytes.len() - good) as u64;
            opened.last = opened.last.max(last);
            self.next = number + 1;
            self.segments.push_back(Segment { path, number, last, bytes: bytes.len() as u64 });
        }
        opened.bytes = self.bytes();
        let mut after = opened.checkpoint.first.saturating_sub(1);
        for segment in &self.segments {
            if segment.last <= after {
                continue;
            }
            let events = Segments::events(&segment.path, after);
            opened.waiting += events.len() as u64;
            after = events.last().map_or(after, |event| event.id);
        }
        Ok(opened)
    }

    fn commit(&mut self, records: &[Record], checkpoint: Checkpoint, held: u64) -> Result<Committed, StorageError> {
        let mut bytes = Vec::new();
        records.iter().for_each(|record| record::put_event(record, &mut bytes));
        record::put_checkpoint(&checkpoint, &mut bytes);
        while self.segments.front().is_some_and(|oldest| oldest.last < checkpoint.first) && self.remove_oldest() {}
        let mut removed = 0;
        let known = held.max(checkpoint.first.saturating_sub(1));
        while self.bytes() + bytes.len() as u64 > self.most_bytes
            && let Some(oldest) = self.segments.front().filter(|_| self.segments.len() > 1)
        {
            let lost = Segments::events(&oldest.path, known).len() as u64;
            if !self.remove_oldest() {
                break;
            }
            removed += lost;
        }
        let full = self.segments.back().is_none_or(|s| s.bytes >= SEGMENT_BYTES.min(self.most_bytes / 8));
        let mut page_bytes = 0;
        if self.current.is_none() || full {
            self.begin()?;
            page_bytes += PAGE_BYTES;
        }
        page_bytes += self.append(&bytes)?;
        if let (Some(segment), Some(newest)) = (self.segments.back_mut(), records.last()) {
            segment.last = segment.last.max(newest.id);
        }
        Ok(Committed { bytes: self.bytes(), removed, page_bytes })
    }

    fn read(&mut self, after: u64, most: usize, most_bytes: usize) -> Result<Vec<Record>, StorageError> {
        let there = |reader: &Reader| self.segments.iter().any(|segment| segment.number == reader.number);
        if self.reader.as_ref().is_none_or(|reader| reader.after != after || !there(reader)) {
            self.reader = None;
            if !self.load(None, after)? {
                return Ok(Vec::new());
            }
        }
        let (mut records, mut bytes, mut last) = (Vec::new(), 0, after);
        while let Some(reader) = &mut self.reader
            && records.len() < most
            && bytes < most_bytes
        {
            if let Some((entry, next)) = record::entry(&reader.bytes, reader.at) {
                reader.at = next;
                if let Entry::Event(record) = entry
                    && record.id > last
                {
                    (last, reader.after) = (record.id, record.id);
                    bytes += record.payload.len();
                    records.push(record);
                }
                continue;
            }
            let (number, known) = (reader.number, reader.bytes.len() as u64);
            // The file may have grown since it was read; one that was cut short from outside has not.
            let grown = self.segments.iter().any(|s| s.number == number && s.bytes > known && s.last > last);
            let from = if grown { number.checked_sub(1) } else { Some(number) };
            if self.load(from, last)?
                && self.reader.as_ref().is_some_and(|r| r.number > number || r.bytes.len() as u64 > known)
            {
                continue;
            }
            if !grown || !self.load(Some(number), last)? {
                break;
            }
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests;
