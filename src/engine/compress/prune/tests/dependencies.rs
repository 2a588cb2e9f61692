//! Each kind of dependency on a net that has it.

use super::*;

fn check(net: Net, output: &str, expected: &[&str]) {
    let shape = net.shape.clone();
    assert_eq!(pruned_is_zeroed(&net.model(&[output]), &shape, 0.7, 1), expected);
}

#[test]
fn a_chain() {
    let mut net = Net::new(&[1, 3, 6, 6]);
    let a = net.conv("a", "x", [8, 3, 3, 3], 1);
    let r = net.unary("r", "Relu", &a);
    let b = net.conv("b", &r, [6, 8, 3, 3], 1);
    let s = net.unary("s", "HardSwish", &b);
    let y = net.conv("y", &s, [5, 6, 1, 1], 1);
    check(net, &y, &["a: 3 → 4", "b: 4 → 3", "y: 3 → 5"]);
}

#[test]
fn residual_sums_keep_the_same_channels() {
    for operator in ["Add", "Mul", "Sub", "Max"] {
        let mut net = Net::new(&[1, 3, 6, 6]);
        let stem = net.conv("stem", "x", [8, 3, 3, 3], 1);
        let r = net.unary("r", "Relu", &stem);
        let a = net.conv("a", &r, [8, 8, 3, 3], 1);
        let sum = net.add("sum", NodeBuilder::new(operator, [&a, &r]));
        let scale = net.floats(&[8, 1, 1]);
        let scaled = net.add("scaled", NodeBuilder::new("Mul", [&scale, &sum]));
        let y = net.conv("y", &scaled, [4, 8, 1, 1], 1);
        let model = net.model(&[&y]);
        let layers = pruned_is_zeroed(&model, &[1, 3, 6, 6], 0.5, 1);
        assert_eq!(layers.len(), 3);
        let kept = layers[0].rsplit(' ').next().unwrap();
        assert_eq!(layers[1], format!("a: {kept} → {kept}"), "{operator}");
        assert!(kept != "8", "{operator}");
    }
}

#[test]
fn joined_channels_and_their_offsets() {
    let mut net = Net::new(&[1, 3, 5, 5]);
    let a = net.conv("a", "x", [4, 3, 1, 1], 1);
    let b = net.conv("b", "x", [6, 3, 3, 3], 1);
    let both = net.add("both", NodeBuilder::new("Concat", [a.as_str(), "x", &b]).int("axis", 1));
    let r = net.unary("r", "Sigmoid", &both);
    let y = net.conv("y", &r, [4, 13, 3, 3], 1);
    check(net, &y, &["a: 3 → 2", "b: 3 → 2", "y: 7 → 4"]);
}

#[test]
fn split_and_sliced_channels() {
    let mut net = Net::new(&[1, 3, 5, 5]);
    let a = net.conv("a", "x", [12, 3, 3, 3], 1);
    let sizes = net.ints(&[8, 4]);
    net.node(NodeBuilder::new("Split", [&a, &sizes]).int("axis", 1).named("split", ["left", "right"]));
    let (start, end, axis) = (net.ints(&[2]), net.ints(&[6]), net.ints(&[1]));
    let part = net.add("part", NodeBuilder::new("Slice", ["left", &start, &end, &axis]));
    let picks = net.ints(&[7, 0, -8, 3]);
    let picked = net.add("picked", NodeBuilder::new("Gather", ["left", &picks]).int("axis", 1));
    let sum = net.add("sum", NodeBuilder::new("Add", ["right", &part]));
    let more = net.add("more", NodeBuilder::new("Concat", [&sum, &picked]).int("axis", 1));
    let r = net.unary("r", "Relu", &more);
    let y = net.conv("y", &r, [4, 8, 1, 1], 1);
    let shape = net.shape.clone();
    let layers = pruned_is_zeroed(&net.model(&[&y]), &shape, 0.85, 1);
    assert!(!layers[0].ends_with("12") && !layers[1].contains(" 8 "), "{layers:?}");
}

