//! Decoding: every pixel format to luminance or three colour channels.
//!
//! JPEG is full-range BT.601 (JFIF 1.02); camera Y'CbCr is limited-range BT.601, as in V4L2 for sub-HD pictures. JPEG and PNG are
//! turned upright by their EXIF orientation. Raw grey, RGB, BGR and the luminance of Y'CbCr are borrowed without a copy when
//! their rows are packed.

use yuv::{
    YuvBiPlanarImage, YuvConversionMode, YuvPackedImage, YuvPlanarImage, YuvRange, YuvStandardMatrix, yuv_nv12_to_rgb,
    yuv420_to_rgb, yuyv422_to_rgb,
};

use super::error::PreprocessError;
use super::picture::{Channels, Picture, check_pixels};
use super::{bmp, jpeg, orient, png};
use crate::frame::{Image, PixelFormat, SharedFrame};

/// All of a decoded picture but its pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    width: u32,
    height: u32,
    channels: Channels,
    limited: bool,
    sideways: bool,
}

/// Decodes pictures; owns the buffers.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    jpeg: jpeg::Jpeg,
    pixels: Vec<u8>,
    scratch: Vec<u8>,
}

impl Decoder {
    /// The picture of a frame that several readers share, decoded by the first of them. With `grey`, luminance is enough for this
    /// reader: raw pictures, whose luminance is there without decoding, are read where they lie, and of a picture that another
    /// reader needs in colour, luminance is computed from the colours (not bit for bit what decoding only luminance gives).
    pub fn shared<'a>(
        &'a mut self,
        frame: &'a SharedFrame,
        image: &'a Image,
        grey: bool,
    ) -> Result<Picture<'a>, PreprocessError> {
        if !is_decoded_for_all(frame, image, grey) {
            return self.decode(image, grey);
        }
        let decoded = frame.decoded(|image, pixels| {
            std::mem::swap(&mut self.pixels, &mut pixels.data);
            let decoded = self.decode(image, !frame.colour());
            let form = decoded.map(|picture| (picture.width, picture.height, picture.channels, picture.sideways));
            std::mem::swap(&mut self.pixels, &mut pixels.data);
            (pixels.width, pixels.height, pixels.channels, pixels.sideways) = form?;
            Ok(())
        });
        Ok(Picture::from(decoded.map_err(Clone::clone)?))
    }

    /// The picture in `image`; with `grey`, only what luminance needs where the format allows that.
    pub fn decode<'a>(&'a mut self, image: &'a Image, grey: bool) -> Result<Picture<'a>, PreprocessError> {
        match image.format {
            PixelFormat::Jpeg => {
                let Decoder { jpeg, pixels, scratch } = self;
                let jpeg::Decoded { width, height, channels, orientation } =
                    jpeg.decode(&image.data, grey, pixels, scratch)?;
                Ok(self.upright([width, height], channels, orientation))
            }
            PixelFormat::Png => {
                let (width, height, channels, orientation) = png::decode(&image.data, &mut self.pixels)?;
                Ok(self.upright([width, height], channels, orientation))
            }
            PixelFormat::Bmp => {
                let (width, height, channels) = bmp::decode(&image.data, &mut self.pixels)?;
                Ok(self.upright([width, height], channels, 1))
            }
            PixelFormat::Gray8 => self.packed(image, "GRAY8", Channels::Grey, false),
            PixelFormat::Rgb8 => self.packed(image, "RGB8", Channels::Rgb, false),
            PixelFormat::Bgr8 => self.packed(image, "BGR8", Channels::Bgr, false),
            PixelFormat::Yuyv if grey => self.packed(image, "YUYV", Channels::GreyChroma, true),
            PixelFormat::Nv12 if grey => self.packed(image, "NV12", Channels::Grey, true),
            PixelFormat::I420 if grey => self.packed(image, "I420", Channels::Grey, true),
            PixelFormat::Yuyv | PixelFormat::Nv12 | PixelFormat::I420 => self.yuv(image),
        }
    }

    /// [`Decoder::decode`] into the own buffer, to be looked at by [`Decoder::kept`] until the next picture.
    pub fn keep(&mut self, image: &Image, grey: bool) -> Result<Form, PreprocessError> {
        let Picture { width, height, channels, limited, sideways, .. } = self.decode(image, grey)?;
        let row = width as usize * channels.bytes();
        if is_read_where_it_lies(image.format, grey) && [0, row].contains(&(image.stride as usize)) {
            self.pixels.clear();
            self.pixels.extend(image.data.iter().take(row * height as usize));
        }
        Ok(Form { width, height, channels, limited, sideways })
    }

    /// The picture that was kept.
    pub fn kept(&self, form: Form) -> Picture<'_> {
        let Form { width, height, channels, limited, sideways } = form;
        Picture { width, height, channels, limited, sideways, data: &self.pixels }
    }

    /// The decoded picture in the buffer, turned upright by `orientation` (EXIF, 1 to 8).
    fn upright(&mut self, [width, height]: [u32; 2], channels: Channels, orientation: u8) -> Picture<'_> {
        let mut size = [width, height];
        if orientation != 1 {
            let stored = size.map(|side| side as usize);
            size = orient::upright(&self.pixels, stored, channels.bytes(), orientation, &mut self.scratch)
                .map(|side| side as u32);
            std::mem::swap(&mut self.pixels, &mut self.scratch);
        }
        let [width, height] = size;
        Picture {
            width,
            height,
            channels,
            limited: false,
            sideways: orient::is_sideways(orientation),
            data: &self.pixels,
        }
    }

    /// Rows of whole pixels at the start of the data; copied only when they are padded.
    fn packed<'a>(
        &'a mut self,
        image: &'a Image,
        format: &'static str,
        channels: Channels,
        limited: bool,
    ) -> Result<Picture<'a>, PreprocessError> {
        check_pixels(format, image.width, image.height)?;
        let (width, height) = (image.width as usize, image.height as usize);
        let row = width * channels.bytes();
        let stride = stride_of(image, format, row)?;
        let bytes = need(format, image, stride, height, row)?;
        let data = if stride == row {
            bytes
        } else {
            self.pixels.clear();
            self.pixels.reserve(row * height);
            for line in bytes.chunks(stride) {
                self.pixels.extend_from_slice(line.get(..row).unwrap_or(line));
            }
            &self.pixels
        };
        Ok(Picture { width: image.width, height: image.height, channels, limited, sideways: false, data })
    }

    /// Camera Y'CbCr to RGB.
    fn yuv(&mut self, image: &Image) -> Result<Picture<'_>, PreprocessError> {
        let format = match image.format {
            PixelFormat::Yuyv => "YUYV",
            PixelFormat::Nv12 => "NV12",
            _ => "I420",
        };
        check_pixels(format, image.width, image.height)?;
        let (width, height) = (image.width as usize, image.height as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        self.pixels.resize(width * height * 3, 0);
        let Decoder { pixels, scratch, .. } = self;
        let (out, out_stride) = (pixels.as_mut_slice(), image.width * 3);
        let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
        let converted = match image.format {
            PixelFormat::Yuyv => {
                let stride = stride_of(image, format, half_width * 4)?;
                let yuy = need(format, image, stride, height, half_width * 4)?;
                let yuy = pad(yuy, image, stride * height, scratch);
                let packed =
                    YuvPackedImage { yuy, yuy_stride: stride as u32, width: image.width, height: image.height };
                yuyv422_to_rgb(&packed, out, out_stride, range, matrix)
            }
            PixelFormat::Nv12 => {
                let stride = stride_of(image, format, half_width * 2)?;
                let rows = need(format, image, stride, height + half_height, half_width * 2)?;
                let rows = pad(rows, image, stride * (height + half_height), scratch);
                let (y_plane, uv_plane) = rows.split_at(stride * height);
                let planes = YuvBiPlanarImage {
                    y_plane,
                    y_stride: stride as u32,
                    uv_plane,
                    uv_stride: stride as u32,
                    width: image.width,
                    height: image.height,
                };
                yuv_nv12_to_rgb(&planes, out, out_stride, range, matrix, YuvConversionMode::Balanced)
            }
            _ => {
                let stride = stride_of(image, format, width)?;
                let half = if image.stride == 0 { half_width } else { stride / 2 };
                if half < half_width {
                    return Err(PreprocessError::Size(format!("I420: chroma rows of {half} bytes for {width} pixels")));
                }
                let y_plane = need(format, image, stride, height, stride)?;
                let (chroma, least) = (half * half_height, half * (2 * half_height - 1) + half_width);
                let found = image.data.len();
                let end = y_plane.len() + least;
                let planes = image.data.get(..end).ok_or_else(|| too_short(format, image, end, found))?;
                let planes = pad(planes, image, y_plane.len() + 2 * chroma, scratch);
                let (y_plane, chroma_planes) = planes.split_at(y_plane.len());
                let (u_plane, v_plane) = chroma_planes.split_at(chroma);
                let planes = YuvPlanarImage {
                    y_plane,
                    y_stride: stride as u32,
                    u_plane,
                    u_stride: half as u32,
                    v_plane,
                    v_stride: half as u32,
                    width: image.width,
                    height: image.height,
                };
                yuv420_to_rgb(&planes, out, out_stride, range, matrix)
            }
        };
        converted.map_err(|e| PreprocessError::Decode { format, reason: e.to_string() })?;
        Ok(Picture {
            width: image.width,
            height: image.height,
            channels: Channels::Rgb,
            limited: false,
            sideways: false,
            data: &self.pixels,
        })
    }

    /// Capacity of the buffers in bytes.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.pixels.capacity() + self.scratch.capacity()
    }
}

