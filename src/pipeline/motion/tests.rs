//! The gate on drawn scenes: what must open it, and what must not keep it open.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::preprocess::Coarse;

const WIDTH: usize = 160;
const HEIGHT: usize = 90;
const FPS: f64 = 5.0;

/// A scene in front of a fixed camera, drawn on the coarse grid, and its gate.
struct Watch {
    gate: MotionGate,
    chance: u64,
    time_s: f64,
    /// Standard deviation of the noise of a cell.
    noise: f32,
    followed: bool,
    seen: HashMap<Reason, u32>,
    closed: u32,
    last: Gate,
}

impl Watch {
    fn new(config: Config) -> Watch {
        Watch {
            gate: MotionGate::new(&config),
            chance: 1,
            time_s: 0.0,
            noise: 1.2,
            followed: false,
            seen: HashMap::new(),
            closed: 0,
            last: Gate::Closed,
        }
    }

    /// A gate that has seen the empty scene for a while.
    fn settled() -> Watch {
        let mut watch = Watch::new(Config::default());
        watch.run(30.0, |_, _| {});
        watch.forget();
        watch
    }

    fn forget(&mut self) {
        self.seen.clear();
        self.closed = 0;
    }

    fn count(&self, reason: Reason) -> u32 {
        self.seen.get(&reason).copied().unwrap_or(0)
    }

    fn random(&mut self) -> f32 {
        // xorshift64*
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        (self.chance.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1 << 24) as f32
    }

    /// Looks for `seconds`; `draw` draws over the empty scene, given the time since the start of this run.
    fn run(&mut self, seconds: f64, mut draw: impl FnMut(&mut Picture, f64)) {
        for frame in 0..(seconds * FPS) as u32 {
            let mut picture = Picture::empty();
            draw(&mut picture, f64::from(frame) / FPS);
            self.look(&picture);
        }
    }

    fn look(&mut self, picture: &Picture) {
        let cells: Vec<u8> = picture
            .0
            .iter()
            .map(|level| {
                let normal = (0..6).map(|_| self.random()).sum::<f32>() - 3.0;
                (level + normal * std::f32::consts::SQRT_2 * self.noise).round().clamp(0.0, 255.0) as u8
            })
            .collect();
        let coarse = Coarse { width: WIDTH, height: HEIGHT, cells: &cells };
        self.last = self.gate.look(Some(coarse), self.followed, Duration::from_secs_f64(self.time_s));
        match self.last {
            Gate::Open(reason) => *self.seen.entry(reason).or_default() += 1,
            Gate::Closed => self.closed += 1,
        }
        self.time_s += 1.0 / FPS;
    }
}

struct Picture(Vec<f32>);

impl Picture {
    /// Sky above, a wall with bricks, a road.
    fn empty() -> Picture {
        let level = |index: usize| {
            let (x, y) = (index % WIDTH, index / WIDTH);
            match y {
                0..30 => 190.0 - y as f32,
                30..60 => 90.0 + if (x / 4 + y / 2).is_multiple_of(2) { 18.0 } else { 0.0 },
                _ => 60.0 + x as f32 * 0.2,
            }
        };
        Picture((0..WIDTH * HEIGHT).map(level).collect())
    }

    fn at(&mut self, x: f64, y: f64) -> Option<&mut f32> {
        let inside = (0.0..WIDTH as f64).contains(&x) && (0.0..HEIGHT as f64).contains(&y);
        if inside { self.0.get_mut(y as usize * WIDTH + x as usize) } else { None }
    }

    fn block(&mut self, [x, y, width, height]: [f64; 4], level: f32) {
        for row in 0..height as usize {
            for column in 0..width as usize {
                if let Some(cell) = self.at(x + column as f64, y + row as f64) {
                    *cell = level;
                }
            }
        }
    }

    fn light(&mut self, change: impl Fn(f32) -> f32) {
        self.0.iter_mut().for_each(|level| *level = change(*level));
    }

    /// Somebody far away: a hundredth of the picture's height in pace, 4×10 cells.
    fn person(&mut self, x: f64) {
        self.block([x, 62.0, 4.0, 10.0], 40.0);
    }
}

#[test]
fn an_idle_scene_costs_a_look_every_half_minute() {
    let mut watch = Watch::new(Config::default());
    watch.run(1.0, |_, _| {});
    assert!(watch.closed == 0 && watch.count(Reason::Learning) == 5, "{:?}", watch.seen);
    watch.run(599.0, |_, _| {});
    assert!((18..=21).contains(&watch.count(Reason::Look)), "{:?}", watch.seen);
    let open: u32 = watch.seen.values().sum();
    assert_eq!(open, watch.count(Reason::Look) + watch.count(Reason::Learning), "{:?}", watch.seen);
    assert!(open < 3_000 / 50, "less than one inference in fifty: {open}");
}

