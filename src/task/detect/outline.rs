//! Lines around the parts of a grid that are above 0.

/// Values at the places of a grid.
pub(super) struct Field {
    columns: usize,
    rows: usize,
    values: Vec<f32>,
}

/// A value far below 0: what is around the field.
const OUTSIDE: f32 = -1e9;

impl Field {
    /// A field of zeros with a border that is outside of everything.
    pub fn new(columns: usize, rows: usize) -> Field {
        let (columns, rows) = (columns + 2, rows + 2);
        let mut values = vec![OUTSIDE; columns * rows];
        for row in 1..rows - 1 {
            values[row * columns + 1..(row + 1) * columns - 1].fill(0.0);
        }
        Field { columns, rows, values }
    }

    /// Adds to the value at a place.
    pub fn add(&mut self, column: usize, row: usize, value: f32) {
        self.values[(row + 1) * self.columns + column + 1] += value;
    }

    /// Closed lines where linear interpolation along the grid gives 0, the part above 0 on their right, as `[column, row]` (marching
    /// squares; W. E. Lorensen and H. E. Cline, 1987, in two dimensions). What is not finite is outside.
    pub fn rings(&self) -> Vec<Vec<[f32; 2]>> {
        let mut next = vec![NONE; 2 * self.values.len()];
        for row in 0..self.rows - 1 {
            for column in 0..self.columns - 1 {
                self.segments(column, row, &mut next);
            }
        }
        let mut rings = Vec::new();
        for first in 0..next.len() {
            let mut ring = Vec::new();
            let mut edge = first;
            while next[edge] != NONE {
                ring.push(self.crossing(edge));
                edge = std::mem::replace(&mut next[edge], NONE) as usize;
            }
            if !ring.is_empty() {
                rings.push(ring);
            }
        }
        rings
    }

    /// Enters the lines through the square between four places: `next[edge]` is the edge of the grid that is crossed after `edge`.
    fn segments(&self, column: usize, row: usize, next: &mut [u32]) {
        let at = row * self.columns + column;
        let corners = [at, at + 1, at + self.columns + 1, at + self.columns].map(|place| self.values[place] > 0.0);
        // Edges: above, right, below, left; an edge to the right of a place is even, one below it odd.
        let edges = [2 * at, 2 * (at + 1) + 1, 2 * (at + self.columns), 2 * at + 1];
        let mut link = |from: usize, to: usize| next[edges[from]] = edges[to] as u32;
        let inside = corners.iter().filter(|inside| **inside).count();
        if inside == 2 && corners[0] == corners[2] {
            let mean: f32 = [at, at + 1, at + self.columns + 1, at + self.columns].map(|p| self.values[p]).iter().sum();
            match (corners[0], mean > 0.0) {
                (true, false) => (link(3, 0), link(1, 2)),
                (true, true) => (link(3, 2), link(1, 0)),
                (false, false) => (link(0, 1), link(2, 3)),
                (false, true) => (link(0, 3), link(2, 1)),
            };
            return;
        }
        // Going round, the line comes in where outside becomes inside, and leaves where inside becomes outside.
        let enters = (0..4).find(|i| !corners[*i] && corners[(i + 1) % 4]);
        let leaves = (0..4).find(|i| corners[*i] && !corners[(i + 1) % 4]);
        if let (Some(enters), Some(leaves)) = (enters, leaves) {
            link(enters, leaves);
        }
    }

    /// The place on an edge where the value is 0.
    fn crossing(&self, edge: usize) -> [f32; 2] {
        let at = edge / 2;
        let other = if edge.is_multiple_of(2) { at + 1 } else { at + self.columns };
        let [a, b] = [at, other].map(|place| self.values[place]);
        let part = if (a - b).is_finite() && a != b { (a / (a - b)).clamp(0.0, 1.0) } else { 0.5 };
        // Without the border.
        let [column, row] = [(at % self.columns) as f32 - 1.0, (at / self.columns) as f32 - 1.0];
        if edge.is_multiple_of(2) { [column + part, row] } else { [column, row + part] }
    }
}

