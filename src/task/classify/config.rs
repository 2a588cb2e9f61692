//! `[pipeline.task]` with `type = "classify"`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::diagnostic::{Diagnostic, unique};
use crate::frame::quantity::unit_or_usual;
use crate::frame::status::Meter;
use crate::frame::{Label, Quantity, TaskSpec, VALUE_DIGITS};
use crate::task::labels;

/// One class for the whole picture or window, or one for each region, joined to a reading.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifyConfig {
    /// Least score that counts, 0 to 1; unset = as the model bundle says, else 0 for whole pictures, 0.8 for readings from
    /// regions.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_score: Option<f32>,
    /// Labels that count; empty = all.
    pub labels: Vec<String>,
    /// Number of labels that are published with their scores; unset = 3.
    #[schemars(range(min = 1, max = 100))]
    pub top_k: Option<u32>,
    /// Frames over which scores are averaged (exponentially); 1 = none, the default.
    #[schemars(range(min = 1, max = 1000))]
    pub smoothing: Option<u32>,
    /// Applies softmax to the model's output; unset = unless the output is a distribution already (a quantised output that can
    /// only hold 0 to 1, or values in 0 to 1 whose sum is 1).
    pub softmax: Option<bool>,
    /// With regions: holds back a reading below the last good one, or too far above it (a meter does not run backwards and does
    /// not leap).
    pub monotonic: bool,
    /// With `monotonic`: time for which a reading that runs backwards or leaps must be read without contradiction, in at least
    /// three pictures, before it is believed after all, in s; unset = 10.
    #[schemars(range(min = 0.0, max = 86_400.0))]
    pub confirm_s: Option<f32>,
    /// With `monotonic`: the meter's highest rate in counts of its last digit per hour; unset = learnt from what is read.
    #[schemars(range(min = 0.001, max = 1e12))]
    pub max_rate: Option<f64>,
    /// With `monotonic`: the largest step from one good reading to the next that is believed at once, in counts of the last
    /// digit; unset = no other limit than `max_rate`.
    #[schemars(range(min = 1))]
    pub max_step: Option<u64>,
    /// With regions: quantity that the meter counts; unset = none that is known.
    pub quantity: Option<Quantity>,
    /// With regions: unit of the reading; unset = the usual one of `quantity`.
    #[schemars(length(min = 1, max = 16))]
    pub unit: Option<String>,
    /// With regions: how many of them stand behind the decimal point; unset = 0.
    #[schemars(range(min = 0, max = 9))]
    pub decimals: Option<u8>,
}

impl ClassifyConfig {
    pub(super) fn merged(self, below: Self) -> Self {
        ClassifyConfig {
            min_score: self.min_score.or(below.min_score),
            labels: labels::either(self.labels, below.labels),
            top_k: self.top_k.or(below.top_k),
            smoothing: self.smoothing.or(below.smoothing),
            softmax: self.softmax.or(below.softmax),
            monotonic: self.monotonic || below.monotonic,
            confirm_s: self.confirm_s.or(below.confirm_s),
            max_rate: self.max_rate.or(below.max_rate),
            max_step: self.max_step.or(below.max_step),
            quantity: self.quantity.or(below.quantity),
            unit: self.unit.or(below.unit),
            decimals: self.decimals.or(below.decimals),
        }
    }

    /// True where the regions of a picture are joined to one reading.
    pub(super) fn is_reading(&self, spec: &TaskSpec) -> bool {
        spec.items > 1 || self.monotonic
    }

    /// The instrument whose digits are read.
    pub(super) fn meter(&self) -> Meter {
        Meter {
            counts_up: self.monotonic,
            feeds_back: false,
            quantity: self.quantity,
            unit: unit_or_usual(self.unit.as_deref(), self.quantity).map(str::to_owned),
            decimals: self.decimals.unwrap_or(0),
        }
    }

    pub(super) fn faults(&self, regions: usize) -> Vec<Diagnostic> {
        let mut found = unique(&self.labels, "labels");
        if self.monotonic && regions == 0 {
            found.push(
                Diagnostic::warning("monotonic", "has no effect without preprocess.regions")
                    .help("a reading is made of one label per region"),
            );
        }
        found.extend(self.meter_faults(regions));
        for (key, set) in [
            ("confirm_s", self.confirm_s.is_some()),
            ("max_rate", self.max_rate.is_some()),
            ("max_step", self.max_step.is_some()),
        ] {
            if set && !self.monotonic {
                found.push(Diagnostic::warning(key, "has no effect without monotonic = true"));
            }
        }
        let range = u32::try_from(regions).ok().and_then(|n| 10_u64.checked_pow(n));
        if let (Some(step), Some(range)) = (self.max_step, range)
            && range > 1
            && step > range / 2
        {
            let message = "more than half of what the regions can show: such a step cannot be told from one back";
            let diagnostic = Diagnostic::warning("max_step", message).found(step.to_string());
            found.push(diagnostic.allowed(format!("1 to {}", range / 2)));
        }
        found
    }

    fn meter_faults(&self, regions: usize) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for (key, set) in [
            ("quantity", self.quantity.is_some()),
            ("unit", self.unit.is_some()),
            ("decimals", self.decimals.is_some()),
        ] {
            if set && regions == 0 {
                found.push(
                    Diagnostic::warning(key, "has no effect without preprocess.regions")
                        .help("a reading is made of one label per region"),
                );
            }
        }
        if regions == 0 {
            return found;
        }
        if let (Some(quantity), Some(unit)) = (self.quantity, &self.unit)
            && quantity.unit(unit).is_none()
        {
            let message = "not a unit of the quantity";
            found.push(
                Diagnostic::error("unit", message).found(format!("{unit:?}")).allowed(quantity.units().join(", ")),
            );
        }
        if let Some(decimals) = self.decimals
            && usize::from(decimals) > regions
        {
            let message = "more digits behind the decimal point than there are regions";
            let diagnostic = Diagnostic::error("decimals", message).found(decimals.to_string());
            found.push(diagnostic.allowed(format!("0 to {regions}")));
        }
        if self.quantity.is_some() && regions > VALUE_DIGITS {
            let message =
                format!("a reading of {regions} digits has no number: {VALUE_DIGITS} are exact for every reader");
            found.push(Diagnostic::warning("quantity", message));
        }
        if self.quantity.is_some() && !self.monotonic {
            let message = "without monotonic = true, a digit read wrong once counts as consumption";
            found.push(Diagnostic::warning("quantity", message).help("add monotonic = true"));
        }
        found
    }

    pub(super) fn label_faults(&self, known: &[Label]) -> Vec<Diagnostic> {
        labels::check(&self.labels, known)
    }
}
