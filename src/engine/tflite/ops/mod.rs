//! Operators: which ones of ONNX compute the same.

mod arithmetic;
mod batch;
mod blocks;
mod control;
mod dense;
mod detection;
mod elementwise;
mod fourier;
mod gather;
mod lists;
mod logic;
mod lstm;
mod matmul;
mod moves;
mod node;
mod norm;
mod places;
mod reduce;
mod resize;
mod rnn;
mod settle;
mod shapes;
mod slices;
mod svdf;
mod transposed;
mod window;

use tract_onnx::pb::ModelProto;

use super::error::TfliteError;
use super::graph::{FileGraph, Operator, Tensor};
use super::schema::{Activation, ElementType};
use super::write::{Program, Try, Writer};
use crate::onnx::build::NodeBuilder;
use node::{Node, reads};

/// Writes the model that was read from a file of `file_bytes`, with the graphs that it names.
pub(super) fn convert(mut graphs: Vec<FileGraph<'_>>, file_bytes: usize) -> Result<ModelProto, TfliteError> {
    let mut live = Vec::with_capacity(graphs.len());
    // True if something is computed from sizes, which are those of one item.
    let mut fixed = false;
    for net in &mut graphs {
        let settled = settle::settle(net);
        lists::replace_items(net);
        let needed = needed(net);
        let operators: Vec<usize> = (0..net.operators.len()).filter(|&o| needed[o] && !settled.folded[o]).collect();
        fixed |= operators.iter().any(|&o| reads(&net.operators[o]).iter().flatten().any(|&i| settled.sizes[i]));
        live.push(operators);
    }
    let program = Program { graphs, live };
    let (Some(net), Some(operators)) = (program.graphs.first(), program.live.first()) else {
        return Err(TfliteError::Broken { reason: "it holds no graph".into() });
    };
    let open = !fixed && batch::is_open(net, operators);
    let mut writer = Writer::new(&program, open, file_bytes)?;
    for &index in operators {
        let operator = &net.operators[index];
        write(&mut writer, operator).and_then(|()| writer.check()).map_err(|reason| {
            let tensor = operator.outputs.first().map(|&o| net.tensors[o].name.clone()).unwrap_or_default();
            TfliteError::Unsupported { operator: operator.name.clone(), index, tensor, reason }
        })?;
    }
    writer.finish()
}

/// Flags of the operators that the outputs depend on, or what is kept between runs does.
fn needed(net: &FileGraph<'_>) -> Vec<bool> {
    let mut wanted = vec![false; net.tensors.len()];
    net.outputs.iter().for_each(|&o| wanted[o] = true);
    let mut needed = vec![false; net.operators.len()];
    for (operator, needed) in net.operators.iter().zip(&mut needed).rev() {
        let keeps = matches!(operator.name.as_str(), "ASSIGN_VARIABLE" | "CALL_ONCE");
        *needed = keeps || operator.outputs.iter().any(|&o| wanted[o]);
        if *needed {
            reads(operator).iter().flatten().for_each(|&i| wanted[i] = true);
        }
    }
    needed
}

