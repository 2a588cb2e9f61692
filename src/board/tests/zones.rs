//! The processor's temperature from the thermal zones of many boards.

use super::*;

/// Zones with these types and values in m°C in place of the Raspberry Pi's own, without a monitor.
fn with_zones(zones: &[(&str, &str)]) -> (tempfile::TempDir, Roots) {
    let (dir, roots) = pi4(&[("sys/class/thermal", None), ("sys/class/hwmon", None)]);
    for (i, (kind, temp)) in zones.iter().enumerate() {
        let zone = format!("sys/class/thermal/thermal_zone{i}");
        change(dir.path(), &[(&format!("{zone}/type"), Some(kind)), (&format!("{zone}/temp"), Some(temp))]);
    }
    (dir, roots)
}

#[test]
fn the_processor_s_zone_of_each_board() {
    for (what, zones, expected, sensors) in [
        (
            "a Jetson TX2, whose regulator always says 100 °C",
            &[
                ("BCPU-therm", "41500"),
                ("MCPU-therm", "42000"),
                ("GPU-therm", "39500"),
                ("PLL-therm", "43500"),
                ("Tboard_tegra", "37000"),
                ("Tdiode_tegra", "58250"),
                ("PMIC-Die", "100000"),
                ("thermal-fan-est", "60900"),
            ][..],
            Some(42.0),
            "bcpu_therm_celsius, mcpu_therm_celsius",
        ),
        (
            "a Jetson Nano",
            &[("AO-therm", "60000"), ("CPU-therm", "45000"), ("GPU-therm", "44000"), ("PMIC-Die", "100000")],
            Some(45.0),
            "cpu_therm_celsius",
        ),
        (
            "an RK3588",
            &[
                ("soc-thermal", "60000"),
                ("bigcore0-thermal", "61000"),
                ("bigcore1-thermal", "63000"),
                ("littlecore-thermal", "59000"),
                ("npu-thermal", "70000"),
            ],
            Some(63.0),
            "bigcore0_thermal_celsius, bigcore1_thermal_celsius, littlecore_thermal_celsius",
        ),
        ("an Amlogic board", &[("soc_thermal", "51000"), ("ddr_thermal", "58000")], Some(51.0), "soc_thermal_celsius"),
        ("an i.MX 6", &[("imx_thermal_zone", "48123")], Some(48.123), "imx_thermal_zone_celsius"),
        (
            "a PC",
            &[("acpitz", "27800"), ("x86_pkg_temp", "55000"), ("iwlwifi_1", "61000")],
            Some(55.0),
            "x86_pkg_temp_celsius",
        ),
        ("an old PC", &[("acpitz", "47000"), ("iwlwifi_1", "61000")], Some(47.0), "acpitz_celsius"),
        ("one zone, whatever it is", &[("foo", "44000"), ("PMIC-Die", "100000")], Some(44.0), "foo_celsius"),
        ("several that say nothing", &[("foo", "44000"), ("bar", "61000")], None, ""),
        ("a constant alone", &[("PMIC-Die", "100000")], None, ""),
        ("a zone of the processor that measures nothing", &[("cpu-thermal", "0")], None, ""),
        (
            "one that cannot be beside one that can",
            &[("cpu0-thermal", "-45000"), ("cpu1-thermal", "52000")],
            Some(52.0),
            "cpu0_thermal_celsius, cpu1_thermal_celsius",
        ),
        (
            "a stuck one beside one that is not",
            &[("cpu0-thermal", "100000"), ("cpu1-thermal", "52000")],
            Some(52.0),
            "cpu0_thermal_celsius, cpu1_thermal_celsius",
        ),
    ] {
        let (_dir, roots) = with_zones(zones);
        let mut board = LinuxBoard::new(roots);
        assert_eq!(board.read().soc_celsius, expected, "{what}");
        let names: Vec<&str> = board.soc_sensors().map(|p| p.name.as_str()).collect();
        assert_eq!(names.join(", "), sensors, "{what}");
    }
}

#[test]
fn a_constant_is_believed_once_it_has_moved_and_nameless_zones_only_then() {
    let (dir, roots) = with_zones(&[("cpu-thermal", "100000")]);
    let mut board = LinuxBoard::new(roots);
    let temp = "sys/class/thermal/thermal_zone0/temp";
    assert_eq!(board.read().soc_celsius, None);
    assert!(board.soc_choice().contains("cannot be told"), "{}", board.soc_choice());
    change(dir.path(), &[(temp, Some("99500"))]);
    assert_eq!(board.read().soc_celsius, Some(99.5));
    change(dir.path(), &[(temp, Some("100000"))]);
    assert_eq!(board.read().soc_celsius, Some(100.0), "a processor can be that hot");

    let (dir, roots) = with_zones(&[("foo", "44000"), ("bar", "61000")]);
    let mut board = LinuxBoard::new(roots);
    assert_eq!(board.read().soc_celsius, None);
    let why = board.soc_choice();
    assert!(why.contains("foo, bar") && why.contains("thermal_zone names one"), "{why}");
    change(dir.path(), &[(temp, Some("44100"))]);
    assert_eq!(board.read().soc_celsius, Some(44.1), "the other one may be a constant");
}

#[test]
fn the_configuration_names_a_zone() {
    let zones = [("cpu-thermal", "50000"), ("PMIC-Die", "100000"), ("gpu-thermal", "61000"), ("gpu-thermal", "62000")];
    let (dir, roots) = with_zones(&zones);
    for (zone, expected) in [
        ("", Some(50.0)),
        ("cpu-thermal", Some(50.0)),
        ("PMIC-Die", Some(100.0)),
        ("pmic_die", Some(100.0)),
        ("gpu-thermal", Some(62.0)),
        ("thermal_zone2", Some(61.0)),
        ("gpu_thermal_celsius", Some(61.0)),
        ("late-thermal", None),
    ] {
        let mut board = LinuxBoard::with_zone(roots.clone(), zone);
        assert_eq!(board.read().soc_celsius, expected, "{zone:?}");
    }
    let mut board = LinuxBoard::with_zone(roots, "late-thermal");
    assert_eq!(board.read().soc_celsius, None);
    let why = board.soc_choice();
    assert!(why.contains("\"late-thermal\"") && why.contains("cpu-thermal, PMIC-Die, gpu-thermal"), "{why}");
    let late = "sys/class/thermal/thermal_zone9";
    change(dir.path(), &[(&format!("{late}/type"), Some("late-thermal")), (&format!("{late}/temp"), Some("33000"))]);
    (0..LOOK_AGAIN).for_each(|_| _ = board.read());
    assert_eq!(board.read().soc_celsius, Some(33.0), "its driver came late");
    board.set_zone("cpu-thermal");
    assert_eq!(board.read().soc_celsius, Some(50.0), "after a reload");
}
