//! The largest connected area of cells that differ, without specks.

/// Finds areas; owns the buffers.
#[derive(Debug, Default)]
pub(super) struct Areas {
    /// Cells that differ with most of their neighbours, and have not been counted.
    solid: Vec<bool>,
    /// Cells whose neighbours are still to be looked at.
    open: Vec<usize>,
}

impl Areas {
    /// Number of cells of the largest area in `differs`, `width` cells a row.
    pub(super) fn largest(&mut self, differs: &[bool], width: usize) -> usize {
        let height = differs.len() / width.max(1);
        self.solid.clear();
        self.solid.resize(differs.len(), false);
        for row in 0..height {
            for column in 0..width {
                let index = row * width + column;
                if differs[index] {
                    self.solid[index] = is_solid(differs, [column, row], [width, height]);
                }
            }
        }
        let mut largest = 0;
        for start in 0..self.solid.len() {
            if self.solid[start] {
                largest = largest.max(self.take(start, width));
            }
        }
        largest
    }

    /// Counts the area that `start` belongs to, by four neighbours, and takes it out.
    fn take(&mut self, start: usize, width: usize) -> usize {
        let mut count = 0;
        self.solid[start] = false;
        self.open.push(start);
        while let Some(index) = self.open.pop() {
            count += 1;
            let column = index % width;
            let beside = [
                (column > 0).then(|| index - 1),
                (column + 1 < width).then_some(index + 1),
                index.checked_sub(width),
                Some(index + width),
            ];
            for next in beside.into_iter().flatten() {
                if self.solid.get(next) == Some(&true) {
                    self.solid[next] = false;
                    self.open.push(next);
                }
            }
        }
        count
    }
}

/// True if more than half of the 3×3 cells around and at `column`, `row` differ: noise and rain are thinner.
fn is_solid(differs: &[bool], [column, row]: [usize; 2], [width, height]: [usize; 2]) -> bool {
    let [columns, rows] =
        [column.saturating_sub(1)..(column + 2).min(width), row.saturating_sub(1)..(row + 2).min(height)];
    let all = columns.len() * rows.len();
    let count: usize = rows
        .map(|y| differs[y * width + columns.start..y * width + columns.end].iter().filter(|differs| **differs).count())
        .sum();
    count * 2 > all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest(rows: &[&str]) -> usize {
        let cells: Vec<bool> = rows.iter().flat_map(|row| row.bytes().map(|b| b == b'#')).collect();
        Areas::default().largest(&cells, rows[0].len())
    }

    #[test]
    fn specks_and_lines_are_no_area() {
        assert_eq!(largest(&["........", ".#...#..", "...#....", "#......#"]), 0);
        assert_eq!(largest(&["..#.....", "..#.....", "..#.....", "..#....."]), 0, "a streak of rain");
    }

    #[test]
    fn the_largest_area_counts_and_areas_that_touch_by_a_corner_are_two() {
        let rows = ["........", ".###....", ".###....", ".###....", "....####", "....####", "....####", "....####"];
        assert!((14..=16).contains(&largest(&rows)), "{}", largest(&rows));
        assert_eq!(largest(&["####", "####"]), 8, "also at the edge of the picture");
        assert_eq!(largest(&["#"]), 1);
    }
}
