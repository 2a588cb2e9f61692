//! Results drawn on the picture that they are of: boxes, regions, labels and scores. Pure: pixels in, pixels out.

mod canvas;
mod encode;
mod font;
mod marks;
mod scale;
mod shapes;
#[cfg(test)]
mod tests;

pub use canvas::{Canvas, Rect, advance, text_size};
pub use encode::{EncodeError, Format, encode, jpeg};
pub use marks::{Mark, marked};
pub use scale::scaled;

use canvas::{BLACK, Colour, WHITE};

use crate::frame::{Detection, MeterReading, Outcome, PositionRead, Quality, RegionRead, TextRead};

/// Four corners of a region in pixels of the picture, in the order in which they go round.
pub type Corners = [[f32; 2]; 4];

/// A picture whose shorter side has fewer pixels is enlarged before anything is written on it.
const LEAST_SIDE: i64 = 160;
/// Enlarging stops where the longer side would have more pixels.
const MOST_SIDE: i64 = 2048;
/// Shorter side of a picture, in pixels, for each pixel of the font's.
const SIDE_PER_SCALE: i64 = 300;

/// Classes of a picture that are named on it.
const MOST_CLASSES: usize = 6;
/// Coordinates beyond this are as good as any outside the picture.
const FAR: f32 = 1e6;

/// Colours that are told apart from each other and from most pictures.
const PALETTE: [Colour; 8] = [
    [255, 64, 64],
    [64, 220, 64],
    [80, 160, 255],
    [255, 200, 0],
    [255, 96, 255],
    [0, 230, 230],
    [255, 140, 40],
    [180, 130, 255],
];
/// Of what was read.
const GOOD: Colour = [64, 220, 64];
/// Of what cannot be relied on.
const DOUBTFUL: Colour = [255, 200, 0];
/// Of what cannot be read, and of an anomaly.
const BAD: Colour = [255, 64, 64];

/// The picture with the outcome on it: a box with label and score for each detection, each region with what was read there, and in the top
/// left corner what is about the whole picture. A picture too small for text is enlarged by a whole factor.
pub fn annotated(picture: Canvas, outcome: &Outcome, regions: &[Corners]) -> Canvas {
    let shorter = |canvas: &Canvas| canvas.size().into_iter().min().unwrap_or(0).max(1);
    let longer = picture.size().into_iter().max().unwrap_or(0).max(1);
    let wanted = (LEAST_SIDE + shorter(&picture) - 1) / shorter(&picture);
    let factor = wanted.min(MOST_SIDE / longer).max(1);
    let canvas = if factor > 1 { picture.enlarged(factor as usize) } else { picture };
    let scale = (shorter(&canvas) / SIDE_PER_SCALE).max(1);
    let mut sheet = Sheet { canvas, scale, factor: factor as f32, plates: Vec::new() };
    match outcome {
        Outcome::Detect { detections, .. } => sheet.detections(detections, regions),
        Outcome::Semantic { classes, map, .. } => {
            sheet.map(map, |class| classes.iter().find(|c| c.class == class).map(|c| colour_of(&c.label)));
        }
        Outcome::Reading(reading) => sheet.reading(&reading.regions, regions),
        Outcome::Text { regions: reads, .. } if !reads.is_empty() => sheet.texts(reads, regions),
        Outcome::Position { positions } => sheet.positions(positions, regions),
        Outcome::Meter(reading) => sheet.meter(reading, regions),
        _ => regions.iter().for_each(|region| sheet.outline(region, overall(outcome))),
    }
    match outcome {
        // Each line in the colour of its class.
        Outcome::Semantic { classes, .. } => classes.iter().take(MOST_CLASSES).for_each(|class| {
            let line = format!("{} {:.0} %", class.label, class.share * 100.0);
            sheet.corner(&[line], colour_of(&class.label));
        }),
        _ => sheet.corner(&caption(outcome), overall(outcome)),
    }
    sheet.canvas
}

/// Lines about the whole picture.
fn caption(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Classify { top, unreadable: Some(reason), .. } if top.is_empty() => {
            vec![format!("unreadable: {reason}")]
        }
        Outcome::Classify { top, unreadable, .. } => {
            let reason = unreadable.map(|reason| format!("unreadable: {reason}"));
            reason.into_iter().chain(top.iter().map(|scored| scored_text(&scored.label, scored.score))).collect()
        }
        Outcome::Reading(reading) => vec![match (&reading.label, reading.quality) {
            (Some(label), Quality::Good) => scored_text(label, reading.score),
            (Some(label), quality) => format!("{label} held: {quality}"),
            (None, quality) => format!("no reading: {quality}"),
        }],
        Outcome::Detect { .. } | Outcome::Semantic { .. } | Outcome::Position { .. } => Vec::new(),
        Outcome::Meter(reading) => vec![reading.to_string()],
        Outcome::Text { text: None, regions, .. } if regions.is_empty() => vec!["no text".into()],
        Outcome::Text { text: Some(text), score, regions } if regions.is_empty() => vec![scored_text(text, *score)],
        // Each region has its own label.
        Outcome::Text { .. } => Vec::new(),
        Outcome::Anomaly { score, threshold, anomalous, channels, .. } => {
            let limit = threshold.map(|threshold| format!(" of {threshold:.4}")).unwrap_or_default();
            let word = if *anomalous { "ANOMALY " } else { "" };
            let most = channels.first().filter(|_| *anomalous).map(|most| most.channel.to_string());
            [format!("{word}score {score:.4}{limit}")].into_iter().chain(most).collect()
        }
        Outcome::Channels { channels, .. } => channels.iter().take(8).map(ToString::to_string).collect(),
        Outcome::Raw { outputs } => {
            let values =
                |values: &[f32]| values.iter().take(4).map(|v| format!("{v:.3}")).collect::<Vec<_>>().join(" ");
            outputs.iter().take(4).map(|output| format!("{} {}", output.name, values(&output.values))).collect()
        }
    }
}

