//! Key frames while nothing moves: how a network camera is changed over to them and back, on a stream that goes on whoever reads it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use leptond::frame::Frame;
use leptond::source::{self, Config, Context, Next, RtspConfig, RtspTransport, Source};

use crate::common;

/// Time between two key frames of the camera.
const KEYS_S: f64 = 2.0;
const FPS: f64 = 10.0;

/// A camera that streams H.264 in MPEG-TS to as many as it lets in, each from the moment of its connection on.
struct Camera {
    encoder: Child,
    port: u16,
    clients: Arc<Mutex<Vec<TcpStream>>>,
    most: Arc<AtomicUsize>,
}

impl Camera {
    fn start(test: &str) -> Option<Camera> {
        let input = format!("testsrc2=s=320x240:r={FPS}");
        let every = (KEYS_S * FPS).to_string();
        let mut encoder = match Command::new("ffmpeg")
            .args(["-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", &input, "-c:v", "libx264"])
            .args([
                "-preset",
                "ultrafast",
                "-tune",
                "zerolatency",
                "-threads",
                "1",
                "-g",
                &every,
                "-keyint_min",
                &every,
            ])
            .args(["-pix_fmt", "yuv420p", "-f", "mpegts", "-muxdelay", "0", "-flush_packets", "1", "pipe:1"])
            .stdout(Stdio::piped())
            .spawn()
        {
            Ok(child) => child,
            Err(error) => {
                common::skip(test, &format!("ffmpeg: {error} (apt-get install ffmpeg)"));
                return None;
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let clients: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let most = Arc::new(AtomicUsize::new(usize::MAX));
        let (waiting, limit) = (clients.clone(), most.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut clients = waiting.lock().unwrap();
                // One that cannot take another client closes the connection.
                if clients.len() < limit.load(Relaxed) {
                    clients.push(client);
                }
            }
        });
        let (mut stream, readers) = (encoder.stdout.take().unwrap(), clients.clone());
        std::thread::spawn(move || {
            let mut packets = vec![0; 188 * 16];
            while let Ok(n @ 1..) = stream.read(&mut packets) {
                readers.lock().unwrap().retain_mut(|client| client.write_all(&packets[..n]).is_ok());
            }
        });
        Some(Camera { encoder, port, clients, most })
    }

    fn open(&self) -> Box<dyn Source> {
        let config = RtspConfig {
            url: format!("tcp://127.0.0.1:{}/camera.ts", self.port),
            width: 160,
            height: 120,
            fps: FPS,
            transport: RtspTransport::Tcp,
            key_frames_when_idle: true,
            extra_args: Vec::new(),
            program: String::new(),
        };
        source::open(&Config::Rtsp(config), Context::default()).unwrap()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.encoder.kill();
        let _ = self.encoder.wait();
    }
}

/// Times of the pictures that come within `seconds`.
fn pictures(source: &mut dyn Source, seconds: f64) -> Vec<Instant> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let (mut frame, mut times) = (Frame::empty(), Vec::new());
    while Instant::now() < until {
        match source.next(&mut frame) {
            Ok(Next::Frame) => times.push(Instant::now()),
            Ok(Next::Idle(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    times
}

/// Longest time between two pictures.
fn longest(times: &[Instant]) -> f64 {
    times.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).fold(0.0, f64::max)
}

#[test]
fn key_frames_while_idle_and_all_of_them_again_without_a_gap() {
    let Some(camera) = Camera::start("key_frames_while_idle_and_all_of_them_again_without_a_gap") else { return };
    let mut source = camera.open();
    let started = Instant::now();
    let mut times = pictures(source.as_mut(), 8.0);
    let first_s = times[0].duration_since(started).as_secs_f64();
    assert!(times.len() > 20, "all frames: {}", times.len());
    source.set_idle(true);
    times.extend(pictures(source.as_mut(), 6.0));
    let before = times.len();
    times.extend(pictures(source.as_mut(), 8.0));
    let keys = times.len() - before;
    assert!((3..=5).contains(&keys), "a key frame every {KEYS_S} s in 8 s: {keys}");
    assert!(source.describe().ends_with(", key frames"), "{}", source.describe());
    source.set_idle(false);
    let asked = Instant::now();
    let back = pictures(source.as_mut(), 8.0);
    let quick = back.windows(2).find(|pair| pair[1].duration_since(pair[0]) < Duration::from_millis(300));
    let whole_s = quick.expect("all frames again")[0].duration_since(asked).as_secs_f64();
    times.extend(back);
    let gap_s = longest(&times);
    println!(
        "first picture after {first_s:.1} s; all frames {whole_s:.1} s after they were asked for; longest gap {gap_s:.1} s"
    );
    assert!(gap_s < 2.0 * KEYS_S, "no longer than between key frames, and what the machine adds: {gap_s}");
    assert!(camera.clients.lock().unwrap().len() <= 2, "one connection is left, or is about to be");
}

#[test]
fn a_camera_without_a_second_connection_is_started_anew_for_all_frames() {
    let Some(camera) = Camera::start("a_camera_without_a_second_connection_is_started_anew_for_all_frames") else {
        return;
    };
    let mut source = camera.open();
    pictures(source.as_mut(), 5.0);
    source.set_idle(true);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !source.describe().ends_with(", key frames") {
        assert!(Instant::now() < deadline, "changes over");
        pictures(source.as_mut(), 1.0);
    }
    camera.most.store(1, Relaxed);
    source.set_idle(false);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut frame = Frame::empty();
        // The first attempt fails, perhaps the second one, too, before the camera has noticed that the old client has gone.
        let _ = source.next(&mut frame);
        if !source.describe().ends_with(", key frames") && pictures_or_losses(source.as_mut(), 2.0) > 12 {
            break;
        }
        assert!(Instant::now() < deadline, "all frames, over a connection of their own");
    }
}

fn pictures_or_losses(source: &mut dyn Source, seconds: f64) -> usize {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut frame = Frame::empty();
    let mut count = 0;
    while Instant::now() < until {
        count += usize::from(matches!(source.next(&mut frame), Ok(Next::Frame)));
    }
    count
}
