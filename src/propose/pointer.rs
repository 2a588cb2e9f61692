//! Pointers of a colour on a face without: a dial without a ring is known by nothing else.

use super::circle::Circle;
use super::level::Level;

/// Height of a coloured pixel's strongest channel above the mean of the others, of 255.
const COLOURED: i32 = 36;
/// Length of a pointer from its hub as a part of the dial's radius.
const LENGTH: f32 = 0.75;
/// Length of a pointer in widths of it, least.
const LONG: f32 = 1.7;

/// Dials that coloured pointers inside a rectangle `[left, top, right, bottom]` may belong to, with radii between two; all in pixels of
/// the picture.
pub(super) fn dials(level: &Level, within: [f32; 4], radii: [f32; 2]) -> Vec<Circle> {
    let limit = |v: f32, size: usize| (v * level.factor).clamp(0.0, size as f32) as usize;
    let [left, right] = [within[0], within[2]].map(|v| limit(v, level.width));
    let [top, bottom] = [within[1], within[3]].map(|v| limit(v, level.height));
    let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
    let (pixels, _) = level.rgb.as_chunks::<3>();
    let coloured = |x: usize, y: usize| {
        let [r, g, b] = pixels.get((y + top) * level.width + x + left).copied().unwrap_or_default().map(i32::from);
        r - (g + b) / 2 > COLOURED && r - g.max(b) > COLOURED / 2
    };
    let mut open: Vec<bool> = (0..width * height).map(|i| coloured(i % width, i / width)).collect();
    let mut found = Vec::new();
    let (mut stack, mut blob) = (Vec::new(), Vec::new());
    for start in 0..width * height {
        if !open.get(start).copied().unwrap_or(false) {
            continue;
        }
        stack.clear();
        blob.clear();
        stack.push(start);
        if let Some(cell) = open.get_mut(start) {
            *cell = false;
        }
        while let Some(at) = stack.pop() {
            let (x, y) = (at % width, at / width);
            blob.push([x as f32 + 0.5, y as f32 + 0.5]);
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    if let Some(cell) = open.get_mut(ny * width + nx)
                        && std::mem::take(cell)
                    {
                        stack.push(ny * width + nx);
                    }
                }
            }
        }
        let to_picture = |[x, y]: [f32; 2]| [(x + left as f32) / level.factor, (y + top as f32) / level.factor];
        for (hub, length) in hubs(&blob) {
            let radius = length / LENGTH / level.factor;
            if (radii[0]..=radii[1]).contains(&radius) {
                found.push(Circle { middle: to_picture(hub), radius, seen: LENGTH });
            }
        }
    }
    found
}

/// Possible hubs of a long shape, with the distance to its tip: where it is widest, and a third along from either end.
fn hubs(blob: &[[f32; 2]]) -> Vec<([f32; 2], f32)> {
    if blob.len() < 12 {
        return Vec::new();
    }
    let count = blob.len() as f32;
    let mean = [0, 1].map(|i| blob.iter().map(|p| p[i]).sum::<f32>() / count);
    let moment = |i: usize, j: usize| blob.iter().map(|p| (p[i] - mean[i]) * (p[j] - mean[j])).sum::<f32>() / count;
    let (xx, yy, xy) = (moment(0, 0), moment(1, 1), moment(0, 1));
    let turn = 0.5 * (2.0 * xy).atan2(xx - yy);
    let (sin, cos) = turn.sin_cos();
    let places: Vec<[f32; 2]> = blob
        .iter()
        .map(|[x, y]| [(x - mean[0]) * cos + (y - mean[1]) * sin, (y - mean[1]) * cos - (x - mean[0]) * sin])
        .collect();
    let span = |i: usize| {
        let low = places.iter().map(|p| p[i]).fold(f32::MAX, f32::min);
        (low, places.iter().map(|p| p[i]).fold(f32::MIN, f32::max))
    };
    let ((first, last), (near, far)) = (span(0), span(1));
    let length = last - first + 1.0;
    if length < LONG * (far - near + 1.0) {
        return Vec::new();
    }
    // Widths in eight parts of the length.
    let mut parts = [0_u32; 8];
    for place in &places {
        let part = ((place[0] - first) / length * 8.0) as usize;
        if let Some(part) = parts.get_mut(part) {
            *part += 1;
        }
    }
    let widest = (0..8).max_by_key(|part| parts.get(*part)).unwrap_or(0);
    let along = first + (widest as f32 + 0.5) / 8.0 * length;
    [along, first + 0.3 * length, last - 0.3 * length]
        .map(|along| {
            let hub = [mean[0] + along * cos, mean[1] + along * sin];
            (hub, (last - along).max(along - first))
        })
        .into()
}