#[test]
fn somebody_who_passes_opens_it_at_once_and_it_closes_behind_them() {
    let mut watch = Watch::settled();
    watch.look(&{
        let mut picture = Picture::empty();
        picture.person(20.0);
        picture
    });
    assert_eq!(watch.last, Gate::Open(Reason::Motion), "the first picture");
    watch.run(20.0, |picture, t| picture.person(20.0 + t * 6.0));
    assert_eq!(watch.closed, 0, "{:?}", watch.seen);
    watch.run(4.0, |_, _| {});
    assert_eq!(watch.closed, 0, "held");
    watch.run(10.0, |_, _| {});
    assert!(watch.closed > 25, "{}", watch.closed);
}

#[test]
fn what_is_parked_becomes_background_and_opens_it_when_it_leaves() {
    let mut watch = Watch::settled();
    let car = |picture: &mut Picture| picture.block([60.0, 64.0, 24.0, 12.0], 150.0);
    watch.run(30.0, |picture, _| car(picture));
    assert!(watch.closed > 40, "{:?}", watch.seen);
    watch.run(60.0, |picture, _| car(picture));
    watch.forget();
    watch.look(&Picture::empty());
    assert_eq!(watch.last, Gate::Open(Reason::Motion));
    watch.run(30.0, |_, _| {});
    assert!(watch.closed > 40, "the place where it stood is background soon: {:?}", watch.seen);
}

#[test]
fn lightning_opens_it_for_a_moment_and_nothing_is_learnt_of_it() {
    let mut watch = Watch::settled();
    for strike in 0..25 {
        watch.run(7.0 + f64::from(strike % 5), |_, _| {});
        // Two pictures: the sky is white, the wall twice as light, with shadows that were not there.
        watch.run(0.4, |picture, _| {
            picture.light(|level| (level * 1.9 + 30.0).min(255.0));
            picture.block([0.0, 30.0, 70.0, 60.0], 30.0);
        });
    }
    assert_eq!(watch.count(Reason::Motion), 0, "{:?}", watch.seen);
    let open = watch.seen.values().sum::<u32>() as f32 / (watch.seen.values().sum::<u32>() + watch.closed) as f32;
    assert!(open < 0.15, "{open} {:?}", watch.seen);
    watch.run(3.0, |_, _| {});
    watch.look(&{
        let mut picture = Picture::empty();
        picture.person(90.0);
        picture
    });
    assert_eq!(watch.last, Gate::Open(Reason::Motion), "it still sees");
}

#[test]
fn light_that_changes_is_no_motion() {
    let mut watch = Watch::settled();
    // Clouds, then an exposure that leaps to and fro.
    watch.run(200.0, |picture, t| picture.light(|level| level * (1.0 + 0.3 * (t / 9.0).sin() as f32)));
    assert_eq!(watch.count(Reason::Motion), 0, "{:?}", watch.seen);
    watch.run(200.0, |picture, t| {
        picture.light(|level| if ((t / 15.0) as u32).is_multiple_of(2) { level } else { (level * 1.4).min(255.0) });
    });
    assert_eq!(watch.count(Reason::Motion), 0, "{:?}", watch.seen);
    assert!(watch.count(Reason::Scene) > 0, "but a leap is worth a moment");
}

#[test]
fn rain_and_the_noise_of_the_night_do_not_open_it() {
    let mut watch = Watch::settled();
    let mut drops = Watch::settled();
    watch.run(200.0, |picture, _| {
        for _ in 0..120 {
            let (x, y) = (f64::from(drops.random()) * 160.0, f64::from(drops.random()) * 90.0);
            // A drop is thinner than a cell.
            let bright = 4.0 + drops.random() * 12.0;
            for row in 0..5 {
                if let Some(cell) = picture.at(x, y + f64::from(row)) {
                    *cell += bright;
                }
            }
        }
    });
    assert!(watch.count(Reason::Motion) <= 2, "drops beside each other, in 1000 pictures: {:?}", watch.seen);
    watch.forget();
    watch.noise = 5.0;
    watch.run(200.0, |picture, _| picture.light(|level| level * 0.4));
    assert_eq!(watch.count(Reason::Motion), 0, "{:?}", watch.seen);
    watch.run(2.0, |picture, t| {
        picture.light(|level| level * 0.4);
        picture.block([20.0 + t * 10.0, 60.0, 6.0, 14.0], 90.0);
    });
    assert!(watch.count(Reason::Motion) >= 9, "somebody by night: {:?}", watch.seen);
}

