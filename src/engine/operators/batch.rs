//! `BatchNormalization` by the statistics of the batch (`training_mode`), as a file exported in training has it.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{around, doubles, of_doubles, required};
use crate::onnx::node;

#[derive(Debug)]
struct BatchNormalization {
    epsilon: f64,
    /// Share of the old statistics in the new ones.
    momentum: f64,
}

pub(super) fn normalization(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    let attribute = |name: &str, default: f32| node::float(node, name, default).map(f64::from);
    Ok(Arc::new(BatchNormalization { epsilon: attribute("epsilon", 1e-5)?, momentum: attribute("momentum", 0.9)? }))
}

impl Kernel for BatchNormalization {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let (x, mean) = (required(inputs, 0)?, required(inputs, 3)?);
        let statistic = (mean.dtype, mean.shape.clone());
        Ok(Some(vec![(x.dtype, x.shape.clone()), statistic.clone(), statistic]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        ensure!(x.rank() >= 2, "its input has shape {:?}, the channels are the second dimension", x.shape());
        let (items, channels, inner) = around(x.shape(), 1);
        let parameter = |slot: usize| -> TractResult<Vec<f64>> {
            let values = doubles(required(inputs, slot)?)?;
            ensure!(values.len() == channels, "its input {slot} has {} values for {channels} channels", values.len());
            Ok(values)
        };
        let (scale, shift, mut mean, mut variance) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
        let mut values = doubles(x)?;
        let count = (items * inner) as f64;
        for channel in 0..channels {
            let rows = (0..items).map(|item| (item * channels + channel) * inner);
            let sum = |each: &dyn Fn(f64) -> f64, values: &[f64]| -> f64 {
                rows.clone().flat_map(|row| &values[row..row + inner]).map(|&v| each(v)).sum::<f64>() / count
            };
            let middle = sum(&|v| v, &values);
            let spread = sum(&|v| (v - middle).powi(2), &values);
            let factor = scale[channel] / (spread + self.epsilon).sqrt();
            for row in rows.clone() {
                values[row..row + inner].iter_mut().for_each(|v| *v = (*v - middle) * factor + shift[channel]);
            }
            mean[channel] = mean[channel] * self.momentum + middle * (1.0 - self.momentum);
            variance[channel] = variance[channel] * self.momentum + spread * (1.0 - self.momentum);
        }
        let like = *required(inputs, 3)?;
        let statistic = |values: &[f64]| of_doubles(like.datum_type(), like.shape(), values);
        Ok(vec![of_doubles(x.datum_type(), x.shape(), &values)?, statistic(&mean)?, statistic(&variance)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::NodeBuilder;

    #[test]
    fn the_batch_gives_mean_and_variance() {
        let node = NodeBuilder::new("BatchNormalization", [""; 0]).float("epsilon", 0.0).float("momentum", 0.5);
        let kernel = normalization(&node.named("n", ["y"]), 15).unwrap();
        let x = Tensor::from_shape(&[2, 2, 1], &[1.0f32, 10.0, 3.0, 10.0]).unwrap();
        let (ones, twos) = (tensor1(&[1.0f32, 1.0]), tensor1(&[2.0f32, 2.0]));
        let made = kernel.run(&[Some(&x), Some(&ones), Some(&twos), Some(&ones), Some(&twos)]).unwrap();
        let values = |tensor: &Tensor| tensor.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec();
        let y = values(&made[0]);
        assert_eq!([y[0], y[2]], [1.0, 3.0]);
        assert_eq!((values(&made[1]), values(&made[2])), (vec![1.5, 5.5], vec![1.5, 1.0]));
    }
}
