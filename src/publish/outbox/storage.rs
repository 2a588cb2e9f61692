//! The seam between the decisions and the disk: jobs, one at a time, and what came of them.

use super::fault::StorageError;
use super::record::{Checkpoint, Record};

/// A log of events.
pub trait Storage: Send {
    /// Takes the log over and finds what an earlier run left.
    ///
    /// # Errors
    /// [`StorageError`]; to be tried again.
    fn open(&mut self) -> Result<Opened, StorageError>;

    /// Appends `records` and a checkpoint, and returns when they are on disk. Removes what is done with, and the oldest records where
    /// there is no room. `held`: records up to this id are in memory.
    ///
    /// # Errors
    /// [`StorageError`]; nothing was appended, as far as a reader is concerned.
    fn commit(&mut self, records: &[Record], checkpoint: Checkpoint, held: u64) -> Result<Committed, StorageError>;

    /// Reads records in order, from the first with an id above `after`: at most `most`, and no more once they have `most_bytes`.
    /// Damaged records are left out. None are left when none come.
    ///
    /// # Errors
    /// [`StorageError`]; to be tried again.
    fn read(&mut self, after: u64, most: usize, most_bytes: usize) -> Result<Vec<Record>, StorageError>;
}

/// Remains of an earlier run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// The highest id in use; 0 = none.
    pub last: u64,
    /// Records that are not done with.
    pub waiting: u64,
    /// The newest checkpoint.
    pub checkpoint: Checkpoint,
    /// Size of the log.
    pub bytes: u64,
    /// Bytes that are no records: torn by a crash, or damaged.
    pub damaged_bytes: u64,
}

/// Result of a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Size of the log.
    pub bytes: u64,
    /// Records that were on disk only and gave way for lack of room.
    pub removed: u64,
    /// Bytes of the pages that were written.
    pub page_bytes: u64,
}

/// Work for the disk.
#[derive(Debug)]
pub enum Job {
    /// [`Storage::open`].
    Open,
    /// [`Storage::commit`].
    Commit {
        /// New records.
        records: Vec<Record>,
        /// Progress: events that are done with.
        checkpoint: Checkpoint,
        /// Records up to this id are in memory.
        held: u64,
    },
    /// [`Storage::read`].
    Read {
        /// The last id that is known.
        after: u64,
        /// Records at most.
        most: usize,
        /// Bytes after which no more are read.
        most_bytes: usize,
    },
}

/// Result of a [`Job`].
#[derive(Debug)]
pub enum Outcome {
    /// The log is open.
    Opened(Opened),
    /// Records are on disk.
    Committed(Committed),
    /// Records were read.
    Read(Vec<Record>),
    /// The job failed.
    Failed(StorageError),
}

impl Job {
    /// Does the job.
    pub fn perform(&self, storage: &mut dyn Storage) -> Outcome {
        let outcome = match self {
            Job::Open => storage.open().map(Outcome::Opened),
            Job::Commit { records, checkpoint, held } => {
                storage.commit(records, *checkpoint, *held).map(Outcome::Committed)
            }
            Job::Read { after, most, most_bytes } => storage.read(*after, *most, *most_bytes).map(Outcome::Read),
        };
        outcome.unwrap_or_else(Outcome::Failed)
    }
}
