//! Fit between a source and a model, as far as it is known before the first frame.

use std::time::Duration;

use crate::frame::Spec;
use crate::source;

/// Output of a source that a model cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Misfit {
    /// Key of the pipeline's table that is to be changed.
    pub key: &'static str,
    /// The source's output beside the model's input.
    pub reason: String,
}

/// Time between two frames of a source at full work; zero where it is not known.
pub fn frame_interval(source: &source::Config) -> Duration {
    let by_fps = |fps: f64| if fps > 0.0 { Duration::from_secs_f64(1.0 / fps) } else { Duration::ZERO };
    match source {
        source::Config::Synthetic(c) => by_fps(c.fps),
        source::Config::Files(c) => by_fps(c.fps),
        source::Config::V4l2(c) => by_fps(c.fps),
        source::Config::Rpicam(c) => by_fps(c.fps),
        source::Config::Rtsp(c) => by_fps(c.fps),
        source::Config::Sensor(c) => Duration::from_millis(c.interval_ms * u64::from(c.stride)),
        source::Config::Mqtt(_) => Duration::ZERO,
    }
}

/// Output of a source that the model, whose items have `item_len` values, cannot take, as far as that is known before the
/// first frame.
pub fn misfit(source: &source::Config, spec: &Spec, item_len: usize) -> Option<Misfit> {
    let readings = match source {
        source::Config::Sensor(c) => Some((c.window, &c.channels)),
        source::Config::Mqtt(c) if c.content == source::MqttContent::Numbers => Some((c.window, &c.channels)),
        _ => None,
    };
    let (window, channels, spec) = match (readings, spec) {
        (Some((window, channels)), Spec::Window(spec)) => (window, channels, spec),
        (Some(_), Spec::Image(_)) => {
            let reason = "the source gives readings, the model takes pictures".into();
            return Some(Misfit { key: "source.type", reason });
        }
        (None, Spec::Window(_)) => {
            let reason = "the source gives pictures, the model takes windows of readings".into();
            return Some(Misfit { key: "source.type", reason });
        }
        (None, Spec::Image(_)) => return None,
    };
    if spec.channels.is_empty() && !channels.is_empty() && channels.len() * spec.rows != item_len {
        let (wants, has) = (item_len / spec.rows.max(1), channels.len());
        let names = channels.join(", ");
        let reason = format!("{has} in the list ({names}), and the model takes {wants} values in each reading");
        return Some(Misfit { key: "source.channels", reason });
    }
    if !channels.is_empty() && source::match_names(&spec.channels, channels).is_err() {
        let (wants, has) = (spec.channels.join(", "), channels.join(", "));
        return Some(Misfit { key: "source.channels", reason: format!("found {has}, the model takes {wants}") });
    }
    if !spec.channels.is_empty() && window as usize != spec.rows {
        let reason = format!("found {window}, the model takes windows of {} readings", spec.rows);
        return Some(Misfit { key: "source.window", reason });
    }
    None
}
