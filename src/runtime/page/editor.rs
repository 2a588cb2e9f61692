//! Pictures that are drawn on: what is drawn on them already, what is read there, and how it gets into the configuration.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::config::{self, Config, PipelineConfig, Reach};
use crate::draw::{self, Canvas};
use crate::frame::{Output, Payload, PixelFormat};
use crate::page::{Photo, Reference};
use crate::pipeline::{self, DialConfig, Input, MeterConfig, ProposedRegion, photo as reader};
use crate::preprocess::{self, Region};
use crate::publish::wording;
use crate::runtime::command::ConfigSet;
use crate::runtime::command::desk::Answer;
use crate::runtime::command::plan::plan;
use crate::runtime::config_file::ConfigFile;
use crate::source::{self, Frames};
use crate::sys::{atomic, file};

/// A larger file is no picture to draw on.
const MOST_BYTES: u64 = 64 << 20;
/// Pixels of a picture to draw on.
const MOST_PIXELS: u64 = 16_000_000;
/// Quality of a picture that is taken from a source, 1 to 100: what is read in it is what is read in the source's own.
const QUALITY: u8 = 95;
/// Directory of reference pictures below the state directory.
const REFERENCES: &str = "references";

/// Meters and pipelines with pictures, each with what is drawn on it; the file, and the end of the latest change.
pub(super) fn drawings(config: &Config, file: Option<&ConfigFile>, end: Option<Answer>) -> Value {
    let meters = config.meters.iter().map(|meter| {
        json!({
            "name": meter.name, "digits": meter.digits, "dials": meter.dials, "align": meter.align,
            "reference": meter.reference.is_some() && !meter.align.is_empty(), "unit": meter.unit(), "decimals": meter.decimals(),
        })
    });
    let pipelines = config.written().filter(|pipeline| has_pictures(config, pipeline)).map(|pipeline| {
        json!({
            "name": pipeline.name, "regions": pipeline.preprocess.regions, "zones": pipeline.zones, "lines": pipeline.lines,
        })
    });
    let end = end.map(|end| match end {
        Ok(_) => json!({ "kept": true }),
        Err(why) => json!({ "kept": false, "why": why }),
    });
    json!({
        "meters": meters.collect::<Vec<_>>(), "pipelines": pipelines.collect::<Vec<_>>(),
        "file": file.map(|file| file.path.display().to_string()), "end": end,
    })
}

/// True where a pipeline's source gives whole pictures.
pub(super) fn has_pictures(config: &Config, pipeline: &PipelineConfig) -> bool {
    let source = match &pipeline.source {
        Input::Crops(_) => None,
        input => config.source_of(input),
    };
    source.is_some_and(|source| matches!(source.kind().frames(), Frames::Pictures { .. }))
}

/// The picture of a result's frame.
///
/// # Errors
/// The frame is gone, holds no picture or cannot be encoded.
pub(super) fn photo_of(output: &Output) -> Result<Photo, String> {
    let frame = output.frame.as_deref().ok_or("the frame is gone")?;
    let Payload::Image(image) = &frame.payload else { return Err("the frame holds no picture".into()) };
    let mut rgb = Vec::new();
    let size = preprocess::shared_to_rgb(frame, image, &mut rgb).map_err(|error| error.to_string())?;
    // Cameras leave out tables of their JPEG that browsers want.
    let data = draw::jpeg(&Canvas::new(size, rgb), QUALITY).map_err(|error| error.to_string())?;
    let mut taken = source::image_of(data)?;
    taken.full = image.full;
    Ok(Photo { image: taken, size: image.full.unwrap_or(size) })
}

/// The picture of a file.
///
/// # Errors
/// The reason for which it is none.
pub(super) fn photo(file: Vec<u8>) -> Result<Photo, String> {
    let image = source::image_of(file)?;
    let [width, height] = source::stated_size(&image).ok_or("the picture does not say how large it is")?;
    // Three bytes each, once for the picture and once for what is made of it: a small board has no more to spare.
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return Err(format!("{width}x{height} pixels, and at most {} million are taken here", MOST_PIXELS / 1_000_000));
    }
    let size = preprocess::to_rgb(&image, &mut Vec::new()).map_err(|error| error.to_string())?;
    Ok(Photo { image, size })
}

/// The file of a meter's reference picture.
///
/// # Errors
/// It has none, or the file cannot be read.
pub(super) fn reference(config: &Config, meter: &str) -> Result<Vec<u8>, String> {
    let meter = meter_of(config, meter)?;
    let path = meter.reference.as_ref().ok_or("this meter has no reference picture")?;
    file::read_regular(path, MOST_BYTES).map_err(|error| format!("{}: {error}", path.display()))
}

/// Things drawn on a picture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drawn {
    #[serde(default)]
    meter: Option<String>,
    #[serde(default)]
    pipeline: Option<String>,
    #[serde(default)]
    digits: Vec<Region>,
    #[serde(default)]
    dials: Vec<DialConfig>,
    #[serde(default)]
    regions: Vec<Region>,
}

