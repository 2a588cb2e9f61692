//! A sample frame like those that a source will give, to time inferences with before it has given any.

use std::sync::Arc;

use crate::frame::{Frame, PixelFormat, Spec};
use crate::preprocess::Region;
use crate::scene::{Counter, Fonts, Scene};
use crate::source::{self, Frames};

/// Size of the pictures of a source that does not say it.
const SIZE: [u32; 2] = [640, 480];

/// The largest side of a picture that is drawn.
const MAX_SIDE: u32 = 4096;

/// Format and size of a sample frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    /// A picture in this format, `[width, height]` in pixels.
    Picture(PixelFormat, [u32; 2]),
    /// A window of readings.
    Window,
}

impl Sample {
    /// The frames that `source` will give, as far as its configuration tells: a camera's configured size and format; JPEG pictures of 640×480
    /// pixels where it does not say, or as large as `regions` need and no smaller than `least`, `[width, height]`.
    pub(crate) fn of(source: &source::Config, regions: &[Region], least: [u32; 2]) -> Sample {
        let usual = [0, 1].map(|axis| SIZE[axis].max(least[axis]).min(MAX_SIDE).next_multiple_of(2));
        match source.kind().frames() {
            Frames::Pictures { format, size } => Sample::Picture(format, enclose(size.unwrap_or(usual), regions)),
            Frames::Windows { .. } => Sample::Window,
        }
    }

    /// A frame of this kind for a model that wants `spec`, whose items have `item_len` values each. Pictures in a camera's own
    /// format are grey, since decoding takes as long whatever they show; JPEG pictures are the synthetic counter, with noise.
    ///
    /// # Errors
    /// The reason that none can be made, in words.
    pub(crate) fn frame(self, spec: &Spec, item_len: usize) -> Result<Frame, String> {
        let (format, [width, height]) = match (self, spec) {
            (Sample::Window, Spec::Window(spec)) => {
                let mut frame = Frame::empty();
                let window = frame.window_mut();
                window.channels = Arc::from(spec.channels.clone());
                window.rows = spec.rows;
                window.data = vec![1.0; item_len];
                return Ok(frame);
            }
            (Sample::Window, Spec::Readings) => {
                let mut frame = Frame::empty();
                let window = frame.window_mut();
                (window.channels, window.rows, window.data) = (Arc::from(["value".to_owned()]), 1, vec![1.0]);
                return Ok(frame);
            }
            (Sample::Picture(format, size), Spec::Image(_)) => (format, size),
            _ => return Err("source and model are of different kinds".into()),
        };
        if format == PixelFormat::Jpeg {
            return jpeg([width, height]);
        }
        let pixels = width as usize * height as usize;
        let bytes = match format {
            PixelFormat::Yuyv => pixels * 2,
            PixelFormat::Rgb8 | PixelFormat::Bgr8 => pixels * 3,
            _ => pixels * 3 / 2,
        };
        let mut frame = Frame::empty();
        let image = frame.image_mut();
        (image.format, image.width, image.height) = (format, width, height);
        image.data = vec![128; bytes];
        Ok(frame)
    }
}

/// `size`, or as much more as `regions` reach.
fn enclose(size: [u32; 2], regions: &[Region]) -> [u32; 2] {
    let reach = |axis: usize| {
        let of = |region: &Region| match region {
            Region::Rect(r) => r[axis] + r[axis + 2],
            Region::Quad(q) => q.iter().skip(axis).step_by(2).copied().fold(0.0, f32::max),
        };
        // Even, as formats with halved chroma need it.
        (regions.iter().map(of).fold(0.0, f32::max).ceil() as u32).next_multiple_of(2)
    };
    [size[0].max(reach(0)), size[1].max(reach(1))].map(|side| side.min(MAX_SIDE))
}

