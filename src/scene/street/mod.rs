//! A street drawn by code: people, bicycles, cars and dogs whose places are known at every moment.
//!
//! A seed decides the camera, what stands still, and who comes when and goes where; equal seeds give equal streets in every size of
//! picture. Time is continuous: any moment can be asked for, so that any rate of frames shows the same street.
//!
//! ```text
//! layout (stands still) ─┐
//! traffic ─▶ actors ─────┴▶ figures, far to near ─┬▶ visible ─▶ truth
//!                                  light, weather ─┴▶ draw ───▶ picture
//! ```

mod actor;
mod camera;
mod draw;
mod figure;
mod layout;
mod light;
mod shape;
#[cfg(test)]
mod tests;
mod traffic;
mod visible;

use std::sync::OnceLock;
use std::time::Duration;

pub use light::Weather;

use draw::{Backdrop, Picture};
use figure::{Figure, figures};
use layout::Layout;
use light::Light;

/// A street with its traffic.
#[derive(Debug)]
pub struct Street {
    seed: u64,
    weather: Weather,
    density: f32,
    layout: Layout,
    backdrop: OnceLock<Backdrop>,
}

/// One object that a detector has a label for, at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruthObject {
    /// Its number, the same as long as it is in the street.
    pub id: u64,
    /// `person`, `bicycle` (with its rider), `car` or `dog`.
    pub label: &'static str,
    /// `[x1, y1, x2, y2]` in pixels of the whole object, within the picture.
    pub bbox: [f32; 4],
    /// Share of the object that can be seen, 0.0 to 1.0: not behind others, and within the picture.
    pub visible_fraction: f32,
    /// `[x1, y1, x2, y2]` in pixels around what can be seen of it; four zeros where that is nothing.
    pub visible_bbox: [f32; 4],
    /// Its place on the ground, in pixels; may be outside of the picture.
    pub foot: [f32; 2],
}

impl Street {
    /// The street of `seed`. Traffic is `density` times the usual one (0 = none but parked cars, 1 = about 8 people, 5 cars each way
    /// and 2 bicycles a minute; 4 at most). Width and height 16 to 65535 pixels.
    pub fn new(seed: u64, weather: Weather, density: f32, width: u16, height: u16) -> Self {
        let layout = Layout::new(seed, [width.into(), height.into()]);
        Street { seed, weather, density: density.clamp(0.0, 4.0), layout, backdrop: OnceLock::new() }
    }

    /// A line between the lanes over the zebra crossing, which people cross and cars drive along: its ends as shares of the picture's
    /// width and height.
    pub fn zebra_line(&self) -> [[f32; 2]; 2] {
        let Layout { camera, zebra, .. } = &self.layout;
        [zebra - 2.5, zebra + 2.5].map(|x| {
            let [u, v] = camera.ground(x, layout::depth::MIDDLE);
            [u / camera.size[0], v / camera.size[1]]
        })
    }

    /// The objects of which some part is in the picture, the nearest first.
    pub fn truth(&self, at: Duration) -> Vec<TruthObject> {
        let camera = &self.layout.camera;
        let [width, height] = camera.size;
        let figures = self.figures(at);
        let mut truth = Vec::new();
        for (index, figure) in figures.iter().enumerate().rev() {
            let Some((id, kind)) = figure.subject else { continue };
            let [x1, y1, x2, y2] = figure.bbox(camera);
            let bbox = [x1.max(0.0), y1.max(0.0), x2.min(width), y2.min(height)];
            if bbox[2] - bbox[0] < 1.0 || bbox[3] - bbox[1] < 1.0 {
                continue;
            }
            let seen = visible::visible(figure, figures.get(index + 1..).unwrap_or_default(), camera);
            truth.push(TruthObject {
                id,
                label: kind.label(),
                bbox,
                visible_fraction: seen.fraction,
                visible_bbox: seen.bbox,
                foot: camera.ground(figure.x, figure.z),
            });
        }
        truth
    }

    /// Draws the picture of a moment over `pixels`, `[H, W, 3]`, red first.
    pub fn draw(&self, at: Duration, pixels: &mut Vec<u8>) {
        let backdrop = self.backdrop.get_or_init(|| Backdrop::new(&self.layout, self.weather));
        let camera = &self.layout.camera;
        let figures = self.figures(at);
        let mut picture = Picture::new(camera, backdrop, pixels);
        let shadow = if self.weather.is_dark() { 0.25 } else { 0.45 };
        for figure in &figures {
            picture.figure(figure, shadow);
        }
        let frame = self.seed ^ at.as_micros() as u64;
        let light = Light::new(self.seed, self.weather, &self.layout, at.as_secs_f64());
        picture.light(&light, self.weather, backdrop, frame);
        if self.weather.is_dark() {
            for (index, figure) in figures.iter().enumerate() {
                let ([u, v], scale) = (camera.ground(figure.x, figure.z), camera.scale(figure.z));
                let nearer = figures.get(index + 1..).unwrap_or_default();
                for [x, y] in &figure.lamps {
                    let at = [u + x * scale, v - y * scale];
                    if !nearer.iter().any(|other| other.covers(camera, at)) {
                        picture.lamp(at, 0.3 * scale);
                    }
                }
            }
        }
        if self.weather.rains() {
            picture.rain(frame);
        }
    }

    fn figures(&self, at: Duration) -> Vec<Figure> {
        let time = at.as_secs_f64();
        let actors = traffic::actors(self.seed, &self.layout, self.density, time);
        figures(&self.layout, &actors, time, self.weather.wind())
    }
}
