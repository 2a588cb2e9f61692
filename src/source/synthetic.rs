//! `synthetic`: a camera that needs no camera, a drawn counter of a water or power meter with the right answer.

use std::time::{Duration, Instant, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Context, Next, Source, SourceError};
use super::kind::{Frames, SourceKind, interval};
use super::sizes;
use crate::frame::{Frame, PixelFormat};
use crate::scene::{Counter, Fonts, Scene};

/// A rendered five-digit counter, as a water or power meter shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Picture width in pixels.
    #[schemars(range(min = 64, max = 4096))]
    pub width: u32,
    /// Picture height in pixels.
    #[schemars(range(min = 48, max = 4096))]
    pub height: u32,
    /// Pictures per second.
    #[schemars(range(min = 0.01, max = 240.0))]
    pub fps: f64,
    /// Seed of everything that varies: font, light, noise, blur, perspective, start value.
    pub seed: u64,
    /// Stop after this many pictures; 0 = never.
    pub frames: u64,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        SyntheticConfig { width: 640, height: 480, fps: 15.0, seed: 1, frames: 0 }
    }
}

impl SourceKind for SyntheticConfig {
    fn open(&self, _: Context) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(Synthetic::new(self)?))
    }

    fn describe(&self) -> String {
        "the meter that leptond draws".into()
    }

    fn frames(&self) -> Frames<'_> {
        Frames::Pictures { format: PixelFormat::Jpeg, size: Some([self.width, self.height]) }
    }

    fn frame_interval(&self) -> Duration {
        interval(self.fps)
    }

    fn begins_anew(&self) -> bool {
        true
    }

    fn capture_sizes(&self, _regions: bool) -> Vec<[u32; 2]> {
        sizes::free([self.width, self.height], 2)
    }

    fn view(&self) -> Option<String> {
        Some(format!("synthetic {}x{}", self.width, self.height))
    }
}

/// Longest sleep in one call of [`Source::next`].
const NAP: Duration = Duration::from_millis(400);

/// The counter as a source of JPEG pictures.
struct Synthetic {
    config: SyntheticConfig,
    counter: Counter,
    scene: Scene,
    /// `[width, height]` of the pictures in pixels: as configured, or lowered.
    size: [u32; 2],
    /// Pictures given so far.
    given: u64,
    /// Due time of picture 0, had all been on time; set at the first call.
    began: Option<Instant>,
}

impl Synthetic {
    /// Paints the scene.
    ///
    /// # Errors
    /// [`SourceError::Fatal`] for a size or rate outside the configuration's ranges.
    fn new(config: &SyntheticConfig) -> Result<Self, SourceError> {
        let bad = |reason: String| SourceError::Fatal { origin: "synthetic".into(), reason };
        let side = |name: &str, value: u32, from: u16| match u16::try_from(value) {
            Ok(v) if (from..=4096).contains(&v) => Ok(v),
            _ => Err(bad(format!("{name} = {value} is outside {from} to 4096"))),
        };
        let (width, height) = (side("width", config.width, 64)?, side("height", config.height, 48)?);
        if !(0.01..=240.0).contains(&config.fps) {
            return Err(bad(format!("fps = {} is outside 0.01 to 240", config.fps)));
        }
        Ok(Synthetic {
            counter: Counter::new(config.seed),
            scene: Scene::new(config.seed, Fonts::All, width, height),
            size: [config.width, config.height],
            config: config.clone(),
            given: 0,
            began: None,
        })
    }

    /// Due time of the next picture. A source that was held up for more than a picture's time does not hurry after: its
    /// schedule moves.
    fn due(&mut self, now: Instant) -> Instant {
        let period = Duration::from_secs_f64(1.0 / self.config.fps);
        let ahead = Duration::from_secs_f64(self.given as f64 / self.config.fps);
        let due = *self.began.get_or_insert(now) + ahead;
        if now > due + period {
            self.began = now.checked_sub(ahead);
            return now;
        }
        due
    }
}

impl Source for Synthetic {
    fn describe(&self) -> String {
        let SyntheticConfig { width, height, fps, seed, .. } = self.config;
        format!("synthetic {width}x{height} {fps} fps, seed {seed}, font {}", self.scene.font())
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        if self.config.frames > 0 && self.given >= self.config.frames {
            return Ok(Next::End);
        }
        let now = Instant::now();
        let wait = self.due(now).saturating_duration_since(now);
        std::thread::sleep(wait.min(NAP));
        if wait > NAP {
            return Ok(Next::Idle("waiting for the next picture".into()));
        }
        let shown = self.counter.at(self.given as f64 / self.config.fps);
        let image = frame.image_mut();
        let full = [self.config.width, self.config.height];
        [image.width, image.height] = self.size;
        (image.format, image.stride) = (PixelFormat::Jpeg, 0);
        image.full = (self.size != full).then_some(full);
        self.scene
            .render(&shown, self.given, &mut image.data)
            .map_err(|e| SourceError::Bad { origin: "synthetic".into(), reason: e.to_string() })?;
        frame.truth = Some(shown.truth());
        frame.origin.clear();
        frame.origin.push_str("synthetic");
        (frame.captured, frame.time) = (Instant::now(), SystemTime::now());
        self.given += 1;
        Ok(Next::Frame)
    }

    fn set_capture(&mut self, side: Option<u32>) {
        let full = [self.config.width, self.config.height];
        let size = side.map_or(full, |side| sizes::scaled(full, side, 2));
        // No size that is configured or offered is outside of this.
        let [Ok(width), Ok(height)] = size.map(u16::try_from) else { return };
        if size != self.size {
            self.scene = Scene::new(self.config.seed, Fonts::All, width, height);
            self.size = size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lowered_picture_is_drawn_smaller_and_says_so() {
        let config = SyntheticConfig { fps: 240.0, seed: 3, ..SyntheticConfig::default() };
        let mut source = Synthetic::new(&config).unwrap();
        let mut frame = Frame::empty();
        let mut next = |source: &mut Synthetic| {
            assert_eq!(source.next(&mut frame).unwrap(), Next::Frame);
            let image = frame.image_mut();
            (image.width, image.full, image.data.len())
        };
        let full = next(&mut source);
        assert_eq!((full.0, full.1), (640, None));
        source.set_capture(Some(320));
        let lowered = next(&mut source);
        assert_eq!((lowered.0, lowered.1), (320, Some([640, 480])));
        assert!(lowered.2 < full.2, "{} and {} bytes", lowered.2, full.2);
        source.set_capture(None);
        assert_eq!(next(&mut source).1, None);
    }
}
