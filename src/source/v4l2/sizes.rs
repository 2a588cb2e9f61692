//! Smaller pictures that a device offers.

use super::config::V4l2Config;
use super::device::Device;
use super::negotiate::usable;
use crate::source::sizes::{free, scaled, worth_asking};
use crate::sys::v4l2::Size;

/// `[width, height]` of the pictures below the configured size that the device offers in a format that can be read, largest
/// first. Empty when it does not offer the configured size itself: its driver's choice is then unknown.
pub(super) fn smaller(device: &mut dyn Device, config: &V4l2Config) -> Vec<[u32; 2]> {
    let full = [config.width, config.height];
    let offered = offered(device, config);
    if !offered.iter().any(|size| size.holds(full)) {
        return Vec::new();
    }
    let freely = free(full, 2).into_iter().filter(|size| offered.iter().any(|o| o.holds(*size)));
    let fixed = offered.iter().filter_map(|size| match size {
        Size::Exact(size) => Some(*size),
        Size::Range { .. } => None,
    });
    worth_asking(full, freely.chain(fixed))
}

/// The size to ask for when the longer side shall have `side` pixels.
pub(super) fn nearest(device: &mut dyn Device, config: &V4l2Config, side: u32) -> [u32; 2] {
    let named = smaller(device, config).into_iter().find(|size| size[0].max(size[1]) == side);
    named.unwrap_or_else(|| scaled([config.width, config.height], side, 2))
}

fn offered(device: &mut dyn Device, config: &V4l2Config) -> Vec<Size> {
    let formats = device.formats().unwrap_or_default();
    usable(config.format, &formats).flat_map(|fourcc| device.sizes(fourcc)).collect()
}
