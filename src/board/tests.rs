//! The board read from copies of `/proc` and `/sys`: a Raspberry Pi 4 and variations of it.

use std::hint::black_box;
use std::path::Path;

use super::*;

mod zones;

/// A Raspberry Pi 4 in a temporary directory with `changes` applied (parent directories are created, `None` removes).
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
        memory_bytes: Some(3_884_296 * 1024),
        throttled: Some(false),
        soft_limited: Some(false),
        under_voltage: Some(false),
        clock_mhz: Some(1200.0),
        max_clock_mhz: Some(1500.0),
        // A single reading of the counters gives no use, and the kernel has no PSI.
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
    assert_eq!(board.soc_sensors().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["cpu_thermal_celsius"]);
}

/// `/proc/<pid>/stat` of a process with these ticks of its own and of children that it waited for.
fn process(ticks: u64, of_children: u64) -> String {
    format!("4711 (lep) (tond) S 1 4711 4711 0 -1 4194560 2150 0 3 0 {ticks} 100 {of_children} 0 20 0\n")
}

#[test]
fn children_count_as_ours_while_they_run_and_after_they_ended() {
    let (dir, roots) = pi4(&[("proc/self/stat", Some(&process(0, 0))), ("proc/77/stat", Some(&process(0, 0)))]);
    let mut board = LinuxBoard::new(roots);
    board.children = || vec![77, 78];
    let mut at = |ticks: u64, own: &str, child: Option<&str>| {
        let stat = format!("cpu  4000 0 1000 {} 500 0 500 0 0 0\ncpu0 1 0 0 1\n", 94000 + ticks);
        change(dir.path(), &[("proc/stat", Some(&stat)), ("proc/self/stat", Some(own)), ("proc/77/stat", child)]);
        board.read().own_cpu_percent
    };
    at(100, &process(0, 0), Some(&process(0, 0)));
    assert_eq!(at(200, &process(10, 0), Some(&process(40, 0))), Some(50.0), "a child that runs");
    assert_eq!(at(300, &process(10, 0), Some(&process(40, 20))), Some(20.0), "what it started and waited for");
    assert_eq!(at(400, &process(10, 170), None), Some(10.0), "it ended: its 160 ticks, and ten more, are ours now");
}

#[test]
fn every_core_has_its_own_use() {
    let (dir, roots) = pi4(&[]);
    let mut board = LinuxBoard::new(roots);
    let mut at = |cores: &[(u32, u64, u64)]| {
        let (mut busy, mut idle, mut lines) = (5000, 94500, String::new());
        for (number, b, i) in cores {
            (busy, idle) = (busy + b, idle + i);
            lines += &format!("cpu{number} {} 0 250 {} 125 0 125\n", 1000 + b, 23500 + i);
        }
        let all = format!("cpu  {busy} 0 0 {idle} 500 0 0\n{lines}");
        change(dir.path(), &[("proc/stat", Some(&all))]);
        board.read().core_percent
    };
    assert_eq!(at(&[(0, 100, 0), (1, 50, 50), (2, 0, 100), (3, 25, 75)]), [100.0, 50.0, 0.0, 25.0]);
    assert_eq!(at(&[(0, 200, 100), (1, 150, 50), (3, 225, 75)]), [50.0, 100.0, 100.0], "one went off-line");
    assert_eq!(at(&[(0, 300, 100), (1, 250, 50), (2, 900, 0), (3, 325, 75)]).len(), 3, "and came back: no past yet");
    change(dir.path(), &[("proc/stat", None)]);
    assert_eq!(board.read().core_percent, [0.0_f32; 0]);
}

#[test]
fn cpu_use_is_taken_between_readings_that_are_far_enough_apart() {
    let (dir, roots) = pi4(&[]);
    let mut board = LinuxBoard::new(roots);
    let stat = |busy: u64, idle: u64| {
        let (busy, idle) = (4000 + busy, 94000 + idle);
        format!("cpu  {busy} 0 1000 {idle} 500 0 500 0 0 0\ncpu0 1 0 0 1\ncpu1 1 0 0 1\ncpu2 1 0 0 1\ncpu3 1 0 0 1\n")
    };
    let own = |ticks: u64| process(300 + ticks, 0);
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
    // A board with unknown zone names: the hottest plausible one.
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
    // The value of the only sensor is passed on, for the governor to judge.
    let alone = |temp| with(&[("sys/class/hwmon/hwmon0", None), (&format!("{ZONE}/temp"), Some(temp))]);
    assert_eq!((alone("-40000"), alone("hot")), (Some(-40.0), None));
}

