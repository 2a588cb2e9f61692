//! The board: supply, heat, what the kernel tells of itself, memory, other programs.

use std::path::PathBuf;

use super::super::probe::gather::{Report, Waiting};
use super::finding::Finding;
use super::machine::Machine;
use crate::sys::proc::Memory;
use leptond_governor as governor;

/// Below this share of the memory the kernel begins to take from programs what they still need.
const SHORT_PERCENT: f64 = 10.0;
/// A swap that is used more than this is read and written all the time.
const SWAPPED_PERCENT: f64 = 50.0;
/// Others that take more than this leave too little.
const BUSY_PERCENT: f32 = 75.0;
/// Bit 0 of the firmware's words is the supply (`before()` names it so too).
const SUPPLY: &str = "supply voltage too low";

/// What is known of the board.
pub struct Facts<'a> {
    /// As `probe` gathers it.
    pub report: &'a Report,
    /// The temperatures that the governor keeps.
    pub limits: &'a governor::Config,
    /// What the running kernel was told.
    pub cmdline: String,
    /// The file that it will be told from at the next boot, with its text.
    pub boot_cmdline: Option<(&'static str, String)>,
    /// Whether memory can be counted and limited per service; `None` where nothing says so.
    pub memory_controller: Option<bool>,
    /// Memory and swap.
    pub memory: Option<Memory>,
    /// Processes that the kernel killed since boot because there was no memory left.
    pub oom_kills: Option<u64>,
    /// What the running daemon takes, in percent of the machine.
    pub daemon_cpu_percent: Option<f32>,
    /// Whether the history of throttling is there for root only.
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

/// What to make of it.
pub fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    let mut all = vec![supply(facts), temperature(facts)];
    all.extend(clock(facts));
    all.push(pressure(facts));
    all.push(cgroup(facts));
    all.extend(memory(facts));
    all.extend(others(facts));
    all
}

/// `throttled=0x50005`, where the board has such a word.
fn word(facts: &Facts<'_>) -> String {
    facts.report.throttle.word.map(|word| format!(" (throttled=0x{word:x})")).unwrap_or_default()
}

