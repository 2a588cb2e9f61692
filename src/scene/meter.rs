//! The parts that stand still: wall, meter case, face and markings, painted once per scene.

use super::chance::Chance;
use super::look::{CELL_WIDTH, Look, Meter, WINDOW_HEIGHT};
use super::paint::{Canvas, Colour, mix, rgb};
use super::skeleton::Part::{self, Curve as C, Go as G, Line as L};

/// Half of the counter's whole window, in meter units.
const HALF: [f32; 2] = [CELL_WIDTH * 2.5, WINDOW_HEIGHT / 2.0];

/// Paints everything but the digits.
pub fn paint(canvas: &mut Canvas<'_>, look: &Look, seed: u64) {
    let mut chance = Chance::new(seed, 3);
    wall(canvas, &mut chance);
    match look.meter {
        Meter::Water => water(canvas, look, seed, &mut chance),
        Meter::Power => power(canvas, look, &mut chance),
        Meter::Lcd => lcd(canvas, look, &mut chance),
    }
}

fn wall(canvas: &mut Canvas<'_>, chance: &mut Chance) {
    let base = chance.within(60.0, 190.0);
    let tint = [chance.within(-14.0, 14.0), chance.within(-10.0, 10.0)];
    let rough = chance.within(4.0, 26.0);
    let lattice: Vec<f32> = (0..256).map(|_| chance.within(-1.0, 1.0)).collect();
    let height = canvas.height as f32;
    let width = canvas.width;
    for (i, pixel) in canvas.pixels.iter_mut().enumerate() {
        let (x, y) = ((i % width) as f32 / height, (i / width) as f32 / height);
        let v = base + rough * (cloud(&lattice, x * 5.0, y * 5.0) + 0.5 * cloud(&lattice, x * 31.0 + 7.0, y * 31.0));
        *pixel = rgb(v + tint[0], v, v + tint[1]);
    }
}

/// Smooth noise between the values of a 16×16 lattice that repeats.
fn cloud(lattice: &[f32], x: f32, y: f32) -> f32 {
    let (ix, iy) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty) = (ease(x - ix), ease(y - iy));
    let at = |dx: i32, dy: i32| {
        let index = ((iy as i32 + dy) & 15) * 16 + ((ix as i32 + dx) & 15);
        lattice.get(index as usize).copied().unwrap_or_default()
    };
    let top = at(0, 0) + (at(1, 0) - at(0, 0)) * tx;
    let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * tx;
    top + (bottom - top) * ty
}

fn water(canvas: &mut Canvas<'_>, look: &Look, seed: u64, chance: &mut Chance) {
    let middle = [0.0, 26.0];
    let cases = [rgb(30.0, 62.0, 130.0), rgb(150.0, 116.0, 58.0), rgb(96.0, 98.0, 102.0), rgb(150.0, 34.0, 30.0)];
    let case = pick(&cases, chance);
    canvas.plate([0.0, 26.0], [420.0, 62.0], 30.0, mix(case, rgb(0.0, 0.0, 0.0), 0.35), 1.0);
    canvas.disc(middle, 262.0, case, 1.0);
    canvas.ring(middle, 252.0, 5.0, mix(case, rgb(255.0, 255.0, 255.0), 0.5), 0.8);
    canvas.ring(middle, 232.0, 10.0, rgb(20.0, 20.0, 22.0), 0.9);
    let level = chance.within(205.0, 248.0);
    let paper = rgb(level, level, level * chance.within(0.92, 1.0));
    let print = rgb(30.0, 30.0, 36.0);
    canvas.disc(middle, 228.0, paper, 1.0);
    canvas.ring(middle, 221.0, 1.5, print, 0.5);
    window(canvas, look, chance);
    unit_mark(canvas, &CUBIC_METRE, [120.0, -84.0], 20.0, print);
    number(canvas, look, [-110.0, -84.0], 17.0, 8, print, chance);
    rule_lines(canvas, [-40.0, -128.0], 2, 90.0, print, chance);
    if look.dials {
        super::dial::paint(canvas, look, print, seed);
    } else {
        still_dials(canvas, print, chance);
    }
    let star = [0.0, 84.0];
    canvas.disc(star, 13.0, rgb(180.0, 30.0, 30.0), 1.0);
    canvas.disc(star, 5.0, paper, 1.0);
}

/// Dials that stand still.
fn still_dials(canvas: &mut Canvas<'_>, print: Colour, chance: &mut Chance) {
    for (x, y) in [(-118.0, 108.0), (-4.0, 150.0), (112.0, 108.0)] {
        let at = [x, y];
        canvas.ring(at, 36.0, 2.0, print, 0.85);
        for tick in 0..10 {
            let (sin, cos) = (tick as f32 * 0.628_318_5).sin_cos();
            canvas.line([x + 30.0 * cos, y + 30.0 * sin], [x + 35.0 * cos, y + 35.0 * sin], 2.0, print, 0.85);
        }
        let (sin, cos) = chance.within(0.0, std::f32::consts::TAU).sin_cos();
        let red = rgb(200.0, 26.0, 26.0);
        canvas.line([x - 9.0 * cos, y - 9.0 * sin], [x + 27.0 * cos, y + 27.0 * sin], 4.5, red, 1.0);
        canvas.disc(at, 5.5, red, 1.0);
    }
}