#[test]
fn a_sensor_is_followed_by_its_name() {
    let (dir, roots) = pi4(&[("sys/class/hwmon", None)]);
    let mut board = LinuxBoard::new(roots);
    let zone = |n: u32| dir.path().join(format!("sys/class/thermal/thermal_zone{n}"));
    let mut check = |expected: Option<f32>, what: &str| assert_eq!(board.read().soc_celsius, expected, "{what}");
    check(Some(61.342), "as it was found");
    std::fs::rename(zone(0), zone(3)).unwrap();
    check(Some(61.342), "another number");
    let (kind, temp) = (format!("{ZONE}/type"), format!("{ZONE}/temp"));
    change(dir.path(), &[(&*kind, Some("gpu-thermal\n")), (&*temp, Some("90000\n"))]);
    check(Some(61.342), "a neighbour that takes the old number is not taken for it");
    std::fs::remove_dir_all(zone(3)).unwrap();
    check(Some(90.0), "its driver is gone: the other zones stand in");
    std::fs::remove_dir_all(zone(0)).unwrap();
    check(None, "nothing is left");
    let (kind, temp) = ("sys/class/thermal/thermal_zone7/type", "sys/class/thermal/thermal_zone7/temp");
    change(dir.path(), &[(kind, Some("cpu-thermal\n")), (temp, Some("55000\n"))]);
    check(Some(55.0), "its driver is loaded again");
    change(dir.path(), &[(kind, Some("soc-thermal\n"))]);
    check(Some(55.0), "and renamed, as newer kernels do");
    change(dir.path(), &[(temp, Some("nan\n"))]);
    check(None, "no number");
    change(dir.path(), &[(temp, Some("56000\n"))]);
    check(Some(56.0), "a number again");
}

#[test]
fn a_second_sensor_stands_in_for_the_first() {
    let with = |temp: Option<&str>| read(&[(&format!("{ZONE}/temp"), temp)]).soc_celsius;
    let monitor = ("sys/class/hwmon/hwmon0/temp1_input", Some("58000"));
    let both = |temp: Option<&str>| read(&[(&format!("{ZONE}/temp"), temp), monitor]).soc_celsius;
    assert_eq!((with(None), both(None)), (Some(61.342), Some(58.0)), "the zone cannot be read");
    assert_eq!(both(Some("200000")), Some(58.0), "the zone says what cannot be");
    assert_eq!(both(Some("59000")), Some(59.0), "the zone goes first");
}

#[test]
fn what_comes_late_is_found_within_a_minute() {
    let clock = "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq";
    let (dir, roots) = pi4(&[("sys/devices", None), ("sys/class/hwmon", None), ("sys/class/thermal", None)]);
    let mut board = LinuxBoard::new(roots);
    let first = board.read();
    assert_eq!((first.clock_mhz, first.throttled), (None, None));
    let max = "sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq";
    change(dir.path(), &[(WORD, Some("2")), (clock, Some("900000")), (max, Some("1500000"))]);
    change(dir.path(), &[(&format!("{ZONE}/type"), Some("cpu-thermal")), (&format!("{ZONE}/temp"), Some("50000"))]);
    (0..LOOK_AGAIN).for_each(|_| _ = board.read());
    let late = board.read();
    assert_eq!((late.clock_mhz, late.throttled, late.soc_celsius), (Some(900.0), Some(true), Some(50.0)));
}

#[test]
fn throttle_words_are_decoded() {
    let check = |text: &str, now: &[&str], since: &[&str], flags: [Option<bool>; 3]| {
        let (_dir, roots) = pi4(&[(WORD, Some(text))]);
        let throttle = LinuxBoard::new(roots).throttle();
        assert_eq!((throttle.now(), throttle.before()), (now.to_vec(), since.to_vec()), "{text}");
        let found = [throttle.throttled_now(Some(61.0)), throttle.soft_limited_now(), throttle.under_voltage_now()];
        assert_eq!(found, flags, "{text}");
    };
    let flags = |throttled, soft, supply| [Some(throttled), Some(soft), Some(supply)];
    let both = ["supply voltage too low", "throttled"];
    check("0\n", &[], &[], flags(false, false, false));
    check("50000\n", &[], &both, flags(false, false, false));
    check("0x50005\n", &both, &both, flags(false, false, true));
    check("20002", &["clock capped"], &["clock capped"], flags(true, false, false));
    check("60006", &["clock capped", "throttled"], &["clock capped", "throttled"], flags(true, false, false));
    check("80008", &["soft temperature limit"], &["soft temperature limit"], flags(false, true, false));
    check("word", &[], &[], [None, None, Some(false)]);
}

