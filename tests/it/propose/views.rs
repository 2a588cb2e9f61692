//! Photos for the search: the project's drawn meter, turned and scaled inside a larger picture with what else hangs on a wall.
//!
//! The surroundings hold what a search may fall for: lettering, rows of small numbers, circles with screws, stripes of a bar code, a
//! cable, a grain of their own.

use leptond::frame::{Image, PixelFormat};
use leptond::preprocess::to_rgb;
use leptond::scene::{Chance, Counter, Fonts, Gears, Household, Knock, Scene};

/// Size of the drawn meter's picture.
const DRAWN: [u32; 2] = [640, 480];

pub type Quad = [[f32; 2]; 4];

/// One photo with its right answer.
pub struct View {
    pub rgb: Vec<u8>,
    pub size: [u32; 2],
    pub digits: Vec<Quad>,
    /// Empty for a meter without.
    pub dials: Vec<Quad>,
    /// Description for people.
    pub what: String,
}

impl View {
    pub fn image(&self) -> Image {
        let mut image = Image::default();
        (image.format, image.width, image.height) = (PixelFormat::Rgb8, self.size[0], self.size[1]);
        image.data.clone_from(&self.rgb);
        image
    }
}

/// The drawn meter as the camera gives it, displaced by a knock.
pub fn straight(seed: u64, dials: bool) -> View {
    let mut chance = Chance::new(seed, 101);
    let mut image = Image::default();
    (image.format, image.width, image.height) = (PixelFormat::Jpeg, DRAWN[0], DRAWN[1]);
    let scene = if dials {
        let knock =
            Knock { shift: [chance.within(-12.0, 12.0), chance.within(-8.0, 8.0)], degrees: chance.within(-4.0, 4.0) };
        let mut scene = Scene::with_dials(seed, DRAWN[0] as u16, DRAWN[1] as u16, None, knock);
        let (gears, mut household) = (Gears::new(seed), Household::new(seed));
        let counts = household.at(2_592_000.0 * f64::from(chance.within(0.0, 1.0)));
        scene.render_positions(&gears.at(counts), 0, &mut image.data).unwrap();
        scene
    } else {
        let mut scene = Scene::new(seed, Fonts::All, DRAWN[0] as u16, DRAWN[1] as u16);
        let shown = Counter::new(seed).at(400_000.0 * f64::from(chance.within(0.0, 1.0)));
        scene.render(&shown, 0, &mut image.data).unwrap();
        scene
    };
    let mut rgb = Vec::new();
    let size = to_rgb(&image, &mut rgb).unwrap();
    View {
        rgb,
        size,
        digits: scene.digit_corners().to_vec(),
        dials: scene.dial_corners(),
        what: format!("{seed} straight{}", if dials { " dials" } else { "" }),
    }
}

/// Place of a view in a larger picture.
#[derive(Clone, Copy, Debug)]
pub struct Pose {
    /// Size of the picture.
    pub size: [u32; 2],
    /// Turn in degrees, clockwise.
    pub degrees: f32,
    /// Width of the drawn meter's picture as a part of the larger one's.
    pub part: f32,
    /// Perspective: growth from one side to the other, across and down.
    pub slant: [f32; 2],
    /// Middle, as a part of the picture.
    pub at: [f32; 2],
}

impl Pose {
    /// A pose as a seed has it, with all of the meter's digits and dials inside the picture.
    pub fn of(seed: u64, view: &View) -> Pose {
        let mut chance = Chance::new(seed, 102);
        let sizes = [[640, 480], [800, 600], [1280, 960], [1280, 720]];
        let size = sizes[chance.below(4) as usize];
        loop {
            let pose = Pose {
                size,
                degrees: chance.within(-40.0, 40.0),
                part: chance.within(0.45, 1.05),
                slant: [chance.within(-0.12, 0.12), chance.within(-0.12, 0.12)],
                at: [chance.within(0.35, 0.65), chance.within(0.35, 0.65)],
            };
            if pose.holds(view) {
                return pose;
            }
        }
    }

    /// Pixels of the picture for one of the view.
    fn scale(&self, view: &View) -> f32 {
        let factor = |axis: usize| self.size[axis] as f32 / view.size[axis] as f32;
        factor(0).min(factor(1)) * self.part
    }

