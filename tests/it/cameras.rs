//! Cameras behind child processes: a fake `rpicam-vid` that misbehaves in every way, and the real `ffmpeg`.

mod http;
mod relay;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use leptond::frame::{Frame, Image, Payload, PixelFormat};
use leptond::source::{self, Config, Context, Next, RpicamConfig, RtspConfig, RtspTransport, Source, SourceError};

use crate::common;

/// Longest wait for anything here; only a failing test takes so long.
const LONG: Duration = Duration::from_secs(60);

/// Calls `next` until `wanted` says so of an answer, and gives everything that came but `Idle`, in words.
fn until(source: &mut dyn Source, frame: &mut Frame, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let deadline = Instant::now() + LONG;
    let mut seen: Vec<String> = Vec::new();
    while Instant::now() < deadline {
        let start = Instant::now();
        let answer = match source.next(frame) {
            Ok(Next::Frame) => "frame".into(),
            Ok(Next::Idle(why)) => format!("idle: {why}"),
            Ok(Next::End) => "end".into(),
            Err(SourceError::Bad { reason, .. }) => format!("bad: {reason}"),
            Err(SourceError::Lost { reason, .. }) => format!("lost: {reason}"),
            Err(SourceError::Fatal { reason, .. }) => format!("fatal: {reason}"),
        };
        // The contract is 500 ms; this machine may be busy with other tests.
        assert!(start.elapsed() < Duration::from_secs(5), "next took {:?}: {answer}", start.elapsed());
        let done = wanted(&answer);
        if done || !answer.starts_with("idle") {
            seen.push(answer);
        }
        if done {
            return seen;
        }
    }
    panic!("did not come: {seen:?}");
}

fn image(frame: &Frame) -> &Image {
    match &frame.payload {
        Payload::Image(image) => image,
        Payload::Window(_) => panic!("a picture was expected"),
    }
}

fn jpeg(grey: u8) -> Vec<u8> {
    let mut out = Vec::new();
    jpeg_encoder::Encoder::new(&mut out, 80).encode(&[grey; 64 * 48], 64, 48, jpeg_encoder::ColorType::Luma).unwrap();
    out
}

