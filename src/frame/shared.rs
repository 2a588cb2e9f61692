//! A frame with several readers: shared by reference, decoded at most once, its buffers recycled.
//!
//! A [`FramePool`] belongs to one source. It hands out frames to fill and shares filled ones; when the last reader drops a
//! [`SharedFrame`], its buffers return to the pool. The decoder itself lives in `preprocess`: a decoded picture is plain data here.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;

use super::{Frame, Image, Payload};

/// Buffers of one kind that a pool keeps for later; more than this are freed.
const KEPT: usize = 32;

/// Channels of one pixel of a decoded picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Channels {
    /// One byte of luminance.
    #[default]
    Grey,
    /// Luminance, then a byte of chroma that is not looked at (packed 4:2:2 where only luminance is wanted).
    GreyChroma,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl Channels {
    /// Bytes of one pixel.
    pub fn bytes(self) -> usize {
        match self {
            Channels::Grey => 1,
            Channels::GreyChroma => 2,
            Channels::Rgb | Channels::Bgr => 3,
        }
    }
}

/// A decoded, upright picture: `[height, width, channels]` bytes, rows packed.
#[derive(Clone, Debug, Default)]
pub struct Pixels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Channels of one pixel.
    pub channels: Channels,
    /// Turned by a quarter: width and height of the stored picture are the other way round.
    pub sideways: bool,
    /// The bytes.
    pub data: Vec<u8>,
}

/// Reason for which a picture has no pixels; the same for every reader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// The bytes are damaged or not of the format they claim.
    #[error("cannot decode {format}: {reason}")]
    Damaged {
        /// `JPEG`, `PNG`, `BMP`, `YUYV`, …
        format: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// The size is out of bounds, or the bytes are too few for it.
    #[error("{0}")]
    Size(String),
}

/// A captured frame, shared by `Arc` among its readers. Dereferences to the [`Frame`].
#[derive(Debug)]
pub struct SharedFrame {
    frame: Frame,
    colour: bool,
    pixels: OnceLock<Result<Pixels, Undecodable>>,
    pool: Arc<FramePool>,
}

impl SharedFrame {
    /// The picture is decoded in colour: at least one reader needs it.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// The decoded picture. The first caller runs `decode`, which fills a recycled buffer from the encoded image, in colour or
    /// only as far as luminance needs ([`SharedFrame::colour`]); callers at the same time wait for it.
    ///
    /// # Errors
    /// The error of `decode`, for every caller.
    pub fn decoded(
        &self,
        decode: impl FnOnce(&Image, &mut Pixels) -> Result<(), Undecodable>,
    ) -> Result<&Pixels, &Undecodable> {
        let decode = || {
            let Payload::Image(image) = &self.frame.payload else {
                return Err(Undecodable::Size("a window of readings has no pixels".into()));
            };
            self.pool.decoded.fetch_add(1, Relaxed);
            let mut pixels = self.pool.lock().pixels.pop().unwrap_or_default();
            match decode(image, &mut pixels) {
                Ok(()) => Ok(pixels),
                Err(error) => {
                    self.pool.keep(None, Some(pixels));
                    Err(error)
                }
            }
        };
        self.pixels.get_or_init(decode).as_ref()
    }
}

impl Deref for SharedFrame {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        &self.frame
    }
}

impl Drop for SharedFrame {
    fn drop(&mut self) {
        let frame = std::mem::replace(&mut self.frame, Frame::empty());
        self.pool.keep(Some(frame), self.pixels.take().and_then(Result::ok));
    }
}

/// The recycled buffers of one source.
///
/// After warm-up it holds one encoded frame for each reader's slot, each reader at work and the capture, and one decoded picture for
/// each frame that is worked on at once.
#[derive(Debug, Default)]
pub struct FramePool {
    spare: Mutex<Spare>,
    decoded: AtomicU64,
}

#[derive(Debug, Default)]
struct Spare {
    frames: Vec<Frame>,
    pixels: Vec<Pixels>,
}

impl FramePool {
    /// A frame to fill: one that was used before, or an empty one.
    pub fn take(&self) -> Frame {
        self.lock().frames.pop().unwrap_or_else(Frame::empty)
    }

