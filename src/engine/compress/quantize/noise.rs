//! Difference between two models, by their outputs.

use tract_onnx::pb::ModelProto;

use super::super::run::{CompressError, Executor, Samples, floats_of, graph_of, observe};

/// Difference between the outputs of two models over samples: squared error over variance, averaged over outputs of floats; 0 where they
/// are equal.
///
/// # Errors
/// Those of running.
pub fn noise(
    executor: &dyn Executor,
    [reference, other]: [&ModelProto; 2],
    samples: &dyn Samples,
    indices: &[usize],
) -> Result<f64, CompressError> {
    let names: Vec<String> = graph_of(reference)?.output.iter().map(|port| port.name.clone()).collect();
    let mut expected = Vec::new();
    observe(executor, reference, samples, indices, &names, &mut |_, outputs| {
        expected.push(outputs);
        Ok(())
    })?;
    let (mut error, mut sums) = (vec![0.0f64; names.len()], vec![[0.0f64; 3]; names.len()]);
    let mut next = expected.into_iter();
    observe(executor, other, samples, indices, &names, &mut |_, outputs| {
        for (index, (a, b)) in next.next().iter().flatten().zip(&outputs).enumerate() {
            let (Ok(a), Ok(b)) = (floats_of(&names[index], a), floats_of(&names[index], b)) else { continue };
            for (a, b) in a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b))) {
                error[index] += (a - b).powi(2);
                sums[index] = [sums[index][0] + 1.0, sums[index][1] + a, sums[index][2] + a * a];
            }
        }
        Ok(())
    })?;
    let of = |(error, [count, sum, squares]): (&f64, &[f64; 3])| {
        let variance = squares - sum * sum / count.max(1.0);
        if *error == 0.0 { 0.0 } else { error / variance.max(f64::MIN_POSITIVE) }
    };
    let counted = sums.iter().filter(|[count, ..]| *count > 0.0).count().max(1);
    Ok(error.iter().zip(&sums).map(of).sum::<f64>() / counted as f64)
}
