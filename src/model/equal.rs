//! `Equal` of truth values, which tract compares numbers only by.

use tract_onnx::model::Onnx;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::binary::{InferenceBinOp, wire_cast};
use tract_onnx::tract_hir::tract_core::ops::logic::comp_eq;

/// Puts it in place of tract's.
pub(super) fn register(onnx: &mut Onnx) {
    onnx.op_register.insert("Equal", |_, _| Ok((expand(Equal(InferenceBinOp(comp_eq()))), vec![])));
}

#[derive(Debug, Clone)]
struct Equal(InferenceBinOp);

impl Expansion for Equal {
    fn name(&self) -> StaticName {
        "Equal".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.0.rules(s, inputs, outputs)
    }

    fn wire(&self, prefix: &str, target: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut truths = true;
        for &input in inputs {
            truths &= target.outlet_fact(input)?.datum_type == bool::datum_type();
        }
        if !truths {
            return self.0.wire(prefix, target, inputs);
        }
        let numbers = wire_cast(format!("{prefix}.numbers"), target, inputs, u8::datum_type())?;
        self.0.wire(prefix, target, &numbers)
    }
}

#[cfg(test)]
mod tests {
    use leptond_engine::onnx::build::{self, Dim, NodeBuilder};
    use tract_onnx::pb::GraphProto;
    use tract_onnx::pb::tensor_proto::DataType;

    use super::*;
    use crate::model::LoadedModel;

    #[test]
    fn truth_values_are_compared() {
        let truths = build::tensor("b", DataType::Bool, vec![2, 1], vec![0, 1]);
        let graph = GraphProto {
            node: vec![
                NodeBuilder::new("Equal", ["a", "b"]).named("e", ["y"]),
                NodeBuilder::new("Equal", ["b", "b"]).named("f", ["same"]),
            ],
            initializer: vec![truths],
            input: vec![build::port("a", DataType::Bool, &[Dim::Size(2)])],
            output: vec![
                build::port("y", DataType::Bool, &[Dim::Size(2), Dim::Size(2)]),
                build::port("same", DataType::Bool, &[Dim::Size(2), Dim::Size(1)]),
            ],
            ..Default::default()
        };
        let bytes = prost::Message::encode_to_vec(&build::model(graph, 13));
        let model = LoadedModel::from_onnx("equal", &bytes).unwrap();
        let made = model.run_raw(vec![tensor1(&[true, false])], |_, _| {}).unwrap();
        assert_eq!(made, [tensor2(&[[false, true], [true, false]]), tensor2(&[[true], [true]])]);
    }
}
