//! Findings as text.

use serde::Serialize;

use crate::diagnose::Level;

/// A finding in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// Its severity.
    pub level: Level,
    /// The thing that was looked at, in a word or two; the same in every run.
    pub what: &'static str,
    /// The finding, with the measured value.
    pub text: String,
    /// The remedy where no command is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The commands that mend it, in this order.
    pub commands: Vec<String>,
}

impl Shown {
    /// A finding without a remedy.
    pub fn new(level: Level, what: &'static str, text: impl Into<String>) -> Self {
        Shown { level, what, text: printable(&text.into()), advice: None, commands: Vec::new() }
    }

    /// With more text behind the first.
    pub fn and(mut self, text: impl Into<String>) -> Self {
        self.text += &printable(&text.into());
        self
    }

    /// With a remedy by hand.
    pub fn advice(mut self, text: impl Into<String>) -> Self {
        self.advice = Some(printable(&text.into()));
        self
    }

    /// With a command that mends it.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.commands.push(printable(&command.into()));
        self
    }

    /// Reports that nothing is to be done.
    pub fn is_fine(&self) -> bool {
        self.level == Level::Ok
    }
}

/// Findings about one part of the system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// `board`, `camera`, …
    pub name: &'static str,
    /// Its findings.
    pub findings: Vec<Shown>,
}

/// Columns of text, its indent included.
const WIDTH: usize = 100;
/// Column in which text begins.
const INDENT: usize = 12;

/// Everything for people. `colour`: ECMA-48 colours for the marks.
pub fn text(groups: &[Group], colour: bool) -> String {
    let mut out = String::new();
    for group in groups.iter().filter(|g| !g.findings.is_empty()) {
        out += &format!("{}\n", group.name);
        for finding in &group.findings {
            let (mark, code) = mark(finding.level);
            let padded = format!("{mark:<width$}", width = INDENT - 3);
            let shown = if colour { format!("\x1b[{code}m{padded}\x1b[0m") } else { padded };
            out += &format!("  {shown} {}\n", wrapped(&format!("{}: {}", finding.what, finding.text), INDENT));
            if let Some(advice) = &finding.advice {
                out += &format!("{:INDENT$}→ {}\n", "", wrapped(advice, INDENT + 2));
            }
            for command in &finding.commands {
                // Never broken: it is copied.
                out += &format!("{:INDENT$}$ {command}\n", "");
            }
        }
        out.push('\n');
    }
    // With trouble, the summary is the error that the program ends with.
    let wrong = groups.iter().flat_map(|g| &g.findings).any(|f| f.level == Level::Trouble);
    if wrong { out } else { out + &summary(groups) + "\n" }
}

/// One line about all of it.
pub fn summary(groups: &[Group]) -> String {
    let count = |level| groups.iter().flat_map(|g| &g.findings).filter(|f| f.level == level).count();
    let (trouble, warnings, unknown) = (count(Level::Trouble), count(Level::Warning), count(Level::Unknown));
    let plural = |n: usize, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
    let mut parts = Vec::new();
    if trouble > 0 {
        parts.push(plural(trouble, "trouble", "troubles"));
    }
    if warnings > 0 {
        parts.push(plural(warnings, "warning", "warnings"));
    }
    if unknown > 0 {
        parts.push(format!("{unknown} unknown"));
    }
    if parts.is_empty() { "nothing is wrong".into() } else { parts.join(", ") }
}

fn mark(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Ok => ("ok", "32"),
        Level::Note => ("note", "36"),
        Level::Unknown => ("unknown", "35"),
        Level::Warning => ("warning", "33"),
        Level::Trouble => ("TROUBLE", "1;31"),
    }
}

/// `text` broken at spaces, further lines indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > indent && column + 1 + width > WIDTH {
            out += &format!("\n{:indent$}", "");
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += width;
    }
    out
}

/// The commands for a configuration of one's own: they name its file, and need no root for it.
pub fn for_file(groups: &mut [Group], file: &std::path::Path) {
    let commands = groups.iter_mut().flat_map(|g| &mut g.findings).flat_map(|f| &mut f.commands);
    for command in commands {
        let plain = command.strip_prefix("sudo ").unwrap_or(command);
        let named = ["leptond check", "leptond setup", "leptond capture", "leptond doctor"];
        if named.iter().any(|name| plain.starts_with(name)) && !plain.contains("--config") {
            let sudo = if plain.starts_with("leptond doctor") { "sudo " } else { "" };
            *command = format!("{sudo}{plain} --config {}", file.display());
        }
    }
}

/// Names of devices and programs are others' words: no control characters reach the terminal.
fn printable(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_for_each_and_the_command_below() {
        let long = "word ".repeat(30);
        let groups = [
            Group {
                name: "board",
                findings: vec![
                    Shown::new(Level::Ok, "heat", "61.3 °C"),
                    Shown::new(Level::Trouble, "supply", format!("too low\x1b[0m {long}"))
                        .advice("a better one")
                        .command("sudo reboot"),
                ],
            },
            Group { name: "camera", findings: Vec::new() },
        ];
        let shown = text(&groups, false);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[..2], ["board", "  ok        heat: 61.3 °C"]);
        assert!(lines[2].starts_with("  TROUBLE   supply: too low [0m word"), "{shown}");
        assert!(
            lines.contains(&"            → a better one") && lines.contains(&"            $ sudo reboot"),
            "{shown}"
        );
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{shown}");
        assert!(shown.ends_with("$ sudo reboot\n\n"), "{shown}");
        assert_eq!(summary(&groups), "1 trouble");
        assert!(text(&groups, true).contains("\x1b[1;31mTROUBLE"));
        assert_eq!(summary(&[]), "nothing is wrong");
    }
}
