use tract_onnx::pb::AttributeProto;

use super::*;

/// Attributes of integers by name.
type Attributes = Vec<(&'static str, &'static [i64])>;

/// A node with `inputs` operands and attributes of integers.
fn node(operator: &str, inputs: usize, attributes: &[(&str, &[i64])]) -> NodeProto {
    let attribute = |(name, ints): &(&str, &[i64])| {
        let many = ["perm", "kernel_shape", "strides", "dilations", "pads", "axes", "split", "output_padding", "shape"];
        let kind = if many.contains(name) { AttributeType::Ints } else { AttributeType::Int };
        let i = ints.first().copied().unwrap_or_default();
        AttributeProto { name: (*name).into(), r#type: kind as i32, ints: ints.to_vec(), i, ..Default::default() }
    };
    NodeProto {
        op_type: operator.into(),
        input: (0..inputs).map(|i| format!("i{i}")).collect(),
        output: vec!["o".into()],
        attribute: attributes.iter().map(attribute).collect(),
        ..Default::default()
    }
}

fn shape(dims: &[usize]) -> InferenceFact {
    InferenceFact::dt_shape(f32::datum_type(), dims)
}

fn longs(values: &[i64]) -> InferenceFact {
    InferenceFact::from(tensor1(values))
}

fn floats(values: &[f32]) -> InferenceFact {
    InferenceFact::from(tensor1(values))
}

fn check(operator: &str, attributes: &[(&str, &[i64])], facts: &[InferenceFact]) -> Result<(), String> {
    Operands::of(&node(operator, facts.len(), attributes)).check(facts)
}

#[test]
fn what_an_operator_is_defined_for_passes() {
    let picture = || shape(&[1, 3, 32, 32]);
    let good: Vec<(&str, Attributes, Vec<InferenceFact>)> = vec![
        ("Conv", vec![("kernel_shape", &[3, 3]), ("pads", &[1, 1, 1, 1])], vec![picture(), shape(&[8, 3, 3, 3])]),
        ("Conv", vec![("group", &[3])], vec![picture(), shape(&[6, 1, 5, 5]), shape(&[6])]),
        (
            "ConvTranspose",
            vec![("strides", &[2, 2]), ("output_padding", &[1, 1])],
            vec![picture(), shape(&[3, 8, 2, 2])],
        ),
        ("MaxPool", vec![("kernel_shape", &[32, 32])], vec![picture()]),
        ("Transpose", vec![("perm", &[0, 2, 3, 1])], vec![picture()]),
        ("Transpose", vec![], vec![picture()]),
        ("Reshape", vec![], vec![picture(), longs(&[0, -1])]),
        ("Expand", vec![], vec![shape(&[1, 1]), longs(&[3, 4])]),
        ("Resize", vec![], vec![picture(), floats(&[]), floats(&[1.0, 1.0, 2.0, 0.5])]),
        ("Resize", vec![], vec![picture(), floats(&[]), floats(&[]), longs(&[1, 3, 64, 16])]),
        ("Resize", vec![], vec![picture(), floats(&[1.0, 1.0, 2.0, 2.0])]),
        ("Gather", vec![("axis", &[-1])], vec![picture(), longs(&[-32, 31])]),
        ("Slice", vec![], vec![picture(), longs(&[0]), longs(&[i64::MAX]), longs(&[-1]), longs(&[-1])]),
        ("Pad", vec![], vec![shape(&[1, 2]), longs(&[0, 1, 0, -1])]),
        ("Range", vec![], vec![longs(&[5]), longs(&[0]), longs(&[-1])]),
        ("Split", vec![("axis", &[1])], vec![picture(), longs(&[3])]),
        ("Unsqueeze", vec![("axes", &[0, 4])], vec![shape(&[2, 3, 4])]),
        ("Gemm", vec![("transB", &[1])], vec![shape(&[1, 4]), shape(&[5, 4])]),
        ("Flatten", vec![("axis", &[4])], vec![picture()]),
        ("BatchNormalization", vec![], vec![picture(), shape(&[3]), shape(&[3]), shape(&[3]), shape(&[3])]),
        ("SomethingNew", vec![("strides", &[0])], vec![]),
    ];
    for (operator, attributes, facts) in good {
        assert_eq!(check(operator, &attributes, &facts), Ok(()), "{operator} {attributes:?}");
    }
}

#[test]
fn what_it_is_not_defined_for_says_which_value() {
    let picture = || shape(&[1, 3, 32, 32]);
    let weights = || shape(&[8, 3, 3, 3]);
    let bad: Vec<(&str, Attributes, Vec<InferenceFact>, &str)> = vec![
        ("Transpose", vec![("perm", &[0, 0])], vec![], "no permutation"),
        ("Transpose", vec![("perm", &[0, 2])], vec![], "no permutation"),
        ("Transpose", vec![("perm", &[-1, 0])], vec![], "no permutation"),
        ("Transpose", vec![("perm", &[1, 0])], vec![picture()], "has 2 axes"),
        ("MaxPool", vec![("kernel_shape", &[1 << 20, 1 << 20])], vec![picture()], "positions"),
        ("MaxPool", vec![("kernel_shape", &[0, 3])], vec![picture()], "from 1"),
        ("MaxPool", vec![("kernel_shape", &[i64::MAX, 1])], vec![picture()], "from 1"),
        ("MaxPool", vec![("kernel_shape", &[3])], vec![picture()], "does not fit"),
        ("MaxPool", vec![("kernel_shape", &[33, 33])], vec![picture()], "reaches over 33"),
        ("MaxPool", vec![("kernel_shape", &[3, 3]), ("pads", &[3, 0, 0, 0])], vec![picture()], "beyond its window"),
        ("MaxPool", vec![("kernel_shape", &[3, 3]), ("pads", &[-1, 0, 0, 0])], vec![picture()], "-1"),
        ("MaxPool", vec![("kernel_shape", &[3, 3]), ("strides", &[0, 1])], vec![picture()], "strides"),
        ("MaxPool", vec![("kernel_shape", &[3, 3]), ("dilations", &[1 << 20, 1])], vec![picture()], "reaches over"),
        ("MaxPool", vec![], vec![picture()], "no kernel_shape"),
        ("Conv", vec![("strides", &[1])], vec![picture(), weights()], "strides"),
        ("Conv", vec![("group", &[0])], vec![picture(), weights()], "group is 0"),
        ("Conv", vec![("group", &[3])], vec![picture(), weights()], "groups"),
        ("Conv", vec![("kernel_shape", &[5, 5])], vec![picture(), weights()], "kernel_shape"),
        ("Conv", vec![], vec![shape(&[1, 4, 32, 32]), weights()], "4 channels"),
        ("Conv", vec![], vec![picture(), weights(), shape(&[7])], "bias"),
        ("Conv", vec![], vec![shape(&[3]), weights()], "1 dimensions"),
        ("ConvTranspose", vec![("output_padding", &[9, 9])], vec![picture(), shape(&[3, 8, 2, 2])], "output_padding"),
        ("MatMul", vec![], vec![shape(&[2, 3]), shape(&[4, 5])], "3 and 4"),
        ("Gemm", vec![("transA", &[1])], vec![shape(&[2, 3]), shape(&[3, 5])], "2 and 3"),
        ("Gemm", vec![], vec![shape(&[2]), shape(&[2, 5])], "two matrices"),
        ("Reshape", vec![], vec![picture(), longs(&[-2])], "-2"),
        ("Reshape", vec![], vec![picture(), longs(&[-1, -1])], "more than one"),
        ("Expand", vec![], vec![shape(&[1]), longs(&[-1])], "-1"),
        ("ConstantOfShape", vec![], vec![longs(&[-3])], "-3"),
        ("ConstantOfShape", vec![], vec![longs(&[1 << 40, 1 << 40])], "elements"),
        ("Tile", vec![], vec![shape(&[1, 2]), longs(&[2])], "2 dimensions"),
        ("Tile", vec![], vec![shape(&[1]), longs(&[-1])], "-1"),
        ("Range", vec![], vec![longs(&[0]), longs(&[1 << 40]), longs(&[1])], "elements"),
        ("Range", vec![], vec![floats(&[0.0]), floats(&[1.0]), floats(&[f32::NAN])], "NaN"),
        ("Range", vec![], vec![longs(&[0]), longs(&[1]), longs(&[0])], "step is 0"),
        ("Resize", vec![], vec![picture(), floats(&[]), floats(&[1.0, 1.0, f32::NAN, 1.0])], "NaN"),
        ("Resize", vec![], vec![picture(), floats(&[]), floats(&[1.0, 1.0, -2.0, 1.0])], "-2"),
        ("Resize", vec![], vec![picture(), floats(&[]), floats(&[1.0, 1.0, f32::INFINITY, 1.0])], "inf"),
        ("Resize", vec![], vec![picture(), floats(&[]), floats(&[0.0; 4])], "0.0"),
        ("Resize", vec![], vec![picture(), floats(&[]), floats(&[]), longs(&[1, 3, 0, 4])], "of 0"),
        ("Resize", vec![], vec![picture(), floats(&[]), floats(&[2.0])], "1 scales"),
        ("Upsample", vec![], vec![picture(), floats(&[1.0, 1.0, 0.0, 1.0])], "0.0"),
        ("Split", vec![("axis", &[1])], vec![picture(), longs(&[0])], "makes 0 of dimension"),
        ("Split", vec![("axis", &[1])], vec![picture(), longs(&[2])], "which is 3"),
        ("Split", vec![("axis", &[1])], vec![picture(), longs(&[1, 2])], "2 parts"),
        ("Split", vec![("axis", &[7])], vec![picture(), longs(&[3])], "axis is 7"),
        ("Pad", vec![], vec![shape(&[1, 2]), longs(&[0, 1])], "takes 4"),
        ("Pad", vec![], vec![shape(&[1]), longs(&[0, i64::MAX])], "pads"),
        ("Slice", vec![], vec![picture(), longs(&[0]), longs(&[1]), longs(&[9])], "axis is 9"),
        ("Slice", vec![], vec![picture(), longs(&[0]), longs(&[1, 2])], "equally many"),
        ("Slice", vec![], vec![picture(), longs(&[0]), longs(&[1]), longs(&[0]), longs(&[0])], "steps is 0"),
        ("Slice", vec![], vec![picture(), longs(&[0, 0]), longs(&[1, 1]), longs(&[1, -3])], "twice"),
        ("Gather", vec![], vec![picture(), longs(&[1])], "element 1"),
        ("Gather", vec![("axis", &[4])], vec![picture(), longs(&[0])], "axis is 4"),
        ("OneHot", vec![], vec![shape(&[2]), longs(&[1 << 40]), floats(&[0.0, 1.0])], "depth"),
        ("TopK", vec![], vec![shape(&[1, 5]), longs(&[6])], "k is 6"),
        ("DepthToSpace", vec![("blocksize", &[2])], vec![picture()], "no multiple"),
        ("SpaceToDepth", vec![("blocksize", &[0])], vec![picture()], "blocksize is 0"),
        ("BatchNormalization", vec![], vec![picture(), shape(&[4])], "operand 1"),
        ("ReduceMean", vec![("axes", &[4])], vec![picture()], "axis is 4"),
        ("Squeeze", vec![("axes", &[0, -4])], vec![picture()], "twice"),
        ("Unsqueeze", vec![("axes", &[9])], vec![picture()], "axis is 9"),
        ("Concat", vec![("axis", &[4])], vec![picture(), picture()], "axis is 4"),
        ("Softmax", vec![("axis", &[-5])], vec![picture()], "axis is -5"),
        ("LSTM", vec![("hidden_size", &[1 << 40])], vec![], "hidden_size"),
        ("RandomNormal", vec![("shape", &[1 << 40])], vec![], "elements"),
        ("GatherND", vec![("batch_dims", &[5])], vec![picture(), picture()], "batch_dims"),
    ];
    for (operator, attributes, facts, words) in bad {
        let error = check(operator, &attributes, &facts).expect_err(&format!("{operator} {attributes:?} {words}"));
        assert!(error.contains(words), "{operator}: {error}, expected {words}");
    }
}

#[test]
fn operands_that_are_left_out_keep_the_others_in_place() {
    let mut left_out = node("Resize", 4, &[]);
    left_out.input[1] = String::new();
    left_out.input[2] = String::new();
    let facts = [shape(&[1, 3, 8, 8]), longs(&[1, 3, 0, 8])];
    assert!(Operands::of(&left_out).check(&facts).unwrap_err().contains("sizes"));
}

#[test]
fn operations_follow_what_is_multiplied() {
    let cost = |operator: &str, attributes: &[(&str, &[i64])], inputs: &[InferenceFact], output: &[usize]| {
        Operands::of(&node(operator, inputs.len(), attributes)).operations(inputs, &[shape(output)], 0.0)
    };
    assert!(cost("MatMul", &[], &[shape(&[1000, 2000]), shape(&[2000, 1000])], &[1000, 1000]) >= 2e9);
    assert!(cost("Conv", &[], &[shape(&[1, 64, 56, 56]), shape(&[64, 64, 3, 3])], &[1, 64, 56, 56]) >= 1.15e8);
    assert!(
        cost("AveragePool", &[("kernel_shape", &[100, 100])], &[shape(&[1, 1, 200, 200])], &[1, 1, 101, 101]) >= 1e8
    );
    assert!(cost("Add", &[], &[shape(&[1000]), shape(&[1000])], &[1000]) < 1e4);
    assert!(cost("Cos", &[], &[longs(&[1]).without_value()], &[10]) < 100.0);
}
