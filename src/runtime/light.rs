//! The light of a meter: switched on before a reading, off after it, so that a meter in the dark is read without a lamp that burns all day.
//!
//! [`Schedule`] decides and is pure; [`Light`] switches by a command or a GPIO line on a thread of its own, so that capturing never waits
//! for it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::pipeline::{GpioConfig, LightConfig};
use crate::sys::Mask;
use crate::sys::child::{Child, Read, Spec};
use crate::sys::gpio::Line;

/// A command that takes longer is ended.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);

/// A stop waits so long for the light to go off.
const OFF_WITHIN: Duration = Duration::from_millis(1000);

/// A light that no frame came for is switched off after this, beside the time in which it settles.
const WITHOUT_FRAME: Duration = Duration::from_secs(20);

/// When the light is on, and which frames are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Schedule {
    settle: Duration,
    frames: u32,
    phase: Phase,
    asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Off; the next reading is due then, `None` = at once.
    Dark { due: Option<Instant> },
    /// On since then, with so many frames read.
    Lit { since: Instant, taken: u32 },
}

/// Decision about one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// The frame is read.
    pub(super) read: bool,
    /// The light is to be switched on, or off.
    pub(super) switch: Option<bool>,
}

impl Schedule {
    pub(super) fn new(config: &LightConfig) -> Schedule {
        Schedule {
            settle: Duration::try_from_secs_f32(config.settle_s).unwrap_or_default(),
            frames: config.frames.max(1),
            phase: Phase::Dark { due: None },
            asked: false,
        }
    }

    /// Decides about a frame that was captured at `captured`, where a reading begins every `interval`.
    pub(super) fn frame(&mut self, captured: Instant, interval: Duration) -> Decision {
        match self.phase {
            Phase::Dark { due } if due.is_none_or(|due| captured >= due) || self.asked => {
                self.asked = false;
                self.phase = Phase::Lit { since: captured, taken: 0 };
                Decision { read: false, switch: Some(true) }
            }
            Phase::Dark { .. } => Decision { read: false, switch: None },
            Phase::Lit { since, .. } if captured < since + self.settle => Decision { read: false, switch: None },
            Phase::Lit { since, taken } if taken + 1 >= self.frames => {
                self.phase = Phase::Dark { due: Some(since + interval) };
                Decision { read: true, switch: Some(false) }
            }
            Phase::Lit { since, taken } => {
                self.phase = Phase::Lit { since, taken: taken + 1 };
                Decision { read: true, switch: None }
            }
        }
    }

    /// Asks for a reading now.
    pub(super) fn ask(&mut self) {
        self.asked = true;
    }

    /// A good reading came: no more frames are needed. True if the light is to be switched off.
    pub(super) fn read(&mut self, interval: Duration) -> bool {
        match self.phase {
            Phase::Lit { since, taken } if taken > 0 => {
                self.phase = Phase::Dark { due: Some(since + interval) };
                true
            }
            Phase::Lit { .. } | Phase::Dark { .. } => false,
        }
    }

    /// Looks at the clock: true if the light has been on for long without frames and is to be switched off.
    pub(super) fn is_forgotten(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Lit { since, .. } if now.saturating_duration_since(since) > self.settle + WITHOUT_FRAME => {
                self.phase = Phase::Dark { due: None };
                true
            }
            Phase::Lit { .. } | Phase::Dark { .. } => false,
        }
    }
}

/// A light that is switched by commands or a GPIO line. It is switched off when it is dropped.
pub(super) struct Light {
    schedule: Mutex<Schedule>,
    /// `None` once it is dropped.
    switch: Option<Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl Light {
    /// A light of the meter `name`, off; devices are below `dev`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(name: &str, config: &LightConfig, dev: &Path) -> std::io::Result<Light> {
        let (switch, wanted) = channel();
        let meter = name.to_owned();
        let lamp = match &config.gpio {
            Some(gpio) => Lamp::Gpio { device: dev.join(&gpio.chip), gpio: gpio.clone(), line: None },
            None => Lamp::Commands { on: config.on.clone(), off: config.off.clone() },
        };
        let thread = std::thread::Builder::new().name(format!("light {name}"));
        let thread = thread.spawn(move || switches(&meter, lamp, &wanted))?;
        Ok(Light { schedule: Mutex::new(Schedule::new(config)), switch: Some(switch), thread: Some(thread) })
    }

    /// True if a frame that was captured at `captured` is read; a reading begins every `interval`.
    pub(super) fn admits(&self, captured: Instant, interval: Duration) -> bool {
        let decision = self.schedule().frame(captured, interval);
        decision.switch.into_iter().for_each(|on| self.set(on));
        decision.read
    }

    /// Asks for a reading now.
    pub(super) fn ask(&self) {
        self.schedule().ask();
    }

    /// A good reading came.
    pub(super) fn read(&self, interval: Duration) {
        if self.schedule().read(interval) {
            self.set(false);
        }
    }

    /// A turn of the control loop.
    pub(super) fn turn(&self, now: Instant) {
        if self.schedule().is_forgotten(now) {
            self.set(false);
        }
    }

    /// A panic elsewhere leaves it whole: it is replaced in one step.
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, on: bool) {
        // The thread ends with this sender alone.
        let _ = self.switch.as_ref().map(|switch| switch.send(on));
    }
}

