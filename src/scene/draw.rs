//! One meter in front of one camera: the background painted once, the digits redrawn when they move, noise in every frame.

use jpeg_encoder::{Encoder, EncodingError, ImageBuffer, JpegColorType};

use super::chance::Chance;
use super::counter::{DIGITS, ROLLED, Shown};
use super::dial::{self, Dial, Pointer};
use super::fault::Fault;
use super::gears::{DIALS, Positions};
use super::look::{CELL_HEIGHT, CELL_WIDTH, Fonts, Look, Meter, WINDOW_HEIGHT, unit};
use super::meter;
use super::paint::{Canvas, Colour, blur, mix};

/// From one digit to the next on a drum, in meter units.
const PITCH: f32 = 86.0;
/// Angle from one digit to the next on a drum, in radians.
const STEP: f32 = 0.628_318_5;
/// JPEG quality of the pictures.
const QUALITY: u8 = 85;
/// Entries of the noise table that a row may start at.
const NOISE_STARTS: usize = 1 << 16;

/// A scene: everything that does not change from frame to frame, and the last frame's digits.
pub struct Scene {
    width: u16,
    height: u16,
    seed: u64,
    look: Look,
    /// Luminance and two colour differences, each `[H, W]`, without noise.
    planes: [Vec<u8>; 3],
    drums: [Drum; DIGITS],
    /// Dials with their pointer; none of a meter without.
    dials: Vec<Dial>,
    pointer: Pointer,
    strip: Strip,
    noise: Vec<i8>,
}

/// One digit's place in the picture.
struct Drum {
    body: Colour,
    ink: Colour,
    pixels: Vec<Pixel>,
    /// Position at the last drawing.
    drawn: Option<f32>,
}

/// One pixel that shows a drum.
struct Pixel {
    /// Place in each plane.
    index: u32,
    /// Colour behind a drum that covers the pixel in part.
    behind: [u8; 3],
    /// Column of the strip.
    column: f32,
    /// Digits further along the strip than the one in the middle of the window.
    ahead: f32,
    /// Share of the pixel that the drum covers.
    cover: f32,
    gain: f32,
    glare: f32,
}

/// The ten digits one below the other, as ink coverage 0 to 255.
struct Strip {
    columns: usize,
    pitch: usize,
    ink: Vec<u8>,
}

/// A displacement of the camera.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Knock {
    /// Shift in pixels, right and down.
    pub shift: [f32; 2],
    /// Turn in degrees, clockwise.
    pub degrees: f32,
}

impl Scene {
    /// Paints the scene of `seed` as a water meter with dials, whose camera was displaced by `knock`. Width and height as for
    /// [`Scene::new`].
    pub fn with_dials(seed: u64, width: u16, height: u16, fault: Option<Fault>, knock: Knock) -> Self {
        let look = Look::new(seed, Fonts::All, width.into(), height.into()).of_water(seed);
        let look = match fault {
            Some(fault) => look.with_fault(fault, seed),
            None => look,
        };
        let middle = [f32::from(width) / 2.0, f32::from(height) / 2.0];
        let projection = look.projection.moved(knock.degrees.to_radians(), middle, knock.shift);
        Self::of(Look { projection, ..look }, seed, width, height)
    }

    /// Paints the scene of `seed`. Width 16 to 65535 and height 16 to 65535 pixels.
    pub fn new(seed: u64, fonts: Fonts, width: u16, height: u16) -> Self {
        Self::of(Look::new(seed, fonts, width.into(), height.into()), seed, width, height)
    }

    /// The same with a fault.
    pub fn with_fault(seed: u64, fonts: Fonts, width: u16, height: u16, fault: Fault) -> Self {
        Self::of(Look::new(seed, fonts, width.into(), height.into()).with_fault(fault, seed), seed, width, height)
    }