#[test]
fn a_split_into_equal_pieces_may_become_unequal() {
    let mut net = Net::new(&[1, 3, 5, 5]);
    let a = net.conv("a", "x", [12, 3, 3, 3], 1);
    net.node(NodeBuilder::new("Split", [&a]).int("axis", 1).named("split", ["one", "two", "three"]));
    let one = net.conv("b", "one", [4, 4, 3, 3], 1);
    let two = net.conv("c", "two", [4, 4, 1, 1], 1);
    let sum = net.add("sum", NodeBuilder::new("Add", [&one, &two]));
    let three = net.unary("r", "Relu", "three");
    let all = net.add("all", NodeBuilder::new("Concat", [&sum, &three]).int("axis", 1));
    let y = net.conv("y", &all, [2, 8, 1, 1], 1);
    let shape = net.shape.clone();
    let layers = pruned_is_zeroed(&net.model(&[&y]), &shape, 0.85, 1);
    assert!(!layers[0].ends_with("12"), "{layers:?}");
}

#[test]
fn depthwise_layers_go_with_their_channels() {
    let mut net = Net::new(&[1, 3, 6, 6]);
    let a = net.conv("a", "x", [8, 3, 1, 1], 1);
    let r = net.unary("r", "Relu", &a);
    let d = net.conv("d", &r, [8, 1, 3, 3], 8);
    let twice = net.conv("twice", &d, [16, 1, 3, 3], 8);
    let y = net.conv("y", &twice, [4, 16, 1, 1], 1);
    check(net, &y, &["a: 3 → 3", "d: 3 → 3", "twice: 3 → 6", "y: 6 → 4"]);
}

#[test]
fn groups_stay_equal() {
    let mut net = Net::new(&[1, 3, 6, 6]);
    let a = net.conv("a", "x", [8, 3, 3, 3], 1);
    let r = net.unary("r", "Relu", &a);
    let g = net.conv("g", &r, [12, 4, 3, 3], 2);
    let s = net.unary("s", "Relu", &g);
    let y = net.conv("y", &s, [4, 12, 1, 1], 1);
    check(net, &y, &["a: 3 → 4", "g: 4 → 6", "y: 6 → 4"]);
}

#[test]
fn squeeze_and_excitation() {
    for matrix in [false, true] {
        let mut net = Net::new(&[1, 3, 6, 6]);
        let a = net.conv("a", "x", [8, 3, 3, 3], 1);
        let r = net.unary("r", "Relu", &a);
        let pooled = net.unary("pooled", "GlobalAveragePool", &r);
        let gate = if matrix {
            let flat = net.unary("flat", "Flatten", &pooled);
            let (w, b, v) = (net.floats(&[4, 8]), net.floats(&[4]), net.floats(&[4, 8]));
            let down = NodeBuilder::new("Gemm", [&flat, &w, &b]).int("transB", 1);
            let down = net.add("down", down);
            let relu = net.unary("relu", "Relu", &down);
            let up = net.add("up", NodeBuilder::new("MatMul", [&relu, &v]));
            let shape = net.ints(&[-1, 8, 1, 1]);
            net.add("shaped", NodeBuilder::new("Reshape", [&up, &shape]))
        } else {
            let down = net.conv("down", &pooled, [4, 8, 1, 1], 1);
            let relu = net.unary("relu", "Relu", &down);
            net.conv("up", &relu, [8, 4, 1, 1], 1)
        };
        let gate = net.unary("gate", "HardSigmoid", &gate);
        let gated = net.add("gated", NodeBuilder::new("Mul", [&r, &gate]));
        let y = net.conv("y", &gated, [4, 8, 1, 1], 1);
        let shape = net.shape.clone();
        let layers = pruned_is_zeroed(&net.model(&[&y]), &shape, 0.85, 1);
        let kept = layers[0].rsplit(' ').next().unwrap();
        assert!(kept != "8" && layers[2].ends_with(kept) && layers[3] == format!("y: {kept} → 4"), "{layers:?}");
    }
}

