//! Passwords of cameras: where they must not show, and that they reach the camera all the same.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use leptond::frame::Frame;
use leptond::source::{self, Config, Context, Next, RtspConfig, RtspTransport};

use crate::common;
use crate::daemon::Daemon;

/// Addresses with the secret `qX7hunter` in every place where cameras want one.
const ADDRESSES: [&str; 12] = [
    "rtsp://admin:qX7hunter@127.0.0.1:9/live",
    "rtsp://admin:qX7hunter#1@127.0.0.1:9/live",
    "rtsp://admin:qX7hunter%40x@127.0.0.1:9/live",
    "http://127.0.0.1:9/snap.cgi?loginuse=admin&loginpas=qX7hunter",
    "http://127.0.0.1:9/snap.cgi?USER=admin&PWD=qX7hunter",
    "http://127.0.0.1:9/snap?usr=admin&passwd=qX7hunter&chn=1",
    "http://127.0.0.1:9/snap?u=admin&p=qX7hunter",
    "http://127.0.0.1:9/snap?api_key=qX7hunter",
    "http://127.0.0.1:9/snap?access_token=qX7hunter",
    "http://127.0.0.1:9/snap?auth=qX7hunter",
    "rtsp://127.0.0.1:9/user=admin_password=qX7hunter_channel=1_stream=0.sdp",
    "http://127.0.0.1:9/go?to=rtsp%3A%2F%2Fadmin%3AqX7hunter%40cam%2F1",
];

fn config(dir: &std::path::Path, url: &str, extra: &str) -> std::path::PathBuf {
    let file = dir.join("leptond.toml");
    let text = format!(
        "[node]\nname = \"t\"\nstate_dir = {:?}\n[mqtt]\nhost = \"127.0.0.1\"\nport = 9\n[[pipeline]]\nname = \"p\"\n\
         model = \"leptonnet-digits\"\n[pipeline.source]\ntype = \"rtsp\"\nurl = '{url}'\n{extra}\n[pipeline.preprocess]\n\
         regions = [{{ rect = [0, 0, 24, 32] }}]\n",
        dir.join("state")
    );
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn check_shows_no_secret_and_warns_of_a_file_that_all_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let headers = r#"extra_args = ["-headers", "Authorization: Basic qX7hunter"]"#;
    let plain = ADDRESSES.iter().map(|url| (*url, ""));
    for (url, extra) in plain.chain([("rtsp://127.0.0.1:9/1", headers)]) {
        let file = config(dir.path(), url, extra);
        for json in [false, true] {
            let mut command = common::leptond();
            command.arg("check").arg("--config").arg(&file).arg(if json { "--json" } else { "--print" });
            let out = command.output().unwrap();
            let said = [out.stdout, out.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(out.status.success(), "{url}: {said}");
            assert!(!said.contains("hunter") && said.contains("***"), "{url} {extra}: {said}");
            assert!(said.contains("every user of this computer may read"), "{url}: {said}");
        }
    }
}

#[test]
fn an_address_that_cannot_be_read_is_told_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    for (url, fine) in [
        ("rtsp://admin:pa#ss@cam/1", true),
        ("rtsp://admin:pa#ss/live", false),
        ("rtsp://admin:p#w@cam/live@home", false),
    ] {
        let out = common::leptond().arg("check").arg("--config").arg(config(dir.path(), url, "")).output().unwrap();
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert_eq!(out.status.success(), fine, "{url}: {said}");
        assert_eq!(said.contains("pipeline[0].source.url") && said.contains("%23"), !fine, "{url}: {said}");
    }
}

#[test]
fn a_password_over_plain_mqtt_to_another_computer_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for (host, told) in
        [("192.0.2.7", true), ("broker.lan", true), ("localhost", false), ("127.0.0.1", false), ("::1", false)]
    {
        let file = config(dir.path(), "rtsp://cam/1", "");
        let mut command = common::leptond();
        command.arg("check").arg("--config").arg(file).args(["--set", &format!("mqtt.host={host}")]);
        let out = command.args(["--set", "mqtt.username=u", "--set", "mqtt.password=pw"]).output().unwrap();
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(out.status.success(), "{said}");
        assert_eq!(said.contains("without encryption"), told, "{host}: {said}");
    }
}

#[test]
fn the_log_of_a_run_shows_no_secret() {
    let test = "the_log_of_a_run_shows_no_secret";
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        return common::skip(test, "ffmpeg is absent (apt-get install ffmpeg)");
    }
    let dir = tempfile::tempdir().unwrap();
    for url in [ADDRESSES[1], ADDRESSES[3], ADDRESSES[10]] {
        let file = config(dir.path(), url, "");
        let daemon = Daemon::start(&std::fs::read_to_string(file).unwrap());
        daemon.wait_log("ffmpeg ended with status 1");
        assert!(!daemon.log().contains("hunter"), "{url}: {}", daemon.log());
    }
}

/// A camera that gives JPEG pictures to whom knows `admin:qX7hunter#1`; its port.
fn camera() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 80).encode(&[128; 64 * 48], 64, 48, jpeg_encoder::ColorType::Luma).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let jpeg = jpeg.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
                let mut stream = stream;
                // base64 of admin:qX7hunter#1
                if !head.iter().any(|line| line == "Authorization: Basic YWRtaW46cVg3aHVudGVyIzE=") {
                    let refusal =
                        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"c\"\r\nContent-Length: 0\r\n\r\n";
                    let _ = stream.write_all(refusal.as_bytes());
                    return;
                }
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n");
                let part = format!("--b\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
                let part = [part.as_bytes(), &jpeg, b"\r\n"].concat();
                while stream.write_all(&part).is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
        }
    });
    port
}

#[test]
fn the_password_reaches_the_camera_and_no_other_user() {
    let test = "the_password_reaches_the_camera_and_no_other_user";
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        return common::skip(test, "ffmpeg is absent (apt-get install ffmpeg)");
    }
    let config = RtspConfig {
        url: format!("http://admin:qX7hunter#1@127.0.0.1:{}/video", camera()),
        width: 64,
        height: 48,
        fps: 5.0,
        transport: RtspTransport::Tcp,
        key_frames_when_idle: true,
        extra_args: Vec::new(),
        program: String::new(),
    };
    let mut source = source::open(&Config::Rtsp(config), Context::default()).unwrap();
    let mut frame = Frame::empty();
    let deadline = Instant::now() + common::patiently(Duration::from_secs(60));
    loop {
        match source.next(&mut frame) {
            Ok(Next::Frame) => break,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(Instant::now() < deadline, "no picture");
    }
    let mut seen = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command);
        seen += usize::from(command.contains("ffmpeg") && command.contains("concat"));
        assert!(!command.contains("hunter"), "{command}");
    }
    assert!(seen > 0, "our ffmpeg is among them");
}
