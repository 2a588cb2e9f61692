//! The demo's screen, drawn from what is known. Pure: the same values give the same screen, of any size.

use std::net::SocketAddr;
use std::time::SystemTime;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::blocks::{Means, Picture};
use crate::cli::watch::big::{HEIGHT, big, width as big_width};
use crate::cli::watch::node::{Glance, Node, Pipeline};
use crate::cli::watch::text::{columns, fit};
use crate::cli::watch::view::glance::Reading;
use crate::cli::watch::view::list::{journal, title};
use crate::cli::watch::view::panel::{figures, load, place, reason, temperature, wrapped};
use crate::cli::watch::view::{Palette, write_lines};
use crate::cli::watch::watched::Watched;
use crate::frame::{is_near_truth, rfc3339};

/// Smallest screen on which something can be told.
const LEAST: (u16, u16) = (20, 5);
/// Columns of the words beside a picture.
const WORDS: u16 = 42;
/// Columns of a reading of ten characters in large digits, with a gap before it.
const READING: u16 = 61;
/// Rows of the large reading with its caption.
const VALUE: u16 = HEIGHT as u16 + 1;
/// Rows below which nothing is drawn large.
const LARGE_FROM: u16 = 17;
/// Rows of the log with its title, at least, where there is a picture.
const LOG: u16 = 5;
/// Rows of a picture at least.
const PICTURE: u16 = 5;

/// Everything that is on the screen.
pub struct Shown<'a> {
    /// Address of the page; `None` before it is served.
    pub page: Option<SocketAddr>,
    /// Host and port at which clients reach the broker; `None` before it listens.
    pub broker: Option<&'a (String, u16)>,
    /// The messages so far.
    pub watched: &'a Watched,
    /// Name of the pipeline with pictures.
    pub meter: &'a str,
    /// Name of the pipeline of the computer's own readings.
    pub machine: &'a str,
    /// The latest picture of the meter.
    pub picture: &'a Picture,
    /// Means to show it.
    pub means: Means,
    /// Colours.
    pub palette: Palette,
    /// With figures.
    pub verbose: bool,
    /// It is about to end.
    pub stops: bool,
    /// Now, on the wall clock.
    pub time: SystemTime,
}

impl Shown<'_> {
    fn node(&self) -> Option<&Node> {
        self.watched.nodes.values().next()
    }

    fn pipeline(&self, name: &str) -> Option<&Pipeline> {
        self.node()?.pipelines.iter().find(|(known, _)| ***known == *name).map(|(_, pipeline)| pipeline)
    }
}

/// Draws the screen.
pub fn draw(frame: &mut Frame<'_>, shown: &Shown<'_>) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        write_lines(frame, area, vec![Line::raw(fit("too small", area.width.into()))]);
        return;
    }
    write_lines(frame, Rect { height: 1, ..area }, vec![header(shown, area.width.into())]);
    write_lines(frame, Rect { y: area.bottom() - 1, height: 1, ..area }, vec![footer(shown, area.width.into())]);
    let mut body = Rect { y: area.y + 1, height: area.height - 2, ..area };
    if shown.verbose && area.height >= LARGE_FROM {
        let lines = details(shown, body.width.into());
        let height = (lines.len() as u16).min(body.height / 3);
        body.height -= height;
        write_lines(frame, Rect { y: body.bottom(), height, ..body }, lines);
    }
    let left = if body.width >= WORDS + READING { beside(frame, body, shown) } else { stacked(frame, body, shown) };
    let lines = log(shown, left.width.into(), left.height.into());
    write_lines(frame, left, lines);
}

/// The picture at the left; the reading and the words beside it. Gives the area that is left.
fn beside(frame: &mut Frame<'_>, body: Rect, shown: &Shown<'_>) -> Rect {
    let most = body.height.saturating_sub(LOG);
    let left = Rect { width: body.width - READING, ..body };
    let [_, rows] = shown.picture.fits(left.width.into(), most.saturating_sub(1).into());
    let rows = (rows as u16 + 1).max(VALUE + 1 + 9).min(most);
    draw_picture(frame, Rect { height: rows, ..left }, shown);
    let right = Rect { x: left.right() + 1, width: READING - 1, height: rows, ..body };
    let mut lines = value(shown, right.width.into(), right.height > VALUE);
    lines.extend(words(shown, right.width.into()));
    write_lines(frame, right, lines);
    Rect { y: body.y + rows, height: body.height - rows, ..body }
}

