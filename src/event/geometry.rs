//! Points, segments and polygons, in any unit.

/// A point `[x, y]`.
pub(super) type Point = [f32; 2];

/// Twice the area of the triangle `a`, `b`, `p`: above 0 where `p` is on the right of the way from `a` to `b` on a screen (y downwards).
pub(super) fn side(a: Point, b: Point, p: Point) -> f32 {
    (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
}

/// True where the segments `a`–`b` and `c`–`d` have a point in common.
pub(super) fn segments_meet(a: Point, b: Point, c: Point, d: Point) -> bool {
    let (sa, sb) = (side(c, d, a), side(c, d, b));
    let (sc, sd) = (side(a, b, c), side(a, b, d));
    let apart = |x: f32, y: f32| (x > 0.0 && y > 0.0) || (x < 0.0 && y < 0.0);
    if apart(sa, sb) || apart(sc, sd) {
        return false;
    }
    // On one line, they meet where their extents do.
    let within = |axis: usize| {
        let (low, high) = (a[axis].min(b[axis]), a[axis].max(b[axis]));
        c[axis].min(d[axis]) <= high && c[axis].max(d[axis]) >= low
    };
    within(0) && within(1)
}

/// True where `point` is inside of the polygon (even-odd rule).
pub(super) fn contains(corners: &[Point], [x, y]: Point) -> bool {
    let mut inside = false;
    let mut before = corners.last().copied().unwrap_or_default();
    for corner in corners {
        let ([ax, ay], [bx, by]) = (*corner, before);
        if (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax {
            inside = !inside;
        }
        before = *corner;
    }
    inside
}

/// True where two sides that are not neighbours meet, or two neighbours lie on each other.
pub(super) fn crosses_itself(corners: &[Point]) -> bool {
    let n = corners.len();
    let at = |i: usize| corners[i % n];
    for i in 0..n {
        let back = side(at(i), at(i + 1), at(i + 2)) == 0.0 && {
            let way = |a: Point, b: Point| [b[0] - a[0], b[1] - a[1]];
            let (first, second) = (way(at(i), at(i + 1)), way(at(i + 1), at(i + 2)));
            first[0] * second[0] + first[1] * second[1] <= 0.0
        };
        let others = (i + 2..n).filter(|j| (j + 1) % n != i);
        if back || others.into_iter().any(|j| segments_meet(at(i), at(i + 1), at(j), at(j + 1))) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_is_below_a_way_to_the_right_on_a_screen() {
        assert!(side([0.0, 0.5], [1.0, 0.5], [0.5, 0.9]) > 0.0);
        assert!(side([0.0, 0.5], [1.0, 0.5], [0.5, 0.1]) < 0.0);
    }

    #[test]
    fn segments() {
        assert!(segments_meet([0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]));
        assert!(!segments_meet([0.0, 0.0], [0.4, 0.4], [0.0, 1.0], [1.0, 0.0]));
        assert!(segments_meet([0.0, 0.0], [0.5, 0.0], [0.4, 0.0], [1.0, 0.0]), "on one line");
        assert!(!segments_meet([0.0, 0.0], [0.3, 0.0], [0.4, 0.0], [1.0, 0.0]));
    }

    #[test]
    fn polygons() {
        let notch = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.5, 0.4], [0.1, 0.9]];
        assert!(contains(&notch, [0.5, 0.3]) && contains(&notch, [0.2, 0.7]));
        assert!(!contains(&notch, [0.5, 0.7]) && !contains(&notch, [0.95, 0.5]) && !contains(&notch, [f32::NAN, 0.5]));
        assert!(!crosses_itself(&notch));
        assert!(crosses_itself(&[[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]), "a bow tie");
        assert!(crosses_itself(&[[0.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.5, 1.0]]), "back on itself");
        assert!(crosses_itself(&[[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.5, 1.0]]), "a corner twice");
        assert!(!crosses_itself(&[[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [0.5, 1.0]]), "a corner on a side is none");
    }
}
