//! Circles: the edges of a ring point to its middle, and vote for it.

use super::level::Level;

/// Radii that are tried, each larger than the one before by this part.
const STEP: f32 = 1.12;
/// Slope of luminance, in steps of 255 for two pixels, that is an edge.
const EDGE: f32 = 8.0;
/// Least part of a circle's outline that votes for its middle.
const LEAST: f32 = 0.3;

/// Sizes that a circle is tried in, as parts of its own, and places across and down.
const SIZES: [f32; 12] = [0.84, 0.88, 0.92, 0.96, 1.0, 1.04, 1.08, 1.13, 1.18, 1.23, 1.28, 1.34];
const SHIFTS: usize = 7;
/// Directions in which an outline is looked at, and the step of luminance that counts in one at most.
const DIRECTIONS: usize = 32;
const STRONG: f32 = 60.0;

/// A circle in pixels of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circle {
    pub middle: [f32; 2],
    pub radius: f32,
    /// Part of its outline that is seen, above 1 where the ring has an inner and an outer edge.
    pub seen: f32,
}

/// Circles with radii between two, in pixels of the picture, inside a rectangle `[left, top, right, bottom]` of it; best first.
pub(super) fn circles(level: &Level, within: [f32; 4], radii: [f32; 2], most: usize) -> Vec<Circle> {
    let factor = level.factor;
    let limit = |v: f32, size: usize| (v * factor).clamp(0.0, size as f32) as usize;
    let [left, top] = [limit(within[0], level.width), limit(within[1], level.height)];
    let [right, bottom] = [limit(within[2], level.width), limit(within[3], level.height)];
    let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
    if width < 8 || height < 8 {
        return Vec::new();
    }
    let edges = edges(level, [left, top, width, height]);
    let mut found: Vec<Circle> = Vec::new();
    let mut radius = (radii[0] * factor).max(3.0);
    while radius <= radii[1] * factor {
        for ([x, y], seen) in peaks(&edges, width, height, radius) {
            let middle = [(x + left as f32) / factor, (y + top as f32) / factor];
            found.push(Circle { middle, radius: radius / factor, seen });
        }
        radius *= STEP;
    }
    found.sort_by(|a, b| b.seen.total_cmp(&a.seen));
    let mut kept: Vec<Circle> = Vec::new();
    for circle in found {
        let same = |other: &Circle| {
            let apart = (circle.middle[0] - other.middle[0]).hypot(circle.middle[1] - other.middle[1]);
            apart < 0.3 * other.radius && (circle.radius / other.radius).ln().abs() < 0.2
        };
        if kept.len() < most && !kept.iter().any(same) {
            kept.push(circle);
        }
    }
    kept
}

/// The circle moved and scaled to where the step of luminance across its outline is greatest, all around in one direction.
pub(super) fn settled(level: &Level, circle: Circle) -> Circle {
    let radius = circle.radius * level.factor;
    let middle = circle.middle.map(|v| v * level.factor);
    let mut best = (0.0, circle);
    for size in SIZES {
        for step in 0..SHIFTS * SHIFTS {
            let shift = [step % SHIFTS, step / SHIFTS].map(|i| (i as f32 - (SHIFTS / 2) as f32) * 0.07 * radius);
            let at = [middle[0] + shift[0], middle[1] + shift[1]];
            let across = across(level, at, size * radius);
            if across > best.0 {
                let middle = at.map(|v| v / level.factor);
                best = (across, Circle { middle, radius: size * circle.radius, ..circle });
            }
        }
    }
    best.1
}

/// Step of luminance across an outline, of 255: the mean over all directions.
fn across(level: &Level, [x, y]: [f32; 2], radius: f32) -> f32 {
    let side = (0.05 * radius).max(0.7);
    let step = |i: usize| {
        let (sin, cos) = (i as f32 / DIRECTIONS as f32 * std::f32::consts::TAU).sin_cos();
        let at = |radius: f32| level.light([x + radius * cos, y + radius * sin]);
        (at(radius + side) - at(radius - side)).clamp(-STRONG, STRONG)
    };
    ((0..DIRECTIONS).map(step).sum::<f32>() / DIRECTIONS as f32).abs()
}