/// A fake `rpicam-vid` that runs `script` with the pictures 1.jpg (dark) and 2.jpg (light) in its working directory.
fn fake_rpicam(dir: &Path, script: &str) -> Box<dyn Source> {
    std::fs::write(dir.join("1.jpg"), jpeg(10)).unwrap();
    std::fs::write(dir.join("2.jpg"), jpeg(200)).unwrap();
    let program = dir.join("rpicam-vid");
    std::fs::write(&program, format!("#!/bin/sh\ncd {}\necho \"$@\" > arguments\n{script}\n", dir.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = RpicamConfig { program: program.display().to_string(), ..RpicamConfig::default() };
    source::open(&Config::Rpicam(config), Context::default()).unwrap()
}

#[test]
fn rpicam_pictures_arrive_and_a_death_is_told_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = fake_rpicam(dir.path(), "cat 1.jpg 2.jpg; echo 'camera unplugged' >&2; exit 7");
    assert_eq!(source.describe(), "rpicam 0 640x480 mjpeg 15 fps");
    let mut frame = Frame::empty();
    until(source.as_mut(), &mut frame, |a| a == "frame");
    assert_eq!((image(&frame).format, &image(&frame).data), (PixelFormat::Jpeg, &jpeg(10)));
    assert_eq!(frame.origin, "rpicam 0");
    until(source.as_mut(), &mut frame, |a| a == "frame");
    assert_eq!(image(&frame).data, jpeg(200));
    let seen = until(source.as_mut(), &mut frame, |a| a.starts_with("lost"));
    assert_eq!(seen, ["lost: rpicam-vid ended with status 7: camera unplugged; next attempt in 0.5 s"]);
    let seen = until(source.as_mut(), &mut frame, |a| a.starts_with("idle"));
    assert_eq!(seen, ["idle: rpicam-vid ended with status 7: camera unplugged; will be started again"]);
    assert_eq!(until(source.as_mut(), &mut frame, |a| a == "frame"), ["frame"]);
    assert_eq!(image(&frame).data, jpeg(10));
    let arguments = std::fs::read_to_string(dir.path().join("arguments")).unwrap();
    assert!(arguments.contains("--width 640 --height 480 --framerate 15 --codec mjpeg"), "{arguments}");
}

#[test]
fn rpicam_garbage_and_floods_cost_only_what_they_hit() {
    let dir = tempfile::tempdir().unwrap();
    let script = "
        printf 'not a picture at all'; cat 1.jpg
        i=0; while [ $i -lt 3000 ]; do echo 'a warning that nobody asked for' >&2; i=$((i+1)); done
        head -c -20 1.jpg; cat 2.jpg
        printf '\\377\\330\\022\\064'; cat 1.jpg
        exec sleep 600";
    let mut source = fake_rpicam(dir.path(), script);
    let mut frame = Frame::empty();
    let mut seen = Vec::new();
    for grey in [10, 200, 10] {
        seen.extend(until(source.as_mut(), &mut frame, |a| a == "frame"));
        assert!(image(&frame).data == jpeg(grey), "{seen:?}");
    }
    let bad: Vec<_> = seen.iter().filter(|a| *a != "frame").collect();
    assert_eq!(bad.len(), 3, "{seen:?}");
    assert!(bad.iter().all(|a| a.starts_with("bad: ")), "{seen:?}");
    // It is still there, just quiet.
    until(source.as_mut(), &mut frame, |a| a == "idle: waiting for the next picture");
}

#[test]
fn rpicam_is_started_again_for_another_size_and_one_that_it_refuses_leaves_the_present() {
    let dir = tempfile::tempdir().unwrap();
    // Shows a dark picture at full size, a light one at 320, and does not do 240.
    let script = r#"
        case "$*" in
            *"--width 240 "*) echo 'no such size' >&2; exit 5 ;;
            *"--width 320 "*) cat 2.jpg ;;
            *) cat 1.jpg ;;
        esac
        exec sleep 600"#;
    let mut source = fake_rpicam(dir.path(), script);
    let mut frame = Frame::empty();
    until(source.as_mut(), &mut frame, |a| a == "frame");
    assert!(image(&frame).data == jpeg(10) && image(&frame).full.is_none());
    source.set_capture(Some(320));
    until(source.as_mut(), &mut frame, |a| a == "frame");
    assert!(image(&frame).data == jpeg(200));
    assert_eq!(image(&frame).full, Some([640, 480]));
    let arguments = std::fs::read_to_string(dir.path().join("arguments")).unwrap();
    assert!(arguments.contains("--width 320 --height 240") && arguments.contains("--mode 640:480"), "{arguments}");
    source.set_capture(Some(240));
    let seen = until(source.as_mut(), &mut frame, |a| a == "frame");
    assert_eq!(seen, ["lost: rpicam-vid ended with status 5: no such size; next attempt in 0.5 s", "frame"]);
    assert!(image(&frame).data == jpeg(200), "the size before");
    source.set_capture(None);
    until(source.as_mut(), &mut frame, |a| a == "frame");
    assert!(image(&frame).data == jpeg(10) && image(&frame).full.is_none());
}

#[test]
fn a_missing_rpicam_names_the_program_and_its_package() {
    let config = RpicamConfig { program: "/nowhere/rpicam-vid".into(), ..RpicamConfig::default() };
    let mut source = source::open(&Config::Rpicam(config), Context::default()).unwrap();
    let Err(SourceError::Fatal { reason, .. }) = source.next(&mut Frame::empty()) else { panic!("fatal expected") };
    assert!(reason.contains("/nowhere/rpicam-vid") && reason.contains("rpicam-apps"), "{reason}");
}

fn rtsp(url: &Path, extra_args: &[&str]) -> Box<dyn Source> {
    let config = RtspConfig {
        url: url.display().to_string(),
        width: 160,
        height: 120,
        fps: 10.0,
        transport: RtspTransport::Tcp,
        key_frames_when_idle: true,
        extra_args: extra_args.iter().map(|s| (*s).to_owned()).collect(),
        program: String::new(),
    };
    source::open(&Config::Rtsp(config), Context::default()).unwrap()
}

/// Four seconds of 320x240 at 10 fps: the left half white, the right half black. `None` where there is no ffmpeg.
fn video(dir: &Path, test: &str) -> Option<std::path::PathBuf> {
    let path = dir.join("bars.mkv");
    let input = "color=white:s=160x240:r=10:d=4[l];color=black:s=160x240:r=10:d=4[r];[l][r]hstack";
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-filter_complex", input, "-c:v", "mpeg4", "-q:v", "2"])
        .arg(&path)
        .status();
    match status {
        Ok(status) => {
            assert!(status.success());
            Some(path)
        }
        Err(error) => {
            common::skip(test, &format!("ffmpeg: {error} (apt-get install ffmpeg)"));
            None
        }
    }
}