/// The colour of what is about the whole picture.
fn overall(outcome: &Outcome) -> Colour {
    match outcome {
        Outcome::Classify { unreadable: Some(_), .. } => BAD,
        Outcome::Classify { label, .. } if label.is_empty() => DOUBTFUL,
        Outcome::Classify { label, .. } => colour_of(label),
        Outcome::Reading(reading) => colour_by(reading.quality),
        Outcome::Meter(reading) => colour_by(reading.quality),
        Outcome::Text { text: None, .. } => DOUBTFUL,
        Outcome::Text { .. } => GOOD,
        Outcome::Anomaly { anomalous: true, .. } => BAD,
        Outcome::Channels { anomalous: true, .. } => BAD,
        Outcome::Anomaly { .. } | Outcome::Channels { .. } => GOOD,
        Outcome::Detect { .. } | Outcome::Semantic { .. } | Outcome::Position { .. } | Outcome::Raw { .. } => WHITE,
    }
}

/// The colour of a reading.
fn colour_by(quality: Quality) -> Colour {
    match quality {
        Quality::Good => GOOD,
        Quality::Unreadable => BAD,
        Quality::Rolling | Quality::Unconfirmed | Quality::Uncertain => DOUBTFUL,
    }
}

fn scored_text(label: &str, score: f32) -> String {
    format!("{label} {score:.2}")
}

/// The same label has the same colour in every picture (FNV-1a, 32 bits).
fn colour_of(label: &str) -> Colour {
    let hash = label.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    PALETTE[(hash >> 16) as usize % PALETTE.len()]
}

/// Black or white, whichever is better seen on a colour (luma of ITU-R BT.601).
fn ink_on([red, green, blue]: Colour) -> Colour {
    let luma = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    if luma > 120_000 { BLACK } else { WHITE }
}

/// Words about a drum or dial: its digit where that was decided, and its position.
fn said_position(read: &PositionRead, digit: Option<u8>) -> (String, Colour) {
    match (read.unreadable, read.position, digit) {
        (Some(_), _, _) => ("?".into(), BAD),
        (None, None, _) => ("?".into(), DOUBTFUL),
        (None, Some(position), None) => (format!("{position:.1}"), DOUBTFUL),
        (None, Some(_), Some(digit)) => (digit.to_string(), GOOD),
    }
}

/// A canvas with what was written on it.
struct Sheet {
    canvas: Canvas,
    /// Pixels for each pixel of the font, and of a line's thickness.
    scale: i64,
    /// Pixels of the canvas for each of the picture.
    factor: f32,
    /// Places of labels.
    plates: Vec<Rect>,
}

impl Sheet {
    fn detections(&mut self, detections: &[Detection], regions: &[Corners]) {
        regions.iter().for_each(|region| self.outline(region, WHITE));
        // The most confident comes first in the list and is drawn last, over the others.
        for Detection { label, bbox: [left, top, right, bottom], corners, polygons, keypoints, .. } in
            detections.iter().rev()
        {
            let colour = colour_of(label);
            self.polygons(polygons, colour);
            let upright = [[*left, *top], [*right, *top], [*right, *bottom], [*left, *bottom]];
            self.outline(corners.as_ref().unwrap_or(&upright), colour);
            self.skeleton(keypoints, colour);
        }
        for Detection { label, score, bbox: [left, top, right, bottom], .. } in detections {
            let around = self.rect([*left, *top, *right, *bottom]);
            self.label(around, &scored_text(label, *score), colour_of(label));
        }
    }

    fn reading(&mut self, reads: &[RegionRead], regions: &[Corners]) {
        let said = |read: &RegionRead| match (&read.label, read.unreadable) {
            (_, Some(reason)) => (format!("unreadable: {reason}"), BAD),
            (Some(label), None) => (scored_text(label, read.score), GOOD),
            (None, None) => ("nothing".into(), GOOD),
        };
        self.each_region(regions, &reads.iter().map(said).collect::<Vec<_>>());
    }

    fn texts(&mut self, reads: &[TextRead], regions: &[Corners]) {
        let said = |read: &TextRead| match &read.text {
            Some(text) => (scored_text(text, read.score), GOOD),
            None => ("no text".into(), DOUBTFUL),
        };
        self.each_region(regions, &reads.iter().map(said).collect::<Vec<_>>());
    }

