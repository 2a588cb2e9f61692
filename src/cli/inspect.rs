//! `leptond inspect`.

use super::open::{self, load};
use super::progress::spinner;
use super::{Failure, say};
use crate::model::report::{Arithmetic, PortReport, Report};
use crate::model::{Engine, PlanKey};

/// Arguments of `leptond inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Bundle directory, bundle name, .onnx or .tflite file
    model: String,
    /// List every node
    #[arg(long)]
    nodes: bool,
    /// Resolution of a picture input that the file leaves open
    #[arg(long, value_name = "HxW", value_parser = super::picture_size::parse)]
    size: Option<[usize; 2]>,
    #[command(flatten)]
    shapes: open::ShapeArgs,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let mut model = load(&args.model, Engine::Auto, 1, &args.shapes)?;
    let key = PlanKey { batch: None, size: args.size };
    super::picture_size::check(&model, key)?;
    open::settle(&mut model, key);
    let report = spinner("analysing", || model.report(key)).map_err(anyhow::Error::from)?;
    // Whatever cannot be compiled is worth knowing before it is deployed.
    spinner("compiling", || model.shapes(key).and_then(|shapes| model.compile(&shapes).map(drop)))
        .map_err(anyhow::Error::from)?;
    let shown = if args.json {
        serde_json::to_string(&report).map_err(anyhow::Error::from)?
    } else {
        text(&report, args.nodes)
    };
    say(&shown)
}

fn text(report: &Report, nodes: bool) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{}", text.trim_end());
    };
    line(format!("{} {}", report.name, report.version));
    line(format!("  task       {}", report.task));
    line(format!("  opset      {}, written by {}", report.opset, report.producer));
    line(match report.engine {
        "f32-qdq" => {
            "  engine     f32-qdq: quantised, but operators compute in floats between roundings to integers".into()
        }
        other => match report.kernels {
            Some(kernels) => format!("  engine     {other}, {kernels} kernels"),
            None => format!("  engine     {other}"),
        },
    });
    for (what, ports) in [("input", &report.inputs), ("output", &report.outputs)] {
        for port in ports {
            line(format!("  {what:<10} {}", describe(port)));
        }
    }
    if report.state.tensors > 0 {
        line(format!("  state      kept between runs: {} tensors, {} bytes", report.state.tensors, report.state.bytes));
    }
    line(format!("  weights    {:.1} KB", report.weights_bytes as f64 / 1e3));
    let (peak, sum) = (report.activation_peak_bytes as f64 / 1e3, report.activation_sum_bytes as f64 / 1e3);
    line(format!("  activation {peak:.1} KB at most at once, {sum:.1} KB together"));
    line(format!("  work       {:.3} MMAC", report.macs as f64 / 1e6));
    line(String::new());
    line(format!("  {:<22} {:>5} {:>9}  {:<8} {}", "operator", "count", "MMAC", "runs", "why"));
    for op in &report.operators {
        let mut kinds: Vec<(Arithmetic, &String, usize, u64)> = Vec::new();
        for node in report.nodes.iter().filter(|n| n.operator == op.operator) {
            match kinds.iter_mut().find(|(runs, why, ..)| *runs == node.runs && **why == node.why) {
                Some((_, _, count, macs)) => (*count, *macs) = (*count + 1, *macs + node.macs),
                None => kinds.push((node.runs, &node.why, 1, node.macs)),
            }
        }
        for (runs, why, count, macs) in kinds {
            let macs = macs as f64 / 1e6;
            line(format!("  {:<22} {count:>5} {macs:>9.3}  {:<8} {why}", op.operator, name(runs)));
        }
    }
    if nodes {
        line(String::new());
        for node in &report.nodes {
            let shape = node.shape.as_ref().map_or("?".into(), |s| format!("{s:?}"));
            let runs = name(node.runs);
            line(format!("  {:<18} {runs:<8} {shape:<18} {} ({})", node.operator, node.name, node.why));
        }
    }
    out
}

fn name(runs: Arithmetic) -> &'static str {
    match runs {
        Arithmetic::Integer => "integer",
        Arithmetic::Float => "float",
        Arithmetic::Folded => "folded",
    }
}

fn describe(port: &PortReport) -> String {
    let dims: Vec<String> = port.shape.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
    let quant = port.quant.map(|q| format!(", scale {} zero point {}", q.scale, q.zero_point)).unwrap_or_default();
    format!("{} {} [{}]{quant}", port.name, port.dtype, dims.join(", "))
}
