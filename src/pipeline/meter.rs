//! `[[meter]]`: digits and dials of one picture, read by two models and joined to one number.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use leptond_governor as governor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::input::Input;
use super::meter_join::{LightConfig, MarksConfig, MeterJoin};
use crate::frame::diagnostic::Diagnostic;
use crate::frame::quantity::unit_or_usual;
use crate::frame::{PipelineName, Quantity, VALUE_DIGITS, status};
use crate::join::{Kind, Settings};
use crate::preprocess::{self, Region};
use crate::{model, task};

/// Models that are taken where the configuration names none.
pub(super) const DIGITS_MODEL: &str = "leptonnet-digits";
/// The same for dials.
pub(super) const DIALS_MODEL: &str = "leptonnet-dials";
/// Least score of a place when the configuration does not say.
const MIN_SCORE: f32 = 0.6;
/// Pictures that a first reading is read in when the configuration does not say.
const CONFIRM: u32 = 3;
/// Time between two readings when the configuration does not say, in ms: a meter need not be read as often as a camera gives pictures.
const INTERVAL_MS: u64 = 1000;
/// A light is on for some seconds: readings closer to each other leave it on.
const LIGHT_INTERVAL_MS: u64 = 5000;
/// Digits or dials of one meter at most.
const MOST_PLACES: usize = VALUE_DIGITS;

/// `[[meter]]`: a meter with drums or a display, dials, or both, most significant place first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeterConfig {
    /// Name in topics, `[a-zA-Z0-9_-]`, unique among pipelines and meters.
    pub name: PipelineName,
    /// Where pictures come from: the name of a `[[source]]`, or a source of the meter's own.
    pub source: Input,
    /// Quantity that it counts; unset = none that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Quantity>,
    /// Unit of the number; unset = the usual one of `kind`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub unit: Option<String>,
    /// Places behind the decimal point; unset = the number of dials where there are digits before them, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 15))]
    pub decimals: Option<u8>,
    /// Highest rate in `unit` per hour; unset = what a large household's connection gives, where `kind` and `unit` are known. A
    /// reading that is further on is not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.000_001, max = 1e12))]
    pub max_rate: Option<f64>,
    /// It may run backwards as well, as one that feeds into the grid.
    #[serde(default)]
    pub negative: bool,
    /// Digits, most significant first: `{ rect = [x, y, width, height] }` or `{ quad = [x1, y1, …, x4, y4] }` (top left, top right,
    /// bottom right, bottom left) each, in pixels of the upright source picture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digits: Vec<Region>,
    /// Dials, most significant first: `{ rect = [x, y, width, height] }` or `{ quad = […] }` each, the 0 at the top;
    /// `clockwise = false` where the numbers go round the other way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dials: Vec<DialConfig>,
    /// Two or three small patches of `reference` that are found again in each frame, so that digits and dials are read where they
    /// are after the camera was moved a little: `{ rect = [x, y, width, height] }` each, with edges in both directions, on what does
    /// not move. Where they are not found, nothing is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub align: Vec<Region>,
    /// Picture that all regions were drawn on, as the source gives them: a file, for `align`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<PathBuf>,
    /// Model that reads the digits: its labels are the digits, or its `output.position` says how far each drum has turned.
    #[serde(default = "digits_model")]
    #[schemars(length(min = 1))]
    pub digits_model: String,
    /// Model that reads the dials.
    #[serde(default = "dials_model")]
    #[schemars(length(min = 1))]
    pub dials_model: String,
    /// Least score of each digit and dial, 0 to 1; unset = 0.6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_score: Option<f32>,
    /// Pictures in a row in which a first reading, or the first one for long, is read before it is believed; unset = 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub confirm: Option<u32>,
    /// Time for which a reading that contradicts the last one is read until it is believed, in hours; unset = never: a meter that
    /// was replaced is told by a new name, or by deleting `readings.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01, max = 1000.0))]
    pub relearn_h: Option<f64>,
    /// Light that is switched on for each reading; `governor.interval_ms` is then the time from one reading to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light: Option<LightConfig>,
    /// Engine that runs the models.
    #[serde(default)]
    pub engine: model::Engine,
    /// Least contrast of a region, as in `[pipeline.preprocess]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 128.0))]
    pub min_contrast: Option<f32>,
    /// How far it may be lowered; `interval_ms` is 1000 where it is not set.
    #[serde(default)]
    pub governor: governor::PipelineConfig,
}

