//! `synthetic`: a camera that needs no camera: a drawn counter of a water or power meter with the right answer, or a street.

use std::time::{Duration, Instant, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Context, Next, Source, SourceError};
use super::kind::{Frames, SourceKind, interval};
use super::sizes;
use crate::frame::diagnostic::Diagnostic;
use crate::frame::{Frame, PixelFormat};
use crate::scene::{Counter, Fonts, Gears, Knock, Scene, Street, Weather, running, truth};

/// A drawn scene: a five-digit counter, as a water or power meter shows it, or a street.
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
    /// Seed of everything that varies: font, light, noise, blur, perspective, start value; the street and who comes when.
    pub seed: u64,
    /// Stop after this many pictures; 0 = never.
    pub frames: u64,
    /// The scene.
    pub scene: SyntheticScene,
    /// Light and weather over the street.
    pub weather: Weather,
    /// People, bicycles and cars in the street, as a multiple of the usual number; 0 = nobody.
    #[schemars(range(min = 0, max = 4))]
    pub traffic: f64,
}

/// Scene of a [`SyntheticConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyntheticScene {
    /// A five-digit counter of a water or power meter.
    #[default]
    Meter,
    /// A water meter with five drums and four dials.
    Dials,
    /// A street with people, bicycles, cars and dogs.
    Street,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        SyntheticConfig {
            width: 640,
            height: 480,
            fps: 15.0,
            seed: 1,
            frames: 0,
            scene: SyntheticScene::Meter,
            weather: Weather::Day,
            traffic: 1.0,
        }
    }
}

impl SourceKind for SyntheticConfig {
    fn open(&self, _: Context) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(Synthetic::new(self)?))
    }

    fn describe(&self) -> String {
        match self.scene {
            SyntheticScene::Meter => "the meter that leptond draws".into(),
            SyntheticScene::Dials => "the water meter that leptond draws".into(),
            SyntheticScene::Street => "the street that leptond draws".into(),
        }
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

    fn check(&self) -> Vec<Diagnostic> {
        let usual = SyntheticConfig::default();
        let unused = [("weather", self.weather != usual.weather), ("traffic", self.traffic != usual.traffic)];
        let of_the_street = |key: &str| {
            Diagnostic::warning(key, "has no effect on the meter").help("scene = \"street\" has weather and traffic")
        };
        let is_meter = self.scene != SyntheticScene::Street;
        unused.iter().filter(|(_, set)| is_meter && *set).map(|(key, _)| of_the_street(key)).collect()
    }

    fn view(&self) -> Option<String> {
        // Digits stand in the same place for every seed; streets do not.
        Some(match self.scene {
            SyntheticScene::Meter => format!("synthetic {}x{}", self.width, self.height),
            SyntheticScene::Dials => format!("synthetic dials {}x{}", self.width, self.height),
            SyntheticScene::Street => format!("street {} {}x{}", self.seed, self.width, self.height),
        })
    }
}

/// Longest sleep in one call of [`Source::next`].
const NAP: Duration = Duration::from_millis(400);

/// JPEG quality of the pictures of a street.
const QUALITY: u8 = 85;

/// A drawn scene as a source of JPEG pictures.
struct Synthetic {
    config: SyntheticConfig,
    view: View,
    /// `[width, height]` of the pictures in pixels: as configured, or lowered.
    size: [u32; 2],
    /// Pictures given so far.
    given: u64,
    /// Due time of picture 0, had all been on time; set at the first call.
    began: Option<Instant>,
}

/// Scene that is drawn.
enum View {
    /// A counter, and the meter that shows it.
    Meter(Counter, Box<Scene>),
    /// A water meter with dials, and the gears in it.
    Dials(u64, Gears, Box<Scene>),
    /// A street, and its last picture, `[H, W, 3]`.
    Street(Box<Street>, Vec<u8>),
}

impl View {
    fn new(config: &SyntheticConfig, width: u16, height: u16) -> Self {
        let SyntheticConfig { seed, weather, traffic, .. } = *config;
        match config.scene {
            SyntheticScene::Meter => {
                View::Meter(Counter::new(seed), Box::new(Scene::new(seed, Fonts::All, width, height)))
            }
            SyntheticScene::Dials => {
                let scene = Scene::with_dials(seed, width, height, None, Knock::default());
                View::Dials(seed, Gears::new(seed), Box::new(scene))
            }
            SyntheticScene::Street => {
                View::Street(Box::new(Street::new(seed, weather, traffic as f32, width, height)), Vec::new())
            }
        }
    }

