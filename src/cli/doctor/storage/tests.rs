//! Cards and disks as the kernel shows them.

use super::super::finding::Level;
use super::*;

const MOUNTS: &str = "/dev/mmcblk0p2 / ext4 rw,noatime 0 0\nproc /proc proc rw 0 0\n";
const STAT: &str = "1 0 8 1 1000 0 20971520 5 0 0 0\n";

/// Judges a machine of these files; each of `expected` must be found, with that level and text.
fn check(files: &[(&str, &str)], expected: &[(&str, Level, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("var/lib/leptond")).unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let machine = Machine::new(Some(dir.path()));
    let findings = judge(&gather(&machine, Path::new("/var/lib/leptond"), true));
    for (what, level, part) in expected {
        let found = findings.iter().find(|f| f.what == *what).unwrap_or_else(|| panic!("no {what}: {findings:#?}"));
        assert!(found.level == *level && format!("{found:?}").contains(part), "{what} {part}: {found:?}");
    }
}

#[test]
fn an_sd_card() {
    let card = [("sys/block/mmcblk0/device/type", "SD\n"), ("sys/block/mmcblk0/stat", STAT)];
    let errors = |n| ("sys/fs/ext4/mmcblk0p2/errors_count", n);
    check(
        &[&card[..], &[("proc/mounts", MOUNTS), errors("0\n"), ("proc/uptime", "864000.0 1.0\n")]].concat(),
        &[
            ("state_dir", Level::Ok, "can be written"),
            ("file system", Level::Ok, "no errors"),
            ("wear", Level::Note, "do not tell how worn"),
            ("written", Level::Ok, "10240 MiB to mmcblk0 since boot, 1024 MiB a day"),
        ],
    );
    check(
        &[&card[..], &[("proc/mounts", MOUNTS), errors("3\n"), ("proc/uptime", "7200.0 1.0\n")]].concat(),
        &[("file system", Level::Trouble, "3 errors"), ("written", Level::Warning, "iotop")],
    );
    let overlay = "overlay / overlay rw,lowerdir=/lower 0 0\n";
    check(&[("proc/mounts", overlay)], &[("state_dir", Level::Note, "gone at the next boot")]);
    let read_only = MOUNTS.replace("rw,noatime", "ro,noatime");
    check(&[&card[..], &[("proc/mounts", &read_only)]].concat(), &[("state_dir", Level::Trouble, "remount,rw /")]);
}

#[test]
fn the_wear_of_an_emmc() {
    for (life, spare, level, part) in [
        ("0x01 0x02\n", "0x01\n", Level::Ok, "10 to 20 %"),
        ("0x09 0x02\n", "0x01\n", Level::Warning, "80 to 90 %"),
        ("0x0b 0x01\n", "0x01\n", Level::Trouble, "over 100 %"),
        ("0x01 0x01\n", "0x02\n", Level::Warning, "80 % of the spare"),
        ("0x01 0x01\n", "0x03\n", Level::Trouble, "90 % of the spare"),
        ("0x00 0x00\n", "0x00\n", Level::Note, "does not tell"),
        ("nonsense", "", Level::Note, "does not tell"),
    ] {
        let files = [
            ("proc/mounts", MOUNTS),
            ("sys/block/mmcblk0/device/type", "MMC\n"),
            ("sys/block/mmcblk0/device/life_time", life),
            ("sys/block/mmcblk0/device/pre_eol_info", spare),
        ];
        check(&files, &[("wear", level, part)]);
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
    let facts = Facts { dir: "/s".into(), exists: Some(true), writable: true, ..Facts::default() };
    for (free_mib, level) in [(1000, Level::Ok), (150, Level::Warning), (10, Level::Trouble)] {
        assert_eq!(room([free_mib << 20, 4000 << 20], &facts).level, level, "{free_mib}");
    }
    assert_eq!(room([0, 0], &facts).level, Level::Trouble);
    let finding = |facts: Facts| format!("{:?}", state_dir(&facts));
    assert!(finding(Facts { foreign_owner: Some(0), ..base() }).contains("sudo chown -R leptond:leptond /s"));
    assert!(finding(Facts { exists: Some(false), ..base() }).contains("install -d -o leptond"));
    assert!(finding(Facts { exists: None, ..base() }).contains("sudo leptond doctor"));
}

fn base() -> Facts {
    Facts { dir: "/s".into(), exists: Some(true), ..Facts::default() }
}
