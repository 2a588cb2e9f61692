//! The row of digits of a meter: rows of even ink, read by the model, moved until it reads them well.

use super::chain::{self, Chain};
use super::ink;
use super::judge::{DigitSeen, Judge, apart};
use super::level::Levels;
use super::row::Row;

/// Chains that are read, rows that are moved, and rows whose middle and ends are looked for.
const CHAINS: usize = 70;
const MOVED: usize = 6;
const SETTLED: usize = 3;
/// Times that a copy is softened before its ink is looked for.
const SOFTENED: [usize; 2] = [1, 4];
/// Height of a region in heights of a digit, and in heights of a drum, where it was the drum that was found.
const REGIONS: [f32; 2] = [1.5, 1.06];
/// Advantage, as a factor, of the one that the ink looks like.
const LIKELIER: f32 = 1.19;
/// Digits of a counter, least and most.
const COUNT: [usize; 2] = [4, 8];
/// Evidence from which a place before the first or behind the last digit is one as well, and below which one is left out.
const ADDED: f32 = 0.62;
const LEFT_OUT: f32 = 0.5;
/// The same for a one at an end: the edge of a window looks like a one, and less so from a little aside.
const ONE: f32 = 0.9;
/// Mean evidence of a row that is told, but for its weakest digit.
const CONVINCING: f32 = 0.88;
/// Cost of a step away from the ink, in the logarithm of evidence.
const STAYS: f32 = 0.02;
/// Shifts along and across, in distances and heights, and sizes, under which a digit is still the same one.
const ASIDE: [[f32; 3]; 6] =
    [[-0.12, 0.0, 1.0], [0.12, 0.0, 1.0], [0.0, -0.07, 1.0], [0.0, 0.07, 1.0], [0.0, 0.0, 0.9], [0.0, 0.0, 1.15]];
/// Largest distance of two positions of one digit, and of a position from one that is taken for it.
const SAME: f32 = 0.6;
const ONE_LIKE: f32 = 0.25;
/// Shifts along and across, in distances and heights, from which a row is to be read equally well.
const SIDES: [[f32; 2]; 4] = [[-0.2, 0.0], [0.2, 0.0], [0.0, -0.13], [0.0, 0.13]];
/// Advantage that a row needs to be read upside down.
const UPSIDE_DOWN: f32 = 1.2;

/// A row that was read.
pub(super) struct Found {
    /// The row; its height is that of regions.
    pub row: Row,
    /// Answers of the model to each digit.
    pub seen: Vec<DigitSeen>,
}

