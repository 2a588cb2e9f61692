//! The dials of a meter: circles and pointers about as large as its digits, read by the model, all of one size.

use super::circle::{self, Circle};
use super::judge::{DialSeen, Judge, apart};
use super::level::{Corners, Levels};
use super::order;
use super::pointer;
use super::row::Row;

/// Half of the side of a dial's region in radii of its ring.
const REGION: f32 = 1.17;
/// Radii of dials in heights of a digit's region, and how far they are from the row at most.
const RADII: [f32; 2] = [0.2, 1.4];
const REACH: f32 = 5.0;
/// Radii in pixels of the level that circles are looked for in: the smallest is about this.
const SMALLEST: f32 = 9.0;
/// Circles that are read, and dials of a meter, at most.
const CIRCLES: usize = 90;
const MOST: usize = 5;
/// Evidence of a dial that may be one, and of one that is told.
const MAYBE: f32 = 0.45;
const CONVINCING: f32 = 0.6;
/// The same of one that is the only one.
const ALONE: f32 = 0.93;
/// Shifts across and down, in radii, and sizes from which a dial is read the same, and how far apart that is at most.
const ASIDE: [[f32; 3]; 5] = [[-0.1, 0.0, 1.0], [0.1, 0.0, 1.0], [0.0, -0.1, 1.0], [0.0, 0.1, 1.0], [0.0, 0.0, 1.15]];
const SAME: f32 = 0.7;
/// Sizes of two dials of one meter at most, as a ratio.
const ALIKE: f32 = 1.25;
/// Rings of a face, and the part of half a region's side that they cover.
const RINGS: usize = 6;
const FACE: f32 = 0.84;
/// Difference of two dials' faces at most, over their mean light.
const UNLIKE: f32 = 0.1;

/// A dial that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub middle: [f32; 2],
    pub radius: f32,
    pub seen: DialSeen,
    /// Clearness of its outline.
    outline: f32,
    face: Face,
}

/// Colours of a dial by the distance from its middle, over its own mean light: dials of one meter have the same face.
type Face = [[f32; 3]; RINGS];

impl Found {
    /// Its region, upright in the direction of `row`.
    pub fn region(&self, row: &Row) -> Corners {
        region(row, self.middle, self.radius)
    }

    fn quality(&self) -> f32 {
        self.seen.evidence() * self.outline.min(1.0)
    }
}

fn region(row: &Row, [x, y]: [f32; 2], radius: f32) -> Corners {
    let [right, down] = row.axes();
    let half = REGION * radius;
    [[-half, -half], [half, -half], [half, half], [-half, half]]
        .map(|[a, b]| [x + a * right[0] + b * down[0], y + a * right[1] + b * down[1]])
}

/// The dials around a row, most significant first.
pub(super) fn find<J: Judge>(levels: &Levels, judge: &mut J, row: &Row) -> Result<Vec<Found>, J::Error> {
    let radii = RADII.map(|part| part * row.height);
    let reach = REACH * row.height;
    let within = [row.middle[0] - reach, row.middle[1] - reach, row.middle[0] + reach, row.middle[1] + reach];
    let Some(level) = levels.with(SMALLEST / radii[0]) else { return Ok(Vec::new()) };
    let mut circles = circle::circles(level, within, radii, CIRCLES);
    circles.extend(pointer::dials(level, within, radii));
    circles.retain(|circle| is_beside(row, circle));
    let read: Vec<Found> = look(levels, judge, row, &circles)?;
    let mut maybe: Vec<Found> = read.into_iter().filter(|dial| dial.seen.evidence() >= MAYBE).collect();
    maybe.sort_by(|a, b| b.quality().total_cmp(&a.quality()));
    maybe.truncate(24);
    let mut moved = Vec::new();
    for dial in maybe {
        let circle = Circle { middle: dial.middle, radius: dial.radius, seen: dial.outline };
        let settled = look(levels, judge, row, &[circle::settled(level, circle)])?;
        let kept = settled.into_iter().find(|settled| settled.seen.evidence() >= CONVINCING.min(dial.seen.evidence()));
        moved.push(settle(levels, judge, row, kept.unwrap_or(dial))?);
    }
    moved.sort_by(|a, b| b.quality().total_cmp(&a.quality()));
    let dials = alike(&moved);
    // All of one size: the middle one of theirs.
    let mut sizes: Vec<f32> = dials.iter().map(|dial| dial.radius).collect();
    sizes.sort_by(f32::total_cmp);
    let Some(radius) = sizes.get(sizes.len() / 2).copied() else { return Ok(Vec::new()) };
    let circles: Vec<Circle> =
        dials.iter().map(|dial| Circle { middle: dial.middle, radius, seen: dial.outline }).collect();
    let mut dials = Vec::new();
    for (dial, steady) in steady(levels, judge, row, &circles)? {
        if steady >= if circles.len() == 1 { ALONE } else { CONVINCING } {
            dials.push(dial);
        }
    }
    order::by_significance(&mut dials, |dial| (row.seen(dial.middle), dial.seen.position.map_or(0.0, |p| p.0)));
    Ok(dials)
}

/// True where a circle is no digit of the row.
fn is_beside(row: &Row, circle: &Circle) -> bool {
    let [along, across] = row.seen(circle.middle);
    let half = row.pitch * row.count as f32 / 2.0;
    along.abs() > half + 0.3 * circle.radius || across.abs() > 0.4 * row.height + 0.5 * circle.radius
}