    /// From the view to the picture.
    fn forwards(&self, view: &View, [x, y]: [f32; 2]) -> [f32; 2] {
        let [sw, sh] = view.size.map(|v| v as f32);
        let (sin, cos) = self.degrees.to_radians().sin_cos();
        let [dx, dy] = [x - sw / 2.0, y - sh / 2.0];
        let w = 1.0 + self.slant[0] * dx / sw + self.slant[1] * dy / sh;
        let [dx, dy] = [dx, dy].map(|v| v * self.scale(view) / w);
        let middle = [0, 1].map(|i| self.size[i] as f32 * self.at[i]);
        [middle[0] + dx * cos - dy * sin, middle[1] + dx * sin + dy * cos]
    }

    /// True where all that is looked for is inside the picture.
    pub fn holds(&self, view: &View) -> bool {
        let corners = view.digits.iter().chain(&view.dials).flatten();
        corners
            .map(|p| self.forwards(view, *p))
            .all(|p| (0..2).all(|i| (2.0..self.size[i] as f32 - 2.0).contains(&p[i])))
    }
}

/// A view turned, scaled and slanted inside a larger picture.
pub fn placed(view: &View, pose: Pose, seed: u64) -> View {
    let [width, height] = pose.size.map(|v| v as usize);
    let mut rgb = surroundings(seed, [width, height]);
    let [sw, sh] = view.size.map(|v| v as f32);
    let scale = pose.scale(view);
    let (sin, cos) = pose.degrees.to_radians().sin_cos();
    let middle = [width as f32 * pose.at[0], height as f32 * pose.at[1]];
    let back = |[x, y]: [f32; 2]| {
        let [dx, dy] = [x - middle[0], y - middle[1]];
        let [u, v] = [(dx * cos + dy * sin) / scale, (dy * cos - dx * sin) / scale];
        // u = dx / w with w linear in dx and dy.
        let w = 1.0 / (1.0 - pose.slant[0] * u / sw - pose.slant[1] * v / sh);
        [u * w + sw / 2.0, v * w + sh / 2.0]
    };
    // Several samples where it is made smaller.
    let samples = (1.0 / scale).ceil().max(1.0) as usize;
    for y in 0..height {
        for x in 0..width {
            let mut sum = [0.0_f32; 3];
            let mut inside = 0;
            for sample in 0..samples * samples {
                let at = |i: usize| (i as f32 + 0.5) / samples as f32;
                let p = back([x as f32 + at(sample % samples), y as f32 + at(sample / samples)]);
                if let Some(pixel) = pixel(view, p) {
                    inside += 1;
                    sum = std::array::from_fn(|c| sum[c] + pixel[c]);
                }
            }
            if inside == samples * samples {
                let out = &mut rgb[(y * width + x) * 3..][..3];
                out.iter_mut().zip(sum).for_each(|(out, sum)| *out = (sum / inside as f32 + 0.5) as u8);
            }
        }
    }
    let map = |quads: &[Quad]| quads.iter().map(|q| q.map(|p| pose.forwards(view, p))).collect();
    View {
        rgb,
        size: pose.size,
        digits: map(&view.digits),
        dials: map(&view.dials),
        what: format!("{} {pose:?}", view.what),
    }
}

fn pixel(view: &View, [x, y]: [f32; 2]) -> Option<[f32; 3]> {
    let [w, h] = view.size.map(|v| v as usize);
    if !(1.0..w as f32 - 1.0).contains(&x) || !(1.0..h as f32 - 1.0).contains(&y) {
        return None;
    }
    let (x, y) = (x - 0.5, y - 0.5);
    let (left, top) = (x as usize, y as usize);
    let (across, down) = (x - left as f32, y - top as f32);
    let at = |x: usize, y: usize, c: usize| f32::from(view.rgb[(y.min(h - 1) * w + x.min(w - 1)) * 3 + c]);
    Some(std::array::from_fn(|c| {
        let upper = at(left, top, c) + across * (at(left + 1, top, c) - at(left, top, c));
        let lower = at(left, top + 1, c) + across * (at(left + 1, top + 1, c) - at(left, top + 1, c));
        upper + down * (lower - upper)
    }))
}

