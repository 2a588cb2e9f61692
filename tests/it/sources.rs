//! Sources as the daemon opens them, on real files, real programs and this machine.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use leptond::frame::{Frame, Payload, PixelFormat};
use leptond::source::{self, Config, Context, FilesConfig, Next, SensorConfig, SensorKind, Source, SourceError};

use crate::common;

fn files(path: &Path) -> Box<dyn Source> {
    let config = FilesConfig { path: path.to_str().unwrap().into(), repeat: false, fps: 0.0 };
    source::open(&Config::Files(config), Context::default()).unwrap()
}

fn table(kind: SensorKind, path: &str, window: u32) -> Box<dyn Source> {
    let config = SensorConfig { kind, path: path.into(), interval_ms: 0, window, ..SensorConfig::default() };
    source::open(&Config::Sensor(config), Context::default()).unwrap()
}

/// Every frame up to the end, and every error.
fn all(source: &mut dyn Source) -> (Vec<Frame>, Vec<SourceError>) {
    let (mut frames, mut errors) = (Vec::new(), Vec::new());
    let mut frame = Frame::empty();
    loop {
        match source.next(&mut frame) {
            Ok(Next::Frame) => frames.push(frame.clone()),
            Ok(Next::Idle(_)) => {}
            Ok(Next::End) => return (frames, errors),
            Err(error) => errors.push(error),
        }
    }
}

#[test]
fn pictures_from_the_field_pass_the_look_at_their_structure() {
    let Some(shared) = common::shared("pictures_from_the_field_pass_the_look_at_their_structure") else { return };
    let dir = shared.join("data/images");
    let names = || std::fs::read_dir(&dir).unwrap().flatten().map(|e| e.path());
    let count = names().filter(|p| p.extension().is_some_and(|e| e == "jpg" || e == "png")).count();
    let (frames, errors) = all(files(&dir).as_mut());
    assert!(errors.is_empty(), "{errors:?}");
    assert!(count > 0 && frames.len() == count, "{} of {count}", frames.len());
    assert!(frames.is_sorted_by(|a, b| a.origin <= b.origin));
}

#[test]
fn videos_that_ffmpeg_wrote() {
    let ffmpeg = |args: &[&str], out: &Path| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1.2"]);
        command.args(args).arg(out).stdin(Stdio::null()).status()
    };
    let dir = tempfile::tempdir().unwrap();
    for (name, args, format, bytes) in [
        ("a.mjpeg", &["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"][..], PixelFormat::Jpeg, None),
        ("b.y4m", &["-pix_fmt", "yuv420p"], PixelFormat::I420, Some(64 * 48 * 3 / 2)),
        ("c.y4m", &["-pix_fmt", "yuv422p"], PixelFormat::Yuyv, Some(64 * 48 * 2)),
        ("d.y4m", &["-pix_fmt", "gray"], PixelFormat::Gray8, Some(64 * 48)),
    ] {
        let path = dir.path().join(name);
        match ffmpeg(args, &path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return common::skip("videos_that_ffmpeg_wrote", "ffmpeg is not installed");
            }
            status => assert!(status.unwrap().success(), "{name}"),
        }
        let (frames, errors) = all(files(&path).as_mut());
        assert!(errors.is_empty() && frames.len() == 12, "{name}: {} frames, {errors:?}", frames.len());
        for frame in &frames {
            let Payload::Image(image) = &frame.payload else { panic!("{name}: no picture") };
            assert_eq!(image.format, format, "{name}");
            assert!(bytes.is_none_or(|b| image.data.len() == b), "{name}: {} bytes", image.data.len());
        }
        // Cut in the middle of the last picture: the others are there, and the fault names the file.
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 40]).unwrap();
        let (frames, errors) = all(files(&path).as_mut());
        let [SourceError::Bad { origin, reason }] = &errors[..] else { panic!("{name}: {errors:?}") };
        assert!(
            frames.len() == 11 && origin.ends_with(name) && reason.starts_with("picture 12: "),
            "{origin}: {reason}"
        );
    }
}