/// One dial of a [`MeterConfig`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DialConfig {
    /// `[x, y, width, height]` in source pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rect: Option<[f32; 4]>,
    /// Four corners `[x1, y1, …, x4, y4]` in source pixels: top left, top right, bottom right, bottom left of the upright dial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quad: Option<[f32; 8]>,
    /// The pointer turns clockwise as the meter counts.
    #[serde(default = "yes")]
    pub clockwise: bool,
}

fn digits_model() -> String {
    DIGITS_MODEL.into()
}

fn dials_model() -> String {
    DIALS_MODEL.into()
}

fn yes() -> bool {
    true
}

impl DialConfig {
    /// Its part of the picture; `None` where neither or both forms are given.
    pub fn region(&self) -> Option<Region> {
        match (self.rect, self.quad) {
            (Some(rect), None) => Some(Region::Rect(rect)),
            (None, Some(quad)) => Some(Region::Quad(quad)),
            _ => None,
        }
    }
}

impl MeterConfig {
    /// A meter without digits and dials yet.
    pub fn new(name: PipelineName, source: Input) -> MeterConfig {
        MeterConfig {
            name,
            source,
            kind: None,
            unit: None,
            decimals: None,
            max_rate: None,
            negative: false,
            digits: Vec::new(),
            dials: Vec::new(),
            align: Vec::new(),
            reference: None,
            digits_model: digits_model(),
            dials_model: dials_model(),
            min_score: None,
            confirm: None,
            relearn_h: None,
            light: None,
            engine: model::Engine::default(),
            min_contrast: None,
            governor: governor::PipelineConfig::default(),
        }
    }

    /// Unit of its number.
    pub fn unit(&self) -> Option<&str> {
        unit_or_usual(self.unit.as_deref(), self.kind)
    }

    /// Places behind the decimal point.
    pub fn decimals(&self) -> u8 {
        let usual = if self.digits.is_empty() { 0 } else { self.dials.len() };
        self.decimals.unwrap_or_else(|| u8::try_from(usual).unwrap_or(u8::MAX))
    }

    /// Its form and limits.
    pub fn settings(&self) -> Settings {
        let dials = self.dials.iter().map(|dial| Kind::Dial { clockwise: dial.clockwise });
        Settings {
            places: self.digits.iter().map(|_| Kind::Digit).chain(dials).collect(),
            meter: status::Meter {
                counts_up: !self.negative,
                feeds_back: self.negative,
                quantity: self.kind,
                unit: self.unit().map(str::to_owned),
                decimals: self.decimals(),
            },
            max_rate: self.max_rate.or_else(|| usual_rate(self.kind?, self.unit()?)),
            whole_digits: false,
            negative: self.negative,
            min_score: self.min_score.unwrap_or(MIN_SCORE),
            confirm: self.confirm.unwrap_or(CONFIRM),
            single: false,
            relearn: self.relearn_h.and_then(|hours| Duration::try_from_secs_f64(hours * 3600.0).ok()),
        }
    }

    /// The pipeline that reads it.
    pub fn pipeline(&self) -> Config {
        let checked = |regions: Vec<Region>| preprocess::Config {
            regions,
            min_contrast: self.min_contrast,
            ..preprocess::Config::default()
        };
        let dials: Vec<Region> = self.dials.iter().filter_map(DialConfig::region).collect();
        let digits = self.digits.clone();
        let (model, preprocess, second) = match (digits.is_empty(), dials.is_empty()) {
            (true, _) => (&self.dials_model, checked(dials), None),
            (false, true) => (&self.digits_model, checked(digits), None),
            (false, false) => (&self.digits_model, checked(digits), Some((self.dials_model.clone(), checked(dials)))),
        };
        let (dials_model, dials) = second.unzip();
        let mut governor = self.governor.clone();
        if governor.interval_ms == 0 {
            governor.interval_ms = INTERVAL_MS;
        }
        // Both models look at one picture at a time.
        governor.max_batch = 1;
        Config {
            name: self.name.clone(),
            model: Some(model.clone()),
            engine: self.engine,
            threads: 0,
            source: self.source.clone(),
            preprocess,
            motion: Default::default(),
            task: task::PositionConfig::of_any_score().into(),
            track: Default::default(),
            zones: Vec::new(),
            lines: Vec::new(),
            event: Default::default(),
            governor,
            offload: true,
            meter: Some(Arc::new(MeterJoin {
                model: dials_model,
                preprocess: dials.unwrap_or_default(),
                marks: self.marks(),
                light: self.light.clone(),
                settings: self.settings(),
            })),
        }
    }

