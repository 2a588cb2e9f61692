//! Pieces of ink of the same height at even distances on a line: what a row of digits looks like to somebody who cannot read.

use super::ink::{DIRECTIONS, EXTENT, Piece, angle, direction};
use super::row::Row;

/// Distance from one digit to the next in heights of a digit, lowest and highest.
const PITCH: [f32; 2] = [0.5, 2.4];
/// Heights of two digits of one row at most, as a ratio.
const ALIKE: f32 = 1.22;
/// Places off the line, and off the even distance, at most: in heights of a digit and in distances.
const OFF: [f32; 2] = [0.2, 0.22];
/// Digits of a row looked for at most, and least.
const DIGITS: [usize; 2] = [3, 9];
/// Part of a box that a digit fills at most, and width of it in heights.
const SOLID: [f32; 2] = [0.7, 0.62];
/// Contrast of ink, of 255, at which a row is worth half: grain makes rows as well.
const FAINT: f32 = 12.0;
/// Side of a cell of the index in pixels of a level.
const CELL: f32 = 24.0;

/// A row that may be one of digits.
pub(super) struct Chain {
    /// Its digits from the first to the last piece, in pixels of the picture; the height is that of the ink.
    pub row: Row,
    /// Evenness and wholeness, higher is better.
    pub score: f32,
    /// Its ink fills its boxes, as drums do and digits do not.
    pub solid: bool,
}

/// A piece as it looks along one direction.
#[derive(Clone, Copy)]
struct Seen {
    /// Middle along and across.
    at: [f32; 2],
    height: f32,
    /// Part of its box that is ink, and width of the box in heights.
    fill: [f32; 2],
    contrast: f32,
    fits: bool,
}

/// Pieces by their place.
struct Index<'a> {
    pieces: &'a [Piece],
    columns: usize,
    cells: Vec<Vec<u32>>,
}

impl<'a> Index<'a> {
    fn new(pieces: &'a [Piece], width: usize, height: usize) -> Index<'a> {
        let columns = (width as f32 / CELL) as usize + 1;
        let rows = (height as f32 / CELL) as usize + 1;
        let mut cells = vec![Vec::new(); columns * rows];
        for (number, piece) in pieces.iter().enumerate() {
            let [x, y] = piece.middle.map(|v| (v / CELL) as usize);
            if let Some(cell) = cells.get_mut(y * columns + x) {
                cell.push(number as u32);
            }
        }
        Index { pieces, columns, cells }
    }

    /// Pieces no further than about `reach` from a place.
    fn near(&self, [x, y]: [f32; 2], reach: f32) -> impl Iterator<Item = usize> + '_ {
        let span = |v: f32| {
            let cell = |v: f32| (v / CELL).max(0.0) as usize;
            (cell(v - reach), cell(v + reach))
        };
        let ((left, right), (top, bottom)) = (span(x), span(y));
        let right = right.min(self.columns - 1);
        (top..=bottom)
            .flat_map(move |y| (left..=right).map(move |x| y * self.columns + x))
            .filter_map(|cell| self.cells.get(cell))
            .flatten()
            .map(|number| *number as usize)
    }
}

/// Chains of one level of `width`×`height` pixels, `factor` of them for a pixel of the picture.
pub(super) fn chains(pieces: &[Piece], [width, height]: [usize; 2], factor: f32) -> Vec<Chain> {
    let index = Index::new(pieces, width, height);
    let mut found = Vec::new();
    for turn in 0..DIRECTIONS {
        let seen: Vec<Seen> = pieces.iter().map(|piece| Seen::of(piece, turn)).collect();
        for (number, piece) in index.pieces.iter().enumerate() {
            let Some(first) = seen.get(number).copied().filter(|first| first.fits) else { continue };
            for other in index.near(piece.middle, PITCH[1] * first.height) {
                let Some(second) = seen.get(other).copied() else { continue };
                let pitch = second.at[0] - first.at[0];
                let steps = PITCH.map(|part| part * first.height);
                let slope = (second.at[1] - first.at[1]) / pitch.max(1e-3);
                let alike = pieces.get(other).is_some_and(|other| other.light == piece.light);
                if !alike || !second.matches(&first) || !(steps[0]..=steps[1]).contains(&pitch) || slope.abs() > 0.08 {
                    continue;
                }
                found.extend(
                    grow(&index, &seen, turn, number, other).and_then(|members| fit(&seen, &members, turn, factor)),
                );
            }
        }
    }
    found
}

impl Seen {
    fn of(piece: &Piece, turn: usize) -> Seen {
        let (along, across) = (piece.along(turn), piece.across(turn));
        let [width, height] = [along[1] - along[0], across[1] - across[0]];
        let fits = (EXTENT[0]..=EXTENT[1]).contains(&height) && (0.1 * height..1.15 * height).contains(&width);
        let fill = [piece.area() / (width * height).max(1.0), width / height.max(1.0)];
        Seen {
            at: [(along[0] + along[1]) / 2.0, (across[0] + across[1]) / 2.0],
            height,
            fill,
            contrast: piece.contrast(),
            fits,
        }
    }

    fn matches(&self, other: &Seen) -> bool {
        self.fits && self.height < ALIKE * other.height && other.height < ALIKE * self.height
    }
}