    /// Writes picture number `frame`, of the moment `at`, as JPEG over `out`, and gives the right answer.
    fn render(
        &mut self,
        at: Duration,
        frame: u64,
        [width, height]: [u32; 2],
        out: &mut Vec<u8>,
    ) -> Result<Option<String>, jpeg_encoder::EncodingError> {
        match self {
            View::Meter(counter, scene) => {
                let shown = counter.at(at.as_secs_f64());
                scene.render(&shown, frame, out)?;
                Ok(Some(shown.truth()))
            }
            View::Dials(seed, gears, scene) => {
                let counts = running(*seed, at.as_secs_f64());
                scene.render_positions(&gears.at(counts), frame, out)?;
                Ok(Some(truth(counts)))
            }
            // Its truth is places, which no label can be held against.
            View::Street(street, pixels) => {
                street.draw(at, pixels);
                out.clear();
                let encoder = jpeg_encoder::Encoder::new(out, QUALITY);
                encoder.encode(pixels, width as u16, height as u16, jpeg_encoder::ColorType::Rgb)?;
                Ok(None)
            }
        }
    }
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
        if !(0.0..=4.0).contains(&config.traffic) {
            return Err(bad(format!("traffic = {} is outside 0 to 4", config.traffic)));
        }
        Ok(Synthetic {
            view: View::new(config, width, height),
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
        let what = match &self.view {
            View::Meter(_, scene) | View::Dials(_, _, scene) => format!("font {}", scene.font()),
            View::Street(..) => "a street".into(),
        };
        format!("synthetic {width}x{height} {fps} fps, seed {seed}, {what}")
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
        let at = Duration::from_secs_f64(self.given as f64 / self.config.fps);
        let image = frame.image_mut();
        let full = [self.config.width, self.config.height];
        [image.width, image.height] = self.size;
        (image.format, image.stride) = (PixelFormat::Jpeg, 0);
        image.full = (self.size != full).then_some(full);
        let truth = self
            .view
            .render(at, self.given, self.size, &mut image.data)
            .map_err(|e| SourceError::Bad { origin: "synthetic".into(), reason: e.to_string() })?;
        frame.truth = truth;
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
            self.view = View::new(&self.config, width, height);
            self.size = size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_street_is_given_as_pictures_without_a_label() {
        let config =
            SyntheticConfig { scene: SyntheticScene::Street, fps: 240.0, seed: 3, ..SyntheticConfig::default() };
        let mut source = Synthetic::new(&SyntheticConfig { width: 160, height: 120, ..config }).unwrap();
        let mut frame = Frame::empty();
        let mut pictures = Vec::new();
        for _ in 0..2 {
            assert_eq!(source.next(&mut frame).unwrap(), Next::Frame);
            assert_eq!(frame.truth, None);
            let image = frame.image_mut();
            assert_eq!((image.width, image.height, image.data.get(..2)), (160, 120, Some(&[0xff, 0xd8][..])));
            pictures.push(image.data.clone());
        }
        assert!(pictures[0] != pictures[1], "noise changes from picture to picture");
        source.set_capture(Some(80));
        assert_eq!(source.next(&mut frame).unwrap(), Next::Frame);
        assert_eq!((frame.image_mut().width, frame.image_mut().full), (80, Some([160, 120])));
    }

    #[test]
    fn keys_of_the_street_are_told_where_they_do_nothing() {
        let check = |text: &str, keys: &[&str]| {
            let config: SyntheticConfig = toml_edit::de::from_str(text).unwrap();
            let found: Vec<String> = config.check().into_iter().map(|d| d.key).collect();
            assert_eq!(found, keys, "{text}");
        };
        check("", &[]);
        check("weather = \"storm\"\ntraffic = 2.0", &["weather", "traffic"]);
        check("scene = \"street\"\nweather = \"storm\"\ntraffic = 0.0", &[]);
    }

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
