//! Pictures of the street: the ground and walls painted once, figures over them from far to near, then the light.

use super::super::chance::Chance;
use super::camera::Camera;
use super::figure::Figure;
use super::layout::{Layout, depth};
use super::light::{Light, Weather};
use super::shape::{Ink, shade};

/// Entries of the noise table.
const NOISE: usize = 1 << 14;

/// Layers that are painted once.
#[derive(Debug)]
pub(super) struct Backdrop {
    /// `[H, W, 3]`.
    pixels: Vec<u8>,
    noise: Vec<i16>,
}

impl Backdrop {
    pub fn new(layout: &Layout, weather: Weather) -> Self {
        let camera = &layout.camera;
        let [width, height] = camera.size.map(|side| side as usize);
        let houses = Houses::new(layout);
        let mut pixels = Vec::with_capacity(width * height * 3);
        for row in 0..height {
            for column in 0..width {
                let [x, y] = [column as f32 + 0.5, row as f32 + 0.5];
                let z = camera.distance(y).filter(|z| *z < depth::HOUSES);
                let ink = match z {
                    Some(z) => ground((x - camera.size[0] / 2.0) / camera.scale(z), z, layout),
                    None => {
                        let scale = camera.scale(depth::HOUSES);
                        let [_, foot] = camera.ground(0.0, depth::HOUSES);
                        houses.at((x - camera.size[0] / 2.0) / scale, (foot - y) / scale)
                    }
                };
                let grain = (speckle(column as u64, row as u64) % 9) as f32 - 4.0;
                pixels.extend(ink.map(|v| (f32::from(v) + grain).clamp(0.0, 255.0) as u8));
            }
        }
        let mut chance = Chance::new(layout.look, 26);
        let noise = (0..NOISE).map(|_| (chance.normal() * weather.noise()).round() as i16).collect();
        Backdrop { pixels, noise }
    }
}

/// Even bits for a place.
fn speckle(x: u64, y: u64) -> u64 {
    Chance::new(x.wrapping_mul(0x1_0001).wrapping_add(y << 24), 27).bits() >> 40
}

fn ground(x: f32, z: f32, layout: &Layout) -> Ink {
    let between = |range: [f32; 2]| z >= range[0] && z < range[1];
    let joint = |every: f32, at: f32| at.rem_euclid(every) < 0.06;
    if z < 9.8 {
        let row = (z / 0.6).floor();
        let stone = shade([168, 162, 152], 0.96 + 0.04 * (row * 1.7).sin());
        return if joint(0.6, z) || joint(0.9, x + row * 0.45) { shade(stone, 0.86) } else { stone };
    }
    if between([9.8, 10.1]) || between([19.9, 20.2]) {
        return [188, 186, 180];
    }
    if between([10.1, 11.2]) {
        return [140, 96, 88];
    }
    if z >= 20.2 {
        let stone = [160, 156, 150];
        return if joint(1.0, z) || joint(1.2, x) { shade(stone, 0.88) } else { stone };
    }
    let asphalt = [96, 97, 100];
    if (x - layout.zebra).abs() < 1.6 && z.rem_euclid(1.1) < 0.55 {
        return [206, 206, 202];
    }
    let dashes = between([14.55, 14.7]) && x.rem_euclid(4.0) < 2.2;
    let bays = between([17.75, 17.85]) || between([17.85, 19.9]) && joint(6.0, x);
    if dashes || bays { [198, 198, 192] } else { asphalt }
}

/// A row of houses with windows and doors.
struct Houses {
    /// Left edges and colours.
    fronts: Vec<(f32, Ink)>,
    doors: Vec<f32>,
}

impl Houses {
    fn new(layout: &Layout) -> Self {
        const PLASTER: [Ink; 6] =
            [[206, 190, 160], [176, 130, 104], [198, 200, 196], [214, 206, 186], [150, 158, 170], [190, 160, 130]];
        let mut chance = Chance::new(layout.look, 28);
        let half = layout.camera.half_width(depth::HOUSES) + 4.0;
        let (mut fronts, mut x) = (Vec::new(), -half - chance.within(0.0, 4.0));
        while x < half {
            let ink = PLASTER[chance.below(PLASTER.len() as u32) as usize];
            fronts.push((x, shade(ink, chance.within(0.85, 1.05))));
            x += chance.within(6.5, 9.5);
        }
        Houses { fronts, doors: layout.far_doors.clone() }
    }

    /// Colour at `x` metres to the right and `y` metres above the ground.
    fn at(&self, x: f32, y: f32) -> Ink {
        let front = self.fronts.iter().rev().find(|(left, _)| *left <= x).or(self.fronts.first());
        let (left, wall) = front.copied().unwrap_or((0.0, [190, 180, 160]));
        if self.doors.iter().any(|door| (x - door).abs() < 0.55) && y < 2.2 {
            return if y > 1.9 { shade(wall, 0.7) } else { [86, 62, 48] };
        }
        if y < 0.45 {
            return shade(wall, 0.72);
        }
        let (u, v) = ((x - left).rem_euclid(2.3), (y - 0.2).rem_euclid(2.9));
        let beside_door = self.doors.iter().any(|door| (x - door).abs() < 1.3) && y < 2.6;
        let window = (0.65..1.75).contains(&u) && (0.85..2.35).contains(&v) && !beside_door;
        let rim = window && !((0.72..1.68).contains(&u) && (0.92..2.28).contains(&v));
        match (window, rim) {
            (true, true) => [228, 226, 220],
            (true, false) => shade([84, 98, 112], 0.8 + 0.2 * v / 2.35),
            _ if (x - left) < 0.12 => shade(wall, 0.8),
            _ => wall,
        }
    }
}

