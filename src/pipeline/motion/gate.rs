//! The decision: open or closed, and why.

use std::time::Duration;

use super::area::Areas;
use super::background::{Background, Difference};
use super::config::Config;
use super::mask;
use crate::preprocess::Coarse;

/// Time and number of pictures for which a new scene is learnt with the gate open.
const LEARNING: Duration = Duration::from_secs(2);
const LEARNING_PICTURES: u32 = 4;
/// A larger share of the picture differs when the scene is another one: the camera was moved or covered, or lightning struck.
const OTHER_SCENE: f32 = 0.4;
/// The same scene is one of which less than this share differs.
const SAME_SCENE: f32 = 0.1;
/// The light of the whole picture changes by more levels than these when a lamp is switched or the exposure leaps.
const LEAP: f32 = 20.0;
/// A change of scene or light opens the gate for this long, …
const MOMENT: Duration = Duration::from_secs(1);
/// … and not again before this is over: a thunderstorm is no motion.
const MOMENTS_APART: Duration = Duration::from_secs(10);
/// A scene that comes back within this time was not replaced by another one.
const FLASH: Duration = Duration::from_secs(5);
/// Fewest cells that are motion, whatever the share.
const LEAST_CELLS: f32 = 4.0;
/// Longest time between two pictures that counts for learning.
const LONGEST_S: f32 = 10.0;

/// State of the gate for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The picture is to be looked at.
    Open(Reason),
    /// Nothing has changed that is worth a look.
    Closed,
}

/// Reason to look at a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The scene is new.
    Learning,
    /// Something moves.
    Motion,
    /// Something moved a moment ago.
    Hold,
    /// The task follows something that is not settled.
    Followed,
    /// The picture has changed as a whole.
    Scene,
    /// Nothing was looked at for long.
    Look,
    /// The picture cannot be compared.
    Unknown,
}

/// Decides for each picture of a fixed camera whether it is worth a look.
///
/// ```text
///             moves, or is followed, or another scene (for a moment), or `look_every_s` is over (one picture)
///   closed ──────────────────────────────────────────────────────────────────────────────────────────────────▶ open
///      ◀───────────────────────────────────────────────────────────────────────────────────────────────────────
///                              none of these for `hold_s` (after motion), at once (after the others)
/// ```
pub struct MotionGate {
    config: Config,
    scene: Option<Scene>,
    difference: Difference,
    areas: Areas,
    /// Time of the last picture, and of the last one that was let through.
    last: Option<Duration>,
    opened: Option<Duration>,
    moved: Option<Duration>,
    /// Start of the last opening for a change of scene.
    moment: Option<Duration>,
}

/// Knowledge of the present scene.
struct Scene {
    width: usize,
    /// Cells that do not count.
    skip: Vec<bool>,
    /// Cells of an area that is motion.
    least: usize,
    background: Background,
    since: Duration,
    pictures: u32,
    /// The background that this one took the place of, and when.
    before: Option<(Background, Duration)>,
}

impl MotionGate {
    /// A gate that knows no scene.
    pub fn new(config: &Config) -> MotionGate {
        MotionGate {
            config: config.clone(),
            scene: None,
            difference: Difference::default(),
            areas: Areas::default(),
            last: None,
            opened: None,
            moved: None,
            moment: None,
        }
    }

    /// Decides on a picture that was captured at `now`, on a clock of the caller's; `None` = it cannot be decoded. `followed` = the
    /// task is in the middle of something: candidates that are not confirmed, objects that move.
    pub fn look(&mut self, picture: Option<Coarse<'_>>, followed: bool, now: Duration) -> Gate {
        let reason = match picture {
            Some(picture) => self.reason(picture, followed, now),
            None => Some(Reason::Unknown),
        };
        self.last = Some(now);
        match reason {
            Some(reason) => {
                self.opened = Some(now);
                Gate::Open(reason)
            }
            None => Gate::Closed,
        }
    }

    fn reason(&mut self, picture: Coarse<'_>, followed: bool, now: Duration) -> Option<Reason> {
        let since = |at: Duration| now.saturating_sub(at);
        let dt_s = self.last.map_or(0.0, |last| since(last).as_secs_f32().min(LONGEST_S));
        let fits = |scene: &&mut Scene| scene.width == picture.width && scene.skip.len() == picture.cells.len();
        let Some(scene) = self.scene.as_mut().filter(fits) else {
            self.scene = Some(Scene::new(&self.config, picture, now));
            return Some(Reason::Learning);
        };
        scene.pictures = scene.pictures.saturating_add(1);
        let changed = scene.changed(picture.cells, &mut self.difference, now);
        let moving = scene.background.moving(scene.width, &mut self.difference);
        let moved = !changed && self.areas.largest(moving, scene.width) >= scene.least;
        // What is followed, or was found since this began, is worth its motion however often it is seen.
        scene.background.learn(picture.cells, &self.difference, dt_s, followed);
        if moved {
            self.moved = Some(now);
        }
        if changed && self.moment.is_none_or(|at| since(at) >= MOMENTS_APART) {
            self.moment = Some(now);
        }
        let hold = self.config.hold();
        let learning = scene.pictures <= LEARNING_PICTURES || since(scene.since) < LEARNING;
        let reasons = [
            (learning, Reason::Learning),
            (moved, Reason::Motion),
            (self.moment.is_some_and(|at| since(at) < MOMENT), Reason::Scene),
            (followed, Reason::Followed),
            (self.moved.is_some_and(|at| since(at) < hold), Reason::Hold),
            (self.opened.is_none_or(|at| since(at) >= self.config.look_every()), Reason::Look),
        ];
        reasons.into_iter().find(|(holds, _)| *holds).map(|(_, reason)| reason)
    }
}

impl Scene {
    fn new(config: &Config, picture: Coarse<'_>, now: Duration) -> Scene {
        let skip = mask::rasterise(&config.mask, picture.width, picture.height);
        let seen = skip.iter().filter(|skip| !**skip).count();
        Scene {
            width: picture.width,
            skip,
            least: (seen as f32 * config.min_area).max(LEAST_CELLS).ceil() as usize,
            background: Background::of(picture.cells),
            since: now,
            pictures: 1,
            before: None,
        }
    }

    /// Compares a picture, and takes it for the background where the whole picture has changed; `true` if it has.
    fn changed(&mut self, cells: &[u8], difference: &mut Difference, now: Duration) -> bool {
        self.background.compare(cells, &self.skip, difference);
        let leapt = |difference: &Difference| difference.light.abs() > LEAP;
        let other = difference.share > OTHER_SCENE || leapt(difference) && difference.share > SAME_SCENE;
        if !other && !leapt(difference) {
            return false;
        }
        let before = self.before.take().filter(|(_, at)| now.saturating_sub(*at) < FLASH);
        if let Some((background, _)) = &before {
            background.compare(cells, &self.skip, difference);
            if difference.share < SAME_SCENE && !leapt(difference) {
                self.before = before.map(|(background, _)| (std::mem::replace(&mut self.background, background), now));
                return true;
            }
        }
        self.before = before.or_else(|| Some((self.background.clone(), now)));
        if other {
            self.background = Background::of(cells);
        } else {
            self.background.relight(cells);
        }
        self.background.compare(cells, &self.skip, difference);
        true
    }
}