/// The row of digits of a picture, where there is one.
pub(super) fn find<J: Judge>(levels: &Levels, judge: &mut J) -> Result<Option<Found>, J::Error> {
    let mut chains = Vec::new();
    for level in &levels.0 {
        for softened in SOFTENED {
            let pieces = ink::pieces(level, softened);
            chains.extend(chain::best(chain::chains(&pieces, [level.width, level.height], level.factor), CHAINS / 2));
        }
    }
    let mut rows: Vec<(f32, Row)> = Vec::new();
    for Chain { row, solid, .. } in chain::best(chains, CHAINS) {
        let mut best: Option<(f32, Row)> = None;
        for (part, likely) in REGIONS.into_iter().zip(if solid { [1.0, LIKELIER] } else { [LIKELIER, 1.0] }) {
            let row = Row { height: part * row.height, ..row };
            for row in [row, row.turned()] {
                let seen = read(levels, judge, &row, 0..row.count as i32)?;
                let worth = run(&seen).0 * upright(&row) * likely;
                if best.is_none_or(|(other, _)| worth > other) {
                    best = Some((worth, row));
                }
            }
        }
        rows.extend(best.filter(|(worth, _)| *worth > 0.0).map(|(worth, row)| (worth * prominence(&row), row)));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    rows.truncate(MOVED);
    let mut near = Vec::new();
    for (_, row) in rows {
        let seen = read(levels, judge, &row, 0..row.count as i32)?;
        let (_, first, count) = run(&seen);
        if count < COUNT[0] - 1 {
            continue;
        }
        let row = moved(levels, judge, row.part(first as i32, count))?;
        let steady = steady(levels, judge, &row, 0..count as i32)?;
        near.push((clearness(&row, &steady) * prominence(&row), row));
    }
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut best: Option<(f32, Found)> = None;
    for (_, row) in near.into_iter().take(SETTLED) {
        let Some(found) = settle(levels, judge, row)? else { continue };
        let steady = steady(levels, judge, &found.row, 0..found.row.count as i32)?;
        if rest(&steady) < CONVINCING {
            continue;
        }
        let clear = clearness(&found.row, &steady);
        let better = best.as_ref().is_none_or(|(other, before)| {
            let beside =
                if found.row.meets(&before.row) { 1.0 } else { prominence(&found.row) / prominence(&before.row) };
            clear * beside > *other
        });
        if better {
            best = Some((clear, found));
        }
    }
    Ok(best.map(|(_, found)| found))
}

/// Clearness of a row's reading: one that lies a little off its digits is read less steadily.
fn clearness(row: &Row, steady: &[Steady]) -> f32 {
    let count = steady.len().max(1) as f32;
    let mean = steady.iter().map(|steady| steady.evidence).sum::<f32>() / count;
    (mean - LEFT_OUT) * mean * mean * count.min(6.0) * upright(row)
}

fn upright(row: &Row) -> f32 {
    if row.angle.cos() < 0.0 { 1.0 / UPSIDE_DOWN } else { 1.0 }
}

/// Worth of a row beside others elsewhere: a counter is large and its digits stand apart, other numbers on a meter are small and tight.
fn prominence(row: &Row) -> f32 {
    let apart = (row.pitch / row.height).clamp(0.35, 0.8);
    row.height.sqrt() * apart.sqrt()
}

/// Answers of the model to some digits of a row.
fn read<J: Judge>(
    levels: &Levels,
    judge: &mut J,
    row: &Row,
    digits: std::ops::Range<i32>,
) -> Result<Vec<DigitSeen>, J::Error> {
    let size = judge.digit_size();
    let pictures: Vec<Vec<u8>> = digits.map(|index| levels.cut(&row.region(index), size, false)).collect();
    judge.digits(&pictures)
}

/// The part of a row with the most evidence: what it is worth, its first digit and their number.
fn run(seen: &[DigitSeen]) -> (f32, usize, usize) {
    let mut best = (0.0, 0, 0);
    for first in 0..seen.len() {
        let mut sum = 0.0;
        for (offset, seen) in seen.iter().skip(first).enumerate() {
            sum += seen.evidence() - LEFT_OUT;
            if sum > best.0 {
                best = (sum, first, offset + 1);
            }
        }
    }
    best
}

/// Quality of a row's reading: the mean of the evidence's logarithms but the worst, which may be of a drum between two digits.
fn clear(seen: &[DigitSeen]) -> f32 {
    let mut logs: Vec<f32> = seen.iter().map(|seen| (seen.evidence() + 0.02).ln()).collect();
    logs.sort_by(f32::total_cmp);
    let rest = logs.get(1..).unwrap_or_default();
    rest.iter().sum::<f32>() / rest.len().max(1) as f32
}

/// Moves a row to the middle of where it is read, and finds its ends.
fn settle<J: Judge>(levels: &Levels, judge: &mut J, row: Row) -> Result<Option<Found>, J::Error> {
    let row = centred(levels, judge, row, &[1.0, 0.5])?;
    // A few more on each side.
    let more = COUNT[1] as i32 - 2;
    let count = row.count as i32;
    let all = steady(levels, judge, &row, -more..count + more)?;
    let is = |index: i32, least: f32| {
        let steady = usize::try_from(index + more).ok().and_then(|index| all.get(index));
        steady.is_some_and(|steady| if steady.is_one { steady.held >= ONE } else { steady.evidence >= least })
    };
    let (mut first, mut end) = (0, count);
    while first < end && !is(first, LEFT_OUT) {
        first += 1;
    }
    while end > first && !is(end - 1, LEFT_OUT) {
        end -= 1;
    }
    while end - first < COUNT[1] as i32 && is(first - 1, ADDED) {
        first -= 1;
    }
    while end - first < COUNT[1] as i32 && is(end, ADDED) {
        end += 1;
    }
    let Ok(count) = usize::try_from(end - first) else { return Ok(None) };
    if !(COUNT[0]..=COUNT[1]).contains(&count) {
        return Ok(None);
    }
    let row = centred(levels, judge, row.part(first, count), &[0.5, 0.25])?;
    let seen = read(levels, judge, &row, 0..count as i32)?;
    Ok(Some(Found { row, seen }))
}

/// Mean evidence of a row's digits but the weakest one, which may be between two digits.
fn rest(steady: &[Steady]) -> f32 {
    let all: f32 = steady.iter().map(|steady| steady.evidence).sum();
    let least = steady.iter().map(|steady| steady.evidence).fold(1.0, f32::min);
    (all - least) / (steady.len().max(2) - 1) as f32
}

/// A digit as it is read from a little aside, from nearer and from further off as well.
#[derive(Clone, Copy, Default)]
struct Steady {
    /// Mean evidence where the same digit is read, nothing where another one is.
    evidence: f32,
    /// The same of the position alone.
    held: f32,
    /// It is taken for a one.
    is_one: bool,
}

/// Steadiness with which some digits of a row are read.
fn steady<J: Judge>(
    levels: &Levels,
    judge: &mut J,
    row: &Row,
    digits: std::ops::Range<i32>,
) -> Result<Vec<Steady>, J::Error> {
    let own = read(levels, judge, row, digits.clone())?;
    let part = 1.0 / (ASIDE.len() + 1) as f32;
    let start = |seen: &DigitSeen| Steady {
        evidence: part * seen.evidence(),
        held: part * seen.held(),
        is_one: apart(seen.place(), 1.0) < ONE_LIKE,
    };
    let mut all: Vec<Steady> = own.iter().map(start).collect();
    for [along, across, size] in ASIDE {
        let aside = shifted(row, along, across);
        let seen = read(levels, judge, &Row { height: size * row.height, ..aside }, digits.clone())?;
        for ((steady, own), seen) in all.iter_mut().zip(&own).zip(seen) {
            if apart(own.place(), seen.place()) < SAME {
                steady.evidence += part * seen.evidence();
                steady.held += part * seen.held();
            }
            steady.is_one |= apart(seen.place(), 1.0) < ONE_LIKE;
        }
    }
    Ok(all)
}

/// The row shifted along and across, in distances and heights of its digits.
fn shifted(row: &Row, along: f32, across: f32) -> Row {
    let [right, down] = row.axes();
    let by = |i: usize| right[i] * along * row.pitch + down[i] * across * row.height;
    Row { middle: [row.middle[0] + by(0), row.middle[1] + by(1)], ..*row }
}

/// The row moved, turned and scaled in small steps as long as it is read better. Where it is read well already it stays: the ink says
/// better than the model where its middle is.
fn moved<J: Judge>(levels: &Levels, judge: &mut J, row: Row) -> Result<Row, J::Error> {
    let worth = |judge: &mut J, row: &Row, steps: &[f32; 7]| -> Result<f32, J::Error> {
        let far: f32 = steps.iter().map(|steps| steps * steps).sum();
        Ok(clear(&read(levels, judge, row, 0..row.count as i32)?) - STAYS * far)
    };
    let (mut best, mut steps) = (row, [0.0; 7]);
    let mut most = worth(judge, &best, &steps)?;
    for step in [1.0, 0.5] {
        for change in 0..steps.len() {
            for sign in [-step, step] {
                let row = stepped(&best, change, sign);
                let mut further = steps;
                further[change] += sign;
                let worth = worth(judge, &row, &further)?;
                if worth > most {
                    (best, steps, most) = (row, further, worth);
                }
            }
        }
    }
    Ok(best)
}

/// The row moved to the middle of where it is read: a model reads a digit that is well off the middle of its region, so what counts is how
/// well it is read from all sides.
fn centred<J: Judge>(levels: &Levels, judge: &mut J, row: Row, steps: &[f32]) -> Result<Row, J::Error> {
    let worth = |judge: &mut J, row: &Row| -> Result<f32, J::Error> {
        let mut sum = 0.0;
        for [along, across] in SIDES {
            sum += clear(&read(levels, judge, &shifted(row, along, across), 0..row.count as i32)?);
        }
        Ok(sum / SIDES.len() as f32)
    };
    let mut best = row;
    let mut most = worth(judge, &best)?;
    for step in steps.iter().copied() {
        for change in [0, 1, 3, 4] {
            for sign in [-step, step] {
                let row = stepped(&best, change, sign);
                let worth = worth(judge, &row)?;
                if worth > most + 0.005 {
                    (best, most) = (row, worth);
                }
            }
        }
    }
    Ok(best)
}

/// The row after one step of one of its seven parameters.
fn stepped(row: &Row, change: usize, step: f32) -> Row {
    let mut row = *row;
    match change {
        0 => row = shifted(&row, 0.08 * step, 0.0),
        1 => row = shifted(&row, 0.0, 0.06 * step),
        2 => row.angle += 0.02 * step,
        3 => row.pitch *= 1.0 + 0.02 * step,
        4 => row.height *= 1.0 + 0.06 * step,
        5 => row.shear += 0.06 * step,
        _ => row.grow += 0.012 * step,
    }
    row
}
