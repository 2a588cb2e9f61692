//! The operations that this source needs of a device, so that a scripted one can stand in for the kernel.

use std::time::Duration;

use rustix::io::Errno;

use crate::sys::v4l2::{Capability, Format, FourCc, Node, Size, Taken};

/// An open capture device; the operations are those of [`Node`].
pub(super) trait Device: Send {
    fn capability(&mut self) -> Result<Capability, Errno>;
    fn formats(&mut self) -> Result<Vec<FourCc>, Errno>;
    fn sizes(&mut self, fourcc: FourCc) -> Vec<Size>;
    fn set_format(&mut self, fourcc: FourCc, width: u32, height: u32) -> Result<Format, Errno>;
    fn set_rate(&mut self, hertz: f64) -> Result<Option<f64>, Errno>;
    fn start(&mut self, buffers: u32) -> Result<u32, Errno>;
    fn take(&mut self, timeout: Duration, out: &mut Vec<u8>) -> Result<Option<Taken>, Errno>;
}

impl Device for Node {
    fn capability(&mut self) -> Result<Capability, Errno> {
        Node::capability(self)
    }

    fn formats(&mut self) -> Result<Vec<FourCc>, Errno> {
        Node::formats(self)
    }

    fn sizes(&mut self, fourcc: FourCc) -> Vec<Size> {
        Node::sizes(self, fourcc)
    }

    fn set_format(&mut self, fourcc: FourCc, width: u32, height: u32) -> Result<Format, Errno> {
        Node::set_format(self, fourcc, width, height)
    }

    fn set_rate(&mut self, hertz: f64) -> Result<Option<f64>, Errno> {
        Node::set_rate(self, hertz)
    }

    fn start(&mut self, buffers: u32) -> Result<u32, Errno> {
        Node::start(self, buffers)
    }

    fn take(&mut self, timeout: Duration, out: &mut Vec<u8>) -> Result<Option<Taken>, Errno> {
        Node::take(self, timeout, out)
    }
}
