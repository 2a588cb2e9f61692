//! Second moments of a layer's rows over samples, and least squares with them.
//!
//! Rows are those of [`Unrolled`](super::unroll::Unrolled). Sums are of 64-bit floats, so that hundreds of thousands of rows lose nothing.

use tract_onnx::prelude::tract_ndarray::linalg::general_mat_mul;
use tract_onnx::prelude::tract_ndarray::{Array2, ArrayView2, Axis};

/// Sums over rows of an input of `width` elements.
#[derive(Clone, Debug)]
pub struct Gram {
    /// Sum of the outer products of rows with themselves, `width × width`.
    pub xx: Array2<f64>,
    /// Sum of the rows.
    pub sum: Vec<f64>,
    /// Number of rows.
    pub count: usize,
}

/// Sums over pairs of rows: of the input of the float model, and of the same input after a change.
#[derive(Clone, Debug)]
pub struct Cross {
    /// The changed input by itself.
    pub changed: Gram,
    /// Sum of the outer products of float rows with changed rows, `float width × changed width`.
    pub xy: Array2<f64>,
    /// Sum of the float rows.
    pub sum: Vec<f64>,
}

impl Gram {
    /// No rows yet.
    pub fn new(width: usize) -> Self {
        Gram { xx: Array2::zeros((width, width)), sum: vec![0.0; width], count: 0 }
    }

    /// Adds rows, `n × width`.
    pub fn add(&mut self, rows: ArrayView2<'_, f64>) {
        general_mat_mul(1.0, &rows.t(), &rows, 1.0, &mut self.xx);
        add_sum(&mut self.sum, rows);
        self.count += rows.nrows();
    }

    /// Mean of each element.
    pub fn mean(&self) -> Vec<f64> {
        mean(&self.sum, self.count)
    }

    /// Mean square of each element.
    pub fn second(&self) -> Vec<f64> {
        self.xx.diag().iter().map(|sum| sum / self.count.max(1) as f64).collect()
    }

    /// Mean products of elements, about their means where `centred`.
    pub fn moments(&self, centred: bool) -> Array2<f64> {
        let mean = self.mean();
        about(&self.xx, self.count, centred.then_some((&mean[..], &mean[..])))
    }
}

impl Cross {
    /// No rows yet.
    pub fn new(float_width: usize, changed_width: usize) -> Self {
        Cross {
            changed: Gram::new(changed_width),
            xy: Array2::zeros((float_width, changed_width)),
            sum: vec![0.0; float_width],
        }
    }

    /// Adds as many float rows as changed ones.
    pub fn add(&mut self, float: ArrayView2<'_, f64>, changed: ArrayView2<'_, f64>) {
        general_mat_mul(1.0, &float.t(), &changed, 1.0, &mut self.xy);
        add_sum(&mut self.sum, float);
        self.changed.add(changed);
    }

    /// Mean of each element of the float rows.
    pub fn float_mean(&self) -> Vec<f64> {
        mean(&self.sum, self.changed.count)
    }

    /// Mean products of float and changed elements, about their means where `centred`.
    pub fn moments(&self, centred: bool) -> Array2<f64> {
        let (float, changed) = (self.float_mean(), self.changed.mean());
        about(&self.xy, self.changed.count, centred.then_some((&float[..], &changed[..])))
    }

    /// Weights `outputs × changed width` that come closest over the changed rows to what `weights` (`outputs × float width`) give over the float
    /// rows, in the mean square. `start` (`outputs × changed width`) is kept where the rows say nothing: `damping` times the mean square of an element
    /// is added to each, and the difference to `start` is what is fitted. `None` where the moments are not finite.
    ///
    /// With `centred`, a bias takes up the means: see [`shift`](Self::shift).
    pub fn solve(
        &self,
        weights: &Array2<f64>,
        start: &Array2<f64>,
        damping: f64,
        centred: bool,
    ) -> Option<Array2<f64>> {
        let mut moments = self.changed.moments(centred);
        let wanted = weights.dot(&self.moments(centred)) - start.dot(&moments);
        let width = moments.nrows();
        let scale = moments.diag().sum() / width.max(1) as f64;
        moments.diag_mut().iter_mut().for_each(|v| *v += (damping * scale).max(f64::MIN_POSITIVE));
        let factor = Cholesky::new(moments)?;
        let mut difference = wanted;
        difference.axis_iter_mut(Axis(0)).for_each(|mut row| {
            let mut values = row.to_vec();
            factor.solve(&mut values);
            row.iter_mut().zip(values).for_each(|(to, from)| *to = from);
        });
        let solved = start + &difference;
        solved.iter().all(|v| v.is_finite()).then_some(solved)
    }

