//! Cameras in every state.

use super::*;

fn camera(device: &str) -> Camera {
    Camera {
        device: device.into(),
        name: "C920".into(),
        processor: false,
        permitted: Some(true),
        planes: false,
        formats: Vec::new(),
    }
}

fn holder(name: &str, unit: Option<&str>) -> Holder {
    Holder { pid: 812, name: name.into(), unit: unit.map(str::to_owned) }
}

fn check(kind: Kind, holders: &[Holder], picture: Option<Result<&str, &str>>, user: Option<&str>, expected: State) {
    let facts = Facts {
        pipeline: "door".into(),
        kind,
        holders: holders.to_vec(),
        picture: picture.map(|p| p.map(str::to_owned).map_err(|reason| LookError::from(reason.to_owned()))),
        user: user.map(str::to_owned),
        shut_group: None,
    };
    assert_eq!(state(&facts), expected, "{facts:?}");
}

#[test]
fn video4linux() {
    let with = |camera: Option<Camera>| Kind::V4l2 {
        device: "/dev/video0".into(),
        camera,
        others: vec!["/dev/video2 Webcam".into()],
    };
    let there = || with(Some(camera("/dev/video0")));
    let motion = holder("motion", Some("motion.service"));
    check(there(), &[], Some(Ok("a picture of 640x480")), None, State::Works);
    check(there(), &[holder("leptond", Some("leptond.service"))], None, None, State::ReadByDaemon);
    check(there(), std::slice::from_ref(&motion), Some(Err("busy")), None, State::Taken);
    check(there(), &[motion], None, None, State::InUse);
    check(there(), &[], Some(Err("Device or resource busy")), Some("pi"), State::Busy);
    check(there(), &[], Some(Err("Device or resource busy")), None, State::NoPicture);
    check(there(), &[], Some(Err("no picture")), None, State::NoPicture);
    check(there(), &[], None, None, State::NotTried);
    check(with(None), &[], None, None, State::Absent);
    check(with(Some(Camera { permitted: Some(false), ..camera("/dev/video0") })), &[], None, None, State::Denied);
    check(with(Some(Camera { processor: true, ..camera("/dev/video10") })), &[], None, None, State::NotACamera);
    check(with(Some(Camera { planes: true, ..camera("/dev/video0") })), &[], None, None, State::NotACamera);
}

#[test]
fn of_the_raspberry_pi_and_of_the_network() {
    let rpicam = |program: Option<&str>, listed: &[&str]| Kind::Rpicam {
        camera: 0,
        program: program.map(str::to_owned),
        listed: listed.iter().map(|l| (*l).to_owned()).collect(),
        asked: true,
    };
    let listed = ["0 : imx708 [4608x2592 10-bit RGGB]"];
    let program = Some("/usr/bin/rpicam-vid");
    check(rpicam(None, &[]), &[], None, None, State::NoProgram);
    check(rpicam(program, &[]), &[], None, None, State::Absent);
    check(rpicam(program, &["1 : imx219"]), &[], None, None, State::Absent);
    check(rpicam(program, &listed), &[], Some(Ok("a picture")), None, State::Works);
    check(rpicam(program, &listed), &[holder("rpicam-still", None)], Some(Err("failed")), None, State::Taken);
    let rtsp =
        |program: Option<&str>| Kind::Rtsp { url: "rtsp://***@10.0.0.2/".into(), program: program.map(str::to_owned) };
    check(rtsp(None), &[], None, None, State::NoProgram);
    check(rtsp(Some("ffmpeg")), &[], Some(Err("401 Unauthorized")), None, State::NoPicture);
    check(rtsp(Some("ffmpeg")), &[], None, None, State::NotTried);
}

#[test]
fn the_service_is_in_the_group_of_cameras() {
    let groups = "root:x:0:\nvideo:x:44:pi\ncams:x:990:leptond\nother:x:991:pi\nleptond:x:992:\n";
    for (device_group, mode, expected) in [
        (44, 0o660, None),
        (44, 0o640, Some("video")),
        (990, 0o660, None),
        (991, 0o660, Some("other")),
        (991, 0o666, None),
        (992, 0o660, None),
        (0, 0o600, Some("root")),
        (5000, 0o660, None),
    ] {
        let found = service_shut_out(groups, 992, device_group, mode);
        assert_eq!(found.as_deref(), expected, "{device_group} {mode:o}");
    }
}

#[test]
fn a_stable_name_is_followed_to_its_device() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("dev/v4l/by-id")).unwrap();
    std::os::unix::fs::symlink("../../video2", dir.path().join("dev/v4l/by-id/usb-cam")).unwrap();
    let machine = Machine::new(Some(dir.path()));
    assert_eq!(node(&machine, Path::new("/dev/v4l/by-id/usb-cam")), Path::new("/dev/video2"));
    assert_eq!(node(&machine, Path::new("/dev/video0")), Path::new("/dev/video0"));
}
