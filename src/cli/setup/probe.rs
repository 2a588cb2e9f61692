//! Choices: the sources of this board, and models for them.

use std::path::{Path, PathBuf};

use crate::diagnose::survey::Report;
use crate::frame::Label;
use crate::model::manifest::{InputKind, Manifest};
use crate::model::{self, Bundle};
use crate::{source, task};

/// A question that an offer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// None.
    Nothing,
    /// The address of a camera.
    Address,
    /// The path of a file or directory.
    Path,
}

/// A source that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// For people.
    pub label: String,
    /// As in `[pipeline.source]`.
    pub pairs: Vec<String>,
    /// Question about what it needs to know besides.
    pub asks: Asks,
    /// Name for a pipeline of it.
    pub name: &'static str,
}

/// The sources of this board, and what is absent and why.
pub fn sources(report: &Report) -> (Vec<Offer>, Vec<String>) {
    let offer = |label: String, pairs: &[&str], name| Offer {
        label,
        pairs: pairs.iter().map(|p| (*p).to_owned()).collect(),
        asks: Asks::Nothing,
        name,
    };
    let mut offers = Vec::new();
    let mut absent = Vec::new();
    for camera in report.cameras.iter().filter(|c| !c.processor) {
        if camera.planes || camera.permitted == Some(false) {
            absent.push(format!("{} {}", camera.device, camera.describe()));
            continue;
        }
        let formats = camera.formats.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        let formats = if formats.is_empty() { String::new() } else { format!(" ({formats})") };
        let device = format!("device={}", camera.device);
        offers.push(offer(
            format!("camera {} {}{formats}", camera.device, camera.name),
            &["type=v4l2", &device],
            "camera",
        ));
    }
    for line in &report.csi_cameras {
        let number = line.split_once(" : ").map_or("0", |(number, _)| number.trim());
        let camera = format!("camera={number}");
        offers.push(offer(format!("Raspberry Pi camera {line}"), &["type=rpicam", &camera], "camera"));
    }
    let has = |program| report.programs.get(program).is_some_and(Option::is_some);
    if has("ffmpeg") {
        let label = "network camera or single picture (rtsp://…, http://…/jpg), by its address";
        offers.push(Offer { asks: Asks::Address, ..offer(label.into(), &["type=rtsp"], "camera") });
    }
    offers.push(offer(
        "this machine: load, memory, temperatures, traffic".into(),
        &["type=sensor", "kind=machine"],
        "machine",
    ));
    let label = "photos, a folder of them, a film, or a table of readings (CSV, JSON Lines), by its path";
    offers.push(Offer { asks: Asks::Path, ..offer(label.into(), &[], "files") });
    offers.push(offer("none: a meter that leptond draws, to try things".into(), &["type=synthetic"], "demo"));
    let about_sources = ["video4linux camera", "rpicam-vid", "ffmpeg"];
    let missing = report.absent.iter().filter(|a| about_sources.contains(&a.what));
    absent.extend(missing.map(|a| format!("{}: {}", a.what, a.meaning)));
    if report.csi_cameras.is_empty() && has("rpicam-hello") {
        absent.push("Raspberry Pi camera: rpicam-hello lists none; check the ribbon cable, then reboot".into());
    }
    let kinds: Vec<&str> =
        ["iio", "hwmon"].into_iter().filter(|k| report.sensors.iter().any(|s| s.kind == *k)).collect();
    if !kinds.is_empty() {
        absent.push(format!(
            "sensors ({}) are there, but no model that is installed reads them: leptond record writes them down to train one",
            kinds.join(", ")
        ));
    }
    (offers, absent)
}

/// A model that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Name for the configuration.
    pub name: String,
    /// For people.
    pub label: String,
    /// Readings in one window, for a model of windows.
    pub rows: Option<usize>,
    /// It takes windows of readings, else pictures.
    pub windows: bool,
    /// Channels of a reading, where it names them.
    pub channels: Vec<String>,
    /// Labels of a model that finds objects.
    pub labels: Vec<Label>,
    /// Least score that counts, of such a model.
    pub min_score: f32,
    /// No model, but the task `baseline`.
    pub is_baseline: bool,
}

