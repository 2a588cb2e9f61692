//! Fonts: how a skeleton becomes ink. Twelve of them, three of which no model of this project is trained on.

use super::chance::Chance;
use super::skeleton::{self, Part, Set};

/// A typeface of a counter.
#[derive(Debug)]
pub struct Font {
    /// Its name, for people.
    pub name: &'static str,
    /// Kept away from training, so that accuracy on it says something about counters never seen.
    pub held_out: bool,
    /// Shown by a liquid crystal display instead of drums.
    pub lcd: bool,
    shape: Shape,
    /// Exponent of the superellipse that arcs follow: 2 = round, 4 = nearly square.
    exponent: f32,
    /// Stroke width in digit heights, from and to.
    weight: [f32; 2],
    /// Digit width in digit heights, from and to.
    width: [f32; 2],
    /// Lean to the right as a tangent, from and to.
    slant: [f32; 2],
    /// Width of a horizontal stroke to that of a vertical one.
    contrast: f32,
    ends: Ends,
    /// Bridge that interrupts the strokes, in digit heights.
    gap: f32,
}

#[derive(Debug)]
enum Shape {
    Strokes(&'static Set),
    Segments,
    Dots,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Flat,
    Round,
    Pointed,
}

/// A font with weight, width and slant chosen.
#[derive(Clone, Debug)]
pub struct Face {
    /// The font.
    pub font: &'static Font,
    weight: f32,
    width: f32,
    slant: f32,
}

/// A straight piece of ink. Coordinates are in digit heights from the digit's centre.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    from: [f32; 2],
    along: [f32; 2],
    length: f32,
    half: f32,
    /// Length of a flat end past the skeleton's end, before and behind.
    reach: [f32; 2],
    ends: Ends,
}

const SANS: Font = Font {
    name: "sans",
    held_out: false,
    lcd: false,
    shape: Shape::Strokes(&skeleton::PLAIN),
    exponent: 2.2,
    weight: [0.10, 0.19],
    width: [0.52, 0.68],
    slant: [0.0, 0.06],
    contrast: 0.9,
    ends: Ends::Flat,
    gap: 0.0,
};

/// Every font. The order is part of what a seed means.
pub static FONTS: [Font; 12] = [
    SANS,
    Font { name: "rounded", exponent: 2.4, weight: [0.09, 0.16], contrast: 1.0, ends: Ends::Round, ..SANS },
    Font { name: "condensed", exponent: 3.2, weight: [0.09, 0.15], width: [0.40, 0.50], ..SANS },
    Font {
        name: "machine",
        shape: Shape::Strokes(&skeleton::ENGINEERED),
        exponent: 2.1,
        weight: [0.09, 0.16],
        width: [0.48, 0.62],
        contrast: 1.0,
        ..SANS
    },
    Font { name: "stencil", weight: [0.13, 0.19], width: [0.54, 0.66], slant: [0.0, 0.0], gap: 0.07, ..SANS },
    Font {
        name: "block",
        shape: Shape::Strokes(&skeleton::BLOCK),
        weight: [0.10, 0.18],
        width: [0.48, 0.66],
        contrast: 1.0,
        ..SANS
    },
    Font {
        name: "footed",
        shape: Shape::Strokes(&skeleton::FOOTED),
        exponent: 2.0,
        weight: [0.12, 0.18],
        width: [0.54, 0.68],
        slant: [0.0, 0.1],
        contrast: 0.45,
        ..SANS
    },
    Font {
        name: "segments",
        lcd: true,
        shape: Shape::Segments,
        weight: [0.09, 0.14],
        width: [0.48, 0.58],
        slant: [0.0, 0.14],
        contrast: 1.0,
        ends: Ends::Pointed,
        ..SANS
    },
    Font {
        name: "dots",
        lcd: true,
        shape: Shape::Dots,
        weight: [0.10, 0.128],
        width: [0.58, 0.70],
        slant: [0.0, 0.0],
        contrast: 1.0,
        ..SANS
    },
    Font {
        name: "drum",
        held_out: true,
        shape: Shape::Strokes(&skeleton::DRUM),
        exponent: 2.3,
        weight: [0.10, 0.17],
        width: [0.48, 0.62],
        slant: [0.0, 0.08],
        contrast: 0.95,
        ends: Ends::Round,
        ..SANS
    },
    Font {
        name: "pen",
        held_out: true,
        shape: Shape::Strokes(&skeleton::PEN),
        weight: [0.11, 0.17],
        width: [0.52, 0.64],
        slant: [0.0, 0.05],
        contrast: 0.6,
        ..SANS
    },
    Font {
        name: "bars",
        held_out: true,
        lcd: true,
        shape: Shape::Segments,
        weight: [0.07, 0.11],
        width: [0.50, 0.62],
        slant: [0.06, 0.18],
        contrast: 1.0,
        ends: Ends::Flat,
        ..SANS
    },
];

