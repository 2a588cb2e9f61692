//! The kernel's ABI of Video4Linux: structures and request numbers of `include/uapi/linux/videodev2.h`.
//!
//! The layout is that of every 64-bit system and, on 32-bit ARM, that of a program with a 64-bit `time_t`: a buffer's timestamp
//! is always two 64-bit numbers. The size is part of a request's number, so the kernel (5.6 and newer) distinguishes this form
//! from the old one, and an older kernel returns `ENOTTY` instead of misreading it.

use std::ffi::c_int;

use rustix::ioctl::{Opcode, opcode};

/// `struct v4l2_capability`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Capability {
    pub driver: [u8; 16],
    pub card: [u8; 32],
    pub bus_info: [u8; 32],
    pub version: u32,
    pub capabilities: u32,
    pub device_caps: u32,
    pub reserved: [u32; 3],
}

/// `struct v4l2_fmtdesc`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FmtDesc {
    pub index: u32,
    pub kind: u32,
    pub flags: u32,
    pub description: [u8; 32],
    pub pixelformat: u32,
    pub mbus_code: u32,
    pub reserved: [u32; 3],
}

/// `struct v4l2_frmsizeenum`. `size` is width and height, or minimum, maximum and step of each.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FrmSizeEnum {
    pub index: u32,
    pub pixel_format: u32,
    pub kind: u32,
    pub size: [u32; 6],
    pub reserved: [u32; 2],
}

/// `struct v4l2_pix_format`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct PixFormat {
    pub width: u32,
    pub height: u32,
    pub pixelformat: u32,
    pub field: u32,
    pub bytesperline: u32,
    pub sizeimage: u32,
    pub colorspace: u32,
    pub private: u32,
    pub flags: u32,
    pub ycbcr_enc: u32,
    pub quantization: u32,
    pub xfer_func: u32,
}

/// `struct v4l2_format`, with the single-planar picture as the only member of its union. Other members hold pointers, which align
/// the union.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Format {
    pub kind: u32,
    #[cfg(target_pointer_width = "64")]
    pub align: u32,
    pub pix: PixFormat,
    pub rest: [u32; 38],
}

impl Default for Format {
    fn default() -> Self {
        Format {
            kind: BUF_TYPE_VIDEO_CAPTURE,
            #[cfg(target_pointer_width = "64")]
            align: 0,
            pix: PixFormat::default(),
            rest: [0; 38],
        }
    }
}

/// `struct v4l2_streamparm`, with the capture part as the only member of its union.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StreamParm {
    pub kind: u32,
    pub capability: u32,
    pub capturemode: u32,
    pub numerator: u32,
    pub denominator: u32,
    pub rest: [u32; 46],
}

impl Default for StreamParm {
    fn default() -> Self {
        StreamParm {
            kind: BUF_TYPE_VIDEO_CAPTURE,
            capability: 0,
            capturemode: 0,
            numerator: 0,
            denominator: 0,
            rest: [0; 46],
        }
    }
}

/// `struct v4l2_requestbuffers`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct RequestBuffers {
    pub count: u32,
    pub kind: u32,
    pub memory: u32,
    pub capabilities: u32,
    pub flags_and_reserved: [u8; 4],
}

/// `struct v4l2_buffer`. `offset` is the first member of a union as wide as a pointer.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Buffer {
    pub index: u32,
    pub kind: u32,
    pub bytesused: u32,
    pub flags: u32,
    pub field: u32,
    pub align: u32,
    pub seconds: i64,
    pub microseconds: i64,
    pub timecode: [u32; 4],
    pub sequence: u32,
    pub memory: u32,
    pub offset: u32,
    #[cfg(target_pointer_width = "64")]
    pub offset_rest: u32,
    pub length: u32,
    pub reserved2: u32,
    pub request_fd: u32,
}

pub const BUF_TYPE_VIDEO_CAPTURE: u32 = 1;
pub const MEMORY_MMAP: u32 = 1;
pub const FIELD_NONE: u32 = 1;
pub const FIELD_SEQ_TB: u32 = 5;
pub const FIELD_SEQ_BT: u32 = 6;
pub const FIELD_ALTERNATE: u32 = 7;

