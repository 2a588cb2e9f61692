//! The words of findings: text, advice and commands.

use std::path::Path;

use super::*;
use crate::diagnose::board::{Finding as OfBoard, FirmwareWord, KernelWord};
use crate::diagnose::broker::{Facts as BrokerFacts, Finding as OfBroker, Outcome};
use crate::diagnose::camera::{Facts as CameraFacts, Finding as OfCamera, Kind as CameraKind, State as CameraState};
use crate::diagnose::clock::{Finding as OfClock, State as ClockState};
use crate::diagnose::configuration::{Finding as OfConfiguration, Unreadable};
use crate::diagnose::holder::Holder;
use crate::diagnose::model::{Facts as ModelFacts, Finding as OfModel, Pace, Rung, Speed, State as ModelState};
use crate::diagnose::sensor::{Facts as SensorFacts, Finding as OfSensor, State as SensorState};
use crate::diagnose::service::{Ended, Finding as OfService};
use crate::diagnose::storage::{Finding as OfStorage, StateDir, Wear};
use crate::publish::mqtt::attempt::Attempt;
use crate::publish::mqtt::link::{Failure as Trouble, FailureKind as Kind, TlsFailure};

/// A finding on one line.
fn line(shown: Shown) -> String {
    let Shown { level, what, text, advice, commands } = shown;
    let advice = advice.map(|advice| format!(" → {advice}")).unwrap_or_default();
    let commands: String = commands.iter().map(|command| format!(" $ {command}")).collect();
    format!("{level:?} {what}: {text}{advice}{commands}")
}

fn check(shown: Shown, expected: &str) {
    assert_eq!(line(shown), expected);
}

#[test]
fn of_the_board() {
    let word = FirmwareWord { word: Some(0x50005), since_boot: true };
    let advice =
        "use the board's own supply and a short, thick cable; power USB devices that need much from a hub of their own";
    check(
        board::shown(&OfBoard::SupplyLow(word)),
        &format!("Trouble supply: the voltage is too low now (throttled=0x50005) → {advice}"),
    );
    check(
        board::shown(&OfBoard::TemperatureGood { celsius: 61.34, kept_celsius: 78.0, sensor: "cpu".into() }),
        "Ok temperature: 61.3 °C, the governor keeps it below 78 °C (cpu)",
    );
    let append = KernelWord::Append { file: "/boot/cmdline.txt", word: "psi=1" };
    check(
        board::shown(&OfBoard::PressureOff(append)),
        "Warning pressure (PSI): off: waiting for CPU and memory is not seen before it hurts \
         $ sudo sed -i '1s/$/ psi=1/' /boot/cmdline.txt $ sudo reboot",
    );
    check(
        board::shown(&OfBoard::Swap { used_percent: 90.4, total_bytes: 100 << 20, heavy: true }),
        "Warning swap: 90 % of 100 MiB used: slow, and it wears out an SD card $ ps -eo rss,comm --sort=-rss | head",
    );
}

#[test]
fn of_clock_and_configuration() {
    let finding = OfClock { now: Some(std::time::UNIX_EPOCH), tls: true, state: ClockState::Past };
    check(
        clock::shown(&finding),
        "Trouble clock: 1970-01-01 00:00:00 UTC, which is before this program was made: times in messages are wrong, \
         and the broker's certificate is refused $ sudo timedatectl set-ntp true $ timedatectl timesync-status",
    );
    let file = Path::new("/x.toml");
    check(
        configuration::shown(&OfConfiguration::Unreadable(Unreadable::Missing), file, false),
        "Trouble configuration: /x.toml is not there $ leptond setup --config /x.toml",
    );
    check(
        configuration::shown(&OfConfiguration::Good { pipelines: 2 }, file, true),
        "Ok configuration: /x.toml: 2 pipelines",
    );
}

