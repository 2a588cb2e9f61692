//! The sources that are open: each is captured by one thread for as long as a pipeline reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::capture;
use super::hub::Hub;
use super::state::Shared;
use crate::frame::SourceCounts;
use crate::source::{self, Source};
use crate::telemetry::Heartbeats;

/// Time between two looks at a thread that is to end.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A source that was opened and is not captured yet.
pub struct Opened {
    /// Name of the source, or of the only pipeline that may read it.
    name: String,
    /// As configured, for a source that pipelines share under its name.
    shared: Option<source::Config>,
    /// Channels by whose names a source of numbers gives its values.
    channels: Vec<String>,
    /// Taken by the first of its readers that starts.
    source: Mutex<Option<Box<dyn Source>>>,
}

impl Opened {
    /// A source that the pipeline `name` has to itself.
    pub fn own(name: &str, source: Box<dyn Source>) -> Arc<Opened> {
        Arc::new(Opened { name: name.into(), shared: None, channels: Vec::new(), source: Mutex::new(Some(source)) })
    }

    /// A source that pipelines share under `name`.
    pub(super) fn shared(
        name: &str,
        config: source::Config,
        channels: Vec<String>,
        source: Box<dyn Source>,
    ) -> Arc<Opened> {
        Arc::new(Opened { name: name.into(), shared: Some(config), channels, source: Mutex::new(Some(source)) })
    }
}

/// Source of a pipeline that is about to start.
pub enum Supply {
    /// A source that was opened for it, and perhaps for others.
    Opened(Arc<Opened>),
    /// The shared source of this name, which runs.
    Running(String),
}

/// The sources that are captured now.
#[derive(Clone, Default)]
pub struct Sources(Arc<Mutex<Vec<Captured>>>);

struct Captured {
    hub: Arc<Hub>,
    opened: Arc<Opened>,
    thread: Option<JoinHandle<()>>,
}

impl Sources {
    /// Channels of the shared source `name`, if it runs with this configuration.
    pub(super) fn running(&self, name: &str, config: &source::Config) -> Option<Vec<String>> {
        let all = self.lock();
        let one = all.iter().find(|one| one.opened.name == name && one.opened.shared.as_ref() == Some(config))?;
        (!one.hub.over()).then(|| one.opened.channels.clone())
    }

    /// Makes `shared` a reader of `supply`, whose capture begins with its first reader.
    ///
    /// # Errors
    /// When the system gives no thread, or a source that ran has gone.
    pub(super) fn read(
        &self,
        supply: &Supply,
        shared: &Arc<Shared>,
        heartbeats: &Heartbeats,
    ) -> std::io::Result<Arc<Hub>> {
        let mut all = self.lock();
        let found = match supply {
            Supply::Opened(opened) => all.iter().find(|one| Arc::ptr_eq(&one.opened, opened)),
            Supply::Running(name) => {
                let found = all.iter().rev().find(|one| one.hub.named && one.hub.name == *name);
                Some(found.ok_or_else(|| std::io::Error::other(format!("source {name:?} was closed meanwhile")))?)
            }
        };
        if let Some(one) = found {
            one.hub.attach(shared);
            return Ok(one.hub.clone());
        }
        let Supply::Opened(opened) = supply else { return Err(std::io::Error::other("no source")) };
        let source = opened.source.lock().unwrap_or_else(PoisonError::into_inner).take();
        let source = source.ok_or_else(|| std::io::Error::other(format!("source {:?} has ended", opened.name)))?;
        let hub = Hub::new(&opened.name, opened.shared.is_some());
        hub.attach(shared);
        let heart = heartbeats.register(&format!("capture {}", hub.name), capture::ANSWER_WITHIN, Instant::now());
        let captured = hub.clone();
        let thread = std::thread::Builder::new().name(format!("capture {}", hub.name));
        let thread = thread.spawn(move || capture::run(source, &captured, &heart))?;
        all.push(Captured { hub: hub.clone(), opened: opened.clone(), thread: Some(thread) });
        Ok(hub)
    }

    /// Takes a reader away. A source of its own stops with it; a shared one goes on until [`Sources::close_unread`].
    pub(super) fn leave(&self, hub: &Hub, shared: &Arc<Shared>) {
        hub.detach(shared);
        if !hub.named {
            hub.request_stop();
        }
    }

    /// Closes the sources without a reader, except shared ones whose name is among `kept`, and waits for their threads.
    pub(super) fn close_unread(&self, kept: &[&str]) {
        let mut all = self.lock();
        let unread = |one: &Captured| one.hub.readers().is_empty();
        let stays =
            |one: &Captured| !unread(one) || one.hub.named && !one.hub.over() && kept.contains(&one.hub.name.as_str());
        let (stay, go): (Vec<_>, Vec<_>) = std::mem::take(&mut *all).into_iter().partition(stays);
        *all = stay;
        drop(all);
        go.iter().for_each(|one| one.hub.request_stop());
        go.into_iter().filter_map(|one| one.thread).for_each(join);
    }

    /// Tells every source to stop; returns at once.
    pub(super) fn request_stop(&self) {
        self.lock().iter().for_each(|one| one.hub.request_stop());
    }

    /// Waits for sources that were told to stop until `deadline`; the names of those that had not ended by then.
    pub(super) fn join_by(&self, deadline: Instant) -> Vec<String> {
        let mut late = Vec::new();
        for one in self.lock().iter_mut() {
            let Some(thread) = one.thread.take() else { continue };
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(LOOK_EVERY);
            }
            if thread.is_finished() {
                join(thread);
            } else {
                late.push(one.hub.name.clone());
            }
        }
        late
    }

    /// Counts of each source, by name.
    pub(super) fn counts(&self) -> BTreeMap<String, SourceCounts> {
        self.lock().iter().map(|one| (one.hub.name.clone(), one.hub.counts())).collect()
    }

    /// A panic elsewhere leaves the list whole: it is changed in one step.
    fn lock(&self) -> MutexGuard<'_, Vec<Captured>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a thread and logs its panic.
pub(super) fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or("?").to_string();
    if thread.join().is_err() {
        tracing::error!(thread = name, "panicked");
    }
}
