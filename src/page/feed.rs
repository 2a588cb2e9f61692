//! The sink of the page: the newest of everything, for those who look. Where nobody looks, it wants no frames and wakes nobody.
//!
//! Workers leave values here and return; the page's thread takes them. What nobody took is replaced by what is newer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot, watch};

use super::backend::Backend;
use super::history::{Answer, History, Sample, Span};
use super::samples::{Rates, number_of, samples};
use crate::frame::status::NodeStatus;
use crate::frame::{Emission, Event, Output, PipelineName, Sink};

/// Time between two pictures of a pipeline: five in a second.
const PICTURE_EVERY: Duration = Duration::from_millis(200);
/// A frame may come so much earlier: else a camera of five in a second, which is never quite regular, would be seen at half its pace.
const EARLY: Duration = Duration::from_millis(60);
/// Events that are kept; the oldest goes.
const EVENTS: usize = 64;

/// A drawn picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its number, from 1 since somebody looks.
    pub number: u64,
    /// The JPEG.
    pub jpeg: Bytes,
}

/// Figures of the cost of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cost {
    /// Views of pictures that are open.
    pub viewers: usize,
    /// Receivers of results that are open.
    pub listeners: usize,
    /// Pictures drawn so far.
    pub pictures: u64,
    /// Processor time that took.
    pub draw: Duration,
    /// Connections that were refused because there are too many.
    pub refused: u64,
}

/// An event with its number on the page.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its number, from 1.
    pub number: u64,
    /// Time at which it came.
    pub time: SystemTime,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The event.
    pub event: Event,
}

/// The sink.
pub struct Feed {
    backend: Arc<dyn Backend>,
    serving: AtomicBool,
    state: Mutex<State>,
    history: Mutex<History>,
    viewers: AtomicUsize,
    listeners: AtomicUsize,
    pictures: AtomicU64,
    draw_us: AtomicU64,
    refused: AtomicU64,
    /// A frame waits to be drawn.
    frames: Notify,
    /// Something is new for listeners.
    news: Notify,
}

#[derive(Default)]
struct State {
    pipelines: BTreeMap<PipelineName, Pipeline>,
    status: Option<Arc<NodeStatus>>,
    rates: Rates,
    events: VecDeque<Told>,
    told: u64,
    stopped: bool,
}

struct Pipeline {
    viewers: usize,
    /// The latest result, without its frame.
    latest: Option<Arc<Output>>,
    /// Results so far.
    results: u64,
    number: Option<f64>,
    /// A result whose frame waits to be drawn.
    waiting: Option<Arc<Output>>,
    /// Time of the next one that is left to wait.
    due: Option<Instant>,
    drawn: u64,
    picture: watch::Sender<Option<Picture>>,
    /// Those who wait for one frame to draw on.
    sitters: Vec<oneshot::Sender<Arc<Output>>>,
}

impl Default for Pipeline {
    fn default() -> Self {
        let picture = watch::Sender::new(None);
        Pipeline {
            viewers: 0,
            latest: None,
            results: 0,
            number: None,
            waiting: None,
            due: None,
            drawn: 0,
            picture,
            sitters: Vec::new(),
        }
    }
}

/// The newest values, for listeners.
pub struct News {
    /// The status, unless nothing came yet.
    pub status: Option<(Arc<NodeStatus>, BTreeMap<PipelineName, f32>)>,
    /// The latest result of each pipeline with their number so far.
    pub results: Vec<(u64, Arc<Output>)>,
    /// Events, oldest first.
    pub events: Vec<Told>,
}

impl Feed {
    /// A sink that nobody looks at yet.
    pub fn new(backend: Arc<dyn Backend>) -> Arc<Feed> {
        Arc::new(Feed {
            backend,
            serving: AtomicBool::new(false),
            state: Mutex::default(),
            history: Mutex::default(),
            viewers: AtomicUsize::new(0),
            listeners: AtomicUsize::new(0),
            pictures: AtomicU64::new(0),
            draw_us: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            frames: Notify::new(),
            news: Notify::new(),
        })
    }

    /// The daemon behind the page.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Takes emissions from now on, or ignores them and forgets what came.
    pub fn serve(&self, serving: bool) {
        self.serving.store(serving, Relaxed);
        if !serving {
            *self.state() = State::default();
            *lock(&self.history) = History::default();
        }
    }

