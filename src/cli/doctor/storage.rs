//! Where state is kept: may it be written, is there room, how worn is the card?

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::machine::Machine;
use crate::sys::proc::SECTOR_BYTES;

/// Less room than this is soon none: journal and package upgrades need more.
const LITTLE_BYTES: u64 = 200 << 20;
/// A card that is this full wears faster, since fewer free blocks take turns.
const FULL_PERCENT: u64 = 95;
/// More than this a day wears out a card of 32 GB within a few years (some hundred to a thousand writes of each cell).
const MUCH_BYTES_PER_DAY: u64 = 10 << 30;
/// Before this much time what was written at boot counts for too much.
const LEAST_UPTIME_S: f64 = 3600.0;

/// What is known of it.
#[derive(Default)]
pub struct Facts {
    /// As configured.
    pub dir: PathBuf,
    /// Whether it is a directory; `None` for one that this user may not see.
    pub exists: Option<bool>,
    /// Whether this user could write there.
    pub writable: bool,
    /// It belongs to another user than the service's: name of the owner's number.
    pub foreign_owner: Option<u32>,
    /// Device and options of what is mounted there.
    pub mount: Option<Mount>,
    /// Free and all bytes of it.
    pub space: Option<[u64; 2]>,
    /// The disk under it.
    pub disk: Option<Disk>,
    /// Faults that ext4 has counted.
    pub ext4_errors: Option<u64>,
    /// Seconds since boot.
    pub uptime_s: Option<f64>,
}

/// A line of `/proc/mounts`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    /// `/dev/mmcblk0p2`.
    pub device: String,
    /// Where.
    pub at: PathBuf,
    /// `ext4`.
    pub kind: String,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Disk {
    /// `mmcblk0`.
    pub name: String,
    /// `SD` or `MMC` (which is eMMC); empty for others.
    pub kind: String,
    /// eMMC: used share of its life in steps of 10 %, of both kinds of cells; 1 = up to 10 %, 11 = over.
    pub life_time: Option<[u8; 2]>,
    /// eMMC: 1 = normal, 2 = 80 % of its spare blocks used, 3 = 90 %.
    pub pre_eol: Option<u8>,
    /// Written since boot.
    pub written_bytes: Option<u64>,
}

/// Reads it.
pub fn gather(machine: &Machine, dir: &Path, of_service: bool) -> Facts {
    let here = machine.is_here();
    let place = machine.path(dir);
    let nearest = place.ancestors().find(|p| p.exists()).map(Path::to_path_buf).unwrap_or_default();
    let exists = match place.metadata() {
        Ok(meta) => Some(meta.is_dir()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => None,
        Err(_) => Some(false),
    };
    let service = machine.ids("leptond").filter(|_| of_service && here);
    let owner = place.metadata().ok().map(|meta| meta.uid());
    let mount = machine.text("/proc/mounts").and_then(|text| mount_of(&text, dir));
    let disk = mount.as_ref().and_then(|m| disk(machine, &m.device));
    let partition = mount.as_ref().map(|m| m.device.trim_start_matches("/dev/").to_owned());
    let number = |path: String| machine.text(&path).and_then(|text| text.trim().parse().ok());
    let statvfs = rustix::fs::statvfs(&nearest).ok().filter(|_| here);
    Facts {
        dir: dir.to_path_buf(),
        exists,
        writable: rustix::fs::access(&nearest, rustix::fs::Access::WRITE_OK).is_ok(),
        foreign_owner: owner.zip(service).and_then(|(owner, [user, _])| (owner != user).then_some(owner)),
        ext4_errors: partition.and_then(|p| number(format!("/sys/fs/ext4/{p}/errors_count"))),
        mount,
        space: statvfs.map(|fs| [fs.f_bavail.saturating_mul(fs.f_frsize), fs.f_blocks.saturating_mul(fs.f_frsize)]),
        disk,
        uptime_s: machine.text("/proc/uptime").and_then(|t| t.split_ascii_whitespace().next()?.parse().ok()),
    }
}

/// The mount that holds `dir`: the longest path that it lies under, the last of several at one place.
fn mount_of(mounts: &str, dir: &Path) -> Option<Mount> {
    let parse = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let device = fields.next()?.to_owned();
        let at = PathBuf::from(fields.next()?.replace("\\040", " "));
        let kind = fields.next()?.to_owned();
        let read_only = fields.next()?.split(',').any(|option| option == "ro");
        Some(Mount { device, at, kind, read_only })
    };
    let all = mounts.lines().filter_map(parse).filter(|m| dir.starts_with(&m.at));
    all.max_by_key(|m| m.at.components().count())
}