/// Reads what is drawn on a picture, as the pipeline or meter would.
///
/// # Errors
/// The reason in words.
pub(super) fn read(config: &Config, photo: &Photo, drawn: Value) -> Result<Value, String> {
    let Drawn { meter, pipeline, digits, dials, regions } = parsed(drawn)?;
    let dirs = &config.models.dirs;
    if let Some(meter) = meter {
        let meter = MeterConfig { digits, dials, ..meter_of(config, &meter)?.clone() };
        if meter.digits.is_empty() && meter.dials.is_empty() {
            return Ok(json!({ "words": "nothing is drawn yet", "digits": [], "dials": [] }));
        }
        let digits = meter.digits.iter().map(|region| ("digits", region.check()));
        let dials = meter.dials.iter().map(|dial| {
            (
                "dials",
                dial.region().ok_or_else(|| "one of rect and quad is wanted".into()).and_then(|region| region.check()),
            )
        });
        for (index, (key, checked)) in digits.enumerate().chain(dials.enumerate()) {
            checked.map_err(|reason| format!("{key}[{index}]: {reason}"))?;
        }
        let reading = reader::read_meter(&meter, dirs, photo.image.clone()).map_err(|error| error.to_string())?;
        let mut value = serde_json::to_value(&reading).map_err(|error| error.to_string())?;
        if let Some(object) = value.as_object_mut() {
            object.insert("words".into(), reading.to_string().into());
        }
        return Ok(value);
    }
    let name = pipeline.ok_or("meter or pipeline is wanted")?;
    let known = config.written().find(|known| known.name == *name).ok_or_else(|| format!("no pipeline {name:?}"))?;
    for (index, region) in regions.iter().enumerate() {
        region.check().map_err(|reason| format!("regions[{index}]: {reason}"))?;
    }
    let preprocess = preprocess::Config { regions, ..known.preprocess.clone() };
    let pipeline = PipelineConfig { preprocess, ..known.clone() };
    let outcome = reader::read_as(&pipeline, dirs, photo.image.clone()).map_err(|error| error.to_string())?;
    Ok(json!({ "words": wording::of_outcome(&outcome), "outcome": outcome }))
}

/// Digits and dials of the meter on a picture, in pixels of the picture's full size.
///
/// # Errors
/// The picture cannot be decoded, or a model cannot be used.
pub(super) fn propose(config: &Config, photo: &Photo) -> Result<Value, String> {
    let found = pipeline::propose(&photo.image, &config.models.dirs).map_err(|error| error.to_string())?;
    let regions = |places: &[ProposedRegion]| {
        places.iter().map(|place| place.region.rescaled(found.size, photo.size)).collect::<Vec<_>>()
    };
    Ok(json!({ "digits": regions(&found.digits), "dials": regions(&found.dials) }))
}

fn parsed<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("what is drawn: {error}"))
}

fn meter_of<'a>(config: &'a Config, name: &str) -> Result<&'a MeterConfig, String> {
    config.meters.iter().find(|meter| meter.name == *name).ok_or_else(|| format!("there is no meter {name:?}"))
}

/// The difference that a change would make to the file.
///
/// # Errors
/// The reason for which it cannot be made.
pub(super) fn difference(
    file: Option<&ConfigFile>,
    config: &Config,
    digest: &str,
    values: Vec<(String, Value)>,
    reference: Option<Reference<'_>>,
) -> Result<Value, String> {
    let file = file.ok_or("this run has no configuration file that could be changed")?;
    let plan = plan(file, config, digest, &change(config, values, reference)?)?;
    let difference = plan.map_or_else(String::new, |plan| config::difference(&plan.before, &plan.text));
    Ok(json!({ "difference": config::redact(&difference), "file": file.path.display().to_string() }))
}

/// A change within the reach of the page. A new reference picture is written into the state directory first: the configuration is checked
/// with it in its place.
///
/// # Errors
/// The reason for which the picture cannot be a reference.
pub(super) fn change(
    config: &Config,
    mut values: Vec<(String, Value)>,
    reference: Option<Reference<'_>>,
) -> Result<ConfigSet, String> {
    // The path is chosen here: a browser names no file, and may only take one away.
    values.retain(|(key, value)| !key.ends_with(".reference") || value.is_null());
    if let Some(Reference { meter, photo }) = reference {
        let path = store(config, meter, photo)?;
        values.push((format!("meter.{meter}.reference"), path.display().to_string().into()));
    }
    Ok(ConfigSet { values, reach: Reach::Page })
}

/// Writes a reference picture under a name of its own, so that a change that is taken back finds its former one; gives the file.
fn store(config: &Config, meter: &str, photo: &Photo) -> Result<PathBuf, String> {
    let present = meter_of(config, meter)?.reference.as_ref();
    if photo.image.full.is_some() {
        return Err(
            "the camera's pictures are reduced now, and a reference has their full size: try again later".into()
        );
    }
    let dir = config.node.state_dir().ok_or("there is no directory for the reference picture: set node.state_dir")?;
    let dir = std::path::absolute(dir.join(REFERENCES)).map_err(|error| error.to_string())?;
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    std::fs::create_dir_all(&dir).map_err(failed)?;
    let digest: String = Sha256::digest(&photo.image.data).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let extension = match photo.image.format {
        PixelFormat::Png => "png",
        PixelFormat::Bmp => "bmp",
        _ => "jpg",
    };
    let path = dir.join(format!("{meter}-{digest}.{extension}"));
    atomic::replace_durably(&path, &photo.image.data).map_err(failed)?;
    for entry in std::fs::read_dir(&dir).map_err(failed)?.flatten() {
        let (other, name) = (entry.path(), entry.file_name());
        let is_of_meter = name.to_str().and_then(|name| name.rsplit_once('-')).is_some_and(|(of, _)| of == meter);
        if is_of_meter && other != path && Some(&other) != present {
            // It stays where it cannot be removed, and does no harm.
            let _ = std::fs::remove_file(other);
        }
    }
    Ok(path)
}