/// True where the luminance, or all that is wanted, is there without decoding.
fn is_read_where_it_lies(format: PixelFormat, grey: bool) -> bool {
    match format {
        PixelFormat::Jpeg | PixelFormat::Png | PixelFormat::Bmp => false,
        PixelFormat::Gray8 | PixelFormat::Rgb8 | PixelFormat::Bgr8 => true,
        PixelFormat::Yuyv | PixelFormat::Nv12 | PixelFormat::I420 => grey,
    }
}

/// True where the readers of a frame have one decoded picture in common. A reader that began to need colour after the frame was shared
/// decodes it for itself.
pub(super) fn is_decoded_for_all(frame: &SharedFrame, image: &Image, grey: bool) -> bool {
    !is_read_where_it_lies(image.format, grey) && (grey || frame.colour())
}

/// Bytes from row to row: the image's stride, or `row` when it has none; never less than a row.
fn stride_of(image: &Image, format: &str, row: usize) -> Result<usize, PreprocessError> {
    match image.stride as usize {
        0 => Ok(row),
        stride if stride < row => {
            Err(PreprocessError::Size(format!("{format}: a stride of {stride} bytes for rows of {row}")))
        }
        stride => Ok(stride),
    }
}

/// `rows` rows, the last of which may lack its padding.
fn need<'a>(
    format: &str,
    image: &'a Image,
    stride: usize,
    rows: usize,
    row: usize,
) -> Result<&'a [u8], PreprocessError> {
    let least = stride
        .checked_mul(rows - 1)
        .and_then(|v| v.checked_add(row))
        .ok_or_else(|| PreprocessError::Size(format!("{format}: a stride of {stride} bytes is too large")))?;
    let found = image.data.len();
    image.data.get(..least).ok_or_else(|| too_short(format, image, least, found))
}

/// `whole` bytes of the image, extended with the missing padding of the last row: the converters skip an unpadded row.
fn pad<'a>(least: &'a [u8], image: &'a Image, whole: usize, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    image.data.get(..whole).unwrap_or_else(|| {
        scratch.clear();
        scratch.extend_from_slice(least);
        scratch.resize(whole, 0);
        scratch
    })
}

fn too_short(format: &str, image: &Image, needed: usize, found: usize) -> PreprocessError {
    PreprocessError::Size(format!(
        "{format}: {}x{} pixels need {needed} bytes, found {found}",
        image.width, image.height
    ))
}
