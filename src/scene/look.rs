//! Everything about a scene that a seed decides: meter, font, colours, camera position, light, sharpness, noise.

use super::chance::Chance;
use super::font::{FONTS, Face, Font};
use super::paint::{Colour, Projection, rgb};

/// Width of one digit's cell in meter units (pixels of a 640×480 picture).
pub(super) const CELL_WIDTH: f32 = 72.0;
/// Height of one digit's cell in meter units.
pub(super) const CELL_HEIGHT: f32 = 96.0;
/// Height of the counter's window in meter units.
pub(super) const WINDOW_HEIGHT: f32 = 92.0;

/// Fonts that a seed may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fonts {
    /// All of them: what the camera shows.
    #[default]
    All,
    /// Those that models may be trained on.
    Train,
    /// Those that models are measured on.
    HeldOut,
}

/// Kind of meter around the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meter {
    /// A round water meter with small pointer dials.
    Water,
    /// A rectangular electricity meter with a turning disc.
    Power,
    /// A case with a liquid crystal display.
    Lcd,
}

/// One scene's appearance.
#[derive(Clone, Debug)]
pub struct Look {
    /// Kind of meter.
    pub meter: Meter,
    /// It has dials that turn.
    pub dials: bool,
    /// Font in the form chosen.
    pub face: Face,
    /// Digit height in meter units.
    pub size: f32,
    /// Colour of the digits, and of the last drum's digits.
    pub ink: [Colour; 2],
    /// Colour of the drums or display, and of the last drum.
    pub body: [Colour; 2],
    /// Strength of segments that are off, 0 to 1.
    pub ghost: f32,
    /// Displacement of each drum, in meter units.
    pub slop: [f32; 5],
    /// From meter units to pixels.
    pub projection: Projection,
    /// Light that falls on the meter.
    pub light: Light,
    /// Gaussian blur in units of a 640×480 picture's pixels.
    pub blur: f32,
    /// Standard deviation of the sensor's noise, 0 to 255.
    pub noise: f32,
}

/// Light: a gain that varies over the picture and a reflection on the glass.
#[derive(Clone, Debug)]
pub struct Light {
    pub(super) gain: f32,
    pub(super) lean: [f32; 2],
    pub(super) vignette: f32,
    pub(super) haze: f32,
    pub(super) glare: f32,
    pub(super) glare_at: [f32; 2],
    pub(super) glare_size: [f32; 2],
}

impl Light {
    /// Gain, and what is added (0 to 255), at a point given from the picture's middle in units of half its height.
    pub fn at(&self, x: f32, y: f32) -> (f32, f32) {
        let gain = self.gain * (1.0 + self.lean[0] * x + self.lean[1] * y) * (1.0 - self.vignette * (x * x + y * y));
        let dx = (x - self.glare_at[0]) / self.glare_size[0];
        let dy = (y - self.glare_at[1]) / self.glare_size[1];
        (gain.max(0.0), self.haze + self.glare * (-0.5 * (dx * dx + dy * dy)).exp())
    }
}

