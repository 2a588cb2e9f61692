//! The background: what each cell of the picture usually looks like, how noisy it is, and how restless.
//!
//! A cell differs when it is further from its mean, light apart, than noise and restlessness explain. Restlessness is learnt from
//! motion that led to nothing (a tree, a flag, rain on the lens) in about a minute and forgotten in ten. A cell that differs but
//! stands still becomes background: what was parked there, or what is seen where something has left.

use super::light::{Light, LocalLight};

/// Levels that count as a difference at least.
const LEAST: f32 = 9.0;
/// A difference exceeds the mean absolute deviation by this factor.
const NOISE: f32 = 4.5;
/// Share of a difference that must be left without the light of its part of the picture.
const EDGE: f32 = 0.6;
/// Time constants in s: of the mean where nothing differs, and where something does; of light; of noise.
const MEAN_S: f32 = 15.0;
const MEAN_DIFFERS_S: f32 = 60.0;
const LIGHT_S: f32 = 3.0;
const NOISE_S: f32 = 30.0;
/// Noise of a cell that is not known yet, a mean absolute deviation in levels.
const NEW_NOISE: f32 = 2.0;
/// Most noise that is believed.
const MOST_NOISE: f32 = 12.0;
/// Time constants in s in which restlessness rises and falls.
const RESTLESS_S: f32 = 25.0;
const RESTED_S: f32 = 600.0;
/// Restlessness grows beyond the motion it is learnt from by this factor …
const BEYOND: f32 = 1.3;
/// … up to so many levels.
const MOST_RESTLESS: f32 = 90.0;
/// A cell that differs is background after this time in s without a change …
const STILL_S: f32 = 10.0;
/// … by more levels than these, beside the noise.
const STILL: f32 = 6.0;

/// The background of a picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Background {
    means: Vec<f32>,
    /// Mean absolute deviations.
    noise: Vec<f32>,
    restless: Vec<f32>,
    /// Time in s for which a cell has differed and stood still.
    still: Vec<f32>,
    last: Vec<u8>,
}

/// A picture against its background.
#[derive(Clone, Debug, Default)]
pub(super) struct Difference {
    /// Deviations of the cells, light apart, and how large they may be.
    deviations: Vec<f32>,
    limits: Vec<f32>,
    /// Deviations without the light of parts of the picture.
    edges: Vec<f32>,
    /// The cells that differ.
    pub(super) differs: Vec<bool>,
    moves: Vec<bool>,
    /// Share of the cells that differ, 0 to 1.
    pub(super) share: f32,
    /// Change of light of the whole picture in levels.
    pub(super) light: f32,
    local: LocalLight,
    /// Noise of the whole picture, a mean absolute deviation in levels.
    noise: f32,
}

impl Background {
    /// The background of which one picture is known.
    pub(super) fn of(cells: &[u8]) -> Background {
        let same = |value: f32| vec![value; cells.len()];
        Background {
            means: cells.iter().map(|cell| f32::from(*cell)).collect(),
            noise: same(NEW_NOISE),
            restless: same(0.0),
            still: same(0.0),
            last: cells.to_vec(),
        }
    }

    /// Compares a picture; cells that `skip` are left out.
    pub(super) fn compare(&self, cells: &[u8], skip: &[bool], difference: &mut Difference) {
        let light = Light::between(&self.means, cells, skip);
        let Difference { deviations, limits, differs, share, light: overall, noise, .. } = difference;
        deviations.clear();
        deviations.extend(self.means.iter().zip(cells).map(|(mean, cell)| f32::from(*cell) - mean - light.at(*mean)));
        // Noise of the whole picture, which may have become night since the last one.
        *noise = typical(deviations, skip);
        let floor = LEAST.max(NOISE * *noise);
        limits.clear();
        limits
            .extend(self.noise.iter().zip(&self.restless).map(|(noise, restless)| floor.max(NOISE * noise) + restless));
        differs.clear();
        let each = deviations.iter().zip(limits.iter()).zip(skip);
        differs.extend(each.map(|((deviation, limit), skip)| !skip && deviation.abs() > *limit));
        let seen = skip.iter().filter(|skip| !**skip).count().max(1);
        *share = differs.iter().filter(|differs| **differs).count() as f32 / seen as f32;
        *overall = light.overall;
    }

