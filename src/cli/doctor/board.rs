//! Words about the board.

use super::shown::Shown;
use crate::diagnose::board::{Finding, FirmwareWord, KernelWord};

/// The finding for people.
pub fn shown(finding: &Finding) -> Shown {
    let shown = |what, text: String| Shown::new(finding.level(), what, text);
    match finding {
        Finding::SupplyLow(word) => {
            shown("supply", format!("the voltage is too low now{}", bits(word))).advice(BETTER_SUPPLY)
        }
        Finding::SupplyWasLow(word) => {
            shown("supply", format!("the voltage was too low {}{}", since(word), bits(word))).advice(BETTER_SUPPLY)
        }
        Finding::SupplyGood { word, ask_root } => {
            let text = format!("the voltage is as it should be, and was {}{}", since(word), bits(word));
            let shown = shown("supply", text);
            if *ask_root {
                return shown.advice("root also sees what was since boot").command("sudo leptond doctor");
            }
            shown
        }
        Finding::SupplyUnread => {
            shown("supply", "the firmware's throttle flags cannot be read".into()).command("vcgencmd get_throttled")
        }
        Finding::SupplyUnmeasured => shown("supply", "this board does not measure its supply".into()),
        Finding::TemperatureUnknown { why } => {
            let why = if why.is_empty() { "no sensor tells it" } else { why };
            shown("temperature", format!("{why}; the governor works on load and deadlines alone"))
        }
        Finding::TemperatureImpossible { celsius, sensor } => {
            shown("temperature", format!("{sensor} says {celsius:.1} °C, which cannot be"))
        }
        Finding::TemperatureAtLimit { celsius, limit_celsius, sensor } => {
            let text = format!("{celsius:.1} °C, at or above the limit of {limit_celsius:.0} °C ({sensor})");
            shown("temperature", text).advice(COOLER)
        }
        Finding::TemperatureAboveKept { celsius, kept_celsius, sensor } => {
            let text = format!("{celsius:.1} °C, above the {kept_celsius:.0} °C that the governor keeps ({sensor})");
            shown("temperature", text).advice(COOLER)
        }
        Finding::TemperatureGood { celsius, kept_celsius, sensor } => {
            let text = format!("{celsius:.1} °C, the governor keeps it below {kept_celsius:.0} °C ({sensor})");
            shown("temperature", text)
        }
        Finding::ClockLowered { reasons, soft, by_supply, mhz: clock, word } => {
            let shown = shown("clock", format!("now: {}{}{}", reasons.join(", "), mhz(clock), bits(word)));
            match (soft, by_supply) {
                (true, _) => shown,
                (false, true) => shown.advice("mend the supply first"),
                (false, false) => shown.advice("cool the board"),
            }
        }
        Finding::ClockWasLowered { reasons, soft, word } => {
            let shown = shown("clock", format!("lowered {}: {}{}", since(word), reasons.join(", "), bits(word)));
            if *soft {
                return shown;
            }
            shown.advice("by heat or by a weak supply: it comes back under the same load")
        }
        Finding::ClockFull { mhz: clock } => shown("clock", format!("not lowered by firmware or kernel{}", mhz(clock))),
        Finding::ClockUnknown { mhz: clock } => {
            shown("clock", format!("nothing on this board says whether it is lowered{}", mhz(clock)))
        }
        Finding::Pressure(values) => {
            let values: Vec<String> = values.iter().map(|(of, percent)| format!("{of} {percent:.1} %")).collect();
            shown(PRESSURE, format!("{} of the last 10 s waited", values.join(", ")))
        }
        Finding::PressureNotBuilt => {
            shown(PRESSURE, "not in this kernel (CONFIG_PSI): the governor works without it".into())
        }
        Finding::PressureOff(word) => {
            let text = "off: waiting for CPU and memory is not seen before it hurts";
            at_next_boot(shown(PRESSURE, text.into()), word)
        }
        Finding::CgroupOn => shown(CGROUP, "on: the service's MemoryMax= is enforced".into()),
        Finding::CgroupUnseen => shown(CGROUP, "no cgroups are seen here".into()),
        Finding::CgroupRefused { raspberry_pi } => {
            let text = format!("{}, although the kernel was told cgroup_enable=memory", cgroup_off(*raspberry_pi));
            shown(CGROUP, text)
        }
        Finding::CgroupOff { raspberry_pi, word } => {
            at_next_boot(shown(CGROUP, cgroup_off(*raspberry_pi).into()), word)
        }
        Finding::MemoryUnknown => shown("memory", "the kernel does not tell it".into()),
        Finding::MemoryShort { available_bytes, total_bytes } => {
            let text = format!("{} of {} MiB available: short", available_bytes >> 20, total_bytes >> 20);
            shown("memory", text).command(MEMORY_USERS)
        }
        Finding::MemoryGood { available_bytes, total_bytes } => {
            shown("memory", format!("{} of {} MiB available", available_bytes >> 20, total_bytes >> 20))
        }
        Finding::Swap { used_percent, total_bytes, heavy } => {
            let text = format!("{used_percent:.0} % of {} MiB used", total_bytes >> 20);
            match heavy {
                true => shown("swap", format!("{text}: slow, and it wears out an SD card")).command(MEMORY_USERS),
                false => shown("swap", text),
            }
        }
        Finding::Killed { count } => {
            let text = format!("{count} processes were killed since boot because no memory was left");
            shown("out of memory", text).command("journalctl -k -g 'Out of memory' --no-pager | tail")
        }
        Finding::Cpu { others_percent, own_percent, busy } => {
            let own = own_percent.map(|own| format!(", leptond {own:.0} %")).unwrap_or_default();
            let text = format!("other programs take {others_percent:.0} %{own}");
            match busy {
                true => shown("cpu", format!("{text}: leptond gets what is left"))
                    .command("top -b -n 1 -o %CPU | head -n 15"),
                false => shown("cpu", text),
            }
        }
    }
}

