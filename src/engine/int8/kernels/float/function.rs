//! Functions of one and two floats that the kernels know by name.

/// A function of one float. NaN gives NaN but where said otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `x`.
    Identity,
    /// `min(max(x, low), high)`: Relu is `Clip(0, ∞)`, Relu6 `Clip(0, 6)`.
    Clip(f32, f32),
    /// `x · a + b`: a normalisation, a shift, a negation.
    Affine(f32, f32),
    /// `clip(x · a + b, low, high)`: HardSigmoid is `[1/6, 1/2, 0, 1]`.
    ClippedAffine([f32; 4]),
    /// `x · clip(x · a + b, 0, 1)`: HardSwish is `(1/6, 1/2)`.
    HardSwish(f32, f32),
    /// `x` for `x ≥ 0`, else `x · slope`.
    LeakyRelu(f32),
    /// `x · scale` for `x > 0`, else `(exp(x · inner) − 1) · outer`: `[scale, inner, outer]` is `[1, 1, α]` for Elu, `[γ, 1, γ · α]` for Selu and
    /// `[1, 1/α, α]` for Celu.
    Elu([f32; 3]),
    /// `x` for `x > alpha`, else 0.
    ThresholdedRelu(f32),
    /// `x − sign(x) · …` of Shrink: `[lambda, bias]`; 0 between `−lambda` and `lambda`.
    Shrink([f32; 2]),
    /// `clip(round(x / scale), low, high) · scale`, halves to even: `[scale, low, high]` of a quantisation, the zero point taken off the limits.
    Steps([f32; 3]),
    /// `1 / (1 + exp(−x))`.
    Sigmoid,
    /// `x · sigmoid(alpha · x)`: SiLU is `Swish(1)`.
    Swish(f32),
    /// `x / 2 · (1 + erf(x / √2))`.
    Gelu,
    /// `x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))`.
    GeluTanh,
    /// `x · tanh(softplus(x))`.
    Mish,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// Hyperbolic tangent.
    Tanh,
    /// The error function.
    Erf,
    /// `e^x`.
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `1 / √x`.
    ReciprocalSqrt,
    /// `1 / x`.
    Reciprocal,
    /// `x²`.
    Square,
    /// `x³`.
    Cube,
    /// `x^p`, as `powf`.
    Pow(f32),
    /// Magnitude.
    Abs,
    /// −1, 0 or 1.
    Sign,
    /// Largest integer not above.
    Floor,
    /// Least integer not below.
    Ceil,
    /// Nearest integer, halves to even.
    Round,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
}

impl Function {
    /// Relu.
    pub const RELU: Function = Function::Clip(0.0, f32::INFINITY);

    /// `x^p` by the cheapest of the functions that are exactly it.
    pub fn power(p: f32) -> Function {
        match p {
            0.5 => Function::Sqrt,
            -0.5 => Function::ReciprocalSqrt,
            1.0 => Function::Identity,
            -1.0 => Function::Reciprocal,
            2.0 => Function::Square,
            3.0 => Function::Cube,
            _ => Function::Pow(p),
        }
    }
}

/// A function of two floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a − b`.
    Sub,
    /// `a · b`.
    Mul,
    /// `a / b`.
    Div,
    /// The less; NaN if either is.
    Min,
    /// The greater; NaN if either is.
    Max,
    /// `a^b`.
    Pow,
    /// `a` for `a ≥ 0`, else `a · b`.
    PRelu,
    /// `(a − b)²`, as of a variance.
    SquaredDifference,
    /// `a · sigmoid(b)`: a gate.
    Gate,
}