    fn positions(&mut self, positions: &[PositionRead], regions: &[Corners]) {
        self.each_region(regions, &positions.iter().map(|read| said_position(read, None)).collect::<Vec<_>>());
        let read = regions.iter().zip(positions);
        read.for_each(|(region, read)| self.pointer(region, read.position));
    }

    fn meter(&mut self, reading: &MeterReading, regions: &[Corners]) {
        let places = || reading.digits.iter().chain(&reading.dials);
        let said: Vec<(String, Colour)> = places().map(|place| said_position(&place.read, place.digit)).collect();
        self.each_region(regions, &said);
        for (region, place) in regions.iter().zip(places()).skip(reading.digits.len()) {
            self.pointer(region, place.read.position);
        }
    }

    /// The angle of a dial's pointer, as a line from the middle of its region.
    fn pointer(&mut self, region: &Corners, position: Option<f32>) {
        let Some(position) = position else { return };
        let (sin, cos) = (position / 10.0 * std::f32::consts::TAU).sin_cos();
        // Places in a region, 0 to 1 across and down, by its corners.
        let at = |x: f32, y: f32| {
            let [a, b, c, d] = *region;
            let mix = |axis: usize| {
                let (top, bottom) = (a[axis] + (b[axis] - a[axis]) * x, d[axis] + (c[axis] - d[axis]) * x);
                (top + (bottom - top) * y) * self.factor
            };
            [mix(0), mix(1)]
        };
        let (from, to) = (at(0.5, 0.5), at(0.5 + 0.48 * sin, 0.5 - 0.48 * cos));
        self.canvas.line(from, to, self.scale, GOOD);
    }

    /// Outlines of regions, and over all of them what is said of each.
    fn each_region(&mut self, regions: &[Corners], said: &[(String, Colour)]) {
        for (region, (_, colour)) in regions.iter().zip(said) {
            self.outline(region, *colour);
        }
        for (region, (text, colour)) in regions.iter().zip(said) {
            let axis = |axis: usize| region.iter().map(move |corner| corner[axis]);
            let (low, high) = (|i| axis(i).fold(f32::MAX, f32::min), |i| axis(i).fold(f32::MIN, f32::max));
            let around = self.rect([low(0), low(1), high(0), high(1)]);
            self.label(around, text, *colour);
        }
    }

    fn outline(&mut self, corners: &Corners, colour: Colour) {
        let corners = corners.map(|corner| corner.map(|value| value * self.factor));
        self.canvas.outline(&corners, self.scale, colour);
    }

    /// A rectangle of the picture in pixels of the canvas.
    fn rect(&self, sides: [f32; 4]) -> Rect {
        let [left, top, right, bottom] = sides.map(|side| (side * self.factor).round().clamp(-FAR, FAR) as i64);
        Rect { left, top, right, bottom }
    }

    /// Writes a label beside the box that it is of, over no earlier one where there is room: above, inside at the top, below, inside at
    /// the bottom, then further and further down.
    fn label(&mut self, around: Rect, text: &str, colour: Colour) {
        let [width, height] = self.plate_size(text);
        let [canvas_width, canvas_height] = self.canvas.size();
        let edge = self.scale;
        let x = around.left.min(canvas_width - width).max(0);
        let stacked = (1..16).map(|row| around.top + edge + row * height);
        let rows = [around.top - height - edge, around.top + edge, around.bottom + edge, around.bottom - height - edge];
        let fits = |y: &i64| *y >= 0 && *y + height <= canvas_height;
        let places: Vec<Rect> =
            rows.into_iter().chain(stacked).filter(fits).map(|y| Rect::at([x, y], [width, height])).collect();
        let free = places.iter().find(|place| !self.plates.iter().any(|plate| plate.overlaps(place)));
        let inside = Rect::at([x, around.top.min(canvas_height - height).max(0)], [width, height]);
        let plate = free.or(places.first()).copied().unwrap_or(inside);
        self.plate(plate, text, colour);
    }

    /// Writes lines into the top left corner, below labels that are there already.
    fn corner(&mut self, lines: &[String], colour: Colour) {
        let mut y = 0;
        for line in lines {
            let size = self.plate_size(line);
            let mut plate = Rect::at([0, y], size);
            let under = self.plates.iter().filter(|placed| placed.overlaps(&plate)).map(|placed| placed.bottom).max();
            if let Some(under) = under.filter(|under| under + size[1] <= self.canvas.size()[1]) {
                plate = Rect::at([0, under], size);
            }
            y = plate.bottom;
            self.plate(plate, line, colour);
        }
    }

    fn plate_size(&self, text: &str) -> [i64; 2] {
        text_size(text, self.scale).map(|side| side + 4 * self.scale)
    }

    fn plate(&mut self, plate: Rect, text: &str, colour: Colour) {
        self.canvas.fill(plate, BLACK);
        self.canvas.fill(plate.grown(-self.scale), colour);
        let at = [plate.left + 2 * self.scale, plate.top + 2 * self.scale];
        self.canvas.text(at, self.scale, text, ink_on(colour));
        self.plates.push(plate);
    }
}
