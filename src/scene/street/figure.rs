//! Figures: everything that stands or moves in the street at one moment, as flat parts in metres.

use std::f32::consts::{PI, TAU};

use super::super::chance::Chance;
use super::actor::{Actor, Kind, Pose};
use super::camera::Camera;
use super::layout::{Layout, Tree, depth};
use super::shape::{Ink, Parts, shade};

/// One thing at one moment.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// Number and kind of what a detector has a label for.
    pub subject: Option<(u64, Kind)>,
    pub x: f32,
    pub z: f32,
    pub parts: Parts,
    /// `[left, bottom, right, top]` in metres.
    bounds: [f32; 4],
    /// Half of the shadow's width in metres.
    pub shadow: f32,
    /// `[x, y]` in metres of lamps that are on in the dark.
    pub lamps: Vec<[f32; 2]>,
}

impl Figure {
    fn new(subject: Option<(u64, Kind)>, [x, z]: [f32; 2], parts: Parts, shadow: f32) -> Self {
        Figure { subject, x, z, bounds: parts.bounds(), parts, shadow, lamps: Vec::new() }
    }

    /// `[x1, y1, x2, y2]` in pixels, also beyond the picture.
    pub fn bbox(&self, camera: &Camera) -> [f32; 4] {
        let ([u, v], scale) = (camera.ground(self.x, self.z), camera.scale(self.z));
        let [left, bottom, right, top] = self.bounds;
        [u + left * scale, v - top * scale, u + right * scale, v - bottom * scale]
    }

    /// True when the figure hides what is behind it at a pixel.
    pub fn covers(&self, camera: &Camera, [px, py]: [f32; 2]) -> bool {
        let ([u, v], scale) = (camera.ground(self.x, self.z), camera.scale(self.z));
        let (x, y) = ((px - u) / scale, (v - py) / scale);
        let [left, bottom, right, top] = self.bounds;
        let within = x >= left && x <= right && y >= bottom && y <= top;
        within && self.parts.0.iter().any(|part| part.outline.distance(x, y) < 0.0)
    }
}

/// Everything in the street, the farthest first.
pub(super) fn figures(layout: &Layout, actors: &[Actor], time: f64, wind: f32) -> Vec<Figure> {
    let moving = actors.iter().filter_map(|actor| Some(of_actor(actor, actor.pose(time)?)));
    let parked = layout.parked.iter().enumerate().map(|(i, &(x, look))| {
        let stands = Pose { x, z: depth::PARKING, speed: [-0.1, 0.0], gone: 0.0 };
        Figure::new(Some((1 + i as u64, Kind::Car)), [x, stands.z], car(look, &stands).0, 2.1)
    });
    let trees = layout.trees.iter().map(|tree| of_tree(tree, time, wind));
    let posts = layout.posts.iter().map(|&[x, z]| {
        let mut parts = Parts::default();
        parts.slab([0.0, 1.3], [0.07, 1.3], 0.02, [92, 96, 100]);
        parts.slab([0.0, 2.75], [0.28, 0.28], 0.05, [48, 84, 150]);
        Figure::new(None, [x, z], parts, 0.1)
    });
    let van = layout.van.iter().map(|&x| Figure::new(None, [x, 11.5], van(), 2.6));
    let mut all: Vec<Figure> = moving.chain(parked).chain(trees).chain(posts).chain(van).collect();
    all.sort_by(|a, b| b.z.total_cmp(&a.z));
    all
}

fn of_actor(actor: &Actor, pose: Pose) -> Figure {
    let (parts, shadow, lamps) = match actor.kind {
        Kind::Person => (person(actor.look, &pose), 0.3, Vec::new()),
        Kind::Bicycle => {
            let (parts, lamp) = cyclist(actor.look, &pose);
            (parts, 0.8, vec![lamp])
        }
        Kind::Car => {
            let (parts, lamps) = car(actor.look, &pose);
            (parts, 2.1, lamps)
        }
        Kind::Dog => (dog(actor.look, &pose), 0.3, Vec::new()),
    };
    Figure { lamps, ..Figure::new(Some((actor.id, actor.kind)), [pose.x, pose.z], parts, shadow) }
}

const SKINS: [Ink; 4] = [[233, 196, 170], [205, 160, 125], [150, 105, 78], [98, 68, 50]];
const CLOTHES: [Ink; 10] = [
    [176, 44, 48],
    [44, 72, 140],
    [58, 104, 66],
    [52, 54, 60],
    [214, 208, 196],
    [224, 168, 52],
    [120, 62, 120],
    [70, 130, 150],
    [148, 110, 78],
    [238, 120, 60],
];
const TROUSERS: [Ink; 5] = [[40, 46, 66], [62, 60, 58], [96, 84, 66], [34, 36, 38], [70, 92, 124]];
const PAINTS: [Ink; 7] =
    [[188, 190, 194], [52, 56, 62], [150, 32, 36], [38, 66, 116], [236, 236, 232], [82, 98, 84], [196, 150, 60]];

