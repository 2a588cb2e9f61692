//! `leptond check MODEL`: golden inputs in integers beside floats, and the layers where the two part.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::cli::open::{ShapeArgs, open};
use crate::cli::progress::spinner;
use crate::cli::words::counted;
use crate::cli::{Failure, say};
use crate::evaluate::{Agreements, Difference, agreement};
use crate::frame::Outcome;
use crate::model::layers::Layers;
use crate::model::{Bundle, Engine, Model, PlanKey};
use crate::pipeline::offline::{self, GoldenFailure};
use crate::pipeline::tensors::{self, Stored};
use crate::pipeline::{Planner, Stages};

/// Ratio of signal to noise below which integers and floats have parted, in dB: noise of a tenth of the signal.
const PARTED_DB: f64 = 20.0;

/// One layer over all inputs.
struct Row {
    node: String,
    operator: String,
    tensor: String,
    difference: Difference,
}

/// Layers of a model beside themselves in floats.
struct Found {
    name: String,
    /// Golden inputs, with those that fail in integers and in floats.
    golden: usize,
    failed: [Vec<GoldenFailure>; 2],
    inputs: usize,
    /// `None` of a model in floats.
    rows: Option<Vec<Row>>,
    agreements: Agreements,
}

/// Checks a model with `inputs`, or without any with its golden ones.
///
/// # Errors
/// [`Failure::Config`] when a golden input fails in integers.
pub(super) fn run(model: &str, inputs: &[PathBuf], shapes: &ShapeArgs, json: bool) -> Result<(), Failure> {
    let mut bundle = open(model)?;
    bundle.give_shapes(&shapes.shapes);
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(anyhow::anyhow!("{error}"));
    let mut results = [Vec::new(), Vec::new()];
    let golden = bundle.goldens().len();
    if golden > 0 {
        for (engine, results) in [Engine::Int8, Engine::F32].into_iter().zip(&mut results) {
            let run = spinner("running the golden inputs", || offline::golden(&bundle, engine));
            *results = run.map_err(|error| failed(&error))?.1;
        }
    }
    let goldens = || bundle.goldens().iter().map(|golden| bundle.path().join(&golden.file)).collect();
    let files: &Vec<PathBuf> = &if inputs.is_empty() { goldens() } else { inputs.to_vec() };
    let (rows, agreements) = spinner("comparing layers", || compare(&bundle, files)).map_err(|error| failed(&error))?;
    let found =
        Found { name: bundle.manifest().name.clone(), golden, failed: results, inputs: files.len(), rows, agreements };
    if json {
        say(&found.json().to_string())?;
    } else {
        say(&found.table())?;
    }
    match found.failed[0].first() {
        Some(GoldenFailure { file, reason }) => Err(Failure::Config(format!("{model}: golden input {file}: {reason}"))),
        None => Ok(()),
    }
}

