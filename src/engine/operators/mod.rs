//! Operators that tract lacks or gets wrong, in plain Rust: correct and general first.
//!
//! Each is a [`Kernel`]: types and shapes of its outputs, and a function of tensors. [`kernel`] finds the one of a node,
//! [`register`] puts them all into tract's parser. One file a family.

mod arrays;
mod attention;
mod batch;
mod blocks;
mod detection;
mod fill;
mod kernel;
mod learn;
mod loss;
mod math;
mod op;
mod picture;
mod reduce;
mod resample;
mod rewrite;
mod state;
mod values;

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::{ModelProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

pub use kernel::{Kernel, Known, Outputs};
pub use rewrite::rewrite;

use learn::{encode, linear, scale, svm, trees, words};

/// Domain of operators that ONNX does not have.
pub const DOMAIN: &str = "leptond";
/// Boxes of a detector, chosen by overlap; in [`DOMAIN`].
pub const DETECTIONS: &str = "DetectionPostProcess";
/// A fixed number of boxes by overlap; in [`DOMAIN`].
pub const SUPPRESSION: &str = "PaddedNonMaxSuppression";
/// `BatchNormalization` by the statistics of the batch; in [`DOMAIN`], like the next three.
const BATCH_STATISTICS: &str = "BatchNormalization(training)";
/// `DequantizeLinear` and `QuantizeLinear` with a scale for each block of values.
const BLOCK_DEQUANTIZE: &str = "DequantizeLinear(blocks)";
const BLOCK_QUANTIZE: &str = "QuantizeLinear(blocks)";
/// `Pad` that goes round.
const WRAP_PAD: &str = "Pad(wrap)";

/// Makes the kernel of a node; the number is the version of its operator set.
type Parse = fn(&NodeProto, i64) -> TractResult<Arc<dyn Kernel>>;

/// By ONNX operator type.
const OPERATORS: &[(&str, Parse)] = &[
    ("AffineGrid", picture::affine_grid),
    ("ArrayFeatureExtractor", encode::extractor),
    ("Attention", attention::attention),
    (BATCH_STATISTICS, batch::normalization),
    ("Binarizer", scale::binarizer),
    ("BitCast", arrays::bit_cast),
    ("BitShift", math::bit_shift),
    (BLOCK_DEQUANTIZE, blocks::dequantize),
    (BLOCK_QUANTIZE, blocks::quantize),
    ("CausalConvWithState", state::causal_conv),
    ("CenterCropPad", arrays::center_crop_pad),
    ("Col2Im", arrays::col2im),
    ("CumProd", math::cum_prod),
    ("DeformConv", picture::deform_conv),
    ("Det", math::det),
    (DETECTIONS, detection::post_process),
    ("FeatureVectorizer", encode::vectorizer),
    ("Imputer", scale::imputer),
    ("LabelEncoder", encode::label_encoder),
    ("LinearAttention", state::linear_attention),
    ("LinearClassifier", linear::classifier),
    ("LinearRegressor", linear::regressor),
    ("MaxUnpool", picture::max_unpool),
    ("NegativeLogLikelihoodLoss", loss::negative_log_likelihood),
    ("Normalizer", scale::normalizer),
    ("OneHot", fill::one_hot),
    ("OneHotEncoder", encode::one_hot),
    (SUPPRESSION, detection::suppression),
    ("ReduceMax", reduce::largest),
    ("ReduceMin", reduce::least),
    ("ReverseSequence", arrays::reverse_sequence),
    ("RoiAlign", picture::roi_align),
    ("SVMClassifier", svm::classifier),
    ("SVMRegressor", svm::regressor),
    ("Scaler", scale::scaler),
    ("SoftmaxCrossEntropyLoss", loss::softmax_cross_entropy),
    ("TensorScatter", arrays::tensor_scatter),
    ("TfIdfVectorizer", words::tf_idf),
    ("TreeEnsemble", trees::ensemble),
    ("TreeEnsembleClassifier", trees::classifier),
    ("TreeEnsembleRegressor", trees::regressor),
    ("Unique", arrays::unique),
    ("Upsample", resample::upsample),
    (WRAP_PAD, fill::wrap),
];

/// The kernel of a node, if its operator is one of these.
pub fn kernel(node: &NodeProto, version: i64) -> Option<TractResult<Arc<dyn Kernel>>> {
    let (_, parse) = OPERATORS.iter().find(|(name, _)| *name == node.op_type)?;
    Some(parse(node, version))
}

/// Version of the operator set that a node is of.
pub fn version(model: &ModelProto, node: &NodeProto) -> i64 {
    let own = |domain: &str| if domain == "ai.onnx" { String::new() } else { domain.to_owned() };
    let found = model.opset_import.iter().find(|o| own(&o.domain) == own(&node.domain));
    found.map_or(0, |o| o.version)
}

/// Puts the operators into tract's parser, in place of those of the same name.
pub fn register(onnx: &mut Onnx) {
    for (name, _) in OPERATORS {
        onnx.op_register.insert(name, |ctx: &ParsingContext, node: &NodeProto| {
            let Some(kernel) = kernel(node, version(ctx.model, node)) else {
                bail!("there is no operator {}", node.op_type)
            };
            Ok((op::wrap(kernel?, node), vec![]))
        });
    }
}
