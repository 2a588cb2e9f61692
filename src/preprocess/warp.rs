//! Straightens a quadrilateral: perspective transform with bilinear sampling.
//!
//! The homography from the unit square to four points is in closed form: P. Heckbert, "Fundamentals of Texture Mapping
//! and Image Warping", 1989, section 2.2.3.

use super::picture::Picture;

/// Corners `[x, y]`: top left, top right, bottom right, bottom left.
pub(super) type Quad = [[f64; 2]; 4];

/// Most samples along one side of the straightened part, which bounds the buffer for any region.
const MAX_SIDE: usize = 4096;

/// The corners as pairs.
pub(super) fn corners(&[x1, y1, x2, y2, x3, y3, x4, y4]: &[f32; 8]) -> Quad {
    [[x1, y1], [x2, y2], [x3, y3], [x4, y4]].map(|p| p.map(f64::from))
}

/// `true` when the corners form a convex shape with some area. Either direction is valid: a mirror image is legitimate.
pub(super) fn is_convex(quad: &Quad) -> bool {
    let turn = |i: usize| {
        let [a, b, c] = [quad[i], quad[(i + 1) % 4], quad[(i + 2) % 4]];
        (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])
    };
    let turns = [turn(0), turn(1), turn(2), turn(3)];
    turns.iter().all(|&t| t > 1e-3) || turns.iter().all(|&t| t < -1e-3)
}

/// The longer of the two horizontal sides and of the two vertical sides, in pixels.
pub(super) fn sides(quad: &Quad) -> [f64; 2] {
    let side = |a: usize, b: usize| (quad[a][0] - quad[b][0]).hypot(quad[a][1] - quad[b][1]);
    [side(0, 1).max(side(3, 2)), side(0, 3).max(side(1, 2))]
}

/// Samples per model pixel, horizontally and vertically, so that no source pixel is skipped.
pub(super) fn steps(quad: &Quad, width: usize, height: usize) -> [usize; 2] {
    let [across, down] = sides(quad);
    let (across, down) = (across / width as f64, down / height as f64);
    let clamp = |v: f64, n: usize| (v.ceil() as usize).clamp(1, (MAX_SIDE / (n + 2)).max(1));
    [clamp(across, width), clamp(down, height)]
}

/// Samples the quadrilateral on a grid of `(size + 2) × steps` points (one model pixel of margin on each side) into `out`,
/// packed like the picture's pixels. Points outside the picture take its nearest edge.
pub(super) fn straighten(picture: &Picture<'_>, quad: &Quad, size: [usize; 2], steps: [usize; 2], out: &mut [u8]) {
    match picture.channels.bytes() {
        1 => sample::<1>(picture, quad, size, steps, out),
        2 => sample::<2>(picture, quad, size, steps, out),
        _ => sample::<3>(picture, quad, size, steps, out),
    }
}

/// `x = (a·u + b·v + c) / (g·u + h·v + 1)`, `y = (d·u + e·v + f) / (g·u + h·v + 1)`.
struct Homography {
    x: [f64; 3],
    y: [f64; 3],
    w: [f64; 3],
}

impl Homography {
    fn from_unit_square(&[p0, p1, p2, p3]: &Quad) -> Self {
        let sum = [p0[0] - p1[0] + p2[0] - p3[0], p0[1] - p1[1] + p2[1] - p3[1]];
        let (d1, d2) = ([p1[0] - p2[0], p1[1] - p2[1]], [p3[0] - p2[0], p3[1] - p2[1]]);
        let det = d1[0] * d2[1] - d1[1] * d2[0];
        let g = (sum[0] * d2[1] - sum[1] * d2[0]) / det;
        let h = (d1[0] * sum[1] - d1[1] * sum[0]) / det;
        let row = |i: usize| [p1[i] - p0[i] + g * p1[i], p3[i] - p0[i] + h * p3[i], p0[i]];
        Homography { x: row(0), y: row(1), w: [g, h, 1.0] }
    }
}

fn sample<const C: usize>(picture: &Picture<'_>, quad: &Quad, size: [usize; 2], steps: [usize; 2], out: &mut [u8]) {
    let map = Homography::from_unit_square(quad);
    let (width, height) = (picture.width as usize, picture.height as usize);
    let (pixels, _) = picture.data.as_chunks::<C>();
    let (samples, _) = out.as_chunks_mut::<C>();
    let at = |i: usize, axis: usize| ((i as f64 + 0.5) / steps[axis] as f64 - 1.0) / size[axis] as f64;
    let (first, step) = (at(0, 0), at(1, 0) - at(0, 0));
    for (row, line) in samples.chunks_exact_mut((size[0] + 2) * steps[0]).enumerate() {
        // Along a row the three forms are linear: a start and a slope each.
        let v = at(row, 1);
        let [x, y, w] = [map.x, map.y, map.w].map(|m| [m[0] * first + m[1] * v + m[2], m[0] * step]);
        for (column, sample) in line.iter_mut().enumerate() {
            let along = |[start, slope]: [f64; 2]| start + slope * column as f64;
            // Beyond the horizon (which only the margin can reach) the point is far outside and takes the edge.
            let scale = 1.0 / along(w).max(1e-6);
            let (left, right, across) = between(along(x) * scale, width);
            let (top, bottom, down) = between(along(y) * scale, height);
            let (a, b) = (pixels[top * width + left], pixels[top * width + right]);
            let (c, d) = (pixels[bottom * width + left], pixels[bottom * width + right]);
            *sample = std::array::from_fn(|i| {
                let upper = f32::from(a[i]) + across * (f32::from(b[i]) - f32::from(a[i]));
                let lower = f32::from(c[i]) + across * (f32::from(d[i]) - f32::from(c[i]));
                // The value is never negative, so adding a half and truncating rounds it without a library call.
                (upper + down * (lower - upper) + 0.5) as u8
            });
        }
    }
}

/// The two pixels whose centres enclose `position`, and its distance from the first towards the second. Always inside.
fn between(position: f64, size: usize) -> (usize, usize, f32) {
    let p = (position - 0.5).clamp(0.0, (size - 1) as f64);
    let first = p as usize;
    (first, (first + 1).min(size - 1), (p - first as f64) as f32)
}
