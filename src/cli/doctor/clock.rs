//! Words about the clock.

use super::shown::Shown;
use crate::diagnose::clock::{Finding, State};
use crate::frame::rfc3339;

/// The finding for people.
pub fn shown(finding: &Finding) -> Shown {
    let now = finding.now.map(|now| format!("{} UTC, ", rfc3339(now).get(..19).unwrap_or_default().replace('T', " ")));
    let now = now.unwrap_or_default();
    let tls = if finding.tls { ", and the broker's certificate is refused" } else { "" };
    let shown = |text: String| Shown::new(finding.level(), "clock", format!("{now}{text}"));
    let on = "sudo timedatectl set-ntp true";
    match finding.state {
        State::Past => shown(format!("which is before this program was made: times in messages are wrong{tls}"))
            .command(on)
            .command("timedatectl timesync-status"),
        State::Synchronised => shown("synchronised".into()),
        State::NoProgram => {
            shown(format!("and no program keeps it right{tls}")).command("sudo apt install systemd-timesyncd")
        }
        State::SwitchedOff => shown("not synchronised: that is switched off".into()).command(on),
        State::NotYet => {
            shown("not synchronised yet: no time server was reached".into()).command("timedatectl timesync-status")
        }
        State::Unknown => shown("nothing here says whether it is synchronised".into()),
    }
}
