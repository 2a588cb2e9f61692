//! The log: standard error, as text or JSON, with the journal's own priorities under systemd.

use std::fmt;
use std::io::IsTerminal;
use std::time::SystemTime;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, Layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use super::config::{Config, Format};
use super::error::TelemetryError;
use super::recent::RecentLog;

/// Libraries that are too verbose at `info`; a filter that names them overrides this.
const NOISY: [&str; 6] = ["rumqttc", "tract", "rustls", "tokio", "mio", "async_nats"];

/// Silences the embedded broker, which reports every leaving client as an error, unless a filter names it. Its gate in `publish`
/// logs the relevant events.
const MUTE: &str = "rumqttd=off";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Handle of the running log; changes its level.
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    recent: RecentLog,
}

impl LogHandle {
    /// The latest lines.
    pub fn recent(&self) -> RecentLog {
        self.recent.clone()
    }

    /// Replaces the filter of the running log (SIGHUP). The format stays.
    ///
    /// # Errors
    /// [`TelemetryError::Level`]; the old filter then stays.
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        let filter = filter(level)?;
        self.filter
            .reload(filter)
            .map_err(|e| TelemetryError::Level { found: level.into(), reason: format!("cannot be applied: {e}") })
    }
}

/// Sends this process's log to standard error. Under systemd each line carries its priority (`<4>`, see `sd-daemon(3)`) and
/// neither time nor colour, which the journal adds itself. Otherwise times are RFC 3339 UTC, and colour is used on a terminal
/// unless `NO_COLOR` is set.
///
/// # Errors
/// [`TelemetryError::Level`] for an invalid filter, [`TelemetryError::AlreadySet`] at a second call.
pub fn init(config: &Config) -> Result<LogHandle, TelemetryError> {
    let (filter, handle) = reload::Layer::new(filter(&config.level)?);
    let stderr = std::io::stderr();
    // A closed standard error must not cause a panic, which reporting it there would do.
    let layer = Layer::new().with_writer(std::io::stderr).log_internal_errors(false);
    let output = match (is_journal(std::env::var("JOURNAL_STREAM").ok().as_deref(), &stderr), config.format) {
        (true, Format::Text) => layer
            .with_ansi(false)
            .event_format(JournalPriority(format::format().with_ansi(false).without_time().with_level(false)))
            .boxed(),
        (true, Format::Json) => layer
            .json()
            .with_ansi(false)
            .event_format(JournalPriority(format::format().json().flatten_event(true).without_time()))
            .boxed(),
        (false, Format::Text) => layer.with_ansi(stderr.is_terminal() && colour_wanted()).with_timer(Utc).boxed(),
        (false, Format::Json) => layer.json().flatten_event(true).with_timer(Utc).boxed(),
    };
    let recent = RecentLog::beside();
    let kept = Layer::new().with_writer(recent.clone()).with_ansi(false).with_timer(Utc).log_internal_errors(false);
    Registry::default().with(filter).with(output).with(kept).try_init().map_err(|_| TelemetryError::AlreadySet)?;
    Ok(LogHandle { filter: handle, recent })
}

/// Keeps the latest lines of this process's log in memory, without times, levels and origins, instead of writing them.
///
/// # Errors
/// As [`init`].
pub fn init_recent(level: &str) -> Result<RecentLog, TelemetryError> {
    let log = RecentLog::default();
    let bare = format::format().with_ansi(false).without_time().with_level(false).with_target(false);
    let layer = Layer::new().with_writer(log.clone()).with_ansi(false).event_format(bare).log_internal_errors(false);
    Registry::default().with(filter(level)?).with(layer).try_init().map_err(|_| TelemetryError::AlreadySet)?;
    Ok(log)
}

/// Checks that `level` is a level or a filter.
///
/// # Errors
/// [`TelemetryError::Level`] with the allowed values.
pub fn check_level(level: &str) -> Result<(), TelemetryError> {
    filter(level).map(drop)
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let bad = |reason: String| TelemetryError::Level { found: level.into(), reason };
    let is_level = |s: &str| LEVELS.iter().any(|l| l.eq_ignore_ascii_case(s));
    let is_target = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c));
    // The filter's own parser takes any word for a module, so a misspelt level would silence everything else.
    let mut default = LevelFilter::OFF;
    let mut asked = String::new();
    for part in level.split(',').map(str::trim) {
        let directive = match part.split_once('=').map(|(target, l)| (target.trim(), l.trim())) {
            None if is_level(part) => {
                default = part.parse().unwrap_or(default);
                part.to_owned()
            }
            None => {
                let levels = LEVELS.join(", ");
                return Err(bad(format!("{part:?} is not a level; allowed are {levels} and TARGET=LEVEL")));
            }
            Some((target, l)) if !is_target(target) || !is_level(l) => {
                let levels = LEVELS.join(", ");
                return Err(bad(format!("{part:?} is not TARGET=LEVEL with a level of {levels}")));
            }
            Some((target, l)) => format!("{target}={l}"),
        };
        asked.push(',');
        asked.push_str(&directive);
    }
    let quiet = default.min(LevelFilter::WARN);
    let tamed = NOISY.map(|target| format!("{target}={quiet}")).join(",");
    EnvFilter::builder()
        .with_default_directive(LevelFilter::OFF.into())
        .parse(format!("{MUTE},{tamed}{asked}"))
        .map_err(|e| bad(e.to_string()))
}

