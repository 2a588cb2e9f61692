//! Cards and disks as the kernel shows them.

use super::*;

const MOUNTS: &str = "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\nproc /proc proc rw 0 0\n";
const STAT: &str = "1 0 8 1 1000 0 20971520 5 0 0 0\n";

/// The findings on a machine of these files.
fn judged(files: &[(&str, &str)]) -> Vec<Finding> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("var/lib/leptond")).unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let machine = Machine::new(Some(dir.path()));
    judge(&gather(&machine, Path::new("/var/lib/leptond"), true))
}

fn check(findings: &[Finding], level: Level, expected: &Finding) {
    assert!(findings.contains(expected) && expected.level() == level, "{expected:?} is not in {findings:#?}");
}

fn dir(state: StateDir) -> Finding {
    Finding::StateDir { dir: "/var/lib/leptond".into(), state }
}

#[test]
fn an_sd_card() {
    let card = [("sys/block/mmcblk0/device/type", "SD\n"), ("sys/block/mmcblk0/stat", STAT)];
    let errors = |n| ("sys/fs/ext4/mmcblk0p2/errors_count", n);
    let counted = |count| Finding::Ext4Errors { device: "/dev/mmcblk0p2".into(), count };
    let (disk, bytes) = ("mmcblk0".to_owned(), 10_240 << 20);
    let good =
        judged(&[&card[..], &[("proc/mounts", MOUNTS), errors("0\n"), ("proc/uptime", "864000.0 1.0\n")]].concat());
    check(&good, Level::Ok, &dir(StateDir::Writable));
    check(&good, Level::Ok, &counted(0));
    check(&good, Level::Note, &Finding::Wear { disk: disk.clone(), wear: Wear::SdCard });
    let slow = Finding::Written { disk: disk.clone(), bytes, bytes_per_day: Some(1024 << 20), much: false };
    check(&good, Level::Ok, &slow);
    let bad = judged(&[&card[..], &[("proc/mounts", MOUNTS), errors("3\n"), ("proc/uptime", "7200.0 1.0\n")]].concat());
    check(&bad, Level::Trouble, &counted(3));
    let fast = Finding::Written { disk: disk.clone(), bytes, bytes_per_day: Some(bytes * 12), much: true };
    check(&bad, Level::Warning, &fast);
    let young = judged(&[&card[..], &[("proc/mounts", MOUNTS), ("proc/uptime", "60.0 1.0\n")]].concat());
    check(&young, Level::Ok, &Finding::Written { disk, bytes, bytes_per_day: None, much: false });
    check(
        &judged(&[("proc/mounts", "overlay / overlay rw,lowerdir=/lower 0 0\n")]),
        Level::Note,
        &dir(StateDir::InMemory),
    );
    let read_only = MOUNTS.replace("rw,noatime", "ro,noatime");
    let shut = StateDir::ReadOnly { device: "/dev/mmcblk0p2".into(), at: "/".into() };
    check(&judged(&[&card[..], &[("proc/mounts", &read_only)]].concat()), Level::Trouble, &dir(shut));
}

#[test]
fn the_wear_of_an_emmc() {
    let life = |from_percent, to_percent| Wear::Life { from_percent, to_percent };
    for (life, spare, level, wear) in [
        ("0x01 0x02\n", "0x01\n", Level::Ok, life(10, 20)),
        ("0x09 0x02\n", "0x01\n", Level::Warning, life(80, 90)),
        ("0x0b 0x01\n", "0x01\n", Level::Trouble, Wear::LifeOver),
        ("0x01 0x01\n", "0x02\n", Level::Warning, Wear::SpareBlocks { over_percent: 80 }),
        ("0x01 0x01\n", "0x03\n", Level::Trouble, Wear::SpareBlocks { over_percent: 90 }),
        ("0x00 0x00\n", "0x00\n", Level::Note, Wear::Unknown),
        ("nonsense", "", Level::Note, Wear::Unknown),
    ] {
        let findings = judged(&[
            ("proc/mounts", MOUNTS),
            ("sys/block/mmcblk0/device/type", "MMC\n"),
            ("sys/block/mmcblk0/device/life_time", life),
            ("sys/block/mmcblk0/device/pre_eol_info", spare),
        ]);
        check(&findings, level, &Finding::Wear { disk: "mmcblk0".into(), wear });
    }
}

#[test]
fn the_longest_mount_holds_the_directory() {
    let text = format!("{MOUNTS}tmpfs /var tmpfs rw 0 0\n/dev/sda1 /var/lib\\040x ext4 rw 0 0\nbroken\n");
    let at = |dir: &str| mount_of(&text, Path::new(dir)).map(|m| m.device);
    assert_eq!(at("/var/lib/leptond").as_deref(), Some("tmpfs"));
    assert_eq!(at("/var/lib x/leptond").as_deref(), Some("/dev/sda1"));
    assert_eq!(at("/home").as_deref(), Some("/dev/mmcblk0p2"));
    assert_eq!(mount_of("", Path::new("/")), None);
}

#[test]
fn room_and_owner() {
    let base = || Facts { dir: "/s".into(), exists: Some(true), ..Facts::default() };
    for (free_mib, all_mib, level) in [
        (1000_u64, 4000_u64, Level::Ok),
        (150, 4000, Level::Warning),
        (10, 4000, Level::Trouble),
        (0, 0, Level::Trouble),
    ] {
        let facts = Facts { writable: true, space: Some([free_mib << 20, all_mib << 20]), ..base() };
        assert_eq!(judge(&facts)[1].level(), level, "{free_mib}");
    }
    assert_eq!(state_dir(&Facts { foreign_owner: Some(0), ..base() }), StateDir::Foreign { owner: 0 });
    assert_eq!(state_dir(&Facts { exists: Some(false), ..base() }), StateDir::Absent);
    assert_eq!(state_dir(&Facts { exists: Some(false), writable: true, ..base() }), StateDir::ToBeMade);
    assert_eq!(state_dir(&Facts { exists: None, ..base() }), StateDir::Hidden);
    assert_eq!(state_dir(&base()), StateDir::NotByThisUser);
}
