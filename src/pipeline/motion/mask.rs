//! Polygons of a configuration as cells.

/// One entry a cell of a `width × height` grid, row by row: `true` where motion does not count, by the even-odd rule at the cell's
/// middle.
pub(super) fn rasterise(polygons: &[Vec<[f32; 2]>], width: usize, height: usize) -> Vec<bool> {
    let middle = |index: usize, of: usize| (index as f32 + 0.5) / of as f32;
    let cell = |index: usize| [middle(index % width, width), middle(index / width, height)];
    (0..width * height).map(|index| polygons.iter().any(|polygon| contains(polygon, cell(index)))).collect()
}

fn contains(polygon: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let next = polygon.iter().cycle().skip(1);
    let crossings = polygon
        .iter()
        .zip(next)
        .filter(|([ax, ay], [bx, by])| (*ay > y) != (*by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax);
    crossings.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triangle_covers_half_of_the_picture() {
        let cells = rasterise(&[vec![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]], 100, 50);
        let covered = cells.iter().filter(|cell| **cell).count();
        assert!((2400..=2600).contains(&covered), "{covered}");
        assert!(cells[0] && !cells[cells.len() - 1]);
        assert!(!rasterise(&[], 4, 4).contains(&true));
        assert!(!rasterise(&[vec![[0.5, 0.5]], Vec::new()], 4, 4).contains(&true), "no area, no mask");
    }
}
