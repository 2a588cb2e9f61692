//! Whole models in partitions against results from elsewhere.

use std::path::Path;

use prost::Message;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::models::below;
use crate::int8::decompose;

/// The largest difference between what a model gives in partitions and what `expected0.npy` beside it says.
#[test]
#[ignore = "runs the models below LEPTOND_TEST_MODELS on the inputs beside them, in0.npy and so on"]
fn results() {
    let places = std::env::var_os("LEPTOND_TEST_MODELS").unwrap_or_default();
    let mut paths = Vec::new();
    std::env::split_paths(&places).for_each(|place| below(&place, &mut paths));
    for path in paths {
        match run(&path) {
            Ok(text) => println!("{}: {text}", path.display()),
            Err(error) => println!("{}: {error:?}", path.display()),
        }
    }
}

/// One model in partitions, as the daemon runs it.
fn run(path: &Path) -> TractResult<String> {
    let mut model = ModelProto::decode(&*std::fs::read(path)?)?;
    model.graph.iter_mut().for_each(decompose);
    let mut onnx = tract_onnx::onnx();
    crate::int8::op::register(&mut onnx);
    let beside = |name: String| std::fs::File::open(path.with_file_name(name));
    let mut inputs: TVec<TValue> = tvec!();
    while let Ok(file) = beside(format!("in{}.npy", inputs.len())) {
        inputs.push(npy(file)?.into());
    }
    let facts = |model: &mut InferenceModel| -> TractResult<()> {
        for (index, input) in inputs.iter().enumerate() {
            model.set_input_fact(index, InferenceFact::dt_shape(input.datum_type(), input.shape()))?;
        }
        model.analyse(false)?;
        Ok(())
    };
    let mut analysed = onnx.parse(&model, None)?.model;
    facts(&mut analysed)?;
    let rewritten = crate::int8::rewrite(&model, analysed, &onnx, 1)?;
    let mut inside = rewritten.model.context("nothing is in integers")?;
    facts(&mut inside)?;
    let steps = rewritten.plans.iter().flat_map(|plan| &plan.program.steps);
    let steps: Vec<String> =
        steps.map(|s| format!("{}{}", s.op, if s.table.is_some() { "+table" } else { "" })).collect();
    let found = inside.into_optimized()?.into_runnable()?.run(inputs)?;
    let expected = npy(beside("expected0.npy".into())?)?;
    let (found, expected) = (found[0].cast_to::<f32>()?, expected.cast_to::<f32>()?);
    ensure!(found.shape() == expected.shape(), "shape {:?}, expected {:?}", found.shape(), expected.shape());
    let pairs =
        found.try_as_plain_ram()?.as_slice::<f32>()?.iter().zip(expected.try_as_plain_ram()?.as_slice::<f32>()?);
    let differences: Vec<f32> = pairs.map(|(a, b)| (a - b).abs()).collect();
    let most = differences.iter().fold(0.0f32, |most, d| most.max(*d));
    let wrong = differences.iter().filter(|d| **d > 0.0).count();
    Ok(format!("{wrong} of {} differ, by {most} at most; {}", differences.len(), steps.join(" ")))
}

/// A file of numpy, version 1, little-endian and in C order.
fn npy(mut file: std::fs::File) -> TractResult<Tensor> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes)?;
    let start = 10 + usize::from(bytes[8]) + 256 * usize::from(bytes[9]);
    let header = std::str::from_utf8(&bytes[10..start])?;
    let between = |from: &str, to: char| header.split(from).nth(1).and_then(|rest| rest.split(to).next());
    let shape = between("'shape': (", ')').context("no shape")?.split(',').filter(|d| !d.trim().is_empty());
    let shape = shape.map(|d| Ok(d.trim().parse::<usize>()?)).collect::<TractResult<Vec<_>>>()?;
    let data = &bytes[start..];
    match between("'descr': '", '\'').context("no type")?.trim_start_matches(['<', '|']) {
        "f4" => {
            let floats: Vec<f32> = data.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
            Tensor::from_shape(&shape, &floats)
        }
        "u1" => Tensor::from_shape(&shape, data),
        "i1" => Tensor::from_shape(&shape, &data.iter().map(|&b| b as i8).collect::<Vec<_>>()),
        other => bail!("type {other}"),
    }
}
