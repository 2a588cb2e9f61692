//! Cameras that send JPEG pictures over HTTP, which carries no times.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use leptond::frame::Frame;
use leptond::source::{self, Config, Context, RtspConfig, RtspTransport, Source};

use super::{image, until};
use crate::common;

/// A camera on 127.0.0.1 and the pictures that it has sent.
struct Camera {
    url: String,
    sent: Arc<AtomicU32>,
}

/// The `n`-th picture: `n` tells its brightness, noise makes it as large as a real one.
fn picture(n: u32) -> Vec<u8> {
    let mut state = 12345_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as u8
    };
    let pixels: Vec<u8> = (0..160 * 120).map(|_| (20 + n % 20 * 10) as u8 + noise()).collect();
    let mut out = Vec::new();
    jpeg_encoder::Encoder::new(&mut out, 90).encode(&pixels, 160, 120, jpeg_encoder::ColorType::Luma).unwrap();
    out
}

/// Sends pictures `each` apart in one answer (MJPEG), or one picture in each (`None`, a snapshot).
fn serve(mut stream: TcpStream, sent: &AtomicU32, each: Option<Duration>) -> std::io::Result<()> {
    let mut request = [0; 4096];
    if stream.read(&mut request)? == 0 {
        return Ok(());
    }
    let Some(each) = each else {
        let data = picture(sent.fetch_add(1, SeqCst));
        write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", data.len())?;
        return stream.write_all(&data);
    };
    write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=f\r\n\r\n")?;
    loop {
        let data = picture(sent.load(SeqCst));
        write!(stream, "--f\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", data.len())?;
        stream.write_all(&data)?;
        stream.write_all(b"\r\n")?;
        sent.fetch_add(1, SeqCst);
        // The camera's rate, not a wait for something.
        std::thread::sleep(each);
    }
}

/// `None` where there is no ffmpeg.
fn camera(test: &str, each: Option<Duration>) -> Option<Camera> {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        common::skip(test, "ffmpeg is absent (apt-get install ffmpeg)");
        return None;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU32::new(0));
    let counter = sent.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // An end of the connection is how each test ends.
            let _ = serve(stream, &counter, each);
        }
    });
    Some(Camera { url, sent })
}

fn open(camera: &Camera, fps: f64) -> Box<dyn Source> {
    let config = RtspConfig {
        url: camera.url.clone(),
        width: 160,
        height: 120,
        fps,
        transport: RtspTransport::Tcp,
        key_frames_when_idle: true,
        extra_args: Vec::new(),
        program: String::new(),
    };
    source::open(&Config::Rtsp(config), Context::default()).unwrap()
}

/// The number of the picture in a frame, by its brightness.
fn number(frame: &Frame) -> u32 {
    let luma = &image(frame).data[..160 * 120];
    let mean = luma.iter().map(|v| f64::from(*v)).sum::<f64>() / luma.len() as f64;
    // ffmpeg gives limited range: 16 to 235.
    let full = (mean - 16.0) * 255.0 / 219.0;
    ((full - 20.0 - 7.5) / 10.0).round() as u32
}

#[test]
fn a_slow_http_camera_gives_each_picture_once_and_at_once() {
    let Some(camera) =
        camera("a_slow_http_camera_gives_each_picture_once_and_at_once", Some(Duration::from_millis(700)))
    else {
        return;
    };
    let mut source = open(&camera, 10.0);
    let mut frame = Frame::empty();
    for expected in 0..6 {
        let seen = until(source.as_mut(), &mut frame, |a| a == "frame");
        assert_eq!(seen, ["frame"]);
        assert_eq!(number(&frame), expected, "none is repeated, none is left out");
    }
    let sent = camera.sent.load(SeqCst);
    assert!(sent <= 7, "the sixth picture came when {sent} had been sent");
}

#[test]
fn the_rate_of_an_http_camera_is_that_of_the_wall_clock() {
    let Some(camera) = camera("the_rate_of_an_http_camera_is_that_of_the_wall_clock", Some(Duration::from_millis(200)))
    else {
        return;
    };
    // Five a second come and two and a half are wanted; ffmpeg alone takes them for 25 a second.
    let mut source = open(&camera, 2.5);
    let mut frame = Frame::empty();
    until(source.as_mut(), &mut frame, |a| a == "frame");
    let first = camera.sent.load(SeqCst);
    for _ in 0..5 {
        until(source.as_mut(), &mut frame, |a| a == "frame");
    }
    let sent = camera.sent.load(SeqCst) - first;
    assert!(
        (7..=14).contains(&sent),
        "{sent} pictures were sent while every second one of them was to come five times"
    );
}

#[test]
fn a_snapshot_address_is_fetched_at_the_rate_that_is_asked_for() {
    let Some(camera) = camera("a_snapshot_address_is_fetched_at_the_rate_that_is_asked_for", None) else { return };
    let mut source = open(&camera, 2.0);
    let mut frame = Frame::empty();
    let start = std::time::Instant::now();
    for expected in 0..4 {
        let seen = until(source.as_mut(), &mut frame, |a| a == "frame");
        assert_eq!(seen, ["frame"], "one answer is no loss");
        assert_eq!(number(&frame), expected);
    }
    assert!(
        start.elapsed() >= Duration::from_millis(1400),
        "four in {:?}, and two a second were wanted",
        start.elapsed()
    );
}