/// A wall with lettering, numbers, circles, screws, stripes and a cable on it.
pub fn surroundings(seed: u64, [width, height]: [usize; 2]) -> Vec<u8> {
    let mut chance = Chance::new(seed, 103);
    let base = [0; 3].map(|_| chance.within(70.0, 200.0));
    let lattice: Vec<f32> = (0..1024).map(|_| chance.within(-1.0, 1.0)).collect();
    let (coarse, fine) = (chance.within(5.0, 35.0), chance.within(2.0, 14.0));
    let cloud = |x: f32, y: f32| {
        let at = |x: i32, y: i32| lattice[((y & 31) * 32 + (x & 31)) as usize];
        let (ix, iy) = (x.floor() as i32, y.floor() as i32);
        let (tx, ty) = (x - x.floor(), y - y.floor());
        let top = at(ix, iy) * (1.0 - tx) + at(ix + 1, iy) * tx;
        let bottom = at(ix, iy + 1) * (1.0 - tx) + at(ix + 1, iy + 1) * tx;
        top * (1.0 - ty) + bottom * ty
    };
    let unit = width as f32 / 640.0;
    let mut out = Vec::with_capacity(width * height * 3);
    for i in 0..width * height {
        let (x, y) = ((i % width) as f32 / unit, (i / width) as f32 / unit);
        let light = coarse * cloud(x / 90.0, y / 90.0) + fine * cloud(x / 3.0, y / 3.0);
        out.extend(base.map(|v| (v + light).clamp(0.0, 255.0) as u8));
    }
    let mut wall = Wall { out, width, height };
    for _ in 0..10 {
        let at = [chance.within(0.0, width as f32), chance.within(0.0, height as f32)];
        let turn = chance.within(-0.8, 0.8);
        let level = if chance.often(0.6) { chance.within(10.0, 60.0) } else { chance.within(200.0, 250.0) };
        let ink = [level, level * chance.within(0.7, 1.0), level * chance.within(0.7, 1.0)];
        let size = unit * chance.within(10.0, 34.0);
        match chance.below(6) {
            0 | 1 => wall.letters(at, size, turn, ink, &mut chance),
            2 => wall.numbers(at, size, turn, ink, &mut chance),
            3 => wall.stripes(at, size, turn, ink, &mut chance),
            4 => wall.screw(at, size, turn, ink),
            _ => {
                let far = [at[0] + chance.within(-400.0, 400.0) * unit, at[1] + chance.within(-400.0, 400.0) * unit];
                wall.line(at, far, size * 0.2, ink);
            }
        }
    }
    wall.out
}

struct Wall {
    out: Vec<u8>,
    width: usize,
    height: usize,
}

impl Wall {
    fn paint(&mut self, bounds: [f32; 4], ink: [f32; 3], distance: impl Fn(f32, f32) -> f32) {
        let limit = |v: f32, size: usize| v.clamp(0.0, size as f32) as usize;
        for y in limit(bounds[1], self.height)..limit(bounds[3] + 1.0, self.height) {
            for x in limit(bounds[0], self.width)..limit(bounds[2] + 1.0, self.width) {
                let cover = (0.5 - distance(x as f32 + 0.5, y as f32 + 0.5)).clamp(0.0, 1.0);
                let pixel = &mut self.out[(y * self.width + x) * 3..][..3];
                for (value, ink) in pixel.iter_mut().zip(ink) {
                    *value = (f32::from(*value) * (1.0 - cover) + ink * cover) as u8;
                }
            }
        }
    }

    fn line(&mut self, a: [f32; 2], b: [f32; 2], wide: f32, ink: [f32; 3]) {
        let length = ((b[0] - a[0]).powi(2) + (b[1] - a[1]).powi(2)).max(1e-3);
        let bounds = [a[0].min(b[0]) - wide, a[1].min(b[1]) - wide, a[0].max(b[0]) + wide, a[1].max(b[1]) + wide];
        self.paint(bounds, ink, |x, y| {
            let part = (((x - a[0]) * (b[0] - a[0]) + (y - a[1]) * (b[1] - a[1])) / length).clamp(0.0, 1.0);
            (x - a[0] - part * (b[0] - a[0])).hypot(y - a[1] - part * (b[1] - a[1])) - wide / 2.0
        });
    }

    /// Strokes of a letter or digit: ends on a grid of 3 columns and 5 rows.
    fn sign(&mut self, at: [f32; 2], size: f32, turn: f32, ink: [f32; 3], strokes: &[[u8; 4]]) {
        let (sin, cos) = turn.sin_cos();
        let place = |x: u8, y: u8| {
            let [x, y] = [f32::from(x) * size * 0.25, f32::from(y) * size * 0.25];
            [at[0] + x * cos - y * sin, at[1] + x * sin + y * cos]
        };
        for [ax, ay, bx, by] in strokes {
            self.line(place(*ax, *ay), place(*bx, *by), size * 0.14, ink);
        }
    }

