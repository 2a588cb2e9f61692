//! A camera that needs no camera: a five-digit counter of a water or power meter, drawn by code, with the right answer.
//!
//! A seed decides the meter, font, colours, position, light, sharpness, noise and number; equal seeds and frame numbers give
//! equal pictures. The digits stand in the same place for every seed, within a few pixels: [`regions`] says where.

mod chance;
mod counter;
mod fault;
mod font;
mod look;
mod meter;
mod paint;
mod scene;
mod skeleton;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime};

pub use chance::Chance;
pub use counter::{Counter, DIGITS, ROLLED, Shown};
pub use fault::Fault;
pub use look::Fonts;
pub use scene::Scene;

use super::{Next, Source, SourceError, SyntheticConfig, sizes};
use crate::frame::{Frame, PixelFormat};

/// Longest sleep in one call of [`Source::next`].
const NAP: Duration = Duration::from_millis(400);

/// Where the five digits are in a picture of this size, for every seed: `[x, y, width, height]` in pixels, left to right.
/// At 640×480 each is 72×96.
pub fn regions(width: u32, height: u32) -> [[f32; 4]; DIGITS] {
    let unit = look::unit(width, height);
    let (w, h) = (scene::CELL_WIDTH * unit, 96.0 * unit);
    let (left, top) = (width as f32 / 2.0 - 2.5 * w, height as f32 / 2.0 - h / 2.0);
    std::array::from_fn(|i| [left + i as f32 * w, top, w, h])
}

/// The counter as a source of JPEG pictures.
pub struct Synthetic {
    config: SyntheticConfig,
    counter: Counter,
    scene: Scene,
    /// `[width, height]` of the pictures in pixels: as configured, or lowered.
    size: [u32; 2],
    /// Pictures given so far.
    given: u64,
    /// When picture 0 was due, had all been on time; set at the first call.
    began: Option<Instant>,
}

impl Synthetic {
    /// Paints the scene.
    ///
    /// # Errors
    /// [`SourceError::Fatal`] for a size or rate outside the configuration's ranges.
    pub fn new(config: &SyntheticConfig) -> Result<Self, SourceError> {
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

    /// When the next picture is due. A source that was held up for more than a picture's time does not hurry after: its
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
