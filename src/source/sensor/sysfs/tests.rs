use std::path::Path;
use std::time::Duration;

use super::*;

fn plug(sys: &Path, number: u32, milli_celsius: i32) {
    let dir = sys.join(format!("class/hwmon/hwmon{number}"));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("name"), "probe\n").unwrap();
    std::fs::write(dir.join("temp1_input"), format!("{milli_celsius}\n")).unwrap();
}

#[test]
fn a_device_that_vanishes_is_lost_once_then_idle_and_returns_under_another_number() {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots { sys: dir.path().into(), ..Roots::default() };
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    let mut row = Vec::new();
    let mut sensor = Sysfs::new(roots, SensorKind::Hwmon, "probe", &[]);

    let idle = sensor.read(at(0), &mut row).unwrap();
    assert!(matches!(&idle, Read::Idle(why) if why.contains("probe in") && why.contains("class/hwmon")), "{idle:?}");
    plug(dir.path(), 0, 21_500);
    assert!(matches!(sensor.read(at(100), &mut row), Ok(Read::Idle(_))), "it looks again only after its back-off");
    assert_eq!(sensor.read(at(500), &mut row).unwrap(), Read::Row);
    assert_eq!((sensor.channels(), row.as_slice()), (["probe_temp1_celsius".to_owned()].as_slice(), [21.5].as_slice()));

    std::fs::remove_dir_all(dir.path().join("class/hwmon/hwmon0")).unwrap();
    let lost = sensor.read(at(1000), &mut row).unwrap_err();
    assert!(matches!(&lost, SourceError::Lost { reason, .. } if reason.contains("temp1_input")), "{lost:?}");
    assert!(matches!(sensor.read(at(1100), &mut row), Ok(Read::Idle(_))));
    plug(dir.path(), 7, 19_000);
    assert_eq!(sensor.read(at(1500), &mut row).unwrap(), Read::Row);
    assert_eq!(row, [19.0]);
}

#[test]
fn channels_asked_for_but_absent_read_as_nan_and_none_at_all_is_idle_naming_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots { sys: dir.path().into(), ..Roots::default() };
    plug(dir.path(), 0, 1000);
    let now = Instant::now();
    let mut row = Vec::new();
    let wanted = ["fan_rpm".to_owned(), "probe_temp1_celsius".to_owned()];
    let mut sensor = Sysfs::new(roots.clone(), SensorKind::Hwmon, "", &wanted);
    assert_eq!(sensor.read(now, &mut row).unwrap(), Read::Row);
    assert!(row[0].is_nan() && row[1] == 1.0);
    let mut sensor = Sysfs::new(roots, SensorKind::Hwmon, "", &wanted[..1]);
    let idle = sensor.read(now, &mut row).unwrap();
    assert!(matches!(&idle, Read::Idle(why) if why.contains("it has probe_temp1_celsius")), "{idle:?}");
}

#[test]
fn a_reading_that_fails_is_bad_and_the_device_stays() {
    let dir = tempfile::tempdir().unwrap();
    plug(dir.path(), 0, 1000);
    let roots = Roots { sys: dir.path().into(), ..Roots::default() };
    let mut sensor = Sysfs::new(roots, SensorKind::Hwmon, "", &[]);
    let (now, mut row) = (Instant::now(), Vec::new());
    assert_eq!(sensor.read(now, &mut row).unwrap(), Read::Row);
    std::fs::write(dir.path().join("class/hwmon/hwmon0/temp1_input"), "fault\n").unwrap();
    assert!(matches!(sensor.read(now, &mut row), Err(SourceError::Bad { .. })));
    plug(dir.path(), 0, 2000);
    assert_eq!(sensor.read(now, &mut row).unwrap(), Read::Row);
    assert_eq!(row, [2.0]);
}