/// The picture with the words beside it, the reading below. Gives the area that is left.
fn stacked(frame: &mut Frame<'_>, body: Rect, shown: &Shown<'_>) -> Rect {
    let is_large = body.height + 2 >= LARGE_FROM;
    let value = value(shown, body.width.into(), is_large);
    let for_value = (value.len() as u16).min(body.height);
    let room = body.height.saturating_sub(for_value + LOG);
    let has_picture = body.width > WORDS + 20 && room > PICTURE;
    let mut top = body.y;
    if has_picture {
        let left = Rect { width: body.width - WORDS - 1, ..body };
        let [_, rows] = shown.picture.fits(left.width.into(), room.saturating_sub(1).into());
        // Before the first picture there is room for one.
        let rows = if rows == 0 { room } else { (rows as u16 + 1).max(PICTURE + 1) };
        draw_picture(frame, Rect { height: rows, ..left }, shown);
        let right = Rect { x: left.right() + 1, width: WORDS, height: rows, ..body };
        write_lines(frame, right, words(shown, WORDS.into()));
        top += rows;
    }
    let area = Rect { y: top, height: for_value, ..body };
    write_lines(frame, area, value);
    top += for_value;
    if !has_picture {
        let lines = words(shown, body.width.into());
        let height = (lines.len() as u16).min((body.bottom() - top).saturating_sub(3));
        write_lines(frame, Rect { y: top, height, ..body }, lines);
        top += height;
    }
    Rect { y: top, height: body.bottom() - top, ..body }
}

fn draw_picture(frame: &mut Frame<'_>, area: Rect, shown: &Shown<'_>) {
    let width = usize::from(area.width);
    let mut lines = vec![title(shown.palette, "the camera", width)];
    if shown.picture.width == 0 {
        lines.push(Line::from(shown.palette.dim(fit(" models are being made ready", width))));
    }
    lines.extend(shown.picture.lines(shown.means, width, usize::from(area.height).saturating_sub(1)));
    write_lines(frame, area, lines);
}

