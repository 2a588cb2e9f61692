//! The dials of a meter: faces painted once, pointers over them.

use super::chance::Chance;
use super::font::Face;
use super::gears::DIALS;
use super::look::Look;
use super::paint::{Canvas, Colour, rgb};

/// Middles of the dials in meter units, most significant first: an arc below the counter, from right to left.
pub(super) const PLACES: [[f32; 2]; DIALS] = [[146.0, 104.0], [64.0, 164.0], [-40.0, 172.0], [-134.0, 122.0]];
/// Radius of a dial in meter units.
pub(super) const RADIUS: f32 = 36.0;
/// Half of the side of a dial's region in meter units.
pub(super) const HALF: f32 = 42.0;
/// Length of the pointer, and of its tail, as parts of the radius.
const LENGTH: f32 = 0.78;

/// Pointer of a dial, as a seed decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pointer {
    pub(super) colour: Colour,
    /// Half of its width at the hub and at its tip, as parts of the radius.
    width: [f32; 2],
    tail: f32,
    hub: f32,
}

impl Pointer {
    /// The pointers of `seed`'s meter: all are alike.
    pub(super) fn new(seed: u64) -> Pointer {
        let mut chance = Chance::new(seed, 25);
        let red = rgb(chance.within(175.0, 215.0), chance.within(15.0, 45.0), chance.within(15.0, 45.0));
        let colour = if chance.often(0.8) { red } else { rgb(28.0, 28.0, 32.0) };
        let wedge = chance.often(0.6);
        let hub = chance.within(0.12, 0.24);
        let width = if wedge { [hub * 0.9, 0.015] } else { [chance.within(0.05, 0.09), chance.within(0.04, 0.07)] };
        Pointer { colour, width, tail: chance.within(0.0, 0.35), hub }
    }

    /// Distance in parts of the radius from the pointer at `position` (tenths of a turn), negative inside; `x`, `y` from the hub.
    fn distance(&self, position: f32, x: f32, y: f32) -> f32 {
        let (sin, cos) = (position / 10.0 * std::f32::consts::TAU).sin_cos();
        // Along the pointer, and across.
        let (along, across) = (x * sin - y * cos, (x * cos + y * sin).abs());
        let part = ((along + self.tail) / (LENGTH + self.tail)).clamp(0.0, 1.0);
        let half = self.width[0] + (self.width[1] - self.width[0]) * part;
        let beyond = (along - LENGTH).max(-self.tail - along).max(0.0);
        let blade = if beyond > 0.0 { across.hypot(beyond) - half } else { across - half };
        blade.min(x.hypot(y) - self.hub)
    }
}

/// Paints the faces: ring, ticks, numbers and the factor under each.
pub(super) fn paint(canvas: &mut Canvas<'_>, look: &Look, print: Colour, seed: u64) {
    let mut chance = Chance::new(seed, 26);
    let numbered = chance.often(0.8);
    let size = chance.within(7.0, 9.5);
    for [x, y] in PLACES {
        canvas.ring([x, y], RADIUS, 1.6, print, 0.85);
        for tick in 0..10 {
            let (sin, cos) = (tick as f32 / 10.0 * std::f32::consts::TAU).sin_cos();
            let at = |part: f32| [x + RADIUS * part * sin, y - RADIUS * part * cos];
            canvas.line(at(0.86), at(0.98), 1.8, print, 0.85);
            if numbered {
                digit(canvas, &look.face, tick, at(0.66), size, print);
            }
        }
    }
}

fn digit(canvas: &mut Canvas<'_>, face: &Face, digit: usize, at: [f32; 2], size: f32, ink: Colour) {
    let bars = face.bars(digit);
    let bounds = [at[0] - size, at[1] - size, at[0] + size, at[1] + size];
    canvas.fill(bounds, ink, 0.9, |x, y| {
        let (x, y) = ((x - at[0]) / size, (y - at[1]) / size);
        bars.iter().map(|bar| bar.distance(x, y)).fold(1.0, f32::min) * size
    });
}

/// One dial's pixels, and the pointer over them.
pub(super) struct Dial {
    pixels: Vec<Pixel>,
    /// Width of an edge in parts of the radius.
    soft: f32,
    drawn: Option<f32>,
}

struct Pixel {
    index: u32,
    /// Place from the hub in parts of the radius.
    at: [f32; 2],
    behind: [u8; 3],
    /// The pointer's colour in the light at this place.
    front: [f32; 3],
}

impl Dial {
    /// The dial at [`PLACES`]`[i]` over the painted `planes`; `lit` gives a colour in the light of a pixel's column and row.
    pub(super) fn new(
        i: usize,
        look: &Look,
        planes: &[Vec<u8>; 3],
        [columns, rows]: [usize; 2],
        front: impl Fn(usize, usize) -> [f32; 3],
    ) -> Dial {
        let [cx, cy] = PLACES[i];
        let projection = &look.projection;
        let [xs, ys] = projection.pixels_of([cx - RADIUS, cy - RADIUS, cx + RADIUS, cy + RADIUS], columns, rows);
        let mut pixels = Vec::new();
        for y in ys {
            for x in xs.clone() {
                let [mx, my] = projection.to_meter(x as f32 + 0.5, y as f32 + 0.5);
                let at = [(mx - cx) / RADIUS, (my - cy) / RADIUS];
                if at[0].hypot(at[1]) > 1.0 {
                    continue;
                }
                let index = y * columns + x;
                let behind = [0, 1, 2].map(|c| planes[c].get(index).copied().unwrap_or_default());
                pixels.push(Pixel { index: index as u32, at, behind, front: front(x, y) });
            }
        }
        let soft = (1.0 + 1.8 * look.blur) / (projection.scale * RADIUS);
        Dial { pixels, soft, drawn: None }
    }

    /// Brings the planes to a pointer at `position`, with its shadow.
    pub(super) fn turn(&mut self, pointer: &Pointer, position: f32, planes: &mut [Vec<u8>; 3]) {
        if self.drawn.replace(position) == Some(position) {
            return;
        }
        for pixel in &self.pixels {
            let cover = |x: f32, y: f32| (0.5 - pointer.distance(position, x, y) / self.soft).clamp(0.0, 1.0);
            let [x, y] = pixel.at;
            let (own, shadow) = (cover(x, y), cover(x - 0.05, y - 0.06) * 0.25);
            for (channel, plane) in planes.iter_mut().enumerate() {
                let Some(cell) = plane.get_mut(pixel.index as usize) else { continue };
                let mut behind = f32::from(pixel.behind[channel]);
                if channel == 0 {
                    behind *= 1.0 - shadow;
                }
                *cell = (behind + (pixel.front[channel] - behind) * own + 0.5) as u8;
            }
        }
    }
}