/// The face of a dial out of its `[H, W, 3]` picture: medians around each ring, so that the pointer does not count.
fn face(picture: &[u8], [height, width]: [usize; 2]) -> Face {
    let mut rings: [Vec<[u8; 3]>; RINGS] = Default::default();
    let (pixels, _) = picture.as_chunks::<3>();
    for (index, pixel) in pixels.iter().enumerate() {
        let place = |i: usize, size: usize| (i as f32 + 0.5) / size as f32 * 2.0 - 1.0;
        let from = place(index % width, width).hypot(place(index / width, height));
        if let Some(ring) = rings.get_mut((from / FACE * RINGS as f32) as usize) {
            ring.push(*pixel);
        }
    }
    let median = |ring: &Vec<[u8; 3]>, channel: usize| {
        let mut values: Vec<u8> = ring.iter().map(|pixel| pixel[channel]).collect();
        values.sort_unstable();
        f32::from(values.get(values.len() / 2).copied().unwrap_or(0))
    };
    let face: Face = std::array::from_fn(|ring| std::array::from_fn(|channel| median(&rings[ring], channel)));
    let mean = face.iter().flatten().sum::<f32>() / (3 * RINGS) as f32;
    face.map(|ring| ring.map(|value| value / mean.max(1.0)))
}

/// Mean difference of two faces.
fn unlike(a: &Face, b: &Face) -> f32 {
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).sum::<f32>() / (3 * RINGS) as f32
}

/// Answers of the model to circles as dials.
fn look<J: Judge>(levels: &Levels, judge: &mut J, row: &Row, circles: &[Circle]) -> Result<Vec<Found>, J::Error> {
    let size = judge.dial_size();
    let cut = |circle: &Circle| levels.cut(&region(row, circle.middle, circle.radius), size, true);
    let pictures: Vec<Vec<u8>> = circles.iter().map(cut).collect();
    let seen = judge.dials(&pictures)?;
    let found = |((circle, seen), picture): ((&Circle, DialSeen), &Vec<u8>)| Found {
        middle: circle.middle,
        radius: circle.radius,
        seen,
        outline: circle.seen,
        face: face(picture, size),
    };
    Ok(circles.iter().zip(seen).zip(&pictures).map(found).collect())
}

/// Dials with their evidence from a little aside and from a little further off as well, where the pointer has to stand at the same
/// place.
fn steady<J: Judge>(
    levels: &Levels,
    judge: &mut J,
    row: &Row,
    circles: &[Circle],
) -> Result<Vec<(Found, f32)>, J::Error> {
    let own = look(levels, judge, row, circles)?;
    let mut all: Vec<(Found, f32)> = own.into_iter().map(|dial| (dial, 0.0)).collect();
    for [across, down, size] in ASIDE {
        let aside: Vec<Circle> = circles
            .iter()
            .map(|circle| {
                let [x, y] = circle.middle;
                let middle = [x + across * circle.radius, y + down * circle.radius];
                Circle { middle, radius: size * circle.radius, ..*circle }
            })
            .collect();
        for ((dial, steady), aside) in all.iter_mut().zip(look(levels, judge, row, &aside)?) {
            let (Some((own, _)), Some((other, score))) = (dial.seen.position, aside.seen.position) else { continue };
            if apart(own, other) <= SAME {
                *steady += score / ASIDE.len() as f32;
            }
        }
    }
    Ok(all)
}

/// The dial moved a little to where it is read best.
fn settle<J: Judge>(levels: &Levels, judge: &mut J, row: &Row, dial: Found) -> Result<Found, J::Error> {
    let steps = [[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
    let circles: Vec<Circle> = steps
        .iter()
        .map(|step| {
            let middle = [0, 1].map(|i| dial.middle[i] + 0.08 * step[i] * dial.radius);
            Circle { middle, radius: dial.radius, seen: dial.outline }
        })
        .collect();
    let seen = look(levels, judge, row, &circles)?;
    let own = seen.first().map_or(0.0, |dial| dial.seen.evidence());
    let best = seen.iter().max_by(|a, b| a.seen.evidence().total_cmp(&b.seen.evidence()));
    Ok(best.filter(|best| best.seen.evidence() > own + 0.1).copied().unwrap_or(dial))
}

/// The dials that are of one size, have one face and do not lie over each other, as many and as good as there are.
fn alike(dials: &[Found]) -> Vec<Found> {
    let mut best: (f32, Vec<Found>) = (0.0, Vec::new());
    for first in dials {
        let mut group: Vec<Found> = Vec::new();
        for dial in dials {
            let is_alike = (dial.radius / first.radius).ln().abs() <= ALIKE.ln() / 2.0
                && unlike(&dial.face, &first.face) <= UNLIKE
                && dial.seen.evidence() >= CONVINCING;
            let over = |other: &Found| {
                let apart = (dial.middle[0] - other.middle[0]).hypot(dial.middle[1] - other.middle[1]);
                apart < 1.6 * first.radius
            };
            if group.len() < MOST && is_alike && !group.iter().any(over) {
                group.push(*dial);
            }
        }
        let sum = group.iter().map(Found::quality).sum();
        if sum > best.0 {
            best = (sum, group);
        }
    }
    best.1
}