    fn of(look: Look, seed: u64, width: u16, height: u16) -> Self {
        let (columns, rows) = (usize::from(width), usize::from(height));
        let scale = unit(width.into(), height.into());
        let mut canvas = Canvas::new(columns, rows, &look.projection, [0.0; 3]);
        meter::paint(&mut canvas, &look, seed);
        let mut pixels = canvas.pixels;
        blur(&mut pixels, columns, rows, look.blur * scale);
        let mut planes = [(); 3].map(|()| Vec::with_capacity(columns * rows));
        for (i, colour) in pixels.iter().enumerate() {
            let (gain, glare) = look.light_at(i % columns, i / columns, columns, rows);
            for (plane, value) in planes.iter_mut().zip(lit(*colour, gain, glare)) {
                plane.push(value);
            }
        }
        let strip = Strip::new(&look, scale);
        let drums = std::array::from_fn(|i| Drum::new(i, &look, &planes, &strip, columns, rows));
        let pointer = Pointer::new(seed);
        let front = |x: usize, y: usize| {
            let (gain, glare) = look.light_at(x, y, columns, rows);
            lit_f(pointer.colour, gain, glare)
        };
        let dials = if look.dials { 0..DIALS } else { 0..0 };
        let dials = dials.map(|i| Dial::new(i, &look, &planes, [columns, rows], front)).collect();
        let mut chance = Chance::new(seed, 4);
        let noise = (0..NOISE_STARTS + columns).map(|_| (chance.normal() * look.noise).round() as i8).collect();
        Scene { width, height, seed, look, planes, drums, dials, pointer, strip, noise }
    }

    /// Name of the font.
    pub fn font(&self) -> &'static str {
        self.look.face.font.name
    }

    /// Corners of the place of each digit in the picture, exactly: [`regions`](super::regions) is the same for every seed.
    pub fn digit_corners(&self) -> [[[f32; 2]; 4]; DIGITS] {
        let half = [CELL_WIDTH / 2.0, CELL_HEIGHT / 2.0];
        std::array::from_fn(|i| self.corners([(i as f32 - 2.0) * CELL_WIDTH, 0.0], half))
    }

    /// Corners of the place of each dial in the picture, exactly; none of a meter without.
    pub fn dial_corners(&self) -> Vec<[[f32; 2]; 4]> {
        let places = dial::PLACES.iter().take(self.dials.len());
        places.map(|place| self.corners(*place, [dial::HALF; 2])).collect()
    }

    fn corners(&self, [x, y]: [f32; 2], [across, down]: [f32; 2]) -> [[f32; 2]; 4] {
        [[-across, -down], [across, -down], [across, down], [-across, down]]
            .map(|[dx, dy]| self.look.projection.to_pixels(x + dx, y + dy))
    }

    /// Position of each drum in digits: 3.25 is a quarter of the way from 3 to 4. A display has no drums: it changes at once when
    /// the next number counts.
    pub fn drums(&self, shown: &Shown) -> [f32; DIGITS] {
        match self.look.meter {
            Meter::Lcd => shown.digits().map(f32::from),
            _ => shown.drums(),
        }
    }

    /// The digits that can be read: `None` between two of them, by more than [`ROLLED`].
    pub fn readable(&self, shown: &Shown) -> [Option<u8>; DIGITS] {
        self.drums(shown).map(|drum| {
            let digit = drum.round();
            ((drum - digit).abs() <= ROLLED).then_some(digit as u8 % 10)
        })
    }

    /// Writes the picture of `shown` as JPEG over `out`. `frame` chooses the noise.
    ///
    /// # Errors
    /// The encoder's error; none occurs with a buffer in memory and a size that [`Scene::new`] took.
    pub fn render(&mut self, shown: &Shown, frame: u64, out: &mut Vec<u8>) -> Result<(), EncodingError> {
        self.turn(self.drums(shown));
        self.encode(frame, out)
    }

    /// Writes the picture of drums and dials at these positions as JPEG over `out`. `frame` chooses the noise.
    ///
    /// # Errors
    /// As for [`Scene::render`].
    pub fn render_positions(
        &mut self,
        positions: &Positions,
        frame: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodingError> {
        self.turn(positions.drums);
        for (dial, position) in self.dials.iter_mut().zip(positions.dials) {
            dial.turn(&self.pointer, position, &mut self.planes);
        }
        self.encode(frame, out)
    }

    fn encode(&self, frame: u64, out: &mut Vec<u8>) -> Result<(), EncodingError> {
        out.clear();
        let offsets = Chance::new(self.seed ^ frame.wrapping_mul(0x2545_f491_4f6c_dd1d), 5);
        Encoder::new(out, QUALITY).encode_image(Noisy { scene: self, offsets })
    }

    /// Brings the drums in the planes to these positions.
    fn turn(&mut self, positions: [f32; DIGITS]) {
        for (drum, position) in self.drums.iter_mut().zip(positions) {
            if drum.drawn == Some(position) {
                continue;
            }
            drum.drawn = Some(position);
            for pixel in &drum.pixels {
                let ink = self.strip.sample(pixel.column, position + pixel.ahead);
                let front = lit_f(mix(drum.body, drum.ink, ink), pixel.gain, pixel.glare);
                for ((plane, front), behind) in self.planes.iter_mut().zip(front).zip(pixel.behind) {
                    let behind = f32::from(behind);
                    if let Some(cell) = plane.get_mut(pixel.index as usize) {
                        *cell = (behind + (front - behind) * pixel.cover + 0.5) as u8;
                    }
                }
            }
        }
    }
}