impl Drop for Light {
    fn drop(&mut self) {
        self.switch = None;
        let until = Instant::now() + OFF_WITHIN;
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// The way in which a light is switched.
enum Lamp {
    Commands {
        on: Vec<String>,
        off: Vec<String>,
    },
    Gpio {
        device: PathBuf,
        gpio: GpioConfig,
        /// Taken at the first switch, and again where the chip went away.
        line: Option<Line>,
    },
}

impl Lamp {
    fn set(&mut self, meter: &str, on: bool) {
        match self {
            Lamp::Commands { on: command, .. } if on => run(meter, command),
            Lamp::Commands { off: command, .. } => run(meter, command),
            Lamp::Gpio { device, gpio, line } => {
                let taken = match line.take() {
                    Some(line) => Ok(line),
                    None => Line::output(device, gpio.line, gpio.active_low),
                };
                match taken.and_then(|line| line.set(on).map(|()| line)) {
                    Ok(set) => *line = Some(set),
                    Err(error) => tracing::warn!(
                        meter, chip = %device.display(), line = gpio.line, %error, "the light cannot be switched"
                    ),
                }
            }
        }
    }
}

/// Switches the light for each wish until it is dropped, and then off.
fn switches(meter: &str, mut lamp: Lamp, wanted: &Receiver<bool>) {
    let mut is_on = false;
    while let Ok(mut on) = wanted.recv() {
        // Of wishes that waited for a command, the last one counts.
        while let Ok(later) = wanted.try_recv() {
            on = later;
        }
        if on != is_on {
            is_on = on;
            lamp.set(meter, on);
        }
    }
    if is_on {
        lamp.set(meter, false);
    }
}

/// Runs a command to its end.
fn run(meter: &str, command: &[String]) {
    let Some((program, args)) = command.split_first() else { return };
    let spec = Spec {
        name: format!("light of {meter}"),
        program: program.clone(),
        args: args.to_vec(),
        stdin: Vec::new(),
        package: "it",
        mask: Mask::default(),
    };
    let mut child = match Child::spawn(&spec) {
        Ok(child) => child,
        Err(error) => {
            tracing::warn!(meter, %error, "the light cannot be switched");
            return;
        }
    };
    let until = Instant::now() + COMMAND_WITHIN;
    let mut output = [0; 4096];
    let ended = loop {
        let left = until.saturating_duration_since(Instant::now());
        match child.read(&mut output, left) {
            Ok(Read::Data(_)) if !left.is_zero() => {}
            Ok(Read::Closed) | Err(_) => break true,
            Ok(Read::Data(_) | Read::Quiet) => break false,
        }
    };
    let exit = child.finish();
    if !ended {
        tracing::warn!(meter, seconds = COMMAND_WITHIN.as_secs(), "the light's command did not end: it was stopped");
    } else if !exit.success {
        tracing::warn!(meter, reason = exit.words, "the light's command failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settle_s: f32, frames: u32) -> LightConfig {
        LightConfig { on: vec!["true".into()], off: vec!["true".into()], gpio: None, settle_s, frames }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_light_is_on_for_a_reading_and_off_after_it() {
        let start = Instant::now();
        let mut schedule = Schedule::new(&config(1.0, 3));
        let mut at = |ms: u64| {
            let Decision { read, switch } = schedule.frame(start + Duration::from_millis(ms), HOUR);
            (read, switch)
        };
        assert_eq!(at(0), (false, Some(true)));
        assert_eq!(at(500), (false, None), "it settles");
        assert_eq!([at(1000), at(1100)], [(true, None); 2]);
        assert_eq!(at(1200), (true, Some(false)));
        assert_eq!(at(3_599_000), (false, None));
        assert_eq!(at(3_600_000), (false, Some(true)), "the next hour");
    }

    #[test]
    fn a_good_reading_ends_it_and_a_wish_begins_it() {
        let start = Instant::now();
        let mut schedule = Schedule::new(&config(0.0, 9));
        schedule.frame(start, HOUR);
        assert!(!schedule.read(HOUR), "a reading of an earlier frame");
        assert!(schedule.frame(start, HOUR).read && schedule.read(HOUR) && !schedule.read(HOUR));
        let later = start + Duration::from_secs(60);
        assert_eq!(schedule.frame(later, HOUR), Decision { read: false, switch: None });
        schedule.ask();
        assert_eq!(schedule.frame(later, HOUR).switch, Some(true));
    }

    #[test]
    fn a_light_without_frames_does_not_burn_on() {
        let start = Instant::now();
        let mut schedule = Schedule::new(&config(2.0, 3));
        assert!(!schedule.is_forgotten(start + HOUR));
        schedule.frame(start, HOUR);
        assert!(!schedule.is_forgotten(start + Duration::from_secs(10)));
        assert!(schedule.is_forgotten(start + Duration::from_secs(30)));
        assert_eq!(schedule.frame(start + HOUR, HOUR).switch, Some(true));
    }

    #[test]
    fn commands_are_run_in_order_and_the_light_ends_off() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let command =
            |word: &str| ["/bin/sh", "-c", &format!("echo {word} >> {}", log.display())].map(str::to_owned).to_vec();
        let commands = LightConfig { on: command("on"), off: command("off"), ..config(0.0, 2) };
        let light = Light::start("water", &commands, Path::new("/dev")).unwrap();
        let start = Instant::now();
        assert!(!light.admits(start, HOUR));
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let wait = |words: &str| {
            let until = Instant::now() + Duration::from_secs(20);
            while said() != words && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(said(), words);
        };
        wait("on\n");
        assert!(light.admits(start, HOUR) && light.admits(start, HOUR));
        wait("on\noff\n");
        light.ask();
        light.admits(start, HOUR);
        wait("on\noff\non\n");
        drop(light);
        wait("on\noff\non\noff\n");
    }
}
