//! Traffic: who comes when and goes where, in blocks of time that a seed decides each for itself, so that any moment can be
//! asked for.

use super::super::chance::Chance;
use super::actor::{Actor, Kind, Way, poisson};
use super::layout::{Layout, depth};

/// Length of a block in seconds.
const BLOCK_S: f64 = 20.0;
/// Blocks before the present one of which something may still be there: the slowest walk with the longest stop.
const REACH: i64 = 9;
/// Numbers of the things of one block.
const IDS: u64 = 64;
/// Things of a block at most.
const MOST: usize = 40;

/// Everything that may be in the street at a time in seconds; the times before 0 have traffic, too.
pub(super) fn actors(seed: u64, layout: &Layout, density: f32, time: f64) -> Vec<Actor> {
    let block = (time / BLOCK_S).floor() as i64;
    let mut out = Vec::new();
    for number in block - REACH..=block {
        out.extend(Block::new(seed, layout, density, number).fill().into_iter().filter(|actor| actor.start <= time));
    }
    out
}

/// A block while it is filled.
struct Block<'a> {
    layout: &'a Layout,
    density: f32,
    start: f64,
    first_id: u64,
    chance: Chance,
    actors: Vec<Actor>,
}

impl<'a> Block<'a> {
    fn new(seed: u64, layout: &'a Layout, density: f32, number: i64) -> Self {
        // Blocks begin a little before the time 0; numbers of things that stand still are below the first.
        let from_first = number.saturating_add(REACH + 1).max(0) as u64;
        Block {
            layout,
            density,
            start: number as f64 * BLOCK_S,
            first_id: (from_first + 1) * IDS,
            chance: Chance::new(seed, 1000u64.wrapping_add(from_first)),
            actors: Vec::new(),
        }
    }

    fn fill(mut self) -> Vec<Actor> {
        for _ in 0..poisson(2.6 * self.density, &mut self.chance) {
            self.walkers();
        }
        for _ in 0..poisson(0.8 * self.density, &mut self.chance) {
            self.cyclist();
        }
        if self.density > 0.0 {
            self.lane(0);
            self.lane(1);
        }
        if self.chance.often(0.12 * self.density) {
            self.visitor();
        }
        self.actors
    }

    fn add(&mut self, kind: Kind, after_s: f64, way: Way, beside: [f32; 2]) {
        if self.actors.len() >= MOST {
            return;
        }
        self.actors.push(Actor {
            id: self.first_id + self.actors.len() as u64,
            kind,
            start: self.start + after_s,
            way: way.knots,
            beside,
            look: self.chance.bits(),
        });
    }

    fn moment(&mut self) -> f64 {
        BLOCK_S * f64::from(self.chance.within(0.0, 1.0))
    }

    fn side(&mut self) -> f32 {
        if self.chance.often(0.5) { 1.0 } else { -1.0 }
    }

    /// Edge of the picture at a distance, with room for the thing.
    fn edge(&self, z: f32) -> f32 {
        self.layout.camera.half_width(z) + 0.6
    }

    /// One person on foot, or two; some with a dog.
    fn walkers(&mut self) {
        let speed = self.chance.within(0.9, 1.7);
        let (near, far) = (depth::NEAR_PAVEMENT, depth::FAR_PAVEMENT);
        let way = match self.chance.below(20) {
            0..9 => self.along(near, speed),
            9..13 => self.along(far, speed),
            13..16 => self.across(speed),
            16..18 => self.through_the_door(speed),
            _ => self.through_a_far_door(speed),
        };
        let after = self.moment();
        let company = self.chance.below(10);
        let knots = way.knots.clone();
        let again = || Way { knots: knots.clone() };
        self.add(Kind::Person, after, way, [0.0; 2]);
        if company < 3 {
            let beside = [self.chance.within(-0.9, 0.9), self.chance.within(0.3, 0.7)];
            self.add(Kind::Person, after, again(), beside);
        }
        if company == 3 || company == 4 {
            self.add(Kind::Dog, after, again(), [0.0, -0.4]);
        }
    }

    /// Along a pavement; some stop, some turn back, some stand for long.
    fn along(&mut self, pavement: [f32; 2], speed: f32) -> Way {
        let z = self.chance.within(pavement[0], pavement[1]);
        let (edge, side) = (self.edge(z), self.side());
        let mut way = Way::from(-side * edge, z);
        let middle = self.chance.within(-0.6, 0.6) * edge;
        match self.chance.below(20) {
            0..3 => {
                way.walk(middle, z, speed);
                way.wait(self.chance.within(2.0, 14.0));
                way.walk(side * edge, z, speed);
            }
            3..5 => {
                way.walk(middle, z, speed);
                way.wait(self.chance.within(0.2, 2.0));
                way.walk(-side * edge, z, speed);
            }
            5 => {
                way.walk(middle, z, speed);
                way.wait(self.chance.within(30.0, 60.0));
                way.walk(side * edge, z, speed);
            }
            _ => way.walk(side * edge, z, speed),
        }
        way
    }

