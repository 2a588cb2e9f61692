//! Verdicts on whole models and on small graphs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost::Message;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{Fact as _, InferenceFact, InferenceModelExt, OutletId};
use tract_onnx::tract_hir::internal::{DimLike, Factoid};

use super::{Fact, Found, GraphProto, HashMap, Idle, Verdict, find_with};
use crate::int8::lower;

/// Type, shape and value of every tensor, from tract's analysis; open dimensions of inputs are taken from `open`.
fn facts(model: &ModelProto, open: &[usize]) -> HashMap<String, Fact> {
    let mut parsed = tract_onnx::onnx().parse(model, None).unwrap().model;
    for index in 0..parsed.inputs.len() {
        let fact = parsed.input_fact(index).unwrap().clone();
        let rank = fact.shape.rank().concretize().unwrap() as usize;
        let dims: Vec<usize> = (0..rank)
            .map(|axis| {
                let known = fact.shape.dim(axis).and_then(|d| d.concretize()).and_then(|d| d.to_usize().ok());
                known.unwrap_or_else(|| open.get(axis).copied().unwrap_or(1))
            })
            .collect();
        let dtype = fact.datum_type().unwrap();
        parsed.set_input_fact(index, InferenceFact::dt_shape(dtype, &dims)).unwrap();
    }
    parsed.analyse(false).unwrap();
    let mut facts = HashMap::new();
    for node in &parsed.nodes {
        for (slot, output) in node.outputs.iter().enumerate() {
            let name = parsed.outlet_label(OutletId::new(node.id, slot)).unwrap_or(&node.name).to_owned();
            let shape = output.fact.shape.concretize();
            let shape = shape.and_then(|s| s.iter().map(|d| d.to_usize().ok()).collect::<Option<Vec<_>>>());
            if let (Some(dtype), Some(shape)) = (output.fact.datum_type(), shape) {
                facts.insert(name, Fact { dtype, shape, value: output.fact.value.concretize() });
            }
        }
    }
    facts
}

fn opset(model: &ModelProto) -> i64 {
    model.opset_import.iter().find(|o| o.domain.is_empty()).map_or(0, |o| o.version)
}

/// Reads a model, gives names to nodes without one, and searches it.
fn search(path: &Path, open: &[usize]) -> (GraphProto, Found) {
    let mut model = ModelProto::decode(&*std::fs::read(path).unwrap()).unwrap();
    let opset = opset(&model);
    let graph = model.graph.as_mut().unwrap();
    graph.value_info.clear();
    for (index, node) in graph.node.iter_mut().enumerate() {
        if node.name.is_empty() {
            node.name = format!("{}_{index}", node.op_type);
        }
    }
    lower(graph);
    let facts = facts(&model, open);
    let graph = model.graph.unwrap();
    let idle = if std::env::var_os("LEPTOND_TEST_IDLE").is_some() { Idle::Keep } else { Idle::Drop };
    let found = find_with(&graph, opset, &facts, idle);
    assert_eq!(found.verdicts.len(), graph.node.len());
    (graph, found)
}

/// A line for each kind of verdict.
fn table(graph: &GraphProto, found: &Found) -> String {
    let mut lines: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for (node, verdict) in graph.node.iter().zip(&found.verdicts) {
        let line = match verdict {
            Verdict::Integer { island } => format!("island {island}"),
            Verdict::Float { why } => format!("float: {why}"),
            Verdict::Folded => "folded".to_owned(),
        };
        *lines.entry(line).or_default().entry(node.op_type.clone()).or_default() += 1;
    }
    let mut text = String::new();
    for (line, operators) in lines {
        let operators: Vec<String> = operators.iter().map(|(op, n)| format!("{n} {op}")).collect();
        text += &format!("    {line}: {}\n", operators.join(", "));
    }
    for (index, island) in found.islands.iter().enumerate() {
        let mut ops: BTreeMap<&str, usize> = BTreeMap::new();
        island.graph.nodes.iter().for_each(|n| *ops.entry(n.op.name()).or_default() += 1);
        let ports = |ports: &[crate::int8::graph::Port]| {
            ports.iter().map(|p| format!("{} {:?}", p.name, p.format)).collect::<Vec<_>>().join(", ")
        };
        let (inputs, outputs) = (ports(&island.graph.inputs), ports(&island.graph.outputs));
        text += &format!("    island {index}: {inputs} -> {ops:?} -> {outputs}\n");
    }
    text
}

fn models(directory: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.filter_map(|e| Some(e.ok()?.path())) {
        if path.is_dir() {
            models(&path, found);
        } else if path.extension().is_some_and(|e| e == "onnx") {
            found.push(path);
        }
    }
}

#[test]
fn print() {
    let Some(places) = std::env::var_os("LEPTOND_TEST_MODELS") else { return };
    let mut paths = Vec::new();
    std::env::split_paths(&places)
        .for_each(|place| if place.is_dir() { models(&place, &mut paths) } else { paths.push(place) });
    paths.sort();
    for path in paths {
        let searched = std::panic::catch_unwind(|| search(&path, &[1, 3, 32, 32]));
        match searched {
            Ok((graph, found)) => println!("{}\n{}", path.display(), table(&graph, &found)),
            Err(_) => println!("{}\n    PANIC", path.display()),
        }
    }
}
