//! The last readings of meters, kept over the end of the process: `readings.json` in the state directory.
//!
//! Without it the first reading after a start would be believed whatever it is. Workers hand over what they believe, which costs them a
//! lock; a short-lived thread writes it: a meter that is new to the file at once, after that no more often than every ten minutes
//! (144 times a day, some hundred bytes each), and once more at the stop. A reading that stays the same is written every six hours, so that it is known
//! how old it is. To forget a reading, stop leptond and delete the file.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::frame::rfc3339;
use crate::model::warn_unkept;
use crate::pipeline::Resolved;
use crate::sys::{atomic, file};
use crate::task::{Memory, Number};

const FILE: &str = "readings.json";

/// A larger file was not written here.
const MAX_BYTES: u64 = 256 << 10;

/// Readings in the file; those that were read longest ago give way.
const MAX_ENTRIES: usize = 256;

/// Least time between two writes.
const WRITE_EVERY: Duration = Duration::from_secs(600);

/// A reading that stays the same is written this often.
const REFRESH_EVERY: Duration = Duration::from_secs(6 * 3600);

/// The readings of all pipelines.
#[derive(Default)]
pub struct Readings {
    state: Mutex<State>,
    /// Held while the file is written.
    disk: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// `None` = nothing is kept.
    file: Option<PathBuf>,
    /// Readings that are believed in this run.
    latest: BTreeMap<String, Memory>,
    /// Content of the file when it was read or written last.
    kept: BTreeMap<String, Memory>,
    written: Option<Instant>,
    writing: bool,
}

impl Readings {
    /// Those of the file in `dir`. One that cannot be used is warned of and ignored.
    pub(super) fn open(dir: Option<PathBuf>) -> Arc<Self> {
        let readings = Readings::default();
        {
            let mut state = readings.lock();
            state.file = dir.map(|dir| dir.join(FILE));
            if let Some(file) = &state.file {
                atomic::sweep(file);
                match read(file) {
                    Ok(kept) => state.kept = kept,
                    Err(reason) => tracing::warn!(
                        file = %file.display(), reason,
                        "what meters showed before is not known: the first reading of each is taken as it is"
                    ),
                }
                state.written = age(&state.file).and_then(|age| Instant::now().checked_sub(age));
            }
        }
        Arc::new(readings)
    }

    /// The directory that they are kept in.
    pub(super) fn dir(&self) -> Option<PathBuf> {
        self.lock().file.as_ref().and_then(|file| file.parent()).map(Path::to_path_buf)
    }

    /// From now on they are kept in `dir`.
    pub(super) fn keep_in(&self, dir: Option<PathBuf>) {
        let file = dir.map(|dir| dir.join(FILE));
        let mut state = self.lock();
        if state.file != file {
            (state.file, state.written) = (file, None);
            state.kept.clear();
        }
    }

    /// The place of one pipeline's reading. `None` where it would mean nothing: a synthetic counter begins anew with every start.
    pub(super) fn place(self: &Arc<Self>, pipeline: &Resolved) -> Option<Place> {
        let Resolved { config, feed } = pipeline;
        // Another number of digits is another counter, and a meter whose digits or dials are drawn elsewhere is read anew: its number may have
        // been wrong for that very reason.
        let mut key = format!("{}/{}", config.name, config.preprocess.regions.len().max(1));
        if let Some(meter) = &config.meter {
            let drawn =
                format!("{:?}", (&config.preprocess.regions, &meter.preprocess.regions, &meter.settings.places));
            key.push('/');
            key.extend(Sha256::digest(drawn).iter().take(4).map(|byte| format!("{byte:02x}")));
        }
        (!feed.source().kind().begins_anew()).then(|| Place { readings: self.clone(), key })
    }

    /// A turn of the control loop: has the file written when that is due. Returns at once.
    pub(super) fn turn(self: &Arc<Self>, now: Instant) {
        if self.lock().begin(now) {
            self.write_apart();
        }
    }

    /// Has what is newer than the file written, and waits for it until `deadline`.
    pub(super) fn finish(self: &Arc<Self>, deadline: Instant) {
        let unwritten = {
            let mut state = self.lock();
            let newer = state.latest.iter().any(|(key, latest)| state.kept.get(key) != Some(latest));
            state.writing |= newer;
            state.writing
        };
        if unwritten && let Some(done) = self.write_apart() {
            // Late is as good as never: what is there is whole.
            let _ = done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        }
    }

    fn write_apart(self: &Arc<Self>) -> Option<Receiver<()>> {
        let readings = self.clone();
        let (done, wait) = channel();
        let thread = std::thread::Builder::new().name("readings".into()).spawn(move || {
            readings.write();
            // Nobody waits for one that is written in passing.
            let _ = done.send(());
        });
        match thread {
            Ok(_) => Some(wait),
            Err(error) => {
                tracing::warn!(%error, "no thread to write what meters show");
                self.lock().writing = false;
                None
            }
        }
    }

