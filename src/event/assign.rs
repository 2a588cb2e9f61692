//! Optimal assignment of rows to columns (shortest augmenting paths; Jonker and Volgenant, Computing 38, 1987).

/// A pair that may be matched, and its cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    /// The row.
    pub(super) row: usize,
    /// The column.
    pub(super) column: usize,
    /// Finite, below the cost of leaving the row alone.
    pub(super) cost: f32,
}

/// Matches with the least total cost, where a row that is left alone costs `alone`. Rows and columns that no pair joins are solved apart,
/// so that the cubic part is as large as the largest crowd.
pub(super) fn assign(rows: usize, columns: usize, pairs: &[Pair], alone: f32) -> Vec<(usize, usize)> {
    let mut groups = Groups::new(rows + columns);
    pairs.iter().for_each(|pair| groups.join(pair.row, rows + pair.column));
    let mut by_group: Vec<(usize, &Pair)> = pairs.iter().map(|pair| (groups.root(pair.row), pair)).collect();
    by_group.sort_by_key(|(root, pair)| (*root, pair.row, pair.column));
    let mut matches = Vec::new();
    for group in by_group.chunk_by(|a, b| a.0 == b.0) {
        match group {
            [(_, only)] => matches.push((only.row, only.column)),
            _ => solve(group, alone, &mut matches),
        }
    }
    matches.sort_unstable();
    matches
}

/// Solves one group of pairs that hang together.
fn solve(group: &[(usize, &Pair)], alone: f32, matches: &mut Vec<(usize, usize)>) {
    let distinct = |of: fn(&Pair) -> usize| {
        let mut all: Vec<usize> = group.iter().map(|(_, pair)| of(pair)).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (rows, columns) = (distinct(|pair| pair.row), distinct(|pair| pair.column));
    // Each row has a column of its own for being left alone, so that there is always a solution.
    let width = columns.len() + rows.len();
    let mut costs = vec![FORBIDDEN; rows.len() * width];
    for (_, pair) in group {
        if let (Ok(row), Ok(column)) = (rows.binary_search(&pair.row), columns.binary_search(&pair.column)) {
            costs[row * width + column] = f64::from(pair.cost);
        }
    }
    for row in 0..rows.len() {
        costs[row * width + columns.len() + row] = f64::from(alone);
    }
    for (row, column) in shortest_paths(rows.len(), width, &costs).into_iter().enumerate() {
        if let Some(column) = columns.get(column) {
            matches.push((rows[row], *column));
        }
    }
}

/// Cost of a pair that may not be matched: more than any number of others.
const FORBIDDEN: f64 = 1e9;

/// Column of each row; `costs` is `[rows, columns]`, with no more rows than columns.
fn shortest_paths(rows: usize, columns: usize, costs: &[f64]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    // Column `columns` stands for the row that is being placed.
    let mut row_of = vec![NONE; columns + 1];
    let mut row_price = vec![0.0; rows];
    let mut column_price = vec![0.0; columns + 1];
    for placed in 0..rows {
        row_of[columns] = placed;
        let mut column = columns;
        let mut least = vec![f64::INFINITY; columns];
        let mut before = vec![columns; columns];
        let mut visited = vec![false; columns + 1];
        while row_of[column] != NONE {
            visited[column] = true;
            let row = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, column);
            for candidate in (0..columns).filter(|candidate| !visited[*candidate]) {
                let reduced = costs[row * columns + candidate] - row_price[row] - column_price[candidate];
                if reduced < least[candidate] {
                    (least[candidate], before[candidate]) = (reduced, column);
                }
                if least[candidate] < step {
                    (step, next) = (least[candidate], candidate);
                }
            }
            for candidate in 0..=columns {
                if visited[candidate] {
                    row_price[row_of[candidate]] += step;
                    column_price[candidate] -= step;
                } else if let Some(least) = least.get_mut(candidate) {
                    *least -= step;
                }
            }
            column = next;
        }
        // Back along the path.
        while column != columns {
            let previous = before[column];
            row_of[column] = row_of[previous];
            column = previous;
        }
    }
    let mut found = vec![NONE; rows];
    for (column, row) in row_of.iter().take(columns).enumerate().filter(|(_, row)| **row != NONE) {
        found[*row] = column;
    }
    found
}

/// Disjoint sets.
struct Groups(Vec<usize>);

impl Groups {
    fn new(count: usize) -> Groups {
        Groups((0..count).collect())
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(costs: &[&[f32]]) -> Vec<Pair> {
        let of_row = |(row, costs): (usize, &&[f32])| {
            let pair = move |(column, cost): (usize, &f32)| Pair { row, column, cost: *cost };
            costs.iter().enumerate().filter(|(_, cost)| **cost < 1.0).map(pair).collect::<Vec<_>>()
        };
        costs.iter().enumerate().flat_map(of_row).collect()
    }

    fn total(pairs: &[Pair], rows: usize, matches: &[(usize, usize)]) -> f32 {
        let cost = |(row, column): &(usize, usize)| {
            pairs.iter().find(|pair| (pair.row, pair.column) == (*row, *column)).unwrap().cost
        };
        matches.iter().map(cost).sum::<f32>() + (rows - matches.len()) as f32
    }

    /// The least cost of any assignment, by trying all.
    fn exhaustive(pairs: &[Pair], rows: usize, row: usize, taken: u32) -> f32 {
        if row == rows {
            return 0.0;
        }
        let alone = 1.0 + exhaustive(pairs, rows, row + 1, taken);
        let of_row = pairs.iter().filter(|pair| pair.row == row && taken >> pair.column & 1 == 0);
        of_row.map(|p| p.cost + exhaustive(pairs, rows, row + 1, taken | 1 << p.column)).fold(alone, f32::min)
    }

    #[test]
    fn the_greedy_choice_is_not_always_the_best() {
        // Row 0 would take column 0 for 0.1, and leave row 1 the dear one.
        assert_eq!(assign(2, 2, &pairs(&[&[0.1, 0.2], &[0.1, 0.9]]), 1.0), [(0, 1), (1, 0)]);
        assert_eq!(assign(2, 1, &pairs(&[&[0.5], &[0.4]]), 1.0), [(1, 0)]);
        assert_eq!(assign(0, 3, &[], 1.0), []);
        assert_eq!(assign(3, 3, &pairs(&[&[2.0, 2.0, 0.1], &[0.3], &[2.0, 0.2]]), 1.0), [(0, 2), (1, 0), (2, 1)]);
    }

    proptest! {
        #[test]
        fn no_other_assignment_costs_less(costs in prop::collection::vec(prop::collection::vec(0.0_f32..1.6, 1..6), 0..6)) {
            let rows = costs.len();
            let slices: Vec<&[f32]> = costs.iter().map(Vec::as_slice).collect();
            let pairs = pairs(&slices);
            let matches = assign(rows, 6, &pairs, 1.0);
            let mut columns: Vec<usize> = matches.iter().map(|(_, column)| *column).collect();
            columns.sort_unstable();
            columns.dedup();
            prop_assert_eq!(columns.len(), matches.len());
            prop_assert!((total(&pairs, rows, &matches) - exhaustive(&pairs, rows, 0, 0)).abs() < 1e-4);
        }
    }
}