    fn marks(&self) -> Option<MarksConfig> {
        let reference = self.reference.clone().filter(|_| !self.align.is_empty())?;
        Some(MarksConfig { reference, marks: self.align.clone() })
    }

    /// Keys that do not fit each other.
    pub fn check(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let places = self.digits.len() + self.dials.len();
        if places == 0 {
            found.push(
                Diagnostic::error("digits", "a meter without digits and dials").help(
                    "digits = [{ rect = [x, y, width, height] }, …], most significant first; dials in the same way",
                ),
            );
        }
        if places > MOST_PLACES {
            let message = format!("{places} digits and dials: {MOST_PLACES} are exact for every reader of the number");
            found.push(Diagnostic::error("digits", message));
        }
        match (self.align.len(), &self.reference) {
            (0, Some(_)) => found.push(
                Diagnostic::warning("reference", "has no effect without align")
                    .help("align = [{ rect = [x, y, width, height] }, …] names two or three patches of it"),
            ),
            (0, None) => {}
            (1, _) => found.push(
                Diagnostic::error("align", "one mark does not show a turn, nor that it was found wrongly")
                    .allowed("two or three marks, far from each other"),
            ),
            (2..=8, None) => found.push(
                Diagnostic::error("reference", "is missing: marks are patches of a reference picture")
                    .help("leptond capture writes a picture of the source"),
            ),
            (2..=8, Some(_)) => {}
            (count, _) => {
                found.push(Diagnostic::error("align", format!("{count} marks")).allowed("two or three, at most 8"));
            }
        }
        found.extend(self.light.as_ref().and_then(LightConfig::check));
        if let Some(chip) = self.light.as_ref().and_then(|light| Some(light.gpio.as_ref()?.chip.as_str()))
            && !chip.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        {
            let diagnostic = Diagnostic::error("light.gpio.chip", "not the name of a chip").found(format!("{chip:?}"));
            found.push(diagnostic.allowed("a name below /dev, such as gpiochip0"));
        }
        if let Some(light) = &self.light
            && self.governor.interval_ms < 2 * LIGHT_INTERVAL_MS
        {
            let message =
                format!("with a light, a reading every {} ms has it on all the time", self.governor.interval_ms);
            let diagnostic = Diagnostic::warning("governor.interval_ms", message);
            found.push(diagnostic.help(format!("600000 is every ten minutes; settle_s is {} s", light.settle_s)));
        }
        for (index, region) in self.align.iter().enumerate() {
            if let Err(reason) = region.check() {
                found.push(Diagnostic::error(format!("align[{index}]"), reason));
            }
        }
        for (index, dial) in self.dials.iter().enumerate() {
            if dial.region().is_none() {
                let message = "one of rect and quad is wanted, not both";
                found.push(Diagnostic::error(format!("dials[{index}]"), message));
            }
        }
        if let (Some(kind), Some(unit)) = (self.kind, &self.unit)
            && kind.unit(unit).is_none()
        {
            let diagnostic = Diagnostic::error("unit", "not a unit of the kind").found(format!("{unit:?}"));
            found.push(diagnostic.allowed(kind.units().join(", ")));
        }
        if usize::from(self.decimals()) > places && places > 0 {
            let message = "more places behind the decimal point than the meter has";
            let diagnostic = Diagnostic::error("decimals", message).found(self.decimals().to_string());
            found.push(diagnostic.allowed(format!("0 to {places}")));
        }
        if self.settings().max_rate.is_none() && places > 0 {
            let message = "neither max_rate nor a known kind and unit: a reading of up to a thousandth of the range further on is \
                           believed after a confirmation";
            found.push(Diagnostic::warning("max_rate", message).help("set kind, or max_rate in units per hour"));
        }
        if matches!(self.source, Input::Crops(_)) {
            let message = "crops of detections show another place each time: a meter needs a source";
            found.push(Diagnostic::error("source", message));
        }
        found
    }
}

