//! Pictures of events: the sink that keeps the best moment of each event, and the thread that draws, encodes and publishes it.
//!
//! A worker only hands over a frame that it has anyway. Pictures that cannot be encoded in time are dropped and counted.

mod album;
pub(super) mod picture;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use album::Album;
use picture::Pictures;

use super::state::lock;
use crate::config::PipelineConfig;
use crate::frame::{Emission, Output, PipelineName, Sink};
use crate::publish::topics::Topics;
use crate::publish::{Class, Message, Publisher};
use crate::telemetry::RateLimited;

/// Pictures that wait for the thread; then the new ones are dropped and counted. Each holds a frame.
const WAITING: usize = 4;
/// Bytes of a packet beside the picture: fixed header and topic.
const PACKET_OVERHEAD: usize = 1024;
/// Time between two looks of [`Snapshots::finish`].
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Complaints of one kind are logged at most this often.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The sink. A picture goes out as [`Class::Picture`].
pub(super) struct Snapshots {
    publisher: Arc<dyn Publisher>,
    topics: Topics,
    /// Bytes of a picture at most.
    most: usize,
    pipelines: Mutex<HashMap<PipelineName, Pipeline>>,
    encoder: Mutex<Option<Encoder>>,
    dropped: AtomicU64,
}

/// A pipeline with pictures.
struct Pipeline {
    clean: bool,
    album: Album,
}

/// The thread, which is started with the first picture.
struct Encoder {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

/// One picture to be made.
struct Job {
    output: Arc<Output>,
    clean: bool,
}

impl Snapshots {
    /// A sink that publishes under `topics`, in packets of `max_packet_bytes` at most.
    pub(super) fn new(publisher: Arc<dyn Publisher>, topics: Topics, max_packet_bytes: usize) -> Snapshots {
        Snapshots {
            publisher,
            topics,
            most: max_packet_bytes.saturating_sub(PACKET_OVERHEAD),
            pipelines: Mutex::default(),
            encoder: Mutex::new(None),
            dropped: AtomicU64::new(0),
        }
    }

    /// Takes over which pipelines have pictures; those of others are taken away from the broker.
    pub(super) fn configure(&self, configured: &[PipelineConfig]) {
        let mut pipelines = lock(&self.pipelines);
        pipelines.retain(|name, _| {
            let stays = configured.iter().any(|one| one.name == *name && one.event.snapshot);
            if !stays {
                self.clear(name);
            }
            stays
        });
        for config in configured.iter().filter(|config| config.event.snapshot) {
            let new = || Pipeline { clean: false, album: Album::default() };
            pipelines.entry(config.name.clone()).or_insert_with(new).clean = config.event.clean;
        }
    }

    /// Takes no more pictures, and waits until those that wait are published, or until `deadline`.
    pub(super) fn finish(&self, deadline: Instant) {
        lock(&self.pipelines).clear();
        let Some(Encoder { jobs, thread }) = lock(&self.encoder).take() else { return };
        drop(jobs);
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        let dropped = self.dropped.load(Relaxed);
        if dropped > 0 {
            tracing::info!(dropped, "pictures of events that could not be encoded in time");
        }
    }

    /// Empty retained messages take the pictures of a pipeline away from the broker.
    fn clear(&self, name: &str) {
        for topic in [self.topics.snapshot(name), self.topics.clean_snapshot(name)] {
            publish(&*self.publisher, topic, Vec::new());
        }
    }

    fn make(&self, outputs: Vec<Arc<Output>>, clean: bool) {
        for output in outputs {
            let mut encoder = lock(&self.encoder);
            if encoder.is_none() {
                *encoder = self.start();
            }
            let sent = encoder.as_ref().map(|encoder| encoder.jobs.try_send(Job { output, clean }));
            if matches!(sent, None | Some(Err(TrySendError::Full(_)))) {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    fn start(&self) -> Option<Encoder> {
        let (jobs, waiting) = sync_channel(WAITING);
        let (publisher, topics, most) = (self.publisher.clone(), self.topics.clone(), self.most);
        let thread = std::thread::Builder::new().name("snapshots".into());
        let thread = thread.spawn(move || encode(&waiting, &*publisher, &topics, most));
        match thread {
            Ok(thread) => Some(Encoder { jobs, thread }),
            Err(error) => {
                tracing::warn!(%error, "no thread for pictures of events");
                None
            }
        }
    }
}

impl Sink for Snapshots {
    fn take(&self, emission: &Emission) {
        let (name, given) = match emission {
            Emission::Output(output) => {
                let mut pipelines = lock(&self.pipelines);
                let Some(pipeline) = pipelines.get_mut(&output.pipeline) else { return };
                (&output.pipeline, pipeline.album.output(output, Instant::now()))
            }
            Emission::Events { pipeline: name, events } => {
                let mut pipelines = lock(&self.pipelines);
                let Some(pipeline) = pipelines.get_mut(name) else { return };
                (name, pipeline.album.end(events))
            }
            Emission::Removed(name) => {
                if lock(&self.pipelines).remove(name).is_some() {
                    self.clear(name);
                }
                return;
            }
            Emission::Status(_) | Emission::Stopped(_) => return,
        };
        if !given.is_empty() {
            let clean = lock(&self.pipelines).get(name).is_some_and(|pipeline| pipeline.clean);
            self.make(given, clean);
        }
    }

    fn wants_frames(&self, pipeline: &str) -> bool {
        lock(&self.pipelines).contains_key(pipeline)
    }
}

/// Makes and publishes pictures until no more can come.
fn encode(jobs: &Receiver<Job>, publisher: &dyn Publisher, topics: &Topics, most: usize) {
    let mut log = RateLimited::new(LOG_EVERY);
    for Job { output, clean } in jobs {
        let name = &output.pipeline;
        match Pictures::of(&output, clean, most) {
            Ok(Pictures { drawn, clean }) => {
                publish(publisher, topics.snapshot(name), drawn);
                clean.into_iter().for_each(|clean| publish(publisher, topics.clean_snapshot(name), clean));
            }
            Err(error) => {
                if let Some(suppressed) = log.admit(name, Instant::now()) {
                    tracing::warn!(pipeline = name.as_str(), %error, suppressed, "no picture of an event");
                }
            }
        }
    }
}

fn publish(publisher: &dyn Publisher, topic: String, payload: Vec<u8>) {
    publisher.publish(Message { topic, payload, class: Class::Picture, timing: None });
}