fn header(shown: &Shown<'_>, width: usize) -> Line<'static> {
    let palette = shown.palette;
    let clock = rfc3339(shown.time).get(11..19).unwrap_or_default().to_owned();
    let name = if width >= 70 { " leptond demo  " } else { " " };
    let address = match shown.page {
        Some(address) => format!("http://{address}/"),
        None => "one moment".into(),
    };
    let room = width.saturating_sub(columns(name) + columns(&clock) + 2);
    let address = fit(&address, room);
    let say = if shown.page.is_some() { "  open it in a browser" } else { "" };
    let left = room.saturating_sub(columns(&address));
    let say = if columns(say) <= left { say } else { "" };
    Line::from(vec![
        palette.dim(name),
        palette.strong(address),
        Span::raw(say),
        Span::raw(" ".repeat(left - columns(say) + 1)),
        Span::raw(clock),
    ])
}

fn footer(shown: &Shown<'_>, width: usize) -> Line<'static> {
    let palette = shown.palette;
    if shown.stops {
        return Line::from(palette.strong(fit(" stopping; Ctrl-C once more ends it at once", width)));
    }
    let leave = " q or Ctrl-C ends it";
    let watch = shown.broker.map(|(host, port)| format!("   elsewhere: leptond watch --host {host} --port {port}"));
    let watch = watch.filter(|watch| columns(leave) + columns(watch) <= width).unwrap_or_default();
    Line::from(vec![palette.strong(fit(leave, width)), palette.dim(watch)])
}

/// The reading of the meter, large where there is room, and its worth below.
fn value(shown: &Shown<'_>, width: usize, is_large: bool) -> Vec<Line<'static>> {
    let palette = shown.palette;
    let meter = shown.pipeline(shown.meter);
    let Some(Glance::Reading { label, quality, held, score, unit, problem }) = meter.map(|meter| &meter.glance) else {
        let mut lines = vec![Line::default(); if is_large { HEIGHT } else { 0 }];
        lines.push(Line::from(palette.dim(fit(" no reading yet", width))));
        return lines;
    };
    let text = label.as_deref().unwrap_or("-");
    let mut lines = Vec::new();
    match big(text).filter(|_| is_large && big_width(text) < width) {
        Some(rows) => lines.extend(rows.into_iter().map(|row| Line::from(palette.strong(format!(" {row}"))))),
        None => lines.push(Line::from(palette.strong(format!(" {}", fit(text, width.saturating_sub(1)))))),
    }
    // Once more as a text, which can be searched for and copied.
    let number =
        label.as_deref().map(|label| format!("{label} {unit}").trim_end().to_owned() + "  ").unwrap_or_default();
    let worth = Reading { quality, problem }.caption(palette, &number, *held, *score);
    let mut room = width.saturating_sub(1);
    let mut spans = vec![Span::raw(" ")];
    let mut add = |span: Span<'static>| {
        let text = fit(&span.content, room);
        room -= columns(&text);
        spans.push(Span::styled(text, span.style));
    };
    add(worth);
    // A number that is held, or none, is not said to be this picture's.
    if let (Some(truth), Some(label), false) = (meter.and_then(|meter| meter.truth.as_deref()), label, *held) {
        add(match is_near_truth(label, truth) {
            true => palette.good("  and right"),
            false => palette.bad(format!("  WRONG, it is {truth}")),
        });
    }
    if let Some(age_ms) = meter.and_then(|meter| meter.latency.last()) {
        add(palette.dim(format!("  after {age_ms:.0} ms")));
    }
    lines.push(Line::from(spans));
    lines
}

/// State of the computer, and what is unusual about it.
fn words(shown: &Shown<'_>, width: usize) -> Vec<Line<'static>> {
    let palette = shown.palette;
    let mut lines = vec![title(palette, "this computer", width)];
    let Some(node) = shown.node() else {
        lines.push(Line::from(palette.dim(fit(" nothing known yet", width))));
        return lines;
    };
    let vitals = node.vitals.unwrap_or_default();
    lines.push(temperature(palette, node, &vitals, width));
    lines.push(load(&vitals, width));
    if let Some(rung) = shown.pipeline(shown.meter).and_then(|meter| meter.rung.as_ref()) {
        lines.push(place(palette, rung, width));
        let why = reason(rung).into_iter().flat_map(|reason| wrapped(reason, width.saturating_sub(1))).take(2);
        lines.extend(why.map(|why| Line::raw(format!(" {why}"))));
    }
    lines.push(title(palette, "anything unusual?", width));
    lines.extend(unusual(shown, width));
    lines
}

/// The anomaly of the computer's own readings, with its channels a line each.
fn unusual(shown: &Shown<'_>, width: usize) -> Vec<Line<'static>> {
    let palette = shown.palette;
    let glance = shown.pipeline(shown.machine).map(|machine| &machine.glance);
    let Some(Glance::Anomaly { score, threshold, anomalous, calibrating, channels }) = glance else {
        return vec![Line::from(palette.dim(fit(" no readings yet", width)))];
    };
    let number = |value: &Option<f64>| value.map_or("-".into(), |value| format!("{value:.2}"));
    let figures = format!("  score {} of {}", number(score), number(threshold));
    let state = match (anomalous, calibrating) {
        (true, _) => palette.bad(" ANOMALY"),
        (false, true) => palette.doubtful(" learning what is normal"),
        (false, false) => palette.good(" nothing: as usual"),
    };
    let room = width.saturating_sub(columns(&state.content));
    let mut lines = vec![Line::from(vec![state, palette.dim(fit(&figures, room))])];
    if *anomalous {
        let channels = channels.split(", ").filter(|channel| !channel.is_empty());
        lines.extend(channels.map(|channel| Line::from(palette.bad(fit(&format!("   {channel}"), width)))));
    }
    lines
}

/// The end of the log, and an idea while it is short.
fn log(shown: &Shown<'_>, width: usize, height: usize) -> Vec<Line<'static>> {
    let mut lines = journal(shown.palette, shown.watched, 0, width, height);
    let idea = " Make this computer busy (two of `yes >/dev/null`), and see what it says.";
    if lines.len() < height && height > 2 {
        lines.resize(height - 1, Line::default());
        lines.push(Line::from(shown.palette.dim(fit(idea, width))));
    }
    lines
}

/// Figures of each pipeline, and of the connection.
fn details(shown: &Shown<'_>, width: usize) -> Vec<Line<'static>> {
    let palette = shown.palette;
    let Some(node) = shown.node() else { return Vec::new() };
    let mut lines = vec![title(palette, "figures", width)];
    for (name, pipeline) in &node.pipelines {
        let head = format!(" {:<9}", fit(name, 9));
        let mut line = figures(palette, pipeline, width.saturating_sub(columns(&head)));
        line.spans.insert(0, Span::raw(head));
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests;
