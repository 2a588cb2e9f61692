//! A survey of the board: sensors, cameras, programs, and the parts that are absent.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::io::Errno;
use serde::Serialize;

use super::machine::{find_program, output_within, roots};
use crate::board::{Info, LinuxBoard, Throttle};
use crate::sys::Roots;
use crate::sys::proc::{self, Pressure, Resource, read_text};
use crate::sys::sysfs::{self, Probe};
use crate::sys::v4l2::{self, FourCc, Kind, Size};
use leptond_governor::{Board, Reading};

/// A survey of one board.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Identity of the board.
    pub board: Info,
    /// Name of the operating system.
    pub system: String,
    /// Instruction set extensions that make inference faster.
    pub inference_features: Vec<String>,
    /// The governor's readings now.
    pub reading: Reading,
    /// Sensors of the temperature.
    pub soc_sensors: Vec<String>,
    /// The reason for that choice, or for having none; empty where the sensor's name says it.
    pub soc_choice: String,
    /// The raw words about throttling.
    pub throttle: Throttle,
    /// Something on this board tells of throttling.
    pub throttle_known: bool,
    /// In words, now.
    pub throttled_now: Vec<&'static str>,
    /// In words, before: since boot where `throttle.since_boot`, else in the last two seconds.
    pub throttled_before: Vec<&'static str>,
    /// The traffic of network interfaces is counted.
    pub network_known: bool,
    /// By resource: how long tasks waited for it.
    pub pressure: BTreeMap<&'static str, Waiting>,
    /// Video4Linux devices.
    pub cameras: Vec<Camera>,
    /// Lines of `rpicam-hello --list-cameras`.
    pub csi_cameras: Vec<String>,
    /// Programs that sources run, with where they are.
    pub programs: BTreeMap<&'static str, Option<String>>,
    /// Sensors that the `sensor` source can read.
    pub sensors: Vec<Sensor>,
    /// Absent parts, and their meaning.
    pub absent: Vec<Absent>,
}

/// Share of time that tasks waited for a resource, or the reason for not knowing it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Waiting {
    /// Share of the last 10 s in which some task waited.
    Known {
        /// 0 to 100.
        avg10_percent: f64,
    },
    /// The kernel does not say.
    Unknown {
        /// The system's words.
        reason: String,
    },
}

/// A Video4Linux device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Camera {
    /// `/dev/video0`.
    pub device: String,
    /// As its driver calls it.
    pub name: String,
    /// The name is that of a codec or an image processor, which gives no pictures of its own.
    pub processor: bool,
    /// This user may open it; `None` for the copy of another machine.
    pub permitted: Option<bool>,
    /// It is a bare sensor with planes (a CSI camera), which the `v4l2` source cannot use.
    pub planes: bool,
    /// Its pixel formats, each with its sizes; empty for what gives no pictures or could not be asked.
    pub formats: Vec<String>,
}

/// A sensor that the `sensor` source can read.
#[derive(Debug, PartialEq, Serialize)]
pub struct Sensor {
    /// `thermal`, `hwmon` or `iio`.
    pub kind: &'static str,
    /// Channel name, ending in its unit.
    pub name: String,
    /// Its value, if it can be read.
    pub value: Option<f64>,
}

/// Something that is not there.
#[derive(Debug, PartialEq, Serialize)]
pub struct Absent {
    /// The part.
    pub what: &'static str,
    /// The consequence, and the remedy.
    pub meaning: &'static str,
}

impl Camera {
    /// Name, and a word about devices that are no cameras.
    pub fn describe(&self) -> String {
        let note = match (self.processor, self.permitted) {
            (true, _) => " (a codec or image processor, no camera)",
            (false, Some(false)) => " (no permission: add this user to the group video)",
            (false, _) if self.planes => " (a CSI camera: use the source rpicam)",
            (false, _) => "",
        };
        format!("{}{note}", self.name)
    }
}