    /// The cells that differ by more than the shadow of a cloud or the light of a lamp would explain, after [`Background::compare`];
    /// `width` cells a row.
    pub(super) fn moving<'a>(&self, width: usize, difference: &'a mut Difference) -> &'a [bool] {
        let Difference { deviations, limits, edges, differs, moves, local, .. } = difference;
        moves.clear();
        if differs.contains(&true) {
            edges.clone_from(deviations);
            local.take_out(&self.means, edges, width);
        }
        moves.extend(
            differs
                .iter()
                .zip(edges.iter())
                .zip(limits.iter())
                .map(|((differs, edge), limit)| *differs && edge.abs() > *limit * EDGE),
        );
        moves
    }

    /// Learns from a picture that came `dt_s` after the last one. What moves is learnt as restlessness, unless it `matters`.
    pub(super) fn learn(&mut self, cells: &[u8], difference: &Difference, dt_s: f32, matters: bool) {
        let gain = |constant_s: f32| 1.0 - (-dt_s / constant_s).exp();
        let [mean_gain, differs_gain, light_gain] = [MEAN_S, MEAN_DIFFERS_S, LIGHT_S].map(gain);
        let [noise_gain, restless_gain, rested] = [NOISE_S, RESTLESS_S, RESTED_S].map(gain);
        for (index, cell) in cells.iter().enumerate() {
            let value = f32::from(*cell);
            let (deviation, differs) = (difference.deviations[index], difference.differs[index]);
            let change = value - f32::from(std::mem::replace(&mut self.last[index], *cell));
            let light = value - self.means[index] - deviation;
            self.means[index] += light * light_gain + deviation * if differs { differs_gain } else { mean_gain };
            if !differs {
                self.still[index] = 0.0;
                self.restless[index] -= self.restless[index] * rested;
                let noise = &mut self.noise[index];
                *noise = (*noise + (deviation.abs() - *noise) * noise_gain).min(MOST_NOISE);
                continue;
            }
            if change.abs() <= STILL + NOISE * self.noise[index].max(difference.noise) {
                self.still[index] += dt_s;
                if self.still[index] >= STILL_S {
                    (self.means[index], self.still[index]) = (value, 0.0);
                }
            } else {
                self.still[index] = (self.still[index] - 2.0 * dt_s).max(0.0);
                if !matters {
                    let restless = &mut self.restless[index];
                    *restless += (deviation.abs() * BEYOND - *restless).max(0.0) * restless_gain;
                    *restless = restless.min(MOST_RESTLESS);
                }
            }
        }
    }

    /// Takes a picture for the background at once, in another light; noise and restlessness stay.
    pub(super) fn relight(&mut self, cells: &[u8]) {
        self.means.iter_mut().zip(cells).for_each(|(mean, cell)| *mean = f32::from(*cell));
    }
}

/// The typical deviation: the median of the absolute ones, made a mean absolute deviation as noise has it.
fn typical(deviations: &[f32], skip: &[bool]) -> f32 {
    /// Mean ÷ median of the absolute deviation of normal noise.
    const MEAN_OF_MEDIAN: f32 = 1.18;
    const STEP: f32 = 0.25;
    let mut histogram = [0_u32; 256];
    for (deviation, _) in deviations.iter().zip(skip).filter(|(_, skip)| !**skip) {
        histogram[((deviation.abs() / STEP) as usize).min(255)] += 1;
    }
    let half = histogram.iter().sum::<u32>().div_ceil(2);
    let mut sum = 0;
    let place = histogram.iter().position(|count| {
        sum += count;
        sum >= half
    });
    place.unwrap_or(0) as f32 * STEP * MEAN_OF_MEDIAN
}
