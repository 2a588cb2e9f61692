//! Functions of one float: which of those that the kernels know a node, or several nodes together, compute.

use tract_onnx::pb::NodeProto;

use super::super::net::Try;
use crate::int8::kernels::float::Function;
use crate::onnx::node;

/// The function that a node with one operand computes; `None` for other nodes. The limits of `Clip` are elsewhere.
pub(super) fn named(node: &NodeProto) -> Try<Option<Function>> {
    let float = |name: &str, default: f32| node::float(node, name, default);
    Ok(Some(match node.op_type.as_str() {
        "Relu" => Function::RELU,
        "Abs" => Function::Abs,
        "Neg" => Function::Affine(-1.0, 0.0),
        "Floor" => Function::Floor,
        "Ceil" => Function::Ceil,
        "Round" => Function::Round,
        "Sign" => Function::Sign,
        "Reciprocal" => Function::Reciprocal,
        "Sqrt" => Function::Sqrt,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Sin" => Function::Sin,
        "Cos" => Function::Cos,
        "Tanh" => Function::Tanh,
        "Erf" => Function::Erf,
        "Sigmoid" => Function::Sigmoid,
        "Softplus" => Function::Softplus,
        "Softsign" => Function::Softsign,
        "Mish" => Function::Mish,
        "HardSwish" => Function::HardSwish(1.0 / 6.0, 0.5),
        "Gelu" if node::text(node, "approximate", "none")? != "tanh" => Function::Gelu,
        "Gelu" => Function::GeluTanh,
        "FastGelu" if node::input(node, 1).is_none() => Function::GeluTanh,
        "QuickGelu" => Function::Swish(float("alpha", 1.702)?),
        "Swish" => Function::Swish(float("alpha", 1.0)?),
        "HardSigmoid" => Function::ClippedAffine([float("alpha", 0.2)?, float("beta", 0.5)?, 0.0, 1.0]),
        "LeakyRelu" => Function::LeakyRelu(float("alpha", 0.01)?),
        "ThresholdedRelu" => Function::ThresholdedRelu(float("alpha", 1.0)?),
        "Elu" => Function::Elu([1.0, 1.0, float("alpha", 1.0)?]),
        "Celu" => {
            let alpha = float("alpha", 1.0)?;
            Function::Elu([1.0, 1.0 / alpha, alpha])
        }
        "Selu" => {
            let (alpha, gamma) = (float("alpha", 1.673_263_2)?, float("gamma", 1.050_701)?);
            Function::Elu([gamma, 1.0, gamma * alpha])
        }
        "Shrink" => Function::Shrink([float("lambd", 0.5)?, float("bias", 0.0)?]),
        _ => return Ok(None),
    }))
}

/// The activation that is an attribute of a fused operator.
pub(super) fn activation(node: &NodeProto) -> Try<Function> {
    let parameters = node::floats(node, "activation_params")?.unwrap_or_default();
    let parameter = |index: usize, default: f32| parameters.get(index).copied().unwrap_or(default);
    Ok(match node::text(node, "activation", "")? {
        "" => Function::Identity,
        "Relu" => Function::RELU,
        "Tanh" => Function::Tanh,
        "Sigmoid" => Function::Sigmoid,
        "LeakyRelu" => Function::LeakyRelu(parameter(0, 0.01)),
        "Clip" => Function::Clip(parameter(0, f32::MIN), parameter(1, f32::MAX)),
        "HardSigmoid" => Function::ClippedAffine([parameter(0, 0.2), parameter(1, 0.5), 0.0, 1.0]),
        other => return Err(format!("its activation {other:?} is not known")),
    })
}

/// Arguments at which functions are compared: far out, around zero, and in between.
pub(super) fn points() -> Vec<f32> {
    let near = (-240..=240).map(|i| i as f32 * 0.05);
    [-1e4, 1e4, -1.0, 0.0, 1.0, -80.0, -30.0, -15.5, 15.5, 30.0, 80.0].into_iter().chain(near).collect()
}

