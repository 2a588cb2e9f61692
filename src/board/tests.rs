//! The board read from copies of `/proc` and `/sys`: a Raspberry Pi 4, and what is changed about it.

use std::path::Path;

use super::*;

/// A Raspberry Pi 4 in a directory of its own, with these files written over it (empty path parts are made, `None` removes).
fn pi4(changes: &[(&str, Option<&str>)]) -> (tempfile::TempDir, Roots) {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/board/pi4"), dir.path());
    change(dir.path(), changes);
    let roots = Roots { proc: dir.path().join("proc"), sys: dir.path().join("sys"), dev: dir.path().join("dev") };
    (dir, roots)
}

fn change(dir: &Path, changes: &[(&str, Option<&str>)]) {
    for (name, text) in changes {
        let path = dir.join(name);
        match text {
            Some(text) => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            None if path.is_dir() => std::fs::remove_dir_all(path).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

fn read(changes: &[(&str, Option<&str>)]) -> Reading {
    let (_dir, roots) = pi4(changes);
    LinuxBoard::new(roots).read()
}

const WORD: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
const ZONE: &str = "sys/class/thermal/thermal_zone0";

#[test]
fn a_raspberry_pi_4_is_read_whole() {
    let expected = Reading {
        soc_celsius: Some(61.342),
        available_bytes: Some(3_312_480 * 1024),
        throttled: Some(false),
        under_voltage: Some(false),
        clock_mhz: Some(1200.0),
        // One look at the counters gives no use, and its kernel has no PSI.
        ..Reading::default()
    };
    assert_eq!(read(&[]), expected);
    let (_dir, roots) = pi4(&[]);
    let mut board = LinuxBoard::new(roots);
    let info = Info {
        model: "Raspberry Pi 4 Model B Rev 1.4".into(),
        cpu: "Cortex-A72".into(),
        arch: std::env::consts::ARCH,
        cores: 4,
        features: ["fp", "asimd", "evtstrm", "crc32", "cpuid"].map(Into::into).to_vec(),
        max_mhz: Some(1500.0),
        min_mhz: Some(600.0),
        memory_bytes: Some(3_884_296 * 1024),
        kernel: "6.12.25+rpt-rpi-v8".into(),
    };
    assert_eq!(*board.info(), info);
    assert_eq!((board.rss_bytes(), board.peak_rss_bytes()), (Some(32_400 * 1024), Some(34_816 * 1024)));
    assert_eq!(board.soc_sensors().iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["cpu_thermal_celsius"]);
}

#[test]
fn cpu_use_is_taken_between_readings_that_are_far_enough_apart() {
    let (dir, roots) = pi4(&[]);
    let mut board = LinuxBoard::new(roots);
    let stat = |busy: u64, idle: u64| {
        let (busy, idle) = (4000 + busy, 94000 + idle);
        format!("cpu  {busy} 0 1000 {idle} 500 0 500 0 0 0\ncpu0 1 0 0 1\ncpu1 1 0 0 1\ncpu2 1 0 0 1\ncpu3 1 0 0 1\n")
    };
    let own =
        |ticks: u64| format!("4711 (lep) (tond) S 1 4711 4711 0 -1 4194560 2150 0 3 0 {} 100 0 0 20 0\n", 300 + ticks);
    let mut at = |busy, idle, ticks| {
        let (stat, own) = (stat(busy, idle), own(ticks));
        change(dir.path(), &[("proc/stat", Some(&stat)), ("proc/self/stat", Some(&own))]);
        let r = board.read();
        (r.cpu_percent, r.own_cpu_percent)
    };
    assert_eq!(at(30, 40, 20), (None, None), "70 ticks on four cores are less than 200 ms");
    assert_eq!(at(100, 100, 50), (Some(50.0), Some(25.0)));
    assert_eq!(at(101, 101, 51), (Some(50.0), Some(25.0)), "the last value until there is a better one");
    assert_eq!(at(100, 300, 50), (Some(0.0), Some(0.0)), "a counter that ran back by a tick is no load");
    assert_eq!(at(500, 300, 450), (Some(100.0), Some(100.0)));
    assert_eq!(at(0, 0, 0), (None, None), "counters that start anew");
    change(dir.path(), &[("proc/stat", None)]);
    assert_eq!(board.read().cpu_percent, None);
}

#[test]
fn the_processor_s_own_sensor_is_preferred() {
    let with = |changes: &[(&str, Option<&str>)]| read(changes).soc_celsius;
    let zone1 = [
        ("sys/class/thermal/thermal_zone1/type", Some("gpu-thermal")),
        ("sys/class/thermal/thermal_zone1/temp", Some("90000")),
    ];
    assert_eq!(with(&zone1), Some(61.342), "a hotter one elsewhere does not count");
    // A board whose zones have unknown names: the hottest that can be.
    let unknown = [
        (&*format!("{ZONE}/type"), Some("littlecore-thermal")),
        ("sys/class/thermal/thermal_zone1/type", Some("bigcore-thermal")),
        ("sys/class/thermal/thermal_zone1/temp", Some("70500")),
        ("sys/class/thermal/thermal_zone2/type", Some("broken")),
        ("sys/class/thermal/thermal_zone2/temp", Some("200000")),
        ("sys/class/hwmon/hwmon0", None),
    ];
    assert_eq!(with(&unknown), Some(70.5));
    // A PC: no zones, a monitor.
    let pc = [
        ("sys/class/thermal", None),
        ("sys/class/hwmon/hwmon0/name", Some("k10temp")),
        ("sys/class/hwmon/hwmon0/temp1_label", Some("Tctl")),
    ];
    assert_eq!(with(&pc), Some(61.342));
    // A virtual machine.
    assert_eq!(with(&[("sys/class", None)]), None);
    // What the only sensor says is handed on, for the governor to judge.
    assert_eq!(with(&[(&format!("{ZONE}/temp"), Some("-40000"))]), Some(-40.0));
    assert_eq!(with(&[(&format!("{ZONE}/temp"), Some("hot"))]), None);
}

#[test]
fn a_sensor_that_moved_is_found_again() {
    let (dir, roots) = pi4(&[("sys/class/hwmon", None)]);
    let mut board = LinuxBoard::new(roots);
    std::fs::rename(dir.path().join(ZONE), dir.path().join("sys/class/thermal/thermal_zone3")).unwrap();
    assert_eq!(board.read().soc_celsius, None);
    assert_eq!(board.read().soc_celsius, Some(61.342));
}

#[test]
fn throttle_words_are_decoded() {
    let check = |text: &str, now: &[&str], since: &[&str], flags: (Option<bool>, Option<bool>)| {
        let (_dir, roots) = pi4(&[(WORD, Some(text))]);
        let throttle = LinuxBoard::new(roots).throttle();
        assert_eq!((throttle.now(), throttle.before()), (now.to_vec(), since.to_vec()), "{text}");
        assert_eq!((throttle.throttled_now(), throttle.under_voltage_now()), flags, "{text}");
    };
    check("0\n", &[], &[], (Some(false), Some(false)));
    check("50000\n", &[], &["supply voltage too low", "throttled"], (Some(false), Some(false)));
    check(
        "0x50005\n",
        &["supply voltage too low", "throttled"],
        &["supply voltage too low", "throttled"],
        (Some(true), Some(true)),
    );
    check("20002", &["clock capped"], &["clock capped"], (Some(true), Some(false)));
    check("80008", &["soft temperature limit"], &["soft temperature limit"], (Some(true), Some(false)));
    check("word", &[], &[], (None, Some(false)));
}

#[test]
fn other_boards_say_it_in_other_places() {
    // A Raspberry Pi 5's platform bus.
    let moved = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled";
    assert_eq!(read(&[("sys/devices/platform/soc", None), (moved, Some("4"))]).throttled, Some(true));
    // The monitor alone.
    let alarm = ("sys/class/hwmon/hwmon1/in0_lcrit_alarm", Some("1\n"));
    let (_dir, roots) = pi4(&[(WORD, None), alarm]);
    let throttle = LinuxBoard::new(roots).throttle();
    assert_eq!((throttle.under_voltage_now(), throttle.throttled_now()), (Some(true), None));
    assert_eq!(throttle.now(), ["supply voltage too low"]);
    // A kernel that lowers the clock itself; a fan that runs is not that.
    let cooling = |state| {
        let kind = ("sys/class/thermal/cooling_device1/type", Some("cpufreq-cpu0"));
        read(&[(WORD, None), kind, ("sys/class/thermal/cooling_device1/cur_state", Some(state))]).throttled
    };
    assert_eq!((cooling("0"), cooling("3"), cooling("")), (Some(false), Some(true), None));
    assert_eq!(read(&[("sys", None)]).throttled, None);
}

#[test]
fn a_machine_without_anything_is_still_a_board() {
    let roots = Roots { proc: "/nowhere/proc".into(), sys: "/nowhere/sys".into(), dev: "/nowhere/dev".into() };
    let mut board = LinuxBoard::new(roots);
    assert_eq!(board.read(), Reading::default());
    assert_eq!(*board.info(), Info { arch: std::env::consts::ARCH, ..Info::default() });
    assert_eq!(board.rss_bytes(), None);
}

#[test]
fn a_pc_says_who_made_it() {
    let pc = [
        ("proc/device-tree", None),
        ("sys/class/dmi/id/sys_vendor", Some("QEMU\n")),
        ("sys/class/dmi/id/product_name", Some("Standard PC\n")),
        ("proc/cpuinfo", Some("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: sse2 avx2\n")),
        ("proc/pressure/cpu", Some("some avg10=12.50 avg60=3.00 avg300=1.00 total=123456\n")),
        ("proc/pressure/memory", Some("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")),
    ];
    let (_dir, roots) = pi4(&pc);
    let mut board = LinuxBoard::new(roots);
    let info = board.info();
    assert_eq!(
        (info.model.as_str(), info.cpu.as_str(), info.is_raspberry_pi()),
        ("QEMU Standard PC", "Some CPU @ 2 GHz", false)
    );
    assert_eq!(info.features, ["sse2", "avx2"]);
    let reading = board.read();
    assert_eq!((reading.cpu_pressure_percent, reading.memory_pressure_percent), (Some(12.5), Some(0.0)));
}

#[test]
fn this_machine_can_be_read() {
    let mut board = LinuxBoard::new(Roots::default());
    assert!(board.info().cores > 0 && board.info().memory_bytes > Some(1 << 20), "{:?}", board.info());
    // Other tests allocate meanwhile, and the kernel counts pages in batches for each thread: the two figures are not of one moment.
    let (now, peak) = (board.rss_bytes().unwrap_or(0), board.peak_rss_bytes().unwrap_or(0));
    assert!(now > 1 << 20 && peak + (16 << 20) >= now, "{now} {peak}");
    assert!(board.read().available_bytes > Some(1 << 20));
}
