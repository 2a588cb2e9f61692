//! Weights as signed bytes: a scale for each output of a layer, or one for all.

use tract_onnx::pb::NodeProto;

use super::super::fold::output_axis;

/// Greatest magnitude of a weight in bytes.
const MOST: f32 = 127.0;

/// Scales that are tried between all of a row's range and half of it.
const STEPS: usize = 50;

/// Greatest bias in units of its scale: with more, sums could leave 32 bits.
const MOST_BIAS: f32 = (1 << 30) as f32;

/// Weights of a layer as rows: one row for each output, its elements in the order in which they lie in the tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// Axis of the outputs.
    pub axis: usize,
    /// The outputs' rows.
    pub rows: Vec<Vec<f32>>,
}

/// Axis of the outputs of a layer's weights.
pub fn axis_of(layer: &NodeProto) -> usize {
    if layer.op_type == "MatMul" { 1 } else { output_axis(layer).unwrap_or(0) }
}

impl Rows {
    /// Takes a tensor apart.
    pub fn of(shape: &[usize], axis: usize, values: &[f32]) -> Rows {
        let inner: usize = shape[axis + 1..].iter().product();
        let mut rows = vec![Vec::new(); shape[axis]];
        for (index, &value) in values.iter().enumerate() {
            rows[index / inner % shape[axis]].push(value);
        }
        Rows { shape: shape.to_vec(), axis, rows }
    }

    /// The tensor's elements in their order, each through `map` with the index of its row.
    pub fn joined<T>(&self, map: impl Fn(usize, f32) -> T) -> Vec<T> {
        let inner: usize = self.shape[self.axis + 1..].iter().product();
        let count = self.shape[self.axis];
        let mut next = vec![0usize; count];
        (0..self.shape.iter().product::<usize>())
            .map(|index| {
                let row = index / inner % count;
                next[row] += 1;
                map(row, self.rows[row][next[row] - 1])
            })
            .collect()
    }
}

/// Scale of least squared error for one row; `importance` weighs its elements, one each or none.
pub fn scale_of(row: &[f32], importance: &[f32], search: bool) -> f32 {
    let most = row.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    if most <= f32::MIN_POSITIVE * 1024.0 {
        return 1.0;
    }
    let whole = most / MOST;
    if !search {
        return whole;
    }
    let error = |scale: f32| -> f64 {
        let of = |(index, &value): (usize, &f32)| {
            let weight = importance.get(index).copied().unwrap_or(1.0);
            f64::from((value - rounded(value, scale) * scale).powi(2) * weight)
        };
        row.iter().enumerate().map(of).sum()
    };
    let tried = (0..STEPS).map(|step| whole * (1.0 - 0.5 * step as f32 / STEPS as f32));
    tried.map(|scale| (error(scale), scale)).min_by(|a, b| a.0.total_cmp(&b.0)).map_or(whole, |(_, scale)| scale)
}

/// The nearest byte.
pub fn rounded(value: f32, scale: f32) -> f32 {
    (value / scale).round_ties_even().clamp(-MOST, MOST)
}

/// `scale`, or as much more as a bias needs to be within reach of integers in units of `input_scale · scale`.
pub fn with_room_for_bias(scale: f32, input_scale: f32, bias: f32) -> f32 {
    scale.max(bias.abs() / (input_scale * MOST_BIAS))
}

/// A bias in units of the products that it is added to.
pub fn integer_bias(bias: f32, input_scale: f32, scale: f32) -> i32 {
    (f64::from(bias) / (f64::from(input_scale) * f64::from(scale))).round_ties_even() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_apart_and_joined_along_any_axis() {
        let values: Vec<f32> = (0..24).map(|v| v as f32).collect();
        for axis in 0..3 {
            let rows = Rows::of(&[2, 3, 4], axis, &values);
            assert_eq!(rows.rows.len(), [2, 3, 4][axis]);
            assert_eq!(rows.joined(|_, value| value), values, "axis {axis}");
        }
        assert_eq!(Rows::of(&[2, 3], 1, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).rows[1], [1.0, 4.0]);
    }

    #[test]
    fn a_lone_large_weight_is_clipped_only_if_the_others_gain() {
        let mut row = vec![0.01f32; 1000];
        row[0] = 0.012;
        assert!((scale_of(&row, &[], true) - 0.012 / 127.0).abs() < 2e-5);
        let noisy: Vec<f32> = (0..4000).map(|i| ((i * 37 % 101) as f32 - 50.0) / 500.0).chain([0.3]).collect();
        let (whole, best) = (scale_of(&noisy, &[], false), scale_of(&noisy, &[], true));
        assert!((whole - 0.3 / 127.0).abs() < 1e-7 && best < whole, "{whole} {best}");
        assert_eq!(scale_of(&[0.0; 4], &[], true), 1.0);
    }

    #[test]
    fn biases_beyond_the_integers_widen_the_scale() {
        let scale = with_room_for_bias(1e-12, 1e-3, 50.0);
        assert!(integer_bias(50.0, 1e-3, scale).unsigned_abs() <= (1 << 30) + 128);
        assert_eq!(with_room_for_bias(0.01, 0.01, 1.0), 0.01);
    }
}
