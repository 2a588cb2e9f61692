//! Shared frames and inputs, and a slow reference of the whole path.

use std::time::SystemTime;

use crate::frame::{
    Colour, DType, ElementsMut, Fit, Frame, Image, InputSpec, Layout, Payload, PixelFormat, Quant, Spec, TensorSpec,
    TensorViewMut,
};
use crate::preprocess::{PreprocessError, Preprocessor, Region};

/// A model input owned by the test.
pub struct Input {
    pub spec: TensorSpec,
    pub f32: Vec<f32>,
    pub i8: Vec<i8>,
    pub u8: Vec<u8>,
}

impl Input {
    pub fn new(dtype: DType, shape: &[usize]) -> Self {
        let len = shape.iter().product();
        Input {
            spec: TensorSpec { name: "input".into(), dtype, shape: shape.to_vec(), quant: None },
            f32: vec![-7.0; len],
            i8: vec![-7; len],
            u8: vec![7; len],
        }
    }

    pub fn for_spec(spec: &InputSpec) -> Self {
        let channels = if spec.colour == Colour::Grey { 1 } else { 3 };
        let shape = match spec.layout {
            Layout::Nchw => [spec.batch, channels, spec.height, spec.width],
            Layout::Nhwc => [spec.batch, spec.height, spec.width, channels],
        };
        Input::new(spec.dtype, &shape)
    }

    pub fn view(&mut self) -> TensorViewMut<'_> {
        let data = match self.spec.dtype {
            DType::I8 => ElementsMut::I8(&mut self.i8),
            DType::U8 => ElementsMut::U8(&mut self.u8),
            _ => ElementsMut::F32(&mut self.f32),
        };
        TensorViewMut { spec: &self.spec, data }
    }

    /// The stored values as reals, not dequantised.
    pub fn values(&self) -> Vec<f32> {
        match self.spec.dtype {
            DType::I8 => self.i8.iter().map(|&v| f32::from(v)).collect(),
            DType::U8 => self.u8.iter().map(|&v| f32::from(v)).collect(),
            _ => self.f32.clone(),
        }
    }
}

/// One item of `height × width`, pixels stored as they are (0 to 255) as `dtype` u8.
pub fn plain(height: usize, width: usize, colour: Colour) -> InputSpec {
    InputSpec {
        batch: 1,
        height,
        width,
        layout: Layout::Nhwc,
        colour,
        fit: Fit::Stretch,
        mean: [0.0; 3],
        std: [1.0; 3],
        dtype: DType::U8,
        quant: Some(Quant { scale: 1.0 / 255.0, zero_point: 0 }),
    }
}

pub fn frame(format: PixelFormat, width: u32, height: u32, stride: u32, data: Vec<u8>) -> Frame {
    frame_of(Payload::Image(Image { format, width, height, stride, full: None, data }))
}

/// A frame with this payload.
pub fn frame_of(payload: Payload) -> Frame {
    Frame { seq: 1, time: SystemTime::UNIX_EPOCH, origin: "test".into(), payload, ..Frame::empty() }
}

/// Runs once on a fresh preprocessor. Returns the stored values.
pub fn run(spec: &InputSpec, regions: &[Region], frame: &Frame) -> Result<Vec<f32>, PreprocessError> {
    let mut input = Input::for_spec(spec);
    Preprocessor::new(Spec::Image(spec.clone()), regions.to_vec()).run(frame, input.view(), 0)?;
    Ok(input.values())
}

/// A picture that is smooth enough for JPEG and chroma subsampling, different in each channel and at each edge.
pub fn smooth(width: usize, height: usize) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            rgb.extend([40.0 + 170.0 * u, 210.0 - 150.0 * v, 60.0 + 60.0 * (u + v)].map(|p: f32| p as u8));
        }
    }
    rgb
}

/// Noise, the same for the same seed.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

pub fn jpeg(rgb: &[u8], width: u16, height: u16, sampling: jpeg_encoder::SamplingFactor) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, 95);
    encoder.set_sampling_factor(sampling);
    encoder.encode(rgb, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    out
}

/// Slow, obvious scaling: for each output pixel the mean of the source weighted by a triangle as wide as two output pixels
/// (two source pixels when enlarging). `pixel(x, y)` is one channel.
pub fn resample(
    pixel: impl Fn(usize, usize) -> f32,
    size: [usize; 2],
    [x, y, w, h]: [f64; 4],
    out: [usize; 2],
) -> Vec<f32> {
    let weights = |origin: f64, extent: f64, n: usize, i: usize, limit: usize| -> Vec<f64> {
        let scale = extent / n as f64;
        let radius = scale.max(1.0);
        let centre = origin + (i as f64 + 0.5) * scale;
        let raw: Vec<f64> = (0..limit).map(|p| (1.0 - (p as f64 + 0.5 - centre).abs() / radius).max(0.0)).collect();
        let sum: f64 = raw.iter().sum();
        raw.iter().map(|v| v / sum).collect()
    };
    let mut result = Vec::new();
    for row in 0..out[1] {
        let down = weights(y, h, out[1], row, size[1]);
        for column in 0..out[0] {
            let across = weights(x, w, out[0], column, size[0]);
            let mut sum = 0.0;
            for (py, wy) in down.iter().enumerate().filter(|w| *w.1 > 0.0) {
                for (px, wx) in across.iter().enumerate().filter(|w| *w.1 > 0.0) {
                    sum += wx * wy * f64::from(pixel(px, py));
                }
            }
            result.push(sum as f32);
        }
    }
    result
}

/// Asserts that values differ by `tolerance` at most.
#[track_caller]
pub fn close(found: &[f32], wanted: &[f32], tolerance: f32) {
    assert_eq!(found.len(), wanted.len());
    let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let (index, difference) = worst.unwrap();
    assert!(
        difference <= tolerance,
        "element {index}: found {}, wanted {}, difference {difference} > {tolerance}",
        found[index],
        wanted[index]
    );
}