impl Face {
    /// A font in one of its forms.
    pub fn choose(font: &'static Font, chance: &mut Chance) -> Self {
        let mut pick = |[from, to]: [f32; 2]| chance.within(from, to);
        Face { font, weight: pick(font.weight), width: pick(font.width), slant: pick(font.slant) }
    }

    /// Draws `digit` with its centre in the middle of a `width`×`height` picture, `size` pixels high, as coverage 0 to 1
    /// (the larger of what is there and what is drawn). A digit over 9 draws nothing.
    pub fn draw(&self, digit: usize, size: f32, width: usize, height: usize, out: &mut [f32]) {
        let middle = [width as f32 / 2.0, height as f32 / 2.0];
        for bar in self.bars(digit) {
            let bounds = bar.bounds();
            let clip = |v: f32, limit: usize| (v.max(0.0) as usize).min(limit);
            let xs = clip(bounds[0] * size + middle[0] - 1.0, width)..clip(bounds[2] * size + middle[0] + 2.0, width);
            let ys = clip(bounds[1] * size + middle[1] - 1.0, height)..clip(bounds[3] * size + middle[1] + 2.0, height);
            for y in ys {
                let row = out.get_mut(y * width..(y + 1) * width).unwrap_or_default();
                let py = (y as f32 + 0.5 - middle[1]) / size;
                for (x, cell) in row.iter_mut().enumerate().take(xs.end).skip(xs.start) {
                    let px = (x as f32 + 0.5 - middle[0]) / size;
                    let outside = bar.distance(px, py).max(self.bridge(digit, px, py));
                    *cell = cell.max((0.5 - outside * size).clamp(0.0, 1.0));
                }
            }
        }
    }

    /// The ink of a digit.
    pub fn bars(&self, digit: usize) -> Vec<Bar> {
        match &self.font.shape {
            Shape::Strokes(set) => {
                set.get(digit).map(|d| d.iter().flat_map(|s| self.stroke(s)).collect()).unwrap_or_default()
            }
            Shape::Segments => self.segments(skeleton::SEGMENTS.get(digit).copied().unwrap_or_default()),
            Shape::Dots => self.dots(skeleton::DOTS.get(digit).copied().unwrap_or_default()),
        }
    }

    /// Depth of a point inside a stencil's bridge: above 0 there is no ink.
    fn bridge(&self, digit: usize, x: f32, y: f32) -> f32 {
        if self.font.gap == 0.0 {
            return f32::MIN;
        }
        let across = if matches!(digit, 1 | 4 | 7) { y + 0.06 } else { x };
        self.font.gap / 2.0 - across.abs()
    }

    /// From the unit box to digit heights, kept inside the box by half a stroke.
    fn place(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let y = (y - 0.5) * (1.0 - self.weight);
        [(x - 0.5) * (self.width - self.weight) - y * self.slant, y]
    }

    fn stroke(&self, parts: &[Part]) -> Vec<Bar> {
        let line: Vec<[f32; 2]> = flatten(parts, self.font.exponent).into_iter().map(|p| self.place(p)).collect();
        let closed = match (line.first(), line.last()) {
            (Some(a), Some(b)) => (a[0] - b[0]).hypot(a[1] - b[1]) < 1e-3,
            _ => false,
        };
        let mut bars: Vec<Bar> = line.windows(2).filter_map(|w| self.bar(w)).collect();
        let turns: Vec<f32> = bars.windows(2).map(|w| turn(&w[0], &w[1])).collect();
        let around = match (closed, bars.first(), bars.last()) {
            (true, Some(first), Some(last)) => turn(last, first),
            _ => 0.0,
        };
        let count = bars.len();
        for (i, bar) in bars.iter_mut().enumerate() {
            let before = if i == 0 { around } else { turns[i - 1] };
            let behind = if i + 1 == count { around } else { turns[i] };
            // A mitre: both outer edges meet where the two strokes' ends reach `half × tan(turn / 2)` past the joint.
            bar.reach = [before, behind].map(|turn| bar.half * (turn.min(1.6) / 2.0).tan());
        }
        bars
    }

    fn bar(&self, ends: &[[f32; 2]]) -> Option<Bar> {
        let [from, to] = ends else { return None };
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let length = dx.hypot(dy);
        if length < 1e-5 {
            return None;
        }
        let contrast = self.font.contrast;
        let half = self.weight / 2.0 * (contrast + (1.0 - contrast) * (dy / length).abs());
        let along = [dx / length, dy / length];
        Some(Bar { from: *from, along, length, half, reach: [0.0; 2], ends: self.font.ends })
    }

