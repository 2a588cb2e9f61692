//! Dense weights that, less their zero points, do not fit bytes: the byte nearest to each is multiplied with all others, and
//! what is left over in further steps, of which a block has only those that it needs.

use std::borrow::Cow;

use super::excess::{Excess, STEP};
use super::{AlignedBytes, GemmWeights};

/// Dense weights as bytes, as little of a zero point as they need, and what is left over.
pub struct Split<'a> {
    /// As [`GemmWeights::data`].
    pub data: Cow<'a, [i8]>,
    /// As [`GemmWeights::zeros`].
    pub zeros: Cow<'a, [i8]>,
    /// Excess that `data` less `zeros` lacks.
    pub excess: Excess,
}

/// Most further steps of a block: more take longer than a sum of the inputs times the zero points.
fn most(steps: usize) -> usize {
    2 + steps / 16
}

impl<'a> Split<'a> {
    /// Weights as they are.
    pub fn none(weights: &GemmWeights<'a>) -> Self {
        Split { data: weights.data.into(), zeros: weights.zeros.into(), excess: Excess::default() }
    }

    /// Splits weights for blocks of `block` channels; channel `c` is value `place(c)`.
    pub fn of(weights: &GemmWeights<'a>, block: usize, place: impl Fn(usize) -> usize) -> Self {
        let GemmWeights { n, segments, segment, .. } = *weights;
        let (len, steps) = (segments * segment, segment.div_ceil(STEP));
        let mut split = Split::none(weights);
        if weights.zeros.iter().all(|&zero| zero == 0) {
            return split;
        }
        // Few channels reach beyond bytes, if any does: only these are looked at weight by weight.
        let reaches: Vec<bool> = (0..n).map(|channel| reaches_beyond(weights, channel)).collect();
        let beyond = |channel: usize| {
            let leaves = |(i, w): (usize, i16)| (left_over(w) != 0).then_some((i, left_over(w)));
            weights.row(channel).take(if reaches[channel] { len } else { 0 }).enumerate().filter_map(leaves)
        };
        let mut begins = vec![0];
        let mut all = Vec::new();
        for first in (0..n).step_by(block) {
            let channels = first..n.min(first + block);
            let mut needed: Vec<[u32; 2]> = Vec::new();
            let fits = channels.clone().all(|channel| {
                needed.extend(beyond(channel).map(|(i, _)| step_of(i, segment)));
                needed.sort_unstable();
                needed.dedup();
                needed.len() <= most(segments * steps) && beyond(channel).all(|(_, left)| i8::try_from(left).is_ok())
            });
            if fits {
                for channel in channels {
                    split.zeros.to_mut()[channel] = 0;
                    let bytes = &mut split.data.to_mut()[channel * len..][..len];
                    if reaches[channel] {
                        bytes
                            .iter_mut()
                            .zip(weights.row(channel))
                            .for_each(|(byte, w)| *byte = (w - left_over(w)) as i8);
                    } else {
                        let zero = weights.zero(channel);
                        bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_sub(zero));
                    }
                }
                split.excess.steps.append(&mut needed);
            }
            begins.push(split.excess.steps.len() as u32);
            all.push(fits);
        }
        if split.excess.steps.is_empty() {
            return split;
        }
        split.excess.data = AlignedBytes::zeroed(split.excess.steps.len() * block * STEP);
        split.excess.begins = begins;
        for channel in (0..n).filter(|channel| all[channel / block]) {
            let range = split.excess.of(channel / block);
            for (i, left) in beyond(channel) {
                let step = step_of(i, segment);
                let own = &split.excess.steps[range.clone()];
                let Some(index) = own.iter().position(|other| *other == step) else { continue };
                let value = place(channel) % block;
                let at = ((range.start + index) * block + value) * STEP + i % segment % STEP;
                split.excess.data.put_i8(at, [left as i8]);
            }
        }
        split
    }
}

/// True if a weight of the channel, less its zero point, is no byte.
fn reaches_beyond(weights: &GemmWeights, channel: usize) -> bool {
    let (len, zero) = (weights.segments * weights.segment, i16::from(weights.zero(channel)));
    let row = &weights.data[channel * len..][..len];
    let least = i16::from(row.iter().copied().fold(i8::MAX, i8::min)) - zero;
    let most = i16::from(row.iter().copied().fold(i8::MIN, i8::max)) - zero;
    !row.is_empty() && (least < i8::MIN.into() || most > i8::MAX.into())
}

/// Excess of a weight over the nearest byte.
fn left_over(weight: i16) -> i16 {
    weight - weight.clamp(i8::MIN.into(), i8::MAX.into())
}

/// Segment and first byte of the step of a weight.
fn step_of(index: usize, segment: usize) -> [u32; 2] {
    [(index / segment) as u32, (index % segment / STEP * STEP) as u32]
}