fn power(canvas: &mut Canvas<'_>, look: &Look, chance: &mut Chance) {
    let cases = [rgb(38.0, 38.0, 40.0), rgb(196.0, 190.0, 172.0), rgb(150.0, 154.0, 158.0)];
    let case = pick(&cases, chance);
    canvas.plate([4.0, 12.0], [292.0, 246.0], 26.0, rgb(10.0, 10.0, 10.0), 0.35);
    canvas.plate([0.0, 4.0], [286.0, 240.0], 24.0, case, 1.0);
    canvas.plate([0.0, 4.0], [276.0, 230.0], 18.0, mix(case, rgb(255.0, 255.0, 255.0), 0.12), 1.0);
    let level = chance.within(170.0, 240.0);
    let paper = rgb(level, level * 0.995, level * chance.within(0.90, 1.0));
    let print = rgb(24.0, 24.0, 28.0);
    canvas.plate([0.0, 0.0], [252.0, 204.0], 8.0, paper, 1.0);
    window(canvas, look, chance);
    unit_mark(canvas, &KILOWATT_HOUR, [176.0, -86.0], 22.0, print);
    number(canvas, look, [-215.0, -150.0], 18.0, 9, print, chance);
    rule_lines(canvas, [-215.0, -108.0], 3, 170.0, print, chance);
    // The Ferraris disc behind its slot, and a bar code.
    canvas.plate([0.0, 92.0], [110.0, 9.0], 3.0, rgb(16.0, 16.0, 16.0), 1.0);
    canvas.plate([0.0, 92.0], [106.0, 4.0], 2.0, rgb(176.0, 178.0, 182.0), 1.0);
    let mark = chance.within(-90.0, 90.0);
    canvas.plate([mark, 92.0], [7.0, 4.0], 0.5, rgb(196.0, 24.0, 24.0), 1.0);
    let mut x = 60.0;
    while x < 225.0 {
        let half = chance.within(0.8, 2.6);
        canvas.plate([x, 154.0], [half, 20.0], 0.0, print, 0.95);
        x += half * 2.0 + chance.within(1.6, 5.0);
    }
    rule_lines(canvas, [-215.0, 136.0], 4, 210.0, print, chance);
    for (x, y) in [(-266.0, -214.0), (266.0, -214.0), (-266.0, 222.0), (266.0, 222.0)] {
        canvas.disc([x, y], 9.0, rgb(120.0, 120.0, 118.0), 1.0);
        canvas.line([x - 5.0, y - 3.0], [x + 5.0, y + 3.0], 2.2, rgb(50.0, 50.0, 50.0), 1.0);
    }
}

fn lcd(canvas: &mut Canvas<'_>, look: &Look, chance: &mut Chance) {
    let cases = [rgb(226.0, 226.0, 220.0), rgb(176.0, 180.0, 184.0), rgb(58.0, 60.0, 64.0), rgb(206.0, 210.0, 214.0)];
    let case = pick(&cases, chance);
    let print = if case[0] > 120.0 { rgb(40.0, 42.0, 48.0) } else { rgb(220.0, 220.0, 220.0) };
    canvas.plate([5.0, 12.0], [290.0, 220.0], 30.0, rgb(8.0, 8.0, 8.0), 0.35);
    canvas.plate([0.0, 0.0], [286.0, 216.0], 28.0, case, 1.0);
    canvas.plate([0.0, 8.0], [226.0, 92.0], 12.0, rgb(22.0, 22.0, 24.0), 1.0);
    canvas.plate([0.0, 8.0], [216.0, 82.0], 4.0, look.body[0], 1.0);
    unit_mark(canvas, &KILOWATT_HOUR, [150.0, 60.0], 15.0, look.ink[0]);
    canvas.line([-200.0, 68.0], [-180.0, 68.0], 4.0, look.ink[0], 0.8);
    canvas.plate([-196.0, -58.0], [7.0, 4.0], 1.0, look.ink[0], 0.8);
    number(canvas, look, [-240.0, -150.0], 18.0, 8, print, chance);
    rule_lines(canvas, [-30.0, -150.0], 2, 240.0, print, chance);
    let buttons = [rgb(40.0, 90.0, 170.0), rgb(60.0, 62.0, 66.0), rgb(190.0, 60.0, 40.0)];
    for x in [-90.0, 0.0, 90.0] {
        canvas.disc([x, 156.0], 25.0, rgb(16.0, 16.0, 16.0), 0.4);
        canvas.disc([x, 154.0], 23.0, pick(&buttons, chance), 1.0);
        canvas.disc([x - 6.0, 147.0], 7.0, rgb(255.0, 255.0, 255.0), 0.25);
    }
    let lamp = if chance.often(0.5) { rgb(240.0, 50.0, 40.0) } else { rgb(80.0, 20.0, 20.0) };
    canvas.disc([216.0, 154.0], 8.0, lamp, 1.0);
}

