//! The simulated boards: heat through a die and a board, and the firmware that lowers the clock.
//!
//! Two thermal nodes, so that the first-order model inside the governor is never the truth. The figures are fitted to
//! public stress tests of bare boards: a Pi 4 and a Pi 5 without a fan pass 80 °C at full load in a room of 25 °C within
//! minutes, a Pi 5 with its active cooler stays near 60 °C. The figures of the table have the exponents that the governor
//! assumes; a drawn board has others, or follows no power law at all.

use serde::Deserialize;

use super::speed::{Scaling, Speed};

/// A board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// Raspberry Pi Zero 2 W.
    #[serde(rename = "zero2")]
    Zero2,
    /// Raspberry Pi 3 Model B+.
    #[serde(rename = "pi3b+")]
    Pi3bPlus,
    /// Raspberry Pi 4 Model B.
    #[serde(rename = "pi4")]
    Pi4,
    /// Raspberry Pi 5 without a cooler.
    #[serde(rename = "pi5")]
    Pi5,
    /// Raspberry Pi 5 with the active cooler.
    #[serde(rename = "pi5-fan")]
    Pi5Fan,
}

impl Kind {
    /// Every board, smallest first.
    pub const ALL: [Kind; 5] = [Kind::Zero2, Kind::Pi3bPlus, Kind::Pi4, Kind::Pi5, Kind::Pi5Fan];

    /// The name in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Zero2 => "zero2",
            Kind::Pi3bPlus => "pi3b+",
            Kind::Pi4 => "pi4",
            Kind::Pi5 => "pi5",
            Kind::Pi5Fan => "pi5-fan",
        }
    }
}

/// The figures of a board. The governor never sees these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// Cores.
    pub cores: f64,
    /// Highest clock.
    pub max_mhz: f64,
    /// Lowest clock.
    pub min_mhz: f64,
    /// Above this temperature the clock is held to this: the soft limit of a 3B+.
    pub soft_limit: Option<(f64, f64)>,
    /// Power of the idle board in W.
    pub idle_w: f64,
    /// Further power with all cores busy at the highest clock in W.
    pub dynamic_w: f64,
    /// Die to board in K/W.
    pub die_r: f64,
    /// Heat capacity of the die in J/K.
    pub die_c: f64,
    /// Board to air in K/W.
    pub board_r: f64,
    /// The same while the fan stands still.
    pub board_r_without_fan: f64,
    /// Heat capacity of the board in J/K.
    pub board_c: f64,
    /// The dynamic power goes with this power of the clock.
    pub power_of_clock: f64,
    /// Speed of an inference by threads and clock.
    pub speed: Speed,
}

impl Parameters {
    /// The figures of a board. With a seed every thermal and electrical one is drawn within ±25 %, and the exponents and the speed
    /// within wide ranges.
    pub fn new(kind: Kind, seed: Option<u64>) -> Self {
        // cores, max and min MHz, idle W, dynamic W, die K/W and J/K, board K/W, the same without fan, board J/K
        let [cores, max_mhz, min_mhz, idle_w, dynamic_w, die_r, die_c, board_r, board_r_without_fan, board_c] =
            match kind {
                Kind::Zero2 => [4.0, 1000.0, 600.0, 0.5, 1.9, 4.0, 1.5, 19.0, 19.0, 9.0],
                Kind::Pi3bPlus => [4.0, 1400.0, 600.0, 1.1, 3.4, 2.5, 2.5, 11.5, 11.5, 16.0],
                Kind::Pi4 => [4.0, 1500.0, 600.0, 1.5, 3.6, 2.5, 3.0, 10.0, 10.0, 20.0],
                Kind::Pi5 => [4.0, 2400.0, 1500.0, 2.2, 6.0, 1.5, 4.0, 7.5, 7.5, 24.0],
                Kind::Pi5Fan => [4.0, 2400.0, 1500.0, 2.2, 6.0, 1.5, 4.0, 2.6, 7.5, 24.0],
            };
        let soft_limit = (kind == Kind::Pi3bPlus).then_some((60.0, 1200.0));
        let mut state = seed;
        let mut draw = || state.as_mut().map_or(1.0, |state| 0.75 + 0.5 * unit(state));
        let (idle, dynamic, r1, c1, r2, c2) = (draw(), draw(), draw(), draw(), draw(), draw());
        Parameters {
            cores,
            max_mhz,
            min_mhz,
            soft_limit,
            idle_w: idle_w * idle,
            dynamic_w: dynamic_w * dynamic,
            die_r: die_r * r1,
            die_c: die_c * c1,
            board_r: board_r * r2,
            board_r_without_fan: board_r_without_fan * r2,
            board_c: board_c * c2,
            power_of_clock: if seed.is_none() { 2.2 } else { 1.2 + 1.8 * (draw() - 0.75) * 2.0 },
            speed: if seed.is_none() { Speed::NOMINAL } else { drawn_speed(|| (draw() - 0.75) * 2.0) },
        }
    }