/// The known function with these values at [`points`].
pub(super) fn recognised(values: &[f32]) -> Option<Function> {
    let points = points();
    let &[low, high, below, zero, one, ..] = values else { return None };
    let clips = low.is_finite() && high.is_finite() && low <= high;
    let candidates = [
        Function::Swish(1.0),
        Function::HardSwish(1.0 / 6.0, 0.5),
        Function::Gelu,
        Function::GeluTanh,
        Function::Swish(1.702),
        Function::Mish,
        Function::RELU,
        Function::Clip(if clips { low } else { 0.0 }, if clips { high } else { 0.0 }),
        Function::ClippedAffine([1.0 / 6.0, 0.5, 0.0, 1.0]),
        Function::ClippedAffine([0.2, 0.5, 0.0, 1.0]),
        Function::LeakyRelu(-below),
        Function::Softplus,
        Function::Sigmoid,
        Function::Tanh,
        Function::Affine(one - zero, zero),
    ];
    candidates.into_iter().find(|candidate| {
        points.iter().zip(values).all(|(&x, &want)| {
            let got = value(candidate, f64::from(x));
            // What is left over by a difference of two large numbers is as coarse as these.
            (got - f64::from(want)).abs() <= 3e-6 * got.abs().max(f64::from(x.abs())).max(0.1)
        })
    })
}

/// A candidate of [`recognised`] by its definition.
fn value(function: &Function, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    match *function {
        Function::Swish(alpha) => x * sigmoid(f64::from(alpha) * x),
        Function::HardSwish(a, b) => x * (x * f64::from(a) + f64::from(b)).clamp(0.0, 1.0),
        Function::Gelu => 0.5 * x * (1.0 + super::super::function::erf(x / std::f64::consts::SQRT_2)),
        Function::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
        }
        Function::Mish => x * softplus(x).tanh(),
        Function::Clip(low, high) => x.max(f64::from(low)).min(f64::from(high)),
        Function::ClippedAffine([a, b, low, high]) => {
            (x * f64::from(a) + f64::from(b)).max(f64::from(low)).min(f64::from(high))
        }
        Function::LeakyRelu(slope) => x.max(0.0) + f64::from(slope) * x.min(0.0),
        Function::Softplus => softplus(x),
        Function::Sigmoid => sigmoid(x),
        Function::Tanh => x.tanh(),
        Function::Affine(a, b) => x * f64::from(a) + f64::from(b),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(f: &dyn Fn(f32) -> f32) -> Option<Function> {
        recognised(&points().into_iter().map(f).collect::<Vec<_>>())
    }

    #[test]
    fn spellings_of_exporters_are_recognised() {
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let relu6 = |x: f32| x.clamp(0.0, 6.0);
        let check = |f: &dyn Fn(f32) -> f32, want: Function| assert_eq!(at(f), Some(want));
        check(&|x| x * sigmoid(x), Function::Swish(1.0));
        check(&|x| x * sigmoid(1.702 * x), Function::Swish(1.702));
        check(&|x| x * (relu6(x + 3.0) / 6.0), Function::HardSwish(1.0 / 6.0, 0.5));
        check(&|x| x * relu6(x + 3.0) * (1.0 / 6.0), Function::HardSwish(1.0 / 6.0, 0.5));
        check(&|x| relu6(x + 3.0) / 6.0, Function::ClippedAffine([1.0 / 6.0, 0.5, 0.0, 1.0]));
        check(&|x| x.clamp(-1.0, 2.0), Function::Clip(-1.0, 2.0));
        check(&|x| 2.0 * x - 3.0, Function::Affine(2.0, -3.0));
        let erf = |x: f32| super::super::super::function::erf(f64::from(x)) as f32;
        check(&|x| x * 0.5 * (erf(x / std::f32::consts::SQRT_2) + 1.0), Function::Gelu);
        check(&|x| 0.5 * x * (1.0 + (0.797_884_6 * (x + 0.044_715 * x.powi(3))).tanh()), Function::GeluTanh);
        assert_eq!(at(&|x| x * x), None);
        assert_eq!(at(&f32::sqrt), None);
    }
}