#[test]
fn normalisation_and_slopes() {
    let mut net = Net::new(&[1, 3, 6, 6]);
    let a = net.conv("a", "x", [8, 3, 3, 3], 1);
    let r = net.unary("r", "Relu", &a);
    let list: Vec<String> = (0..6).map(|_| net.floats(&[8])).collect();
    let squares = net.graph.initializer.iter_mut().find(|tensor| tensor.name == list[3]).unwrap();
    squares.float_data.iter_mut().for_each(|v| *v = v.abs() + 0.5);
    let norm = NodeBuilder::new("BatchNormalization", [&r, &list[0], &list[1], &list[2], &list[3]]);
    let norm = net.add("norm", norm);
    let instance = net.add("instance", NodeBuilder::new("InstanceNormalization", [&norm, &list[4], &list[5]]));
    let slope = net.floats(&[8, 1, 1]);
    let p = net.add("p", NodeBuilder::new("PRelu", [&instance, &slope]));
    let y = net.conv("y", &p, [4, 8, 1, 1], 1);
    check(net, &y, &["a: 3 → 3", "y: 3 → 4"]);
}

#[test]
fn flattened_channels_are_runs_of_pixels() {
    for reshape in [false, true] {
        let mut net = Net::new(&[2, 3, 4, 4]);
        let a = net.conv("a", "x", [8, 3, 3, 3], 1);
        let r = net.unary("r", "Relu", &a);
        let pool = NodeBuilder::new("MaxPool", [&r]).ints("kernel_shape", &[2, 2]).ints("strides", &[2, 2]);
        let pool = net.add("pool", pool);
        let flat = if reshape {
            let shape = net.ints(&[0, 32]);
            net.add("flat", NodeBuilder::new("Reshape", [&pool, &shape]))
        } else {
            net.unary("flat", "Flatten", &pool)
        };
        let (w, b) = (net.floats(&[32, 6]), net.floats(&[6]));
        let dense = net.add("dense", NodeBuilder::new("Gemm", [&flat, &w, &b]));
        let relu = net.unary("relu", "Tanh", &dense);
        let (v, c) = (net.floats(&[6, 3]), net.floats(&[3]));
        let product = net.add("product", NodeBuilder::new("MatMul", [&relu, &v]));
        let y = net.add("y", NodeBuilder::new("Add", [&product, &c]));
        check(net, &y, &["a: 3 → 3", "dense: 12 → 3", "product: 3 → 3"]);
    }
}

#[test]
fn channels_last() {
    let mut net = Net::new(&[1, 6, 6, 3]);
    let first = net.add("first", NodeBuilder::new("Transpose", ["x"]).ints("perm", &[0, 3, 1, 2]));
    let a = net.conv("a", &first, [8, 3, 3, 3], 1);
    let last = net.add("last", NodeBuilder::new("Transpose", [&a]).ints("perm", &[0, 2, 3, 1]));
    let bias = net.floats(&[8]);
    let sum = net.add("sum", NodeBuilder::new("Add", [&last, &bias]));
    let r = net.unary("r", "Relu", &sum);
    let pads = net.ints(&[0, 1, 1, 0, 0, 1, 1, 0]);
    let padded = net.add("padded", NodeBuilder::new("Pad", [&r, &pads]));
    let w = net.floats(&[8, 6]);
    let m = net.add("m", NodeBuilder::new("MatMul", [&padded, &w]));
    let axes = NodeBuilder::new("ReduceMean", [&m]).ints("axes", &[1, 2]).int("keepdims", 0);
    let mean = net.add("mean", axes);
    let v = net.floats(&[6, 4]);
    let y = net.add("y", NodeBuilder::new("MatMul", [&mean, &v]));
    let shape = net.shape.clone();
    let layers = pruned_is_zeroed(&net.model(&[&y]), &shape, 0.85, 1);
    assert!(!layers[0].ends_with('8') && layers[2].ends_with("→ 4"), "{layers:?}");
}

