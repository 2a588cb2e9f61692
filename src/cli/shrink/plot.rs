//! Accuracy of each form against its time, as an SVG picture.

use std::fmt::Write as _;

use super::point::{Point, Standing};
use crate::cli::words::escaped;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 56.0;

const INT8: &str = "#1f6fb4";
const FLOAT: &str = "#c8553d";

/// Places of values on the picture: time by its logarithm, accuracy as it is.
struct Axes {
    /// Logarithm to the base of 10 of the least and the most milliseconds.
    ms: (f64, f64),
    worth: (f64, f64),
}

impl Axes {
    fn over(points: &[Point]) -> Axes {
        let range = |values: &mut dyn Iterator<Item = f64>, least: f64| {
            let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            let room = ((high - low) * 0.08).max(least);
            (low - room, high + room)
        };
        Axes {
            ms: range(&mut points.iter().map(|point| point.ms.max(1e-6).log10()), 0.05),
            worth: range(&mut points.iter().map(|point| point.judged.value), 0.002),
        }
    }

    fn x(&self, ms: f64) -> f64 {
        let share = (ms.max(1e-6).log10() - self.ms.0) / (self.ms.1 - self.ms.0);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, worth: f64) -> f64 {
        let share = (worth - self.worth.0) / (self.worth.1 - self.worth.0);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }
}

/// Draws the points; the rungs have their names.
pub(super) fn svg(model: &str, points: &[Point], standings: &[Standing]) -> String {
    let axes = Axes::over(points);
    let measure = points.first().map_or("", |point| point.judged.measure);
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#333">
<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>
<text x="{LEFT}" y="24" font-size="16">{}: accuracy against time</text>
<circle cx="{}" cy="40" r="5" fill="{INT8}"/><text x="{}" y="44">bytes</text>
<circle cx="{}" cy="40" r="5" fill="{FLOAT}"/><text x="{}" y="44">floats</text>
<text x="{}" y="44">smaller dots: lower resolutions; rings: rungs; line: no other form is as good and faster</text>"##,
        escaped(model),
        LEFT + 5.0,
        LEFT + 15.0,
        LEFT + 65.0,
        LEFT + 75.0,
        LEFT + 125.0,
    );
    grid(&mut out, &axes);
    let (bottom, middle) = (HEIGHT - 16.0, LEFT + (WIDTH - LEFT - RIGHT) / 2.0);
    let _ =
        writeln!(out, r#"<text x="{middle}" y="{bottom}" text-anchor="middle">one inference, ms (logarithmic)</text>"#);
    let centre = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
    let _ = writeln!(
        out,
        r#"<text transform="translate(18 {centre}) rotate(-90)" text-anchor="middle">{}, %</text>"#,
        escaped(measure)
    );
    let mut front: Vec<&Point> =
        points.iter().zip(standings).filter(|(_, standing)| standing.front).map(|(point, _)| point).collect();
    front.sort_by(|a, b| a.ms.total_cmp(&b.ms));
    let line: Vec<String> =
        front.iter().map(|p| format!("{:.1},{:.1}", axes.x(p.ms), axes.y(p.judged.value))).collect();
    let _ = writeln!(out, r##"<polyline points="{}" fill="none" stroke="#999" stroke-width="1.5"/>"##, line.join(" "));
    let largest = points.iter().filter_map(|point| point.size).map(|[h, w]| h * w).max().unwrap_or(1) as f64;
    let mut labels = Labels::default();
    for (point, standing) in points.iter().zip(standings) {
        let (x, y) = (axes.x(point.ms), axes.y(point.judged.value));
        let share = point.size.map_or(1.0, |[h, w]| (h * w) as f64 / largest);
        let (radius, colour) = (3.0 + 3.0 * share, if point.int8 { INT8 } else { FLOAT });
        let _ = writeln!(
            out,
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius:.1}" fill="{colour}" fill-opacity="0.8"><title>{}: {:.2} %, {:.3} ms</title></circle>"#,
            point.name(),
            100.0 * point.judged.value,
            point.ms
        );
        if let Some(rung) = standing.rung {
            let _ = writeln!(
                out,
                r##"<circle cx="{x:.1}" cy="{y:.1}" r="{:.1}" fill="none" stroke="#222" stroke-width="1.5"/>"##,
                radius + 3.5
            );
            let label = if rung == 0 { "main".into() } else { format!("rung {rung}") };
            let [x, y] = labels.free([x + 14.0, y + 4.0]);
            let _ = writeln!(out, r#"<text x="{x:.1}" y="{y:.1}">{label}: {}</text>"#, point.name());
        }
    }
    out + "</svg>\n"
}

fn grid(out: &mut String, axes: &Axes) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in ticks(axes.worth) {
        let y = axes.y(tick);
        let _ = writeln!(out, r##"<line x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="#e5e5e5"/>"##);
        let _ = writeln!(
            out,
            r#"<text x="{}" y="{:.1}" text-anchor="end">{:.1}</text>"#,
            LEFT - 8.0,
            y + 4.0,
            100.0 * tick
        );
    }
    for ms in decades(axes.ms) {
        let x = axes.x(ms);
        let _ = writeln!(out, r##"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom}" stroke="#e5e5e5"/>"##);
        let _ = writeln!(out, r#"<text x="{x:.1}" y="{}" text-anchor="middle">{ms}</text>"#, bottom + 18.0);
    }
}

/// Some five round values in a range.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let raw = (high - low) / 5.0;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= raw).unwrap_or(raw);
    let first = (low / step).ceil() as i64;
    (first..).map(|n| n as f64 * step).take_while(|tick| *tick <= high).take(20).collect()
}

/// 1, 2 and 5 times the powers of ten in a range of logarithms.
fn decades((low, high): (f64, f64)) -> Vec<f64> {
    let powers = low.floor() as i32..=high.ceil() as i32;
    let all = powers.flat_map(|power| [1, 2, 5].map(|n| (n, power)));
    // As text and back: 5e-2 is 0.05, and not 0.05000000000000001.
    let all = all.filter_map(|(n, power)| format!("{n}e{power}").parse::<f64>().ok());
    all.filter(|ms| (low..=high).contains(&ms.log10())).collect()
}

/// Places of labels that do not cover one another.
#[derive(Default)]
struct Labels(Vec<[f64; 2]>);

impl Labels {
    fn free(&mut self, [x, mut y]: [f64; 2]) -> [f64; 2] {
        while self.0.iter().any(|other| (other[0] - x).abs() < 150.0 && (other[1] - y).abs() < 14.0) {
            y += 14.0;
        }
        self.0.push([x, y]);
        [x, y]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_values() {
        assert_eq!(decades((-1.4, 0.4)), [0.05, 0.1, 0.2, 0.5, 1.0, 2.0]);
        let all = ticks((0.78, 0.85));
        assert!((3..=7).contains(&all.len()) && all.iter().all(|tick| (0.78..=0.85).contains(tick)), "{all:?}");
    }

    #[test]
    fn labels_move_out_of_the_way() {
        let mut labels = Labels::default();
        assert_eq!(labels.free([10.0, 10.0]), [10.0, 10.0]);
        assert_eq!(labels.free([20.0, 12.0]), [20.0, 26.0]);
        assert_eq!(labels.free([400.0, 12.0]), [400.0, 12.0]);
    }
}