/// Places of edges in a part of a level, with their direction.
fn edges(level: &Level, [left, top, width, height]: [usize; 4]) -> Vec<[f32; 4]> {
    let at = |x: usize, y: usize| {
        let [x, y] = [(x + left).min(level.width - 1), (y + top).min(level.height - 1)];
        f32::from(level.grey.get(y * level.width + x).copied().unwrap_or(0))
    };
    let mut edges = Vec::new();
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let row = |y: usize| at(x + 1, y) - at(x - 1, y);
            let column = |x: usize| at(x, y + 1) - at(x, y - 1);
            let across = (row(y - 1) + 2.0 * row(y) + row(y + 1)) / 4.0;
            let down = (column(x - 1) + 2.0 * column(x) + column(x + 1)) / 4.0;
            let slope = across.hypot(down);
            if slope >= EDGE {
                edges.push([x as f32 + 0.5, y as f32 + 0.5, across / slope, down / slope]);
            }
        }
    }
    edges
}

/// Middles that the edges vote for at one radius, in pixels of the part, each with the part of the outline that votes.
fn peaks(edges: &[[f32; 4]], width: usize, height: usize, radius: f32) -> Vec<([f32; 2], f32)> {
    // Votes are gathered in cells that are as large as a middle is uncertain.
    let cell = (radius * 0.12).max(1.0);
    let (columns, rows) = ((width as f32 / cell) as usize + 1, (height as f32 / cell) as usize + 1);
    let mut votes = vec![0.0_f32; columns * rows];
    for [x, y, across, down] in edges {
        for side in [-radius, radius] {
            let [vx, vy] = [(x + side * across) / cell, (y + side * down) / cell];
            if vx < 0.0 || vy < 0.0 || vx as usize >= columns {
                continue;
            }
            if let Some(vote) = votes.get_mut(vy as usize * columns + vx as usize) {
                *vote += 1.0;
            }
        }
    }
    let at = |x: usize, y: usize| votes.get(y * columns + x).copied().unwrap_or(0.0);
    // The nine cells around each.
    let mut sums = vec![0.0_f32; columns * rows];
    for y in 1..rows.saturating_sub(1) {
        for x in 1..columns.saturating_sub(1) {
            let sum: f32 =
                (y - 1..=y + 1).flat_map(|y| (x - 1..=x + 1).map(move |x| (x, y))).map(|(x, y)| at(x, y)).sum();
            if let Some(cell) = sums.get_mut(y * columns + x) {
                *cell = sum;
            }
        }
    }
    let outline = std::f32::consts::TAU * radius;
    // By chance, all edges vote evenly.
    let chance = 9.0 * 2.0 * edges.len() as f32 / (columns * rows) as f32;
    let mut found = Vec::new();
    for y in 1..rows.saturating_sub(1) {
        for x in 1..columns.saturating_sub(1) {
            let sum = sums.get(y * columns + x).copied().unwrap_or(0.0);
            let seen = (sum - chance) / outline;
            if seen < LEAST {
                continue;
            }
            let around = (y - 1..=y + 1).flat_map(|y| (x - 1..=x + 1).map(move |x| (x, y)));
            if around.clone().any(|(ox, oy)| sums.get(oy * columns + ox).is_some_and(|other| *other > sum)) {
                continue;
            }
            let mut middle = [0.0_f32; 2];
            for (ox, oy) in around {
                let weight = at(ox, oy);
                middle = [middle[0] + weight * (ox as f32 + 0.5), middle[1] + weight * (oy as f32 + 0.5)];
            }
            found.push((middle.map(|v| v * cell / sum), seen));
        }
    }
    found
}