pub const CAP_VIDEO_CAPTURE: u32 = 0x0000_0001;
pub const CAP_VIDEO_CAPTURE_MPLANE: u32 = 0x0000_1000;
pub const CAP_VIDEO_M2M_MPLANE: u32 = 0x0000_4000;
pub const CAP_VIDEO_M2M: u32 = 0x0000_8000;
pub const CAP_STREAMING: u32 = 0x0400_0000;
pub const CAP_DEVICE_CAPS: u32 = 0x8000_0000;

pub const STREAM_CAP_TIMEPERFRAME: u32 = 0x1000;
pub const FRMSIZE_TYPE_DISCRETE: u32 = 1;

pub const BUF_FLAG_ERROR: u32 = 0x40;
pub const BUF_FLAG_TIMESTAMP_MASK: u32 = 0xe000;
pub const BUF_FLAG_TIMESTAMP_MONOTONIC: u32 = 0x2000;

const GROUP: u8 = b'V';
pub const QUERYCAP: Opcode = opcode::read::<Capability>(GROUP, 0);
pub const ENUM_FMT: Opcode = opcode::read_write::<FmtDesc>(GROUP, 2);
pub const S_FMT: Opcode = opcode::read_write::<Format>(GROUP, 5);
pub const REQBUFS: Opcode = opcode::read_write::<RequestBuffers>(GROUP, 8);
pub const QUERYBUF: Opcode = opcode::read_write::<Buffer>(GROUP, 9);
pub const QBUF: Opcode = opcode::read_write::<Buffer>(GROUP, 15);
pub const DQBUF: Opcode = opcode::read_write::<Buffer>(GROUP, 17);
pub const STREAMON: Opcode = opcode::write::<c_int>(GROUP, 18);
pub const STREAMOFF: Opcode = opcode::write::<c_int>(GROUP, 19);
pub const S_PARM: Opcode = opcode::read_write::<StreamParm>(GROUP, 22);
pub const ENUM_FRAMESIZES: Opcode = opcode::read_write::<FrmSizeEnum>(GROUP, 74);

// A wrong field would shift a size, a wrong size would change a number: these are the values that a C program with the kernel's
// header prints on x86-64 and aarch64.
#[cfg(all(target_pointer_width = "64", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
const _: () = {
    assert!(QUERYCAP == 0x8068_5600);
    assert!(ENUM_FMT == 0xc040_5602);
    assert!(S_FMT == 0xc0d0_5605);
    assert!(REQBUFS == 0xc014_5608);
    assert!(QUERYBUF == 0xc058_5609);
    assert!(QBUF == 0xc058_560f);
    assert!(DQBUF == 0xc058_5611);
    assert!(STREAMON == 0x4004_5612);
    assert!(STREAMOFF == 0x4004_5613);
    assert!(S_PARM == 0xc0cc_5616);
    assert!(ENUM_FRAMESIZES == 0xc02c_564a);
    assert!(std::mem::offset_of!(Format, pix) == 8);
    assert!(std::mem::offset_of!(Buffer, seconds) == 24);
    assert!(std::mem::offset_of!(Buffer, sequence) == 56);
    assert!(std::mem::offset_of!(Buffer, offset) == 64);
    assert!(std::mem::offset_of!(Buffer, length) == 72);
};

#[cfg(target_arch = "arm")]
const _: () = {
    assert!(size_of::<Format>() == 204 && size_of::<Buffer>() == 80);
    assert!(std::mem::offset_of!(Format, pix) == 4);
    assert!(std::mem::offset_of!(Buffer, seconds) == 24);
    assert!(std::mem::offset_of!(Buffer, offset) == 64);
    assert!(std::mem::offset_of!(Buffer, length) == 68);
};

const _: () = {
    assert!(size_of::<Capability>() == 104 && size_of::<FmtDesc>() == 64 && size_of::<FrmSizeEnum>() == 44);
    assert!(size_of::<PixFormat>() == 48 && size_of::<StreamParm>() == 204 && size_of::<RequestBuffers>() == 20);
};