#[test]
fn five_hundred_broken_files_are_each_told_and_the_good_ones_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut jpeg = Vec::new();
    let pixels: Vec<u8> = (0..64 * 64).map(|i| (i * 7 % 251) as u8).collect();
    jpeg_encoder::Encoder::new(&mut jpeg, 90).encode(&pixels, 64, 64, jpeg_encoder::ColorType::Luma).unwrap();
    let mut random = 1u64;
    for i in 0..500usize {
        let name = dir.path().join(format!("{i:03}.{}", ["jpg", "png", "mjpeg", "y4m"][i % 4]));
        let bytes = match i / 4 % 4 {
            0 => jpeg[..jpeg.len() * (i % 97) / 100].to_vec(),
            1 => (0..i * 13)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (random >> 56) as u8
                })
                .collect(),
            2 => b"%PDF-1.7".repeat(i),
            _ => b"YUV4MPEG2 W99999 H99999\nFRAME\n".to_vec(),
        };
        std::fs::write(name, bytes).unwrap();
    }
    for i in 0..5 {
        std::fs::write(dir.path().join(format!("{i}.jpg")), &jpeg).unwrap();
    }
    let (frames, errors) = all(files(dir.path()).as_mut());
    assert_eq!(frames.len(), 5);
    assert!(frames.iter().all(|f| matches!(&f.payload, Payload::Image(i) if i.data == jpeg)));
    let named: std::collections::BTreeSet<&str> = errors
        .iter()
        .map(|e| match e {
            SourceError::Bad { origin, .. } => origin.rsplit('/').next().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(named.len(), 500);
}

#[test]
fn a_recording_of_this_machine_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("readings.csv");
    let mut record = common::leptond();
    record.args([
        "record",
        "--interval-ms",
        "50",
        "--for",
        "1s",
        "--channels",
        "cpu_percent,memory_used_percent",
        "-o",
    ]);
    let output = record.arg(&path).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let (frames, errors) = all(table(SensorKind::Csv, path.to_str().unwrap(), 2).as_mut());
    // Readings so close that the clock of processor time did not tick between them have a gap, which is left out.
    let is_gap =
        |e: &SourceError| matches!(e, SourceError::Bad { reason, .. } if reason.starts_with("no value of cpu_percent"));
    assert!(errors.iter().all(is_gap) && (3..=21).contains(&frames.len()), "{} windows, {errors:?}", frames.len());
    for frame in &frames {
        let Payload::Window(window) = &frame.payload else { panic!("no window") };
        assert_eq!(*window.channels, ["cpu_percent", "memory_used_percent"]);
        assert!(window.data.iter().all(|v| v.is_nan() || (0.0..=100.0).contains(v)), "{:?}", window.data);
        assert!(window.data[1] > 0.0);
    }
    let output = common::leptond().args(["record", "--channels", "cpu_precent", "--for", "1s"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("machine: there is no channel \"cpu_precent\"; there are cpu_percent, "), "{error}");
}

/// The other end of the next test: prints what it reads.
#[test]
#[ignore = "run by standard_input_is_read_as_it_comes"]
fn child_reads_standard_input() {
    let mut source = table(SensorKind::Jsonl, "-", 1);
    let mut frame = Frame::empty();
    loop {
        let begun = Instant::now();
        let next = source.next(&mut frame);
        assert!(begun.elapsed() < Duration::from_millis(500));
        match next.unwrap() {
            Next::Frame => println!("\nrow {:?}", frame.window_mut().data),
            Next::Idle(why) => println!("\nidle {why}"),
            Next::End => return println!("\nend"),
        }
    }
}

#[test]
fn standard_input_is_read_as_it_comes() {
    if common::emulated() {
        return common::skip("standard_input_is_read_as_it_comes", "an emulated program cannot start itself");
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["sources::child_reads_standard_input", "--exact", "--ignored", "--nocapture", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut stdin = child.stdin.take().unwrap();
    assert!(lines.any(|l| l == "idle waiting for a line of standard input"), "nothing was written yet");
    stdin.write_all(b"{\"a\": 1}\n").unwrap();
    assert!(lines.any(|l| l == "row [1.0]"), "the pipe is still open");
    stdin.write_all(b"{\"a\": 2}").unwrap();
    drop(stdin);
    assert!(lines.any(|l| l == "row [2.0]"), "the last line needs no end");
    assert!(lines.any(|l| l == "end"));
    assert!(child.wait().unwrap().success());
}
