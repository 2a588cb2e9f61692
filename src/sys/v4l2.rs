//! Video4Linux capture devices, single-planar and memory-mapped: a safe layer over the ioctls, and a list of devices.

#![allow(unsafe_code, reason = "ioctl")]

mod abi;

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Setter, Updater, ioctl};
use rustix::time::{ClockId, clock_gettime};

use super::mmap::Mapping;
use super::{Roots, file};

/// Four letters that name a pixel format: `MJPG`, `YUYV`, …
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The top bit marks big-endian formats (`V4L2_PIX_FMT_*_BE`) and is no letter.
        let text: String = self.0.iter().map(|b| char::from(b & 0x7f)).collect();
        f.write_str(text.trim_end())?;
        if self.0[3] & 0x80 == 0 { Ok(()) } else { f.write_str("-BE") }
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Identity and capabilities of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Kernel driver: `uvcvideo`.
    pub driver: String,
    /// Name that the device reports: `HD Pro Webcam C920`.
    pub card: String,
    /// Use of the device.
    pub kind: Kind,
    /// Pictures can be streamed through mapped buffers.
    pub streaming: bool,
}

/// Use of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Captures pictures in one piece of memory.
    Capture,
    /// Captures pictures in several pieces: camera interfaces and image processors of boards.
    CapturePlanes,
    /// Converts pictures: a codec or scaler, no camera.
    Processor,
    /// Metadata, output, radio, …
    Other,
}

/// Sizes that a device offers for a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// One size, `[width, height]` in pixels.
    Exact([u32; 2]),
    /// All sizes from `least` to `most` in steps, each `[width, height]` in pixels.
    Range {
        /// Smallest.
        least: [u32; 2],
        /// Largest.
        most: [u32; 2],
        /// Steps between; 0 and 1 both mean any.
        step: [u32; 2],
    },
}

impl Size {
    /// `true` when `[width, height]` is one of the sizes.
    pub fn holds(&self, size: [u32; 2]) -> bool {
        match *self {
            Size::Exact(exact) => exact == size,
            Size::Range { least, most, step } => (0..2).all(|i| {
                (least[i]..=most[i]).contains(&size[i]) && (size[i] - least[i]).is_multiple_of(step[i].max(1))
            }),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Size::Exact([w, h]) => write!(f, "{w}x{h}"),
            Size::Range { least: [w, h], most: [x, y], .. } => write!(f, "{w}x{h} to {x}x{y}"),
        }
    }
}

/// Memory layout of the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Pixel format.
    pub fourcc: FourCc,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes from one row of the first plane to the next; 0 for compressed formats.
    pub stride: u32,
    /// Pictures arrive as two half pictures, one after the other or in turn; unsupported.
    pub split_fields: bool,
}

/// A picture taken from the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The driver marked it as damaged.
    pub damaged: bool,
    /// The driver's count of pictures; a gap means that it had no free buffer.
    pub sequence: u32,
    /// Age at the time of reading, where the driver reports it.
    pub age: Option<Duration>,
}

/// An open device node. Dropping it ends the stream, unmaps and closes.
#[derive(Debug)]
pub struct Node {
    // Unmapped before the descriptor is closed.
    buffers: Vec<Mapping>,
    fd: OwnedFd,
    streaming: bool,
}

