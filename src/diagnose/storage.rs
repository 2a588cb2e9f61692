//! The disk that state is kept on: permission, room and wear.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Level;
use super::machine::Machine;
use crate::config::NodeConfig;
use crate::sys::proc::SECTOR_BYTES;

/// `StateDirectory=` of the unit.
pub const SERVICE_STATE: &str = "/var/lib/leptond";
/// Less room than this is soon none: journal and package upgrades need more.
const LITTLE_BYTES: u64 = 200 << 20;
/// A card that is this full wears faster, since fewer free blocks take turns.
const FULL_PERCENT: u64 = 95;
/// More than this a day wears out a card of 32 GB within a few years (some hundred to a thousand writes of each cell).
const MUCH_BYTES_PER_DAY: u64 = 10 << 30;
/// Before this much time what was written at boot counts for too much.
const LEAST_UPTIME_S: f64 = 3600.0;

/// Facts about the directory and its disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// As configured.
    pub dir: PathBuf,
    /// It is a directory; `None` for one that this user may not see.
    pub exists: Option<bool>,
    /// This user could write there.
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
    /// Its mount point.
    pub at: PathBuf,
    /// `ext4`.
    pub kind: String,
    /// It is mounted read-only.
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

/// The directory of the state: the one that the configuration names, else the service's own, else that of a run by hand.
pub fn directory(node: &NodeConfig, of_service: bool) -> Option<PathBuf> {
    let of_unit = || Some(PathBuf::from(SERVICE_STATE)).filter(|dir| of_service && dir.is_dir());
    Some(node.state_dir.clone()).filter(|dir| !dir.as_os_str().is_empty()).or_else(of_unit).or_else(|| node.state_dir())
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

/// A finding about storage.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum Finding {
    /// The directory of the state.
    StateDir { dir: PathBuf, state: StateDir },
    /// Room on its file system.
    Space { free_bytes: u64, all_bytes: u64, used_percent: u64, at: Option<PathBuf> },
    /// Errors that ext4 has counted.
    Ext4Errors { device: String, count: u64 },
    /// Wear of the disk.
    Wear { disk: String, wear: Wear },
    /// Bytes written since boot, and in a day at that rate once it is known; `much`: a card does not last years.
    Written { disk: String, bytes: u64, bytes_per_day: Option<u64>, much: bool },
}

/// State of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum StateDir {
    /// Its file system is mounted read-only.
    ReadOnly { device: String, at: PathBuf },
    /// This user may not see it.
    Hidden,
    /// It is made at the first start.
    ToBeMade,
    /// It is not there, and this user may not make it.
    Absent,
    /// It belongs to the user of this number, and not to the service's.
    Foreign { owner: u32 },
    /// It lies in memory.
    InMemory,
    /// It can be written.
    Writable,
    /// This user may not write there.
    NotByThisUser,
}

/// Wear of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum Wear {
    /// SD cards do not tell.
    SdCard,
    /// Share of the spare blocks that is used up, in percent: 80 or 90.
    SpareBlocks { over_percent: u8 },
    /// All of the expected life is used.
    LifeOver,
    /// Used share of the expected life in percent, from and to.
    Life { from_percent: u8, to_percent: u8 },
    /// NVMe disks tell it to smartmontools.
    Nvme,
    /// The disk does not tell.
    Unknown,
}