    /// Power in W with this share of all cores busy at this clock.
    pub fn power_w(&self, busy: f64, clock_mhz: f64) -> f64 {
        self.idle_w + self.dynamic_w * busy * (clock_mhz / self.max_mhz).powf(self.power_of_clock)
    }
}

/// Speed of a drawn board out of numbers from 0 to 1: a power law, one that ends where the memory is busy, or Amdahl's law; on every
/// other board up to half of the run time is the memory's, which no clock changes.
fn drawn_speed(mut draw: impl FnMut() -> f64) -> Speed {
    let law = draw();
    let scaling = match (law * 3.0) as u32 {
        0 => Scaling::Power { exponent: 0.6 + 0.4 * draw() },
        1 => Scaling::Saturating { exponent: 0.85 + 0.15 * draw(), cores: 1.5 + 2.0 * draw() },
        _ => Scaling::Amdahl { serial: 0.02 + 0.28 * draw() },
    };
    let memory = draw() - 0.5;
    Speed { scaling, clockless: memory.max(0.0) }
}

/// SplitMix64 (Steele, Lea and Flood 2014): the next number between 0 and 1.
fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Temperatures of die and board.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heat {
    /// Die in °C.
    pub die: f64,
    /// Board in °C.
    pub board: f64,
}

impl Heat {
    /// A board that has been doing this for long.
    pub fn settled(p: &Parameters, ambient: f64, busy: f64) -> Heat {
        let w = p.power_w(busy, p.max_mhz);
        let board = ambient + w * p.board_r;
        Heat { die: board + w * p.die_r, board }
    }

    /// `dt_s` seconds later.
    pub fn advance(&mut self, p: &Parameters, ambient: f64, power_w: f64, fan: bool, dt_s: f64) {
        let board_r = if fan { p.board_r } else { p.board_r_without_fan };
        let through = (self.die - self.board) / p.die_r;
        let lost = (self.board - ambient) / board_r;
        self.die += (power_w - through) / p.die_c * dt_s;
        self.board += (through - lost) / p.board_c * dt_s;
    }
}

/// The firmware: from 80 °C one step of 100 MHz down a second, from 85 °C the lowest clock at once, one step up a second
/// below 79 °C; a sagging supply pins the lowest clock, which then comes back as slowly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Firmware {
    heat_mhz: f64,
    supply_mhz: f64,
    soft: bool,
    sagging: bool,
}

/// One step of the clock in MHz.
const STEP_MHZ: f64 = 100.0;

impl Firmware {
    /// At the highest clock.
    pub fn new(p: &Parameters) -> Self {
        Firmware { heat_mhz: p.max_mhz, supply_mhz: p.max_mhz, soft: false, sagging: false }
    }

    /// Called once a second.
    pub fn second(&mut self, p: &Parameters, die: f64, sagging: bool) {
        if die >= 85.0 {
            self.heat_mhz = p.min_mhz;
        } else if die >= 80.0 {
            self.heat_mhz = (self.heat_mhz - STEP_MHZ).max(p.min_mhz);
        } else if die < 79.0 {
            self.heat_mhz = (self.heat_mhz + STEP_MHZ).min(p.max_mhz);
        }
        self.sagging = sagging;
        self.supply_mhz = if sagging { p.min_mhz } else { (self.supply_mhz + STEP_MHZ).min(p.max_mhz) };
        self.soft = p.soft_limit.is_some_and(|(limit, _)| die > limit);
    }

    /// The clock now.
    pub fn clock_mhz(&self, p: &Parameters) -> f64 {
        let soft = p.soft_limit.filter(|_| self.soft).map_or(p.max_mhz, |(_, mhz)| mhz);
        self.heat_mhz.min(self.supply_mhz).min(soft)
    }

    /// The clock is held down because of heat (the soft limit of a 3B+ is another thing).
    pub fn throttled(&self, p: &Parameters) -> bool {
        self.heat_mhz < p.max_mhz
    }

    /// The soft limit is active.
    pub fn soft_limited(&self) -> bool {
        self.soft
    }

    /// The supply sags.
    pub fn under_voltage(&self) -> bool {
        self.sagging
    }
}