impl Report {
    /// Looks at everything. With a `root` only at the files below it, and no program is run.
    pub fn gather(board: &mut LinuxBoard, root: Option<&Path>) -> Report {
        let roots = roots(root);
        let info = board.info().clone();
        let reading = board.read();
        let throttle = board.throttle();
        let pressure: BTreeMap<_, _> =
            [Resource::Cpu, Resource::Memory].map(|r| (r.name(), waiting(&roots, r))).into_iter().collect();
        let programs: BTreeMap<_, _> = ["ffmpeg", "rpicam-vid", "libcamera-vid", "rpicam-hello"]
            .map(|name| (name, find_program(name, root).map(|p| p.display().to_string())))
            .into_iter()
            .collect();
        let listing = programs.get("rpicam-hello").cloned().flatten().filter(|_| root.is_none());
        let mut report = Report {
            system: os_name(root),
            inference_features: inference_features(&info.features),
            board: info,
            reading,
            soc_sensors: board.soc_sensors().map(|p| p.name.clone()).collect(),
            soc_choice: board.soc_choice(),
            throttle,
            throttle_known: throttle != Throttle::default(),
            throttled_now: throttle.now(),
            throttled_before: throttle.before(),
            network_known: proc::network(&roots, &mut String::new(), &mut Vec::new()).is_ok(),
            pressure,
            cameras: cameras(&roots, root.is_none()),
            csi_cameras: listing.map(|program| csi_cameras(&program)).unwrap_or_default(),
            programs,
            sensors: sensors(&roots),
            absent: Vec::new(),
        };
        report.absent = report.absences();
        report
    }

    fn absences(&self) -> Vec<Absent> {
        let has = |program| self.programs.get(program).is_some_and(Option::is_some);
        let pi = self.board.is_raspberry_pi();
        let no_pressure = self.pressure.values().any(|w| matches!(w, Waiting::Unknown { .. }));
        let cases = [
            (
                self.reading.soc_celsius.is_none(),
                "temperature sensor",
                "the governor works on load and deadlines alone",
            ),
            (
                !self.throttle_known,
                "throttle flags",
                "a clock lowered by the firmware shows only as missed deadlines; set deadline_ms",
            ),
            (
                no_pressure && pi,
                "pressure (PSI)",
                "waiting for memory is not seen; append psi=1 to /boot/firmware/cmdline.txt and reboot",
            ),
            (
                no_pressure && !pi,
                "pressure (PSI)",
                "waiting for memory is not seen; the kernel needs CONFIG_PSI, or psi=1 on its command line",
            ),
            (
                self.throttle_known && self.throttle.under_voltage_now().is_none(),
                "under-voltage flag",
                "a supply that is too weak shows only as missed deadlines; set deadline_ms",
            ),
            (
                self.board.cores == 0,
                "cpu counters",
                "what other programs take is not seen; the governor works on temperature and deadlines",
            ),
            (
                self.reading.memory_bytes.is_none(),
                "memory counters",
                "a shortage of memory is not seen before it hurts",
            ),
            (!self.network_known, "network counters", "traffic is not shown; nothing depends on it"),
            (
                self.board.max_mhz.is_none(),
                "clock (cpufreq)",
                "the processor's clock is not shown; nothing depends on it",
            ),
            (
                !self.cameras.iter().any(|c| !c.processor),
                "video4linux camera",
                "a v4l2 source waits until one is plugged in",
            ),
            (
                pi && !has("rpicam-vid") && !has("libcamera-vid"),
                "rpicam-vid",
                "the rpicam source cannot run; apt install rpicam-apps-lite",
            ),
            (!has("ffmpeg"), "ffmpeg", "the rtsp source cannot run; apt install ffmpeg"),
        ];
        cases.into_iter().filter(|(absent, ..)| *absent).map(|(_, what, meaning)| Absent { what, meaning }).collect()
    }
}