/// The process ids of all `ffmpeg` that read `path`.
fn readers(path: &Path) -> Vec<u32> {
    let path = path.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    pids.filter(|pid| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = command.split(|b| *b == 0);
        words.next().is_some_and(|program| program.ends_with(b"ffmpeg")) && words.any(|w| w == path.as_bytes())
    })
    .collect()
}

#[test]
fn ffmpeg_pictures_are_scaled_paced_and_end_with_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = video(dir.path(), "ffmpeg_pictures_are_scaled_paced_and_end_with_the_file") else { return };
    let mut source = rtsp(&path, &[]);
    let mut frame = Frame::empty();
    until(source.as_mut(), &mut frame, |a| a == "frame");
    let picture = image(&frame);
    assert_eq!((picture.format, picture.width, picture.height, picture.stride), (PixelFormat::I420, 160, 120, 160));
    assert_eq!(picture.data.len(), 160 * 120 * 3 / 2);
    // Limited range: white is 235 and black is 16.
    for (x, luma) in [(20, 235), (140, 16)] {
        let found = picture.data[60 * 160 + x];
        assert!(found.abs_diff(luma) <= 6, "luma {found} at column {x}");
    }
    let start = Instant::now();
    let seen = until(source.as_mut(), &mut frame, |a| a == "end");
    let frames = seen.iter().filter(|a| *a == "frame").count();
    assert!((36..=42).contains(&frames), "{frames} frames: {seen:?}");
    assert!(start.elapsed() > Duration::from_secs(2), "read at the speed of its clock, took {:?}", start.elapsed());
}

#[test]
fn a_killed_ffmpeg_is_started_again_and_a_dropped_source_leaves_none() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = video(dir.path(), "a_killed_ffmpeg_is_started_again_and_a_dropped_source_leaves_none") else {
        return;
    };
    let mut source = rtsp(&path, &["-stream_loop", "-1"]);
    let mut frame = Frame::empty();
    until(source.as_mut(), &mut frame, |a| a == "frame");
    let pids = readers(&path);
    assert_eq!(pids.len(), 1);
    assert!(Command::new("kill").args(["-9", &pids[0].to_string()]).status().unwrap().success());
    let seen = until(source.as_mut(), &mut frame, |a| a.starts_with("lost"));
    assert!(seen.last().unwrap().contains("ffmpeg was ended by signal 9 (kill)"), "{seen:?}");
    until(source.as_mut(), &mut frame, |a| a == "frame");
    assert_ne!(readers(&path), pids);
    drop(source);
    assert_eq!(readers(&path), [0; 0]);
}

#[test]
fn a_killed_leptond_takes_its_children_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some(path) = video(dir.path(), "a_killed_leptond_takes_its_children_with_it") else { return };
    let mut leptond = common::leptond()
        .args(["capture", "--json", "-n", "0", "--for", "5m", "type=rtsp", r#"extra_args=["-stream_loop", "-1"]"#])
        .arg(format!("url={}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(leptond.stdout.take().unwrap()).lines();
    let first = lines.map_while(Result::ok).find(|line| line.contains(r#""event":"frame""#));
    assert!(first.is_some_and(|line| line.contains("I420")));
    assert_eq!(readers(&path).len(), 1);
    // SIGKILL: nothing of ours runs any more that could end the child.
    leptond.kill().unwrap();
    leptond.wait().unwrap();
    let deadline = Instant::now() + LONG;
    while !readers(&path).is_empty() {
        assert!(Instant::now() < deadline, "ffmpeg lives on");
        std::thread::yield_now();
    }
}

#[test]
fn an_unreachable_camera_is_lost_with_the_reason_and_without_the_password() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        return common::skip(
            "an_unreachable_camera_is_lost_with_the_reason_and_without_the_password",
            "ffmpeg is absent",
        );
    }
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("rtsp://admin:hunter2@127.0.0.1:{port}/s0");
    let mut source = rtsp(Path::new(&url), &[]);
    assert_eq!(source.describe(), format!("rtsp rtsp://***@127.0.0.1:{port}/s0 160x120 10 fps"));
    let seen = until(source.as_mut(), &mut Frame::empty(), |a| a.starts_with("lost"));
    let last = seen.last().unwrap();
    assert!(last.contains("Connection refused") && !last.contains("hunter2"), "{seen:?}");
    assert!(last.contains("***@127.0.0.1"), "it says which camera: {seen:?}");
}
