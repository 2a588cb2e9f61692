//! Tests of the whole path from a frame to a model input, against slow and obvious references.

mod bmp;
mod fit;
mod formats;
mod readable;
mod robust;
mod support;
mod upright;
mod whole;
mod windows;
