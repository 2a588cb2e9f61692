//! Agreeing with a driver on a format, a size and a rate: what is wanted, what it offers, what it makes of it.

use rustix::io::Errno;

use super::config::{V4l2Config, V4l2Format};
use super::device::Device;
use crate::frame::PixelFormat;
use crate::sys::v4l2::{Capability, Format, FourCc, Kind};

/// Failure to start a device.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotStarted {
    /// It may be there, free or permitted later.
    Later(String),
    /// It is the wrong device, or cannot do what is wanted.
    Never(String),
}

/// The format and rate that were agreed on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Agreed {
    pub(super) driver: String,
    pub(super) card: String,
    pub(super) format: Format,
    pub(super) pixels: PixelFormat,
    /// Pictures per second, where the driver tells.
    pub(super) rate: Option<f64>,
}

/// Most pixels a side: a driver that says more is not believed.
const MOST: u32 = 16_384;

impl Agreed {
    /// `640x480 MJPG`.
    pub(super) fn words(&self) -> String {
        format!("{}x{} {}", self.format.width, self.format.height, self.format.fourcc)
    }

    pub(super) fn rate_words(&self) -> String {
        self.rate.map_or_else(|| "at the driver's own rate".into(), |rate| format!("got {rate:.2} fps"))
    }

    /// Bytes from the first to the last pixel of a raw picture, rows padded to the stride: what the last row and the rows
    /// of chroma need at least. 0 for JPEG.
    pub(super) fn bytes(&self) -> usize {
        let (width, height) = (self.format.width as usize, self.format.height as usize);
        let stride = self.format.stride as usize;
        let chroma = height.div_ceil(2);
        match self.pixels {
            PixelFormat::Yuyv => stride * height.saturating_sub(1) + width.next_multiple_of(2) * 2,
            PixelFormat::Nv12 => stride * height + stride * chroma.saturating_sub(1) + width.next_multiple_of(2),
            PixelFormat::I420 => {
                let half = stride / 2;
                stride * height + half * chroma + half * chroma.saturating_sub(1) + width.div_ceil(2)
            }
            _ => 0,
        }
    }

    fn least_stride(&self) -> u32 {
        match self.pixels {
            PixelFormat::Yuyv => self.format.width.next_multiple_of(2) * 2,
            PixelFormat::Nv12 | PixelFormat::I420 => self.format.width,
            _ => 0,
        }
    }
}

/// Brings the device to the wanted format, size and rate, or the nearest that its driver gives.
pub(super) fn negotiate(device: &mut dyn Device, config: &V4l2Config) -> Result<Agreed, NotStarted> {
    let capability = capture_device(device)?;
    let offered = device.formats().map_err(|error| busy_or(error, "its formats cannot be listed"))?;
    let wanted = candidates(device, config, &offered);
    if wanted.is_empty() {
        return Err(NotStarted::Never(nothing_usable(config.format, &offered)));
    }
    let mut refusals = Vec::new();
    for fourcc in wanted {
        let Some(pixels) = pixels_of(fourcc) else { continue };
        let format = match device.set_format(fourcc, config.width, config.height) {
            Ok(format) => format,
            Err(error @ (Errno::BUSY | Errno::NODEV | Errno::NXIO)) => return Err(busy_or(error, "")),
            Err(error) => {
                refusals.push(format!("{fourcc}: {error}"));
                continue;
            }
        };
        let mut agreed =
            Agreed { driver: capability.driver.clone(), card: capability.card.clone(), format, pixels, rate: None };
        if let Err(reason) = acceptable(fourcc, &mut agreed) {
            refusals.push(format!("{fourcc}: {reason}"));
            continue;
        }
        agreed.rate = match device.set_rate(config.fps) {
            Ok(rate) => rate,
            Err(error @ (Errno::BUSY | Errno::NODEV | Errno::NXIO)) => return Err(busy_or(error, "")),
            Err(_) => None,
        };
        return Ok(agreed);
    }
    Err(NotStarted::Never(format!(
        "no format could be set at {}x{}: {}",
        config.width,
        config.height,
        refusals.join("; ")
    )))
}

fn capture_device(device: &mut dyn Device) -> Result<Capability, NotStarted> {
    let capability = match device.capability() {
        Ok(capability) => capability,
        Err(Errno::NOTTY | Errno::INVAL) => return Err(NotStarted::Never("is no Video4Linux device".into())),
        Err(error) => return Err(busy_or(error, "cannot be asked what it is")),
    };
    let Capability { driver, card, kind, streaming } = &capability;
    let what = match kind {
        Kind::Capture if *streaming => return Ok(capability),
        Kind::Capture => "cannot stream through mapped buffers",
        Kind::CapturePlanes => {
            "gives pictures in several planes, as the camera interfaces of boards do: use a source of type rpicam \
             for a camera on a Raspberry Pi's ribbon cable"
        }
        Kind::Processor => "is a codec or image processor, no camera",
        Kind::Other => {
            "captures no pictures (many cameras have a second node for metadata): take the one that `leptond probe` shows"
        }
    };
    Err(NotStarted::Never(format!("{card} ({driver}) {what}")))
}

