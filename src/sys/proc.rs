//! Readers of `/proc`: each file has a pure parser and a reader with an injectable root.
//!
//! Formats are those of `proc(5)` and the kernel's `Documentation/accounting/psi.rst`. Counters are returned raw; [`Counter`]
//! turns two readings into a difference that survives wrap-around and resets.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::Roots;

/// A file below `/proc` or `/sys` could not be read or parsed.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// Description of the error.
    pub reason: String,
    /// The file does not exist (a kernel option that is not built in, a removed device).
    pub missing: bool,
}

impl ReadError {
    /// Error of reading `path`. `ENODEV` and `ENXIO` mean a device that was removed during the read.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        let gone = [rustix::io::Errno::NODEV, rustix::io::Errno::NXIO].map(|e| Some(e.raw_os_error()));
        let missing = error.kind() == std::io::ErrorKind::NotFound || gone.contains(&error.raw_os_error());
        ReadError { path: path.into(), reason: error.to_string(), missing }
    }

    fn form(path: &Path, reason: impl Into<String>) -> Self {
        ReadError { path: path.into(), reason: reason.into(), missing: false }
    }
}

/// Read limit; no file below `/proc` or `/sys` that is read here is larger.
const MOST_BYTES: u64 = 4 << 20;

/// Reads a small text file into `buffer`; invalid UTF-8 becomes the replacement character.
///
/// # Errors
/// [`ReadError`] naming `path`.
pub fn read_text(path: &Path, buffer: &mut String) -> Result<(), ReadError> {
    let mut bytes = std::mem::take(buffer).into_bytes();
    bytes.clear();
    // A copy of another machine's files may hold a FIFO, and some files of the kernel block until an event.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let read = opened.and_then(|f| f.take(MOST_BYTES).read_to_end(&mut bytes));
    *buffer = String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    read.map(drop).map_err(|e| ReadError::io(path, &e))
}

/// CPU time since start in ticks (`USER_HZ`, 1/100 s).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CpuTimes {
    /// Everything except idle and waiting for I/O; time stolen by a hypervisor counts as busy, since it is unavailable.
    pub busy: u64,
    /// Everything.
    pub total: u64,
}

impl CpuTimes {
    /// Busy share of the time since `before` in percent; `None` when no tick has passed or the counters were reset. Idle time may
    /// run backwards by a tick, so the result is clamped.
    pub fn percent_since(self, before: CpuTimes) -> Option<f64> {
        let total = self.total.checked_sub(before.total).filter(|&t| t > 0)?;
        Some((self.busy.saturating_sub(before.busy) as f64 * 100.0 / total as f64).min(100.0))
    }
}

/// `/proc/stat`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Stat {
    /// All CPUs together.
    pub cpu: CpuTimes,
    /// Number and times of each on-line CPU.
    pub cores: Vec<(u32, CpuTimes)>,
    /// Context switches since start.
    pub context_switches: u64,
    /// Processes and threads created since start.
    pub forks: u64,
}

impl Stat {
    /// Parses `/proc/stat` into `self`; `None` without a `cpu` line.
    pub fn parse(&mut self, text: &str) -> Option<()> {
        self.cores.clear();
        let mut all = None;
        for line in text.lines() {
            let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
            if let Some(number) = key.strip_prefix("cpu") {
                // user nice system idle iowait irq softirq steal guest guest_nice; guest time is in user already.
                let mut field = rest.split_ascii_whitespace().map(|f| f.parse::<u64>().unwrap_or(0));
                let mut times = CpuTimes::default();
                for (i, ticks) in field.by_ref().take(8).enumerate() {
                    times.total = times.total.saturating_add(ticks);
                    if i != 3 && i != 4 {
                        times.busy = times.busy.saturating_add(ticks);
                    }
                }
                if number.is_empty() {
                    all = Some(times);
                } else if let Ok(number) = number.parse() {
                    self.cores.push((number, times));
                }
            } else if key == "ctxt" {
                self.context_switches = rest.trim().parse().unwrap_or(0);
            } else if key == "processes" {
                self.forks = rest.trim().parse().unwrap_or(0);
            }
        }
        self.cpu = all?;
        Some(())
    }

    /// Reads `/proc/stat` into `self`, through `buffer`.
    ///
    /// # Errors
    /// [`ReadError`] when the file is missing or has no `cpu` line.
    pub fn read(&mut self, roots: &Roots, buffer: &mut String) -> Result<(), ReadError> {
        let path = roots.proc.join("stat");
        read_text(&path, buffer)?;
        self.parse(buffer).ok_or_else(|| ReadError::form(&path, "no cpu line"))
    }
}

/// Bytes that the calling thread has caused to be written to disk since it began; `None` where the kernel does not count them. What a file
/// system writes to its own journal is not among them.
pub fn thread_written_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes:")?.trim().parse().ok())
}