impl Finding {
    /// Severity.
    pub fn level(&self) -> Level {
        match self {
            Finding::StateDir { state, .. } => match state {
                StateDir::ReadOnly { .. } | StateDir::Foreign { .. } => Level::Trouble,
                StateDir::Absent => Level::Warning,
                StateDir::Hidden => Level::Unknown,
                StateDir::ToBeMade | StateDir::InMemory | StateDir::NotByThisUser => Level::Note,
                StateDir::Writable => Level::Ok,
            },
            Finding::Space { free_bytes, .. } if *free_bytes < LITTLE_BYTES / 10 => Level::Trouble,
            Finding::Space { free_bytes, used_percent, .. }
                if *free_bytes < LITTLE_BYTES || *used_percent >= FULL_PERCENT =>
            {
                Level::Warning
            }
            Finding::Ext4Errors { count, .. } if *count > 0 => Level::Trouble,
            Finding::Wear { wear, .. } => match wear {
                Wear::SpareBlocks { over_percent: 90.. } | Wear::LifeOver => Level::Trouble,
                Wear::SpareBlocks { .. } | Wear::Life { from_percent: 80.., .. } => Level::Warning,
                Wear::SdCard | Wear::Nvme | Wear::Unknown => Level::Note,
                Wear::Life { .. } => Level::Ok,
            },
            Finding::Written { much: true, .. } => Level::Warning,
            Finding::Space { .. } | Finding::Ext4Errors { .. } | Finding::Written { .. } => Level::Ok,
        }
    }
}

/// The findings that the facts give.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut all = vec![Finding::StateDir { dir: facts.dir.clone(), state: state_dir(facts) }];
    all.extend(facts.space.map(|[free_bytes, all_bytes]| Finding::Space {
        free_bytes,
        all_bytes,
        used_percent: 100 - (free_bytes.saturating_mul(100) / all_bytes.max(1)).min(100),
        at: facts.mount.as_ref().map(|mount| mount.at.clone()),
    }));
    let device = facts.mount.as_ref().map(|mount| mount.device.clone()).unwrap_or_default();
    all.extend(facts.ext4_errors.map(|count| Finding::Ext4Errors { device, count }));
    all.extend(facts.disk.iter().map(|disk| Finding::Wear { disk: disk.name.clone(), wear: wear(disk) }));
    all.extend(written(facts));
    all
}

fn state_dir(facts: &Facts) -> StateDir {
    let mount = facts.mount.as_ref();
    match (facts.exists, facts.writable) {
        _ if mount.is_some_and(|mount| mount.read_only) => StateDir::ReadOnly {
            device: mount.map(|mount| mount.device.clone()).unwrap_or_default(),
            at: mount.map(|mount| mount.at.clone()).unwrap_or_default(),
        },
        (None, _) => StateDir::Hidden,
        (Some(false), true) => StateDir::ToBeMade,
        (Some(false), false) => StateDir::Absent,
        (Some(true), writable) => match facts.foreign_owner {
            Some(owner) => StateDir::Foreign { owner },
            None if !writable => StateDir::NotByThisUser,
            None if mount.is_some_and(|mount| ["overlay", "tmpfs"].contains(&mount.kind.as_str())) => {
                StateDir::InMemory
            }
            None => StateDir::Writable,
        },
    }
}

fn wear(disk: &Disk) -> Wear {
    let most = disk.life_time.map_or(0, |life| life.into_iter().max().unwrap_or(0));
    match (disk.pre_eol, most) {
        _ if disk.kind == "SD" => Wear::SdCard,
        (Some(3), _) => Wear::SpareBlocks { over_percent: 90 },
        (Some(2), _) => Wear::SpareBlocks { over_percent: 80 },
        (_, 11..) => Wear::LifeOver,
        (_, step @ 1..=10) => Wear::Life { from_percent: (step - 1) * 10, to_percent: step * 10 },
        _ if disk.name.starts_with("nvme") => Wear::Nvme,
        _ => Wear::Unknown,
    }
}

fn written(facts: &Facts) -> Option<Finding> {
    let disk = facts.disk.as_ref()?;
    let (bytes, uptime_s) = (disk.written_bytes?, facts.uptime_s?);
    let per_day = (uptime_s >= LEAST_UPTIME_S).then(|| (bytes as f64 * 86_400.0 / uptime_s) as u64);
    let card = disk.kind == "SD" || disk.kind == "MMC";
    let much = card && per_day.is_some_and(|per_day| per_day > MUCH_BYTES_PER_DAY);
    Some(Finding::Written { disk: disk.name.clone(), bytes, bytes_per_day: per_day, much })
}

#[cfg(test)]
mod tests;