    /// The cost of looking.
    pub fn cost(&self) -> Cost {
        Cost {
            viewers: self.viewers.load(Relaxed),
            listeners: self.listeners.load(Relaxed),
            pictures: self.pictures.load(Relaxed),
            draw: Duration::from_micros(self.draw_us.load(Relaxed)),
            refused: self.refused.load(Relaxed),
        }
    }

    /// Counts a connection that was refused.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// The newest status with the inferences per second; `None` before the first.
    pub fn status(&self) -> Option<(Arc<NodeStatus>, BTreeMap<PipelineName, f32>)> {
        let state = self.state();
        state.status.clone().map(|status| (status, state.rates.fps()))
    }

    /// The numbers that pipelines gave last.
    pub fn numbers(&self) -> BTreeMap<PipelineName, f64> {
        let state = self.state();
        state.pipelines.iter().filter_map(|(name, pipeline)| Some((name.clone(), pipeline.number?))).collect()
    }

    /// True once the daemon has stopped its pipelines.
    pub fn stopped(&self) -> bool {
        self.state().stopped
    }

    /// Points of the `wanted` series, or of all where none is named.
    pub fn history(&self, wanted: &[&str], span: Span) -> Answer {
        lock(&self.history).answer(wanted, span)
    }

    /// Results, events and the status beyond what `seen` says; all of it at first.
    pub fn news(&self, seen: &mut Seen) -> News {
        let state = self.state();
        let is_new = |status: &&Arc<NodeStatus>| seen.status != Some(status.at);
        let status = state.status.as_ref().filter(is_new).map(|status| (status.clone(), state.rates.fps()));
        if let Some((status, _)) = &status {
            seen.status = Some(status.at);
        }
        let mut results = Vec::new();
        for (name, pipeline) in &state.pipelines {
            let Some(latest) = &pipeline.latest else { continue };
            if seen.results.get(name) != Some(&pipeline.results) {
                seen.results.insert(name.clone(), pipeline.results);
                results.push((pipeline.results, latest.clone()));
            }
        }
        seen.results.retain(|name, _| state.pipelines.contains_key(name));
        let events = state.events.iter().filter(|told| told.number > seen.events).cloned().collect();
        seen.events = state.told;
        News { status, results, events }
    }

    /// Waits until something is new for listeners.
    pub async fn changed(&self) {
        self.news.notified().await;
    }

    /// Receives results from now on, until it is dropped.
    pub fn listen(self: &Arc<Self>) -> Listener {
        self.listeners.fetch_add(1, Relaxed);
        Listener(self.clone())
    }

    /// Looks at the pictures of `pipeline` until it is dropped; `None` where it gives none.
    pub fn look(self: &Arc<Self>, pipeline: &str) -> Option<Viewer> {
        let name = PipelineName::new(pipeline).ok()?;
        self.backend.layout(pipeline).filter(|layout| layout.pictures)?;
        let mut state = self.state();
        let seen = state.pipelines.entry(name.clone()).or_default();
        seen.viewers += 1;
        self.viewers.fetch_add(1, Relaxed);
        Some(Viewer { feed: self.clone(), name, pictures: seen.picture.subscribe() })
    }

    /// Asks for the frame of the next result of `pipeline`, while the viewer lives; `None` where it gives no pictures.
    pub fn next_frame(self: &Arc<Self>, pipeline: &str) -> Option<(Viewer, oneshot::Receiver<Arc<Output>>)> {
        let viewer = self.look(pipeline)?;
        let (give, given) = oneshot::channel();
        self.state().pipelines.get_mut(&viewer.name)?.sitters.push(give);
        Some((viewer, given))
    }

    /// Waits until a frame is to be drawn.
    pub async fn frame(&self) {
        self.frames.notified().await;
    }

    /// Results whose frames are to be drawn.
    pub fn take_frames(&self) -> Vec<Arc<Output>> {
        self.state().pipelines.values_mut().filter_map(|pipeline| pipeline.waiting.take()).collect()
    }

    /// Hands a picture on to those who look; its number. `None` where they have left.
    pub fn drew(&self, pipeline: &PipelineName, jpeg: Vec<u8>, took: Duration) -> Option<u64> {
        self.pictures.fetch_add(1, Relaxed);
        self.draw_us.fetch_add(took.as_micros() as u64, Relaxed);
        let mut state = self.state();
        let pipeline = state.pipelines.get_mut(pipeline).filter(|pipeline| pipeline.viewers > 0)?;
        pipeline.drawn += 1;
        let picture = Picture { number: pipeline.drawn, jpeg: jpeg.into() };
        pipeline.picture.send_replace(Some(picture));
        Some(pipeline.drawn)
    }

