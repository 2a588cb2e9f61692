//! Boards as they were recorded, and what is said of them.

use std::path::Path;

use super::super::finding::Level;
use super::*;
use crate::board::LinuxBoard;

const PI4: (&str, &str) = ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0");
const ZERO2: (&str, &str) = ("proc/device-tree/model", "Raspberry Pi Zero 2 W Rev 1.0\0");
const PC: (&str, &str) = ("sys/class/dmi/id/product_name", "PC\n");
const CMDLINE: (&str, &str) = ("boot/firmware/cmdline.txt", "console=tty1 root=PARTUUID=1-02 rootwait\n");
const WORD: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
const UNIFIED: &str = "sys/fs/cgroup/cgroup.controllers";

/// Judges a machine of these files; each of `expected` must be found, with that level and text.
fn check(files: &[(&str, &str)], expected: &[(&str, Level, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    check_root(dir.path(), expected);
}

fn check_root(root: &Path, expected: &[(&str, Level, &str)]) {
    let machine = Machine::new(Some(root));
    let report = Report::gather(&mut LinuxBoard::new(machine.roots.clone()), Some(root));
    let limits = leptond_governor::Config::default();
    let findings = judge(&gather(&machine, &report, &limits, None));
    for (what, level, part) in expected {
        let found = findings.iter().find(|f| f.what == *what).unwrap_or_else(|| panic!("no {what}: {findings:#?}"));
        assert!(found.level == *level && format!("{found:?}").contains(part), "{what} {part}: {found:?}");
    }
}

fn heat(millicelsius: &'static str) -> [(&'static str, &'static str); 2] {
    [("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"), ("sys/class/thermal/thermal_zone0/temp", millicelsius)]
}

#[test]
fn the_recorded_pi4() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/board/pi4");
    check_root(
        &root,
        &[
            ("supply", Level::Warning, "too low in the last seconds (throttled=0x50000)"),
            ("clock", Level::Warning, "throttled"),
            ("temperature", Level::Ok, "61.3 °C"),
            ("pressure (PSI)", Level::Warning, "psi=1"),
            ("memory", Level::Ok, "3234 of 3793 MiB"),
        ],
    );
}

#[test]
fn the_words_of_the_firmware() {
    for (word, supply, clock) in [
        ("0\n", Level::Ok, Level::Ok),
        ("50005\n", Level::Trouble, Level::Trouble),
        ("50000\n", Level::Warning, Level::Warning),
        ("10000\n", Level::Warning, Level::Ok),
        ("80008\n", Level::Ok, Level::Note),
        ("60002\n", Level::Ok, Level::Trouble),
    ] {
        check(&[ZERO2, (WORD, word)], &[("supply", supply, ""), ("clock", clock, "")]);
    }
    check(&[ZERO2], &[("supply", Level::Unknown, "vcgencmd"), ("clock", Level::Unknown, "")]);
    check(&[PC], &[("supply", Level::Note, "does not measure")]);
}

#[test]
fn temperatures_against_the_limits() {
    for (value, level, part) in [
        ("61342\n", Level::Ok, "61.3 °C, the governor keeps it below 78 °C"),
        ("78500\n", Level::Warning, "above the 78 °C"),
        ("81000\n", Level::Trouble, "the limit of 80 °C"),
        ("-274000\n", Level::Warning, "which cannot be"),
    ] {
        check(&[&[PI4][..], &heat(value)].concat(), &[("temperature", level, part)]);
    }
    check(&[PI4], &[("temperature", Level::Unknown, "no sensor")]);
}

#[test]
fn pressure_and_memory_cgroup_are_switched_on_at_the_next_boot() {
    let stock = &[PI4, CMDLINE, (UNIFIED, "cpuset cpu io pids\n"), ("proc/cmdline", "console=tty1\n")];
    check(
        stock,
        &[
            ("pressure (PSI)", Level::Warning, "sudo sed -i '1s/$/ psi=1/' /boot/firmware/cmdline.txt"),
            ("memory cgroup", Level::Warning, "s/$/ cgroup_enable=memory/"),
        ],
    );
    let written = ("boot/firmware/cmdline.txt", "console=tty1 psi=1 cgroup_enable=memory\n");
    check(
        &[PI4, written, (UNIFIED, "cpu\n")],
        &[("pressure (PSI)", Level::Warning, "next boot"), ("memory cgroup", Level::Warning, "next boot")],
    );
    check(&[PI4, CMDLINE, ("proc/cmdline", "psi=1\n")], &[("pressure (PSI)", Level::Note, "CONFIG_PSI")]);
    let pressure = "some avg10=1.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
    let on = [PI4, ("proc/pressure/cpu", pressure), ("proc/pressure/memory", pressure), (UNIFIED, "cpu memory pids\n")];
    check(&on, &[("pressure (PSI)", Level::Ok, "cpu 1.5 %"), ("memory cgroup", Level::Ok, "MemoryMax=")]);
    let v1 = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t0\n";
    check(&[PI4, ("proc/cgroups", v1)], &[("memory cgroup", Level::Warning, "not enforced")]);
    check(&[PC], &[("memory cgroup", Level::Unknown, ""), ("pressure (PSI)", Level::Warning, "GRUB")]);
}

#[test]
fn memory_that_is_short() {
    let meminfo = |available: u32, swap_free: u32| {
        format!(
            "MemTotal: 420000 kB\nMemFree: 1000 kB\nMemAvailable: {available} kB\nSwapTotal: 100000 kB\n\
             SwapFree: {swap_free} kB\n"
        )
    };
    let (short, enough) = (meminfo(20_000, 10_000), meminfo(300_000, 100_000));
    let vmstat = ("proc/vmstat", "pgfault 1\noom_kill 2\n");
    check(
        &[ZERO2, ("proc/meminfo", &short), vmstat],
        &[
            ("memory", Level::Warning, "19 of 410 MiB"),
            ("swap", Level::Warning, "90 %"),
            ("out of memory", Level::Warning, "2 processes"),
        ],
    );
    check(&[ZERO2, ("proc/meminfo", &enough)], &[("memory", Level::Ok, ""), ("swap", Level::Ok, "0 %")]);
}
