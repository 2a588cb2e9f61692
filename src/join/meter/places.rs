//! From the positions of drums and dials to numbers that the meter may show.

use super::mount::Mount;
use super::settings::Kind;
use super::zone::Zone;

/// A lowest drum this close before a digit has reached it.
const REACHED: f32 = 0.15;
/// Numbers that are kept while places are added.
const KEPT: usize = 16;
/// Numbers that cost this much more than the best are no candidates.
const FAR: f32 = 30.0;

/// A number that a meter may show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// The number in counts of the lowest place.
    pub counts: u64,
    /// Improbability: squared distances of the positions from what they would be.
    pub cost: f32,
    /// The largest part of one place in it.
    pub worst: f32,
    /// Parts of the lowest place's turn that are over, 0 to 1.
    pub rest: f32,
    /// A drum was taken for one that moves all the time, of which nothing is known.
    pub guessed: bool,
}

/// Numbers that `positions` (0 to 10, most significant first, one for each of `places`) may mean, the likeliest first. `zones` are those of
/// each place (a dial has none, its own is not looked at), `mounts` how far each stands off.
///
/// Every place is decided by the next lower one, from the lowest upwards: a dial stands as far behind its digit as the place below has
/// come in its turn, a drum only in the last part of that.
pub(super) fn candidates(places: &[Kind], positions: &[f32], zones: &[Zone], mounts: &[Mount]) -> Vec<Candidate> {
    let mut found: Vec<Partial> = Vec::new();
    let of_place = places.iter().zip(positions).zip(zones.iter().zip(mounts));
    for (level, ((kind, position), (zone, mount))) in of_place.rev().enumerate() {
        let turned = turned(*kind, *position, mount);
        if level == 0 {
            found.push(lowest(*kind, turned));
            continue;
        }
        let unit = 10_u64.saturating_pow(u32::try_from(level).unwrap_or(u32::MAX));
        let mut next: Vec<Partial> = Vec::new();
        for partial in &found {
            for digit in 0..10_u8 {
                let ahead = wrapped(turned - f32::from(digit));
                let (cost, guessed) = match kind {
                    Kind::Dial { .. } => (mount.squared(wrapped(ahead - partial.turn)), false),
                    Kind::Digit => {
                        zone.cost(ahead, partial.turn, mount.even_cost(), |distance| mount.squared(distance))
                    }
                };
                next.push(Partial {
                    candidate: Candidate {
                        counts: partial.candidate.counts + u64::from(digit) * unit,
                        cost: partial.candidate.cost + cost,
                        worst: partial.candidate.worst.max(cost),
                        rest: partial.candidate.rest,
                        guessed: partial.candidate.guessed || guessed,
                    },
                    turn: turn_of(*kind, f32::from(digit), ahead, partial.turn),
                });
            }
        }
        next.sort_by(|a, b| a.candidate.cost.total_cmp(&b.candidate.cost));
        next.truncate(KEPT);
        found = next;
    }
    let least = found.first().map_or(0.0, |partial| partial.candidate.cost);
    found.iter().map(|partial| partial.candidate).filter(|c| c.cost <= least + FAR).collect()
}

/// Place in a picture of a known number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Movement {
    /// Index of the place.
    pub index: usize,
    /// Distance ahead of its digit.
    pub ahead: f32,
    /// Part of its turn that the place below has made, 0 to 1.
    pub below: f32,
}

/// Movements of the places that have one below them, in a picture that shows `candidate`.
pub(super) fn movements(places: &[Kind], positions: &[f32], mounts: &[Mount], candidate: &Candidate) -> Vec<Movement> {
    let mut found = Vec::new();
    let (mut below, mut rest) = (None, candidate.counts);
    for (index, ((kind, position), mount)) in places.iter().zip(positions).zip(mounts).enumerate().rev() {
        let digit = (rest % 10) as f32;
        rest /= 10;
        let ahead = wrapped(turned(*kind, *position, mount) - digit);
        below = Some(match below {
            None => (digit + candidate.rest) / 10.0,
            Some(below) => {
                found.push(Movement { index, ahead, below });
                turn_of(*kind, digit, ahead, below)
            }
        });
    }
    found
}

/// Part of its turn that a place has made, 0 to 1: of a drum by its own position, of a dial by the places below it.
fn turn_of(kind: Kind, digit: f32, ahead: f32, below: f32) -> f32 {
    match kind {
        Kind::Digit => (digit + ahead.clamp(0.0, 1.0)) / 10.0,
        Kind::Dial { .. } => (digit + below) / 10.0,
    }
}

struct Partial {
    candidate: Candidate,
    /// Part of its turn that the place decided last has made, 0 to 1.
    turn: f32,
}