/// One picture while it is painted.
pub(super) struct Picture<'a> {
    camera: &'a Camera,
    width: usize,
    height: usize,
    /// `[H, W, 3]`.
    pixels: &'a mut Vec<u8>,
}

impl<'a> Picture<'a> {
    pub fn new(camera: &'a Camera, backdrop: &Backdrop, pixels: &'a mut Vec<u8>) -> Self {
        let [width, height] = camera.size.map(|side| side as usize);
        pixels.clear();
        pixels.extend_from_slice(&backdrop.pixels);
        Picture { camera, width, height, pixels }
    }

    /// Columns and rows of a box in pixels.
    fn within(&self, [x1, y1, x2, y2]: [f32; 4]) -> [std::ops::Range<usize>; 2] {
        let range = |low: f32, high: f32, limit: usize| {
            ((low - 1.0).max(0.0) as usize).min(limit)..((high + 2.0).max(0.0) as usize).min(limit)
        };
        [range(x1, x2, self.width), range(y1, y2, self.height)]
    }

    fn blend(&mut self, x: usize, y: usize, ink: Ink, cover: f32) {
        let at = (y * self.width + x) * 3;
        if let Some(pixel) = self.pixels.get_mut(at..at + 3) {
            for (value, ink) in pixel.iter_mut().zip(ink) {
                let was = f32::from(*value);
                *value = (was + (f32::from(ink) - was) * cover + 0.5) as u8;
            }
        }
    }

    pub fn figure(&mut self, figure: &Figure, shadow: f32) {
        let ([u, v], scale) = (self.camera.ground(figure.x, figure.z), self.camera.scale(figure.z));
        let (rx, ry) = (figure.shadow * 1.1 * scale, (figure.shadow * 0.28).min(0.4) * scale + 1.0);
        let [columns, rows] = self.within([u - rx, v - ry, u + rx, v + ry]);
        for y in rows {
            for x in columns.clone() {
                let away = ((x as f32 + 0.5 - u) / rx).hypot((y as f32 + 0.5 - v) / ry);
                if away < 1.0 {
                    self.blend(x, y, [12, 12, 16], shadow * (1.0 - away * away));
                }
            }
        }
        for part in &figure.parts.0 {
            let [left, bottom, right, top] = part.outline.bounds();
            let place = [u + left * scale, v - top * scale, u + right * scale, v - bottom * scale];
            let [columns, rows] = self.within(place);
            for y in rows {
                let my = (v - y as f32 - 0.5) / scale;
                for x in columns.clone() {
                    let cover = 0.5 - part.outline.distance((x as f32 + 0.5 - u) / scale, my) * scale;
                    if cover > 0.0 {
                        self.blend(x, y, part.ink, cover.min(1.0));
                    }
                }
            }
        }
    }

    /// The light of the moment and the sensor's noise; `frame` chooses the noise.
    pub fn light(&mut self, light: &Light, weather: Weather, backdrop: &Backdrop, frame: u64) {
        let tint = weather.tint();
        let mut offsets = Chance::new(frame, 29);
        for y in 0..self.height {
            let mut noise = backdrop.noise.iter().cycle().skip(offsets.below(NOISE as u32) as usize);
            let start = y * self.width * 3;
            let Some(row) = self.pixels.get_mut(start..start + self.width * 3) else { return };
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                let gain = light.at(x, y);
                let noise = f32::from(noise.next().copied().unwrap_or(0)) + 0.5;
                for (value, tint) in pixel.iter_mut().zip(tint) {
                    *value = (f32::from(*value) * tint * gain + noise).clamp(0.0, 255.0) as u8;
                }
            }
        }
    }

    /// A lamp that shines at the camera, `radius` pixels wide.
    pub fn lamp(&mut self, [u, v]: [f32; 2], radius: f32) {
        let [columns, rows] = self.within([u - radius, v - radius, u + radius, v + radius]);
        for y in rows {
            for x in columns.clone() {
                let away = (x as f32 + 0.5 - u).hypot(y as f32 + 0.5 - v) / radius;
                self.blend(x, y, [255, 250, 226], (1.2 * (1.0 - away)).clamp(0.0, 1.0));
            }
        }
    }

    /// Streaks of rain, others in every frame.
    pub fn rain(&mut self, frame: u64) {
        let mut chance = Chance::new(frame, 30);
        let unit = self.height as f32 / 480.0;
        for _ in 0..150 {
            let (x, y) = (chance.within(0.0, 1.0) * self.width as f32, chance.within(-0.05, 1.0) * self.height as f32);
            let length = chance.within(9.0, 26.0) * unit;
            let cover = chance.within(0.1, 0.35);
            for step in 0..length as usize {
                let (px, py) = (x - 0.15 * step as f32, y + step as f32);
                if px >= 0.0 && py >= 0.0 && (px as usize) < self.width {
                    self.blend(px as usize, py as usize, [214, 218, 226], cover);
                }
            }
        }
    }
}
