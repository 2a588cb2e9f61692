//! Models and targets that are refused, with the reason.

use super::*;

fn small() -> Net {
    let mut net = Net::new(&[1, 3, 4, 4]);
    let a = net.conv("a", "x", [8, 3, 3, 3], 1);
    let r = net.unary("r", "Relu", &a);
    net.conv("y", &r, [4, 8, 1, 1], 1);
    net
}

fn refused(model: &ModelProto, count: usize, target: &Target<'_>) -> String {
    let samples = samples(&[1, 3, 4, 4], count);
    let indices: Vec<usize> = (0..count).collect();
    let pruner = Pruner::new(model, &Tract, &samples, &indices, plain(1));
    pruner.and_then(|pruner| pruner.prune(target)).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn more_than_there_is() {
    let model = small().model(&["y"]);
    let macs = 8 * 27 * 16 + 4 * 8 * 16;
    let least = 27 * 16 + 4 * 16;
    let said = refused(&model, 1, &Target::Ratio(0.9));
    let expected = format!(
        "{:.3} of {:.3} million multiplications cannot be left: the fewest are {:.3} ({:.1} % removed)",
        (macs as f64 * 0.1).floor() / 1e6,
        macs as f64 / 1e6,
        least as f64 / 1e6,
        87.5
    );
    assert_eq!(said, expected);
    assert!(refused(&model, 1, &Target::Macs(10)).contains("cannot be left"));
    let never = |_: &ModelProto| Ok(0.5);
    let said = refused(&model, 1, &Target::Drop(0.01, &never));
    assert_eq!(said, "nothing can be removed within a drop of 1.00 %: the smallest step tried loses 50.00 %");
}

#[test]
fn models_that_are_not_for_this() {
    let said = refused(&small().model(&["y"]), 0, &Target::Ratio(0.1));
    assert_eq!(said, "there are no samples to calibrate with");

    let mut quantised = small();
    quantised.graph.initializer.push(build::floats("scale", &[0.1]));
    quantised.graph.initializer.push(build::tensor("zero", DataType::Int8, vec![], vec![0]));
    let q = quantised.add("q", NodeBuilder::new("QuantizeLinear", ["y", "scale", "zero"]));
    let z = quantised.add("z", NodeBuilder::new("DequantizeLinear", [&q, "scale", "zero"]));
    let said = refused(&quantised.model(&[&z]), 1, &Target::Ratio(0.1));
    let expected =
        "node \"q\" (QuantizeLinear): the model is quantised already: give the float model that it was made of";
    assert_eq!(said, expected);

    let mut broken = small();
    broken.graph.initializer[0].float_data[3] = f32::NAN;
    let name = broken.graph.initializer[0].name.clone();
    let said = refused(&broken.model(&["y"]), 1, &Target::Ratio(0.1));
    assert!(
        said.starts_with(&format!("node \"a\" (Conv): its weights {name:?} hold values that are not finite")),
        "{said}"
    );

    let mut only = Net::new(&[1, 3, 4, 4]);
    only.conv("y", "x", [8, 3, 3, 3], 1);
    let said = refused(&only.model(&["y"]), 1, &Target::Ratio(0.1));
    assert_eq!(said, "no channel of this model can be removed");
}

#[test]
fn weights_stored_as_bytes_are_floats() {
    let mut net = small();
    let bytes: Vec<u8> = (0..32).map(|i| (i * 7 % 256) as u8).collect();
    net.graph.initializer.push(build::tensor("w8", DataType::Int8, vec![4, 8, 1, 1], bytes));
    net.graph.initializer.push(build::floats("scales", &[0.1, 0.2, 0.3, 0.4]));
    net.graph.initializer.push(build::tensor("zeros", DataType::Int8, vec![4], vec![0, 1, 2, 3]));
    let stored = NodeBuilder::new("DequantizeLinear", ["w8", "scales", "zeros"]).int("axis", 0);
    let w = net.add("w", stored);
    net.graph.node.last_mut().unwrap().name = "stored".into();
    let last = net.graph.node.iter_mut().find(|node| node.name == "y").unwrap();
    last.input.truncate(1);
    last.input.push(w);
    net.graph.node.sort_by_key(|node| node.op_type != "DequantizeLinear");
    assert_eq!(pruned_is_zeroed(&net.model(&["y"]), &[1, 3, 4, 4], 0.5, 1), ["a: 3 → 4", "y: 4 → 4"]);
}

#[test]
fn a_model_that_differs_is_not_given() {
    let samples = samples(&[1, 3, 4, 4], 1);
    let (one, other) = (small().model(&["y"]), small());
    let mut other = other.model(&["y"]);
    other.graph.as_mut().unwrap().initializer[1].float_data[0] += 1.0;
    assert!(check::check(&one, &one, &Tract, &samples, &[0]).is_ok());
    let said = check::check(&one, &other, &Tract, &samples, &[0]).unwrap_err().to_string();
    assert!(said.starts_with("output \"y\" of the pruned model is not that of the whole one"), "{said}");
}

#[test]
fn steps_keep_whole_lanes() {
    let mut net = Net::new(&[1, 3, 4, 4]);
    let a = net.conv("a", "x", [22, 3, 3, 3], 1);
    let r = net.unary("r", "Relu", &a);
    let b = net.conv("b", &r, [3, 22, 1, 1], 1);
    net.conv("y", &b, [4, 3, 1, 1], 1);
    let layers = pruned_is_zeroed(&net.model(&["y"]), &[1, 3, 4, 4], 0.5, 4);
    assert_eq!(layers, ["a: 3 → 12", "b: 12 → 3", "y: 3 → 4"]);
}
