//! The cameras that the configuration names: presence, permission, and a picture of each.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Level;
use super::holder::{self, Holder};
use super::look::{LookError, look};
use super::machine::Machine;
use super::survey::{Camera, Report};
use crate::config::Config;
use crate::runtime::status::Status;
use crate::source;

/// Programs that hold a Raspberry Pi camera.
const LIBCAMERA: [&str; 6] =
    ["rpicam-vid", "libcamera-vid", "rpicam-still", "libcamera-still", "rpicam-hello", "libcamera-hello"];

/// Facts about the camera of one pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Name of the pipeline.
    pub pipeline: String,
    /// The camera.
    pub kind: Kind,
    /// Processes that have it open.
    pub holders: Vec<Holder>,
    /// Result of a look through it; `None` where it was not tried.
    pub picture: Option<Result<String, LookError>>,
    /// Name of this user, where it is not root.
    pub user: Option<String>,
    /// Group of the device, where the service's user may not open it.
    pub shut_group: Option<String>,
}

/// A kind of camera.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Video4Linux.
    V4l2 {
        /// As configured.
        device: PathBuf,
        /// The device, where it is there.
        camera: Option<Camera>,
        /// Others that are there.
        others: Vec<String>,
    },
    /// A Raspberry Pi camera.
    Rpicam {
        /// Its number.
        camera: u32,
        /// The program that reads it, where there is one.
        program: Option<String>,
        /// Lines of `rpicam-hello --list-cameras`.
        listed: Vec<String>,
        /// The program that lists them could be run.
        asked: bool,
    },
    /// A network camera.
    Rtsp {
        /// Without its password.
        url: String,
        /// The program that reads it, where there is one.
        program: Option<String>,
    },
}

/// Looks at each, and through those that leptond itself does not hold. `status` is of the daemon that runs here.
pub fn gather(
    machine: &Machine,
    report: &Report,
    config: &Config,
    of_service: bool,
    status: Option<&Status>,
) -> Vec<Facts> {
    let root = rustix::process::geteuid().is_root();
    let user = machine.user().filter(|_| !root && machine.is_here());
    let program = |configured: &str, usual: &[&str]| {
        if !configured.is_empty() {
            return Some(configured.to_owned());
        }
        usual.iter().find_map(|name| report.programs.get(name).cloned().flatten())
    };
    let mut all = Vec::new();
    for pipeline in &config.pipelines {
        let Some(source) = config.source_of(&pipeline.source) else { continue };
        let mut shut_group = None;
        let (kind, mut holders, ready) = match source {
            source::Config::V4l2(v4l2) => {
                let node = node(machine, &v4l2.device);
                shut_group = shut_for_service(machine, &node).filter(|_| of_service && machine.is_here());
                let camera = report.cameras.iter().find(|c| Path::new(&c.device) == node).cloned();
                let others = report.cameras.iter().filter(|c| !c.processor && Path::new(&c.device) != node);
                let others = others.map(|c| format!("{} {}", c.device, c.describe())).collect();
                let ready = camera.as_ref().is_some_and(|c| !c.planes && !c.processor && c.permitted != Some(false));
                (Kind::V4l2 { device: v4l2.device.clone(), camera, others }, holder::of_device(machine, &node), ready)
            }
            source::Config::Rpicam(rpicam) => {
                let program = program(&rpicam.program, &["rpicam-vid", "libcamera-vid"]);
                let asked = machine.is_here() && report.programs.get("rpicam-hello").is_some_and(Option::is_some);
                let ready = program.is_some() && (!asked || !report.csi_cameras.is_empty());
                let kind = Kind::Rpicam { camera: rpicam.camera, program, listed: report.csi_cameras.clone(), asked };
                (kind, holder::of_program(machine, &LIBCAMERA), ready)
            }
            source::Config::Rtsp(rtsp) => {
                let program = program(&rtsp.program, &["ffmpeg"]);
                let ready = program.is_some();
                (Kind::Rtsp { url: crate::config::redact(&rtsp.url), program }, Vec::new(), ready)
            }
            _ => continue,
        };
        // Files and children of the service are for root to see; then its own word is taken that it has results.
        let unseen = !root || !matches!(kind, Kind::V4l2 { .. });
        if let Some(status) = status.filter(|s| unseen && s.p95_ms.contains_key(pipeline.name.as_str()))
            && !holders.iter().any(Holder::is_leptond)
        {
            holders.push(Holder { pid: status.pid, name: "leptond".into(), unit: None });
        }
        // What leptond itself holds is at work.
        let try_it = ready && machine.is_here() && !holders.iter().any(Holder::is_leptond);
        let picture = try_it.then(|| look(source, machine.roots.clone()).map(|seen| seen.what));
        all.push(Facts { pipeline: pipeline.name.to_string(), kind, holders, picture, user: user.clone(), shut_group });
    }
    all
}

/// The group of a device that the service's user may not open: it is in `video` and `audio` by its unit.
fn shut_for_service(machine: &Machine, node: &Path) -> Option<String> {
    let [user, group] = machine.ids("leptond")?;
    let meta = machine.path(node).metadata().ok()?;
    let name = service_shut_out(&machine.text("/etc/group")?, group, meta.gid(), meta.mode())?;
    (meta.uid() != user).then_some(name)
}