/// The formats to try, best first: those that are offered at the wanted size, then the others.
fn candidates(device: &mut dyn Device, config: &V4l2Config, offered: &[FourCc]) -> Vec<FourCc> {
    let (mut fitting, others): (Vec<_>, Vec<_>) = usable(config.format, offered).partition(|fourcc| {
        let sizes = device.sizes(*fourcc);
        sizes.is_empty() || sizes.iter().any(|size| size.holds([config.width, config.height]))
    });
    fitting.extend(others);
    fitting
}

/// The offered formats that are wanted and can be read, best first.
pub(super) fn usable(wanted: V4l2Format, offered: &[FourCc]) -> impl Iterator<Item = FourCc> {
    let known: &[FourCc] = match wanted {
        V4l2Format::Auto => {
            const { &[FourCc(*b"MJPG"), FourCc(*b"JPEG"), FourCc(*b"YUYV"), FourCc(*b"NV12"), FourCc(*b"YU12")] }
        }
        format => fourccs(format),
    };
    known.iter().copied().filter(|fourcc| offered.contains(fourcc))
}

/// Checks what the driver made of the request; drivers that leave the stride out mean packed rows.
fn acceptable(wanted: FourCc, agreed: &mut Agreed) -> Result<(), String> {
    let Format { fourcc, width, height, split_fields, .. } = agreed.format;
    if fourcc != wanted {
        return Err(format!("the driver gives {fourcc} instead"));
    }
    if width == 0 || height == 0 || width > MOST || height > MOST {
        return Err(format!("the driver gives an impossible size of {width}x{height}"));
    }
    if split_fields {
        return Err("the driver gives half pictures (separate fields), which are not supported".into());
    }
    if agreed.pixels == PixelFormat::Jpeg {
        agreed.format.stride = 0;
        return Ok(());
    }
    let least = agreed.least_stride();
    if agreed.format.stride == 0 {
        agreed.format.stride = least;
    }
    if agreed.format.stride < least || agreed.format.stride > least.saturating_mul(8) {
        return Err(format!("the driver gives rows of {} bytes for {width} pixels", agreed.format.stride));
    }
    Ok(())
}

fn fourccs(format: V4l2Format) -> &'static [FourCc] {
    match format {
        V4l2Format::Auto => &[],
        V4l2Format::Mjpg => const { &[FourCc(*b"MJPG"), FourCc(*b"JPEG")] },
        V4l2Format::Yuyv => const { &[FourCc(*b"YUYV")] },
        V4l2Format::Nv12 => const { &[FourCc(*b"NV12")] },
        V4l2Format::Yu12 => const { &[FourCc(*b"YU12")] },
    }
}

fn pixels_of(fourcc: FourCc) -> Option<PixelFormat> {
    match &fourcc.0 {
        b"MJPG" | b"JPEG" => Some(PixelFormat::Jpeg),
        b"YUYV" => Some(PixelFormat::Yuyv),
        b"NV12" => Some(PixelFormat::Nv12),
        b"YU12" => Some(PixelFormat::I420),
        _ => None,
    }
}

fn nothing_usable(wanted: V4l2Format, offered: &[FourCc]) -> String {
    let list = offered.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let offers = if list.is_empty() { "it offers no format at all".into() } else { format!("it offers {list}") };
    let wanted = match wanted {
        V4l2Format::Auto => "MJPG, YUYV, NV12 or YU12".into(),
        format => fourccs(format).first().map(ToString::to_string).unwrap_or_default(),
    };
    // Bayer data: a bare sensor behind no image processor.
    let is_raw =
        |f: &FourCc| matches!(&f.0, [b'p', ..] | [b'B' | b'G' | b'R', b'A' | b'G' | b'B' | b'R', b'0'..=b'9', _]);
    let hint = if !offered.is_empty() && offered.iter().all(is_raw) {
        ": raw sensor data; use a source of type rpicam for a camera on a Raspberry Pi's ribbon cable"
    } else {
        ""
    };
    format!("cannot give {wanted}: {offers}{hint}")
}

pub(super) fn busy_or(error: Errno, what: &str) -> NotStarted {
    NotStarted::Later(match error {
        Errno::BUSY => "in use by another program".into(),
        Errno::NODEV | Errno::NXIO => "went away while it was being started".into(),
        error => format!("{what}: {error}"),
    })
}