/// User and system ticks of a process and of its children that were waited for (fields 14 to 17 of `/proc/<pid>/stat`,
/// `proc_pid_stat(5)`), through `buffer`; `None` when it has ended.
pub fn process_ticks(stat: &Path, buffer: &mut String) -> Option<u64> {
    read_text(stat, buffer).ok()?;
    // The second field is the program's name in parentheses and may hold any character.
    let (_, rest) = buffer.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11).map(|f| f.parse::<u64>().ok());
    (0..4).try_fold(0_u64, |sum, _| Some(sum.saturating_add(fields.next()??)))
}

/// `/proc/meminfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Memory {
    /// Total memory.
    pub total_bytes: u64,
    /// Memory available without swapping.
    pub available_bytes: u64,
    /// Swap space; 0 = none.
    pub swap_total_bytes: u64,
    /// Free swap space.
    pub swap_free_bytes: u64,
}

impl Memory {
    /// Parses `/proc/meminfo`; `None` without a total. Kernels before 3.14 have no `MemAvailable`: free, buffers and cache stand
    /// in for it.
    pub fn parse(text: &str) -> Option<Memory> {
        let mut memory = Memory::default();
        let (mut available, mut reclaimable) = (None, 0u64);
        for line in text.lines() {
            let Some((key, rest)) = line.split_once(':') else { continue };
            let Some(kib) = rest.split_ascii_whitespace().next().and_then(|v| v.parse::<u64>().ok()) else { continue };
            let bytes = kib.saturating_mul(1024);
            match key {
                "MemTotal" => memory.total_bytes = bytes,
                "MemAvailable" => available = Some(bytes),
                "MemFree" | "Buffers" | "Cached" => reclaimable = reclaimable.saturating_add(bytes),
                "SwapTotal" => memory.swap_total_bytes = bytes,
                "SwapFree" => memory.swap_free_bytes = bytes,
                _ => {}
            }
        }
        memory.available_bytes = available.unwrap_or(reclaimable).min(memory.total_bytes);
        (memory.total_bytes > 0).then_some(memory)
    }

    /// Reads `/proc/meminfo`, through `buffer`.
    ///
    /// # Errors
    /// [`ReadError`] when the file is missing or has no total.
    pub fn read(roots: &Roots, buffer: &mut String) -> Result<Memory, ReadError> {
        let path = roots.proc.join("meminfo");
        read_text(&path, buffer)?;
        Memory::parse(buffer).ok_or_else(|| ReadError::form(&path, "no MemTotal"))
    }

    /// Used share (total less available) in percent.
    pub fn used_percent(&self) -> f64 {
        100.0 - self.available_bytes as f64 * 100.0 / self.total_bytes.max(1) as f64
    }

    /// Used share of the swap space in percent; `None` without swap.
    pub fn swap_used_percent(&self) -> Option<f64> {
        (self.swap_total_bytes > 0).then(|| {
            100.0 - self.swap_free_bytes.min(self.swap_total_bytes) as f64 * 100.0 / self.swap_total_bytes as f64
        })
    }
}

/// `/proc/loadavg`: runnable and uninterruptible tasks, averaged over 1, 5 and 15 minutes.
///
/// # Errors
/// [`ReadError`] when the file is missing or does not hold three numbers.
pub fn load_average(roots: &Roots, buffer: &mut String) -> Result<[f64; 3], ReadError> {
    let path = roots.proc.join("loadavg");
    read_text(&path, buffer)?;
    parse_load_average(buffer).ok_or_else(|| ReadError::form(&path, "not three numbers"))
}

/// Parses the text of `/proc/loadavg`.
pub fn parse_load_average(text: &str) -> Option<[f64; 3]> {
    let mut fields = text.split_ascii_whitespace().map(|f| f.parse::<f64>().ok().filter(|v| v.is_finite()));
    Some([fields.next()??, fields.next()??, fields.next()??])
}

/// A resource with pressure stall information (PSI).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Tasks waiting for a CPU.
    Cpu,
    /// Tasks waiting for memory.
    Memory,
    /// Tasks waiting for I/O.
    Io,
}

impl Resource {
    /// Name under `/proc/pressure`.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Cpu => "cpu",
            Resource::Memory => "memory",
            Resource::Io => "io",
        }
    }
}

/// The `some` line of `/proc/pressure/*`: at least one task was waiting.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Pressure {
    /// Share of the last 10 s in percent.
    pub avg10_percent: f64,
    /// Waiting time since start in µs.
    pub total_us: u64,
}

impl Pressure {
    /// Parses a pressure file; `None` without a `some` line.
    pub fn parse(text: &str) -> Option<Pressure> {
        let line = text.lines().find_map(|l| l.strip_prefix("some "))?;
        let field = |key: &str| line.split_ascii_whitespace().find_map(|f| f.strip_prefix(key)?.strip_prefix('='));
        Some(Pressure { avg10_percent: field("avg10")?.parse().ok()?, total_us: field("total")?.parse().ok()? })
    }

