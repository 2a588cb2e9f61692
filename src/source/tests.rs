use std::path::Path;
use std::time::Duration;

use super::*;
use crate::frame::PixelFormat;
use crate::frame::diagnostic::Severity;

fn source(toml: &str) -> Config {
    toml_edit::de::from_str(toml).unwrap_or_else(|e| panic!("{toml}: {e}"))
}

fn pictures(format: PixelFormat, size: Option<[u32; 2]>) -> Frames<'static> {
    Frames::Pictures { format, size }
}

#[test]
fn every_kind_answers_for_its_frames_and_pace() {
    let full = Some([640, 480]);
    let channels = ["a".to_owned(), "b".to_owned()];
    for (toml, frames, interval_ms, sizes) in [
        ("type = \"synthetic\"\nfps = 4.0", pictures(PixelFormat::Jpeg, full), 250, 4),
        ("type = \"files\"\npath = \"x\"\nfps = 0.0", pictures(PixelFormat::Jpeg, None), 0, 0),
        ("type = \"v4l2\"\nformat = \"nv12\"\nfps = 10.0", pictures(PixelFormat::Nv12, full), 100, 0),
        (
            "type = \"rpicam\"\nwidth = 320\nheight = 240\nfps = 5",
            pictures(PixelFormat::Jpeg, Some([320, 240])),
            200,
            4,
        ),
        ("type = \"rpicam\"\nfps = 5\nextra_args = [\"--width\", \"64\"]", pictures(PixelFormat::Jpeg, full), 200, 0),
        ("type = \"rtsp\"\nurl = \"rtsp://cam/0\"", pictures(PixelFormat::I420, full), 200, 4),
        ("type = \"rtsp\"\nurl = \"/srv/a.mp4\"", pictures(PixelFormat::I420, full), 200, 0),
        (
            "type = \"sensor\"\nwindow = 8\nstride = 4\ninterval_ms = 100\nchannels = [\"a\", \"b\"]",
            Frames::Windows { rows: 8, channels: &channels },
            400,
            0,
        ),
        ("type = \"mqtt\"\ntopic = \"t\"\ncontent = \"jpeg\"", pictures(PixelFormat::Jpeg, None), 0, 0),
        (
            "type = \"mqtt\"\ntopic = \"t\"\ncontent = \"numbers\"\nwindow = 3",
            Frames::Windows { rows: 3, channels: &[] },
            0,
            0,
        ),
    ] {
        let source = source(toml);
        let kind = source.kind();
        assert_eq!(kind.frames(), frames, "{toml}");
        assert_eq!(kind.frame_interval(), Duration::from_millis(interval_ms), "{toml}");
        assert_eq!(kind.capture_sizes(true).len(), sizes, "{toml}");
        assert_eq!(kind.is_unpaced(), toml.contains("fps = 0.0"), "{toml}");
        assert_eq!(kind.begins_anew(), toml.contains("synthetic"), "{toml}");
        assert_eq!(kind.subscription().map(|s| s.filter), toml.contains("mqtt").then_some("t"), "{toml}");
        assert!(!kind.describe().is_empty(), "{toml}");
    }
}

#[test]
fn no_rate_makes_an_interval_that_times_overflow() {
    for fps in ["1e-300", "5e-324", "0.001", "240.0"] {
        let files = source(&format!("type = \"files\"\npath = \"x\"\nfps = {fps}"));
        let interval = files.kind().frame_interval();
        assert!(std::time::Instant::now().checked_add(interval * 2).is_some(), "{fps}: {interval:?}");
    }
    let slow = source("type = \"sensor\"\ninterval_ms = 9223372036854775807\nstride = 100000");
    assert!(slow.kind().frame_interval() > Duration::ZERO);
}

#[test]
fn devices_are_exclusive_by_identity() {
    for (toml, device) in [
        ("type = \"v4l2\"\ndevice = \"/dev/video2\"", Some(("/dev/video2", "device"))),
        ("type = \"rpicam\"\ncamera = 1", Some(("camera 1", "camera"))),
        ("type = \"sensor\"\nkind = \"csv\"\npath = \"-\"", Some(("standard input", "path"))),
        ("type = \"sensor\"\nkind = \"csv\"\npath = \"a.csv\"", None),
        ("type = \"synthetic\"", None),
        ("type = \"rtsp\"\nurl = \"rtsp://cam/0\"", None),
    ] {
        let found = source(toml).kind().exclusive_device();
        assert_eq!(found.as_ref().map(|d| (d.name.as_str(), d.key)), device, "{toml}");
    }
}

