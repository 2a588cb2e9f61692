//! Facts about the daemon for the page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{doctor, editor};
use crate::config::{self, Config, PipelineConfig};
use crate::draw::{Canvas, Mark};
use crate::frame::status::NodeStatus;
use crate::frame::{Event, Output, Payload, PipelineName};
use crate::page::{Backend, Layout, Photo, Reference};
use crate::pipeline::Input;
use crate::preprocess;
use crate::publish::payload::{Governor, Health, InferenceResult, Info};
use crate::publish::wording;
use crate::runtime::command::desk::Desk;
use crate::runtime::command::model_list;
use crate::runtime::config_file::ConfigFile;
use crate::runtime::set::PipelineSet;
use crate::runtime::state::lock;
use crate::telemetry::RecentLog;

/// The part of the daemon that changes with its configuration.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// The configuration that applies.
    pub(super) config: Arc<Config>,
    /// Its digest.
    pub(super) digest: String,
    /// Ladders with their costs, by pipeline.
    pub(super) costs: Arc<Value>,
}

/// The daemon as the page sees it.
pub(super) struct Daemon {
    known: Mutex<Known>,
    file: Option<ConfigFile>,
    log: Option<RecentLog>,
    desk: Arc<Desk>,
}

impl Daemon {
    /// Nothing is known yet.
    pub(super) fn new(file: Option<ConfigFile>, log: Option<RecentLog>) -> Daemon {
        Daemon { known: Mutex::default(), file, log, desk: Arc::default() }
    }

    /// The place for changes of the configuration.
    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// The part that changes.
    pub(super) fn known(&self) -> Known {
        lock(&self.known).clone()
    }

    /// Replaces it.
    pub(super) fn know(&self, known: Known) {
        *lock(&self.known) = known;
    }
}

/// The ladders of the running pipelines, each rung with what it costs on this board.
pub(super) fn costs(set: &PipelineSet) -> Arc<Value> {
    let mut ladders = serde_json::Map::new();
    for ladder in set.governor().ladders() {
        let Some(running) = set.iter().find(|running| *running.config.name == *ladder.name) else { continue };
        let rungs: Vec<Value> = ladder
            .rungs
            .iter()
            .map(|rung| {
                json!({
                    "rung": rung.setpoint.rung,
                    "interval_ms": rung.setpoint.interval.as_millis() as u64,
                    "resolution": rung.setpoint.resolution,
                    "batch": rung.setpoint.batch,
                    "threads": rung.setpoint.threads,
                    "form": running.planner.variant_name(rung.setpoint.variant),
                    "infer_ms": rung.cost.infer_ms,
                    "cpu_ms": rung.cost.cpu_ms,
                    "accuracy": rung.cost.accuracy,
                })
            })
            .collect();
        let manifest = running.planner.bundle.manifest();
        let ladder = json!({
            "model": manifest.name, "version": manifest.version, "engine": running.engine,
            "provisional": ladder.provisional, "rungs": rungs,
        });
        ladders.insert(running.config.name.to_string(), ladder);
    }
    Arc::new(Value::Object(ladders))
}

impl Backend for Daemon {
    fn status(&self, status: &NodeStatus, fps: &BTreeMap<PipelineName, f32>) -> Value {
        json!({
            "info": Info::of(status),
            "health": Health::of(status, fps),
            "governor": Governor::of(status, status.governor.changed.as_ref()),
        })
    }

    fn result(&self, output: &Output) -> Value {
        let now = Instant::now();
        with_words(serde_json::to_value(InferenceResult::of(output, now)), wording::of_output(output, now))
    }

    fn event(&self, _: &PipelineName, event: &Event) -> Value {
        with_words(serde_json::to_value(event), Some(wording::of_event(event)))
    }

    fn picture(&self, output: &Output) -> Result<(Canvas, [u32; 2]), String> {
        let frame = output.frame.as_deref().ok_or("the frame is gone")?;
        let Payload::Image(image) = &frame.payload else { return Err("the frame holds no picture".into()) };
        let mut rgb = Vec::new();
        let size = preprocess::shared_to_rgb(frame, image, &mut rgb).map_err(|error| error.to_string())?;
        Ok((Canvas::new(size, rgb), image.full.unwrap_or(size)))
    }

    fn layout(&self, pipeline: &str) -> Option<Layout> {
        let config = self.known().config;
        let pipeline = config.pipelines.iter().find(|one| one.name == *pipeline)?;
        Some(layout(&config, pipeline))
    }

    fn models(&self) -> Value {
        let Known { config, costs, .. } = self.known();
        json!({ "installed": model_list::list(&config), "running": *costs })
    }

    fn findings(&self) -> Result<Value, String> {
        doctor::findings(self.file.as_ref().map(|file| file.path.as_path()))
    }

    fn configuration(&self) -> Value {
        config::masked(&self.known().config)
    }

    fn log(&self) -> Vec<String> {
        self.log.as_ref().map(RecentLog::lines).unwrap_or_default()
    }

    fn drawings(&self) -> Value {
        editor::drawings(&self.known().config, self.file.as_ref(), self.desk.end())
    }

    fn look_now(&self, pipeline: &str) {
        self.desk.ask_reading(pipeline);
    }

    fn photo_of(&self, output: &Output) -> Result<Photo, String> {
        editor::photo_of(output)
    }

    fn photo(&self, file: Vec<u8>) -> Result<Photo, String> {
        editor::photo(file)
    }

    fn reference(&self, meter: &str) -> Result<Vec<u8>, String> {
        editor::reference(&self.known().config, meter)
    }

    fn read(&self, photo: &Photo, drawn: Value) -> Result<Value, String> {
        editor::read(&self.known().config, photo, drawn)
    }

    fn propose(&self, photo: &Photo) -> Result<Value, String> {
        editor::propose(&self.known().config, photo)
    }

    fn difference(&self, values: Vec<(String, Value)>, reference: Option<Reference<'_>>) -> Result<Value, String> {
        let Known { config, digest, .. } = self.known();
        editor::difference(self.file.as_ref(), &config, &digest, values, reference)
    }

    fn change(
        &self,
        values: Vec<(String, Value)>,
        reference: Option<Reference<'_>>,
    ) -> Result<oneshot::Receiver<Result<Value, String>>, String> {
        let change = editor::change(&self.known().config, values, reference)?;
        Ok(self.desk.ask(change))
    }
}

fn with_words(value: serde_json::Result<Value>, words: Option<String>) -> Value {
    let mut value = value.unwrap_or_else(|_| json!({}));
    if let (Some(object), Some(words)) = (value.as_object_mut(), words) {
        object.insert("words".into(), words.into());
    }
    value
}

fn layout(config: &Config, pipeline: &PipelineConfig) -> Layout {
    let pictures = matches!(pipeline.source, Input::Crops(_)) || editor::has_pictures(config, pipeline);
    let zones = pipeline.zones.iter().map(|zone| Mark { name: zone.name.to_string(), points: zone.polygon.clone() });
    let lines =
        pipeline.lines.iter().map(|line| Mark { name: line.name.to_string(), points: vec![line.from, line.to] });
    let dials = pipeline.meter.iter().flat_map(|meter| &meter.preprocess.regions);
    Layout {
        pictures,
        regions: pipeline.preprocess.regions.iter().chain(dials).map(|region| region.corners()).collect(),
        marks: zones.chain(lines).collect(),
    }
}