fn lowest(kind: Kind, position: f32) -> Partial {
    let reached = if kind == Kind::Digit { REACHED } else { 0.0 };
    let digit = (position + reached).floor().rem_euclid(10.0);
    let rest = wrapped(position - digit).clamp(0.0, 1.0);
    let candidate = Candidate { counts: digit as u64, cost: 0.0, worst: 0.0, rest, guessed: false };
    Partial { candidate, turn: (digit + rest) / 10.0 }
}

/// Position of a place in the direction in which it counts.
fn turned(kind: Kind, position: f32, mount: &Mount) -> f32 {
    let turned = match kind {
        Kind::Dial { clockwise: false } => 10.0 - position,
        Kind::Dial { clockwise: true } | Kind::Digit => position,
    };
    mount.corrected(turned).rem_euclid(10.0)
}

/// A distance around a turn, -5 to 5.
fn wrapped(distance: f32) -> f32 {
    (distance + 5.0).rem_euclid(10.0) - 5.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIAL: Kind = Kind::Dial { clockwise: true };
    const LEFT: Kind = Kind::Dial { clockwise: false };

    fn zones(places: &[Kind]) -> Vec<Zone> {
        let over = |next: Option<&Kind>| if next == Some(&Kind::Digit) { Zone::OVER_DIGIT } else { Zone::OVER_DIAL };
        (0..places.len()).map(|i| over(places.get(i + 1))).collect()
    }

    fn best(places: &[Kind], positions: &[f32]) -> (u64, f32) {
        let found = candidates(places, positions, &zones(places), &vec![Mount::default(); places.len()]);
        let margin = found.get(1).map_or(f32::MAX, |second| second.cost - found[0].cost);
        (found[0].counts, margin)
    }

    #[test]
    fn each_place_is_decided_by_the_next_lower_one() {
        let digits = [Kind::Digit; 5];
        let check = |places: &[Kind], positions: &[f32], counts: u64| {
            let (found, margin) = best(places, positions);
            assert!(found == counts && margin > 3.0, "{positions:?}: {found}, {margin}");
        };
        check(&digits, &[0.0, 0.0, 4.0, 1.0, 2.0], 412);
        // A display has nothing between its digits.
        check(&digits, &[0.0, 0.0, 4.0, 9.0, 9.0], 499);
        // A carry on its way: the lowest drum takes the others along.
        check(&digits, &[0.0, 0.0, 4.5, 9.5, 9.5], 499);
        check(&digits, &[0.0, 0.0, 4.02, 9.95, 9.9], 400);
        check(&[DIAL; 4], &[3.57, 5.71, 7.12, 1.2], 3571);
        // Mounted a quarter of a digit off.
        check(&[DIAL; 4], &[3.82, 5.46, 7.37, 1.2], 3571);
        check(&[LEFT, DIAL, LEFT, DIAL], &[6.43, 5.71, 2.88, 1.2], 3571);
        // The lowest place is over the end of its turn by a little: its neighbour decides.
        check(&[DIAL; 3], &[4.0, 9.99, 0.05], 400);
        check(&[DIAL; 3], &[3.99, 9.98, 9.95], 399);
    }

    #[test]
    fn a_drum_half_way_is_decided_by_the_dial_below_it() {
        let places = [Kind::Digit, Kind::Digit, DIAL, DIAL];
        let check = |positions: &[f32; 4], counts: u64| assert_eq!(best(&places, positions).0, counts, "{positions:?}");
        check(&[4.0, 2.5, 9.6, 6.0], 4296);
        check(&[4.0, 2.9, 9.9, 9.0], 4299);
        check(&[4.0, 3.1, 0.1, 1.0], 4301);
        check(&[4.0, 2.95, 0.1, 1.0], 4301);
        // It moves all the time.
        check(&[4.0, 2.4, 4.1, 1.0], 4241);
        // Both carry.
        check(&[4.6, 9.6, 9.6, 6.0], 4996);
    }

    #[test]
    fn what_cannot_be_told_has_two_candidates() {
        let (_, margin) = best(&[Kind::Digit, DIAL], &[4.0, 9.6]);
        assert!(margin < 3.0, "the drum has moved already, or not yet: {margin}");
        let (_, margin) = best(&[DIAL, DIAL], &[3.5, 0.0]);
        assert!(margin < 3.0, "a pointer half way over a neighbour that has just begun its turn: {margin}");
    }

    #[test]
    fn movements_are_those_of_places_over_another() {
        let places = [Kind::Digit, Kind::Digit, DIAL];
        let candidate = Candidate { counts: 497, cost: 0.0, worst: 0.0, rest: 0.5, guessed: false };
        let found = movements(&places, &[4.9, 9.6, 7.5], &[Mount::default(); 3], &candidate);
        let near = |found: Movement, index: usize, ahead: f32, below: f32| {
            found.index == index && (found.ahead - ahead).abs() < 1e-5 && (found.below - below).abs() < 1e-5
        };
        assert_eq!(found.len(), 2);
        assert!(near(found[0], 1, 0.6, 0.75) && near(found[1], 0, 0.9, 0.96), "{found:?}");
    }
}
