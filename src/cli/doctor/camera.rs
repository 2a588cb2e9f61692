//! Every camera that the configuration names: is it there, may it be used, does it give a picture?

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::super::probe::gather::{Camera, Report};
use super::super::setup::probe::look;
use super::finding::Finding;
use super::holder::{self, Holder};
use super::machine::Machine;
use crate::config::Config;
use crate::runtime::status::Status;
use crate::source;

/// Programs that hold a Raspberry Pi camera.
const LIBCAMERA: [&str; 6] =
    ["rpicam-vid", "libcamera-vid", "rpicam-still", "libcamera-still", "rpicam-hello", "libcamera-hello"];

/// What is known of the camera of one pipeline.
pub struct Facts {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Which camera it is.
    pub kind: Kind,
    /// Who has it open.
    pub holders: Vec<Holder>,
    /// What a look through it gave; `None` where it was not tried.
    pub picture: Option<Result<String, String>>,
    /// Name of this user, where it is not root.
    pub user: Option<String>,
    /// Group of the device, where the service's user may not open it.
    pub shut_group: Option<String>,
}

/// A kind of camera.
pub enum Kind {
    /// Video4Linux.
    V4l2 {
        /// As configured.
        device: PathBuf,
        /// What `probe` says of it.
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
        /// Whether that could be asked.
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

/// What to make of them.
pub fn judge(facts: &[Facts], report: &Report) -> Vec<Finding> {
    if !facts.is_empty() {
        return facts.iter().map(one).collect();
    }
    let there = report.cameras.iter().filter(|c| !c.processor).map(|c| format!("{} {}", c.device, c.describe()));
    let there: Vec<String> = there.chain(report.csi_cameras.iter().cloned()).collect();
    if there.is_empty() {
        return Vec::new();
    }
    let finding = Finding::note("camera", format!("no pipeline reads one; there are: {}", there.join("; ")));
    let csi = report.cameras.iter().any(|c| c.planes) && report.absent.iter().any(|a| a.what == "rpicam-vid");
    let finding = if csi { finding.command("sudo apt install rpicam-apps-lite") } else { finding };
    vec![finding.command("sudo leptond setup")]
}

fn one(facts: &Facts) -> Finding {
    let name = &facts.pipeline;
    match &facts.kind {
        Kind::V4l2 { device, camera, others } => {
            let device = device.display();
            let Some(camera) = camera else {
                let finding = Finding::trouble("camera", format!("{name}: {device} is not there"));
                return match others.as_slice() {
                    [] => finding
                        .advice("plug it in; the kernel then tells of it")
                        .command("sudo dmesg | grep -iE 'usb|uvc' | tail"),
                    others => finding
                        .advice(format!("there are: {}", others.join("; ")))
                        .command("ls -l /dev/v4l/by-id/")
                        .command("sudo leptond setup"),
                };
            };
            if camera.processor || camera.planes {
                let text = format!("{name}: {device} is no camera for v4l2: {}", camera.describe());
                let finding = Finding::trouble("camera", text);
                let other = others.iter().find(|o| !o.contains("CSI"));
                return finding
                    .advice(other.map_or("use the source rpicam".into(), |o| format!("there is: {o}")))
                    .command("leptond probe");
            }
            if camera.permitted == Some(false) {
                let user = facts.user.as_deref().unwrap_or("$USER");
                return Finding::trouble(
                    "camera",
                    format!("{name}: this user may not open {device} ({})", camera.name),
                )
                .advice("then log in again; the service itself is in the group video")
                .command(format!("sudo usermod -aG video {user}"));
            }
            if let Some(group) = &facts.shut_group {
                return Finding::trouble(
                    "camera",
                    format!("{name}: the service's user leptond may not open {device} (group {group})"),
                )
                .command(format!("sudo usermod -aG {group} leptond && sudo systemctl restart leptond"));
            }
            seen(facts, &format!("{device} {}", camera.name))
        }
        Kind::Rpicam { camera, program, listed, asked } => {
            let shown = format!("Raspberry Pi camera {camera}");
            if program.is_none() {
                return Finding::trouble("camera", format!("{name}: rpicam-vid is not installed"))
                    .command("sudo apt install rpicam-apps-lite");
            }
            let number = |line: &String| line.split_once(" : ").and_then(|(n, _)| n.trim().parse::<u32>().ok());
            if *asked && !listed.iter().any(|line| number(line) == Some(*camera)) {
                let text = match listed.as_slice() {
                    [] => format!("{name}: rpicam-hello finds no camera"),
                    others => format!("{name}: there is no camera {camera}; there are: {}", others.join("; ")),
                };
                return Finding::trouble("camera", text)
                    .advice("power off, seat the ribbon cable at both ends; camera_auto_detect=1 in /boot/firmware/config.txt")
                    .command("rpicam-hello --list-cameras");
            }
            seen(facts, &shown)
        }
        Kind::Rtsp { url, program } => {
            if program.is_none() {
                return Finding::trouble("camera", format!("{name}: ffmpeg is not installed"))
                    .command("sudo apt install ffmpeg");
            }
            seen(facts, url)
        }
    }
}

/// What a look through it gave.
fn seen(facts: &Facts, camera: &str) -> Finding {
    let name = &facts.pipeline;
    if let Some(own) = facts.holders.iter().find(|h| h.is_leptond()) {
        return Finding::ok("camera", format!("{name}: {camera} is read by leptond (process {})", own.pid));
    }
    let holders: Vec<String> = facts.holders.iter().map(Holder::words).collect();
    match &facts.picture {
        Some(Ok(what)) => Finding::ok("camera", format!("{name}: {what}")),
        Some(Err(why)) if !holders.is_empty() => {
            let finding =
                Finding::trouble("camera", format!("{name}: {camera} is in use by {}: {why}", holders.join(", ")));
            facts.holders.iter().fold(finding, |finding, holder| finding.command(holder.stop()))
        }
        Some(Err(why)) => {
            let finding = Finding::trouble("camera", format!("{name}: no picture from {camera}: {why}"));
            let busy = why.contains("busy");
            let finding = match (&facts.kind, &facts.user) {
                (_, Some(_)) if busy => {
                    finding.advice("root sees which process holds it").command("sudo leptond doctor")
                }
                (Kind::V4l2 { .. }, _) => finding.advice("unplug it and plug it in again; try another port or cable"),
                (Kind::Rtsp { .. }, _) => {
                    finding.advice("address, user name and password of source.url; is the camera on?")
                }
                (Kind::Rpicam { .. }, _) => finding,
            };
            finding.command(format!("leptond capture --pipeline {name}"))
        }
        None if !holders.is_empty() => {
            let finding = Finding::warning("camera", format!("{name}: {camera} is in use by {}", holders.join(", ")));
            facts.holders.iter().fold(finding, |finding, holder| finding.command(holder.stop()))
        }
        None => Finding::ok("camera", format!("{name}: {camera} is there; it was not tried")),
    }
}

#[cfg(test)]
mod tests;
