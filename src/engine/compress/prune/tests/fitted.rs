//! Layers fitted to samples.

use super::*;

/// Samples whose channels 0 to 2 follow from two others, so that what is removed can be made up for.
fn dependent(count: usize) -> Vec<Vec<Tensor>> {
    let of = |index: u64| {
        let base = numbers(2 * 36, 50 + index);
        let values = [&base[..], &base[..36].iter().zip(&base[36..]).map(|(a, b)| a - b).collect::<Vec<_>>()].concat();
        vec![Tensor::from_shape(&[1, 3, 6, 6], &values).unwrap()]
    };
    (0..count as u64).map(of).collect()
}

fn net(bent: bool) -> ModelProto {
    let mut net = Net::new(&[1, 3, 6, 6]);
    let a = net.conv("a", "x", [12, 3, 1, 1], 1);
    let a = if bent { net.unary("r", "Relu", &a) } else { a };
    let d = net.conv("d", &a, [12, 1, 3, 3], 12);
    let g = net.conv("g", &d, [8, 6, 1, 1], 2);
    let t = net.floats(&[8, 4, 2, 2]);
    let up = net.add("up", NodeBuilder::new("ConvTranspose", [&g, &t]).ints("strides", &[2, 2]));
    let w = net.floats(&[3, 4, 3, 3]);
    let b = net.add("b", NodeBuilder::new("Conv", [&up, &w]));
    let pooled = net.unary("pooled", "GlobalAveragePool", &b);
    let flat = net.unary("flat", "Flatten", &pooled);
    let (v, c) = (net.floats(&[3, 5]), net.floats(&[5]));
    let m = net.add("m", NodeBuilder::new("MatMul", [&flat, &v]));
    let y = net.add("y", NodeBuilder::new("Add", [&m, &c]));
    net.model(&[&y])
}

fn loss(fit: bool, target: f64) -> f64 {
    let samples = dependent(40);
    let indices: Vec<usize> = (0..32).collect();
    let settings = Settings { method: Method::Activation, fit, step: 1, ..Settings::default() };
    let pruner = Pruner::new(&net(false), &Tract, &samples, &indices, settings).unwrap();
    let pruned = pruner.prune(&Target::Ratio(target)).unwrap();
    assert!(pruned.not_fitted.is_empty(), "{:?}", pruned.not_fitted);
    let (float, other) = (outputs(&net(false), &samples[32..]), outputs(&pruned.model, &samples[32..]));
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>();
    let error = mean(&mut float.iter().zip(&other).map(|(a, b)| f64::from(a - b).powi(2)));
    error / mean(&mut float.iter().map(|a| f64::from(*a).powi(2)))
}

#[test]
fn what_other_channels_say_is_kept() {
    for target in [0.2, 0.4] {
        let (without, with) = (loss(false, target), loss(true, target));
        assert!(with < 0.3 * without && with > 0.0, "{target}: {with} with a fit, {without} without");
    }
}

#[test]
fn a_drop_is_kept_within_its_bound() {
    let samples = dependent(24);
    let indices: Vec<usize> = (0..16).collect();
    let settings = Settings { method: Method::Activation, step: 1, ..Settings::default() };
    let pruner = Pruner::new(&net(true), &Tract, &samples, &indices, settings).unwrap();
    let all = pruner.macs() as f64;
    // A drop that is known for every model: the share that was removed.
    let measure = |model: &ModelProto| Ok(1.0 - counted(model, &samples[0]) as f64 / all);
    for most in [0.1, 0.4, 0.7] {
        let pruned = pruner.prune(&Target::Drop(most, &measure)).unwrap();
        let removed = 1.0 - pruned.macs.1 as f64 / all;
        assert!(removed <= most && removed > most - 0.1, "{removed} for {most}");
    }
}

#[test]
fn both_methods_choose_by_what_they_say() {
    let samples = samples(&[1, 3, 6, 6], 4);
    let mut net = Net::new(&[1, 3, 6, 6]);
    let a = net.conv("a", "x", [4, 3, 1, 1], 1);
    net.conv("y", &a, [2, 4, 1, 1], 1);
    // Channel 0 is large and hardly read, channel 1 small and read the most.
    let set = |net: &mut Net, at: usize, range: std::ops::Range<usize>, factor: f32| {
        net.graph.initializer[at].float_data[range].iter_mut().for_each(|v| *v *= factor);
    };
    set(&mut net, 0, 0..3, 3.0);
    set(&mut net, 0, 3..6, 0.1);
    for output in 0..2 {
        set(&mut net, 2, output * 4..output * 4 + 1, 0.001);
        net.graph.initializer[2].float_data[output * 4 + 1] = 100.0;
    }
    let model = net.model(&["y"]);
    let removed = |method| {
        let settings = Settings { method, ..plain(1) };
        let pruner = Pruner::new(&model, &Tract, &samples, &[0, 1, 2, 3], settings).unwrap();
        let scores = pruner.scores().unwrap();
        let own = &pruner.trace.layers[0].output;
        (0..4).min_by(|a, b| scores[&own[*a]].total_cmp(&scores[&own[*b]])).unwrap()
    };
    assert_eq!((removed(Method::Magnitude), removed(Method::Activation)), (1, 0));
}

/// A channel that two others make up is given up before any other, and the first of a pair of equal ones leaves all to the second.
#[test]
fn what_others_say_as_well_goes_first() {
    let samples = samples(&[1, 3, 6, 6], 8);
    let mut net = Net::new(&[1, 3, 6, 6]);
    let a = net.conv("a", "x", [6, 3, 3, 3], 1);
    let r = net.unary("r", "Relu", &a);
    net.conv("y", &r, [5, 6, 3, 3], 1);
    // Channel 4 is channel 1 again, and its readers take much of it.
    for (constant, size) in [(0, 27), (1, 1)] {
        let values = &mut net.graph.initializer[constant].float_data;
        values.copy_within(size..2 * size, 4 * size);
    }
    let weights = &mut net.graph.initializer[2].float_data;
    (0..5).for_each(|output| weights[(output * 6 + 4) * 9..][..9].iter_mut().for_each(|weight| *weight *= 3.0));
    let model = net.model(&["y"]);
    let settings = Settings { method: Method::Fitted, step: 1, ..Settings::default() };
    let indices: Vec<usize> = (0..8).collect();
    let pruner = Pruner::new(&model, &Tract, &samples, &indices, settings).unwrap();
    let (fitted, energy) = (pruner.scores().unwrap(), pruner.activation().unwrap());
    let own = pruner.trace.layers[0].output.clone();
    let least = |scores: &Scores| (0..6).min_by(|a, b| scores[&own[*a]].total_cmp(&scores[&own[*b]])).unwrap();
    assert!([1, 4].contains(&least(&fitted)) && least(&energy) != 4, "{fitted:?} {energy:?}");
    let (first, second) = (fitted[&own[1]].min(fitted[&own[4]]), fitted[&own[1]].max(fitted[&own[4]]));
    assert!(first < 0.02 && second > 10.0 * first, "{first} {second}");
    let all = pruner.macs();
    let one = pruner.prune(&Target::Macs(all - all / 6)).unwrap();
    let (float, other) = (outputs(&model, &samples), outputs(&one.model, &samples));
    let error: f64 = float.iter().zip(&other).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    assert!(error < 1e-3 * float.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>(), "{error}");
}