    /// From one pavement over the zebra crossing to the other.
    fn across(&mut self, speed: f32) -> Way {
        let from_near = self.chance.often(0.5);
        let mut zs = [depth::NEAR_PAVEMENT, depth::FAR_PAVEMENT].map(|p| self.chance.within(p[0], p[1]));
        if !from_near {
            zs.reverse();
        }
        let x = self.layout.zebra + self.chance.within(-0.9, 0.9);
        let (here, there) = (self.side(), self.side());
        let mut way = Way::from(here * self.edge(zs[0]), zs[0]);
        way.walk(x, zs[0], speed);
        way.wait(self.chance.within(0.0, 4.0));
        way.walk(x + self.chance.within(-0.4, 0.4), zs[1], speed);
        way.walk(there * self.edge(zs[1]), zs[1], speed);
        way
    }

    /// Out of the door below the camera, or in.
    fn through_the_door(&mut self, speed: f32) -> Way {
        let z = self.chance.within(depth::NEAR_PAVEMENT[0], depth::NEAR_PAVEMENT[1]);
        let side = self.side();
        let (door, edge) = (self.layout.door, side * self.edge(z));
        let mut way;
        if self.chance.often(0.5) {
            way = Way::from(door, depth::DOOR - 0.8);
            way.walk(door, depth::DOOR, speed);
            way.walk(door + side * 0.8, z, speed);
            way.walk(edge, z, speed);
        } else {
            way = Way::from(edge, z);
            way.walk(door + side * 0.8, z, speed);
            way.walk(door, depth::DOOR, speed);
            way.wait(self.chance.within(1.0, 10.0));
            way.walk(door, depth::DOOR - 0.8, speed);
        }
        way
    }

    /// Out of a door on the far side, or in.
    fn through_a_far_door(&mut self, speed: f32) -> Way {
        let doors = &self.layout.far_doors;
        let door = doors.get(self.chance.below(doors.len() as u32) as usize).copied().unwrap_or(0.0);
        let z = self.chance.within(depth::FAR_PAVEMENT[0], depth::FAR_PAVEMENT[1]);
        let side = self.side();
        let edge = side * self.edge(z);
        let wall = depth::HOUSES - 0.3;
        let mut way;
        if self.chance.often(0.5) {
            way = Way::from(door, wall);
            way.wait(self.chance.within(0.5, 3.0));
            way.walk(door + side * 0.5, z, speed);
            way.walk(edge, z, speed);
        } else {
            way = Way::from(edge, z);
            way.walk(door + side * 0.5, z, speed);
            way.walk(door, wall, speed);
            way.wait(self.chance.within(0.5, 3.0));
        }
        way
    }

    fn cyclist(&mut self) {
        let speed = self.chance.within(3.2, 6.5);
        let z = self.chance.within(depth::CYCLES[0], depth::CYCLES[1]);
        let (edge, side) = (self.edge(z) + 1.0, self.side());
        let mut way = Way::from(-side * edge, z);
        way.walk(side * edge, z, speed);
        let after = self.moment();
        self.add(Kind::Bicycle, after, way, [0.0; 2]);
    }

    /// Cars of one lane: a distance apart, some of them stopping at the zebra crossing.
    fn lane(&mut self, lane: usize) {
        let (z, side) = if lane == 0 { (depth::NEAR_LANE, 1.0) } else { (depth::FAR_LANE, -1.0) };
        let usual = self.layout.speeds.get(lane).copied().unwrap_or(10.0);
        let edge = self.edge(z) + 2.2;
        let mut after = self.chance.within(0.0, 16.0 / self.density.max(0.05));
        while f64::from(after) < BLOCK_S - 3.0 {
            let speed = usual * self.chance.within(0.97, 1.03);
            let mut way = Way::from(-side * edge, z);
            let stop = self.layout.zebra - side * 3.6;
            let room = f64::from(after) < BLOCK_S - 14.0 && stop.abs() < edge - 8.0;
            let mut held = 0.0;
            if room && self.chance.often(0.15) {
                let brake = (speed * speed / 5.0).min((stop + side * edge).abs() - 0.5);
                held = self.chance.within(2.0, 5.0) + 3.0;
                way.drive(stop - side * brake, speed, speed);
                way.drive(stop, speed, 0.3);
                way.wait(held - 3.0);
                way.drive(stop + side * brake, 0.3, speed);
            }
            way.drive(side * edge, speed, speed);
            self.add(Kind::Car, after.into(), way, [0.0; 2]);
            after += held + 2.8 + self.chance.within(0.0, 14.0 / self.density.max(0.05));
        }
    }

    /// A car that comes to the free parking space, stands there for a time, and leaves.
    fn visitor(&mut self) {
        let z = depth::PARKING - 1.4;
        let (edge, space) = (self.edge(z) + 2.2, self.layout.free_space);
        let mut way = Way::from(edge, z);
        way.drive((space + 8.0).min(edge - 0.5), 6.0, 6.0);
        way.drive(space + 2.5, 6.0, 1.5);
        way.walk(space, depth::PARKING, 1.5);
        way.wait(self.chance.within(6.0, 16.0));
        way.walk(space - 2.5, z, 1.5);
        way.drive((space - 8.0).max(0.5 - edge), 1.5, 6.0);
        way.drive(-edge, 6.0, 6.0);
        self.add(Kind::Car, 0.0, way, [0.0; 2]);
    }
}
