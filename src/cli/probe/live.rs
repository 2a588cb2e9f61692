//! `probe --watch`: the board now, and the status of a daemon on it. Pure: renders text.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::board::Throttle;
use crate::cli::words::{listed, mib};
use crate::publish::payload::Rung;
use crate::runtime::status::Status;
use leptond_governor::Reading;

/// Columns of the narrowest terminal that is written for.
const WIDTH: usize = 80;

/// One look at the board, and at the daemon's own word if one runs here.
pub struct Look<'a> {
    /// RFC 3339.
    pub time: &'a str,
    /// Name of the board.
    pub board: &'a str,
    /// The governor's view of the board.
    pub reading: &'a Reading,
    /// The raw words about throttling.
    pub throttle: &'a Throttle,
    /// The status of the daemon, if one runs.
    pub status: Option<&'a Status>,
}

impl Look<'_> {
    /// For machines.
    pub fn json(&self) -> Value {
        json!({
            "time": self.time,
            "reading": self.reading,
            "throttle": self.throttle,
            "throttled_now": self.throttle.now(),
            "throttled_before": self.throttle.before(),
            "leptond": self.status,
        })
    }

    /// For a pipe: one line.
    pub fn line(&self) -> String {
        let r = self.reading;
        let mut line = format!(
            "{}  soc {:>5} °C  cpu {:>3} %  clock {:>4} MHz  available {:>5} MiB  pressure cpu {:>4} % memory {:>4} %  {}",
            self.time,
            number(r.soc_celsius, 1),
            number(r.cpu_percent, 0),
            number(r.clock_mhz, 0),
            r.available_bytes.map_or("–".into(), |v| mib(v).to_string()),
            number(r.cpu_pressure_percent, 1),
            number(r.memory_pressure_percent, 1),
            self.throttling("throttling unknown", "not throttled"),
        );
        let Some(status) = self.status else { return line + "  no leptond is running here" };
        let governor = &status.governor;
        let _ = write!(line, "  governor {} {}", governor.standing.mode, governor.standing.state);
        if let Some(forecast) = governor.forecast {
            let _ = write!(line, " in 30 s {:.1} °C", forecast.in_30s_celsius);
        }
        for (name, rung) in &governor.pipelines {
            let _ = write!(line, "  {name} {} ({})", place(rung), rung.reason);
        }
        printable(&line)
    }

    /// For a terminal: lines of at most 80 columns.
    pub fn screen(&self) -> Vec<String> {
        let r = self.reading;
        let clock = self.time.get(11..19).unwrap_or(self.time);
        let mut lines = vec![format!("{:<68}{clock} UTC", clip(self.board, 67))];
        let mut add = |name: &str, value: String| lines.push(format!("{name:<12} {value}"));

        let mut temperature = r.soc_celsius.map_or("unknown".into(), |celsius| format!("{celsius:.1} °C"));
        if let Some(f) = self.status.and_then(|s| s.governor.forecast) {
            let _ = write!(
                temperature,
                "   in 30 s {:.1} °C   in the end {:.1} °C   limit {:.1} °C",
                f.in_30s_celsius, f.steady_celsius, f.limit_celsius
            );
        }
        add("temperature", temperature);
        add("throttled", self.throttling("unknown", "no"));
        let mut cpu = format!("{} %", number(r.cpu_percent, 0));
        if let Some(own) = self.status.and_then(|s| s.own_cpu_percent) {
            let _ = write!(cpu, "   leptond {own:.0} %");
        }
        if !r.core_percent.is_empty() {
            cpu += "   cores";
            r.core_percent.iter().for_each(|core| cpu += &format!(" {core:.0}"));
        }
        add("cpu", cpu);
        if r.clock_mhz.is_some() || r.max_clock_mhz.is_some() {
            add("clock", format!("{} of {} MHz", number(r.clock_mhz, 0), number(r.max_clock_mhz, 0)));
        }
        let bytes = |v: Option<u64>| v.map_or("–".into(), |v| mib(v).to_string());
        add("memory", format!("{} of {} MiB available", bytes(r.available_bytes), bytes(r.memory_bytes)));
        let (cpu, memory) = (r.cpu_pressure_percent, r.memory_pressure_percent);
        if cpu.is_some() || memory.is_some() {
            add("pressure", format!("cpu {} %   memory {} %", number(cpu, 1), number(memory, 1)));
        }
        let rate = |v: Option<f32>| v.map_or("–".into(), |v| format!("{:.1}", v / 1e3));
        let (sent, received) = (r.link.sent_bytes_per_s, r.link.received_bytes_per_s);
        add("network", format!("{} kB/s sent   {} kB/s received", rate(sent), rate(received)));
        match self.status {
            None => add("governor", "no leptond is running here".into()),
            Some(status) => self.daemon(status, &mut lines),
        }
        lines.iter().map(|line| clip(&printable(line), WIDTH)).collect()
    }

    fn daemon(&self, status: &Status, lines: &mut Vec<String>) {
        let broker = match status.connected {
            Some(true) => "connected",
            Some(false) => "away",
            None => "none",
        };
        let queue = status.backlog.map_or(String::new(), |share| format!("   queue {:.0} % full", share * 100.0));
        lines.push(format!("{:<12} {broker}{queue}", "broker"));
        let standing = &status.governor.standing;
        lines.push(format!("{:<12} {}, {}", "governor", standing.mode, standing.state));
        lines.push(String::new());
        let cells = ["pipeline", "rung", "interval", "input", "batch", "threads", "p95"];
        lines.push(row(cells.map(str::to_owned)));
        for (name, rung) in &status.governor.pipelines {
            let p95 = status.p95_ms.get(name).map_or("–".into(), |ms| format!("{ms:.0} ms"));
            lines.push(row([
                clip(name, 20),
                place(rung),
                if rung.interval_ms == 0 { "none".into() } else { format!("{} ms", rung.interval_ms) },
                rung.resolution.map_or("native".into(), |side| format!("{side} px")),
                rung.batch.to_string(),
                rung.threads.to_string(),
                p95,
            ]));
            let since = rung.since.get(11..19).unwrap_or_default();
            lines.push(format!("  since {since}: {}", rung.reason));
        }
    }

    fn throttling(&self, unknown: &str, no: &str) -> String {
        listed(&self.throttle.now(), if *self.throttle == Throttle::default() { unknown } else { no })
    }
}