/// Runs `files` through both arithmetics of the model, and through its layers.
fn compare(bundle: &Bundle, files: &[PathBuf]) -> anyhow::Result<(Option<Vec<Row>>, Agreements)> {
    let mut agreements = Agreements::default();
    let stages = |engine: Engine| -> anyhow::Result<(Planner, Stages)> {
        let planner = Planner::of_bundle(bundle.clone(), engine, 1)?;
        let stages = planner.stages(&planner.full())?;
        Ok((planner, stages))
    };
    let (integer, mut in_integers) = stages(Engine::Int8)?;
    let (float, mut in_floats) = stages(Engine::F32)?;
    let Some(Layers { integer: shown, float: exact, layers }) = integer.load(0)?.layers()? else {
        return Ok((None, agreements));
    };
    if files.is_empty() {
        return Ok((Some(Vec::new()), agreements));
    }
    let key = PlanKey { batch: Some(1), size: None };
    let (mut shown_plan, mut exact_plan) = (shown.compile_plan(key)?, exact.compile_plan(key)?);
    let mut rows: Vec<Row> = layers
        .iter()
        .map(|layer| Row {
            node: layer.node.clone(),
            operator: layer.operator.clone(),
            tensor: layer.tensor.clone(),
            difference: Difference::default(),
        })
        .collect();
    let own = in_integers.outputs().len();
    let outputs = shown_plan.outputs().iter().take(own).map(|output| output.name.clone()).collect::<Vec<_>>();
    rows.extend(outputs.into_iter().map(|name| Row {
        node: String::new(),
        operator: "output".into(),
        tensor: name,
        difference: Difference::default(),
    }));
    let places: Vec<(usize, usize)> =
        layers.iter().map(|layer| (layer.integer, layer.float)).chain((0..own).map(|index| (index, index))).collect();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for file in files {
        let wrong = |reason: String| anyhow::anyhow!("{}: {reason}", file.display());
        integer.forget(&mut in_integers)?;
        float.forget(&mut in_floats)?;
        let outcome = last_outcome(&mut in_integers, file).map_err(wrong)?;
        let reference = last_outcome(&mut in_floats, file).map_err(wrong)?;
        agreements.add(&agreement(&reference, &outcome));
        for plan in [&mut shown_plan, &mut exact_plan] {
            in_integers.copy_inputs(plan)?;
            plan.run()?;
        }
        for (row, (at_integer, at_float)) in rows.iter_mut().zip(&places) {
            exact_plan.output(*at_float).dequantize_into(&mut a);
            shown_plan.output(*at_integer).dequantize_into(&mut b);
            row.difference.add(&Difference::of(&a, &b));
        }
    }
    Ok((Some(rows), agreements))
}

/// The outcome for a file; of several frames or items in it, for the last one.
fn last_outcome(stages: &mut Stages, file: &Path) -> Result<Outcome, String> {
    if tensors::is_tensor(file) {
        let items = stages.items_of(Stored::read(file)?, None)?;
        stages.set_input(items.last().ok_or("it is empty")?).map_err(|e| e.to_string())?;
        stages.infer().map_err(|e| e.to_string())?;
        return Ok(stages.interpret(0, Duration::ZERO, SystemTime::UNIX_EPOCH).map_err(|e| e.to_string())?.outcome);
    }
    let mut source = offline::open(&file.display().to_string(), stages.spec()).map_err(|e| e.to_string())?;
    let (mut last, mut failed) = (None, None);
    let ran = offline::run(stages, source.as_mut(), |item| {
        match item.result {
            Ok(output) => last = Some(output.outcome),
            Err(error) => failed = Some(error),
        }
        failed.is_none()
    });
    ran.map_err(|e| e.to_string())?;
    match (failed, last) {
        (Some(error), _) => Err(error),
        (None, Some(outcome)) => Ok(outcome),
        (None, None) => Err("there is no whole picture or window in it".into()),
    }
}

impl Found {
    /// The first layer whose integers have parted from the floats.
    fn parts_at(&self) -> Option<usize> {
        let parted = |row: &Row| row.difference.noise > 0.0 && row.difference.sqnr_db().is_none_or(|db| db < PARTED_DB);
        self.rows.as_ref()?.iter().position(parted)
    }