/// No edge follows.
const NONE: u32 = u32::MAX;

/// Area of a polygon, with its sign (the shoelace formula).
pub(super) fn area(ring: &[[f32; 2]]) -> f32 {
    let after = ring.iter().skip(1).chain(ring.first());
    ring.iter().zip(after).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>() / 2.0
}

/// Leaves out points of a closed line that are no further than `tolerance` from the line without them (D. H. Douglas and T. K. Peucker,
/// 1973).
pub(super) fn simplify(ring: &mut Vec<[f32; 2]>, tolerance: f32) {
    if ring.len() < 4 {
        return;
    }
    // A closed line has no ends: the first point and the one furthest from it are as good as any.
    let square = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
    let first = ring[0];
    let furthest = (0..ring.len()).max_by(|a, b| square(ring[*a], first).total_cmp(&square(ring[*b], first)));
    let furthest = furthest.unwrap_or(0);
    ring.push(first);
    let mut kept = vec![false; ring.len()];
    (kept[0], kept[furthest]) = (true, true);
    let mut open = vec![(0, furthest), (furthest, ring.len() - 1)];
    while let Some((from, to)) = open.pop() {
        let far = (from + 1..to).map(|i| (i, distance(ring[i], ring[from], ring[to])));
        if let Some((worst, off)) = far.max_by(|a, b| a.1.total_cmp(&b.1))
            && off > tolerance
        {
            kept[worst] = true;
            open.extend([(from, worst), (worst, to)]);
        }
    }
    let mut kept = kept.into_iter();
    ring.retain(|_| kept.next().unwrap_or(false));
}

/// Distance of a point from the line between two others.
fn distance([x, y]: [f32; 2], from: [f32; 2], to: [f32; 2]) -> f32 {
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let length = dx * dx + dy * dy;
    let part = if length > 0.0 { (((x - from[0]) * dx + (y - from[1]) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (x - from[0] - part * dx).hypot(y - from[1] - part * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(lines: &[&str]) -> Field {
        let mut field = Field::new(lines[0].len(), lines.len());
        for (row, line) in lines.iter().enumerate() {
            for (column, mark) in line.chars().enumerate() {
                field.add(column, row, if mark == '#' { 1.0 } else { -1.0 });
            }
        }
        field
    }

    #[test]
    fn a_hole_is_a_ring_that_turns_the_other_way() {
        let rings = field(&[".......", ".#####.", ".#...#.", ".#...#.", ".#####.", "......."]).rings();
        let areas: Vec<f32> = rings.iter().map(|ring| area(ring)).collect();
        assert_eq!(areas.len(), 2);
        // Outside half a cell further than the places, with cut corners; inside half a cell more than the empty places.
        assert!((areas[0].abs() - 19.5).abs() < 1e-4 && (areas[1].abs() - 5.5).abs() < 1e-4, "{areas:?}");
        assert!(areas[0] * areas[1] < 0.0, "{areas:?}");
    }

    #[test]
    fn parts_that_touch_at_a_corner_are_apart_and_what_fills_the_grid_is_closed() {
        assert_eq!(field(&["#.", ".#"]).rings().len(), 2);
        assert_eq!(field(&["##", "##"]).rings().len(), 1);
        assert_eq!(field(&["..", ".."]).rings().len(), 0);
    }

    #[test]
    fn points_on_a_line_are_left_out() {
        let mut ring: Vec<[f32; 2]> = (0..10).map(|i| [i as f32, 0.0]).collect();
        ring.extend((0..10).map(|i| [9.0 - i as f32, 5.0]));
        let before = area(&ring);
        simplify(&mut ring, 0.1);
        assert_eq!((ring.len(), area(&ring)), (4, before));
    }
}