    fn write(&self) {
        let _alone = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, latest) = {
            let state = self.lock();
            (state.file.clone(), state.latest.clone())
        };
        if let Some(file) = &file
            && let Err(error) = put(file, &latest)
        {
            warn_unkept(file, &error);
        }
        let mut state = self.lock();
        // Also where it failed: a full disk is not asked again and again.
        state.kept.extend(latest);
        (state.written, state.writing) = (Some(Instant::now()), false);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// `true` where the file is to be written now; from then on it counts as being written.
    fn begin(&mut self, now: Instant) -> bool {
        let rests = self.written.is_none_or(|written| now.saturating_duration_since(written) >= WRITE_EVERY);
        let due = |(key, latest): (&String, &Memory)| match self.kept.get(key) {
            None => true,
            Some(kept) if kept.reading != latest.reading => rests,
            Some(kept) => rests && latest.time.duration_since(kept.time).is_ok_and(|since| since >= REFRESH_EVERY),
        };
        let begin = self.file.is_some() && !self.writing && self.latest.iter().any(due);
        self.writing |= begin;
        begin
    }
}

/// One pipeline's reading among [`Readings`].
pub(super) struct Place {
    readings: Arc<Readings>,
    key: String,
}

impl Place {
    /// The reading that was believed last, in this run or an earlier one.
    pub(super) fn recall(&self) -> Option<Memory> {
        let state = self.readings.lock();
        state.latest.get(&self.key).or_else(|| state.kept.get(&self.key)).copied()
    }

    /// Takes what is believed now.
    pub(super) fn keep(&self, memory: Memory) {
        let mut state = self.readings.lock();
        match state.latest.get_mut(&self.key) {
            Some(latest) => *latest = memory,
            None => _ = state.latest.insert(self.key.clone(), memory),
        }
    }
}

/// A reading in the file.
#[derive(Serialize, Deserialize)]
struct Entry {
    /// With leading zeros.
    reading: String,
    score: f32,
    /// RFC 3339.
    time: String,
    fastest_per_hour: f64,
}

impl From<&Memory> for Entry {
    fn from(memory: &Memory) -> Self {
        Entry {
            reading: memory.reading.to_string(),
            score: memory.score,
            time: rfc3339(memory.time),
            fastest_per_hour: memory.fastest_per_hour,
        }
    }
}

impl Entry {
    /// `None` for what was never written here.
    fn memory(&self) -> Option<Memory> {
        let Entry { score, fastest_per_hour, .. } = *self;
        let sane = (0.0..=1.0).contains(&score) && fastest_per_hour.is_finite() && fastest_per_hour >= 0.0;
        let (reading, time) = (Number::parse(&self.reading)?, humantime::parse_rfc3339(&self.time).ok()?);
        sane.then_some(Memory { reading, score, time, fastest_per_hour })
    }
}

/// Reads the file; empty where there is none.
fn read(path: &Path) -> Result<BTreeMap<String, Memory>, String> {
    let bytes = match file::read_regular(path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
    };
    let entries: BTreeMap<String, Value> =
        serde_json::from_slice(&bytes).map_err(|e| format!("not what leptond writes there: {e}"))?;
    let memory = |(key, value): (String, Value)| {
        let entry = serde_json::from_value::<Entry>(value);
        let memory = entry.ok().and_then(|entry| entry.memory());
        memory.map(|memory| (key.clone(), memory)).ok_or_else(|| format!("{key:?} is no reading"))
    };
    entries.into_iter().map(memory).collect()
}

/// Replaces these readings of the file. Others that it has meanwhile, as of another process, stay.
fn put(path: &Path, readings: &BTreeMap<String, Memory>) -> io::Result<()> {
    let mut all = read(path).unwrap_or_default();
    all.extend(readings.iter().map(|(key, memory)| (key.clone(), *memory)));
    while all.len() > MAX_ENTRIES {
        let oldest = all.iter().min_by_key(|(_, memory)| memory.time).map(|(key, _)| key.clone());
        oldest.and_then(|key| all.remove(&key));
    }
    let entries: BTreeMap<&String, Entry> = all.iter().map(|(key, memory)| (key, memory.into())).collect();
    atomic::replace_durably(path, &serde_json::to_vec_pretty(&entries)?)
}

/// Time since the file was written, by the wall clock.
fn age(file: &Option<PathBuf>) -> Option<Duration> {
    let written = std::fs::metadata(file.as_ref()?).ok()?.modified().ok()?;
    SystemTime::now().duration_since(written).ok()
}

#[cfg(test)]
mod tests;
