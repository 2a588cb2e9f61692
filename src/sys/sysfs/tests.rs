use super::*;

fn pi4() -> Roots {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sensor/pi4/start");
    Roots { proc: dir.join("proc"), sys: dir.join("sys"), dev: dir.join("dev") }
}

fn read(probes: &[Probe]) -> Vec<(String, f64)> {
    probes.iter().map(|p| (p.name.clone(), p.read(&mut String::new()).unwrap())).collect()
}

#[track_caller]
fn check(probes: &[Probe], expected: &[(&str, f64)]) {
    let found = read(probes);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((name, value), (wanted, number)) in found.iter().zip(expected) {
        assert!(name == wanted && (value - number).abs() < 1e-6, "{name} = {value}, expected {wanted} = {number}");
    }
}

#[test]
fn zones_monitors_and_industrial_io_in_physical_units() {
    check(&thermal(&pi4(), ""), &[("cpu_thermal_celsius", 48.68)]);
    check(&thermal(&pi4(), "cpu-thermal"), &[("cpu_thermal_celsius", 48.68)]);
    check(&thermal(&pi4(), "gpu"), &[]);
    check(
        &hwmon(&pi4(), "ina226"),
        &[("ina226_curr1_amperes", 0.612), ("ina226_supply_rail_volts", 5.087), ("ina226_power1_watts", 3.113)],
    );
    check(&hwmon(&pi4(), "cpu_thermal"), &[("cpu_thermal_temp1_celsius", 48.68)]);
    check(&hwmon(&pi4(), "rpi_volt"), &[]);
    check(
        &iio(&pi4(), "bme280"),
        &[
            ("bme280_humidityrelative_percent", 45.12),
            ("bme280_pressure_kpa", 101.325390625),
            ("bme280_temp_celsius", 21.43),
        ],
    );
    // The three axes share a scale; the temperature has an offset and a scale of its own: (1890 − 390) × 10 m°C.
    check(
        &iio(&pi4(), "adxl345"),
        &[
            ("adxl345_accel_x_m_per_s2", 0.459684),
            ("adxl345_accel_y_m_per_s2", -0.268149),
            ("adxl345_accel_z_m_per_s2", 9.806592),
            ("adxl345_temp_celsius", 15.0),
        ],
    );
    assert_eq!(iio(&pi4(), "").len(), 7);
}

#[test]
fn a_file_without_a_number_is_an_error_naming_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("temp");
    for text in ["", "\n", "hot", "nan", "1 2", "\u{fffd}"] {
        std::fs::write(&path, text).unwrap();
        let error = number(&path, &mut String::new()).unwrap_err();
        assert!(!error.missing && error.to_string().contains("temp: "), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(number(&path, &mut String::new()).unwrap_err().missing);
}

#[test]
fn zones_of_one_type_keep_apart_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    for n in [0, 2, 10] {
        let zone = dir.path().join(format!("class/thermal/thermal_zone{n}"));
        std::fs::create_dir_all(&zone).unwrap();
        std::fs::write(zone.join("type"), if n == 0 { "soc\n" } else { "x86 pkg temp\n" }).unwrap();
        std::fs::write(zone.join("temp"), format!("{n}000\n")).unwrap();
    }
    let roots = Roots { sys: dir.path().into(), ..Roots::default() };
    check(
        &thermal(&roots, ""),
        &[("soc_celsius", 0.0), ("x86_pkg_temp_celsius", 2.0), ("x86_pkg_temp_2_celsius", 10.0)],
    );
}