#[test]
fn passwords_are_named_by_key_and_never_described() {
    for (toml, keys) in [
        ("type = \"rtsp\"\nurl = \"rtsp://cam/0\"", &[][..]),
        ("type = \"rtsp\"\nurl = \"rtsp://me:hunter2@cam/0\"", &["url"]),
        ("type = \"files\"\npath = \"x\"", &[]),
    ] {
        let source = source(toml);
        assert_eq!(source.kind().secret_keys(), keys, "{toml}");
        assert!(!source.kind().describe().contains("hunter2"), "{toml}");
        assert!(source.kind().check().iter().all(|d| !format!("{d:?}").contains("hunter2")), "{toml}");
    }
}

#[test]
fn a_view_is_that_of_device_and_size() {
    let same = |a: &str, b: &str| source(a).kind().view().is_some_and(|a| Some(a) == source(b).kind().view());
    assert!(same("type = \"v4l2\"\nfps = 5.0", "type = \"v4l2\"\nformat = \"yuyv\""));
    assert!(!same("type = \"v4l2\"", "type = \"v4l2\"\nwidth = 320"));
    assert!(!same("type = \"v4l2\"", "type = \"rpicam\""));
    assert!(!same("type = \"files\"\npath = \"x\"", "type = \"files\"\npath = \"x\""), "only where they are equal");
}

#[test]
fn absent_inputs_are_warnings_where_they_may_still_come() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(dir.path().join("a.csv"), "a\n1\n").unwrap();
    let check = |toml: String, expected: Option<(Severity, &str)>| {
        let found = source(&toml).kind().check_files();
        assert_eq!(found.first().map(|d| (d.severity, d.key.as_str())), expected, "{toml}: {found:?}");
        assert!(found.len() <= 1, "{toml}: {found:?}");
    };
    check(format!("type = \"v4l2\"\ndevice = {:?}", at("video9")), Some((Severity::Warning, "device")));
    check(format!("type = \"files\"\npath = {:?}", at("none.jpg")), Some((Severity::Error, "path")));
    check(format!("type = \"files\"\npath = {:?}", at("*.csv")), None);
    check(format!("type = \"sensor\"\nkind = \"csv\"\npath = {:?}", at("a.csv")), None);
    check(format!("type = \"sensor\"\nkind = \"csv\"\npath = {:?}", at("b.csv")), Some((Severity::Error, "path")));
    check("type = \"sensor\"\nkind = \"csv\"\npath = \"-\"".into(), None);
    for kind in ["rpicam\"", "rtsp\"\nurl = \"rtsp://cam/0\""] {
        check(format!("type = \"{kind}\nprogram = {:?}", at("vid")), Some((Severity::Error, "program")));
        check(format!("type = \"{kind}\nprogram = \"no-such-program-here\""), Some((Severity::Error, "program")));
    }
}

#[test]
fn paths_are_those_that_are_opened() {
    for (toml, read, device) in [
        ("type = \"files\"\npath = \"/srv/p/*.jpg\"", Some("/srv/p"), None),
        ("type = \"sensor\"\nkind = \"jsonl\"\npath = \"/srv/a/b.jsonl\"", Some("/srv/a"), None),
        ("type = \"sensor\"\nkind = \"iio\"", None, Some("/dev")),
        ("type = \"v4l2\"", None, Some("/dev")),
        ("type = \"rtsp\"\nurl = \"file:///srv/v/a.mp4\"", Some("/srv/v"), Some("/dev")),
        ("type = \"mqtt\"\ntopic = \"t\"\ncontent = \"jpeg\"", None, None),
        ("type = \"synthetic\"", None, None),
    ] {
        let paths = source(toml).kind().paths();
        assert_eq!(paths.read.first().map(|p| p.as_path()), read.map(Path::new), "{toml}");
        assert_eq!(paths.devices.first().map(|p| p.as_path()), device.map(Path::new), "{toml}");
    }
}