fn pick<const N: usize>(inks: &[Ink; N], chance: &mut Chance) -> Ink {
    let ink = inks[chance.below(N as u32) as usize];
    shade(ink, chance.within(0.85, 1.12))
}

/// Heading as 1 or -1.
fn heading(pose: &Pose) -> f32 {
    if pose.speed[0] < 0.0 { -1.0 } else { 1.0 }
}

fn person(look: u64, pose: &Pose) -> Parts {
    let mut chance = Chance::new(look, 21);
    let tall = chance.within(1.5, 1.92);
    let wide = tall * chance.within(0.105, 0.145);
    let (skin, coat, legs) = (pick(&SKINS, &mut chance), pick(&CLOTHES, &mut chance), pick(&TROUSERS, &mut chance));
    let hair = shade([70, 52, 40], chance.within(0.4, 2.2));
    let [vx, vz] = pose.speed;
    let walks = vx.hypot(vz) > 0.05;
    // Seen from the side the legs swing apart, from the front hardly.
    let sideways = if walks { vx.abs() / vx.hypot(vz) } else { 0.0 };
    let swing = if walks { (pose.gone * 4.4).sin() } else { 0.15 };
    let step = swing * tall * (0.05 + 0.12 * sideways);
    let (hip, shoulder) = (tall * 0.5, tall * 0.8);
    let mut parts = Parts::default();
    let leg = tall * 0.085;
    parts.limb([wide * 0.25, hip], [step, leg / 2.0], leg, shade(legs, 0.85));
    parts.limb([-wide * 0.25, hip], [-step, leg / 2.0], leg, legs);
    parts.limb([wide * 0.7, shoulder], [-step * 0.8 + wide * 0.8, hip], tall * 0.055, shade(coat, 0.8));
    parts.slab(
        [0.0, (hip + shoulder) / 2.0 + tall * 0.02],
        [wide, (shoulder - hip) / 2.0 + tall * 0.05],
        wide * 0.6,
        coat,
    );
    parts.limb([-wide * 0.7, shoulder], [step * 0.8 - wide * 0.8, hip], tall * 0.055, shade(coat, 0.9));
    parts.ellipse([0.0, tall * 0.92], [tall * 0.052, tall * 0.08], hair);
    parts.ellipse([heading(pose) * tall * 0.012, tall * 0.905], [tall * 0.042, tall * 0.06], skin);
    parts
}

fn cyclist(look: u64, pose: &Pose) -> (Parts, [f32; 2]) {
    let mut chance = Chance::new(look, 22);
    let (skin, coat, legs) = (pick(&SKINS, &mut chance), pick(&CLOTHES, &mut chance), pick(&TROUSERS, &mut chance));
    let frame = pick(&PAINTS, &mut chance);
    let h = heading(pose);
    let crank = pose.gone * 2.6;
    let pedal = |turn: f32| [0.17 * (crank + turn).cos(), 0.3 + 0.17 * (crank + turn).sin()];
    let mut parts = Parts::default();
    for x in [-0.52, 0.52] {
        parts.ring([x, 0.34], 0.32, 0.055, [32, 32, 34]);
    }
    parts.limb([-0.2 * h, 0.95], pedal(0.0), 0.12, shade(legs, 0.8));
    for (from, to) in [([-0.52, 0.34], [-0.15, 0.85]), ([-0.15, 0.85], [0.4, 0.86]), ([0.4, 0.86], [0.0, 0.3])] {
        parts.limb([from[0] * h, from[1]], [to[0] * h, to[1]], 0.05, frame);
    }
    parts.limb([0.52 * h, 0.34], [0.4 * h, 1.02], 0.05, frame);
    parts.limb([-0.2 * h, 0.95], pedal(PI), 0.13, legs);
    parts.limb([-0.2 * h, 1.0], [0.12 * h, 1.42], 0.3, coat);
    parts.limb([0.1 * h, 1.4], [0.4 * h, 1.05], 0.09, shade(coat, 0.85));
    parts.ellipse([0.2 * h, 1.68], [0.1, 0.13], skin);
    parts.ellipse([0.18 * h, 1.74], [0.13, 0.09], pick(&CLOTHES, &mut chance));
    (parts, [0.5 * h, 0.8])
}

