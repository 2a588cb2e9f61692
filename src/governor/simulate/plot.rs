//! Temperature, rung and useful work over time, governed and not, as an SVG picture.

use std::fmt::Write as _;

use super::run::Row;
use super::scenario::Scenario;
use super::verdict::Report;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 30.0;
const PANEL: f64 = 150.0;
const GAP: f64 = 42.0;
const TOP: f64 = 78.0;

/// Useful work is shown as a mean over this many seconds.
const SMOOTHED_S: usize = 15;

const GOVERNED: &str = "#1f6fb4";
const UNGOVERNED: &str = "#c8553d";
const LIMIT: &str = "#888888";

/// One curve: its points, colour, and whether it goes in steps.
struct Curve {
    points: Vec<(f64, f64)>,
    colour: &'static str,
    steps: bool,
}

/// One panel with its curves.
struct Panel {
    title: String,
    range: (f64, f64),
    ticks: Vec<f64>,
    curves: Vec<Curve>,
    limits: Vec<(f64, &'static str)>,
}

/// Draws the report of a scenario on the board of this name.
pub fn svg(scenario: &Scenario, board: &str, report: &Report) -> String {
    let (governed, ungoverned) = (&report.governed.rows, &report.ungoverned.rows);
    let duration_s = f64::from(scenario.duration_s);
    let rungs = scenario.workload.rungs.len();
    let panels = [
        temperature(governed, ungoverned),
        clock(governed, ungoverned),
        useful(scenario, governed, ungoverned),
        Panel {
            title: "rung (0 = full work)".into(),
            range: ((rungs.max(2) - 1) as f64 + 0.3, -0.3),
            ticks: (0..rungs).step_by(rungs.div_ceil(6).max(1)).map(|r| r as f64).collect(),
            curves: vec![curve(governed, GOVERNED, true, |r| r.rung as f64)],
            limits: Vec::new(),
        },
    ];
    let height = TOP + panels.len() as f64 * (PANEL + GAP) + 8.0;
    let mut out = String::new();
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="#333">
<rect width="{WIDTH}" height="{height}" fill="white"/>
<text x="{LEFT}" y="24" font-size="16">{} ({board})</text>
<line x1="{LEFT}" y1="42" x2="{}" y2="42" stroke="{GOVERNED}" stroke-width="2"/><text x="{}" y="46">governed</text>
<line x1="{}" y1="42" x2="{}" y2="42" stroke="{UNGOVERNED}" stroke-width="2"/><text x="{}" y="46">not governed: the firmware throttles</text>"##,
        escaped(&scenario.name),
        LEFT + 24.0,
        LEFT + 30.0,
        LEFT + 110.0,
        LEFT + 134.0,
        LEFT + 140.0,
    );
    for (index, panel) in panels.iter().enumerate() {
        let last = index + 1 == panels.len();
        draw(&mut out, panel, TOP + index as f64 * (PANEL + GAP), duration_s, last);
    }
    out.push_str("</svg>\n");
    out
}

