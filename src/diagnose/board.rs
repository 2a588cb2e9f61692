//! The board: supply, heat, the kernel's own counters, memory, other programs.

use std::path::PathBuf;

use super::Level;
use super::machine::Machine;
use super::survey::{Report, Waiting};
use crate::sys::proc::Memory;
use leptond_governor as governor;

/// Below this share of the memory the kernel begins to take from programs what they still need.
const SHORT_PERCENT: f64 = 10.0;
/// A swap that is used more than this is read and written all the time.
const SWAPPED_PERCENT: f64 = 50.0;
/// Others that take more than this leave too little.
const BUSY_PERCENT: f32 = 75.0;
/// Temperatures that a processor can have.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<f32> = -30.0..=125.0;
/// Bit 0 of the firmware's words is the supply (`before()` names it so too).
pub const SUPPLY: &str = "supply voltage too low";

/// Facts about the board.
pub struct Facts<'a> {
    /// As `probe` gathers it.
    pub report: &'a Report,
    /// The temperatures that the governor keeps.
    pub limits: &'a governor::Config,
    /// Command line of the running kernel.
    pub cmdline: String,
    /// The file that it will be told from at the next boot, with its text.
    pub boot_cmdline: Option<(&'static str, String)>,
    /// Memory can be counted and limited per service; `None` where nothing says so.
    pub memory_controller: Option<bool>,
    /// Memory and swap.
    pub memory: Option<Memory>,
    /// Processes that the kernel killed since boot because there was no memory left.
    pub oom_kills: Option<u64>,
    /// CPU use of the running daemon, in percent of the machine.
    pub daemon_cpu_percent: Option<f32>,
    /// The history of throttling is there for root only.
    pub ask_root: bool,
}

/// Reads it.
pub fn gather<'a>(
    machine: &Machine,
    report: &'a Report,
    limits: &'a governor::Config,
    daemon_cpu_percent: Option<f32>,
) -> Facts<'a> {
    let boot = machine.boot_cmdline().and_then(|file| Some((file, machine.text(file)?)));
    let vcio: PathBuf = machine.roots.dev.join("vcio");
    Facts {
        report,
        limits,
        cmdline: machine.text("/proc/cmdline").unwrap_or_default(),
        boot_cmdline: boot,
        memory_controller: memory_controller(machine),
        memory: Memory::read(&machine.roots, &mut String::new()).ok(),
        oom_kills: machine.text("/proc/vmstat").and_then(|text| oom_kills(&text)),
        daemon_cpu_percent,
        ask_root: machine.is_here() && vcio.exists() && !rustix::process::geteuid().is_root(),
    }
}

fn memory_controller(machine: &Machine) -> Option<bool> {
    if let Some(unified) = machine.text("/sys/fs/cgroup/cgroup.controllers") {
        return Some(unified.split_ascii_whitespace().any(|c| c == "memory"));
    }
    let hierarchies = machine.text("/proc/cgroups")?;
    let line = hierarchies.lines().find(|line| line.starts_with("memory"))?;
    line.split_ascii_whitespace().nth(3).map(|enabled| enabled == "1")
}