impl Look {
    fn light_at(&self, x: usize, y: usize, columns: usize, rows: usize) -> (f32, f32) {
        let half = rows as f32 / 2.0;
        self.light.at((x as f32 - columns as f32 / 2.0) / half, (y as f32 - half) / half)
    }
}

impl Drum {
    fn new(i: usize, look: &Look, planes: &[Vec<u8>; 3], strip: &Strip, columns: usize, rows: usize) -> Self {
        let lcd = look.meter == Meter::Lcd;
        let centre = (i as f32 - 2.0) * CELL_WIDTH;
        // Drums stand a little apart; a display is one surface.
        let half = [if lcd { CELL_WIDTH / 2.0 } else { CELL_WIDTH / 2.0 - 1.8 }, WINDOW_HEIGHT / 2.0];
        let projection = &look.projection;
        let bounds = [centre - half[0], -half[1], centre + half[0], half[1]];
        let [xs, ys] = projection.pixels_of(bounds, columns, rows);
        let soft = 1.0 + 1.5 * look.blur;
        let mut pixels = Vec::new();
        for y in ys {
            for x in xs.clone() {
                let [mx, my] = projection.to_meter(x as f32 + 0.5, y as f32 + 0.5);
                let (dx, dy) = (mx - centre, my);
                let outside = (dx.abs() - half[0]).max(dy.abs() - half[1]);
                let cover = if lcd {
                    f32::from(outside <= 0.0)
                } else {
                    (0.5 - outside * projection.scale / soft).clamp(0.0, 1.0)
                };
                if cover == 0.0 {
                    continue;
                }
                let index = y * columns + x;
                let (gain, glare) = look.light_at(x, y, columns, rows);
                let (ahead, shade) = if lcd { (dy / PITCH, 1.0) } else { around(dy - look.slop[i], dx / half[0]) };
                pixels.push(Pixel {
                    index: index as u32,
                    behind: [0, 1, 2].map(|c| planes[c][index]),
                    column: (dx / CELL_WIDTH + 0.5) * strip.columns as f32 - 0.5,
                    ahead,
                    cover,
                    gain: gain * shade,
                    glare,
                });
            }
        }
        let last = usize::from(i + 1 == DIGITS);
        Drum { body: look.body[last], ink: look.ink[last], pixels, drawn: None }
    }
}

