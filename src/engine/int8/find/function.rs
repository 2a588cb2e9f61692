//! Functions of one number, as ONNX defines them: with a byte as their operand they become tables.

use tract_onnx::pb::NodeProto;

use super::net::Try;
use crate::onnx::node;

/// A function of one number.
pub(super) type Unary = Box<dyn Fn(f32) -> f32>;

/// The function that a node with one operand computes; `None` if it is no such node.
pub(super) fn unary(node: &NodeProto) -> Try<Option<Unary>> {
    let float = |name: &str, default: f32| node::float(node, name, default);
    // Computed in double precision, so that the one rounding is that of the result.
    fn wide(f: impl Fn(f64) -> f64 + 'static) -> Unary {
        Box::new(move |x| f(f64::from(x)) as f32)
    }
    Ok(Some(match node.op_type.as_str() {
        "Relu" => Box::new(|x: f32| x.max(0.0)),
        "Abs" => Box::new(f32::abs),
        "Neg" => Box::new(|x: f32| -x),
        "Floor" => Box::new(f32::floor),
        "Ceil" => Box::new(f32::ceil),
        "Round" => Box::new(f32::round_ties_even),
        "Sign" => Box::new(|x: f32| {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                0.0
            }
        }),
        "Reciprocal" => Box::new(|x: f32| 1.0 / x),
        "Sqrt" => Box::new(f32::sqrt),
        "Exp" => wide(f64::exp),
        "Log" => wide(f64::ln),
        "Sin" => wide(f64::sin),
        "Cos" => wide(f64::cos),
        "Tanh" => wide(f64::tanh),
        "Erf" => wide(erf),
        "Sigmoid" => wide(sigmoid),
        "Softplus" => wide(softplus),
        "Softsign" => wide(|x| x / (1.0 + x.abs())),
        "Mish" => wide(|x| x * softplus(x).tanh()),
        "HardSwish" => Box::new(|x: f32| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        "Gelu" | "FastGelu" => {
            let tanh = node.op_type == "FastGelu" || node::text(node, "approximate", "none")? == "tanh";
            wide(move |x| if tanh { gelu_tanh(x) } else { 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)) })
        }
        "QuickGelu" => {
            let alpha = f64::from(float("alpha", 1.702)?);
            wide(move |x| x * sigmoid(alpha * x))
        }
        "Swish" => {
            let alpha = f64::from(float("alpha", 1.0)?);
            wide(move |x| x * sigmoid(alpha * x))
        }
        "HardSigmoid" => {
            let (alpha, beta) = (float("alpha", 0.2)?, float("beta", 0.5)?);
            Box::new(move |x| (alpha * x + beta).clamp(0.0, 1.0))
        }
        "LeakyRelu" => {
            let alpha = float("alpha", 0.01)?;
            Box::new(move |x| if x < 0.0 { alpha * x } else { x })
        }
        "ThresholdedRelu" => {
            let alpha = float("alpha", 1.0)?;
            Box::new(move |x| if x > alpha { x } else { 0.0 })
        }
        "Elu" => {
            let alpha = f64::from(float("alpha", 1.0)?);
            wide(move |x| if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "Celu" => {
            let alpha = f64::from(float("alpha", 1.0)?);
            wide(move |x| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0))
        }
        "Selu" => {
            let alpha = f64::from(float("alpha", 1.673_263_2)?);
            let gamma = f64::from(float("gamma", 1.050_701)?);
            wide(move |x| gamma * if x > 0.0 { x } else { alpha * x.exp_m1() })
        }
        "Shrink" => {
            let (bias, lambda) = (float("bias", 0.0)?, float("lambd", 0.5)?);
            Box::new(move |x| {
                if x < -lambda {
                    x + bias
                } else if x > lambda {
                    x - bias
                } else {
                    0.0
                }
            })
        }
        _ => return Ok(None),
    }))
}

/// Function of a node with two operands, element by element; `None` for other nodes.
pub(super) fn binary(op: &str) -> Option<fn(f32, f32) -> f32> {
    Some(match op {
        "Add" | "Sum" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" => |a, b| a / b,
        "Min" => f32::min,
        "Max" => f32::max,
        "Pow" => |a, b| f64::from(a).powf(f64::from(b)) as f32,
        "PRelu" => |a, slope| if a < 0.0 { slope * a } else { a },
        _ => return None,
    })
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn gelu_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
}

/// The error function to about 1e-15: its series near zero, the continued fraction of its complement far from it.
pub(super) fn erf(x: f64) -> f64 {
    let z = x.abs();
    if z.is_nan() || z > 6.0 {
        return if z.is_nan() { x } else { x.signum() };
    }
    if z < 2.5 {
        // Σ 2ⁿ z²ⁿ⁺¹ / (2n + 1)!!, all terms positive.
        let (mut term, mut sum) = (z, z);
        for n in 1..100 {
            term *= 2.0 * z * z / f64::from(2 * n + 1);
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        return x.signum() * std::f64::consts::FRAC_2_SQRT_PI * (-z * z).exp() * sum;
    }
    // erfc z = e^(−z²) / √π · 1 / (z + ½ / (z + 1 / (z + 1½ / (z + …)))).
    let mut fraction = z;
    for n in (1..=80).rev() {
        fraction = z + f64::from(n) / 2.0 / fraction;
    }
    x.signum() * (1.0 - (-z * z).exp() * std::f64::consts::FRAC_2_SQRT_PI / 2.0 / fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(op: &str, x: f32) -> f32 {
        unary(&NodeProto { op_type: op.into(), ..Default::default() }).unwrap().unwrap()(x)
    }

    #[test]
    fn the_error_function_agrees_with_tables() {
        let known = [(0.0, 0.0), (0.5, 0.520_499_877_813_046_5), (1.0, 0.842_700_792_949_714_9)];
        let more = [(2.0, 0.995_322_265_018_952_7), (2.5, 0.999_593_047_982_555), (3.0, 0.999_977_909_503_001_4)];
        for (x, want) in known.into_iter().chain(more) {
            assert!((erf(x) - want).abs() < 1e-14, "{x}: {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
    }

    #[test]
    fn functions_at_a_point() {
        let close = |op: &str, x: f32, want: f32| assert!((at(op, x) - want).abs() < 1e-6, "{op}: {}", at(op, x));
        close("HardSwish", 1.0, 2.0 / 3.0);
        close("HardSigmoid", 1.0, 0.7);
        close("LeakyRelu", -2.0, -0.02);
        close("Elu", -1.0, -0.632_120_6);
        close("Gelu", 1.0, 0.841_344_7);
        close("FastGelu", 1.0, 0.841_192);
        close("Mish", 1.0, 0.865_098_4);
        close("Softplus", 1.0, 1.313_261_7);
        close("Sigmoid", -100.0, 0.0);
        close("Selu", -1.0, -1.111_330_7);
        close("Round", 2.5, 2.0);
    }
}