/// The disk of a partition: `mmcblk0` of `/dev/mmcblk0p2`.
fn disk(machine: &Machine, device: &str) -> Option<Disk> {
    let partition = device.strip_prefix("/dev/")?;
    let entries = std::fs::read_dir(machine.roots.sys.join("block")).ok()?;
    let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
    let name = names.filter(|name| partition.starts_with(name.as_str())).max_by_key(String::len)?;
    let text = |file: &str| machine.text(&format!("/sys/block/{name}/{file}"));
    let hex = |word: &str| u8::from_str_radix(word.trim().trim_start_matches("0x"), 16).ok();
    let life_time = text("device/life_time").and_then(|text| {
        let mut words = text.split_ascii_whitespace().map(hex);
        Some([words.next()??, words.next()??])
    });
    let sectors = text("stat").and_then(|stat| stat.split_ascii_whitespace().nth(6)?.parse::<u64>().ok());
    Some(Disk {
        kind: text("device/type").unwrap_or_default().trim().to_owned(),
        life_time,
        pre_eol: text("device/pre_eol_info").and_then(|text| hex(&text)),
        written_bytes: sectors.map(|sectors| sectors.saturating_mul(SECTOR_BYTES)),
        name,
    })
}

/// What to make of it.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut all = vec![state_dir(facts)];
    all.extend(facts.space.map(|space| room(space, facts)));
    if let Some(errors) = facts.ext4_errors {
        let device = facts.mount.as_ref().map(|m| m.device.clone()).unwrap_or_default();
        all.push(match errors {
            0 => Finding::ok("file system", format!("{device}: ext4 has counted no errors")),
            n => Finding::trouble("file system", format!("{device}: ext4 has counted {n} errors; the card may be dying"))
                .advice("save what matters, let the next boot check it (fsck.mode=force in cmdline.txt), and have a new card ready")
                .command("sudo dmesg | grep -iE 'mmc|ext4|i/o error' | tail -n 20"),
        });
    }
    all.extend(facts.disk.iter().map(wear));
    all.extend(written(facts));
    all
}

fn state_dir(facts: &Facts) -> Finding {
    let (what, dir) = ("state_dir", facts.dir.display());
    if let Some(mount) = facts.mount.as_ref().filter(|m| m.read_only) {
        let (device, at) = (&mount.device, mount.at.display());
        let text = format!("{dir} cannot be written: {device} is mounted read-only at {at}");
        // An overlay over a read-only card is meant; a card that fails is remounted so by the kernel.
        return Finding::trouble(what, text)
            .advice("read-only by choice (raspi-config, overlay file system), or made so by the kernel after an error of the card:")
            .command("sudo dmesg | grep -iE 'remount|mmc|i/o error' | tail")
            .command(format!("sudo mount -o remount,rw {at}"));
    }
    match facts.exists {
        None => Finding::unknown(what, format!("{dir} is not for this user to see")).command("sudo leptond doctor"),
        Some(false) if facts.writable => {
            Finding::note(what, format!("{dir} is not there yet; it is made at the first start"))
        }
        Some(false) => Finding::warning(
            what,
            format!("{dir} is not there, and this user may not make it: measurements are not kept"),
        )
        .command(format!("sudo install -d -o leptond -g leptond -m 750 {dir}")),
        Some(true) => match (facts.foreign_owner, facts.writable) {
            (Some(owner), _) => Finding::trouble(
                what,
                format!("{dir} belongs to user {owner}, not to leptond: the service cannot write there"),
            )
            .command(format!("sudo chown -R leptond:leptond {dir}")),
            (None, true) if facts.mount.as_ref().is_some_and(|m| ["overlay", "tmpfs"].contains(&m.kind.as_str())) => {
                Finding::note(what, format!("{dir} can be written, but lies in memory: it is gone at the next boot"))
                    .advice("measurements are then made anew at each boot; raspi-config switches the overlay file system off")
            }
            (None, true) => Finding::ok(what, format!("{dir} can be written")),
            (None, false) => {
                Finding::note(what, format!("{dir} cannot be written by this user; the service has its own"))
            }
        },
    }
}

