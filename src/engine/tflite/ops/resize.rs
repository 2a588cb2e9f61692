//! Pictures of another size.

use super::super::layout::Layout;
use super::super::write::{Try, Writer};
use super::node::Node;
use crate::onnx::build::NodeBuilder;

/// True if factors give the size of the result as exactly as numbers of pixels do.
pub fn is_exact(from: &[usize], to: &[usize]) -> bool {
    let exact = |(&from, &to): (&usize, &usize)| {
        let factor = to as f32 / from as f32;
        f64::from(factor) * from as f64 == to as f64
    };
    from.len() == to.len() && from.iter().zip(to).all(exact)
}

/// `RESIZE_BILINEAR` and `RESIZE_NEAREST_NEIGHBOR`; both have `align_corners` and `half_pixel_centers`.
pub fn resize(w: &mut Writer<'_, '_>, node: Node<'_, '_>, linear: bool) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let (&[n, h, width, c], &[out_n, out_h, out_w, out_c]) = (&w.tensor(x).shape[..], &w.tensor(y).shape[..]) else {
        return Err("its tensors are no pictures".into());
    };
    if (n, c) != (out_n, out_c) {
        return Err("its result has other channels than its operand".into());
    }
    // The two came into the format after a height and a width in the bilinear form, which converters no longer write.
    let first = if linear { 2 } else { 0 };
    let corners = node.option(false, |o| o.flag(first))?;
    let centers = node.option(false, |o| o.flag(first + 1))?;
    let whole = out_h % h == 0 && out_w % width == 0;
    let (coordinates, rounding) = match (linear, corners, centers) {
        (_, true, true) => return Err("align_corners and half_pixel_centers exclude each other".into()),
        (true, true, _) => ("align_corners", "floor"),
        (true, _, true) => ("half_pixel", "floor"),
        (true, ..) => ("asymmetric", "floor"),
        (false, true, _) => ("align_corners", "round_prefer_ceil"),
        // With whole factors the middle of a pixel lies in the same one as its corner.
        (false, _, true) if !whole => ("half_pixel", "round_prefer_ceil"),
        (false, ..) => ("asymmetric", "floor"),
    };
    let input = w.real(x, Layout::ChannelsFirst)?;
    let step = if w.is_open() {
        let factors = w.numbers(&[1.0, 1.0, out_h as f32 / h as f32, out_w as f32 / width as f32])?;
        NodeBuilder::new("Resize", [input.as_str(), "", &factors])
    } else {
        let sizes = w.longs(&[out_n as i64, out_c as i64, out_h as i64, out_w as i64])?;
        NodeBuilder::new("Resize", [input.as_str(), "", "", &sizes])
    };
    let step = step
        .text("mode", if linear { "linear" } else { "nearest" })
        .text("coordinate_transformation_mode", coordinates)
        .text("nearest_mode", rounding);
    w.compute(y, Layout::ChannelsFirst, vec![step])
}