/// One operator.
pub(super) fn write(w: &mut Writer<'_, '_>, operator: &Operator<'_>) -> Try<()> {
    let node = Node { operator };
    let kept = |tensor: &Tensor<'_>| tensor.variable || tensor.kind == ElementType::Resource;
    for &input in reads(operator).iter().flatten() {
        if !w.is_known(input) && !kept(w.tensor(input)) {
            return Err(format!("its operand {:?} is computed nowhere before it", w.tensor(input).name));
        }
    }
    let complex = matches!(operator.name.as_str(), "RFFT2D" | "REAL" | "IMAG" | "COMPLEX_ABS");
    for &tensor in reads(operator).iter().flatten().chain(&operator.outputs) {
        let tensor = w.tensor(tensor);
        if tensor.len() == 0 {
            return Err(format!("tensor {:?} of shape {:?} is empty", tensor.name, tensor.shape));
        }
        if tensor.kind == ElementType::Complex64 && !complex {
            return Err(format!("tensor {:?} is of type COMPLEX64", tensor.name));
        }
    }
    match operator.name.as_str() {
        "CONV_2D" => dense::conv(w, node, false),
        "DEPTHWISE_CONV_2D" => dense::conv(w, node, true),
        "TRANSPOSE_CONV" => transposed::conv(w, node),
        "Convolution2DTransposeBias" => transposed::conv_with_bias(w, node),
        "FULLY_CONNECTED" => dense::fully_connected(w, node),
        "BATCH_MATMUL" => matmul::batch(w, node),
        "AVERAGE_POOL_2D" => window::pool(w, node, window::Pool::Average),
        "MAX_POOL_2D" => window::pool(w, node, window::Pool::Max),
        "L2_POOL_2D" => window::pool(w, node, window::Pool::L2),
        "MEAN" => reduce::reduce(w, node, "ReduceMean"),
        "SUM" => reduce::reduce(w, node, "ReduceSum"),
        "REDUCE_MAX" => reduce::reduce(w, node, "ReduceMax"),
        "REDUCE_MIN" => reduce::reduce(w, node, "ReduceMin"),
        "REDUCE_PROD" => reduce::reduce(w, node, "ReduceProd"),
        "REDUCE_ANY" => reduce::of_flags(w, node, "ReduceMax"),
        "REDUCE_ALL" => reduce::of_flags(w, node, "ReduceMin"),
        "ARG_MAX" => reduce::place(w, node, "ArgMax"),
        "ARG_MIN" => reduce::place(w, node, "ArgMin"),
        "CUMSUM" => reduce::running_sum(w, node),
        "TOPK_V2" => reduce::top(w, node),
        "ADD" => elementwise::binary(w, node, "Add", Some(0)),
        "SUB" => elementwise::binary(w, node, "Sub", Some(0)),
        "MUL" => elementwise::binary(w, node, "Mul", Some(0)),
        "DIV" => elementwise::binary(w, node, "Div", Some(0)),
        "MAXIMUM" => elementwise::binary(w, node, "Max", None),
        "MINIMUM" => elementwise::binary(w, node, "Min", None),
        "POW" => elementwise::binary(w, node, "Pow", None),
        "PRELU" => elementwise::prelu(w, node),
        "SQUARED_DIFFERENCE" => arithmetic::squared_difference(w, node),
        "FLOOR_DIV" => arithmetic::floor_div(w, node),
        "FLOOR_MOD" => arithmetic::floor_mod(w, node),
        "ATAN2" => arithmetic::atan2(w, node),
        "ADD_N" => arithmetic::add_all(w, node),
        "BITWISE_XOR" => arithmetic::integers(w, node, NodeBuilder::new("BitwiseXor", [""; 0])),
        "RIGHT_SHIFT" => {
            arithmetic::integers(w, node, NodeBuilder::new("BitShift", [""; 0]).text("direction", "RIGHT"))
        }
        "EQUAL" => logic::compare(w, node, "Equal", false),
        "NOT_EQUAL" => logic::compare(w, node, "Equal", true),
        "LESS" => logic::compare(w, node, "Less", false),
        "LESS_EQUAL" => logic::compare(w, node, "LessOrEqual", false),
        "GREATER" => logic::compare(w, node, "Greater", false),
        "GREATER_EQUAL" => logic::compare(w, node, "GreaterOrEqual", false),
        "LOGICAL_AND" => logic::flags(w, node, "And"),
        "LOGICAL_OR" => logic::flags(w, node, "Or"),
        "LOGICAL_NOT" => logic::not(w, node),
        "SELECT" => logic::select(w, node, false),
        "SELECT_V2" => logic::select(w, node, true),
        "CAST" => logic::cast(w, node),
        "BUCKETIZE" => logic::bucketize(w, node),
        "RELU" => elementwise::activation(w, node, Activation::Relu),
        "RELU6" => elementwise::activation(w, node, Activation::Relu6),
        "RELU_N1_TO_1" => elementwise::activation(w, node, Activation::ReluN1To1),
        "RELU_0_TO_1" => elementwise::activation(w, node, Activation::Relu0To1),
        "LOGISTIC" => elementwise::unary(w, node, "Sigmoid"),
        "TANH" => elementwise::unary(w, node, "Tanh"),
        "HARD_SWISH" => elementwise::unary(w, node, "HardSwish"),
        "EXP" => elementwise::unary(w, node, "Exp"),
        "LOG" => elementwise::unary(w, node, "Log"),
        "SQRT" => elementwise::unary(w, node, "Sqrt"),
        "SIN" => elementwise::unary(w, node, "Sin"),
        "COS" => elementwise::unary(w, node, "Cos"),
        "ELU" => elementwise::unary(w, node, "Elu"),
        "FLOOR" => elementwise::unary(w, node, "Floor"),
        "CEIL" => elementwise::unary(w, node, "Ceil"),
        "ROUND" => elementwise::unary(w, node, "Round"),
        "ABS" => elementwise::number(w, node, "Abs"),
        "NEG" => elementwise::number(w, node, "Neg"),
        "SIGN" => elementwise::number(w, node, "Sign"),
        "SQUARE" => arithmetic::square(w, node),
        "RSQRT" => elementwise::rsqrt(w, node),
        "GELU" => arithmetic::gelu(w, node),
        "FAKE_QUANT" => arithmetic::fake_quant(w, node),
        "LEAKY_RELU" => elementwise::leaky_relu(w, node),
        "SOFTMAX" => elementwise::softmax(w, node),
        "LOG_SOFTMAX" => elementwise::log_softmax(w, node),
        "L2_NORMALIZATION" => norm::l2(w, node),
        "LOCAL_RESPONSE_NORMALIZATION" => norm::local_response(w, node),
        "QUANTIZE" => elementwise::quantize(w, node),
        "DEQUANTIZE" => elementwise::dequantize(w, node),
        "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => moves::reshape(w, node),
        "TRANSPOSE" => moves::transpose(w, node),
        "PAD" | "PADV2" => moves::pad(w, node),
        "MIRROR_PAD" => places::mirror_pad(w, node),
        "DILATE" => places::dilate(w, node),
        "CONCATENATION" => moves::concatenation(w, node),
        "PACK" => moves::pack(w, node),
        "UNPACK" => moves::unpack(w, node),
        "SLICE" => slices::slice(w, node),
        "STRIDED_SLICE" => slices::strided_slice(w, node),
        "DYNAMIC_UPDATE_SLICE" => slices::update(w, node),
        "SPLIT" => moves::split(w, node, 1, 0),
        "SPLIT_V" => moves::split(w, node, 0, 2),
        "DEPTH_TO_SPACE" => blocks::depth(w, node, "DepthToSpace"),
        "SPACE_TO_DEPTH" => blocks::depth(w, node, "SpaceToDepth"),
        "SPACE_TO_BATCH_ND" => blocks::space_to_batch(w, node),
        "BATCH_TO_SPACE_ND" => blocks::batch_to_space(w, node),
        "REVERSE_V2" => places::reverse(w, node),
        "REVERSE_SEQUENCE" => places::reverse_sequence(w, node),
        "GATHER" => gather::gather(w, node),
        "GATHER_ND" => gather::gather_nd(w, node),
        "EMBEDDING_LOOKUP" => gather::embedding(w, node),
        "SCATTER_ND" => gather::scatter_nd(w, node),
        "SPARSE_TO_DENSE" => gather::sparse_to_dense(w, node),
        "SEGMENT_SUM" | "UNSORTED_SEGMENT_SUM" => gather::segments(w, node, "add"),
        "UNSORTED_SEGMENT_PROD" => gather::segments(w, node, "mul"),
        "UNSORTED_SEGMENT_MAX" => gather::segments(w, node, "max"),
        "UNSORTED_SEGMENT_MIN" => gather::segments(w, node, "min"),
        "ONE_HOT" => shapes::one_hot(w, node),
        "MATRIX_DIAG" => shapes::diagonal(w, node),
        "MATRIX_SET_DIAG" => shapes::set_diagonal(w, node),
        "SHAPE" => shapes::shape(w, node),
        "RANK" => shapes::rank(w, node),
        "FILL" => shapes::expand(w, node, 1),
        "BROADCAST_TO" => shapes::expand(w, node, 0),
        "BROADCAST_ARGS" => shapes::broadcast_args(w, node),
        "ZEROS_LIKE" => shapes::zeros_like(w, node),
        "TILE" => shapes::tile(w, node),
        "RANGE" => shapes::range(w, node),
        "WHERE" => shapes::places(w, node),
        "RESIZE_BILINEAR" => resize::resize(w, node, true),
        "RESIZE_NEAREST_NEIGHBOR" => resize::resize(w, node, false),
        "RFFT2D" => fourier::rfft2d(w, node),
        "REAL" => fourier::part(w, node, 0),
        "IMAG" => fourier::part(w, node, 1),
        "COMPLEX_ABS" => fourier::magnitude(w, node),
        "LSTM" | "UNIDIRECTIONAL_SEQUENCE_LSTM" => lstm::forward(w, node),
        "BIDIRECTIONAL_SEQUENCE_LSTM" => lstm::both_ways(w, node),
        "RNN" | "UNIDIRECTIONAL_SEQUENCE_RNN" => rnn::forward(w, node),
        "BIDIRECTIONAL_SEQUENCE_RNN" => rnn::both_ways(w, node),
        "SVDF" => svdf::svdf(w, node),
        "IF" => control::branches(w, node),
        "WHILE" => control::repeat(w, node),
        "STABLEHLO_COMPOSITE" => control::call(w, node, 1),
        "CALL_ONCE" => control::call_once(w, node),
        "VAR_HANDLE" => control::handle(w, node),
        "READ_VARIABLE" => control::read(w, node),
        "ASSIGN_VARIABLE" => control::assign(w, node),
        "TFLite_Detection_PostProcess" => detection::post_process(w, node),
        "NON_MAX_SUPPRESSION_V4" => detection::suppress(w, node, false),
        "NON_MAX_SUPPRESSION_V5" => detection::suppress(w, node, true),
        "DENSIFY" => Err("only constants are expanded".into()),
        name if name.starts_with("RANDOM_") || name == "MULTINOMIAL" => Err("random numbers are not drawn here".into()),
        name if name.starts_with("HASHTABLE") || name == "LSH_PROJECTION" || name == "SKIP_GRAM" => {
            Err("tables of words and hashes have no form here".into())
        }
        name if name.starts_with("CONV_3D") => Err("windows over volumes have no form here".into()),
        name if name.starts_with("STABLEHLO_") => Err("operators of StableHLO have no form here".into()),
        _ => Err("there is no such operator here".into()),
    }
}
