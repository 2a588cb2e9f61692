//! Which dial counts most: the one whose pointer stands between two numbers where the next one says.

/// Mean distance from what the next dial says, in tenths of a turn, by which an order has to be better than the usual one.
const BETTER: f32 = 0.08;

/// Sorts dials by what they count, most first. `of` gives the place of a dial (right and down in the picture turned upright) and the
/// position of its pointer.
///
/// They stand along an arc, so two orders are possible: the usual one goes clockwise from the right. The other one is taken where the
/// pointers say so: a dial's part of a tenth is what the next one counts.
pub(super) fn by_significance<T: Copy>(dials: &mut [T], of: impl Fn(&T) -> ([f32; 2], f32)) {
    let count = dials.len() as f32;
    if dials.len() < 2 {
        return;
    }
    let places: Vec<[f32; 2]> = dials.iter().map(|dial| of(dial).0).collect();
    let mean = [0, 1].map(|i| places.iter().map(|p| p[i]).sum::<f32>() / count);
    // On a straight line below the digits, the middle of the arc is up there, at the digits.
    let hub = [mean[0], mean[1].min(0.0).min(mean[1])];
    let hub = [hub[0] * 0.5, hub[1] * 0.5];
    let angle = |dial: &T| {
        let [x, y] = of(dial).0;
        (y - hub[1]).atan2(x - hub[0])
    };
    dials.sort_by(|a, b| angle(a).total_cmp(&angle(b)));
    // The widest gap is where the arc begins and ends.
    let turn = |from: &T, to: &T| (angle(to) - angle(from)).rem_euclid(std::f32::consts::TAU);
    let gap = |i: usize| {
        let next = (i + 1) % dials.len();
        dials.get(i).zip(dials.get(next)).map_or(0.0, |(a, b)| turn(a, b))
    };
    let widest = (0..dials.len()).max_by(|a, b| gap(*a).total_cmp(&gap(*b))).unwrap_or(0);
    dials.rotate_left((widest + 1) % dials.len());
    let positions: Vec<f32> = dials.iter().map(|dial| of(dial).1).collect();
    let other: Vec<f32> = positions.iter().rev().copied().collect();
    if contradiction(&other) + BETTER < contradiction(&positions) {
        dials.reverse();
    }
}

/// Mean distance of each dial's part of a tenth from what the next one says, in tenths.
fn contradiction(positions: &[f32]) -> f32 {
    let pairs = positions.windows(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
    let off = pairs.map(|(high, low)| {
        let off = (high - low / 10.0).rem_euclid(1.0);
        off.min(1.0 - off)
    });
    off.sum::<f32>() / (positions.len().max(2) - 1) as f32
}
