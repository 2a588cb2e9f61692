//! The one list of ONNX operators: what each does to values, and how many inputs it requires.
//!
//! Source: the operator specification, <https://onnx.ai/onnx/operators/>, and onnxruntime's contributed operators for the
//! `QLinear` forms.

use tract_onnx::pb::NodeProto;

use super::node;

/// Flag of a product with constant weights whose first operand its own runtime rounds to bytes before it multiplies: each item of a batch (`Conv`)
/// or each row (`MatMul`, `Gemm`) by its own range. Where it is missing, the operand is taken as it is.
pub const ROUNDS_OPERAND: &str = "leptond_rounds_operand";

/// Effect of an operator on the values of its first input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The same elements in the same row-major order, whatever the shape.
    Reshape,
    /// The same elements in another order.
    Reorder,
    /// Some of the elements, each maybe more than once.
    Select,
    /// The elements, and one constant around or between them.
    Fill,
    /// The greatest or least of several elements.
    Extremum,
    /// Single elements or mixtures of neighbours, as the attribute `mode` says.
    Resample,
    /// Elements of several inputs, one behind the other.
    Join,
    /// A function of one element.
    Unary,
    /// A function of elements of two or more inputs, broadcast.
    Binary,
    /// Sums of products with a second operand: convolutions and matrix products.
    Product,
    /// A function of several elements: means, norms, distributions.
    Reduce,
    /// Reals to integers.
    Quantize,
    /// Integers to reals.
    Dequantize,
    /// Numbers from a generator, different at each run.
    Random,
    /// Anything else.
    Other,
}

/// One operator type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Name in the file.
    pub name: &'static str,
    /// Effect on values.
    pub effect: Effect,
    /// Number of leading inputs that a node must have.
    pub required_inputs: usize,
}

const fn op(name: &'static str, effect: Effect, required_inputs: usize) -> Operator {
    Operator { name, effect, required_inputs }
}

use Effect::*;