    /// Reads `/proc/pressure/<resource>`, through `buffer`.
    ///
    /// # Errors
    /// [`ReadError`], `missing` on kernels without PSI. Raspberry Pi OS builds it but leaves it off; reading then fails with
    /// `EOPNOTSUPP`, which counts as missing too.
    pub fn read(roots: &Roots, resource: Resource, buffer: &mut String) -> Result<Pressure, ReadError> {
        let path = roots.proc.join("pressure").join(resource.name());
        read_text(&path, buffer).map_err(|e| ReadError { missing: true, ..e })?;
        Pressure::parse(buffer).ok_or_else(|| ReadError::form(&path, "no some line"))
    }
}

/// Traffic of one device since it appeared: bytes of a network interface, sectors of [`SECTOR_BYTES`] of a disk (as the kernel
/// counts them, so that a [`Counter`] sees where they wrap).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// `eth0`, `mmcblk0`.
    pub name: String,
    /// Received or read.
    pub read: u64,
    /// Sent or written.
    pub written: u64,
}

/// Bytes in a sector of `/proc/diskstats`, independent of the disk's own sector size.
pub const SECTOR_BYTES: u64 = 512;

/// Interfaces of `/proc/net/dev` with a wire or radio: without the loopback and without those that see the same packets again
/// (bridges, container ends, mirrors).
///
/// # Errors
/// [`ReadError`] when the file is missing.
pub fn network(roots: &Roots, buffer: &mut String, out: &mut Vec<Moved>) -> Result<(), ReadError> {
    read_text(&roots.proc.join("net/dev"), buffer)?;
    parse_network(buffer, out);
    Ok(())
}

/// Parses `/proc/net/dev` into `out`.
pub fn parse_network(text: &str, out: &mut Vec<Moved>) {
    const SECOND_HAND: [&str; 9] = ["ifb", "veth", "docker", "br-", "virbr", "dummy", "vnet", "bond", "team"];
    out.clear();
    for line in text.lines() {
        let Some((name, rest)) = line.rsplit_once(':') else { continue };
        let name = name.trim();
        if name == "lo" || SECOND_HAND.iter().any(|p| name.starts_with(p)) {
            continue;
        }
        let mut fields = rest.split_ascii_whitespace().map(|f| f.parse::<u64>().ok());
        if let (Some(Some(read)), Some(Some(written))) = (fields.next(), fields.nth(7)) {
            out.push(Moved { name: name.into(), read, written });
        }
    }
}

/// Whole disks of `/proc/diskstats`: no partitions, no RAM or loop devices, nothing layered on other disks.
///
/// # Errors
/// [`ReadError`] when the file is missing.
pub fn disks(roots: &Roots, buffer: &mut String, out: &mut Vec<Moved>) -> Result<(), ReadError> {
    read_text(&roots.proc.join("diskstats"), buffer)?;
    parse_disks(buffer, out);
    Ok(())
}

/// Parses `/proc/diskstats` into `out`.
pub fn parse_disks(text: &str, out: &mut Vec<Moved>) {
    const LAYERED: [&str; 8] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "drbd"];
    out.clear();
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let Some(name) = fields.nth(2) else { continue };
        let mut number = fields.map(|f| f.parse::<u64>().ok());
        let (Some(Some(read)), Some(Some(written))) = (number.nth(2), number.nth(3)) else { continue };
        if LAYERED.iter().any(|p| name.starts_with(p)) || out.iter().any(|disk| is_partition(name, &disk.name)) {
            continue;
        }
        out.push(Moved { name: name.into(), read, written });
    }
}

/// `true` for `sda1` of `sda` and `mmcblk0p2` of `mmcblk0`; the kernel lists a disk before its partitions.
fn is_partition(name: &str, disk: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else { return false };
    let number = if disk.ends_with(|c: char| c.is_ascii_digit()) { rest.strip_prefix('p') } else { Some(rest) };
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The last reading of a counter that grows until it wraps or its device restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counter {
    last: Option<u64>,
}

impl Counter {
    /// Increase since the last reading; `None` at the first reading and after a reset.
    ///
    /// A smaller value is a wrap at 2³² when the old one was close below that (32-bit kernels count disk sectors so), and a reset
    /// otherwise.
    pub fn advance(&mut self, now: u64) -> Option<u64> {
        let last = self.last.replace(now)?;
        let wrap = 1u64 << 32;
        match now.checked_sub(last) {
            Some(added) => Some(added),
            None if last < wrap && last - now > wrap / 2 => Some(now + (wrap - last)),
            None => None,
        }
    }

    /// Forgets the last reading, after the removal of the device.
    pub fn forget(&mut self) {
        self.last = None;
    }
}

/// `true` when a seccomp filter of a service manager or container applies to this process.
pub fn seccomp_filtered() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

#[cfg(test)]
mod tests;
