//! Light and weather: what falls on the whole picture and changes with time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::chance::Chance;
use super::camera::Camera;
use super::layout::{Layout, depth};

/// Light and weather over the street.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weather {
    /// An even grey day.
    #[default]
    Day,
    /// The light of the evening, the street lamp on.
    Dusk,
    /// Night with the street lamp on: dark and full of noise.
    Night,
    /// Night with a street lamp that goes off for 8 s in each minute.
    Lamp,
    /// Rain in streaks.
    Rain,
    /// Wind that moves the trees.
    Wind,
    /// Shadows of clouds that pass.
    Clouds,
    /// Rain at dusk with wind and flashes of lightning.
    Storm,
}

impl Weather {
    /// Every kind.
    pub const ALL: [Weather; 8] = [
        Weather::Day,
        Weather::Dusk,
        Weather::Night,
        Weather::Lamp,
        Weather::Rain,
        Weather::Wind,
        Weather::Clouds,
        Weather::Storm,
    ];

    /// Gain of red, green and blue without lamps and flashes.
    pub(super) fn tint(self) -> [f32; 3] {
        match self {
            Weather::Day | Weather::Wind | Weather::Clouds => [1.0, 1.0, 1.0],
            Weather::Dusk => [0.58, 0.5, 0.56],
            Weather::Night | Weather::Lamp => [0.2, 0.21, 0.3],
            Weather::Rain => [0.76, 0.78, 0.82],
            Weather::Storm => [0.46, 0.48, 0.56],
        }
    }

    /// True when lamps of cars and of the street are on.
    pub(super) fn is_dark(self) -> bool {
        matches!(self, Weather::Dusk | Weather::Night | Weather::Lamp | Weather::Storm)
    }

    /// Strength of the wind in the trees, 1 for a windy day.
    pub(super) fn wind(self) -> f32 {
        match self {
            Weather::Wind => 1.0,
            Weather::Storm => 0.8,
            Weather::Rain => 0.25,
            _ => 0.05,
        }
    }

    /// Standard deviation of the sensor's noise, 0 to 255.
    pub(super) fn noise(self) -> f32 {
        match self {
            Weather::Day | Weather::Wind | Weather::Clouds | Weather::Rain => 2.0,
            Weather::Dusk | Weather::Storm => 4.0,
            Weather::Night | Weather::Lamp => 6.5,
        }
    }

    /// True for streaks of rain.
    pub(super) fn rains(self) -> bool {
        matches!(self, Weather::Rain | Weather::Storm)
    }
}

/// Side in pixels of the cells that light is worked out in.
const CELL: usize = 16;
/// Radius in metres of the lamp's light.
const LAMP_M: f32 = 4.5;

/// The light of one moment over the picture.
#[derive(Debug)]
pub(super) struct Light {
    columns: usize,
    /// Gains at the corners of the cells.
    gains: Vec<f32>,
}

impl Light {
    pub fn new(seed: u64, weather: Weather, layout: &Layout, time: f64) -> Self {
        let camera = &layout.camera;
        let [columns, rows] = camera.size.map(|side| side as usize / CELL + 2);
        let flash = if weather == Weather::Storm { lightning(seed, time) } else { 0.0 };
        let lamp = lamp(weather, time);
        let lamp_x = layout.posts.first().map_or(0.0, |post| post[0]);
        let mut gains = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            for column in 0..columns {
                let [x, z] = place(camera, (column * CELL) as f32, (row * CELL) as f32);
                let off = ((x - lamp_x).powi(2) + (z - depth::NEAR_LANE).powi(2)) / (LAMP_M * LAMP_M);
                let clouds = if weather == Weather::Clouds { clouds(x, z, time) } else { 1.0 };
                gains.push((1.0 + lamp * (-0.5 * off).exp() + flash) * clouds);
            }
        }
        Light { columns, gains }
    }

    /// Gain at a pixel, between the corners of its cell.
    pub fn at(&self, x: usize, y: usize) -> f32 {
        let (column, row) = (x / CELL, y / CELL);
        let [tx, ty] = [x % CELL, y % CELL].map(|v| v as f32 / CELL as f32);
        let corner =
            |dx: usize, dy: usize| self.gains.get((row + dy) * self.columns + column + dx).copied().unwrap_or(1.0);
        let (top, bottom) = (corner(0, 0), corner(0, 1));
        let (top, bottom) = (top + (corner(1, 0) - top) * tx, bottom + (corner(1, 1) - bottom) * tx);
        top + (bottom - top) * ty
    }
}

/// Point of the ground, or of the walls behind it, that a pixel shows.
fn place(camera: &Camera, x: f32, y: f32) -> [f32; 2] {
    let z = camera.distance(y).unwrap_or(depth::HOUSES).min(depth::HOUSES);
    [(x - camera.size[0] / 2.0) / camera.scale(z), z]
}

/// Gain of the street lamp beside the light of the sky.
fn lamp(weather: Weather, time: f64) -> f32 {
    match weather {
        Weather::Dusk | Weather::Storm => 0.5,
        Weather::Night => 2.2,
        Weather::Lamp if !(40.0..48.0).contains(&time.rem_euclid(60.0)) => 2.2,
        _ => 0.0,
    }
}

/// Shadows of clouds that drift to the right, 0.55 to 1.
fn clouds(x: f32, z: f32, time: f64) -> f32 {
    let along = f64::from(x) * 0.11 + f64::from(z) * 0.05 - time * 0.28;
    let ragged = along.sin() + 0.5 * (2.3 * along + f64::from(z) * 0.1).sin() + 0.3 * (time * 0.05).sin();
    let share = ((ragged as f32 + 0.3) / 0.8).clamp(0.0, 1.0);
    1.0 - 0.45 * share * share * (3.0 - 2.0 * share)
}

/// Gain of a flash: in each 12 s one may come, of three strokes that fade within a twentieth of a second.
fn lightning(seed: u64, time: f64) -> f32 {
    /// Seconds in which a flash may come.
    const SLOT: f64 = 12.0;
    let slot = (time / SLOT).floor();
    let mut chance = Chance::new(seed, 3000u64.wrapping_add(slot as u64));
    if !chance.often(0.6) {
        return 0.0;
    }
    let first = slot * SLOT + f64::from(chance.within(0.0, 11.0));
    [0.0, 0.13, 0.34]
        .map(|later| {
            let since = (time - first - later) as f32;
            if (0.0..0.5).contains(&since) { 3.0 * (-since / 0.05).exp() } else { 0.0 }
        })
        .iter()
        .sum()
}