/// By name.
const OPERATORS: &[Operator] = &[
    op("Abs", Unary, 1),
    op("Add", Binary, 2),
    op("And", Binary, 2),
    op("ArgMax", Other, 1),
    op("ArgMin", Other, 1),
    op("AveragePool", Reduce, 1),
    op("BatchNormalization", Other, 5),
    op("Bernoulli", Random, 1),
    op("BitShift", Binary, 2),
    op("Cast", Unary, 1),
    op("Ceil", Unary, 1),
    op("Celu", Unary, 1),
    op("Clip", Unary, 1),
    op("Compress", Select, 2),
    op("Concat", Join, 1),
    op("ConstantOfShape", Other, 1),
    op("Conv", Product, 2),
    op("ConvInteger", Product, 2),
    op("ConvTranspose", Product, 2),
    op("Cos", Unary, 1),
    op("CumSum", Reduce, 2),
    op("DepthToSpace", Reorder, 1),
    op("DequantizeLinear", Dequantize, 2),
    op("Div", Binary, 2),
    op("Dropout", Reshape, 1),
    op("Einsum", Product, 1),
    op("Elu", Unary, 1),
    op("Equal", Binary, 2),
    op("Erf", Unary, 1),
    op("Exp", Unary, 1),
    op("Expand", Select, 2),
    op("EyeLike", Other, 1),
    op("FastGelu", Unary, 1),
    op("Flatten", Reshape, 1),
    op("Floor", Unary, 1),
    op("GRU", Other, 3),
    op("Gather", Select, 2),
    op("GatherElements", Select, 2),
    op("GatherND", Select, 2),
    op("Gelu", Unary, 1),
    op("Gemm", Product, 2),
    op("GlobalAveragePool", Reduce, 1),
    op("GlobalMaxPool", Extremum, 1),
    op("Greater", Binary, 2),
    op("GreaterOrEqual", Binary, 2),
    op("GridSample", Other, 2),
    op("HardSigmoid", Unary, 1),
    op("HardSwish", Unary, 1),
    op("Identity", Reshape, 1),
    op("If", Other, 1),
    op("InstanceNormalization", Other, 3),
    op("LRN", Reduce, 1),
    op("LSTM", Other, 3),
    op("LayerNormalization", Reduce, 2),
    op("LeakyRelu", Unary, 1),
    op("Less", Binary, 2),
    op("LessOrEqual", Binary, 2),
    op("Log", Unary, 1),
    op("LogSoftmax", Reduce, 1),
    op("LpPool", Reduce, 1),
    op("MatMul", Product, 2),
    op("MatMulInteger", Product, 2),
    op("Max", Binary, 1),
    op("MaxPool", Extremum, 1),
    op("Mean", Binary, 1),
    op("Min", Binary, 1),
    op("Mish", Unary, 1),
    op("Mod", Binary, 2),
    op("Mul", Binary, 2),
    op("Multinomial", Random, 1),
    op("Neg", Unary, 1),
    op("NonZero", Other, 1),
    op("Not", Unary, 1),
    op("OneHot", Other, 3),
    op("Or", Binary, 2),
    op("PRelu", Binary, 2),
    op("Pad", Fill, 1),
    op("Pow", Binary, 2),
    op("QLinearConv", Product, 8),
    op("QLinearMatMul", Product, 8),
    op("QuantizeLinear", Quantize, 2),
    op("QuickGelu", Unary, 1),
    op("RNN", Other, 3),
    op("RandomNormal", Random, 0),
    op("RandomNormalLike", Random, 1),
    op("RandomUniform", Random, 0),
    op("RandomUniformLike", Random, 1),
    op("Range", Other, 3),
    op("Reciprocal", Unary, 1),
    op("ReduceL1", Reduce, 1),
    op("ReduceL2", Reduce, 1),
    op("ReduceMax", Extremum, 1),
    op("ReduceMean", Reduce, 1),
    op("ReduceMin", Extremum, 1),
    op("ReduceProd", Reduce, 1),
    op("ReduceSum", Reduce, 1),
    op("Relu", Unary, 1),
    op("Reshape", Reshape, 2),
    op("Resize", Resample, 1),
    op("ReverseSequence", Reorder, 2),
    op("Round", Unary, 1),
    op("Scatter", Other, 3),
    op("ScatterElements", Other, 3),
    op("ScatterND", Other, 3),
    op("Selu", Unary, 1),
    op("Shape", Other, 1),
    op("Sigmoid", Unary, 1),
    op("Sign", Unary, 1),
    op("Sin", Unary, 1),
    op("Size", Other, 1),
    op("Slice", Select, 1),
    op("Softmax", Reduce, 1),
    op("Softplus", Unary, 1),
    op("Softsign", Unary, 1),
    op("SpaceToDepth", Reorder, 1),
    op("Split", Select, 1),
    op("Sqrt", Unary, 1),
    op("Squeeze", Reshape, 1),
    op("Sub", Binary, 2),
    op("Sum", Binary, 1),
    op("Swish", Unary, 1),
    op("Tanh", Unary, 1),
    op("ThresholdedRelu", Unary, 1),
    op("Tile", Select, 2),
    op("TopK", Select, 1),
    op("Transpose", Reorder, 1),
    op("Trilu", Fill, 1),
    op("Unsqueeze", Reshape, 1),
    op("Upsample", Resample, 1),
    op("Where", Binary, 3),
    op("Xor", Binary, 2),
];

/// The operator of that type, if it is listed.
pub fn operator(name: &str) -> Option<&'static Operator> {
    OPERATORS.binary_search_by(|operator| operator.name.cmp(name)).ok().map(|index| &OPERATORS[index])
}

/// Effect of an operator type.
pub fn effect(name: &str) -> Effect {
    operator(name).map_or(Effect::Other, |operator| operator.effect)
}

/// Test for a node that moves values without computing on them: every element of [`moved_outputs`] is an element of the
/// first input or one constant, and a quantisation of the one holds for the other.
pub fn moves(node: &NodeProto) -> bool {
    match effect(&node.op_type) {
        Effect::Reshape | Effect::Reorder | Effect::Select | Effect::Fill | Effect::Extremum => true,
        Effect::Resample => is_nearest(node),
        _ => false,
    }
}