    /// Difference that a change of weights makes to the mean of each output, to be added to its bias.
    pub fn shift(&self, weights: &Array2<f64>, changed: &Array2<f64>) -> Vec<f64> {
        let (float_mean, changed_mean) = (self.float_mean(), self.changed.mean());
        let dot = |row: &[f64], mean: &[f64]| row.iter().zip(mean).map(|(a, b)| a * b).sum::<f64>();
        let rows = weights.rows().into_iter().zip(changed.rows());
        rows.map(|(old, new)| dot(&old.to_vec(), &float_mean) - dot(&new.to_vec(), &changed_mean)).collect()
    }
}

fn add_sum(sum: &mut [f64], rows: ArrayView2<'_, f64>) {
    for row in rows.rows() {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

fn mean(sum: &[f64], count: usize) -> Vec<f64> {
    sum.iter().map(|sum| sum / count.max(1) as f64).collect()
}

fn about(sums: &Array2<f64>, count: usize, means: Option<(&[f64], &[f64])>) -> Array2<f64> {
    let mut moments = sums / count.max(1) as f64;
    if let Some((rows, columns)) = means {
        moments.indexed_iter_mut().for_each(|((i, j), value)| *value -= rows[i] * columns[j]);
    }
    moments
}

/// A symmetric positive matrix as a product of a lower triangle with its transpose.
#[derive(Debug)]
pub struct Cholesky {
    lower: Array2<f64>,
}

/// Columns that are finished before what lies right of them is brought up to date by one product.
const BLOCK: usize = 64;

impl Cholesky {
    /// The factor; `None` for a matrix that is not positive or not finite.
    pub fn new(mut matrix: Array2<f64>) -> Option<Self> {
        let size = matrix.nrows();
        for start in (0..size).step_by(BLOCK) {
            let end = (start + BLOCK).min(size);
            for column in start..end {
                let mut pivot = matrix[(column, column)];
                (start..column).for_each(|k| pivot -= matrix[(column, k)] * matrix[(column, k)]);
                if !(pivot > 0.0 && pivot.is_finite()) {
                    return None;
                }
                let pivot = pivot.sqrt();
                matrix[(column, column)] = pivot;
                for row in column + 1..size {
                    let mut value = matrix[(row, column)];
                    (start..column).for_each(|k| value -= matrix[(row, k)] * matrix[(column, k)]);
                    matrix[(row, column)] = value / pivot;
                }
            }
            let (left, mut right) = matrix.view_mut().split_at(Axis(1), end);
            let below = left.slice_axis(Axis(0), (end..size).into());
            let below = below.slice_axis(Axis(1), (start..end).into());
            let mut rest = right.slice_axis_mut(Axis(0), (end..size).into());
            general_mat_mul(-1.0, &below, &below.t(), 1.0, &mut rest);
        }
        Some(Cholesky { lower: matrix })
    }

    /// Replaces `values` by the solution `x` of `matrix · x = values`.
    pub fn solve(&self, values: &mut [f64]) {
        let size = values.len();
        for i in 0..size {
            let row = self.lower.row(i);
            let done: f64 = row.iter().zip(&values[..i]).map(|(a, b)| a * b).sum();
            values[i] = (values[i] - done) / row[i];
        }
        for i in (0..size).rev() {
            let row = self.lower.row(i);
            let value = values[i] / row[i];
            values[i] = value;
            values[..i].iter_mut().zip(row).for_each(|(v, a)| *v -= a * value);
        }
    }
}

/// Up to `wanted` of `count` places, spread evenly; `turn` moves them on, so that samples do not all give the same ones.
pub fn spread(count: usize, wanted: usize, turn: usize) -> Vec<usize> {
    if wanted >= count {
        return (0..count).collect();
    }
    // Steps of the golden ratio come near every place before they come near one twice.
    let shift = (turn as f64 * 0.618_033_988_749_895).fract();
    let step = count as f64 / wanted as f64;
    (0..wanted).map(|i| (((i as f64 + shift) * step) as usize).min(count - 1)).collect()
}

#[cfg(test)]
mod tests {
    use tract_onnx::prelude::tract_ndarray::array;

    use super::*;

    fn numbers(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
        let mut state = seed;
        Array2::from_shape_fn((rows, columns), |_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f64 / (1 << 24) as f64 - 0.5
        })
    }

    fn close(a: &Array2<f64>, b: &Array2<f64>) -> bool {
        a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-8)
    }

    #[test]
    fn moments_are_those_of_all_rows() {
        let rows = array![[1.0, 2.0], [3.0, 0.0], [2.0, 1.0], [2.0, 5.0]];
        let mut gram = Gram::new(2);
        for row in rows.axis_chunks_iter(Axis(0), 3) {
            gram.add(row);
        }
        assert_eq!((gram.count, gram.mean(), gram.second()), (4, vec![2.0, 2.0], vec![4.5, 7.5]));
        assert!(close(&gram.moments(false), &array![[4.5, 3.5], [3.5, 7.5]]));
        assert!(close(&gram.moments(true), &array![[0.5, -0.5], [-0.5, 3.5]]));
    }

    #[test]
    fn factors_of_every_size_solve() {
        for size in [1, 2, 63, 64, 65, 150] {
            let half = numbers(size + 3, size, size as u64);
            let matrix = half.t().dot(&half) + Array2::<f64>::eye(size) * 0.01;
            let wanted = numbers(1, size, 9).into_raw_vec_and_offset().0;
            let mut values =
                matrix.dot(&Array2::from_shape_vec((size, 1), wanted.clone()).unwrap()).into_raw_vec_and_offset().0;
            Cholesky::new(matrix).unwrap().solve(&mut values);
            assert!(values.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{size}");
        }
        for bad in [array![[1.0, 2.0], [2.0, 1.0]], array![[f64::NAN]], array![[0.0]]] {
            assert!(Cholesky::new(bad).is_none());
        }
    }

    /// Columns that others make up are given up without loss, with means that a bias takes up.
    #[test]
    fn what_other_columns_say_is_not_lost() {
        let kept = numbers(50, 3, 1);
        let float = Array2::from_shape_fn((50, 5), |(i, j)| match j {
            0..3 => kept[(i, j)] + 0.25,
            3 => kept[(i, 0)] - 2.0 * kept[(i, 1)] + 3.0,
            _ => 7.0,
        });
        let changed = float.slice_axis(Axis(1), (0..3).into()).to_owned();
        let mut cross = Cross::new(5, 3);
        cross.add(float.view(), changed.view());
        let weights = numbers(4, 5, 2);
        let start = weights.slice_axis(Axis(1), (0..3).into()).to_owned();
        let solved = cross.solve(&weights, &start, 1e-12, true).unwrap();
        let shift = cross.shift(&weights, &solved);
        let (old, new) = (float.dot(&weights.t()), changed.dot(&solved.t()));
        let shifted = Array2::from_shape_fn(new.dim(), |(i, j)| new[(i, j)] + shift[j]);
        assert!(close(&old, &shifted));
        assert!((solved[(0, 0)] - (weights[(0, 0)] + weights[(0, 3)])).abs() < 1e-8);
    }

    #[test]
    fn where_rows_say_nothing_weights_stay() {
        let mut cross = Cross::new(2, 2);
        let rows = array![[1.0, 0.0], [-1.0, 0.0]];
        cross.add(rows.view(), rows.view());
        let weights = array![[2.0, 5.0]];
        let solved = cross.solve(&weights, &array![[1.0, 5.0]], 1e-9, true).unwrap();
        assert!((solved[(0, 0)] - 2.0).abs() < 1e-6 && solved[(0, 1)] == 5.0);
        let nan = array![[f64::NAN, 0.0]];
        cross.add(nan.view(), nan.view());
        assert!(cross.solve(&weights, &weights, 1e-9, true).is_none());
    }

    #[test]
    fn places_are_spread_and_move_on() {
        assert_eq!(spread(3, 5, 7), [0, 1, 2]);
        let (first, second) = (spread(100, 4, 0), spread(100, 4, 1));
        assert_eq!(first, [0, 25, 50, 75]);
        assert_eq!(second, [15, 40, 65, 90]);
    }
}