/// The drawn counter, with noise; never smaller than 64×48 pixels.
fn jpeg([width, height]: [u32; 2]) -> Result<Frame, String> {
    let (width, height) = (width.clamp(64, MAX_SIDE), height.clamp(48, MAX_SIDE));
    let [Ok(w), Ok(h)] = [width, height].map(u16::try_from) else { return Err("no picture is so large".into()) };
    let mut frame = Frame::empty();
    let image = frame.image_mut();
    (image.format, image.width, image.height) = (PixelFormat::Jpeg, width, height);
    let shown = Counter::new(1).at(0.0);
    Scene::new(1, Fonts::All, w, h).render(&shown, 0, &mut image.data).map_err(|e| e.to_string())?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{DType, ElementsMut};
    use crate::frame::{InputSpec, Payload, TensorSpec, TensorViewMut, WindowSpec};
    use crate::preprocess::Preprocessor;
    use crate::source::{Config, RtspConfig};

    fn toml(text: &str) -> Config {
        toml_edit::de::from_str(text).unwrap()
    }

    #[test]
    fn is_what_the_configuration_says() {
        let check = |text: &str, sample: Sample| assert_eq!(Sample::of(&toml(text), &[], [0; 2]), sample, "{text}");
        check("type = \"synthetic\"\nwidth = 320\nheight = 240", Sample::Picture(PixelFormat::Jpeg, [320, 240]));
        check("type = \"v4l2\"\nformat = \"yuyv\"", Sample::Picture(PixelFormat::Yuyv, [640, 480]));
        check("type = \"files\"\npath = \"x\"", Sample::Picture(PixelFormat::Jpeg, [640, 480]));
        check("type = \"rtsp\"\nurl = \"x\"\nwidth = 1280", Sample::Picture(PixelFormat::I420, [1280, 480]));
        check("type = \"sensor\"", Sample::Window);
        check("type = \"mqtt\"\ntopic = \"x\"\ncontent = \"numbers\"", Sample::Window);
        let regions =
            [Region::Rect([600.0, 0.0, 101.0, 20.0]), Region::Quad([0.0, 0.0, 9.0, 0.0, 9.0, 500.0, 0.0, 9.0])];
        let files = toml("type = \"files\"\npath = \"x\"");
        assert_eq!(Sample::of(&files, &regions, [0; 2]), Sample::Picture(PixelFormat::Jpeg, [702, 500]));
    }

    #[test]
    fn every_kind_can_be_preprocessed() {
        let image = InputSpec {
            batch: 1,
            height: 8,
            width: 8,
            layout: Default::default(),
            colour: Default::default(),
            fit: Default::default(),
            mean: [0.0; 3],
            std: [1.0; 3],
            dtype: DType::F32,
            quant: None,
        };
        let (channels, mean, std) = (vec!["a".into(), "b".into()], Vec::new(), Vec::new());
        let window = WindowSpec { batch: 1, rows: 4, channels, mean, std, dtype: DType::F32, quant: None };
        let formats = [PixelFormat::Jpeg, PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::I420];
        let pictures = formats.map(|f| (Sample::Picture(f, [66, 50]), Spec::Image(image.clone()), vec![1, 3, 8, 8]));
        for (kind, spec, shape) in pictures.into_iter().chain([(Sample::Window, Spec::Window(window), vec![1, 4, 2])]) {
            let len = shape.iter().product();
            let frame = kind.frame(&spec, len).unwrap();
            assert_eq!(matches!(frame.payload, Payload::Window(_)), kind == Sample::Window);
            let tensor = TensorSpec { name: "x".into(), dtype: DType::F32, shape, quant: None };
            let mut values = vec![0.0; len];
            let view = TensorViewMut { spec: &tensor, data: ElementsMut::F32(&mut values) };
            Preprocessor::new(spec, Vec::new()).run(&frame, view, 0).unwrap_or_else(|e| panic!("{kind:?}: {e}"));
        }
    }

    #[test]
    fn a_source_of_the_other_kind_gives_none() {
        let window = WindowSpec {
            batch: 1,
            rows: 1,
            channels: Vec::new(),
            mean: Vec::new(),
            std: Vec::new(),
            dtype: DType::F32,
            quant: None,
        };
        let config = RtspConfig { url: "x".into(), ..toml_edit::de::from_str("url = \"x\"").unwrap() };
        assert!(Sample::of(&Config::Rtsp(config), &[], [0; 2]).frame(&Spec::Window(window), 1).is_err());
    }
}