#[test]
fn of_cameras_and_sensors() {
    let finding = |state, holders: &[Holder]| OfCamera::Camera {
        state,
        facts: Box::new(CameraFacts {
            pipeline: "door".into(),
            kind: CameraKind::V4l2 {
                device: "/dev/video0".into(),
                camera: None,
                others: vec!["/dev/video2 Webcam".into()],
            },
            holders: holders.to_vec(),
            picture: None,
            user: None,
            shut_group: Some("cams".into()),
        }),
    };
    check(
        camera::shown(&finding(CameraState::Absent, &[])),
        "Trouble camera: door: /dev/video0 is not there → there are: /dev/video2 Webcam $ ls -l /dev/v4l/by-id/ \
         $ sudo leptond setup",
    );
    let motion = Holder { pid: 812, name: "motion".into(), unit: Some("motion.service".into()) };
    check(
        camera::shown(&finding(CameraState::InUse, &[motion])),
        "Warning camera: door: /dev/video0 is in use by motion (process 812) $ sudo systemctl stop motion.service",
    );
    check(
        camera::shown(&finding(CameraState::ServiceDenied, &[])),
        "Trouble camera: door: the service's user leptond may not open /dev/video0 (group cams) \
         $ sudo usermod -aG cams leptond && sudo systemctl restart leptond",
    );
    let facts = SensorFacts {
        pipeline: "air".into(),
        config: crate::source::SensorConfig { path: "bme280".into(), ..Default::default() },
        found: Vec::new(),
        others: Vec::new(),
        i2c: false,
        boot_config: Some("/boot/config.txt"),
    };
    check(
        sensor::shown(&OfSensor { facts, state: SensorState::Absent }),
        "Trouble sensor: air: \"bme280\" is not there → the firmware loads its driver by a line in /boot/config.txt; \
         dtoverlay -h i2c-sensor lists the names $ sudo raspi-config nonint do_i2c 0 \
         $ echo 'dtoverlay=i2c-sensor,bme280' | sudo tee -a /boot/config.txt $ sudo reboot",
    );
}

#[test]
fn of_the_broker() {
    let finding = |host: &str, username: &str, tls, outcome| OfBroker::Attempt {
        told: false,
        facts: BrokerFacts {
            address: format!("{host}:1883"),
            host: host.into(),
            node: "attic".into(),
            prefix: "leptond".into(),
            username: username.into(),
            tls,
            connected: None,
            requests: vec!["pipeline/pause", "restart"],
            home_assistant: Default::default(),
            discovery: Default::default(),
            outcome,
        },
    };
    let failed = |kind, words: &str| Outcome::Tried(Attempt::Failed(Trouble::new(kind, words)));
    for (host, username, tls, outcome, part) in [
        ("localhost", "", false, failed(Kind::Refused, "x"), "$ sudo apt install mosquitto"),
        ("nas", "", false, failed(Kind::Refused, "x"), "→ on nas: does the broker run"),
        ("ha.local", "", false, failed(Kind::Name, "x"), "libnss-mdns"),
        ("ha", "", false, failed(Kind::Name, "x"), "$ getent hosts ha"),
        ("ha", "", false, failed(Kind::Unreachable, "x"), "$ ping -c 3 ha"),
        ("ha", "", false, failed(Kind::Credentials, "x"), "wants a user name"),
        ("ha", "pi", false, failed(Kind::Credentials, "x"), "mosquitto_passwd /etc/mosquitto/passwd pi"),
        ("ha", "", false, failed(Kind::Closed, "x"), "for TLS"),
        ("ha", "", true, failed(Kind::Tls(TlsFailure::Expired), "x"), "renew"),
        ("ha", "", true, failed(Kind::Tls(TlsFailure::PlainPort), "x"), "a plain one"),
        ("ha", "", false, failed(Kind::Tls(TlsFailure::TlsPort), "x"), "--tls-ca FILE"),
        ("ha", "pi", false, Outcome::Tried(Attempt::RequestsDenied { filter: "r/#".into() }), "topic read r/#"),
        (
            "ha",
            "",
            false,
            Outcome::Tried(Attempt::NotReturned { topic: "t".into() }),
            "topic readwrite leptond/attic/#",
        ),
        ("ha", "", false, Outcome::Secret("/f".into()), "$ sudo leptond doctor"),
        ("ha", "", false, Outcome::Unusable("/ca.pem: gone".into()), "broker: /ca.pem: gone $ leptond check"),
    ] {
        let line = line(broker::shown(&finding(host, username, tls, outcome)));
        assert!(line.contains(part), "{part}: {line}");
    }
    let works = Outcome::Tried(Attempt::Works { connect_ms: 12.0, published: true });
    check(
        broker::shown(&finding("ha", "u", false, works)),
        "Ok broker: ha:1883 lets us in as \"u\", after 12.0 ms; a message came back",
    );
    let works = Outcome::Tried(Attempt::Works { connect_ms: 12.0, published: true });
    check(
        broker::shown(&finding("ha", "", false, works)),
        "Ok broker: ha:1883 lets us in without a user name, after 12.0 ms; so it does everyone who reaches it, who may then ask this \
         node for pipeline/pause, restart (mqtt.requests); a message came back",
    );
}

