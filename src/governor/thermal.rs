//! The board's future temperature: a first-order model whose gain, ambient and time constant are estimated while it runs.
//!
//! The temperature that a processor shows is `s + gf·φ`: the board under it, `s`, which follows the load slowly,
//! `τs·ds/dt = a + gs·u − s`, and the die's own few degrees above it, where `φ` is the load `u` smoothed over seconds. `a` is
//! what the idle board settles at and moves with the air around it; `gs` and `gf` are the °C of full load. For a given `τs` all
//! of this is linear, so a Kalman filter over `(s, a, gs, gf)` is exact; a bank of filters with different `τs`, weighted by how
//! well each one predicted lately, takes the place of estimating `τs` (multiple-model estimation: Bar-Shalom, Li and Kirubarajan,
//! "Estimation with Applications to Tracking and Navigation", 11.6).

use std::time::Duration;

/// Time constants of the board under the processor that are tried, in s.
const BOARD_S: [f64; 7] = [40.0, 70.0, 110.0, 160.0, 230.0, 330.0, 480.0];
/// Time constant of the die, in s.
const DIE_S: f64 = 6.0;

/// Spread of a thermometer's readings about the model in °C: half of a step of 0.5 °C, and what the model leaves out.
const READING_SD: f64 = 0.3;
/// Random walk of the air around the board, °C per √s.
const AMBIENT_SD: f64 = 0.12;
/// Random walk of the board itself (a fan that starts), °C of full load per √s.
const GAIN_SD: f64 = 0.03;
/// Random walk of the board's own temperature about the model, °C per √s.
const BOARD_SD: f64 = 0.03;

/// Assumptions about an unknown board, from public stress tests of bare boards and boards with coolers: °C of full load for board
/// and die, with their spread.
const BOARD_GAIN: [f64; 2] = [32.0, 16.0];
const DIE_GAIN: [f64; 2] = [8.0, 3.0];
const AMBIENT_GUESS_SD: f64 = 15.0;

/// A model forgets how well it predicted within this many seconds.
const MEMORY_S: f64 = 120.0;

/// State of one filter: `[s, a, gs, gf]`.
const N: usize = 4;

/// The estimate. Loads are shares of all cores, 0 to 1.
#[derive(Clone, Debug)]
pub struct Thermal {
    filters: Vec<Filter>,
    /// The load smoothed over [`DIE_S`].
    die_load: f64,
}

#[derive(Clone, Debug)]
struct Filter {
    board_s: f64,
    x: [f64; N],
    p: [[f64; N]; N],
    /// Logarithm of the likelihood of what was read lately.
    score: f64,
}

/// A temperature with its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// °C.
    pub celsius: f64,
    /// One standard deviation in °C.
    pub sd: f64,
}

impl Thermal {
    /// Begins with a first reading at this load.
    pub fn new(celsius: f64, load: f64) -> Self {
        let [gs, gs_sd] = BOARD_GAIN;
        let [gf, gf_sd] = DIE_GAIN;
        let board = celsius - gf * load;
        let filter = |board_s: f64| Filter {
            board_s,
            x: [board, board - gs * load, gs, gf],
            p: diagonal([9.0, AMBIENT_GUESS_SD * AMBIENT_GUESS_SD, gs_sd * gs_sd, gf_sd * gf_sd]),
            score: 0.0,
        };
        Thermal { filters: BOARD_S.map(filter).to_vec(), die_load: load }
    }

    /// Goes on by `dt` with this load, and without a reading.
    pub fn advance(&mut self, load: f64, dt: Duration) {
        let dt_s = dt.as_secs_f64().min(60.0);
        self.die_load += (load - self.die_load) * (1.0 - (-dt_s / DIE_S).exp());
        self.filters.iter_mut().for_each(|f| f.advance(load, dt_s));
    }

    /// Takes a reading at the present moment.
    pub fn observe(&mut self, celsius: f64, dt: Duration) {
        let dt_s = dt.as_secs_f64().min(60.0);
        let forget = (-dt_s / MEMORY_S).exp();
        let die_load = self.die_load;
        self.filters.iter_mut().for_each(|f| f.observe(celsius, die_load, forget));
        let best = self.filters.iter().map(|f| f.score).fold(f64::NEG_INFINITY, f64::max);
        self.filters.iter_mut().for_each(|f| f.score -= best);
    }

    /// The temperature now.
    pub fn now(&self) -> Estimate {
        let die = self.die_load;
        self.mix(|_| [1.0, 0.0, 0.0, die])
    }