    /// Takes a frame that no reader got back for later.
    pub fn give_back(&self, frame: Frame) {
        self.keep(Some(frame), None);
    }

    /// Shares a filled frame; `colour`: at least one of its readers needs more than luminance.
    pub fn share(self: &Arc<Self>, frame: Frame, colour: bool) -> Arc<SharedFrame> {
        Arc::new(SharedFrame { frame, colour, pixels: OnceLock::new(), pool: self.clone() })
    }

    /// Pictures decoded so far, with those that could not be.
    pub fn decoded(&self) -> u64 {
        self.decoded.load(Relaxed)
    }

    fn keep(&self, frame: Option<Frame>, pixels: Option<Pixels>) {
        let mut spare = self.lock();
        if let Some(frame) = frame.filter(|_| spare.frames.len() < KEPT) {
            spare.frames.push(frame);
        }
        if let Some(pixels) = pixels.filter(|_| spare.pixels.len() < KEPT) {
            spare.pixels.push(pixels);
        }
    }

    /// A panic elsewhere leaves the lists whole: each is changed in one step.
    fn lock(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct SourceCounts {
    /// Frames that the source gave.
    pub frames: u64,
    /// Frames whose picture was decoded; raw pictures that are used where they lie are not among them.
    pub decoded: u64,
    /// Pipelines that read it now.
    pub readers: usize,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn picture(pool: &Arc<FramePool>, byte: u8) -> Arc<SharedFrame> {
        let mut frame = pool.take();
        let data = &mut frame.image_mut().data;
        data.clear();
        data.resize(1000, byte);
        pool.share(frame, true)
    }

    #[test]
    fn readers_at_the_same_time_decode_once_and_see_the_same_pixels() {
        let pool = Arc::new(FramePool::default());
        let (decodes, start) = (AtomicUsize::new(0), Barrier::new(3));
        for byte in 0..20 {
            let frame = picture(&pool, byte);
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        start.wait();
                        let pixels = frame.decoded(|image, pixels| {
                            decodes.fetch_add(1, Relaxed);
                            pixels.data.clear();
                            pixels.data.extend(&image.data);
                            Ok(())
                        });
                        assert!(pixels.unwrap().data.iter().all(|found| *found == byte));
                    });
                }
            });
        }
        assert_eq!((decodes.into_inner(), pool.decoded()), (20, 20));
    }

    #[test]
    fn an_error_is_the_same_for_every_reader() {
        let pool = Arc::new(FramePool::default());
        let frame = picture(&pool, 0);
        let damaged = Undecodable::Damaged { format: "JPEG", reason: "cut off".into() };
        assert_eq!(frame.decoded(|_, _| Err(damaged.clone())).unwrap_err(), &damaged);
        assert_eq!(frame.decoded(|_, _| Ok(())).unwrap_err(), &damaged, "it is not decoded again");
    }

    #[test]
    fn three_readers_allocate_nothing_after_warm_up() {
        let pool = Arc::new(FramePool::default());
        let (mut encoded, mut decoded) = (HashSet::new(), HashSet::new());
        // A slot and a frame at work for each reader, of different ages, as when one of them is slow.
        let mut held: [[Option<Arc<SharedFrame>>; 2]; 3] = Default::default();
        for turn in 0..200_usize {
            let frame = picture(&pool, turn as u8);
            if let Payload::Image(image) = &frame.payload {
                encoded.insert(image.data.as_ptr() as usize);
            }
            for (reader, [slot, work]) in held.iter_mut().enumerate() {
                *slot = Some(frame.clone());
                if turn % (reader + 1) == 0 {
                    *work = slot.take();
                    let pixels = work.as_ref().unwrap().decoded(|_, pixels| {
                        pixels.data.clear();
                        pixels.data.resize(3000, 1);
                        Ok(())
                    });
                    decoded.insert(pixels.unwrap().data.as_ptr() as usize);
                }
            }
        }
        assert!(encoded.len() <= 7, "{} buffers for encoded pictures", encoded.len());
        assert!(decoded.len() <= 4, "{} buffers for decoded pictures", decoded.len());
    }
}