/// A point of the window `y` units below its middle and `across` (-1 to 1) a drum: digits further along the drum, and how
/// much light falls there.
fn around(y: f32, across: f32) -> (f32, f32) {
    let radius = PITCH / STEP;
    let angle = (y / radius).clamp(-0.95, 0.95).asin();
    let edge = 1.0 - 0.25 * across.abs().powi(8);
    let rim = ((WINDOW_HEIGHT / 2.0 - y.abs()) / 14.0).clamp(0.0, 1.0);
    (angle / STEP, angle.cos() * edge * (0.55 + 0.45 * rim))
}

impl Strip {
    fn new(look: &Look, scale: f32) -> Self {
        let columns = (CELL_WIDTH * scale).round().max(4.0) as usize;
        let pitch = (PITCH * scale).round().max(4.0) as usize;
        let draw = |digit: usize| {
            let mut tile = vec![0.0f32; columns * pitch];
            look.face.draw(digit, look.size * scale, columns, pitch, &mut tile);
            tile
        };
        let all_on = if look.ghost > 0.0 { draw(8) } else { Vec::new() };
        let mut ink = Vec::with_capacity(columns * pitch * 10);
        for digit in 0..10 {
            let mut tile: Vec<[f32; 1]> = draw(digit).into_iter().map(|v| [v]).collect();
            for (cell, ghost) in tile.iter_mut().zip(&all_on) {
                cell[0] = cell[0].max(ghost * look.ghost);
            }
            blur(&mut tile, columns, pitch, look.blur * scale);
            ink.extend(tile.iter().map(|[v]| (v * 255.0 + 0.5) as u8));
        }
        Strip { columns, pitch, ink }
    }

    /// Ink 0 to 1 at a column and at a place along the strip in digits (3.0 = the middle of the 3), between the cells.
    fn sample(&self, column: f32, along: f32) -> f32 {
        let rows = self.pitch * 10;
        let y = (along + 0.5).rem_euclid(10.0) * self.pitch as f32 - 0.5 + rows as f32;
        let (iy, ty) = (y as usize, y.fract());
        let x = column.clamp(0.0, self.columns as f32 - 1.001);
        let (ix, tx) = (x as usize, x.fract());
        let row = |iy: usize| {
            let start = (iy % rows) * self.columns + ix;
            match self.ink.get(start..start + 2) {
                Some([a, b]) => f32::from(*a) + (f32::from(*b) - f32::from(*a)) * tx,
                _ => 0.0,
            }
        };
        let (top, bottom) = (row(iy), row(iy + 1));
        (top + (bottom - top) * ty) / 255.0
    }
}

/// A colour under the light that falls on it.
fn lit_f(colour: Colour, gain: f32, glare: f32) -> Colour {
    let difference = |v: f32| (128.0 + (v - 128.0) * gain).clamp(0.0, 255.0);
    [(colour[0] * gain + glare).clamp(0.0, 255.0), difference(colour[1]), difference(colour[2])]
}

fn lit(colour: Colour, gain: f32, glare: f32) -> [u8; 3] {
    lit_f(colour, gain, glare).map(|v| (v + 0.5) as u8)
}

/// The scene with the noise of one frame, as the encoder reads it.
struct Noisy<'a> {
    scene: &'a Scene,
    offsets: Chance,
}

impl ImageBuffer for Noisy<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.scene.width
    }

    fn height(&self) -> u16 {
        self.scene.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let width = usize::from(self.scene.width);
        let row = usize::from(y) * width..(usize::from(y) + 1) * width;
        let start = self.offsets.nth(y.into()) as usize % NOISE_STARTS;
        let [light, blue, red] = [0, 1, 2].map(|c| self.scene.planes[c].get(row.clone()).unwrap_or_default());
        let noise = self.scene.noise.get(start..).unwrap_or_default();
        buffers[0].extend(light.iter().zip(noise).map(|(v, n)| v.saturating_add_signed(*n)));
        buffers[1].extend_from_slice(blue);
        buffers[2].extend_from_slice(red);
    }
}