    /// The temperature after `ahead` at this load.
    pub fn after(&self, ahead: Duration, load: f64) -> Estimate {
        let ahead_s = ahead.as_secs_f64();
        let die = load + (self.die_load - load) * (-ahead_s / DIE_S).exp();
        self.mix(|f| {
            let left = (-ahead_s / f.board_s).exp();
            [left, 1.0 - left, (1.0 - left) * load, die]
        })
    }

    /// The temperature that this load leads to in the end.
    pub fn steady(&self, load: f64) -> Estimate {
        self.mix(|_| [0.0, 1.0, load, load])
    }

    /// Time constant of the board in s.
    pub fn board_s(&self) -> f64 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for f in &self.filters {
            let weight = f.score.exp();
            sum += weight * f.board_s;
            weights += weight;
        }
        sum / weights.max(f64::MIN_POSITIVE)
    }

    /// Mean and spread of a linear function of the state over all filters.
    fn mix(&self, of: impl Fn(&Filter) -> [f64; N]) -> Estimate {
        let (mut mean, mut square, mut weights) = (0.0, 0.0, 0.0);
        for f in &self.filters {
            let h = of(f);
            let value = dot(&h, &f.x);
            let variance = dot(&h, &times(&f.p, &h)).max(0.0);
            let weight = f.score.exp();
            weights += weight;
            mean += weight * value;
            square += weight * (value * value + variance);
        }
        let weights = weights.max(f64::MIN_POSITIVE);
        let mean = mean / weights;
        Estimate { celsius: mean, sd: (square / weights - mean * mean).max(0.0).sqrt() }
    }
}

impl Filter {
    fn advance(&mut self, load: f64, dt_s: f64) {
        let k = 1.0 - (-dt_s / self.board_s).exp();
        let row = [1.0 - k, k, k * load, 0.0];
        self.x[0] = dot(&row, &self.x);
        // P = F·P·Fᵀ + Q, where F differs from the identity in its first row only.
        let first = times(&self.p, &row);
        let corner = dot(&row, &first);
        for (i, value) in first.into_iter().enumerate().skip(1) {
            self.p[0][i] = value;
            self.p[i][0] = value;
        }
        self.p[0][0] = corner;
        for (i, sd) in [BOARD_SD, AMBIENT_SD, GAIN_SD, GAIN_SD / 5.0].into_iter().enumerate() {
            self.p[i][i] += sd * sd * dt_s;
        }
    }

    fn observe(&mut self, celsius: f64, die_load: f64, forget: f64) {
        let h = [1.0, 0.0, 0.0, die_load];
        let ph = times(&self.p, &h);
        let variance = dot(&h, &ph) + READING_SD * READING_SD;
        let surprise = celsius - dot(&h, &self.x);
        self.score = self.score * forget - 0.5 * (surprise * surprise / variance + variance.ln());
        for (x, ph) in self.x.iter_mut().zip(ph) {
            *x += ph / variance * surprise;
        }
        for (row, a) in self.p.iter_mut().zip(ph) {
            for (cell, b) in row.iter_mut().zip(ph) {
                *cell -= a * b / variance;
            }
        }
        // More load never cools. The second round mends what the second bound has moved.
        for _ in 0..2 {
            self.hold(2, 2.0, 150.0);
            self.hold(3, 0.0, 40.0);
        }
    }

    /// Moves the state to the most likely one whose component `i` is within these bounds, as far as `p` ties the others to it (Simon
    /// 2010, "Kalman filtering with state constraints", estimate projection). To cut the component off alone would leave the others
    /// where no reading has put them, and each cut would be answered by a larger step: the filter would run away.
    fn hold(&mut self, i: usize, least: f64, most: f64) {
        let miss = self.x[i].clamp(least, most) - self.x[i];
        if miss != 0.0 {
            let tied = self.p.map(|row| row[i] / self.p[i][i].max(f64::MIN_POSITIVE));
            for (x, tied) in self.x.iter_mut().zip(tied) {
                *x += miss * tied;
            }
        }
    }
}

fn diagonal(values: [f64; N]) -> [[f64; N]; N] {
    let mut matrix = [[0.0; N]; N];
    for (i, value) in values.into_iter().enumerate() {
        matrix[i][i] = value;
    }
    matrix
}

fn dot(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn times(matrix: &[[f64; N]; N], vector: &[f64; N]) -> [f64; N] {
    matrix.map(|row| dot(&row, vector))
}
