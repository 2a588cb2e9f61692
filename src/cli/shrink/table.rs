//! Words of `leptond shrink`: the table of all forms.

use super::point::{Point, Standing};
use crate::cli::Failure;
use crate::cli::output::say;

/// Shows all forms, those that no other one beats marked, and the rungs.
pub(super) fn show(points: &[Point], standings: &[Standing]) -> Result<(), Failure> {
    let width = points.iter().map(|point| point.name().len()).max().unwrap_or(0).max(4);
    let measure = points.first().map_or("", |point| point.judged.measure);
    say(&format!(
        "{:width$}  {:>9}  {:>9}  {:>9}  {:>6}  {:>8}  {:>17}",
        "form", "MMAC", "KB", "ms", "time", "accuracy", "points lost"
    ))?;
    for (point, standing) in points.iter().zip(standings) {
        let mark = match standing.rung {
            Some(0) => "  main",
            Some(rung) => &format!("  rung {rung}"),
            None if standing.front => "  front",
            None => "",
        };
        say(format!(
            "{:width$}  {:>9.3}  {:>9.1}  {:>9.3}  {:>6.2}  {:>6.2} %  {:>17}{mark}",
            point.name(),
            point.macs as f64 / 1e6,
            point.file.len() as f64 / 1e3,
            point.ms,
            point.judged.time_ratio,
            100.0 * point.judged.value,
            lost(point),
        )
        .trim_end())?;
    }
    say(&format!(
        "accuracy: {measure}; time: of that of the float model, by turns; front: no other form is as good and faster"
    ))
}

/// Points lost against the float model, with half of their interval of 95 %.
fn lost(point: &Point) -> String {
    match point.judged.difference {
        None => String::new(),
        Some((value, None)) => format!("{:.2}", -100.0 * value),
        Some((value, Some(interval))) => {
            let lost = -100.0 * value;
            // No minus before what is rounded to nothing.
            format!("{:.2} ± {:.2}", if lost.abs() < 0.005 { 0.0 } else { lost }, 50.0 * (interval.high - interval.low))
        }
    }
}