#[test]
fn transposed_convolutions_and_larger_pictures() {
    let mut net = Net::new(&[1, 3, 4, 4]);
    let a = net.conv("a", "x", [8, 3, 3, 3], 1);
    let (w, b) = (net.floats(&[8, 6, 2, 2]), net.floats(&[6]));
    let up = net.add("up", NodeBuilder::new("ConvTranspose", [&a, &w, &b]).ints("strides", &[2, 2]));
    let r = net.unary("r", "LeakyRelu", &up);
    let v = net.floats(&[6, 1, 2, 2]);
    let own = NodeBuilder::new("ConvTranspose", [&r, &v]).ints("strides", &[2, 2]).int("group", 6);
    let own = net.add("own", own);
    let g = net.floats(&[6, 2, 1, 1]);
    let grouped = net.add("grouped", NodeBuilder::new("ConvTranspose", [&own, &g]).int("group", 2));
    net.graph.initializer.push(build::floats("scales", &[1.0, 1.0, 2.0, 2.0]));
    let large = net.add("large", NodeBuilder::new("Resize", [&grouped, "", "scales"]).text("mode", "nearest"));
    let y = net.conv("y", &large, [2, 4, 1, 1], 1);
    let shape = net.shape.clone();
    let layers = pruned_is_zeroed(&net.model(&[&y]), &shape, 0.85, 1);
    assert!(!layers[0].ends_with('8') && !layers[1].ends_with('6') && !layers[3].ends_with('4'), "{layers:?}");
}

#[test]
fn shuffled_channels() {
    let mut net = Net::new(&[1, 3, 4, 4]);
    let a = net.conv("a", "x", [16, 3, 3, 3], 1);
    let r = net.unary("r", "Relu", &a);
    let g = net.conv("g", &r, [16, 8, 1, 1], 2);
    let (apart, whole) = (net.ints(&[1, 2, 8, 4, 4]), net.ints(&[1, 16, 4, 4]));
    let apart = net.add("apart", NodeBuilder::new("Reshape", [&g, &apart]));
    let turned = net.add("turned", NodeBuilder::new("Transpose", [&apart]).ints("perm", &[0, 2, 1, 3, 4]));
    let shuffled = net.add("shuffled", NodeBuilder::new("Reshape", [&turned, &whole]));
    let d = net.conv("d", &shuffled, [16, 1, 3, 3], 16);
    let h = net.conv("h", &d, [12, 8, 1, 1], 2);
    let y = net.conv("y", &h, [4, 12, 1, 1], 1);
    let shape = net.shape.clone();
    let layers = pruned_is_zeroed(&net.model(&[&y]), &shape, 0.85, 1);
    assert!(!layers[0].ends_with("16") && !layers[1].ends_with("16") && !layers[3].ends_with("12"), "{layers:?}");
}

#[test]
fn blocks_of_pixels() {
    for mode in ["DCR", "CRD"] {
        let mut net = Net::new(&[1, 3, 4, 4]);
        let a = net.conv("a", "x", [16, 3, 3, 3], 1);
        let d = net.add("d", NodeBuilder::new("DepthToSpace", [&a]).int("blocksize", 2).text("mode", mode));
        let r = net.unary("r", "Relu", &d);
        let s = net.add("s", NodeBuilder::new("SpaceToDepth", [&r]).int("blocksize", 2));
        let y = net.conv("y", &s, [4, 16, 1, 1], 1);
        check(net, &y, &["a: 3 → 4", "y: 4 → 4"]);
    }
}

