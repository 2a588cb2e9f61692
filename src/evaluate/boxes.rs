//! Boxes of two lists put in pairs.

use crate::frame::{Detection, overlap};

/// Overlap from which two boxes are the same object.
pub(super) const SAME: f64 = 0.5;

/// Boxes of one picture, in pairs and without one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoxPairs {
    /// Pairs as `(index in the reference, index in the other list, IoU)`.
    pub pairs: Vec<(usize, usize, f64)>,
    /// Boxes of the reference that the other list lacks.
    pub lost: usize,
    /// Boxes of the other list that the reference lacks.
    pub added: usize,
}

/// Puts boxes of the same label with an IoU of at least `least` in pairs, one to one, those that overlap most first. Turned boxes are compared
/// as they are turned.
pub fn pair_boxes(reference: &[Detection], other: &[Detection], least: f64) -> BoxPairs {
    let mut close: Vec<(usize, usize, f64)> = Vec::new();
    for (i, one) in reference.iter().enumerate() {
        for (j, two) in other.iter().enumerate().filter(|(_, two)| two.label == one.label) {
            let overlap = box_overlap(one, two);
            if overlap >= least {
                close.push((i, j, overlap));
            }
        }
    }
    close.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    let (mut taken, mut given) = (vec![false; reference.len()], vec![false; other.len()]);
    close.retain(|&(i, j, _)| {
        let free = !taken[i] && !given[j];
        if free {
            (taken[i], given[j]) = (true, true);
        }
        free
    });
    BoxPairs { lost: reference.len() - close.len(), added: other.len() - close.len(), pairs: close }
}

/// Intersection over union of two objects, 0 to 1: of their turned boxes where both have corners, else of their upright ones.
pub fn box_overlap(a: &Detection, b: &Detection) -> f64 {
    match (&a.corners, &b.corners) {
        (Some(a), Some(b)) => turned_overlap(a, b),
        _ => f64::from(overlap(a.bbox, b.bbox)),
    }
}

fn turned_overlap(a: &[[f32; 2]; 4], b: &[[f32; 2]; 4]) -> f64 {
    let points = |corners: &[[f32; 2]; 4]| -> Vec<[f64; 2]> {
        let mut points: Vec<_> = corners.iter().map(|point| point.map(f64::from)).collect();
        if area(&points) < 0.0 {
            points.reverse();
        }
        points
    };
    let (a, b) = (points(a), points(b));
    let mut common = a.clone();
    for (from, to) in b.iter().zip(b.iter().cycle().skip(1)) {
        common = cut(&common, *from, *to);
    }
    let shared = area(&common).max(0.0);
    let union = area(&a) + area(&b) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

/// The part of a convex polygon that is to the left of the line from `from` to `to`.
fn cut(polygon: &[[f64; 2]], from: [f64; 2], to: [f64; 2]) -> Vec<[f64; 2]> {
    let side = |p: [f64; 2]| (to[0] - from[0]) * (p[1] - from[1]) - (to[1] - from[1]) * (p[0] - from[0]);
    let mut kept = Vec::with_capacity(polygon.len() + 1);
    for (&p, &q) in polygon.iter().zip(polygon.iter().cycle().skip(1)) {
        let (at_p, at_q) = (side(p), side(q));
        if at_p >= 0.0 {
            kept.push(p);
        }
        if (at_p > 0.0 && at_q < 0.0) || (at_p < 0.0 && at_q > 0.0) {
            let t = at_p / (at_p - at_q);
            kept.push([p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])]);
        }
    }
    kept
}

/// Area of a polygon, positive where it turns from x towards y.
fn area(polygon: &[[f64; 2]]) -> f64 {
    polygon.iter().zip(polygon.iter().cycle().skip(1)).map(|(p, q)| p[0] * q[1] - q[0] * p[1]).sum::<f64>() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(label: &str, bbox: [f32; 4]) -> Detection {
        Detection::new(label.into(), 0.9, bbox)
    }

    #[test]
    fn pairs_are_one_to_one_and_of_one_label() {
        let reference = [object("cat", [0.0, 0.0, 10.0, 10.0]), object("dog", [50.0, 0.0, 60.0, 10.0])];
        // The second cat is nearer, the dog is called a cat, and there is a bird.
        let other = [
            object("cat", [0.0, 0.0, 10.0, 6.0]),
            object("cat", [0.0, 0.0, 10.0, 9.0]),
            object("cat", [50.0, 0.0, 60.0, 10.0]),
            object("bird", [90.0, 0.0, 99.0, 9.0]),
        ];
        let found = pair_boxes(&reference, &other, SAME);
        assert_eq!((found.lost, found.added), (1, 3));
        assert_eq!(found.pairs.iter().map(|p| (p.0, p.1)).collect::<Vec<_>>(), [(0, 1)]);
        assert!((found.pairs[0].2 - 0.9).abs() < 1e-6);
    }

    #[test]
    fn half_is_enough_and_less_is_not() {
        let one = [object("a", [0.0, 0.0, 10.0, 10.0])];
        assert_eq!(pair_boxes(&one, &[object("a", [0.0, 0.0, 10.0, 5.0])], SAME).lost, 0);
        assert_eq!(pair_boxes(&one, &[object("a", [0.0, 0.0, 10.0, 4.9])], SAME).lost, 1);
    }

    #[test]
    fn turned_boxes_are_compared_as_they_are_turned() {
        let turned = |corners: [[f32; 2]; 4]| {
            let mut object = object("a", [0.0, 0.0, 2.0, 2.0]);
            object.corners = Some(corners);
            object
        };
        let upright = turned([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]);
        // A diamond within the square has half of its area, whichever way its corners go round.
        let diamond = [[1.0, 0.0], [2.0, 1.0], [1.0, 2.0], [0.0, 1.0]];
        let mut backwards = diamond;
        backwards.reverse();
        for corners in [diamond, backwards] {
            let overlap = box_overlap(&upright, &turned(corners));
            assert!((overlap - 0.5).abs() < 1e-9, "{overlap}");
        }
        assert!((box_overlap(&upright, &upright) - 1.0).abs() < 1e-9);
        let away = turned([[5.0, 5.0], [6.0, 5.0], [6.0, 6.0], [5.0, 6.0]]);
        assert_eq!(box_overlap(&upright, &away), 0.0);
    }
}