#[test]
fn of_models() {
    let missing = OfModel::Missing { pipeline: "p".into(), model: "person".into() };
    check(
        model::shown(&missing),
        "Trouble model: p: person is not there $ leptond model list $ sudo leptond model add person",
    );
    let broken = |model: &str| OfModel::Broken {
        pipeline: "p".into(),
        model: model.into(),
        shipped: false,
        reason: "its hash differs".into(),
    };
    assert!(
        line(model::shown(&broken("person")))
            .ends_with("$ sudo leptond model remove person && sudo leptond model add person")
    );
    assert!(line(model::shown(&broken("/m/x.onnx"))).ends_with("$ leptond inspect /m/x.onnx"));
    let speed = |deadline_ms, interval_ms, pace| {
        let speed = Speed::Measured { infer_ms: 120.0, rungs: Vec::new(), optimised: true };
        let facts = ModelFacts {
            pipeline: "p".into(),
            model: "m".into(),
            state: ModelState::Missing,
            deadline_ms,
            interval_ms,
        };
        model::shown(&OfModel::Speed { facts, speed, pace })
    };
    let rung = Rung { number: 1, work: "full, 96 px".into(), infer_ms: 40.0 };
    check(
        speed(Some(50.0), None, Pace::Late { fitting: Some(rung) }),
        "Warning speed: p: 120.0 ms for one inference, deadline_ms is 50 → the governor lowers the work to rung 1 \
         (full, 96 px), 40.0 ms; a smaller model does it at full work $ leptond check --ladder",
    );
    check(
        speed(None, Some(66.7), Pace::Behind { possible_per_s: 8.33, wanted_per_s: 15.0 }),
        "Warning speed: p: 120.0 ms for one inference: 8.3 of 15.0 frames a second can be looked at, the newest each time \
         → lower source.fps to 6.7, or take a smaller model $ leptond check --ladder",
    );
    check(speed(None, Some(200.0), Pace::Enough), "Ok speed: p: 120.0 ms for one inference, a frame every 200 ms");
}

#[test]
fn of_storage_and_service() {
    check(
        storage::shown(&OfStorage::StateDir { dir: "/s".into(), state: StateDir::Foreign { owner: 0 } }),
        "Trouble state_dir: /s belongs to user 0, not to leptond: the service cannot write there \
         $ sudo chown -R leptond:leptond /s",
    );
    let wear = Wear::Life { from_percent: 80, to_percent: 90 };
    check(
        storage::shown(&OfStorage::Wear { disk: "mmcblk0".into(), wear }),
        "Warning wear: mmcblk0: 80 to 90 % of its expected life is used → save what matters and replace it",
    );
    let space = OfStorage::Space { free_bytes: 1 << 30, all_bytes: 4 << 30, used_percent: 75, at: Some("/".into()) };
    check(storage::shown(&space), "Ok space: 1024 of 4096 MiB free at /, 75 % used");
    check(
        service::shown(&OfService::Restarts { count: 3, ended: Some(Ended::Watchdog) }),
        "Warning restarts: systemd started it anew 3 times, the last time because it hung, and the watchdog ended it \
         $ journalctl -u leptond -n 30 --no-pager",
    );
    check(
        service::shown(&OfService::Failed { ended: Some(Ended::Configuration), refused: true }),
        "Trouble service: failed: it refuses its configuration (exit status 78) $ sudo leptond check \
         $ sudo systemctl restart leptond",
    );
}