const PRESSURE: &str = "pressure (PSI)";
const CGROUP: &str = "memory cgroup";
const MEMORY_USERS: &str = "ps -eo rss,comm --sort=-rss | head";
const BETTER_SUPPLY: &str =
    "use the board's own supply and a short, thick cable; power USB devices that need much from a hub of their own";
const COOLER: &str = "a heat sink, a fan or a place out of the sun; until then leptond works less by itself";

/// ` (throttled=0x50005)`, where the board has such a word.
fn bits(word: &FirmwareWord) -> String {
    word.word.map(|word| format!(" (throttled=0x{word:x})")).unwrap_or_default()
}

fn since(word: &FirmwareWord) -> &'static str {
    if word.since_boot { "since boot" } else { "in the last seconds" }
}

fn mhz(clock: &Option<[f32; 2]>) -> String {
    clock.map(|[now, most]| format!(", {now:.0} of {most:.0} MHz")).unwrap_or_default()
}

fn cgroup_off(raspberry_pi: bool) -> &'static str {
    match raspberry_pi {
        true => "off, as Raspberry Pi OS has it: the service's MemoryMax= is not enforced",
        false => "off: the service's MemoryMax= is not enforced",
    }
}

fn at_next_boot(shown: Shown, word: &KernelWord) -> Shown {
    match word {
        KernelWord::Written { file, word } => {
            shown.advice(format!("{word} is in {file}; it counts from the next boot")).command("sudo reboot")
        }
        KernelWord::Append { file, word } => {
            shown.command(format!("sudo sed -i '1s/$/ {word}/' {file}")).command("sudo reboot")
        }
        KernelWord::BootLoader { word } => {
            shown.advice(format!("add {word} to the kernel's command line (GRUB: /etc/default/grub) and reboot"))
        }
    }
}
