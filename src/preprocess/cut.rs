//! Cuts parts out of a picture and scales them to the model's size.
//!
//! Scaling is a convolution with a triangle kernel that widens with the factor when shrinking (Pillow's and torchvision's
//! antialiased `BILINEAR`), so nothing between the sampled pixels is lost. Only the needed part is read.

use fast_image_resize::images::{Image as ResizeTarget, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::error::PreprocessError;
use super::picture::{Channels, Picture};
use super::region::Region;
use super::warp::{self, Quad};
use crate::frame::{Fit, Geometry};

/// Pixels by which a region may extend beyond the picture, for rounding in a configuration file.
const SLACK: f64 = 0.01;

/// Source part of one item and its place in the model's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placement {
    /// Part of the source.
    pub from: From,
    /// Left edge, top edge, width and height of the written part in model pixels; the rest is padding.
    pub inner: [usize; 4],
}

/// A part of the source picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum From {
    /// `[x, y, width, height]`, inside the picture.
    Rect([f64; 4]),
    /// Four corners: top left, top right, bottom right, bottom left.
    Quad(Quad),
}

impl Placement {
    /// Source pixels per model pixel, across and down.
    pub fn density(&self) -> [f64; 2] {
        let [width, height] = match self.from {
            From::Rect([_, _, width, height]) => [width, height],
            From::Quad(quad) => warp::sides(&quad),
        };
        let [_, _, inner_width, inner_height] = self.inner;
        [width / inner_width as f64, height / inner_height as f64]
    }

    /// Maps model pixels back to the `[width, height]` picture.
    pub fn geometry(&self, source: [u32; 2]) -> Geometry {
        let [x, y, width, height] = match self.from {
            From::Rect(rect) => rect,
            From::Quad(quad) => {
                let (xs, ys) = (quad.map(|p| p[0]), quad.map(|p| p[1]));
                let (x, y) = (xs.iter().copied().fold(f64::MAX, f64::min), ys.iter().copied().fold(f64::MAX, f64::min));
                let (right, bottom) = (xs.iter().copied().fold(0.0, f64::max), ys.iter().copied().fold(0.0, f64::max));
                [x, y, right - x, bottom - y]
            }
        };
        let [left, top, inner_width, inner_height] = self.inner.map(|v| v as f64);
        let scale = [width / inner_width, height / inner_height];
        Geometry {
            scale: scale.map(|v| v as f32),
            offset: [(x - left * scale[0]) as f32, (y - top * scale[1]) as f32],
            source,
        }
    }
}

/// Plans region `index` (or the whole picture, `None`) of a `[width, height]` picture for a `[height, width]` model input. A
/// quadrilateral is always stretched, since its shape depends only on the camera's position.
pub(super) fn place(
    region: Option<(usize, &Region)>,
    source: [u32; 2],
    size: [usize; 2],
    fit: Fit,
) -> Result<Placement, PreprocessError> {
    let [height, width] = size;
    let whole = [0, 0, width, height];
    let rect = match region {
        None => [0.0, 0.0, f64::from(source[0]), f64::from(source[1])],
        Some((index, region)) => {
            region.check().map_err(|reason| PreprocessError::BadRegion {
                index,
                region: region.to_string(),
                reason,
            })?;
            let outside =
                || PreprocessError::Region { index, region: region.to_string(), width: source[0], height: source[1] };
            match region {
                Region::Rect(rect) => inside(rect.map(f64::from), source).ok_or_else(outside)?,
                Region::Quad(corners) => {
                    let quad = warp::corners(corners);
                    let within = |v: f64, size: u32| v >= -SLACK && v <= f64::from(size) + SLACK;
                    if !quad.iter().all(|p| within(p[0], source[0]) && within(p[1], source[1])) {
                        return Err(outside());
                    }
                    return Ok(Placement { from: From::Quad(quad), inner: whole });
                }
            }
        }
    };
    let [x, y, w, h] = rect;
    let aspect = width as f64 / height as f64;
    Ok(match fit {
        Fit::Stretch => Placement { from: From::Rect(rect), inner: whole },
        Fit::Crop => {
            let (cut_w, cut_h) = (w.min(h * aspect), h.min(w / aspect));
            let cut = [x + (w - cut_w) / 2.0, y + (h - cut_h) / 2.0, cut_w, cut_h];
            Placement { from: From::Rect(cut), inner: whole }
        }
        Fit::Letterbox | Fit::Pad => {
            let scale = (width as f64 / w).min(height as f64 / h);
            let inner_w = ((w * scale).round() as usize).clamp(1, width);
            let inner_h = ((h * scale).round() as usize).clamp(1, height);
            let before = |outer: usize, inner: usize| if fit == Fit::Pad { 0 } else { (outer - inner) / 2 };
            let inner = [before(width, inner_w), before(height, inner_h), inner_w, inner_h];
            Placement { from: From::Rect(rect), inner }
        }
    })
}