impl Node {
    /// Opens a device node without blocking.
    ///
    /// # Errors
    /// Errors of `open(2)`: `ENOENT`, `EACCES`, `ENODEV`, `EBUSY`, …
    pub fn open(path: &Path) -> Result<Node, Errno> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Node { buffers: Vec::new(), fd, streaming: false })
    }

    /// Identity and capabilities (`VIDIOC_QUERYCAP`).
    ///
    /// # Errors
    /// `ENOTTY` (or `EINVAL`) when it is no Video4Linux device.
    pub fn capability(&self) -> Result<Capability, Errno> {
        // SAFETY: QUERYCAP writes a v4l2_capability, whose layout Capability has (asserted in abi).
        let raw = unsafe { ioctl(&self.fd, Getter::<{ abi::QUERYCAP }, abi::Capability>::new()) }?;
        let caps = if raw.capabilities & abi::CAP_DEVICE_CAPS == 0 { raw.capabilities } else { raw.device_caps };
        let kind = if caps & (abi::CAP_VIDEO_M2M | abi::CAP_VIDEO_M2M_MPLANE) != 0 {
            Kind::Processor
        } else if caps & abi::CAP_VIDEO_CAPTURE != 0 {
            Kind::Capture
        } else if caps & abi::CAP_VIDEO_CAPTURE_MPLANE != 0 {
            Kind::CapturePlanes
        } else {
            Kind::Other
        };
        let streaming = caps & abi::CAP_STREAMING != 0;
        Ok(Capability { driver: text(&raw.driver), card: text(&raw.card), kind, streaming })
    }

    /// Pixel formats in the device's order (`VIDIOC_ENUM_FMT`).
    ///
    /// # Errors
    /// Errors of the driver, except the end of the list.
    pub fn formats(&self) -> Result<Vec<FourCc>, Errno> {
        let mut found = Vec::new();
        while found.len() < MOST_LISTED {
            let mut desc =
                abi::FmtDesc { index: found.len() as u32, kind: abi::BUF_TYPE_VIDEO_CAPTURE, ..Default::default() };
            match self.update::<{ abi::ENUM_FMT }, _>(&mut desc) {
                Ok(()) => found.push(FourCc(desc.pixelformat.to_le_bytes())),
                Err(Errno::INVAL) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Sizes of a format (`VIDIOC_ENUM_FRAMESIZES`); empty where the driver lists none.
    pub fn sizes(&self, fourcc: FourCc) -> Vec<Size> {
        let mut found = Vec::new();
        while found.len() < MOST_LISTED {
            let mut raw = abi::FrmSizeEnum {
                index: found.len() as u32,
                pixel_format: u32::from_le_bytes(fourcc.0),
                ..Default::default()
            };
            if self.update::<{ abi::ENUM_FRAMESIZES }, _>(&mut raw).is_err() {
                break;
            }
            let [a, b, c, d, e, f] = raw.size;
            if raw.kind != abi::FRMSIZE_TYPE_DISCRETE {
                found.push(Size::Range { least: [a, d], most: [b, e], step: [c, f] });
                break;
            }
            found.push(Size::Exact([a, b]));
        }
        found
    }

    /// Requests a format and returns the one that the driver chose (`VIDIOC_S_FMT`).
    ///
    /// # Errors
    /// `EBUSY` while another program streams from it.
    pub fn set_format(&mut self, fourcc: FourCc, width: u32, height: u32) -> Result<Format, Errno> {
        let mut raw = abi::Format::default();
        raw.pix.width = width;
        raw.pix.height = height;
        raw.pix.pixelformat = u32::from_le_bytes(fourcc.0);
        raw.pix.field = abi::FIELD_NONE;
        self.update::<{ abi::S_FMT }, _>(&mut raw)?;
        let split_fields = matches!(raw.pix.field, abi::FIELD_SEQ_TB | abi::FIELD_SEQ_BT | abi::FIELD_ALTERNATE);
        Ok(Format {
            fourcc: FourCc(raw.pix.pixelformat.to_le_bytes()),
            width: raw.pix.width,
            height: raw.pix.height,
            stride: raw.pix.bytesperline,
            split_fields,
        })
    }

    /// Requests a picture rate in Hz and returns the one that the driver chose, `None` where the rate is fixed (`VIDIOC_S_PARM`).
    ///
    /// # Errors
    /// `ENOTTY` where the driver has no rates.
    pub fn set_rate(&mut self, hertz: f64) -> Result<Option<f64>, Errno> {
        const PARTS: f64 = 1000.0;
        let denominator = (hertz * PARTS).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        let mut raw = abi::StreamParm { numerator: PARTS as u32, denominator, ..Default::default() };
        self.update::<{ abi::S_PARM }, _>(&mut raw)?;
        let has_rate = raw.capability & abi::STREAM_CAP_TIMEPERFRAME != 0 && raw.numerator != 0;
        Ok(has_rate.then(|| f64::from(raw.denominator) / f64::from(raw.numerator)))
    }

    /// Requests and maps `count` buffers, queues them and starts the stream. Returns the number of buffers.
    ///
    /// # Errors
    /// `EBUSY` while another program streams from it; `ENOMEM`; other errors of the driver.
    pub fn start(&mut self, count: u32) -> Result<u32, Errno> {
        let mut request = abi::RequestBuffers {
            count,
            kind: abi::BUF_TYPE_VIDEO_CAPTURE,
            memory: abi::MEMORY_MMAP,
            ..Default::default()
        };
        self.update::<{ abi::REQBUFS }, _>(&mut request)?;
        self.buffers.clear();
        for index in 0..request.count {
            let mut buffer = empty_buffer(index);
            self.update::<{ abi::QUERYBUF }, _>(&mut buffer)?;
            self.buffers.push(Mapping::new(&self.fd, buffer.offset.into(), buffer.length as usize)?);
            self.update::<{ abi::QBUF }, _>(&mut empty_buffer(index))?;
        }
        let kind = abi::BUF_TYPE_VIDEO_CAPTURE as _;
        // SAFETY: STREAMON reads one int, the buffer type.
        unsafe { ioctl(&self.fd, Setter::<{ abi::STREAMON }, std::ffi::c_int>::new(kind)) }?;
        self.streaming = true;
        Ok(request.count)
    }

    /// Waits up to `timeout` for a picture, copies it into `out` and queues its buffer again at once. `None` = no picture in
    /// time.
    ///
    /// # Errors
    /// `ENODEV` after removal of the device; `EIO` for a temporary fault of the driver.
    pub fn take(&mut self, timeout: Duration, out: &mut Vec<u8>) -> Result<Option<Taken>, Errno> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        let timeout = Timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos() as _ };
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        let troubled = fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        let mut buffer = empty_buffer(0);
        match self.update::<{ abi::DQBUF }, _>(&mut buffer) {
            Ok(()) => {}
            // An error condition that DQBUF does not describe: the stream was stopped or the device is being removed.
            Err(Errno::AGAIN) if troubled => return Err(Errno::NODEV),
            Err(Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error),
        }
        let age = age(&buffer);
        let mapping = self.buffers.get(buffer.index as usize).ok_or(Errno::PROTO)?;
        mapping.copy_to(buffer.bytesused as usize, out);
        self.update::<{ abi::QBUF }, _>(&mut empty_buffer(buffer.index))?;
        let damaged = buffer.flags & abi::BUF_FLAG_ERROR != 0;
        Ok(Some(Taken { damaged, sequence: buffer.sequence, age }))
    }

    fn update<const OPCODE: Opcode, T>(&self, value: &mut T) -> Result<(), Errno> {
        loop {
            // SAFETY: called only with an OPCODE of abi and the structure that its number was made of (by its size, which
            // the kernel's own numbers confirm in abi); all of them are plain integers, valid in any state that the kernel
            // leaves them in. None holds a pointer that the kernel would follow.
            match unsafe { ioctl(&self.fd, Updater::<OPCODE, T>::new(value)) } {
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.streaming {
            let kind = abi::BUF_TYPE_VIDEO_CAPTURE as _;
            // SAFETY: STREAMOFF reads one int, the buffer type.
            let _ = unsafe { ioctl(&self.fd, Setter::<{ abi::STREAMOFF }, std::ffi::c_int>::new(kind)) };
        }
    }
}

/// A device found by [`list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its node: `/dev/video0`.
    pub path: PathBuf,
    /// Name from sysfs, also for a device that cannot be opened.
    pub name: String,
    /// Capabilities, or the error of asking for them.
    pub answer: Result<Offer, Errno>,
}

/// Capabilities and formats of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Identity and capabilities.
    pub capability: Capability,
    /// Formats with their sizes; empty unless it is a single-planar capture device.
    pub formats: Vec<(FourCc, Vec<Size>)>,
}