fn oom_kills(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// A finding about the board.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum Finding {
    /// The supply voltage is too low now.
    SupplyLow(FirmwareWord),
    /// The supply voltage was too low.
    SupplyWasLow(FirmwareWord),
    /// The supply voltage is and was as it should be; `ask_root`: root sees a longer history.
    SupplyGood { word: FirmwareWord, ask_root: bool },
    /// A Raspberry Pi's throttle flags cannot be read.
    SupplyUnread,
    /// The board does not measure its supply.
    SupplyUnmeasured,
    /// No sensor, or none that can be chosen for the reason given.
    TemperatureUnknown { why: String },
    /// The sensor gives a value that is none of a processor.
    TemperatureImpossible { celsius: f32, sensor: String },
    /// At or above the limit.
    TemperatureAtLimit { celsius: f32, limit_celsius: f32, sensor: String },
    /// Above the temperature that the governor keeps, below the limit.
    TemperatureAboveKept { celsius: f32, kept_celsius: f32, sensor: String },
    /// Below the temperature that the governor keeps.
    TemperatureGood { celsius: f32, kept_celsius: f32, sensor: String },
    /// The clock is lowered now; `soft`: by the soft limit alone, as the board is meant to run.
    ClockLowered { reasons: Vec<&'static str>, soft: bool, by_supply: bool, mhz: Option<[f32; 2]>, word: FirmwareWord },
    /// The clock was lowered.
    ClockWasLowered { reasons: Vec<&'static str>, soft: bool, word: FirmwareWord },
    /// The clock is as high as it can be; `mhz` is `[now, most]`.
    ClockFull { mhz: Option<[f32; 2]> },
    /// Nothing on the board tells of a lowered clock.
    ClockUnknown { mhz: Option<[f32; 2]> },
    /// Share of the last 10 s in which tasks waited, by resource.
    Pressure(Vec<(&'static str, f64)>),
    /// The kernel lacks pressure stall information.
    PressureNotBuilt,
    /// Pressure stall information is off.
    PressureOff(KernelWord),
    /// Memory is counted and limited per service.
    CgroupOn,
    /// No cgroups are seen.
    CgroupUnseen,
    /// Off although the kernel was told to count memory.
    CgroupRefused { raspberry_pi: bool },
    /// Off; the word switches it on.
    CgroupOff { raspberry_pi: bool, word: KernelWord },
    /// The kernel does not tell its memory.
    MemoryUnknown,
    /// Little memory is available.
    MemoryShort { available_bytes: u64, total_bytes: u64 },
    /// Enough memory is available.
    MemoryGood { available_bytes: u64, total_bytes: u64 },
    /// Used share of the swap; `heavy`: it is read and written all the time.
    Swap { used_percent: f64, total_bytes: u64, heavy: bool },
    /// Processes that the kernel killed for want of memory.
    Killed { count: u64 },
    /// CPU use of other programs and of the daemon, in percent of the machine; `busy`: too little is left.
    Cpu { others_percent: f32, own_percent: Option<f32>, busy: bool },
}

/// The firmware's word about throttling, and the time that its history covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirmwareWord {
    /// The word, where the board has one.
    pub word: Option<u32>,
    /// The history goes back to the boot; else over the last seconds.
    pub since_boot: bool,
}

/// The way by which a word gets on the kernel's command line at the next boot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum KernelWord {
    /// It is in the file already.
    Written { file: &'static str, word: &'static str },
    /// It is to be appended to the file.
    Append { file: &'static str, word: &'static str },
    /// The boot loader is no Raspberry Pi's.
    BootLoader { word: &'static str },
}

impl Finding {
    /// Severity.
    pub fn level(&self) -> Level {
        match self {
            Finding::SupplyLow(_) | Finding::TemperatureAtLimit { .. } | Finding::ClockLowered { soft: false, .. } => {
                Level::Trouble
            }
            Finding::SupplyWasLow(_)
            | Finding::TemperatureImpossible { .. }
            | Finding::TemperatureAboveKept { .. }
            | Finding::ClockWasLowered { soft: false, .. }
            | Finding::PressureOff(_)
            | Finding::CgroupRefused { .. }
            | Finding::CgroupOff { .. }
            | Finding::MemoryShort { .. }
            | Finding::Swap { heavy: true, .. }
            | Finding::Killed { .. }
            | Finding::Cpu { busy: true, .. } => Level::Warning,
            Finding::SupplyUnread
            | Finding::TemperatureUnknown { .. }
            | Finding::ClockUnknown { .. }
            | Finding::CgroupUnseen
            | Finding::MemoryUnknown => Level::Unknown,
            Finding::SupplyUnmeasured
            | Finding::ClockLowered { soft: true, .. }
            | Finding::ClockWasLowered { soft: true, .. }
            | Finding::PressureNotBuilt => Level::Note,
            Finding::SupplyGood { .. }
            | Finding::TemperatureGood { .. }
            | Finding::ClockFull { .. }
            | Finding::Pressure(_)
            | Finding::CgroupOn
            | Finding::MemoryGood { .. }
            | Finding::Swap { heavy: false, .. }
            | Finding::Cpu { busy: false, .. } => Level::Ok,
        }
    }
}

/// The findings that the facts give.
pub fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    let mut all = vec![supply(facts), temperature(facts), clock(facts), pressure(facts), cgroup(facts)];
    all.extend(memory(facts));
    all.extend(others(facts));
    all
}

fn firmware_word(facts: &Facts<'_>) -> FirmwareWord {
    FirmwareWord { word: facts.report.throttle.word, since_boot: facts.report.throttle.since_boot }
}

fn supply(facts: &Facts<'_>) -> Finding {
    let report = facts.report;
    let before = report.throttle.before().contains(&SUPPLY);
    let word = firmware_word(facts);
    match (report.reading.under_voltage, before) {
        (Some(true), _) => Finding::SupplyLow(word),
        (Some(false), true) => Finding::SupplyWasLow(word),
        (Some(false), false) => Finding::SupplyGood { word, ask_root: facts.ask_root && !word.since_boot },
        (None, _) if report.board.is_raspberry_pi() => Finding::SupplyUnread,
        (None, _) => Finding::SupplyUnmeasured,
    }
}

fn temperature(facts: &Facts<'_>) -> Finding {
    let governor::Config { limit_celsius, margin_celsius, .. } = *facts.limits;
    let choice = facts.report.soc_choice.clone();
    let Some(celsius) = facts.report.reading.soc_celsius else {
        return Finding::TemperatureUnknown { why: choice };
    };
    let sensor = match (facts.report.soc_sensors.join(", "), choice.as_str()) {
        (sensor, "") => sensor,
        (sensor, why) => format!("{sensor}: {why}"),
    };
    let kept_celsius = limit_celsius - margin_celsius;
    if !PLAUSIBLE_CELSIUS.contains(&celsius) {
        Finding::TemperatureImpossible { celsius, sensor }
    } else if celsius >= limit_celsius {
        Finding::TemperatureAtLimit { celsius, limit_celsius, sensor }
    } else if celsius >= kept_celsius {
        Finding::TemperatureAboveKept { celsius, kept_celsius, sensor }
    } else {
        Finding::TemperatureGood { celsius, kept_celsius, sensor }
    }
}

fn clock(facts: &Facts<'_>) -> Finding {
    let report = facts.report;
    let not_supply = |words: &[&'static str]| words.iter().copied().filter(|w| *w != SUPPLY).collect::<Vec<_>>();
    let (now, before) = (not_supply(&report.throttle.now()), not_supply(&report.throttle.before()));
    // The soft limit is how a 3B+ is meant to run above 60 °C.
    let only_soft = |words: &[&str]| words.iter().all(|w| *w == "soft temperature limit");
    let mhz = report.reading.clock_mhz.zip(report.board.max_mhz).map(|(now, most)| [now, most]);
    let word = firmware_word(facts);
    if !now.is_empty() {
        let by_supply = report.reading.under_voltage == Some(true);
        Finding::ClockLowered { soft: only_soft(&now), reasons: now, by_supply, mhz, word }
    } else if !before.is_empty() {
        Finding::ClockWasLowered { soft: only_soft(&before), reasons: before, word }
    } else if report.throttle_known {
        Finding::ClockFull { mhz }
    } else {
        Finding::ClockUnknown { mhz }
    }
}

/// The way of `word` to the kernel at the next boot.
fn kernel_word(facts: &Facts<'_>, word: &'static str) -> KernelWord {
    match &facts.boot_cmdline {
        Some((file, text)) if text.split_ascii_whitespace().any(|w| w == word) => KernelWord::Written { file, word },
        Some((file, _)) => KernelWord::Append { file, word },
        None if facts.report.board.is_raspberry_pi() => KernelWord::Append { file: "/boot/firmware/cmdline.txt", word },
        None => KernelWord::BootLoader { word },
    }
}

fn was_told(facts: &Facts<'_>, word: &str) -> bool {
    facts.cmdline.split_ascii_whitespace().any(|w| w == word)
}

fn pressure(facts: &Facts<'_>) -> Finding {
    let known = |(resource, waiting): (&&'static str, &Waiting)| match waiting {
        Waiting::Known { avg10_percent } => Some((*resource, *avg10_percent)),
        Waiting::Unknown { .. } => None,
    };
    // One resource that is not told stands for all of them.
    match facts.report.pressure.iter().map(known).collect::<Option<Vec<_>>>() {
        Some(values) => Finding::Pressure(values),
        None if was_told(facts, "psi=1") => Finding::PressureNotBuilt,
        None => Finding::PressureOff(kernel_word(facts, "psi=1")),
    }
}

fn cgroup(facts: &Facts<'_>) -> Finding {
    let raspberry_pi = facts.report.board.is_raspberry_pi();
    let word = "cgroup_enable=memory";
    match facts.memory_controller {
        Some(true) => Finding::CgroupOn,
        None => Finding::CgroupUnseen,
        Some(false) if was_told(facts, word) => Finding::CgroupRefused { raspberry_pi },
        Some(false) => Finding::CgroupOff { raspberry_pi, word: kernel_word(facts, word) },
    }
}

fn memory(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(memory) = facts.memory else { return vec![Finding::MemoryUnknown] };
    let Memory { available_bytes, total_bytes, .. } = memory;
    let available_percent = available_bytes as f64 * 100.0 / total_bytes.max(1) as f64;
    let mut all = vec![match available_percent < SHORT_PERCENT {
        true => Finding::MemoryShort { available_bytes, total_bytes },
        false => Finding::MemoryGood { available_bytes, total_bytes },
    }];
    all.extend(memory.swap_used_percent().map(|used_percent| Finding::Swap {
        used_percent,
        total_bytes: memory.swap_total_bytes,
        heavy: used_percent > SWAPPED_PERCENT,
    }));
    all.extend(facts.oom_kills.filter(|count| *count > 0).map(|count| Finding::Killed { count }));
    all
}

fn others(facts: &Facts<'_>) -> Option<Finding> {
    let all = facts.report.reading.cpu_percent?;
    let own_percent = facts.daemon_cpu_percent;
    let others_percent = (all - own_percent.unwrap_or(0.0)).max(0.0);
    Some(Finding::Cpu { others_percent, own_percent, busy: others_percent > BUSY_PERCENT })
}

#[cfg(test)]
mod tests;
