//! A pipeline's settings laid over the bundle's defaults.

use serde_json::{Map, Value};

use super::{Config, SetupError};

impl Config {
    /// These settings, with `defaults` (the bundle's `[defaults]`, same keys) for what they leave unset. A `threshold` set
    /// here without a calibration period is meant to be used, whatever period the bundle has.
    ///
    /// # Errors
    /// [`SetupError`] naming what is wrong in the bundle's defaults.
    pub fn over(&self, defaults: &Map<String, Value>) -> Result<Config, SetupError> {
        let bad = |e: serde_json::Error| SetupError { key: "defaults", reason: e.to_string() };
        let below: Config = serde_json::from_value(Value::Object(defaults.clone())).map_err(bad)?;
        let calibration_s = match (self.calibration_s, self.threshold) {
            (None, Some(_)) => Some(0.0),
            (own, _) => own.or(below.calibration_s),
        };
        Ok(Config {
            kind: self.kind.or(below.kind),
            min_score: self.min_score.or(below.min_score),
            labels: if self.labels.is_empty() { below.labels } else { self.labels.clone() },
            top_k: self.top_k.or(below.top_k),
            smoothing: self.smoothing.or(below.smoothing),
            softmax: self.softmax.or(below.softmax),
            monotonic: self.monotonic || below.monotonic,
            confirm_s: self.confirm_s.or(below.confirm_s),
            max_rate: self.max_rate.or(below.max_rate),
            max_step: self.max_step.or(below.max_step),
            nms_iou: self.nms_iou.or(below.nms_iou),
            max_detections: self.max_detections.or(below.max_detections),
            appear_s: self.appear_s.or(below.appear_s),
            vanish_s: self.vanish_s.or(below.vanish_s),
            calibration_s,
            threshold: self.threshold.or(below.threshold),
            hysteresis: self.hysteresis.or(below.hysteresis),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_the_pipeline_sets_wins() {
        let below =
            defaults(r#"{"min_score": 0.7, "top_k": 5, "labels": ["a"], "calibration_s": 30.0, "threshold": 2.0}"#);
        let own = Config { min_score: Some(0.2), ..Config::default() };
        let merged = own.over(&below).unwrap();
        assert_eq!((merged.min_score, merged.top_k, merged.calibration_s), (Some(0.2), Some(5), Some(30.0)));
        assert_eq!(merged.labels, ["a"]);
        let fixed = Config { threshold: Some(9.0), ..Config::default() }.over(&below).unwrap();
        assert_eq!((fixed.threshold, fixed.calibration_s), (Some(9.0), Some(0.0)));
    }

    #[test]
    fn wrong_defaults_are_named() {
        let error = Config::default().over(&defaults(r#"{"min_scores": 0.7}"#)).unwrap_err();
        assert!(error.to_string().contains("min_scores"), "{error}");
        let error = Config::default().over(&defaults(r#"{"top_k": "many"}"#)).unwrap_err();
        assert!(error.to_string().contains("many"), "{error}");
    }
}
