//! Visibility: how much of a figure nearer figures and the picture's edges leave to be seen.

use super::camera::Camera;
use super::figure::Figure;

/// Columns and rows of points that a figure is looked at in.
const GRID: [u8; 2] = [12, 14];

/// Visible part of a figure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visible {
    /// Share of the whole figure, 0.0 to 1.0.
    pub fraction: f32,
    /// `[x1, y1, x2, y2]` in pixels around the visible part; empty where nothing is visible.
    pub bbox: [f32; 4],
}

/// Finds the part of `figure` that can be seen behind `nearer` ones.
pub(super) fn visible(figure: &Figure, nearer: &[Figure], camera: &Camera) -> Visible {
    let [x1, y1, x2, y2] = figure.bbox(camera);
    let [columns, rows] = GRID.map(f32::from);
    let (step_x, step_y) = ((x2 - x1) / columns, (y2 - y1) / rows);
    let overlaps = |other: &&Figure| {
        let [a1, b1, a2, b2] = other.bbox(camera);
        a1 < x2 && a2 > x1 && b1 < y2 && b2 > y1
    };
    let hiding: Vec<&Figure> = nearer.iter().filter(overlaps).collect();
    let (mut all, mut seen) = (0u32, 0u32);
    let mut bbox = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
    for row in 0..GRID[1] {
        let y = y1 + (f32::from(row) + 0.5) * step_y;
        for column in 0..GRID[0] {
            let x = x1 + (f32::from(column) + 0.5) * step_x;
            if !figure.covers(camera, [x, y]) {
                continue;
            }
            all += 1;
            let inside = x >= 0.0 && y >= 0.0 && x < camera.size[0] && y < camera.size[1];
            if inside && !hiding.iter().any(|other| other.covers(camera, [x, y])) {
                seen += 1;
                bbox = [
                    bbox[0].min(x - step_x / 2.0),
                    bbox[1].min(y - step_y / 2.0),
                    bbox[2].max(x + step_x / 2.0),
                    bbox[3].max(y + step_y / 2.0),
                ];
            }
        }
    }
    if seen == 0 {
        return Visible { fraction: 0.0, bbox: [0.0; 4] };
    }
    let [width, height] = camera.size;
    let bbox = [bbox[0].max(0.0), bbox[1].max(0.0), bbox[2].min(width), bbox[3].min(height)];
    Visible { fraction: seen as f32 / all.max(1) as f32, bbox }
}
