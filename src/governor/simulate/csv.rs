//! A run as a table: one row a simulated second.

use std::io::{self, Write};

use super::run::Row;

/// The columns.
pub const HEADER: &str = "t_s,ambient_celsius,soc_celsius,clock_mhz,throttled,cpu_percent,rung,interval_ms,resolution,batch,\
inferences,p95_ms,deadline_met,objects,open,state,reason";

/// Writes the rows; what a second has no value for is `nan`.
///
/// # Errors
/// Those of the writer.
pub fn write(rows: &[Row], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{HEADER}")?;
    let number =
        |value: f64, digits: usize| if value.is_nan() { "nan".to_owned() } else { format!("{value:.digits$}") };
    for row in rows {
        writeln!(
            out,
            "{},{:.2},{:.2},{:.0},{},{:.1},{},{},{},{},{},{},{},{},{},{},{}",
            row.t_s,
            row.ambient_celsius,
            row.soc_celsius,
            row.clock_mhz,
            u8::from(row.throttled),
            row.cpu_percent,
            row.rung,
            number(row.interval_ms, 1),
            row.resolution,
            row.batch,
            row.inferences,
            number(row.p95_ms, 2),
            number(row.deadline_met, 4),
            row.objects,
            u8::from(row.open),
            row.state,
            quoted(&row.reason),
        )?;
    }
    Ok(())
}

/// A text field (RFC 4180): quoted where it holds a comma, a quote or a line break.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