/// Name of the group `device_group`, if neither it nor the mode lets the service's user read and write.
fn service_shut_out(groups: &str, service_group: u32, device_group: u32, mode: u32) -> Option<String> {
    let id = device_group.to_string();
    let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&id))?;
    let name = line.split(':').next()?;
    let member = line.split(':').nth(3).is_some_and(|all| all.split(',').any(|user| user.trim() == "leptond"));
    let in_group = member || device_group == service_group || ["video", "audio"].contains(&name);
    let may = mode & 0o006 == 0o006 || (in_group && mode & 0o060 == 0o060);
    (!may).then(|| name.to_owned())
}

/// The device itself, where the configured path is a link to it.
fn node(machine: &Machine, device: &Path) -> PathBuf {
    let path = machine.path(device);
    let Ok(target) = std::fs::read_link(&path) else { return device.to_path_buf() };
    target.file_name().map_or_else(|| device.to_path_buf(), |name| Path::new("/dev").join(name))
}

/// A finding about cameras.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum Finding {
    /// Cameras are there, and no pipeline reads one; `csi_programs_missing`: one of them needs programs that are not installed.
    Unused { there: Vec<String>, csi_programs_missing: bool },
    /// The state of the camera of a pipeline.
    Camera { facts: Box<Facts>, state: State },
}

/// State of a configured camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The device is not there, or the Raspberry Pi lists no such camera.
    Absent,
    /// The device gives no pictures by itself.
    NotACamera,
    /// This user may not open it.
    Denied,
    /// The service's user may not open it.
    ServiceDenied,
    /// The program that reads it is not installed.
    NoProgram,
    /// The daemon reads it.
    ReadByDaemon,
    /// It gave a picture.
    Works,
    /// It gave none, and another process has it open.
    Taken,
    /// It gave none because it is busy, and the process cannot be seen by this user.
    Busy,
    /// It gave none.
    NoPicture,
    /// It was not tried, and another process has it open.
    InUse,
    /// It is there; it was not tried.
    NotTried,
}

impl Finding {
    /// Severity.
    pub fn level(&self) -> Level {
        let Finding::Camera { state, .. } = self else { return Level::Note };
        match state {
            State::ReadByDaemon | State::Works | State::NotTried => Level::Ok,
            State::InUse => Level::Warning,
            State::Absent
            | State::NotACamera
            | State::Denied
            | State::ServiceDenied
            | State::NoProgram
            | State::Taken
            | State::Busy
            | State::NoPicture => Level::Trouble,
        }
    }
}

/// The findings that the facts give.
pub fn judge(facts: Vec<Facts>, report: &Report) -> Vec<Finding> {
    if !facts.is_empty() {
        let finding = |facts: Facts| Finding::Camera { state: state(&facts), facts: Box::new(facts) };
        return facts.into_iter().map(finding).collect();
    }
    let there = report.cameras.iter().filter(|c| !c.processor).map(|c| format!("{} {}", c.device, c.describe()));
    let there: Vec<String> = there.chain(report.csi_cameras.iter().cloned()).collect();
    if there.is_empty() {
        return Vec::new();
    }
    let planes = report.cameras.iter().any(|c| c.planes);
    let csi_programs_missing = planes && report.absent.iter().any(|a| a.what == "rpicam-vid");
    vec![Finding::Unused { there, csi_programs_missing }]
}

fn state(facts: &Facts) -> State {
    match &facts.kind {
        Kind::V4l2 { camera: None, .. } => State::Absent,
        Kind::V4l2 { camera: Some(camera), .. } if camera.processor || camera.planes => State::NotACamera,
        Kind::V4l2 { camera: Some(camera), .. } if camera.permitted == Some(false) => State::Denied,
        Kind::V4l2 { .. } if facts.shut_group.is_some() => State::ServiceDenied,
        Kind::Rpicam { program: None, .. } | Kind::Rtsp { program: None, .. } => State::NoProgram,
        Kind::Rpicam { camera, listed, asked: true, .. }
            if !listed.iter().any(|line| number(line) == Some(*camera)) =>
        {
            State::Absent
        }
        Kind::V4l2 { .. } | Kind::Rpicam { .. } | Kind::Rtsp { .. } => looked(facts),
    }
}

/// The number of a camera of `rpicam-hello --list-cameras`.
fn number(line: &str) -> Option<u32> {
    line.split_once(" : ").and_then(|(number, _)| number.trim().parse().ok())
}

/// The state of a camera that is there.
fn looked(facts: &Facts) -> State {
    let held = !facts.holders.is_empty();
    match &facts.picture {
        _ if facts.holders.iter().any(Holder::is_leptond) => State::ReadByDaemon,
        Some(Ok(_)) => State::Works,
        Some(Err(_)) if held => State::Taken,
        Some(Err(LookError::Busy(_))) if facts.user.is_some() => State::Busy,
        Some(Err(_)) => State::NoPicture,
        None if held => State::InUse,
        None => State::NotTried,
    }
}

#[cfg(test)]
mod tests;