/// The `video…` nodes of sysfs, in the order of their numbers. Opening a node disturbs no stream.
pub fn list(roots: &Roots) -> Vec<Listed> {
    let entries = std::fs::read_dir(roots.sys.join("class/video4linux")).into_iter().flatten().flatten();
    let mut nodes: Vec<(u32, String)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix("video")?.parse().ok()?;
            Some((number, name))
        })
        .collect();
    nodes.sort();
    let listed = |(_, node): (u32, String)| {
        let name = file::read_text(&roots.sys.join("class/video4linux").join(&node).join("name"), 4 << 10);
        let path = roots.dev.join(&node);
        Listed { answer: ask(&path), path, name: name.unwrap_or_default().trim().to_owned() }
    };
    nodes.into_iter().map(listed).collect()
}

fn ask(path: &Path) -> Result<Offer, Errno> {
    let node = Node::open(path)?;
    let capability = node.capability()?;
    let formats = match capability.kind {
        Kind::Capture => node.formats()?,
        Kind::CapturePlanes | Kind::Processor | Kind::Other => Vec::new(),
    };
    let formats = formats.into_iter().map(|fourcc| (fourcc, node.sizes(fourcc))).collect();
    Ok(Offer { capability, formats })
}

/// Bound on listed formats and sizes; no real driver has more, and a broken one might never end.
const MOST_LISTED: usize = 256;

fn empty_buffer(index: u32) -> abi::Buffer {
    abi::Buffer { index, kind: abi::BUF_TYPE_VIDEO_CAPTURE, memory: abi::MEMORY_MMAP, ..Default::default() }
}

fn age(buffer: &abi::Buffer) -> Option<Duration> {
    if buffer.flags & abi::BUF_FLAG_TIMESTAMP_MASK != abi::BUF_FLAG_TIMESTAMP_MONOTONIC {
        return None;
    }
    let then =
        Duration::new(u64::try_from(buffer.seconds).ok()?, u32::try_from(buffer.microseconds).ok()?.checked_mul(1000)?);
    let now = clock_gettime(ClockId::Monotonic);
    let now = Duration::new(u64::try_from(now.tv_sec).ok()?, u32::try_from(now.tv_nsec).ok()?);
    now.checked_sub(then)
}

/// A NUL-terminated text of fixed size.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests;
