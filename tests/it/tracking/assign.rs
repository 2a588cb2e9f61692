//! Optimal assignment, for the metrics: the shortest augmenting paths of Jonker and Volgenant with potentials, O(n³).

/// The column of each row so that the sum of `cost` is least; every row gets one where there are as many columns, else every column
/// gets a row.
pub fn assign(cost: &[Vec<f64>]) -> Vec<Option<usize>> {
    let (rows, columns) = (cost.len(), cost.first().map_or(0, Vec::len));
    if rows == 0 || columns == 0 {
        return vec![None; rows];
    }
    if rows > columns {
        let turned: Vec<Vec<f64>> = (0..columns).map(|c| cost.iter().map(|row| row[c]).collect()).collect();
        let mut out = vec![None; rows];
        for (column, row) in assign(&turned).into_iter().enumerate() {
            if let Some(row) = row {
                out[row] = Some(column);
            }
        }
        return out;
    }
    // Row 0 and column 0 stand for "none yet"; the others are one further than in `cost`.
    let (mut u, mut v) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let mut row_of = vec![0usize; columns + 1];
    for row in 1..=rows {
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; columns + 1];
        let mut before = vec![0usize; columns + 1];
        let mut used = vec![false; columns + 1];
        loop {
            used[column] = true;
            let from = row_of[column];
            let (mut delta, mut next) = (f64::INFINITY, 0);
            for c in (1..=columns).filter(|c| !used[*c]) {
                let reduced = cost[from - 1][c - 1] - u[from] - v[c];
                if reduced < least[c] {
                    (least[c], before[c]) = (reduced, column);
                }
                if least[c] < delta {
                    (delta, next) = (least[c], c);
                }
            }
            for c in 0..=columns {
                if used[c] {
                    u[row_of[c]] += delta;
                    v[c] -= delta;
                } else {
                    least[c] -= delta;
                }
            }
            column = next;
            if row_of[column] == 0 {
                break;
            }
        }
        while column != 0 {
            row_of[column] = row_of[before[column]];
            column = before[column];
        }
    }
    let mut out = vec![None; rows];
    for column in 1..=columns {
        if row_of[column] > 0 {
            out[row_of[column] - 1] = Some(column - 1);
        }
    }
    out
}

#[test]
fn the_least_sum_is_found() {
    // Against every permutation.
    fn best(cost: &[Vec<f64>], row: usize, used: &mut Vec<bool>) -> f64 {
        if row == cost.len() {
            return 0.0;
        }
        let mut least = f64::INFINITY;
        for c in 0..used.len() {
            if !used[c] {
                used[c] = true;
                least = least.min(cost[row][c] + best(cost, row + 1, used));
                used[c] = false;
            }
        }
        least
    }
    let mut chance = leptond::scene::Chance::new(1, 1);
    for (rows, columns) in [(1, 1), (2, 3), (4, 4), (5, 6), (3, 7)] {
        for _ in 0..50 {
            let cost: Vec<Vec<f64>> =
                (0..rows).map(|_| (0..columns).map(|_| f64::from(chance.below(20))).collect()).collect();
            let given = assign(&cost);
            let sum: f64 = given.iter().enumerate().map(|(r, c)| cost[r][c.unwrap()]).sum();
            assert_eq!(sum, best(&cost, 0, &mut vec![false; columns]), "{cost:?}");
            let turned: Vec<Vec<f64>> = (0..columns).map(|c| cost.iter().map(|row| row[c]).collect()).collect();
            let back = assign(&turned);
            let again: f64 = back.iter().enumerate().filter_map(|(c, r)| Some(cost[(*r)?][c])).sum();
            assert_eq!((again, back.iter().flatten().count()), (sum, rows));
        }
    }
    assert_eq!(assign(&[]), Vec::<Option<usize>>::new());
    assert_eq!(assign(&[vec![], vec![]]), vec![None, None]);
}