impl Look {
    /// The look of `seed` in a `width`×`height` picture.
    pub fn new(seed: u64, fonts: Fonts, width: u32, height: u32) -> Self {
        let mut chance = Chance::new(seed, 1);
        let fonts: Vec<&'static Font> = FONTS
            .iter()
            .filter(|f| match fonts {
                Fonts::All => true,
                Fonts::Train => !f.held_out,
                Fonts::HeldOut => f.held_out,
            })
            .collect();
        let font = fonts.get(chance.below(fonts.len() as u32) as usize).copied().unwrap_or(&FONTS[0]);
        let face = Face::choose(font, &mut chance);
        let meter = match font.lcd {
            true => Meter::Lcd,
            false if chance.often(0.5) => Meter::Water,
            false => Meter::Power,
        };
        let (ink, body) = colours(meter, &mut chance);
        let size = chance.within(58.0, 68.0);
        let ghost = if font.lcd && chance.often(0.6) { chance.within(0.02, 0.10) } else { 0.0 };
        let loose = if font.lcd { 0.0 } else { chance.within(0.0, 1.6) };
        let slop = std::array::from_fn(|_| loose * chance.within(-1.5, 1.5));

        let unit = unit(width, height);
        let middle = [width as f32 / 2.0, height as f32 / 2.0];
        let at = middle.map(|m| m + unit * chance.within(-3.0, 3.0));
        let recede = [chance.within(-8e-5, 8e-5), chance.within(-1.2e-4, 1.2e-4)];
        let projection =
            Projection::new(unit * chance.within(0.97, 1.03), chance.within(-1.6f32, 1.6).to_radians(), at, recede);
        let glare = if chance.often(0.35) { chance.within(15.0, 80.0) } else { 0.0 };
        let light = Light {
            gain: chance.within(0.55, 1.12),
            lean: [chance.within(-0.22, 0.22), chance.within(-0.22, 0.22)],
            vignette: chance.within(0.0, 0.14),
            haze: chance.within(0.0, 22.0),
            glare,
            glare_at: [chance.within(-0.9, 0.9), chance.within(-0.4, 0.4)],
            glare_size: [chance.within(0.08, 0.6), chance.within(0.06, 0.35)],
        };
        let blur = chance.within(0.4, 1.0) + if chance.often(0.3) { chance.within(0.0, 1.2) } else { 0.0 };
        let noise = chance.within(0.8, 3.2) + if chance.often(0.25) { chance.within(0.0, 4.0) } else { 0.0 };
        Look { meter, dials: false, face, size, ink, body, ghost, slop, projection, light, blur, noise }
    }
}

impl Look {
    /// The same scene as a water meter with drums and dials.
    pub(super) fn of_water(mut self, seed: u64) -> Look {
        let mut chance = Chance::new(seed, 27);
        if self.face.font.lcd {
            let drums: Vec<&'static Font> = FONTS.iter().filter(|font| !font.lcd).collect();
            let font = drums.get(chance.below(drums.len() as u32) as usize).copied().unwrap_or(&FONTS[0]);
            self.face = Face::choose(font, &mut chance);
            self.ghost = 0.0;
        }
        (self.ink, self.body) = colours(Meter::Water, &mut chance);
        (self.meter, self.dials) = (Meter::Water, true);
        self
    }
}

/// Pixels per meter unit when the camera stands straight: a 640×480 picture has one.
pub fn unit(width: u32, height: u32) -> f32 {
    (width as f32 / 640.0).min(height as f32 / 480.0)
}

fn colours(meter: Meter, chance: &mut Chance) -> ([Colour; 2], [Colour; 2]) {
    let mut grey = |from: f32, to: f32, warm: f32| {
        let v = chance.within(from, to);
        rgb(v + warm, v, v - warm)
    };
    let (pale, dark) = (grey(205.0, 245.0, 5.0), grey(18.0, 55.0, 0.0));
    if meter == Meter::Lcd {
        let level = chance.within(120.0, 195.0);
        let panel = rgb(level * chance.within(0.84, 1.0), level, level * chance.within(0.70, 1.0));
        let on = chance.within(18.0, 60.0);
        return if chance.often(0.12) {
            // A backlit display: bright segments on a dark ground.
            let (glow, ground) = (rgb(150.0, 225.0, 245.0), rgb(22.0, 42.0, 70.0));
            ([glow; 2], [ground; 2])
        } else {
            ([rgb(on, on, on + 6.0); 2], [panel; 2])
        };
    }
    let red = rgb(chance.within(165.0, 205.0), chance.within(20.0, 50.0), chance.within(20.0, 45.0));
    let last_red = chance.often(0.35);
    if chance.often(0.7) {
        ([pale; 2], [dark, if last_red { red } else { dark }])
    } else {
        ([dark, if last_red { red } else { dark }], [pale; 2])
    }
}