fn waiting(roots: &Roots, resource: Resource) -> Waiting {
    match Pressure::read(roots, resource, &mut String::new()) {
        Ok(pressure) => Waiting::Known { avg10_percent: pressure.avg10_percent },
        Err(error) => Waiting::Unknown { reason: error.to_string() },
    }
}

/// Those that decide which kernels run: Arm's and Intel's vector and dot product extensions.
fn inference_features(features: &[String]) -> Vec<String> {
    const KNOWN: [&str; 16] = [
        "neon",
        "asimd",
        "asimdhp",
        "fphp",
        "asimddp",
        "i8mm",
        "bf16",
        "sve",
        "sve2",
        "sse4_1",
        "avx2",
        "fma",
        "avx512f",
        "avx512_vnni",
        "avx_vnni",
        "amx_int8",
    ];
    KNOWN.iter().filter(|k| features.iter().any(|f| f == *k)).map(|k| (*k).to_owned()).collect()
}

fn os_name(root: Option<&Path>) -> String {
    let mut text = String::new();
    let path = root.unwrap_or(Path::new("/")).join("etc/os-release");
    let _absent = read_text(&path, &mut text);
    let name = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    name.map(|n| n.trim_matches(['"', '\'']).to_owned()).unwrap_or_default()
}

fn cameras(roots: &Roots, here: bool) -> Vec<Camera> {
    const PROCESSORS: [&str; 8] = ["codec", "-isp", "pispbe", "rpivid", "rpi-hevc", "m2m", "decoder", "encoder"];
    let camera = |listed: v4l2::Listed| {
        let node = listed.path.file_name().unwrap_or_default().to_string_lossy();
        let offer = listed.answer.as_ref().ok();
        Camera {
            device: format!("/dev/{node}"),
            // A copy of another machine has names only.
            processor: match offer {
                Some(offer) => matches!(offer.capability.kind, Kind::Processor | Kind::Other),
                None => PROCESSORS.iter().any(|p| listed.name.contains(p)),
            },
            permitted: here.then_some(!matches!(listed.answer, Err(Errno::ACCESS | Errno::PERM))),
            planes: offer.is_some_and(|offer| offer.capability.kind == Kind::CapturePlanes),
            formats: offer.map(|offer| offer.formats.iter().map(format_line).collect()).unwrap_or_default(),
            name: listed.name,
        }
    };
    v4l2::list(roots).into_iter().map(camera).collect()
}

/// `YUYV 640x480, 320x240`.
fn format_line((fourcc, sizes): &(FourCc, Vec<Size>)) -> String {
    let size = |size: &Size| match size {
        Size::Exact([w, h]) => format!("{w}x{h}"),
        Size::Range { least: [w, h], most: [to_w, to_h], .. } => format!("{w}x{h} to {to_w}x{to_h}"),
    };
    format!("{fourcc} {}", sizes.iter().map(size).collect::<Vec<_>>().join(", "))
}

fn sensors(roots: &Roots) -> Vec<Sensor> {
    let kinds: [(&str, Vec<Probe>); 3] =
        [("thermal", sysfs::thermal(roots, "")), ("hwmon", sysfs::hwmon(roots, "")), ("iio", sysfs::iio(roots, ""))];
    let mut buffer = String::new();
    let mut sensors = Vec::new();
    for (kind, probes) in kinds {
        sensors.extend(probes.into_iter().map(|p| Sensor { kind, value: p.read(&mut buffer).ok(), name: p.name }));
    }
    sensors
}

/// The lines of `rpicam-hello --list-cameras` that name a camera: `0 : imx708 [4608x2592 10-bit RGGB] (/base/…)`.
fn csi_cameras(program: &str) -> Vec<String> {
    let text = output_within(Command::new(program).arg("--list-cameras"), Duration::from_secs(5)).unwrap_or_default();
    let is_camera =
        |line: &&str| line.split_once(" : ").is_some_and(|(number, _)| number.trim().parse::<u32>().is_ok());
    text.lines().filter(is_camera).map(|l| l.trim().to_owned()).collect()
}