fn temperature(governed: &[Row], ungoverned: &[Row]) -> Panel {
    let all = governed.iter().chain(ungoverned).flat_map(|r| [r.soc_celsius, r.ambient_celsius]);
    let (low, high) = all.fold((f64::INFINITY, 84.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    let (low, high) = (((low - 2.0) / 10.0).floor() * 10.0, (high / 10.0).ceil() * 10.0);
    Panel {
        title: "die temperature in °C (thin: air)".into(),
        range: (low, high),
        ticks: steps(low, high, 10.0),
        curves: vec![
            curve(governed, "#9a9a9a", false, |r| r.ambient_celsius),
            curve(ungoverned, UNGOVERNED, false, |r| r.soc_celsius),
            curve(governed, GOVERNED, false, |r| r.soc_celsius),
        ],
        limits: vec![(80.0, "the firmware throttles from 80 °C")],
    }
}

fn clock(governed: &[Row], ungoverned: &[Row]) -> Panel {
    let most = governed.iter().chain(ungoverned).map(|r| r.clock_mhz).fold(100.0, f64::max);
    Panel {
        title: "clock in MHz".into(),
        range: (0.0, most * 1.08),
        ticks: steps(0.0, most, if most > 1600.0 { 800.0 } else { 500.0 }),
        curves: vec![
            curve(ungoverned, UNGOVERNED, false, |r| r.clock_mhz),
            curve(governed, GOVERNED, false, |r| r.clock_mhz),
        ],
        limits: Vec::new(),
    }
}

fn useful(scenario: &Scenario, governed: &[Row], ungoverned: &[Row]) -> Panel {
    let worth = |r: &Row| {
        let accuracy = scenario.workload.rungs.get(r.rung).map_or(0.0, |rung| rung.accuracy);
        if r.inferences == 0 { 0.0 } else { accuracy * r.inferences as f64 * r.deadline_met }
    };
    let smooth = |rows: &[Row], colour| {
        let values: Vec<f64> = rows.iter().map(worth).collect();
        let mean = |i: usize| {
            let window = &values[i.saturating_sub(SMOOTHED_S - 1)..=i];
            window.iter().sum::<f64>() / window.len() as f64
        };
        let points = rows.iter().enumerate().map(|(i, r)| (f64::from(r.t_s), mean(i))).collect();
        Curve { points, colour, steps: false }
    };
    let curves = vec![smooth(ungoverned, UNGOVERNED), smooth(governed, GOVERNED)];
    let most = curves.iter().flat_map(|c| &c.points).map(|p| p.1).fold(0.1, f64::max);
    let unit = 10.0_f64.powf(most.log10().floor());
    let step = [0.2, 0.5, 1.0, 2.0, 5.0].into_iter().map(|s| s * unit).find(|s| most / s <= 5.0).unwrap_or(most);
    Panel {
        title: "useful answers a second: in time, times their accuracy".into(),
        range: (0.0, most * 1.08),
        ticks: steps(0.0, most, step),
        curves,
        limits: Vec::new(),
    }
}

fn curve(rows: &[Row], colour: &'static str, steps: bool, value: impl Fn(&Row) -> f64) -> Curve {
    Curve { points: rows.iter().map(|r| (f64::from(r.t_s), value(r))).collect(), colour, steps }
}

fn steps(low: f64, high: f64, step: f64) -> Vec<f64> {
    let count = ((high - low) / step + 1e-9).floor() as usize;
    (0..=count.min(50)).map(|i| low + i as f64 * step).collect()
}

fn draw(out: &mut String, panel: &Panel, top: f64, duration_s: f64, times: bool) {
    let (low, high) = panel.range;
    let width = WIDTH - LEFT - RIGHT;
    let x = |t: f64| LEFT + t / duration_s.max(1.0) * width;
    let y = |v: f64| top + PANEL - (v - low) / (high - low) * PANEL;
    let right = WIDTH - RIGHT;
    let _ = writeln!(out, r##"<text x="{LEFT}" y="{:.1}">{}</text>"##, top - 6.0, escaped(&panel.title));
    for tick in &panel.ticks {
        let (at, text) = (y(*tick), short(*tick));
        let _ = writeln!(
            out,
            r##"<line x1="{LEFT}" y1="{at:.1}" x2="{right}" y2="{at:.1}" stroke="#e4e4e4"/><text x="{:.1}" y="{:.1}" text-anchor="end">{text}</text>"##,
            LEFT - 6.0,
            at + 4.0,
        );
    }
    for (limit, words) in &panel.limits {
        let at = y(*limit);
        let _ = writeln!(
            out,
            r##"<line x1="{LEFT}" y1="{at:.1}" x2="{right}" y2="{at:.1}" stroke="{LIMIT}" stroke-dasharray="5 4"/><text x="{right}" y="{:.1}" text-anchor="end" fill="{LIMIT}">{words}</text>"##,
            at - 4.0,
        );
    }
    for (index, curve) in panel.curves.iter().enumerate() {
        // The first curve of three is the air, which is drawn thin.
        let thickness = if panel.curves.len() == 3 && index == 0 { 1.0 } else { 1.6 };
        let _ = write!(out, r##"<path fill="none" stroke="{}" stroke-width="{thickness}" d=""##, curve.colour);
        for (i, (t, v)) in thinned(&curve.points).enumerate() {
            let command = if i == 0 { 'M' } else { 'L' };
            let _ = match (curve.steps, i) {
                (true, 1..) => write!(out, "H{:.1}V{:.1}", x(t), y(v)),
                _ => write!(out, "{command}{:.1} {:.1}", x(t), y(v)),
            };
        }
        out.push_str("\"/>\n");
    }
    let _ = writeln!(
        out,
        r##"<rect x="{LEFT}" y="{top}" width="{width}" height="{PANEL}" fill="none" stroke="#bbbbbb"/>"##
    );
    if times {
        let step = [60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21_600.0, 86_400.0];
        let step = step.into_iter().find(|s| duration_s / s <= 12.0).unwrap_or(duration_s);
        for tick in steps(0.0, duration_s, step) {
            let _ = writeln!(
                out,
                r##"<text x="{:.1}" y="{:.1}" text-anchor="middle">{} min</text>"##,
                x(tick),
                top + PANEL + 18.0,
                short(tick / 60.0),
            );
        }
    }
}

/// At most some 1200 points: the picture is not wider.
fn thinned(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    points.iter().copied().step_by(points.len().div_ceil(1200).max(1))
}

fn short(value: f64) -> String {
    if (value - value.round()).abs() < 1e-9 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
