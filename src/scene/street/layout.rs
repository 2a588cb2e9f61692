//! Everything of a street that stands still, as its seed decides: the camera, lanes, trees, posts, parked cars, doors.

use super::super::chance::Chance;
use super::camera::Camera;

/// Distances from the camera in metres.
pub(super) mod depth {
    /// Near pavement, `[from, to]`.
    pub const NEAR_PAVEMENT: [f32; 2] = [7.2, 9.4];
    /// Kerb with trees and posts.
    pub const NEAR_KERB: f32 = 9.9;
    /// Cycle track.
    pub const CYCLES: [f32; 2] = [10.4, 10.9];
    /// Lane to the right.
    pub const NEAR_LANE: f32 = 13.0;
    /// Line between the lanes.
    pub const MIDDLE: f32 = 14.6;
    /// Lane to the left.
    pub const FAR_LANE: f32 = 16.2;
    /// Parked cars.
    pub const PARKING: f32 = 18.8;
    /// Far pavement, `[from, to]`.
    pub const FAR_PAVEMENT: [f32; 2] = [20.8, 23.2];
    /// Walls on the far side.
    pub const HOUSES: f32 = 24.6;
    /// The door below the camera.
    pub const DOOR: f32 = 5.6;
}

/// A street without traffic.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub camera: Camera,
    pub trees: Vec<Tree>,
    /// `[x, z]` of thin posts.
    pub posts: Vec<[f32; 2]>,
    /// `x` of a delivery van at the near kerb.
    pub van: Option<f32>,
    /// `x` and look of cars that never leave.
    pub parked: Vec<(f32, u64)>,
    /// `x` of a free parking space.
    pub free_space: f32,
    /// `x` of the zebra crossing.
    pub zebra: f32,
    /// `x` of the door below the camera.
    pub door: f32,
    /// `x` of doors on the far side.
    pub far_doors: Vec<f32>,
    /// Cars' usual speed in metres per second in the near and the far lane.
    pub speeds: [f32; 2],
    /// Seed of the walls.
    pub look: u64,
}

/// A tree at the kerb.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    pub x: f32,
    pub z: f32,
    /// Half of the crown's width in metres.
    pub crown: f32,
    pub look: u64,
}

impl Layout {
    /// The street of `seed` in a picture of `size` pixels.
    pub fn new(seed: u64, size: [u32; 2]) -> Self {
        let mut chance = Chance::new(seed, 20);
        let camera = Camera::new(chance.within(0.95, 1.2), chance.within(3.4, 4.6), size);
        let edge = camera.half_width(depth::NEAR_KERB);
        let trees = (0..1 + chance.below(2))
            .map(|i| Tree {
                x: (chance.within(0.25, 0.8) * if i == 0 { -1.0 } else { 1.0 }) * edge,
                z: depth::NEAR_KERB + chance.within(-0.2, 0.2),
                crown: chance.within(1.0, 1.6),
                look: chance.bits(),
            })
            .collect();
        let posts = (0..1 + chance.below(3)).map(|_| [chance.within(-0.9, 0.9) * edge, depth::NEAR_KERB]).collect();
        let van = chance.often(0.5).then(|| chance.within(-0.7, 0.7) * edge);
        let far = camera.half_width(depth::PARKING);
        let free_space = chance.within(-0.6, 0.6) * far;
        let mut parked = Vec::new();
        let mut x = -far + chance.within(0.0, 4.0);
        while x < far {
            // Room for one car stays free; of the other spaces about half are taken.
            if (x - free_space).abs() > 5.4 && chance.often(0.5) {
                parked.push((x, chance.bits()));
            }
            x += chance.within(5.2, 7.0);
        }
        Layout {
            trees,
            posts,
            van,
            parked,
            free_space,
            zebra: chance.within(-0.5, 0.5) * edge,
            door: chance.within(-0.5, 0.5) * camera.half_width(depth::DOOR),
            far_doors: (0..3).map(|_| chance.within(-0.85, 0.85) * camera.half_width(depth::HOUSES)).collect(),
            speeds: [chance.within(7.0, 12.0), chance.within(7.0, 12.0)],
            look: chance.bits(),
            camera,
        }
    }
}