/// Most that a large household's connection gives, in `unit` per hour.
fn usual_rate(kind: Quantity, unit: &str) -> Option<f64> {
    kind.unit(unit)?;
    // Cubic metres an hour of water and gas; kilowatts; litres of oil that a burner takes.
    let (base, base_unit) = match kind {
        Quantity::Water => (10.0, "m³"),
        Quantity::Gas => (16.0, "m³"),
        Quantity::Electricity => (80.0, "kWh"),
        Quantity::Heat => (150.0, "kWh"),
        Quantity::Oil => (50.0, "L"),
    };
    let in_base = |unit: &str| {
        Some(match unit {
            "m³" | "MWh" => 1000.0,
            "L" | "kWh" => 1.0,
            "ft³" => 28.316_85,
            "CCF" => 2_831.685,
            "gal" => 3.785_41,
            "Wh" => 0.001,
            "MJ" => 0.277_778,
            "GJ" => 277.778,
            _ => return None,
        })
    };
    Some(base * in_base(base_unit)? / in_base(unit)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(text: &str) -> MeterConfig {
        toml_edit::de::from_str(&format!("name = \"water\"\nsource = \"camera\"\n{text}")).unwrap()
    }

    #[test]
    fn a_meter_is_a_pipeline_of_one_or_two_models() {
        let digits = "digits = [{ rect = [0, 0, 10, 20] }, { rect = [10, 0, 10, 20] }]\n";
        let dials = "dials = [{ rect = [0, 30, 20, 20] }, { rect = [20, 30, 20, 20], clockwise = false }]\n";
        let both = meter(&format!("kind = \"water\"\n{digits}{dials}"));
        assert_eq!(both.check(), []);
        let (pipeline, settings) = (both.pipeline(), both.settings());
        assert_eq!((pipeline.model_name(), pipeline.preprocess.regions.len()), (DIGITS_MODEL, 2));
        assert_eq!(pipeline.meter.as_ref().unwrap().model.as_deref(), Some(DIALS_MODEL));
        assert_eq!(settings.places[2..], [Kind::Dial { clockwise: true }, Kind::Dial { clockwise: false }]);
        assert_eq!((settings.meter.decimals, settings.meter.unit.as_deref()), (2, Some("m³")));
        assert_eq!(settings.max_rate, Some(10.0));
        let only_dials = meter(dials).pipeline();
        assert_eq!((only_dials.model_name(), only_dials.preprocess.regions.len()), (DIALS_MODEL, 2));
        assert_eq!(only_dials.meter.unwrap().model, None);
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_key() {
        let keys = |text: &str| meter(text).check().into_iter().map(|d| d.key).collect::<Vec<_>>();
        let digit = "digits = [{ rect = [0, 0, 10, 20] }]\nkind = \"gas\"\n";
        assert_eq!(keys("kind = \"gas\""), ["digits"]);
        assert_eq!(keys(&format!("{digit}decimals = 2")), ["decimals"]);
        assert_eq!(keys(&format!("{digit}unit = \"kWh\"")), ["unit", "max_rate"]);
        assert_eq!(keys(&format!("{digit}dials = [{{ clockwise = true }}]")), ["dials[0]"]);
        assert_eq!(keys("digits = [{ rect = [0, 0, 10, 20] }]"), ["max_rate"]);
    }

    #[test]
    fn rates_are_in_the_unit_of_the_meter() {
        for (kind, unit, rate) in [
            (Quantity::Water, "L", 10_000.0),
            (Quantity::Gas, "ft³", 565.0),
            (Quantity::Electricity, "Wh", 80_000.0),
            (Quantity::Heat, "GJ", 0.54),
        ] {
            let found = usual_rate(kind, unit).unwrap();
            assert!((found / rate - 1.0).abs() < 0.01, "{kind:?} {unit}: {found}");
        }
    }
}