/// Since when "before" counts, and what is left out by that.
fn since(facts: &Facts<'_>) -> &'static str {
    if facts.report.throttle.since_boot { "since boot" } else { "in the last seconds" }
}

fn supply(facts: &Facts<'_>) -> Finding {
    let better =
        "use the board's own supply and a short, thick cable; power USB devices that need much from a hub of their own";
    let report = facts.report;
    let before = report.throttle.before().contains(&SUPPLY);
    match (report.reading.under_voltage, before) {
        (Some(true), _) => {
            Finding::trouble("supply", format!("the voltage is too low now{}", word(facts))).advice(better)
        }
        (Some(false), true) => {
            Finding::warning("supply", format!("the voltage was too low {}{}", since(facts), word(facts)))
                .advice(better)
        }
        (Some(false), false) => {
            let text = format!("the voltage is as it should be, and was {}{}", since(facts), word(facts));
            let finding = Finding::ok("supply", text);
            if facts.ask_root && !report.throttle.since_boot {
                return finding.advice("root also sees what was since boot").command("sudo leptond doctor");
            }
            finding
        }
        (None, _) if report.board.is_raspberry_pi() => {
            Finding::unknown("supply", "the firmware's throttle flags cannot be read").command("vcgencmd get_throttled")
        }
        (None, _) => Finding::note("supply", "this board does not measure its supply"),
    }
}

fn temperature(facts: &Facts<'_>) -> Finding {
    let governor::Config { limit_celsius, margin_celsius, .. } = *facts.limits;
    let cooler = "a heat sink, a fan or a place out of the sun; until then leptond works less by itself";
    let Some(celsius) = facts.report.reading.soc_celsius else {
        let why = match facts.report.soc_choice.as_str() {
            "" => "no sensor tells it",
            why => why,
        };
        return Finding::unknown("temperature", format!("{why}; the governor works on load and deadlines alone"));
    };
    let sensor = match (facts.report.soc_sensors.join(", "), facts.report.soc_choice.as_str()) {
        (sensor, "") => sensor,
        (sensor, why) => format!("{sensor}: {why}"),
    };
    if !(-30.0..=125.0).contains(&celsius) {
        return Finding::warning("temperature", format!("{sensor} says {celsius:.1} °C, which cannot be"));
    }
    if celsius >= limit_celsius {
        let text = format!("{celsius:.1} °C, at or above the limit of {limit_celsius:.0} °C ({sensor})");
        return Finding::trouble("temperature", text).advice(cooler);
    }
    let kept = limit_celsius - margin_celsius;
    if celsius >= kept {
        let text = format!("{celsius:.1} °C, above the {kept:.0} °C that the governor keeps ({sensor})");
        return Finding::warning("temperature", text).advice(cooler);
    }
    Finding::ok("temperature", format!("{celsius:.1} °C, the governor keeps it below {kept:.0} °C ({sensor})"))
}

fn clock(facts: &Facts<'_>) -> Vec<Finding> {
    let report = facts.report;
    let mut all = Vec::new();
    let not_supply = |words: &[&'static str]| words.iter().copied().filter(|w| *w != SUPPLY).collect::<Vec<_>>();
    let (now, before) = (not_supply(&report.throttle.now()), not_supply(&report.throttle.before()));
    // The soft limit is how a 3B+ is meant to run above 60 °C.
    let only_soft = |words: &[&str]| words.iter().all(|w| *w == "soft temperature limit");
    let mhz = report.reading.clock_mhz.zip(report.board.max_mhz);
    let mhz = mhz.map(|(now, max)| format!(", {now:.0} of {max:.0} MHz")).unwrap_or_default();
    if !now.is_empty() {
        let text = format!("now: {}{mhz}{}", now.join(", "), word(facts));
        let by_supply = report.reading.under_voltage == Some(true);
        let why = if by_supply { "mend the supply first" } else { "cool the board" };
        all.push(match only_soft(&now) {
            true => Finding::note("clock", text),
            false => Finding::trouble("clock", text).advice(why),
        });
    } else if !before.is_empty() {
        let text = format!("lowered {}: {}{}", since(facts), before.join(", "), word(facts));
        all.push(match only_soft(&before) {
            true => Finding::note("clock", text),
            false => {
                Finding::warning("clock", text).advice("by heat or by a weak supply: it comes back under the same load")
            }
        });
    } else if report.throttle_known {
        all.push(Finding::ok("clock", format!("not lowered by firmware or kernel{mhz}")));
    } else {
        all.push(Finding::unknown("clock", format!("nothing on this board says whether it is lowered{mhz}")));
    }
    all
}

/// How to give the kernel a word at the next boot.
fn kernel_word(facts: &Facts<'_>, finding: Finding, word: &str) -> Finding {
    match &facts.boot_cmdline {
        Some((file, text)) if text.split_ascii_whitespace().any(|w| w == word) => {
            finding.advice(format!("{word} is in {file}; it counts from the next boot")).command("sudo reboot")
        }
        Some((file, _)) => finding.command(format!("sudo sed -i '1s/$/ {word}/' {file}")).command("sudo reboot"),
        None if facts.report.board.is_raspberry_pi() => {
            let file = "/boot/firmware/cmdline.txt";
            finding.command(format!("sudo sed -i '1s/$/ {word}/' {file}")).command("sudo reboot")
        }
        None => finding.advice(format!("add {word} to the kernel's command line (GRUB: /etc/default/grub) and reboot")),
    }
}

fn pressure(facts: &Facts<'_>) -> Finding {
    let unknown = facts.report.pressure.iter().find_map(|(resource, waiting)| match waiting {
        Waiting::Unknown { .. } => Some(*resource),
        Waiting::Known { .. } => None,
    });
    let values: Vec<String> = facts
        .report
        .pressure
        .iter()
        .filter_map(|(resource, waiting)| match waiting {
            Waiting::Known { avg10_percent } => Some(format!("{resource} {avg10_percent:.1} %")),
            Waiting::Unknown { .. } => None,
        })
        .collect();
    if unknown.is_none() {
        return Finding::ok("pressure (PSI)", format!("{} of the last 10 s waited", values.join(", ")));
    }
    let text = "off: waiting for CPU and memory is not seen before it hurts";
    if facts.cmdline.split_ascii_whitespace().any(|w| w == "psi=1") {
        return Finding::note("pressure (PSI)", "not in this kernel (CONFIG_PSI): the governor works without it");
    }
    kernel_word(facts, Finding::warning("pressure (PSI)", text), "psi=1")
}

fn cgroup(facts: &Facts<'_>) -> Finding {
    let what = "memory cgroup";
    match facts.memory_controller {
        Some(true) => Finding::ok(what, "on: the service's MemoryMax= is enforced"),
        None => Finding::unknown(what, "no cgroups are seen here"),
        Some(false) => {
            let text = "off, as Raspberry Pi OS has it: the service's MemoryMax= is not enforced";
            let text = if facts.report.board.is_raspberry_pi() {
                text
            } else {
                "off: the service's MemoryMax= is not enforced"
            };
            if facts.cmdline.split_ascii_whitespace().any(|w| w == "cgroup_enable=memory") {
                return Finding::warning(what, format!("{text}, although the kernel was told cgroup_enable=memory"));
            }
            kernel_word(facts, Finding::warning(what, text), "cgroup_enable=memory")
        }
    }
}

fn memory(facts: &Facts<'_>) -> Vec<Finding> {
    let who = "ps -eo rss,comm --sort=-rss | head";
    let Some(memory) = facts.memory else { return vec![Finding::unknown("memory", "the kernel does not tell it")] };
    let available = memory.available_bytes as f64 * 100.0 / memory.total_bytes.max(1) as f64;
    let text = format!("{} of {} MiB available", memory.available_bytes >> 20, memory.total_bytes >> 20);
    let mut all = vec![match available {
        a if a < SHORT_PERCENT => Finding::warning("memory", format!("{text}: short")).command(who),
        _ => Finding::ok("memory", text),
    }];
    if let Some(used) = memory.swap_used_percent() {
        let text = format!("{used:.0} % of {} MiB used", memory.swap_total_bytes >> 20);
        if used > SWAPPED_PERCENT {
            all.push(Finding::warning("swap", format!("{text}: slow, and it wears out an SD card")).command(who));
        } else {
            all.push(Finding::ok("swap", text));
        }
    }
    if let Some(kills @ 1..) = facts.oom_kills {
        let text = format!("{kills} processes were killed since boot because no memory was left");
        all.push(Finding::warning("out of memory", text).command("journalctl -k -g 'Out of memory' --no-pager | tail"));
    }
    all
}

fn others(facts: &Facts<'_>) -> Option<Finding> {
    let all = facts.report.reading.cpu_percent?;
    let others = (all - facts.daemon_cpu_percent.unwrap_or(0.0)).max(0.0);
    let own = facts.daemon_cpu_percent.map(|own| format!(", leptond {own:.0} %")).unwrap_or_default();
    let text = format!("other programs take {others:.0} %{own}");
    Some(match others > BUSY_PERCENT {
        true => Finding::warning("cpu", format!("{text}: leptond gets what is left"))
            .command("top -b -n 1 -o %CPU | head -n 15"),
        false => Finding::ok("cpu", text),
    })
}

#[cfg(test)]
mod tests;