/// Test for a node whose output has the elements of its first input, all of them, at most in another order or shape.
pub fn keeps_elements(node: &NodeProto) -> bool {
    matches!(effect(&node.op_type), Effect::Reshape | Effect::Reorder)
}

/// Test for a moving node whose outputs have elements of its first input and nothing else, whatever their values are: a function
/// of single elements may as well be taken behind it as before it.
pub fn selects_elements(node: &NodeProto) -> bool {
    match effect(&node.op_type) {
        Effect::Reshape | Effect::Reorder => true,
        Effect::Select => node.op_type != "TopK",
        Effect::Resample => is_nearest(node),
        _ => false,
    }
}

/// Test for a `Resize` or `Upsample` that takes single elements.
pub fn is_nearest(node: &NodeProto) -> bool {
    matches!(node::text(node, "mode", "nearest"), Ok("nearest"))
}

/// Outputs of a moving node that hold moved values. Further ones are masks and indices, but for `Split`.
pub fn moved_outputs(node: &NodeProto) -> impl Iterator<Item = &str> {
    let count = if node.op_type == "Split" { node.output.len() } else { 1 };
    node.output.iter().take(count).map(String::as_str).filter(|name| !name.is_empty())
}

/// Index of the input of a convolution that holds its weights.
pub fn weights_input(operator: &str) -> usize {
    if operator == "QLinearConv" { 3 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::super::build::NodeBuilder;
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_every_operator_is_found() {
        for pair in OPERATORS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} and {}", pair[0].name, pair[1].name);
        }
        assert!(OPERATORS.iter().all(|o| operator(o.name) == Some(o)));
        assert_eq!(operator("Int8Partition"), None);
    }

    /// By the specification, as far as elements of these are elements of the first input.
    #[test]
    fn operators_that_move_values() {
        let moving = [
            "Compress",
            "DepthToSpace",
            "Dropout",
            "Expand",
            "Flatten",
            "Gather",
            "GatherElements",
            "GatherND",
            "GlobalMaxPool",
            "Identity",
            "MaxPool",
            "Pad",
            "ReduceMax",
            "ReduceMin",
            "Reshape",
            "Resize",
            "ReverseSequence",
            "Slice",
            "SpaceToDepth",
            "Split",
            "Squeeze",
            "Tile",
            "TopK",
            "Transpose",
            "Trilu",
            "Unsqueeze",
            "Upsample",
        ];
        let node = |name: &str| NodeBuilder::new(name, ["x"]).named("n", ["y"]);
        let found: Vec<&str> = OPERATORS.iter().map(|o| o.name).filter(|name| moves(&node(name))).collect();
        assert_eq!(found, moving);
        let keeping: Vec<&str> = OPERATORS.iter().map(|o| o.name).filter(|name| keeps_elements(&node(name))).collect();
        assert_eq!(
            keeping,
            [
                "DepthToSpace",
                "Dropout",
                "Flatten",
                "Identity",
                "Reshape",
                "ReverseSequence",
                "SpaceToDepth",
                "Squeeze",
                "Transpose",
                "Unsqueeze"
            ]
        );
        for mode in ["linear", "cubic", "bilinear"] {
            assert!(!moves(&NodeBuilder::new("Resize", ["x"]).text("mode", mode).named("n", ["y"])), "{mode}");
        }
        for other in ["Concat", "AveragePool", "Max", "ArgMax", "Relu", "Cast", "Where", "NoSuchOperator"] {
            assert!(!moves(&node(other)), "{other}");
        }
    }

    #[test]
    fn masks_and_indices_are_not_moved_values() {
        let outputs = |name: &str, outputs: &[&str]| {
            let node = NodeBuilder::new(name, ["x"]).named("n", outputs.iter().copied());
            moved_outputs(&node).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(outputs("Split", &["a", "", "b"]), ["a", "b"]);
        assert_eq!(outputs("MaxPool", &["y", "indices"]), ["y"]);
        assert_eq!(outputs("Dropout", &["", "mask"]), [""; 0]);
    }
}