    fn output(&self, output: &Arc<Output>) {
        let number = number_of(&output.outcome);
        // The frame goes back to its source's pool at once.
        let latest = match &output.frame {
            None => output.clone(),
            Some(_) => Arc::new(Output { frame: None, ..Output::clone(output) }),
        };
        let now = Instant::now();
        let mut state = self.state();
        let pipeline = state.pipelines.entry(output.pipeline.clone()).or_default();
        (pipeline.latest, pipeline.results) = (Some(latest), pipeline.results + 1);
        pipeline.number = number.or(pipeline.number);
        if output.frame.is_some() {
            // Some may have gone meanwhile.
            pipeline.sitters.drain(..).for_each(|sitter| _ = sitter.send(output.clone()));
        }
        let is_due = pipeline.due.is_none_or(|due| now + EARLY >= due);
        if pipeline.viewers > 0 && output.frame.is_some() && is_due {
            let from = pipeline.due.map_or(now, |due| due.max(now - EARLY));
            (pipeline.waiting, pipeline.due) = (Some(output.clone()), Some(from + PICTURE_EVERY));
            self.frames.notify_one();
        }
        state.events(&output.pipeline, &output.events);
    }

    fn sample(&self, status: &Arc<NodeStatus>) {
        let now = status.at;
        if !lock(&self.history).is_due(now) {
            return;
        }
        let fps = self.state().rates.fps();
        let numbers = self.numbers();
        let samples: BTreeMap<String, Sample> = samples(status, &fps, &numbers);
        lock(&self.history).record(samples, status.every, now, SystemTime::now());
    }

    fn tell(&self) {
        if self.listeners.load(Relaxed) > 0 {
            self.news.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn events(&mut self, pipeline: &PipelineName, events: &[Event]) {
        for event in events {
            self.told += 1;
            if self.events.len() >= EVENTS {
                self.events.pop_front();
            }
            let (time, pipeline) = (SystemTime::now(), pipeline.clone());
            self.events.push_back(Told { number: self.told, time, pipeline, event: event.clone() });
        }
    }
}

impl Sink for Feed {
    fn take(&self, emission: &Emission) {
        if !self.serving.load(Relaxed) {
            return;
        }
        match emission {
            Emission::Output(output) => self.output(output),
            Emission::Events { pipeline, events } => self.state().events(pipeline, events),
            Emission::Removed(name) => {
                // Those who look at it see the end of its pictures.
                self.state().pipelines.remove(name);
                lock(&self.history).forget(&format!("{name}/"));
            }
            Emission::Status(status) => {
                {
                    let mut state = self.state();
                    state.rates.update(status);
                    (state.status, state.stopped) = (Some(status.clone()), false);
                }
                self.sample(status);
            }
            Emission::Stopped(status) => {
                let mut state = self.state();
                (state.status, state.stopped) = (Some(status.clone()), true);
            }
        }
        self.tell();
    }

    fn wants_frames(&self, pipeline: &str) -> bool {
        self.viewers.load(Relaxed) > 0
            && self.state().pipelines.get(pipeline).is_some_and(|pipeline| pipeline.viewers > 0)
    }
}

/// The news that were given already.
#[derive(Debug, Default)]
pub struct Seen {
    status: Option<Instant>,
    results: BTreeMap<PipelineName, u64>,
    events: u64,
}

/// Somebody who receives results.
pub struct Listener(Arc<Feed>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Relaxed);
    }
}

/// Somebody who looks at the pictures of one pipeline.
pub struct Viewer {
    feed: Arc<Feed>,
    name: PipelineName,
    /// The newest picture; closed once the pipeline is gone.
    pub pictures: watch::Receiver<Option<Picture>>,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.feed.viewers.fetch_sub(1, Relaxed);
        // A pipeline that was removed meanwhile may be there again, without this viewer.
        let mut state = self.feed.state();
        let Some(pipeline) = state.pipelines.get_mut(&self.name) else { return };
        if !pipeline.picture.subscribe().same_channel(&self.pictures) {
            return;
        }
        pipeline.viewers = pipeline.viewers.saturating_sub(1);
        if pipeline.viewers == 0 {
            (pipeline.waiting, pipeline.drawn) = (None, 0);
            pipeline.picture.send_replace(None);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
