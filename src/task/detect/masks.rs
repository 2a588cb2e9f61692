//! Outlines of objects, from the prototypes of masks that a network gives and the coefficients of each object (D. Bolya et al., "YOLACT",
//! 2019).

use super::outline::{self, Field};
use crate::frame::Geometry;

/// Rings of an object at most, the largest ones.
const MOST_RINGS: usize = 8;

/// The outline of one object in source pixels: where the sum of `prototypes`, `[channels, height, width]`, weighted with `coefficients`, is
/// above 0 within the box `[x1, y1, x2, y2]` of model pixels of an input of `[height, width]`.
///
/// Between the middles of cells the sum is taken as linear, as enlarging the mask would.
pub(super) fn outline(
    prototypes: &[f32],
    [channels, height, width]: [usize; 3],
    coefficients: &[f32],
    bbox: [f32; 4],
    input_size: [usize; 2],
    geometry: &Geometry,
) -> Vec<Vec<[f32; 2]>> {
    let cells = height * width;
    if prototypes.len() < channels * cells || coefficients.len() != channels {
        return Vec::new();
    }
    let ratio = [input_size[1] as f32 / width as f32, input_size[0] as f32 / height as f32];
    // A cell's place is its middle.
    let cell_of = |v: f32, axis: usize| v / ratio[axis] - 0.5;
    let range = |low: f32, high: f32, axis: usize, most: usize| {
        let cell = |v: f32| cell_of(v, axis).clamp(0.0, most as f32);
        ((cell(low).floor() as i64 - 1).max(-1), (cell(high).ceil() as i64 + 1).min(most as i64))
    };
    let ((left, right), (top, bottom)) = (range(bbox[0], bbox[2], 0, width), range(bbox[1], bbox[3], 1, height));
    if left >= right || top >= bottom {
        return Vec::new();
    }
    let (columns, rows) = ((right - left + 1) as usize, (bottom - top + 1) as usize);
    let mut field = Field::new(columns, rows);
    for row in 0..rows {
        // Beyond the edge the mask goes on as at the edge.
        let y = (top + row as i64).clamp(0, height as i64 - 1) as usize;
        for (channel, weight) in coefficients.iter().enumerate() {
            let line = &prototypes[channel * cells + y * width..][..width];
            for column in 0..columns {
                let x = (left + column as i64).clamp(0, width as i64 - 1) as usize;
                field.add(column, row, weight * line[x]);
            }
        }
    }
    let [x1, y1, x2, y2] = bbox;
    let to_source = |[column, row]: [f32; 2]| {
        let x = ((column + left as f32 + 0.5) * ratio[0]).clamp(x1, x2);
        let y = ((row + top as f32 + 0.5) * ratio[1]).clamp(y1, y2);
        let [x, y, ..] = geometry.to_source([x, y, x, y]);
        [x, y]
    };
    let mut rings: Vec<Vec<[f32; 2]>> =
        field.rings().into_iter().map(|ring| ring.into_iter().map(to_source).collect()).collect();
    // A tenth of a cell is less than what the network can tell.
    let tolerance = 0.1 * ratio[0] * geometry.scale[0].abs();
    let cell = ratio[0] * ratio[1] * (geometry.scale[0] * geometry.scale[1]).abs();
    rings.iter_mut().for_each(|ring| outline::simplify(ring, tolerance));
    rings.retain(|ring| ring.len() >= 3 && outline::area(ring).abs() >= cell);
    rings.sort_by(|a, b| outline::area(b).abs().total_cmp(&outline::area(a).abs()));
    rings.truncate(MOST_RINGS);
    // Tenths of a pixel are enough, and shorter as text.
    rings.iter_mut().flatten().for_each(|point| *point = point.map(|v| (v * 10.0).round() / 10.0));
    rings
}
