//! Models: bundles, loading, plans, bad files.

mod bad;
mod build;

use std::path::Path;

use leptond::frame::{Elements, ElementsMut};
use leptond::model::{Bundle, Engine, LoadedModel, ModelError, PlanKey};

use crate::common;

fn load(path: &Path) -> Result<LoadedModel, ModelError> {
    LoadedModel::load(&Bundle::open(path)?, 0, Engine::Auto, 1)
}

#[test]
fn every_shared_model_runs_or_says_which_node_it_cannot() {
    let Some(shared) = common::shared("every_shared_model_runs_or_says_which_node_it_cannot") else { return };
    for folder in ["mlperf-tiny", "vision"] {
        for entry in std::fs::read_dir(shared.join("models").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "onnx") {
                let mut plan = load(&path).and_then(|m| m.plan(PlanKey::default())).unwrap_or_else(|e| panic!("{e}"));
                plan.run().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert!(!plan.output(0).is_empty(), "{}", path.display());
            }
        }
    }
}

#[test]
fn a_batch_gives_the_same_as_its_items() {
    let Some(shared) = common::shared("a_batch_gives_the_same_as_its_items") else { return };
    let model = load(&shared.join("models/mlperf-tiny/kws01-int8.onnx")).unwrap();
    let mut one = model.plan(PlanKey::default()).unwrap();
    let mut three = model.plan(PlanKey { batch: Some(3), size: None }).unwrap();
    assert_eq!(three.outputs()[0].shape[0], 3);
    let value = |item: usize, i: usize| ((i * 7 + item * 31) % 256) as u8 as i8;
    let len = one.inputs()[0].shape.iter().product::<usize>();
    let ElementsMut::I8(all) = three.input_mut(0).data else { panic!("not i8") };
    all.iter_mut().enumerate().for_each(|(k, v)| *v = value(k / len, k % len));
    three.run().unwrap();
    for item in 0..3 {
        let ElementsMut::I8(x) = one.input_mut(0).data else { panic!("not i8") };
        x.iter_mut().enumerate().for_each(|(i, v)| *v = value(item, i));
        one.run().unwrap();
        let (Elements::I8(single), Elements::I8(all)) = (one.output(0).data, three.output(0).data) else {
            panic!("not i8")
        };
        assert_eq!(single, &all[item * single.len()..][..single.len()], "item {item}");
    }
}