#[test]
fn a_sagging_supply_is_not_taken_for_heat() {
    let check = |word: u32, celsius: Option<f32>, throttled: bool| {
        let throttle = Throttle { word: Some(word), ..Throttle::default() };
        assert_eq!(throttle.throttled_now(celsius), Some(throttled), "{word:#x} at {celsius:?} °C");
    };
    for (word, cool, hot, unknown) in [
        (0x50005, false, true, false),
        (0x70007, false, true, true),
        (0x30003, false, true, true),
        (0x50001, false, false, false),
        (0x60006, true, true, true),
        (0x40004, true, true, true),
        (0x80008, false, false, false),
        (0xe000e, true, true, true),
    ] {
        check(word, Some(61.0), cool);
        check(word, Some(81.0), hot);
        check(word, None, unknown);
    }
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
    assert_eq!((throttle.under_voltage_now(), throttle.throttled_now(Some(61.0))), (Some(true), None));
    assert_eq!(throttle.now(), ["supply voltage too low"]);
    // Cooling by a lowered clock counts; a running fan does not.
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
    // Other tests allocate at the same time, and the kernel counts pages in batches for each thread, so the two figures are not
    // of one moment.
    let (now, peak) = (board.rss_bytes().unwrap_or(0), board.peak_rss_bytes().unwrap_or(0));
    assert!(now > 1 << 20 && peak + (16 << 20) >= now, "{now} {peak}");
    assert!(board.read().available_bytes > Some(1 << 20));
}

#[test]
fn network_counters_that_vanish_are_no_traffic() {
    let header = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n";
    let text = format!("{header}    lo: 99 0 0 0 0 0 0 0 99 0\n  eth0: 1000 0 0 0 0 0 0 0 500 0\n");
    let (dir, roots) = pi4(&[("proc/net/dev", Some(&text))]);
    let mut board = LinuxBoard::new(roots);
    let later = Instant::now() + std::time::Duration::from_secs(10);
    assert_eq!(board.network(later).map(|r| r.map(f32::round)), Some([0.0, 0.0]));
    change(dir.path(), &[("proc/net/dev", None)]);
    assert_eq!(board.network(later + std::time::Duration::from_secs(1)), None);
}

/// Prints the cost of one reading of this machine: `cargo test --lib what_a_reading_costs -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn what_a_reading_costs() {
    let cpu_ms = || {
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        used.tv_sec as f64 * 1e3 + used.tv_nsec as f64 / 1e6
    };
    let per_call = |what: &str, call: &mut dyn FnMut()| {
        let (calls, start, before) = (2000, Instant::now(), cpu_ms());
        (0..calls).for_each(|_| call());
        let (cpu, wall) =
            ((cpu_ms() - before) / f64::from(calls), start.elapsed().as_secs_f64() * 1e3 / f64::from(calls));
        println!("{what:<18} {cpu:.4} ms CPU, {wall:.4} ms");
    };
    let mut board = LinuxBoard::new(Roots::default());
    per_call("whole reading", &mut || _ = black_box(board.read()));
    per_call("cpu use", &mut || board.measure_cpu());
    per_call("network", &mut || _ = black_box(board.network(Instant::now())));
    per_call("throttle", &mut || _ = black_box(board.throttle()));
    let (roots, mut buffer) = (Roots::default(), String::new());
    let mut soc = Soc::find(&roots, "", &mut buffer);
    per_call("soc temperature", &mut || _ = black_box(soc.celsius(&roots, &mut buffer)));
    per_call("memory", &mut || _ = black_box(Memory::read(&roots, &mut buffer)));
    per_call("pressure, one", &mut || _ = black_box(Pressure::read(&roots, Resource::Cpu, &mut buffer)));
    per_call("rss", &mut || _ = black_box(board.rss_bytes()));
}