fn car(look: u64, pose: &Pose) -> (Parts, Vec<[f32; 2]>) {
    let mut chance = Chance::new(look, 23);
    let (half, high) = (chance.within(1.9, 2.35), chance.within(1.38, 1.75));
    let paint = pick(&PAINTS, &mut chance);
    let h = heading(pose);
    let belt = high * 0.58;
    let mut parts = Parts::default();
    let cabin = -0.12 * half * h;
    parts.trapezoid([cabin, (belt + high) / 2.0], [half * 0.66, half * 0.42], (high - belt) / 2.0, shade(paint, 0.92));
    parts.trapezoid(
        [cabin, (belt + high) / 2.0 - 0.02],
        [half * 0.6, half * 0.39],
        (high - belt) / 2.0 - 0.07,
        [58, 74, 88],
    );
    parts.slab([cabin, (belt + high) / 2.0], [0.045, (high - belt) / 2.0], 0.0, shade(paint, 0.85));
    parts.slab([0.0, (0.28 + belt) / 2.0], [half, (belt - 0.28) / 2.0], 0.16, paint);
    parts.slab([0.0, 0.36], [half * 0.97, 0.07], 0.03, shade(paint, 0.6));
    for x in [-0.62 * half, 0.62 * half] {
        parts.ellipse([x, 0.32], [0.32, 0.32], [26, 26, 28]);
        parts.ellipse([x, 0.32], [0.17, 0.17], [140, 142, 146]);
    }
    parts.slab([half * 0.93 * h, belt * 0.86], [0.1, 0.07], 0.03, [250, 246, 214]);
    parts.slab([-half * 0.95 * h, belt * 0.86], [0.07, 0.08], 0.03, [190, 26, 30]);
    let moves = pose.speed[0].abs() > 0.15;
    (parts, if moves { vec![[half * 0.95 * h, belt * 0.86]] } else { Vec::new() })
}

fn dog(look: u64, pose: &Pose) -> Parts {
    let mut chance = Chance::new(look, 24);
    let size = chance.within(0.75, 1.15);
    let coat = pick(&[[120, 84, 54], [52, 46, 42], [214, 196, 164], [150, 146, 140]], &mut chance);
    let h = heading(pose);
    let swing = 0.1 * (pose.gone * 9.0).sin();
    let mut parts = Parts::default();
    let mut limb = |from: [f32; 2], to: [f32; 2], thick: f32, ink: Ink| {
        let scaled = |p: [f32; 2]| [p[0] * size * h, p[1] * size];
        parts.limb(scaled(from), scaled(to), thick * size, ink);
    };
    limb([-0.26, 0.36], [-0.26 - swing, 0.03], 0.07, shade(coat, 0.8));
    limb([0.24, 0.36], [0.24 - swing, 0.03], 0.07, shade(coat, 0.8));
    limb([-0.26, 0.42], [0.24, 0.44], 0.24, coat);
    limb([-0.22, 0.36], [-0.22 + swing, 0.03], 0.07, coat);
    limb([0.28, 0.36], [0.28 + swing, 0.03], 0.07, coat);
    limb([-0.36, 0.48], [-0.5, 0.66], 0.05, coat);
    limb([0.34, 0.58], [0.5, 0.55], 0.15, coat);
    limb([0.33, 0.6], [0.3, 0.72], 0.06, shade(coat, 0.7));
    parts
}

fn van() -> Parts {
    let mut parts = Parts::default();
    parts.slab([0.35, 1.3], [2.2, 1.05], 0.1, [222, 222, 218]);
    parts.trapezoid([-1.95, 1.1], [0.75, 0.45], 0.82, [214, 214, 210]);
    parts.trapezoid([-2.0, 1.45], [0.5, 0.34], 0.36, [62, 80, 94]);
    parts.slab([0.35, 1.3], [1.9, 0.2], 0.0, [60, 120, 170]);
    parts.slab([-0.1, 0.4], [2.65, 0.16], 0.05, [70, 72, 76]);
    for x in [-1.7, 1.6] {
        parts.ellipse([x, 0.36], [0.36, 0.36], [26, 26, 28]);
        parts.ellipse([x, 0.36], [0.18, 0.18], [140, 142, 146]);
    }
    parts
}

fn of_tree(tree: &Tree, time: f64, wind: f32) -> Figure {
    let mut chance = Chance::new(tree.look, 25);
    let mut parts = Parts::default();
    let top = chance.within(3.4, 4.2);
    let trunk = chance.within(0.13, 0.2);
    parts.trapezoid([0.0, top / 2.0], [trunk, trunk * 0.7], top / 2.0, [92, 74, 58]);
    let t = time as f32;
    for _ in 0..11 {
        let leaf = shade([74, 112, 58], chance.within(0.75, 1.2));
        let (angle, out) = (chance.within(0.0, TAU), chance.within(0.2, 1.0));
        let radius = tree.crown * chance.within(0.35, 0.55);
        let (pace, phase) = (chance.within(1.1, 2.6), chance.within(0.0, TAU));
        // Gusts come and go; every branch has a pace of its own.
        let gust = 0.6 + 0.4 * (t * 0.37 + tree.x).sin();
        let sway = wind * gust * 0.28 * (t * pace + phase).sin();
        let centre =
            [angle.cos() * out * (tree.crown - radius) + sway, top + angle.sin() * out * tree.crown * 0.6 + 0.3 * sway];
        parts.ellipse(centre, [radius, radius * 0.85], leaf);
    }
    Figure::new(None, [tree.x, tree.z], parts, tree.crown)
}
