use super::*;

fn pi4(moment: &str) -> Roots {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sensor/pi4").join(moment);
    Roots { proc: dir.join("proc"), sys: dir.join("sys"), dev: dir.join("dev") }
}

#[test]
fn stat_of_a_pi4() {
    let (mut start, mut later, mut buffer) = (Stat::default(), Stat::default(), String::new());
    start.read(&pi4("start"), &mut buffer).unwrap();
    later.read(&pi4("later"), &mut buffer).unwrap();
    assert_eq!(start.cores.len(), 4);
    assert_eq!((start.context_switches, start.forks), (82_310_044, 214_410));
    // 130 user and 20 system ticks against 39 idle and 1 waiting.
    let percent = later.cpu.percent_since(start.cpu).unwrap();
    assert!((percent - 150.0 / 190.0 * 100.0).abs() < 1e-9, "{percent}");
    assert_eq!(later.cores[0].1.percent_since(start.cores[0].1), Some(100.0));
    assert_eq!(later.cores[3].1.percent_since(start.cores[3].1), Some(0.0));
    assert_eq!(start.cpu.percent_since(start.cpu), None, "no tick has passed");
    assert_eq!(start.cpu.percent_since(later.cpu), None, "counters were reset");
    // The idle counter of core 2 ran back by one tick, which the kernel allows.
    assert_eq!(later.cores[2].1.percent_since(start.cores[2].1), Some(100.0));
}

#[test]
fn malformed_texts_give_an_error_or_nothing() {
    let mut stat = Stat::default();
    for text in ["", "cpu", "intr 1 2 3\n", "\0\0\0", "cpuX 1 2 3\ncpu"] {
        let parsed = stat.parse(text);
        assert_eq!(parsed.is_some(), text.lines().any(|l| l == "cpu"), "{text:?}");
    }
    stat.parse("cpu  18446744073709551615 18446744073709551615 x 9\ncpu99999999999 1 2 3\nctxt\nprocesses -4\n")
        .unwrap();
    assert_eq!((stat.cores.len(), stat.context_switches, stat.forks), (0, 0, 0));
    assert_eq!(Memory::parse("MemFree: 12 kB\n"), None);
    assert_eq!(parse_load_average("0.1 nan 0.3"), None);
    assert_eq!(parse_load_average("0.1 0.2"), None);
    assert_eq!(Pressure::parse("full avg10=0.00 total=1"), None);
    assert_eq!(Pressure::parse("some avg10=x total=1"), None);
    let mut out = vec![];
    parse_network("face |bytes\n eth0: 12 x\n:\n", &mut out);
    parse_disks("1 2\n8 0 sda 1 2\n", &mut out);
    assert_eq!(out, []);
}

#[test]
fn memory_without_an_available_line_counts_what_can_be_had() {
    let memory = Memory::parse("MemTotal: 100 kB\nMemFree: 20 kB\nBuffers: 5 kB\nCached: 25 kB\n").unwrap();
    assert_eq!((memory.available_bytes, memory.used_percent()), (50 * 1024, 50.0));
    assert_eq!(memory.swap_used_percent(), None);
    let memory = Memory::read(&pi4("start"), &mut String::new()).unwrap();
    assert!((memory.used_percent() - 25.0).abs() < 0.01 && (memory.swap_used_percent().unwrap() - 25.0).abs() < 0.01);
}

#[test]
fn a_kernel_without_psi_is_missing_it() {
    let error = Pressure::read(&pi4("start"), Resource::Memory, &mut String::new()).unwrap_err();
    assert!(error.missing);
    assert!(error.to_string().contains("pressure/memory: "), "{error}");
    let text = "some avg10=1.50 avg60=0.54 avg300=0.62 total=3262654\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    assert_eq!(Pressure::parse(text), Some(Pressure { avg10_percent: 1.5, total_us: 3_262_654 }));
}

#[test]
fn only_first_hand_devices_are_counted() {
    let mut out = Vec::new();
    network(&pi4("start"), &mut String::new(), &mut out).unwrap();
    let wlan = Moved { name: "wlan0".into(), read: 912_334_121, written: 81_203_344 };
    assert_eq!(out, [Moved { name: "eth0".into(), read: 0, written: 0 }, wlan]);
    disks(&pi4("start"), &mut String::new(), &mut out).unwrap();
    let names: Vec<&str> = out.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["mmcblk0", "sda"]);
    assert_eq!((out[0].read, out[0].written), (3_310_224, 1_810_336));
}

#[test]
fn partitions_are_told_from_disks() {
    for (name, disk, expected) in [
        ("sda1", "sda", true),
        ("sdaa", "sda", false),
        ("sda", "sda", false),
        ("mmcblk0p2", "mmcblk0", true),
        ("mmcblk0boot0", "mmcblk0", false),
        ("nvme0n1p1", "nvme0n1", true),
        ("nvme0n12", "nvme0n1", false),
        ("nbd10", "nbd1", false),
    ] {
        assert_eq!(is_partition(name, disk), expected, "{name} of {disk}");
    }
}

#[test]
fn counters_survive_wraps_and_resets() {
    let mut counter = Counter::default();
    let wrap = 1u64 << 32;
    for (now, expected) in [
        (wrap - 10, None),
        (5, Some(15)),
        (5, Some(0)),
        (1000, Some(995)),
        (3, None),
        (wrap * 3, Some(wrap * 3 - 3)),
        (7, None),
        (u64::MAX, Some(u64::MAX - 7)),
    ] {
        assert_eq!(counter.advance(now), expected, "at {now}");
    }
    counter.forget();
    assert_eq!(counter.advance(1), None);
}