    fn table(&self) -> String {
        let mut lines = vec![self.golden_words()];
        for (failed, arithmetic) in self.failed.iter().zip(["integers", "floats"]) {
            lines.extend(failed.iter().map(|one| format!("  in {arithmetic}: {}: {}", one.file, one.reason)));
        }
        let Some(rows) = &self.rows else {
            lines.push(
                "No activation of it is rounded to integers: it runs in floats, and there is nothing to part.".into(),
            );
            return lines.join("\n");
        };
        if rows.is_empty() {
            lines.push("It has no golden inputs: --input FILE gives one to compare its layers on.".into());
            return lines.join("\n");
        }
        if let Some(measure) = self.agreements.measure() {
            let (share, name) = (measure.share * 100.0, measure.name);
            lines.push(format!("Integers beside floats with the same roundings:\n  {share:.2} % {name}"));
        }
        lines.push(String::new());
        lines.push(format!(
            "Each layer in integers beside floats in the same ranges, over {}:",
            counted(self.inputs, "input")
        ));
        lines.push(format!("{:<38} {:<14} {:>7} {:>9} {:>8}", "layer", "operator", "SQNR dB", "largest", "of range"));
        let parts = self.parts_at();
        for (index, row) in rows.iter().enumerate() {
            let name = if row.node.is_empty() { &row.tensor } else { &row.node };
            let Difference { largest, range, broken, .. } = row.difference;
            let db = match row.difference.sqnr_db() {
                Some(db) if db.is_finite() => format!("{db:.1}"),
                Some(_) => "equal".into(),
                None if row.difference.signal == 0.0 && broken == 0 => "zeros".into(),
                None => "broken".into(),
            };
            let of_range = if range > 0.0 { format!("{:.1} %", largest / range * 100.0) } else { "-".into() };
            let operator: String = row.operator.chars().take(14).collect();
            lines.push(format!("{:<38} {operator:<14} {db:>7} {:>9} {of_range:>8}", clipped(name), short(largest)));
            if parts == Some(index) {
                lines.push(format!("  ^ the first below {PARTED_DB:.0} dB: here integers and floats part"));
            }
        }
        match (parts, self.largest_fall()) {
            (None, _) => lines.push(format!("No layer is below {PARTED_DB:.0} dB.")),
            (Some(_), Some((row, fall))) => {
                let name = if row.node.is_empty() { &row.tensor } else { &row.node };
                lines.push(format!("Most is lost at {} ({}),", clipped(name), row.operator));
                lines.push(format!("  {fall:.1} dB less than in the row above it."));
            }
            (Some(_), None) => {}
        }
        lines.join("\n")
    }

    /// The layer that loses most to the one before it, in dB.
    fn largest_fall(&self) -> Option<(&Row, f64)> {
        let rows = self.rows.as_ref()?;
        let db = |row: &Row| row.difference.sqnr_db().filter(|db| db.is_finite());
        let falls = rows.windows(2).filter_map(|pair| Some((&pair[1], db(&pair[0])? - db(&pair[1])?)));
        falls.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, fall)| *fall > 0.0)
    }

    fn golden_words(&self) -> String {
        match (self.golden, self.failed[0].len(), self.failed[1].len()) {
            (0, ..) => self.name.clone(),
            (all, 0, 0) => {
                format!("{}: {}, as they should be in integers and in floats", self.name, counted(all, "golden input"))
            }
            (all, integers, floats) => {
                format!(
                    "{}: of {}, {integers} fail in integers and {floats} in floats",
                    self.name,
                    counted(all, "golden input")
                )
            }
        }
    }

    fn json(&self) -> Value {
        let failed = |failed: &[GoldenFailure]| -> Value {
            failed.iter().map(|one| json!({ "file": one.file, "reason": one.reason })).collect()
        };
        let layers = self.rows.as_ref().map(|rows| -> Value {
            let layer = |row: &Row| json!({ "node": row.node, "operator": row.operator, "tensor": row.tensor, "difference": row.difference });
            rows.iter().map(layer).collect()
        });
        let parts_at = self.parts_at().and_then(|index| self.rows.as_ref()?.get(index)).map(|row| row.tensor.as_str());
        json!({
            "model": self.name,
            "golden": { "inputs": self.golden, "failed_in_integers": failed(&self.failed[0]), "failed_in_floats": failed(&self.failed[1]) },
            "inputs": self.inputs,
            "layers": layers,
            "parts_at": parts_at,
            "agreement": self.agreements.measure(),
        })
    }
}

/// A difference in at most nine characters.
fn short(value: f64) -> String {
    if value < 1000.0 { format!("{value:.4}") } else { format!("{value:.2e}") }
}

/// The end of a name, which tells more than its beginning.
fn clipped(name: &str) -> String {
    let count = name.chars().count();
    if count <= 38 { name.to_owned() } else { ['…'].into_iter().chain(name.chars().skip(count - 37)).collect() }
}
