//! Words about storage.

use super::shown::Shown;
use crate::diagnose::storage::{Finding, StateDir, Wear};

const REPLACE: &str = "save what matters and replace it";

/// The finding for people.
pub fn shown(finding: &Finding) -> Shown {
    let shown = |what, text: String| Shown::new(finding.level(), what, text);
    match finding {
        Finding::StateDir { dir, state } => {
            state_dir(&dir.display().to_string(), state, |text| shown("state_dir", text))
        }
        Finding::Space { free_bytes, all_bytes, used_percent, at } => {
            let at = at.as_ref().map(|at| format!(" at {}", at.display())).unwrap_or_default();
            let text = format!("{} of {} MiB free{at}, {used_percent} % used", free_bytes >> 20, all_bytes >> 20);
            let shown = shown("space", text);
            if shown.is_fine() {
                return shown;
            }
            shown
                .command("sudo apt clean && sudo journalctl --vacuum-size=50M")
                .command("sudo du -xh / | sort -h | tail -n 20")
        }
        Finding::Ext4Errors { device, count: 0 } => {
            shown("file system", format!("{device}: ext4 has counted no errors"))
        }
        Finding::Ext4Errors { device, count } => {
            let text = format!("{device}: ext4 has counted {count} errors; the card may be dying");
            shown("file system", text)
                .advice(
                    "save what matters, let the next boot check it (fsck.mode=force in cmdline.txt), and have a new card ready",
                )
                .command("sudo dmesg | grep -iE 'mmc|ext4|i/o error' | tail -n 20")
        }
        Finding::Wear { disk, wear } => worn(disk, wear, |text| shown("wear", text)),
        Finding::Written { disk, bytes, bytes_per_day: None, .. } => {
            shown("written", format!("{} MiB to {disk} since boot", bytes >> 20))
        }
        Finding::Written { disk, bytes, bytes_per_day: Some(per_day), much } => {
            let text = format!("{} MiB to {disk} since boot, {} MiB a day", bytes >> 20, per_day >> 20);
            match much {
                true => shown("written", format!("{text}: that wears out a card within a few years"))
                    .advice("leptond itself writes next to nothing; see which program it is:")
                    .command("sudo apt install iotop && sudo iotop -obaP -n 5"),
                false => shown("written", text),
            }
        }
    }
}

fn state_dir(dir: &str, state: &StateDir, shown: impl Fn(String) -> Shown) -> Shown {
    match state {
        // An overlay over a read-only card is meant; a card that fails is remounted so by the kernel.
        StateDir::ReadOnly { device, at } => {
            let at = at.display();
            shown(format!("{dir} cannot be written: {device} is mounted read-only at {at}"))
                .advice(
                    "read-only by choice (raspi-config, overlay file system), or made so by the kernel after an error of the card:",
                )
                .command("sudo dmesg | grep -iE 'remount|mmc|i/o error' | tail")
                .command(format!("sudo mount -o remount,rw {at}"))
        }
        StateDir::Hidden => shown(format!("{dir} is not for this user to see")).command("sudo leptond doctor"),
        StateDir::ToBeMade => shown(format!("{dir} is not there yet; it is made at the first start")),
        StateDir::Absent => {
            shown(format!("{dir} is not there, and this user may not make it: measurements are not kept"))
                .command(format!("sudo install -d -o leptond -g leptond -m 750 {dir}"))
        }
        StateDir::Foreign { owner } => {
            shown(format!("{dir} belongs to user {owner}, not to leptond: the service cannot write there"))
                .command(format!("sudo chown -R leptond:leptond {dir}"))
        }
        StateDir::InMemory => shown(format!("{dir} can be written, but lies in memory: it is gone at the next boot"))
            .advice("measurements are then made anew at each boot; raspi-config switches the overlay file system off"),
        StateDir::Writable => shown(format!("{dir} can be written")),
        StateDir::NotByThisUser => shown(format!("{dir} cannot be written by this user; the service has its own")),
    }
}

fn worn(disk: &str, wear: &Wear, shown: impl Fn(String) -> Shown) -> Shown {
    match wear {
        Wear::SdCard => shown(format!("{disk} is an SD card, and those do not tell how worn they are"))
            .advice("a faulty card shows as errors of the file system; keep a copy of what matters"),
        Wear::SpareBlocks { over_percent } => {
            shown(format!("{disk}: over {over_percent} % of the spare blocks are used up")).advice(REPLACE)
        }
        Wear::LifeOver => shown(format!("{disk}: over 100 % of its expected life is used")).advice(REPLACE),
        Wear::Life { from_percent, to_percent } => {
            let shown = shown(format!("{disk}: {from_percent} to {to_percent} % of its expected life is used"));
            if shown.is_fine() { shown } else { shown.advice(REPLACE) }
        }
        Wear::Nvme => {
            shown(format!("{disk} tells it to smartmontools")).command(format!("sudo smartctl -A /dev/{disk}"))
        }
        Wear::Unknown => shown(format!("{disk} does not tell how worn it is")),
    }
}