/// The frame of the counter and the dark recess behind its drums.
fn window(canvas: &mut Canvas<'_>, look: &Look, chance: &mut Chance) {
    let frame = rgb(34.0, 34.0, 36.0);
    let light = rgb(210.0, 210.0, 206.0);
    let rim = if chance.often(0.6) { frame } else { light };
    canvas.plate([0.0, 0.0], [HALF[0] + 11.0, HALF[1] + 11.0], 7.0, rim, 1.0);
    canvas.plate([0.0, 0.0], [HALF[0] + 5.0, HALF[1] + 5.0], 3.0, rgb(8.0, 8.0, 9.0), 1.0);
    let red = (look.body[1][2] - 128.0 > 30.0) || (look.ink[1][2] - 128.0 > 30.0);
    if red && chance.often(0.5) {
        // The last drum counts fractions: the frame around it is red.
        let x = CELL_WIDTH * 2.0;
        canvas.plate([x, HALF[1] + 8.0], [CELL_WIDTH / 2.0, 3.0], 0.0, rgb(190.0, 34.0, 34.0), 1.0);
        canvas.plate([x, -HALF[1] - 8.0], [CELL_WIDTH / 2.0, 3.0], 0.0, rgb(190.0, 34.0, 34.0), 1.0);
    }
}

/// A row of small digits in the counter's own font: the meter's number.
fn number(
    canvas: &mut Canvas<'_>,
    look: &Look,
    at: [f32; 2],
    size: f32,
    count: usize,
    ink: Colour,
    chance: &mut Chance,
) {
    for i in 0..count {
        let centre = [at[0] + i as f32 * size * 0.85 + if i > 2 { size * 0.5 } else { 0.0 }, at[1]];
        let bars = look.face.bars(chance.below(10) as usize);
        let bounds = [centre[0] - size, centre[1] - size, centre[0] + size, centre[1] + size];
        canvas.fill(bounds, ink, 0.9, |x, y| {
            let (x, y) = ((x - centre[0]) / size, (y - centre[1]) / size);
            bars.iter().map(|bar| bar.distance(x, y)).fold(1.0, f32::min) * size
        });
    }
}

/// Small print, too small to be read: broken lines.
fn rule_lines(canvas: &mut Canvas<'_>, at: [f32; 2], lines: usize, width: f32, ink: Colour, chance: &mut Chance) {
    for line in 0..lines {
        let y = at[1] + line as f32 * 13.0;
        let mut x = at[0];
        while x < at[0] + width * chance.within(0.75, 1.0) {
            let word = chance.within(8.0, 34.0);
            canvas.plate([x + word / 2.0, y], [word / 2.0, 2.2], 1.0, ink, 0.55);
            x += word + 6.0;
        }
    }
}

/// A letter: its strokes in the unit box and its width.
type Letter = (&'static [&'static [Part]], f32);

static CUBIC_METRE: [Letter; 2] = [
    (
        &[
            &[G(0.0, 1.0), L(0.0, 0.35)],
            &[G(0.0, 0.55), C(0.1, 0.3, 0.5, 0.3, 0.5, 0.6), L(0.5, 1.0)],
            &[G(0.5, 0.55), C(0.6, 0.3, 1.0, 0.3, 1.0, 0.6), L(1.0, 1.0)],
        ],
        1.0,
    ),
    (&[&[G(0.0, -0.2), L(0.8, -0.2), L(0.4, 0.05), C(1.0, 0.0, 0.9, 0.45, 0.0, 0.32)]], 0.4),
];

static KILOWATT_HOUR: [Letter; 3] = [
    (&[&[G(0.0, 0.0), L(0.0, 1.0)], &[G(0.85, 0.35), L(0.0, 0.75)], &[G(0.3, 0.62), L(0.9, 1.0)]], 0.5),
    (&[&[G(0.0, 0.0), L(0.25, 1.0), L(0.5, 0.2), L(0.75, 1.0), L(1.0, 0.0)]], 1.0),
    (&[&[G(0.0, 0.0), L(0.0, 1.0)], &[G(0.0, 0.6), C(0.1, 0.28, 0.9, 0.28, 0.9, 0.6), L(0.9, 1.0)]], 0.55),
];

fn unit_mark(canvas: &mut Canvas<'_>, letters: &[Letter], at: [f32; 2], size: f32, ink: Colour) {
    let mut left = at[0];
    for (strokes, width) in letters {
        for stroke in *strokes {
            let line = super::font::flatten(stroke, 2.0);
            let place = |p: [f32; 2]| [left + p[0] * width * size, at[1] + (p[1] - 0.5) * size];
            for pair in line.windows(2) {
                canvas.line(place(pair[0]), place(pair[1]), size * 0.13, ink, 1.0);
            }
        }
        left += size * (width + 0.28);
    }
}

fn pick(colours: &[Colour], chance: &mut Chance) -> Colour {
    colours.get(chance.below(colours.len() as u32) as usize).copied().unwrap_or([128.0; 3])
}
