//! The row of digits of a meter: rows of even ink, read by the model, moved until it reads them well.

use super::chain::{self, Chain};
use super::ink;
use super::judge::{DigitSeen, Judge};
use super::level::Levels;
use super::row::Row;

/// Chains that are read, and rows that are moved.
const CHAINS: usize = 60;
const MOVED: usize = 6;
/// Height of a region in heights of a digit, and in heights of a drum, where it was the drum that was found.
const REGIONS: [f32; 2] = [1.5, 1.06];
/// Digits of a counter, least and most.
const COUNT: [usize; 2] = [4, 8];
/// Evidence from which a place before the first or behind the last digit is one as well, and below which one is left out.
const ADDED: f32 = 0.8;
const LEFT_OUT: f32 = 0.5;
/// Mean evidence of a row that is told.
const CONVINCING: f32 = 0.75;
/// How much better a row has to read upside down.
const UPSIDE_DOWN: f32 = 1.2;

/// A row that was read.
pub(super) struct Found {
    /// The row; its height is that of regions.
    pub row: Row,
    /// What the model says of each digit.
    pub seen: Vec<DigitSeen>,
}

/// The row of digits of a picture, where there is one.
pub(super) fn find<J: Judge>(levels: &Levels, judge: &mut J) -> Result<Option<Found>, J::Error> {
    let mut chains = Vec::new();
    for level in &levels.0 {
        let pieces = ink::pieces(level);
        chains.extend(chain::best(chain::chains(&pieces, [level.width, level.height], level.factor), CHAINS));
    }
    let mut rows: Vec<(f32, Row)> = Vec::new();
    for Chain { row, .. } in chain::best(chains, CHAINS) {
        let mut best: Option<(f32, Row)> = None;
        for height in REGIONS.map(|part| part * row.height) {
            for row in [Row { height, ..row }, Row { height, ..row }.turned()] {
                let seen = read(levels, judge, &row, 0..row.count as i32)?;
                let worth = run(&seen).0 * upright(&row) * prominence(&row);
                if best.is_none_or(|(other, _)| worth > other) {
                    best = Some((worth, row));
                }
            }
        }
        rows.extend(best.filter(|(worth, _)| *worth > 0.0));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut best: Option<(f32, Found)> = None;
    for (_, row) in rows.into_iter().take(MOVED) {
        let Some(found) = settle(levels, judge, row)? else { continue };
        let worth = worth(&found);
        if best.as_ref().is_none_or(|(other, _)| worth > *other) {
            best = Some((worth, found));
        }
    }
    Ok(best.map(|(_, found)| found))
}

/// What a row is worth beside others: a counter is large and its digits stand apart, other numbers on a meter are small and tight.
fn worth(found: &Found) -> f32 {
    let sum: f32 = found.seen.iter().map(|seen| seen.evidence() - LEFT_OUT).sum();
    let mean = sum / found.seen.len().max(1) as f32;
    (sum.min(6.0 * mean)) * upright(&found.row) * prominence(&found.row)
}

fn upright(row: &Row) -> f32 {
    if row.angle.cos() < 0.0 { 1.0 / UPSIDE_DOWN } else { 1.0 }
}

fn prominence(row: &Row) -> f32 {
    let apart = (row.pitch / row.height).clamp(0.35, 0.8);
    row.height.sqrt() * apart.sqrt()
}

/// What the model says of some digits of a row.
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

/// How well a row is read: the mean of the evidence's logarithms but the worst, which may be of a drum between two digits.
fn clear(seen: &[DigitSeen]) -> f32 {
    let mut logs: Vec<f32> = seen.iter().map(|seen| (seen.evidence() + 0.02).ln()).collect();
    logs.sort_by(f32::total_cmp);
    let rest = logs.get(1..).unwrap_or_default();
    rest.iter().sum::<f32>() / rest.len().max(1) as f32
}

/// Moves a row to where it is read best, and finds its ends.
fn settle<J: Judge>(levels: &Levels, judge: &mut J, row: Row) -> Result<Option<Found>, J::Error> {
    let seen = read(levels, judge, &row, 0..row.count as i32)?;
    let (_, first, count) = run(&seen);
    if count < 3 {
        return Ok(None);
    }
    let row = moved(levels, judge, row.part(first as i32, count))?;
    // A few more on each side.
    let more = COUNT[1] as i32 - 2;
    let count = row.count as i32;
    let all = read(levels, judge, &row, -more..count + more)?;
    let sees = |index: i32, least: f32| {
        usize::try_from(index + more).ok().and_then(|index| all.get(index)).is_some_and(|seen| seen.evidence() >= least)
    };
    let (mut first, mut end) = (0, count);
    while first < end && !sees(first, LEFT_OUT) {
        first += 1;
    }
    while end > first && !sees(end - 1, LEFT_OUT) {
        end -= 1;
    }
    while end - first < COUNT[1] as i32 && sees(first - 1, ADDED) {
        first -= 1;
    }
    while end - first < COUNT[1] as i32 && sees(end, ADDED) {
        end += 1;
    }
    let Ok(count) = usize::try_from(end - first) else { return Ok(None) };
    if !(COUNT[0]..=COUNT[1]).contains(&count) {
        return Ok(None);
    }
    let row = moved(levels, judge, row.part(first, count))?;
    let seen = read(levels, judge, &row, 0..count as i32)?;
    let mean = seen.iter().map(DigitSeen::evidence).sum::<f32>() / count as f32;
    let good = seen.iter().filter(|seen| seen.evidence() >= CONVINCING).count();
    Ok((mean >= CONVINCING && good * 10 >= count * 7).then_some(Found { row, seen }))
}

/// The row moved, turned and scaled in small steps as long as it is read better.
fn moved<J: Judge>(levels: &Levels, judge: &mut J, row: Row) -> Result<Row, J::Error> {
    let mut best = row;
    let mut clearest = clear(&read(levels, judge, &best, 0..best.count as i32)?);
    for step in [1.0, 0.5] {
        for change in 0..7 {
            for sign in [-step, step] {
                let row = stepped(&best, change, sign);
                let clear = clear(&read(levels, judge, &row, 0..row.count as i32)?);
                if clear > clearest + 0.01 {
                    (best, clearest) = (row, clear);
                }
            }
        }
    }
    Ok(best)
}

/// The row after one step of one of its seven parameters.
fn stepped(row: &Row, change: usize, step: f32) -> Row {
    let mut row = *row;
    let [right, down] = row.axes();
    let shift = |by: [f32; 2], length: f32| [row.middle[0] + by[0] * length, row.middle[1] + by[1] * length];
    match change {
        0 => row.middle = shift(right, 0.08 * step * row.pitch),
        1 => row.middle = shift(down, 0.06 * step * row.height),
        2 => row.angle += 0.02 * step,
        3 => row.pitch *= 1.0 + 0.02 * step,
        4 => row.height *= 1.0 + 0.06 * step,
        5 => row.shear += 0.06 * step,
        _ => row.grow += 0.012 * step,
    }
    row
}