#[test]
fn a_tree_in_the_wind_is_learnt_and_the_rest_of_the_picture_is_seen() {
    let mut watch = Watch::settled();
    let tree = |picture: &mut Picture, t: f64| {
        for x in 100..130 {
            for y in 10..50 {
                let sway = (t * 2.5 + f64::from(x) / 7.0).sin() + (t * 1.7 + f64::from(y) / 5.0).sin();
                if let Some(cell) = picture.at(f64::from(x), f64::from(y)) {
                    *cell = if sway > 0.3 { 60.0 } else { 150.0 };
                }
            }
        }
    };
    watch.run(180.0, tree);
    assert!(watch.count(Reason::Motion) > 0, "it is motion at first");
    watch.forget();
    watch.run(200.0, tree);
    let false_open = watch.count(Reason::Motion) + watch.count(Reason::Hold);
    assert!(false_open < 60, "{:?}", watch.seen);
    watch.run(10.0, |picture, t| {
        tree(picture, t + 600.0);
        picture.person(30.0 + t * 4.0);
    });
    assert!(watch.count(Reason::Motion) >= 45, "{:?}", watch.seen);
}

#[test]
fn a_busy_road_is_not_learnt_away_while_the_task_follows_what_passes() {
    let mut watch = Watch::settled();
    let mut missed = 0;
    for _ in 0..30 {
        watch.followed = false;
        watch.run(8.0, |_, _| {});
        watch.forget();
        watch.run(0.2, |picture, _| picture.block([0.0, 64.0, 30.0, 12.0], 130.0));
        missed += u32::from(watch.count(Reason::Motion) == 0);
        watch.followed = true;
        watch.run(3.0, |picture, t| picture.block([t * 50.0, 64.0, 30.0, 12.0], 130.0));
        assert_eq!(watch.closed, 0);
    }
    assert_eq!(missed, 0, "of 30 cars");
}

#[test]
fn a_camera_that_is_moved_or_covered_is_looked_at_and_learnt_anew() {
    let mut watch = Watch::settled();
    let turned = |picture: &mut Picture| picture.0.rotate_left(37 + 12 * WIDTH);
    let covered = |picture: &mut Picture| picture.light(|_| 12.0);
    let check = |watch: &mut Watch, draw: &dyn Fn(&mut Picture)| {
        watch.forget();
        watch.run(0.2, |picture, _| draw(picture));
        assert!(matches!(watch.last, Gate::Open(Reason::Scene | Reason::Motion)), "{:?}", watch.last);
        watch.run(40.0, |picture, _| draw(picture));
        assert!(watch.closed > 100, "{:?}", watch.seen);
    };
    check(&mut watch, &turned);
    check(&mut watch, &covered);
    check(&mut watch, &|_| {});
}

#[test]
fn a_masked_part_is_not_looked_at_and_a_changed_size_begins_anew() {
    let street = vec![[0.0, 0.6], [1.0, 0.6], [1.0, 1.0], [0.0, 1.0]];
    let mut watch = Watch::new(Config { mask: vec![street], ..Config::default() });
    watch.run(30.0, |_, _| {});
    watch.forget();
    watch.run(20.0, |picture, t| picture.person(20.0 + t * 6.0));
    assert_eq!(watch.count(Reason::Motion), 0, "{:?}", watch.seen);
    watch.run(0.2, |picture, _| picture.block([20.0, 20.0, 5.0, 9.0], 40.0));
    assert_eq!(watch.count(Reason::Motion), 1, "{:?}", watch.seen);
    let cells = vec![100; 80 * 60];
    let small = Coarse { width: 80, height: 60, cells: &cells };
    let now = Duration::from_secs(3600);
    assert_eq!(watch.gate.look(Some(small), false, now), Gate::Open(Reason::Learning));
    assert_eq!(watch.gate.look(None, false, now), Gate::Open(Reason::Unknown));
}

#[test]
fn what_is_followed_holds_it_open() {
    let mut watch = Watch::settled();
    watch.followed = true;
    watch.run(20.0, |_, _| {});
    assert_eq!((watch.closed, watch.count(Reason::Followed)), (0, 100), "{:?}", watch.seen);
    watch.followed = false;
    watch.run(1.0, |_, _| {});
    assert_eq!(watch.closed, 5, "and nothing moved");
}

#[test]
fn no_picture_and_no_time_is_too_strange() {
    let mut watch =
        Watch::new(Config { mask: vec![vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]], ..Config::default() });
    // Everything is masked, time stands still or runs backwards, pictures of one cell.
    watch.run(5.0, |picture, t| picture.light(|_| (t * 50.0) as f32));
    for (side, at) in [(1, 9), (1, 3), (2, 0), (160, 0)] {
        let cells = vec![side as u8; side * side];
        let picture = Coarse { width: side, height: side, cells: &cells };
        for level in [0, 255] {
            watch.gate.look(
                Some(Coarse { cells: &vec![level; side * side], ..picture }),
                false,
                Duration::from_secs(at),
            );
        }
    }
}