fn room([free, all]: [u64; 2], facts: &Facts) -> Finding {
    let used_percent = 100 - (free.saturating_mul(100) / all.max(1)).min(100);
    let at = facts.mount.as_ref().map(|m| format!(" at {}", m.at.display())).unwrap_or_default();
    let text = format!("{} of {} MiB free{at}, {used_percent} % used", free >> 20, all >> 20);
    let clean = |finding: Finding| {
        finding
            .command("sudo apt clean && sudo journalctl --vacuum-size=50M")
            .command("sudo du -xh / | sort -h | tail -n 20")
    };
    if free < LITTLE_BYTES / 10 {
        return clean(Finding::trouble("space", text));
    }
    if free < LITTLE_BYTES || used_percent >= FULL_PERCENT {
        return clean(Finding::warning("space", text));
    }
    Finding::ok("space", text)
}

fn wear(disk: &Disk) -> Finding {
    let name = &disk.name;
    if disk.kind == "SD" {
        return Finding::note("wear", format!("{name} is an SD card, and those do not tell how worn they are"))
            .advice("a faulty card shows as errors of the file system; keep a copy of what matters");
    }
    let replace = "save what matters and replace it";
    match (disk.pre_eol, disk.life_time) {
        (Some(3), _) => {
            Finding::trouble("wear", format!("{name}: over 90 % of the spare blocks are used up")).advice(replace)
        }
        (Some(2), _) => {
            Finding::warning("wear", format!("{name}: over 80 % of the spare blocks are used up")).advice(replace)
        }
        (_, Some(life)) if life.iter().any(|step| *step > 0) => {
            let most = life.into_iter().max().unwrap_or(0);
            match most {
                11.. => {
                    Finding::trouble("wear", format!("{name}: over 100 % of its expected life is used")).advice(replace)
                }
                9 | 10 => Finding::warning(
                    "wear",
                    format!("{name}: {} to {} % of its expected life is used", (most - 1) * 10, most * 10),
                )
                .advice(replace),
                _ => Finding::ok(
                    "wear",
                    format!("{name}: {} to {} % of its expected life is used", (most - 1) * 10, most * 10),
                ),
            }
        }
        _ if name.starts_with("nvme") => Finding::note("wear", format!("{name} tells it to smartmontools"))
            .command(format!("sudo smartctl -A /dev/{name}")),
        _ => Finding::note("wear", format!("{name} does not tell how worn it is")),
    }
}

fn written(facts: &Facts) -> Option<Finding> {
    let disk = facts.disk.as_ref()?;
    let (bytes, uptime_s) = (disk.written_bytes?, facts.uptime_s?);
    let name = &disk.name;
    if uptime_s < LEAST_UPTIME_S {
        return Some(Finding::ok("written", format!("{} MiB to {name} since boot", bytes >> 20)));
    }
    let per_day = (bytes as f64 * 86_400.0 / uptime_s) as u64;
    let text = format!("{} MiB to {name} since boot, {} MiB a day", bytes >> 20, per_day >> 20);
    let card = disk.kind == "SD" || disk.kind == "MMC";
    Some(match card && per_day > MUCH_BYTES_PER_DAY {
        true => Finding::warning("written", format!("{text}: that wears out a card within a few years"))
            .advice("leptond itself writes next to nothing; see which program it is:")
            .command("sudo apt install iotop && sudo iotop -obaP -n 5"),
        false => Finding::ok("written", text),
    })
}

#[cfg(test)]
mod tests;
