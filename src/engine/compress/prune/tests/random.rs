//! Nets put together at random.

use proptest::prelude::*;

use super::*;

/// Appends blocks as `choices` say to a net of `x`; every tensor has the picture's size.
fn grown(choices: &[(u8, u8, u8)]) -> ModelProto {
    let mut net = Net::new(&[1, 4, 4, 4]);
    let first = net.conv("first", "x", [8, 4, 3, 3], 1);
    let mut made: Vec<(String, usize)> = vec![(first, 8)];
    for (index, &(kind, from, size)) in choices.iter().enumerate() {
        let (a, channels) = made[from as usize % made.len()].clone();
        let (b, others) = made[size as usize % made.len()].clone();
        let name = |part: &str| format!("{part}{index}");
        let outputs = 4 * (1 + size as usize % 3);
        let next = match kind % 12 {
            0 => (net.conv(&name("conv"), &a, [outputs, channels, 3, 3], 1), outputs),
            1 => (net.conv(&name("own"), &a, [channels, 1, 3, 3], channels), channels),
            2 if channels % 2 == 0 => (net.conv(&name("grouped"), &a, [outputs, channels / 2, 1, 1], 2), outputs),
            3 if channels == others => (net.add(&name("sum"), NodeBuilder::new("Add", [&a, &b])), channels),
            4 => {
                let joined = NodeBuilder::new("Concat", [&a, &b]).int("axis", 1);
                (net.add(&name("joined"), joined), channels + others)
            }
            5 => (net.unary(&name("relu"), "Relu", &a), channels),
            6 if channels % 2 == 0 => {
                let (left, right) = (name("left"), name("right"));
                let split = NodeBuilder::new("Split", [&a]).int("axis", 1).named(name("split"), [&left, &right]);
                net.node(split);
                made.push((right, channels / 2));
                (left, channels / 2)
            }
            7 if channels % 2 == 0 => {
                let half = channels as i64 / 2;
                let (apart, whole) = (net.ints(&[1, 2, half, 4, 4]), net.ints(&[1, 2 * half, 4, 4]));
                let apart = net.add(&name("apart"), NodeBuilder::new("Reshape", [&a, &apart]));
                let turned = NodeBuilder::new("Transpose", [&apart]).ints("perm", &[0, 2, 1, 3, 4]);
                let turned = net.add(&name("turned"), turned);
                (net.add(&name("shuffled"), NodeBuilder::new("Reshape", [&turned, &whole])), channels)
            }
            8 => {
                let pooled = net.unary(&name("pooled"), "GlobalAveragePool", &a);
                let down = net.conv(&name("down"), &pooled, [4, channels, 1, 1], 1);
                let up = net.conv(&name("up"), &down, [channels, 4, 1, 1], 1);
                let gate = net.unary(&name("gate"), "Sigmoid", &up);
                (net.add(&name("gated"), NodeBuilder::new("Mul", [&a, &gate])), channels)
            }
            9 => {
                let (start, end, axis) = (net.ints(&[1]), net.ints(&[channels as i64 - 1]), net.ints(&[1]));
                let part = NodeBuilder::new("Slice", [&a, &start, &end, &axis]);
                (net.add(&name("part"), part), channels - 2)
            }
            10 => {
                let scale = net.floats(&[1, channels, 1, 1]);
                (net.add(&name("scaled"), NodeBuilder::new("Mul", [&scale, &a])), channels)
            }
            11 => {
                let last = NodeBuilder::new("Transpose", [&a]).ints("perm", &[0, 2, 3, 1]);
                let last = net.add(&name("last"), last);
                let weights = net.floats(&[channels, outputs]);
                let product = net.add(&name("product"), NodeBuilder::new("MatMul", [&last, &weights]));
                let back = NodeBuilder::new("Transpose", [&product]).ints("perm", &[0, 3, 1, 2]);
                (net.add(&name("back"), back), outputs)
            }
            _ => continue,
        };
        if next.1 > 2 {
            made.push(next);
        }
    }
    // Everything that was made is read in the end.
    let all: Vec<String> = made.iter().map(|(name, _)| name.clone()).collect();
    let channels = made.iter().map(|(_, channels)| channels).sum();
    let joined = net.add("all", NodeBuilder::new("Concat", all).int("axis", 1));
    let y = net.conv("y", &joined, [3, channels, 1, 1], 1);
    net.model(&[&y])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn pruned_nets_are_zeroed_nets(
        choices in prop::collection::vec((0u8..12, any::<u8>(), any::<u8>()), 0..9),
        share in 0.1..1.0f64,
        step in 1usize..5,
    ) {
        let model = grown(&choices);
        pruned_is_zeroed(&model, &[1, 4, 4, 4], share, step);
    }
}