    fn letters(&mut self, at: [f32; 2], size: f32, turn: f32, ink: [f32; 3], chance: &mut Chance) {
        const LETTERS: [&[[u8; 4]]; 8] = [
            &[[0, 0, 0, 4], [0, 0, 2, 0], [0, 2, 2, 2], [0, 4, 2, 4]],
            &[[0, 0, 0, 4], [2, 0, 2, 4], [0, 2, 2, 2]],
            &[[0, 0, 2, 0], [1, 0, 1, 4]],
            &[[0, 4, 1, 0], [1, 0, 2, 4], [0, 3, 2, 3]],
            &[[0, 4, 0, 0], [0, 0, 2, 4], [2, 4, 2, 0]],
            &[[0, 2, 0, 4], [0, 2, 1, 2], [1, 2, 1, 4], [1, 2, 2, 2], [2, 2, 2, 4]],
            &[[0, 0, 0, 4], [0, 4, 2, 4]],
            &[[0, 0, 2, 4], [2, 0, 0, 4]],
        ];
        for i in 0..3 + chance.below(6) {
            let along = i as f32 * size * 0.8;
            let place = [at[0] + along * turn.cos(), at[1] + along * turn.sin()];
            self.sign(place, size, turn, ink, LETTERS[chance.below(8) as usize]);
        }
    }

    /// A number of seven strokes each, small beside a counter.
    fn numbers(&mut self, at: [f32; 2], size: f32, turn: f32, ink: [f32; 3], chance: &mut Chance) {
        const STROKES: [[u8; 4]; 7] =
            [[0, 0, 2, 0], [2, 0, 2, 2], [2, 2, 2, 4], [0, 4, 2, 4], [0, 2, 0, 4], [0, 0, 0, 2], [0, 2, 2, 2]];
        const DIGITS: [u8; 10] = [0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f];
        let size = size * 0.6;
        for i in 0..5 + chance.below(5) {
            let along = i as f32 * size * 0.85;
            let place = [at[0] + along * turn.cos(), at[1] + along * turn.sin()];
            let lit = DIGITS[chance.below(10) as usize];
            let strokes: Vec<[u8; 4]> =
                STROKES.iter().enumerate().filter(|(bit, _)| lit >> bit & 1 == 1).map(|(_, stroke)| *stroke).collect();
            self.sign(place, size, turn, ink, &strokes);
        }
    }

    fn stripes(&mut self, at: [f32; 2], size: f32, turn: f32, ink: [f32; 3], chance: &mut Chance) {
        let mut along = 0.0;
        let [right, down] = [[turn.cos(), turn.sin()], [-turn.sin(), turn.cos()]];
        while along < size * 6.0 {
            let wide = size * chance.within(0.04, 0.16);
            let top = [at[0] + along * right[0], at[1] + along * right[1]];
            self.line(top, [top[0] + size * 1.5 * down[0], top[1] + size * 1.5 * down[1]], wide, ink);
            along += wide + size * chance.within(0.08, 0.2);
        }
    }

    fn screw(&mut self, at: [f32; 2], size: f32, turn: f32, ink: [f32; 3]) {
        let bounds = [at[0] - size, at[1] - size, at[0] + size, at[1] + size];
        let other = ink.map(|v| 255.0 - v);
        self.paint(bounds, ink, |x, y| (x - at[0]).hypot(y - at[1]) - size);
        self.paint(bounds, other, |x, y| ((x - at[0]).hypot(y - at[1]) - size * 0.85).abs() - size * 0.05);
        let end = [size * 0.6 * turn.cos(), size * 0.6 * turn.sin()];
        self.line([at[0] - end[0], at[1] - end[1]], [at[0] + end[0], at[1] + end[1]], size * 0.2, other);
    }
}

/// Part of two convex shapes that both cover, of what either covers.
pub fn overlap(a: &Quad, b: &Quad) -> f32 {
    let mut shape: Vec<[f32; 2]> = a.to_vec();
    for i in 0..4 {
        let (p, q) = (b[i], b[(i + 1) % 4]);
        let side = |v: [f32; 2]| (q[0] - p[0]) * (v[1] - p[1]) - (q[1] - p[1]) * (v[0] - p[0]);
        let mut cut = Vec::new();
        for (at, next) in shape.iter().zip(shape.iter().cycle().skip(1)) {
            let (s, t) = (side(*at), side(*next));
            if s >= 0.0 {
                cut.push(*at);
            }
            if s * t < 0.0 {
                let part = s / (s - t);
                cut.push([0, 1].map(|i| at[i] + part * (next[i] - at[i])));
            }
        }
        shape = cut;
    }
    let area = |shape: &[[f32; 2]]| {
        let pairs = shape.iter().zip(shape.iter().cycle().skip(1));
        pairs.map(|(p, q)| p[0] * q[1] - p[1] * q[0]).sum::<f32>() / 2.0
    };
    let both = area(&shape);
    both / (area(a) + area(b) - both)
}
