//! `probe` on a copy of a Raspberry Pi 4.

use std::path::Path;

use super::*;

fn pi4() -> Report {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/board/pi4");
    Report::gather(&mut LinuxBoard::new(machine::roots(Some(&root))), Some(&root))
}

#[test]
fn the_report_for_people() {
    let root = format!("{}/tests/data/board/pi4", env!("CARGO_MANIFEST_DIR"));
    let text = text(&pi4()).replace(&root, "");
    let expected = "\
board             Raspberry Pi 4 Model B Rev 1.4
system            Debian GNU/Linux 12 (bookworm), Linux 6.12.25+rpt-rpi-v8
processor         4 × Cortex-A72, 600 to 1500 MHz, now 1200 MHz
for inference     asimd
memory            3793 MiB, 3234 MiB available
cpu pressure      not available: /proc/pressure/cpu: No such file or directory (os error 2)
memory pressure   not available: /proc/pressure/memory: No such file or directory (os error 2)
soc temperature   61.3 °C from cpu_thermal_celsius
throttled now     no
lately            supply voltage too low, throttled
camera            /dev/video0 HD Pro Webcam C920
                  /dev/video10 bcm2835-codec-decode (a codec or image processor, no camera)
sensor            thermal cpu_thermal_celsius = 61.342
                  hwmon cpu_thermal_temp1_celsius = 61.342
                  iio bme280_temp_celsius = 21.430
absent            pressure (PSI): waiting for memory is not seen; append psi=1 to /boot/firmware/cmdline.txt and reboot
                  rpicam-vid: the rpicam source cannot run; apt install rpicam-apps-lite
                  ffmpeg: the rtsp source cannot run; apt install ffmpeg
";
    assert_eq!(text, expected, "{text}");
}

#[test]
fn the_report_for_machines() {
    let json = serde_json::to_value(pi4()).unwrap();
    assert_eq!(json["board"]["model"], "Raspberry Pi 4 Model B Rev 1.4");
    assert_eq!(json["reading"]["clock_mhz"], 1200.0);
    assert_eq!(json["throttle"]["word"], 0x50000);
    assert_eq!(json["throttled_before"], serde_json::json!(["supply voltage too low", "throttled"]));
    assert_eq!(json["cameras"][1]["processor"], true);
    assert_eq!(json["programs"]["ffmpeg"], serde_json::Value::Null);
    assert!(json["pressure"]["cpu"]["reason"].as_str().unwrap().contains("pressure/cpu: "));
}

#[test]
fn an_empty_machine_says_what_that_means() {
    let dir = tempfile::tempdir().unwrap();
    let report = Report::gather(&mut LinuxBoard::new(machine::roots(Some(dir.path()))), Some(dir.path()));
    let absent: Vec<_> = report.absent.iter().map(|a| a.what).collect();
    let expected = [
        "temperature sensor",
        "throttle flags",
        "pressure (PSI)",
        "cpu counters",
        "memory counters",
        "network counters",
        "clock (cpufreq)",
        "video4linux camera",
        "ffmpeg",
    ];
    assert_eq!(absent, expected);
    assert!(text(&report).starts_with("board             unknown\n"), "{}", text(&report));
}

#[test]
fn a_screen_is_drawn_over_the_last_one() {
    let lines = ["a".to_owned(), "b".to_owned()];
    assert_eq!(redrawn(&lines, 0), "a\x1b[K\nb\x1b[K\n\x1b[J", "what was there before stays");
    assert_eq!(redrawn(&lines[..1], 2), "\x1b[2Fa\x1b[K\n\x1b[J", "and a shorter one leaves nothing of it");
}

#[test]
fn a_camera_says_why_it_cannot_be_used() {
    let camera = |processor, permitted| {
        crate::diagnose::survey::Camera {
            device: "/dev/video0".into(),
            name: "C920".into(),
            processor,
            permitted,
            planes: false,
            formats: Vec::new(),
        }
        .describe()
    };
    assert_eq!(camera(false, Some(true)), "C920");
    assert_eq!(camera(false, Some(false)), "C920 (no permission: add this user to the group video)");
    assert_eq!(camera(true, Some(false)), "C920 (a codec or image processor, no camera)");
}
