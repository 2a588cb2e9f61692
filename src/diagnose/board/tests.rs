//! Boards as they were recorded, and what is said of them.

use std::path::Path;

use super::*;
use crate::board::LinuxBoard;

const PI4: (&str, &str) = ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0");
const ZERO2: (&str, &str) = ("proc/device-tree/model", "Raspberry Pi Zero 2 W Rev 1.0\0");
const PC: (&str, &str) = ("sys/class/dmi/id/product_name", "PC\n");
const CMDLINE: (&str, &str) = ("boot/firmware/cmdline.txt", "console=tty1 root=PARTUUID=1-02 rootwait\n");
const WORD: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
const UNIFIED: &str = "sys/fs/cgroup/cgroup.controllers";

/// The findings on a machine of these files.
fn judged(files: &[(&str, &str)]) -> Vec<Finding> {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    judged_root(dir.path())
}

fn judged_root(root: &Path) -> Vec<Finding> {
    let machine = Machine::new(Some(root));
    let report = Report::gather(&mut LinuxBoard::new(machine.roots.clone()), Some(root));
    let limits = leptond_governor::Config::default();
    judge(&gather(&machine, &report, &limits, None))
}

/// Asserts that one of the findings has a form.
macro_rules! finds {
    ($findings:expr, $($form:tt)+) => {{
        let findings = $findings;
        assert!(findings.iter().any(|finding| matches!(finding, $($form)+)), "{findings:#?}");
    }};
}

fn heat(millicelsius: &'static str) -> [(&'static str, &'static str); 2] {
    [("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"), ("sys/class/thermal/thermal_zone0/temp", millicelsius)]
}

#[test]
fn the_recorded_pi4() {
    let findings = judged_root(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/board/pi4"));
    finds!(&findings, Finding::SupplyWasLow(FirmwareWord { word: Some(0x50000), since_boot: false }));
    finds!(&findings, Finding::ClockWasLowered { reasons, soft: false, .. } if reasons == &["throttled"]);
    finds!(&findings, Finding::TemperatureGood { celsius, .. } if (celsius - 61.3).abs() < 0.1);
    finds!(&findings, Finding::PressureOff(KernelWord::Append { word: "psi=1", .. }));
    finds!(&findings, Finding::MemoryGood { available_bytes, .. } if available_bytes >> 20 == 3234);
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
        let findings = judged(&[ZERO2, (WORD, word)]);
        let levels: Vec<Level> = [0, 2].map(|index: usize| findings[index].level()).into();
        assert_eq!(levels, [supply, clock], "{word}: {findings:#?}");
    }
    finds!(judged(&[ZERO2]), Finding::SupplyUnread);
    finds!(judged(&[ZERO2]), Finding::ClockUnknown { .. });
    finds!(judged(&[PC]), Finding::SupplyUnmeasured);
}

#[test]
fn temperatures_against_the_limits() {
    let with = |value| judged(&[&[PI4][..], &heat(value)].concat());
    finds!(with("61342\n"), Finding::TemperatureGood { kept_celsius: 78.0, .. });
    finds!(with("78500\n"), Finding::TemperatureAboveKept { kept_celsius: 78.0, .. });
    finds!(with("81000\n"), Finding::TemperatureAtLimit { limit_celsius: 80.0, .. });
    finds!(with("-274000\n"), Finding::TemperatureImpossible { .. } | Finding::TemperatureUnknown { .. });
    finds!(judged(&[PI4]), Finding::TemperatureUnknown { why } if why.is_empty());
}

#[test]
fn pressure_and_memory_cgroup_are_switched_on_at_the_next_boot() {
    let file = "/boot/firmware/cmdline.txt";
    let psi = |append| match append {
        true => KernelWord::Append { file, word: "psi=1" },
        false => KernelWord::Written { file, word: "psi=1" },
    };
    let stock = judged(&[PI4, CMDLINE, (UNIFIED, "cpuset cpu io pids\n"), ("proc/cmdline", "console=tty1\n")]);
    finds!(&stock, Finding::PressureOff(word) if *word == psi(true));
    finds!(
        &stock,
        Finding::CgroupOff { raspberry_pi: true, word: KernelWord::Append { word: "cgroup_enable=memory", .. } }
    );
    let written = ("boot/firmware/cmdline.txt", "console=tty1 psi=1 cgroup_enable=memory\n");
    let written = judged(&[PI4, written, (UNIFIED, "cpu\n")]);
    finds!(&written, Finding::PressureOff(word) if *word == psi(false));
    finds!(&written, Finding::CgroupOff { word: KernelWord::Written { .. }, .. });
    finds!(judged(&[PI4, CMDLINE, ("proc/cmdline", "psi=1\n")]), Finding::PressureNotBuilt);
    let told = ("proc/cmdline", "cgroup_enable=memory\n");
    finds!(judged(&[PI4, told, (UNIFIED, "cpu\n")]), Finding::CgroupRefused { raspberry_pi: true });
    let pressure = "some avg10=1.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
    let on = [PI4, ("proc/pressure/cpu", pressure), ("proc/pressure/memory", pressure), (UNIFIED, "cpu memory pids\n")];
    finds!(judged(&on), Finding::Pressure(values) if values[..] == [("cpu", 1.5), ("memory", 1.5)]);
    finds!(judged(&on), Finding::CgroupOn);
    let v1 = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t0\n";
    finds!(judged(&[PI4, ("proc/cgroups", v1)]), Finding::CgroupOff { .. });
    finds!(judged(&[PC]), Finding::CgroupUnseen);
    finds!(judged(&[PC]), Finding::PressureOff(KernelWord::BootLoader { word: "psi=1" }));
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
    let short = judged(&[ZERO2, ("proc/meminfo", &short), ("proc/vmstat", "pgfault 1\noom_kill 2\n")]);
    finds!(&short, Finding::MemoryShort { available_bytes, .. } if available_bytes >> 20 == 19);
    finds!(&short, Finding::Swap { heavy: true, used_percent, .. } if (used_percent - 90.0).abs() < 0.1);
    finds!(&short, Finding::Killed { count: 2 });
    let enough = judged(&[ZERO2, ("proc/meminfo", &enough)]);
    finds!(&enough, Finding::MemoryGood { .. });
    finds!(&enough, Finding::Swap { heavy: false, .. });
}
