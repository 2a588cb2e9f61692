use std::path::Path;
use std::time::Duration;

use super::*;

fn pi4(moment: &str) -> Roots {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sensor/pi4").join(moment);
    Roots { proc: dir.join("proc"), sys: dir.join("sys"), dev: dir.join("dev") }
}

fn reading(machine: &mut Machine, at: Instant) -> HashMap<String, f32> {
    let mut row = Vec::new();
    assert_eq!(machine.read(at, &mut row).unwrap(), Read::Row);
    assert_eq!(row.len(), machine.channels().len());
    machine.channels().iter().cloned().zip(row).collect()
}

#[test]
fn a_pi4_reads_what_it_has_in_units() {
    let start = Instant::now();
    let mut machine = Machine::open(pi4("start"), start).unwrap();
    assert!(!machine.channels().iter().any(|c| c.starts_with("pressure")), "this kernel has no PSI");
    machine.roots.proc = pi4("later").proc;
    let row = reading(&mut machine, start + Duration::from_millis(500));
    for (name, expected) in [
        ("cpu_percent", 150.0 / 190.0 * 100.0),
        ("cpu_min_percent", 0.0),
        ("cpu_max_percent", 100.0),
        ("cpu1_percent", 20.0 / 69.0 * 100.0),
        ("memory_used_percent", 25.0),
        ("swap_used_percent", 25.0),
        ("load1", 1.2),
        ("load1_per_core", 0.3),
        ("context_switches_per_s", 3000.0),
        ("forks_per_s", 4.0),
        ("network_rx_bytes_per_s", 24_000.0),
        ("network_tx_bytes_per_s", 6000.0),
        ("disk_read_bytes_per_s", 102_400.0),
        // From 4,294,967,000 sectors to 104: a 32-bit counter that wrapped after 296.
        ("disk_written_bytes_per_s", 409_600.0),
        ("cpu_thermal_celsius", 48.68),
    ] {
        let found = row[name];
        assert!((found - expected).abs() <= expected.abs() * 1e-3, "{name}: {found}, expected {expected}");
    }
    assert_eq!(row.len(), 19);
}

#[test]
fn what_vanishes_reads_as_nan_and_the_channels_stay() {
    let dir = tempfile::tempdir().unwrap();
    let proc = dir.path().join("proc");
    std::fs::create_dir_all(&proc).unwrap();
    std::fs::write(proc.join("stat"), "cpu 1 0 1 10\ncpu0 1 0 1 5\ncpu1 0 0 0 5\nctxt 5\nprocesses 1\n").unwrap();
    std::fs::write(proc.join("meminfo"), "MemTotal: 100 kB\nMemAvailable: 30 kB\n").unwrap();
    let roots = Roots { proc: proc.clone(), sys: dir.path().join("sys"), dev: "/dev".into() };
    let start = Instant::now();
    let mut machine = Machine::open(roots, start).unwrap();
    let expected = [
        "cpu_percent",
        "cpu_min_percent",
        "cpu_max_percent",
        "cpu0_percent",
        "cpu1_percent",
        "memory_used_percent",
        "memory_available_bytes",
        "context_switches_per_s",
        "forks_per_s",
    ];
    assert_eq!(machine.channels(), expected);
    std::fs::write(proc.join("stat"), "cpu 3 0 1 12\ncpu0 3 0 1 7\nctxt 5\nprocesses 1\n").unwrap();
    std::fs::remove_file(proc.join("meminfo")).unwrap();
    let row = reading(&mut machine, start + Duration::from_secs(1));
    assert_eq!((row["cpu_percent"], row["cpu0_percent"], row["cpu_min_percent"]), (50.0, 50.0, 50.0));
    assert!(row["cpu1_percent"].is_nan() && row["memory_used_percent"].is_nan());
    std::fs::remove_file(proc.join("stat")).unwrap();
    let error = machine.read(start + Duration::from_secs(2), &mut Vec::new()).unwrap_err();
    assert!(matches!(&error, SourceError::Bad { origin, .. } if origin.ends_with("proc/stat")), "{error:?}");
}

#[test]
fn without_proc_it_can_never_work() {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots { proc: dir.path().into(), ..Roots::default() };
    let error = Machine::open(roots, Instant::now()).unwrap_err();
    assert!(matches!(&error, SourceError::Fatal { .. }) && error.to_string().contains("/stat: "), "{error:?}");
}

#[test]
fn a_new_interface_adds_nothing_at_first() {
    let mut flows = Flows::default();
    let device = |name: &str, bytes: u64| Moved { name: name.into(), read: bytes, written: 0 };
    flows.seen = vec![device("eth0", 1000)];
    assert_eq!(flows.advance(true), [Some(0), Some(0)]);
    flows.seen = vec![device("eth0", 1500), device("wlan0", 70_000)];
    assert_eq!(flows.advance(true), [Some(500), Some(0)]);
    flows.seen = vec![device("wlan0", 70_010)];
    assert_eq!(flows.advance(true), [Some(10), Some(0)]);
    assert_eq!(flows.advance(false), [None, None]);
    flows.seen = vec![device("eth0", 2), device("wlan0", 70_030)];
    assert_eq!(flows.advance(true), [Some(20), Some(0)]);
}