fn row([name, rung, interval, input, batch, threads, p95]: [String; 7]) -> String {
    format!("{name:<20} {rung:>8} {interval:>10} {input:>9} {batch:>6} {threads:>8} {p95:>10}")
}

fn place(rung: &Rung) -> String {
    if rung.paused { "paused".into() } else { format!("{} of {}", rung.rung, rung.of) }
}

fn number(value: Option<f32>, digits: usize) -> String {
    value.map_or("–".into(), |v| format!("{v:.digits$}"))
}

/// At most `width` characters.
fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.into();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The status file is another process's: no control characters reach the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{b7}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::publish::payload::{Forecast, Governor, Standing};
    use leptond_governor::Link;

    fn reading() -> Reading {
        Reading {
            soc_celsius: Some(61.34),
            cpu_percent: Some(43.2),
            core_percent: vec![40.0, 52.4, 38.0, 41.0],
            cpu_pressure_percent: Some(1.25),
            available_bytes: Some(3234 << 20),
            memory_bytes: Some(3793 << 20),
            clock_mhz: Some(1200.0),
            max_clock_mhz: Some(1500.0),
            link: Link { sent_bytes_per_s: Some(12_340.0), received_bytes_per_s: Some(1100.0), ..Link::default() },
            ..Reading::default()
        }
    }

    fn status() -> Status {
        let rung = Rung {
            rung: 1,
            of: 4,
            reason: "76.9 °C, 78.4 °C in 30 s: above 78.0 °C\n".into(),
            since: "2026-01-01T02:20:11.000Z".into(),
            interval_ms: 200,
            capture: None,
            resolution: None,
            batch: 1,
            model: "digits".into(),
            threads: 2,
            paused: false,
        };
        let still =
            Rung { resolution: Some(96), interval_ms: 0, reason: "x".repeat(100), paused: true, ..rung.clone() };
        let forecast = Forecast { soc_celsius: 61.3, in_30s_celsius: 63.0, steady_celsius: 71.2, limit_celsius: 78.0 };
        let governor = Governor {
            standing: Standing { mode: "auto".into(), state: "reduced".into() },
            pipeline: "meter".into(),
            changed: rung.clone(),
            forecast: Some(forecast),
            pipelines: BTreeMap::from([
                ("meter".into(), rung),
                ("a-name-that-is-longer-than-it-should-be".into(), still),
            ]),
        };
        Status {
            pid: 1,
            written_ms: 0,
            valid_ms: 5000,
            governor,
            own_cpu_percent: Some(31.0),
            connected: Some(true),
            home_assistant: Default::default(),
            backlog: Some(0.25),
            p95_ms: BTreeMap::from([("meter".into(), 34.4)]),
        }
    }

    fn look<'a>(reading: &'a Reading, throttle: &'a Throttle, status: Option<&'a Status>) -> Look<'a> {
        let board = "Raspberry Pi 4 Model B Rev 1.4";
        Look { time: "2026-01-01T02:24:20.000Z", board, reading, throttle, status }
    }

    #[test]
    fn the_screen_of_a_board_with_a_daemon() {
        let (reading, status) = (reading(), status());
        let throttle = Throttle { word: Some(0x50005), ..Throttle::default() };
        let screen = look(&reading, &throttle, Some(&status)).screen();
        let expected = [
            "Raspberry Pi 4 Model B Rev 1.4                                      02:24:20 UTC",
            "temperature  61.3 °C   in 30 s 63.0 °C   in the end 71.2 °C   limit 78.0 °C",
            "throttled    supply voltage too low, throttled",
            "cpu          43 %   leptond 31 %   cores 40 52 38 41",
            "clock        1200 of 1500 MHz",
            "memory       3234 of 3793 MiB available",
            "pressure     cpu 1.2 %   memory – %",
            "network      12.3 kB/s sent   1.1 kB/s received",
            "broker       connected   queue 25 % full",
            "governor     auto, reduced",
            "",
            "pipeline                 rung   interval     input  batch  threads        p95",
            "a-name-that-is-long…   paused       none     96 px      1        2          –",
            "  since 02:20:11: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…",
            "meter                  1 of 4     200 ms    native      1        2      34 ms",
            "  since 02:20:11: 76.9 °C, 78.4 °C in 30 s: above 78.0 °C·",
        ];
        assert_eq!(screen, expected, "\n{}", screen.join("\n"));
        assert!(screen.iter().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn the_screen_of_a_machine_that_says_nothing() {
        let (reading, throttle) = (Reading::default(), Throttle::default());
        let look = look(&reading, &throttle, None);
        let expected = [
            "Raspberry Pi 4 Model B Rev 1.4                                      02:24:20 UTC",
            "temperature  unknown",
            "throttled    unknown",
            "cpu          – %",
            "memory       – of – MiB available",
            "network      – kB/s sent   – kB/s received",
            "governor     no leptond is running here",
        ];
        assert_eq!(look.screen(), expected);
        assert!(look.line().ends_with("throttling unknown  no leptond is running here"), "{}", look.line());
        assert_eq!(look.json()["leptond"], Value::Null);
    }

    #[test]
    fn one_line_holds_readings_prediction_and_rungs() {
        let (reading, status) = (reading(), status());
        let line = look(&reading, &Throttle::default(), Some(&status)).line();
        for part in ["soc  61.3 °C", "governor auto reduced in 30 s 63.0 °C", "meter 1 of 4 (76.9 °C, 78.4 °C in 30 s"]
        {
            assert!(line.contains(part), "{part:?} in {line}");
        }
        assert!(!line.contains('\n'));
    }
}
