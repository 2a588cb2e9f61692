//! Words about cameras.

use super::shown::Shown;
use crate::diagnose::camera::{Facts, Finding, Kind, State};
use crate::diagnose::holder::Holder;

/// The finding for people.
pub fn shown(finding: &Finding) -> Shown {
    let shown = |text: String| Shown::new(finding.level(), "camera", text);
    let (facts, state) = match finding {
        Finding::Camera { facts, state } => (facts, state),
        Finding::Unused { there, csi_programs_missing } => {
            let shown = shown(format!("no pipeline reads one; there are: {}", there.join("; ")));
            let shown = if *csi_programs_missing { shown.command(INSTALL_RPICAM) } else { shown };
            return shown.command("sudo leptond setup");
        }
    };
    let name = &facts.pipeline;
    let camera = described(facts);
    let reason = facts.picture.as_ref().and_then(|picture| picture.as_ref().err());
    let reason = reason.map(ToString::to_string).unwrap_or_default();
    let holders = facts.holders.iter().map(named).collect::<Vec<_>>().join(", ");
    let stopping = |shown: Shown| facts.holders.iter().fold(shown, |shown, holder| shown.command(stop(holder)));
    let capture = format!("leptond capture --pipeline {name}");
    match state {
        State::Absent => absent(facts, shown),
        State::NotACamera => {
            let (device, words, others) = match &facts.kind {
                Kind::V4l2 { device, camera: Some(camera), others } => (device, camera.describe(), &others[..]),
                _ => return shown(format!("{name}: {camera} is no camera")),
            };
            let other = others.iter().find(|other| !other.contains("CSI"));
            shown(format!("{name}: {} is no camera for v4l2: {words}", device.display()))
                .advice(other.map_or("use the source rpicam".into(), |other| format!("there is: {other}")))
                .command("leptond probe")
        }
        State::Denied => {
            let user = facts.user.as_deref().unwrap_or("$USER");
            let (device, driver) = match &facts.kind {
                Kind::V4l2 { device, camera: Some(camera), .. } => (device.display().to_string(), camera.name.clone()),
                _ => (camera, String::new()),
            };
            shown(format!("{name}: this user may not open {device} ({driver})"))
                .advice("then log in again; the service itself is in the group video")
                .command(format!("sudo usermod -aG video {user}"))
        }
        State::ServiceDenied => {
            let group = facts.shut_group.as_deref().unwrap_or_default();
            let device = match &facts.kind {
                Kind::V4l2 { device, .. } => device.display().to_string(),
                _ => camera,
            };
            shown(format!("{name}: the service's user leptond may not open {device} (group {group})"))
                .command(format!("sudo usermod -aG {group} leptond && sudo systemctl restart leptond"))
        }
        State::NoProgram => match &facts.kind {
            Kind::Rtsp { .. } => shown(format!("{name}: ffmpeg is not installed")).command("sudo apt install ffmpeg"),
            _ => shown(format!("{name}: rpicam-vid is not installed")).command(INSTALL_RPICAM),
        },
        State::ReadByDaemon => {
            let own = facts.holders.iter().find(|holder| holder.is_leptond()).map_or(0, |own| own.pid);
            shown(format!("{name}: {camera} is read by leptond (process {own})"))
        }
        State::Works => {
            let what = facts.picture.as_ref().and_then(|picture| picture.as_ref().ok());
            shown(format!("{name}: {}", what.map_or("", String::as_str)))
        }
        State::Taken => stopping(shown(format!("{name}: {camera} is in use by {holders}: {reason}"))),
        State::Busy => shown(format!("{name}: no picture from {camera}: {reason}"))
            .advice("root sees which process holds it")
            .command("sudo leptond doctor")
            .command(capture),
        State::NoPicture => {
            let shown = shown(format!("{name}: no picture from {camera}: {reason}"));
            let shown = match &facts.kind {
                Kind::V4l2 { .. } => shown.advice("unplug it and plug it in again; try another port or cable"),
                Kind::Rtsp { .. } => shown.advice("address, user name and password of source.url; is the camera on?"),
                Kind::Rpicam { .. } => shown,
            };
            shown.command(capture)
        }
        State::InUse => stopping(shown(format!("{name}: {camera} is in use by {holders}"))),
        State::NotTried => shown(format!("{name}: {camera} is there; it was not tried")),
    }
}

const INSTALL_RPICAM: &str = "sudo apt install rpicam-apps-lite";

/// The camera in a few words.
fn described(facts: &Facts) -> String {
    match &facts.kind {
        Kind::V4l2 { device, camera: Some(camera), .. } => format!("{} {}", device.display(), camera.name),
        Kind::V4l2 { device, .. } => device.display().to_string(),
        Kind::Rpicam { camera, .. } => format!("Raspberry Pi camera {camera}"),
        Kind::Rtsp { url, .. } => url.clone(),
    }
}

fn absent(facts: &Facts, shown: impl Fn(String) -> Shown) -> Shown {
    let name = &facts.pipeline;
    match &facts.kind {
        Kind::Rpicam { camera, listed, .. } => {
            let text = match listed.as_slice() {
                [] => format!("{name}: rpicam-hello finds no camera"),
                others => format!("{name}: there is no camera {camera}; there are: {}", others.join("; ")),
            };
            shown(text)
                .advice(
                    "power off, seat the ribbon cable at both ends; camera_auto_detect=1 in /boot/firmware/config.txt",
                )
                .command("rpicam-hello --list-cameras")
        }
        Kind::V4l2 { others, .. } if !others.is_empty() => shown(format!("{name}: {} is not there", described(facts)))
            .advice(format!("there are: {}", others.join("; ")))
            .command("ls -l /dev/v4l/by-id/")
            .command("sudo leptond setup"),
        _ => shown(format!("{name}: {} is not there", described(facts)))
            .advice("plug it in; the kernel then tells of it")
            .command("sudo dmesg | grep -iE 'usb|uvc' | tail"),
    }
}

fn named(holder: &Holder) -> String {
    format!("{} (process {})", holder.name, holder.pid)
}

/// The command that makes a process let go.
fn stop(holder: &Holder) -> String {
    match &holder.unit {
        Some(unit) => format!("sudo systemctl stop {unit}"),
        None => format!("sudo kill {}", holder.pid),
    }
}