/// `true` when `file` is the stream that the journal reads. `JOURNAL_STREAM` holds its device and inode, and is also inherited by
/// programs with another standard error.
fn is_journal(stream: Option<&str>, file: impl std::os::fd::AsFd) -> bool {
    let Some((device, inode)) = stream.and_then(|s| s.split_once(':')) else { return false };
    let (Ok(device), Ok(inode)) = (device.parse::<u64>(), inode.parse::<u64>()) else { return false };
    rustix::fs::fstat(file).is_ok_and(|s| (s.st_dev, s.st_ino) == (device, inode))
}

fn colour_wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// RFC 3339 UTC with milliseconds, as every published time.
struct Utc;

impl FormatTime for Utc {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{}", humantime::format_rfc3339_millis(SystemTime::now()))
    }
}

/// Puts the priority of `sd-daemon(3)` before each line of the inner format, including continuation lines.
struct JournalPriority<F>(F);

impl<S, N, F> FormatEvent<S, N> for JournalPriority<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(ctx, Writer::new(&mut text), event)?;
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        for line in text.lines() {
            writeln!(out, "<{priority}>{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn filters_that_make_no_sense_are_refused_with_what_is_allowed() {
        for (level, words) in [
            ("inof", "\"inof\" is not a level"),
            ("", "\"\" is not a level"),
            ("info,,warn", "\"\" is not a level"),
            ("info,leptond=loud", "\"leptond=loud\" is not TARGET=LEVEL"),
            ("=debug", "\"=debug\" is not TARGET=LEVEL"),
            ("info leptond=debug", "is not TARGET=LEVEL"),
            ("a=b=c", "is not TARGET=LEVEL"),
            ("leptond[span{a=1}]=info", "is not TARGET=LEVEL"),
        ] {
            let error = check_level(level).expect_err(level).to_string();
            assert!(error.contains(words), "{level:?}: {error}");
        }
        for level in ["info", "WARN", "off", "info,leptond::source=debug", "warn, rumqttc=trace"] {
            assert_eq!(check_level(level), Ok(()), "{level}");
        }
    }

    /// Output of a log at `level` for three events of each of three targets.
    fn seen(level: &str) -> Vec<String> {
        let text = Captured::default();
        let layer = Layer::new().with_writer(text.clone()).with_ansi(false).without_time();
        let subscriber = Registry::default().with(filter(level).unwrap()).with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "leptond::daemon", "e");
            tracing::info!(target: "leptond::daemon", "i");
            tracing::debug!(target: "leptond::source", "d");
            tracing::error!(target: "rumqttd::router", "e");
            tracing::warn!(target: "rumqttc::state", "w");
            tracing::info!(target: "rumqttc::state", "i");
            tracing::info!(target: "tract_onnx::model", "i");
        });
        let text = text.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap().lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn libraries_are_quiet_until_named() {
        let (e, i, w) = ("ERROR leptond::daemon: e", "INFO leptond::daemon: i", "WARN rumqttc::state: w");
        assert_eq!(seen("info"), [e, i, w]);
        assert_eq!(seen("error"), [e]);
        assert_eq!(seen("off"), Vec::<String>::new());
        assert_eq!(seen("debug"), [e, i, "DEBUG leptond::source: d", w]);
        assert_eq!(seen("error,rumqttc=info"), [e, w, "INFO rumqttc::state: i"]);
        assert_eq!(seen("off,rumqttd=info"), ["ERROR rumqttd::router: e"]);
        assert_eq!(seen("warn,leptond::source=debug"), [e, "DEBUG leptond::source: d", w]);
    }

    #[test]
    fn journal_lines_carry_their_priority_each() {
        let text = Captured::default();
        let journal = JournalPriority(format::format().with_ansi(false).without_time().with_level(false));
        let layer = Layer::new().with_writer(text.clone()).with_ansi(false).event_format(journal);
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            tracing::warn!(target: "leptond", pipeline = "door", "two\nlines");
            tracing::error!(target: "leptond", "lost");
            tracing::debug!(target: "leptond", "detail");
        });
        let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines, ["<4>leptond: two", "<4>lines pipeline=\"door\"", "<3>leptond: lost", "<7>leptond: detail"]);
    }

    #[test]
    fn the_journal_is_recognised_by_device_and_inode() {
        let file = tempfile::tempfile().unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        assert!(is_journal(Some(&format!("{}:{}", stat.st_dev, stat.st_ino)), &file));
        assert!(!is_journal(Some(&format!("{}:{}", stat.st_dev, stat.st_ino + 1)), &file));
        assert!(!is_journal(Some("nonsense"), &file));
        assert!(!is_journal(None, &file));
    }

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl tracing_subscriber::fmt::MakeWriter<'_> for Captured {
        type Writer = Self;
        fn make_writer(&self) -> Self {
            self.clone()
        }
    }
}