    fn segments(&self, lit: u8) -> Vec<Bar> {
        let corner = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0], [0.0, 0.5]].map(|p| self.place(p));
        let ends = [(0, 1), (1, 2), (2, 3), (4, 3), (5, 4), (0, 5), (5, 2)];
        // Pointed segments nearly meet at their tips; flat ones stop short by half their own thickness.
        let short = if self.font.ends == Ends::Pointed { 0.012 } else { self.weight * 0.62 };
        let bar = |(a, b): (usize, usize)| {
            let mut bar = self.bar(&[corner[a], corner[b]])?;
            bar.from = [bar.from[0] + bar.along[0] * short, bar.from[1] + bar.along[1] * short];
            bar.length = (bar.length - 2.0 * short).max(0.01);
            Some(bar)
        };
        ends.into_iter().enumerate().filter(|(i, _)| lit >> i & 1 == 1).filter_map(|(_, pair)| bar(pair)).collect()
    }

    fn dots(&self, rows: [u8; 7]) -> Vec<Bar> {
        let mut bars = Vec::new();
        for (y, row) in rows.into_iter().enumerate() {
            for x in (0..5).filter(|x| row >> (4 - x) & 1 == 1) {
                let at = self.place([x as f32 / 4.0, y as f32 / 6.0]);
                let half = self.weight / 2.0;
                bars.push(Bar {
                    from: [at[0] - half, at[1]],
                    along: [1.0, 0.0],
                    length: self.weight,
                    half,
                    reach: [0.0; 2],
                    ends: Ends::Flat,
                });
            }
        }
        bars
    }
}

impl Bar {
    /// Signed distance to the ink's edge in digit heights, below 0 inside.
    pub fn distance(&self, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.from[0], y - self.from[1]);
        let u = dx * self.along[0] + dy * self.along[1];
        let v = (dy * self.along[0] - dx * self.along[1]).abs();
        match self.ends {
            Ends::Flat => {
                let (du, dv) = ((-self.reach[0] - u).max(u - self.length - self.reach[1]), v - self.half);
                du.max(0.0).hypot(dv.max(0.0)) + du.max(dv).min(0.0)
            }
            Ends::Round => (u - u.clamp(0.0, self.length)).hypot(v) - self.half,
            Ends::Pointed => {
                let tip = ((u - self.length / 2.0).abs() + v - self.length / 2.0) * std::f32::consts::FRAC_1_SQRT_2;
                tip.max(v - self.half)
            }
        }
    }

    /// `[left, top, right, bottom]` in digit heights.
    fn bounds(&self) -> [f32; 4] {
        let to = [self.from[0] + self.along[0] * self.length, self.from[1] + self.along[1] * self.length];
        let margin = self.half * 2.2;
        [
            self.from[0].min(to[0]) - margin,
            self.from[1].min(to[1]) - margin,
            self.from[0].max(to[0]) + margin,
            self.from[1].max(to[1]) + margin,
        ]
    }
}

/// Angle between two bars' directions in radians.
fn turn(a: &Bar, b: &Bar) -> f32 {
    let cross = a.along[0] * b.along[1] - a.along[1] * b.along[0];
    let dot = a.along[0] * b.along[0] + a.along[1] * b.along[1];
    cross.abs().atan2(dot)
}

/// The stroke as a line of points.
pub fn flatten(parts: &[Part], exponent: f32) -> Vec<[f32; 2]> {
    let mut line: Vec<[f32; 2]> = Vec::new();
    for part in parts {
        match *part {
            Part::Go(x, y) | Part::Line(x, y) => line.push([x, y]),
            Part::Curve(x1, y1, x2, y2, x3, y3) => {
                let [x0, y0] = line.last().copied().unwrap_or([x1, y1]);
                line.extend((1..=12).map(|i| {
                    let t = i as f32 / 12.0;
                    let s = 1.0 - t;
                    let [a, b, c, d] = [s * s * s, 3.0 * s * s * t, 3.0 * s * t * t, t * t * t];
                    [a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3]
                }));
            }
            Part::Arc(cx, cy, rx, ry, from, to) => {
                let steps = ((to - from).abs() / 12.0).ceil().max(1.0);
                line.extend((0..=steps as usize).map(|i| {
                    let (sin, cos) = (from + (to - from) * i as f32 / steps).to_radians().sin_cos();
                    let bend = |v: f32| v.signum() * v.abs().powf(2.0 / exponent);
                    [cx + rx * bend(cos), cy + ry * bend(sin)]
                }));
            }
        }
    }
    line
}