#[test]
fn shapes_that_the_graph_computes() {
    let mut net = Net::new(&[1, 3, 4, 4]);
    let a = net.conv("a", "x", [8, 3, 3, 3], 1);
    let r = net.unary("r", "Relu", &a);
    let shape = net.unary("shape", "Shape", &r);
    let (start, end, larger) = (net.ints(&[0]), net.ints(&[2]), net.ints(&[8, 8]));
    let front = net.add("front", NodeBuilder::new("Slice", [&shape, &start, &end]));
    let sizes = net.add("sizes", NodeBuilder::new("Concat", [&front, &larger]).int("axis", 0));
    let large = net.add("large", NodeBuilder::new("Resize", [&r, "", "", &sizes]).text("mode", "nearest"));
    let b = net.conv("b", &large, [8, 8, 3, 3], 1);
    let of_b = net.unary("of_b", "Shape", &b);
    let (zero, rest) = (net.ints(&[0]), net.ints(&[-1]));
    let batch = net.add("batch", NodeBuilder::new("Gather", [&of_b, &zero]));
    let target = net.add("target", NodeBuilder::new("Concat", [&batch, &rest]).int("axis", 0));
    let flat = net.add("flat", NodeBuilder::new("Reshape", [&b, &target]));
    let w = net.floats(&[512, 2]);
    let y = net.add("y", NodeBuilder::new("MatMul", [&flat, &w]));
    let shape = net.shape.clone();
    let layers = pruned_is_zeroed(&net.model(&[&y]), &shape, 0.85, 1);
    assert!(!layers[0].ends_with('8') && !layers[1].ends_with('8'), "{layers:?}");
}

#[test]
fn attention_keeps_what_is_summed() {
    let mut net = Net::new(&[1, 5, 8]);
    let dense = |net: &mut Net, name: &str, from: &str, shape: [usize; 2]| {
        let w = net.floats(&shape);
        net.add(name, NodeBuilder::new("MatMul", [from, &w]))
    };
    let (q, k, v) =
        (dense(&mut net, "q", "x", [8, 6]), dense(&mut net, "k", "x", [8, 6]), dense(&mut net, "v", "x", [8, 6]));
    let turned = net.add("turned", NodeBuilder::new("Transpose", [&k]).ints("perm", &[0, 2, 1]));
    let scores = net.add("scores", NodeBuilder::new("MatMul", [&q, &turned]));
    let weights = net.add("weights", NodeBuilder::new("Softmax", [&scores]).int("axis", -1));
    let mixed = net.add("mixed", NodeBuilder::new("MatMul", [&weights, &v]));
    let y = dense(&mut net, "y", &mixed, [6, 4]);
    check(net, &y, &["q: 8 → 6", "k: 8 → 6", "v: 8 → 2", "y: 2 → 4"]);
}

#[test]
fn what_is_not_understood_keeps_its_channels() {
    let mut net = Net::new(&[1, 3, 4, 4]);
    let a = net.conv("a", "x", [8, 3, 3, 3], 1);
    let b = net.conv("b", "x", [8, 3, 3, 3], 1);
    let sum = net.add("sum", NodeBuilder::new("CumSum", [a.as_str(), "one"]));
    net.graph.initializer.push(tensor::write("one", &tensor0(1i64)).unwrap());
    let both = net.add("both", NodeBuilder::new("Concat", [&sum, &b]).int("axis", 1));
    let y = net.conv("y", &both, [4, 16, 1, 1], 1);
    let model = net.model(&[&y]);
    let layers = pruned_is_zeroed(&model, &[1, 3, 4, 4], 0.5, 1);
    assert!(layers[0] == "a: 3 → 8" && !layers[1].ends_with('8'), "{layers:?}");
    let samples = samples(&[1, 3, 4, 4], 1);
    let pruner = Pruner::new(&model, &Tract, &samples, &[0], plain(1)).unwrap();
    let kept = &pruner.prune(&Target::Ratio(0.1)).unwrap().kept;
    assert_eq!((kept[0].node.as_str(), kept[0].operator.as_str()), ("sum", "CumSum"));
}

#[test]
fn weights_of_two_layers_are_cut_for_each() {
    let mut net = Net::new(&[1, 4, 4, 4]);
    let w = net.floats(&[4, 4, 3, 3]);
    let conv = |from: &str| NodeBuilder::new("Conv", [from, &w]).ints("pads", &[1; 4]);
    let a = net.add("a", conv("x"));
    let r = net.unary("r", "Relu", &a);
    let b = net.add("b", conv(&r));
    let y = net.add("y", conv(&b));
    check(net, &y, &["a: 4 → 2", "b: 2 → 2", "y: 2 → 4"]);
}
