//! One output line of a GPIO chip, by the kernel's character device (`include/uapi/linux/gpio.h`, version 2, kernel 5.10 and newer).
#![allow(unsafe_code, reason = "a line is asked for and set by ioctls")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// Name that tools show beside the line.
const CONSUMER: &[u8] = b"leptond";
const ACTIVE_LOW: u64 = 1 << 1;
const OUTPUT: u64 = 1 << 3;
const GET_LINE: Opcode = opcode::read_write::<LineRequest>(0xb4, 0x07);
const SET_VALUES: Opcode = opcode::read_write::<LineValues>(0xb4, 0x0f);

/// `struct gpio_v2_line_config_attribute`; none is used.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Attribute {
    id: u32,
    padding: u32,
    value: u64,
    mask: u64,
}

/// `struct gpio_v2_line_request`, with the `gpio_v2_line_config` in it.
#[repr(C)]
#[derive(Clone, Copy)]
struct LineRequest {
    offsets: [u32; 64],
    consumer: [u8; 32],
    flags: u64,
    num_attrs: u32,
    config_padding: [u32; 5],
    attrs: [Attribute; 10],
    num_lines: u32,
    event_buffer_size: u32,
    padding: [u32; 5],
    fd: i32,
}

/// `struct gpio_v2_line_values`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LineValues {
    bits: u64,
    mask: u64,
}

/// An output line. It is given back when it is dropped.
#[derive(Debug)]
pub struct Line(OwnedFd);

impl Line {
    /// Takes line `offset` of the chip `device` as an output, off; with `active_low`, on is 0 V.
    ///
    /// # Errors
    /// The device cannot be opened, is no GPIO chip, has no such line, or somebody else has it.
    pub fn output(device: &Path, offset: u32, active_low: bool) -> io::Result<Line> {
        let chip = OpenOptions::new().read(true).write(true).open(device)?;
        let mut request = request(offset, active_low);
        // SAFETY: GET_LINE reads and writes one LineRequest, whose layout is the kernel's; every pattern of bits is valid in it.
        unsafe { ioctl(&chip, Updater::<GET_LINE, LineRequest>::new(&mut request)) }?;
        if request.fd < 0 {
            return Err(io::Error::other("the chip gives no line"));
        }
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        Ok(Line(unsafe { OwnedFd::from_raw_fd(request.fd) }))
    }

    /// Switches it on or off.
    ///
    /// # Errors
    /// The chip does not answer.
    pub fn set(&self, on: bool) -> io::Result<()> {
        let mut values = LineValues { bits: u64::from(on), mask: 1 };
        // SAFETY: SET_VALUES reads one LineValues, whose layout is the kernel's.
        unsafe { ioctl(self.0.as_fd(), Updater::<SET_VALUES, LineValues>::new(&mut values)) }?;
        Ok(())
    }
}

fn request(offset: u32, active_low: bool) -> LineRequest {
    let mut request = LineRequest {
        offsets: [0; 64],
        consumer: [0; 32],
        flags: OUTPUT | if active_low { ACTIVE_LOW } else { 0 },
        num_attrs: 0,
        config_padding: [0; 5],
        attrs: [Attribute::default(); 10],
        num_lines: 1,
        event_buffer_size: 0,
        padding: [0; 5],
        fd: -1,
    };
    request.offsets[0] = offset;
    request.consumer.iter_mut().zip(CONSUMER).for_each(|(to, from)| *to = *from);
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn the_layout_is_the_kernels() {
        assert_eq!((size_of::<LineRequest>(), size_of::<LineValues>(), size_of::<Attribute>()), (592, 16, 24));
        assert_eq!((offset_of!(LineRequest, flags), offset_of!(LineRequest, attrs)), (288, 320));
        assert_eq!((offset_of!(LineRequest, num_lines), offset_of!(LineRequest, fd)), (560, 588));
        assert_eq!((GET_LINE, SET_VALUES), (0xc250_b407, 0xc010_b40f));
        let request = request(17, true);
        assert_eq!((request.offsets[..2].to_vec(), request.flags, request.num_lines), (vec![17, 0], 0b1010, 1));
        assert!(request.consumer.starts_with(b"leptond\0"));
    }

    #[test]
    fn what_is_no_chip_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gpiochip0");
        assert_eq!(Line::output(&file, 1, false).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&file, "").unwrap();
        let error = Line::output(&file, 1, false).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::NOTTY.raw_os_error()), "{error}");
    }
}
