//! Faults of a picture that leave nothing to read.

use super::chance::Chance;
use super::look::Look;

/// A fault of the picture or of the regions, under which no digit can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The lamp is off.
    Dark,
    /// Overexposed: all of the picture is white, or very nearly.
    White,
    /// The glass is fogged: hardly any contrast is left.
    Fog,
    /// A reflection outshines the counter.
    Glare,
    /// Out of focus by a quarter of a digit's height or more.
    Blur,
    /// Noise and nothing else.
    Noise,
    /// Drums without digits.
    Blank,
    /// Regions that lie between two drums.
    Gap,
    /// Regions that show half of a digit or less.
    Cut,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 9] = [
        Fault::Dark,
        Fault::White,
        Fault::Fog,
        Fault::Glare,
        Fault::Blur,
        Fault::Noise,
        Fault::Blank,
        Fault::Gap,
        Fault::Cut,
    ];

    /// A digit's region `[x, y, width, height]` as the fault displaces it.
    pub fn displace(self, [x, y, width, height]: [f32; 4], chance: &mut Chance) -> [f32; 4] {
        let side = if chance.often(0.5) { 1.0 } else { -1.0 };
        match self {
            Fault::Gap => [x + side * width * chance.within(0.45, 0.55), y, width, height],
            Fault::Cut => [x, y + side * height * chance.within(0.5, 0.75), width, height],
            _ => [x, y, width, height],
        }
    }
}

impl Look {
    /// The same scene with a fault, in what the picture has of it.
    pub(super) fn with_fault(mut self, fault: Fault, seed: u64) -> Self {
        let mut chance = Chance::new(seed, 7);
        let light = &mut self.light;
        match fault {
            Fault::Dark => {
                light.gain = chance.within(0.0, 0.03);
                light.haze = chance.within(0.0, 12.0);
                light.glare = 0.0;
            }
            Fault::White => light.haze = chance.within(253.0, 300.0),
            Fault::Fog => {
                light.gain = chance.within(0.01, 0.03);
                light.haze = chance.within(80.0, 200.0);
                light.glare = 0.0;
            }
            Fault::Glare => {
                light.glare = chance.within(700.0, 1500.0);
                light.glare_at = [chance.within(-0.2, 0.2), chance.within(-0.15, 0.15)];
                light.glare_size = [chance.within(1.0, 2.0), chance.within(0.5, 1.0)];
            }
            Fault::Blur => self.blur = chance.within(17.0, 30.0),
            Fault::Noise => {
                light.gain = chance.within(0.0, 0.02);
                light.haze = chance.within(60.0, 180.0);
                self.noise = chance.within(20.0, 45.0);
            }
            Fault::Blank => self.ink = self.body,
            Fault::Gap | Fault::Cut => {}
        }
        self
    }
}