/// The rectangle clipped to the picture, or `None` when it extends beyond it.
fn inside([x, y, w, h]: [f64; 4], [width, height]: [u32; 2]) -> Option<[f64; 4]> {
    let (width, height) = (f64::from(width), f64::from(height));
    let fits = x >= -SLACK && y >= -SLACK && x + w <= width + SLACK && y + h <= height + SLACK;
    let (left, top) = (x.max(0.0), y.max(0.0));
    let (w, h) = ((x + w).min(width) - left, (y + h).min(height) - top);
    (fits && w > 0.0 && h > 0.0).then_some([left, top, w, h])
}

/// Cuts and scales; owns the buffers.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    resizer: Resizer,
    warped: Vec<u8>,
    out: Vec<u8>,
}

impl Cutter {
    /// Cuts the placed part of `picture` as `inner height × inner width` packed pixels of the picture's own channels.
    pub fn cut(&mut self, picture: &Picture<'_>, placement: &Placement) -> Result<&mut Vec<u8>, PreprocessError> {
        let [_, _, width, height] = placement.inner;
        self.out.resize(width * height * picture.channels.bytes(), 0);
        let Cutter { resizer, warped, out } = self;
        match placement.from {
            From::Rect(rect) => resize(resizer, picture, rect, out, [width, height])?,
            From::Quad(quad) => {
                // The part is first straightened at about its own resolution, with a margin of one model pixel for the kernel,
                // then scaled like any rectangle.
                let steps = warp::steps(&quad, width, height);
                let (w, h) = ((width + 2) * steps[0], (height + 2) * steps[1]);
                warped.resize(w * h * picture.channels.bytes(), 0);
                warp::straighten(picture, &quad, [width, height], steps, warped);
                let straight = Picture { width: w as u32, height: h as u32, data: warped, ..*picture };
                let core = [steps[0], steps[1], width * steps[0], height * steps[1]].map(|v| v as f64);
                resize(resizer, &straight, core, out, [width, height])?;
            }
        }
        Ok(&mut self.out)
    }

    /// Capacity of the buffers in bytes.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.warped.capacity() + self.out.capacity() + self.resizer.size_of_internal_buffers()
    }
}

fn resize(
    resizer: &mut Resizer,
    picture: &Picture<'_>,
    [x, y, w, h]: [f64; 4],
    out: &mut [u8],
    [width, height]: [usize; 2],
) -> Result<(), PreprocessError> {
    let failed = |e: &dyn std::fmt::Display| PreprocessError::Mismatch(format!("the picture cannot be scaled: {e}"));
    let kind = match picture.channels {
        Channels::Grey => PixelType::U8,
        Channels::GreyChroma => PixelType::U8x2,
        Channels::Rgb | Channels::Bgr => PixelType::U8x3,
    };
    let source = ImageRef::new(picture.width, picture.height, picture.data, kind).map_err(|e| failed(&e))?;
    let mut target = ResizeTarget::from_slice_u8(width as u32, height as u32, out, kind).map_err(|e| failed(&e))?;
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false).crop(x, y, w, h);
    resizer.resize(&source, &mut target, &options).map_err(|e| failed(&e))
}
