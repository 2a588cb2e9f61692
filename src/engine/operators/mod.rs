//! Operators that tract lacks or gets wrong, in plain Rust: correct and general first.

mod detection;
mod kernel;
mod op;
mod values;

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

pub use kernel::{Kernel, Known, Outputs};

/// Domain of operators that ONNX does not have.
pub const DOMAIN: &str = "leptond";
/// Boxes of a detector, chosen by overlap; in [`DOMAIN`].
pub const DETECTIONS: &str = "DetectionPostProcess";
/// A fixed number of boxes by overlap; in [`DOMAIN`].
pub const SUPPRESSION: &str = "PaddedNonMaxSuppression";

/// Makes the kernel of a node; the number is the version of its operator set.
type Parse = fn(&NodeProto, i64) -> TractResult<Arc<dyn Kernel>>;

/// By ONNX operator type.
const OPERATORS: &[(&str, Parse)] = &[(DETECTIONS, detection::post_process), (SUPPRESSION, detection::suppression)];

/// Puts the operators into tract's parser, in place of those of the same name.
pub fn register(onnx: &mut Onnx) {
    for (name, _) in OPERATORS {
        onnx.op_register.insert(name, |_: &ParsingContext, node: &NodeProto| {
            let parse = OPERATORS.iter().find(|(name, _)| *name == node.op_type);
            let (_, parse) = parse.with_context(|| format!("there is no operator {}", node.op_type))?;
            Ok((op::wrap(parse(node, 1)?, node), vec![]))
        });
    }
}