/// The models that take what `source` gives, of which `seen` are the channels: those of `dirs`, then the ones that are part of the program.
pub fn models(source: &source::Config, seen: &[String], dirs: &[PathBuf]) -> Vec<Choice> {
    let entries = dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names.extend(model::shipped().map(str::to_owned));
    let mut choices: Vec<Choice> = Vec::new();
    for name in names {
        if choices.iter().all(|c| c.name != name)
            && let Some(Ok(bundle)) = model::open(&name, dirs)
        {
            let choice = choice(name, &bundle);
            if choice.misfit(source, seen).is_none() {
                choices.push(choice);
            }
        }
    }
    if source.kind().frames().are_windows() {
        choices.push(Choice::baseline());
    }
    choices
}

/// One model by name or path.
pub fn model(name: &str, dirs: &[PathBuf]) -> Option<Choice> {
    model::open(name, dirs)?.ok().map(|bundle| choice(name.to_owned(), &bundle))
}

fn choice(name: String, bundle: &Bundle) -> Choice {
    let manifest = bundle.manifest();
    let licence = if manifest.licence.is_empty() { String::new() } else { format!(" ({})", manifest.licence) };
    let label = format!("{name}: {}{licence}", manifest.description);
    Choice::new(name, label, manifest, bundle.labels())
}

impl Choice {
    /// The choice of no model, for any source of readings.
    pub fn baseline() -> Choice {
        Choice {
            name: "baseline".into(),
            label: "no model: learns what is usual of each number, and tells which one is not (baseline)".into(),
            rows: None,
            windows: true,
            channels: Vec::new(),
            labels: Vec::new(),
            min_score: 0.0,
            is_baseline: true,
        }
    }

    /// A choice by what its manifest says.
    pub fn new(name: String, label: String, manifest: &Manifest, labels: &[Label]) -> Choice {
        let settings = task::Config::default().over(manifest.task, &manifest.defaults).ok();
        let objects = settings.as_ref().and_then(task::Settings::objects);
        Choice {
            label,
            name,
            rows: manifest.input.rows,
            windows: manifest.input.kind == Some(InputKind::Window),
            channels: manifest.input.channels.clone(),
            labels: objects.map(|_| labels.to_vec()).unwrap_or_default(),
            min_score: objects.map_or(0.0, |objects| objects.min_score()),
            is_baseline: false,
        }
    }

    /// The reason for which the model can never take what `source` gives, of which `seen` are the channels (empty = not known).
    pub fn misfit(&self, source: &source::Config, seen: &[String]) -> Option<String> {
        let name = &self.name;
        match (self.windows, source.kind().frames().are_windows()) {
            (true, false) => {
                return Some(format!("{name} takes windows of readings, and the source gives pictures"));
            }
            (false, true) => return Some(format!("{name} takes pictures, and the source gives readings")),
            _ => {}
        }
        let missing = source::match_names(&self.channels, seen).err().filter(|_| !seen.is_empty())?;
        Some(format!("{name} takes the channel {}, and the source has {}", missing.join(", "), seen.join(", ")))
    }
}

/// The file that a snapshot is saved as: in the directory where the person is, else in the temporary one.
pub fn save(jpeg: &[u8]) -> Result<PathBuf, String> {
    let name = "leptond-setup.jpg";
    let here = std::env::current_dir().unwrap_or_else(|_| Path::new("/").into()).join(name);
    let other = std::env::temp_dir().join(name);
    for path in [&here, &other] {
        // Removed first and made anew: a link that somebody laid in a shared directory is not followed.
        let _absent = std::fs::remove_file(path);
        if let Ok(mut file) = std::fs::File::options().write(true).create_new(true).open(path)
            && std::io::Write::write_all(&mut file, jpeg).is_ok()
        {
            return Ok(path.clone());
        }
    }
    Err(format!("neither {} nor {} can be written", here.display(), other.display()))
}