/// The pieces of the row that two of them begin, with their numbers in it; only as the first two of it, since others begin it else.
fn grow(index: &Index<'_>, seen: &[Seen], turn: usize, first: usize, second: usize) -> Option<Vec<(i32, usize)>> {
    let [cos, sin] = direction(turn);
    let (a, b) = (seen.get(first)?, seen.get(second)?);
    let light = index.pieces.get(first)?.light;
    let pitch = b.at[0] - a.at[0];
    let nearest = |at: [f32; 2]| {
        // From along and across to the picture.
        let place = [at[0] * cos - at[1] * sin, at[0] * sin + at[1] * cos];
        let off = |number: usize| {
            let (piece, other) = (index.pieces.get(number)?, seen.get(number)?);
            let [along, across] = [(other.at[0] - at[0]).abs() / pitch, (other.at[1] - at[1]).abs() / a.height];
            let fits = piece.light == light && other.matches(a) && along < OFF[1] && across < OFF[0];
            fits.then_some((along + across, number))
        };
        index.near(place, OFF[1] * pitch + OFF[0] * a.height).filter_map(off).min_by(|a, b| a.0.total_cmp(&b.0))
    };
    if nearest([a.at[0] - pitch, a.at[1] * 2.0 - b.at[1]]).is_some() {
        return None;
    }
    let mut members = vec![(0, first), (1, second)];
    let (mut missed, mut slot) = (0, 1);
    while missed < 2 && members.len() < DIGITS[1] {
        slot += 1;
        // From the last two on, so that a pitch that was a little off does not add up.
        let (from, to) = (members.first()?, members.last()?);
        let (start, end) = (seen.get(from.1)?.at, seen.get(to.1)?.at);
        let part = (slot - to.0) as f32 / (to.0 - from.0) as f32;
        let at = [0, 1].map(|i| end[i] + (end[i] - start[i]) * part);
        match nearest(at) {
            Some((_, number)) => {
                members.push((slot, number));
                missed = 0;
            }
            None => missed += 1,
        }
    }
    (members.len() >= DIGITS[0]).then_some(members)
}

/// The row of pieces: medians over all pairs, so that a piece that is none of it does not move it.
fn fit(seen: &[Seen], members: &[(i32, usize)], turn: usize, factor: f32) -> Option<Chain> {
    let last = members.last()?.0;
    let places: Vec<(f32, Seen)> =
        members.iter().filter_map(|(slot, number)| Some((*slot as f32, *seen.get(*number)?))).collect();
    let pairs = || places.iter().enumerate().flat_map(|(i, a)| places.iter().skip(i + 1).map(move |b| (a, b)));
    let slope = |axis: usize| median(pairs().map(|(a, b)| (b.1.at[axis] - a.1.at[axis]) / (b.0 - a.0)).collect());
    let (pitch, rise) = (slope(0)?, slope(1)?);
    let start =
        |axis: usize, step: f32| median(places.iter().map(|(slot, seen)| seen.at[axis] - step * slot).collect());
    let (along, across) = (start(0, pitch)?, start(1, rise)?);
    let height = median(places.iter().map(|(_, seen)| seen.height).collect())?;
    let off = |(slot, seen): &(f32, Seen)| {
        let along = (seen.at[0] - along - pitch * slot).abs() / (OFF[1] * pitch);
        let across = (seen.at[1] - across - rise * slot).abs() / (OFF[0] * height);
        let tall = (seen.height / height).ln().abs() / ALIKE.ln();
        along + 2.0 * across + tall
    };
    let missed = last as f32 + 1.0 - members.len() as f32;
    let contrast = median(places.iter().map(|(_, seen)| seen.contrast).collect())?;
    let even = places.iter().map(|place| 1.0 - 0.3 * off(place)).sum::<f32>() - 0.35 * missed;
    let score = even * contrast / (contrast + FAINT);
    // The middle of the whole row.
    let half = last as f32 / 2.0;
    let centre = [along + pitch * half, across + rise * half];
    let [cos, sin] = direction(turn);
    let middle = [centre[0] * cos - centre[1] * sin, centre[0] * sin + centre[1] * cos];
    let row = Row {
        middle: middle.map(|v| v / factor),
        angle: angle(turn) + rise.atan2(pitch),
        pitch: pitch.hypot(rise) / factor,
        height: height / factor,
        grow: 0.0,
        shear: 0.0,
        count: usize::try_from(last).ok()? + 1,
    };
    let fill = |i: usize| median(places.iter().map(|(_, seen)| seen.fill[i]).collect());
    let solid = fill(0)? > SOLID[0] && fill(1)? > SOLID[1];
    Some(Chain { row, score, solid })
}

fn median(mut values: Vec<f32>) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    let (low, high) = (values.get(values.len().saturating_sub(1) / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

/// The best chains, each row once.
pub(super) fn best(mut chains: Vec<Chain>, most: usize) -> Vec<Chain> {
    chains.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Chain> = Vec::new();
    for chain in chains {
        if kept.len() >= most {
            break;
        }
        if !kept.iter().any(|better| chain.row.lies_on(&better.row)) {
            kept.push(chain);
        }
    }
    kept
}
