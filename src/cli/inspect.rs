//! `leptond inspect`.

use super::Failure;
use super::infer::load;
use super::progress::spinner;
use crate::model::report::{Arithmetic, PortReport, Report};
use crate::model::{Engine, PlanKey};

/// Arguments of `leptond inspect`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Bundle directory, bundle name or .onnx file
    model: String,
    /// List every node
    #[arg(long)]
    nodes: bool,
    /// Resolution of a picture input that the file leaves open
    #[arg(long, value_name = "HxW", value_parser = super::bench::size)]
    size: Option<[usize; 2]>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let model = load(&args.model, Engine::Auto, 1)?;
    let key = PlanKey { batch: None, size: args.size };
    let report = spinner("analysing", || model.report(key)).map_err(anyhow::Error::from)?;
    // Whatever cannot be compiled is worth knowing before it is deployed.
    spinner("compiling", || model.shapes(key).and_then(|shapes| model.compile(&shapes).map(drop)))
        .map_err(anyhow::Error::from)?;
    if args.json {
        println!("{}", serde_json::to_string(&report).map_err(anyhow::Error::from)?);
    } else {
        print!("{}", text(&report, args.nodes));
    }
    Ok(())
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
    line(format!("  engine     {}", report.engine));
    for (what, ports) in [("input", &report.inputs), ("output", &report.outputs)] {
        for port in ports {
            line(format!("  {what:<10} {}", describe(port)));
        }
    }
    line(format!("  weights    {:.1} KB", report.weights_bytes as f64 / 1e3));
    let (peak, sum) = (report.activation_peak_bytes as f64 / 1e3, report.activation_sum_bytes as f64 / 1e3);
    line(format!("  activation {peak:.1} KB at most at once, {sum:.1} KB together"));
    line(format!("  work       {:.3} MMAC", report.macs as f64 / 1e6));
    line(String::new());
    line(format!("  {:<22} {:>6} {:>8} {:>6} {:>7} {:>9}", "operator", "count", "integer", "float", "folded", "MMAC"));
    for op in &report.operators {
        let macs = op.macs as f64 / 1e6;
        line(format!(
            "  {:<22} {:>6} {:>8} {:>6} {:>7} {macs:>9.3}",
            op.operator, op.count, op.integer, op.float, op.folded
        ));
    }
    if nodes {
        line(String::new());
        for node in &report.nodes {
            let runs = match node.runs {
                Arithmetic::Integer => "integer",
                Arithmetic::Float => "float",
                Arithmetic::Folded => "folded",
            };
            let shape = node.shape.as_ref().map_or("?".into(), |s| format!("{s:?}"));
            line(format!("  {:<18} {runs:<8} {shape:<18} {} ({})", node.operator, node.name, node.why));
        }
    }
    out
}

fn describe(port: &PortReport) -> String {
    let dims: Vec<String> = port.shape.iter().map(|d| d.map_or("?".into(), |d| d.to_string())).collect();
    let quant = port.quant.map(|q| format!(", scale {} zero point {}", q.scale, q.zero_point)).unwrap_or_default();
    format!("{} {} [{}]{quant}", port.name, port.dtype, dims.join(", "))
}
