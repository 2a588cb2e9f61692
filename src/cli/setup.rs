//! `leptond setup`: from a fresh installation to a configuration that runs, by questions or by flags.
//!
//! Nothing is written before everything is answered and the result has been checked.

mod args;
mod broker;
mod digits;
mod interview;
mod models;
mod offered;
mod paths;
mod photo;
mod present;
mod probe;
mod questions;
mod session;
mod sources;
mod stop;
#[cfg(test)]
mod tests;

use std::io::{BufRead as _, Read as _};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::Context as _;

use super::progress::loading;
use super::{Failure, say, tell};
use crate::config::{self, Config, Options};
use crate::credentials;
use crate::diagnose::configured;
use crate::frame::rfc3339;
use crate::install::answers::Answers;
use crate::install::{backup, edit};
use crate::sys::file::read_text;
use crate::sys::owned::{self, FileKind};
pub use args::Args;
use interview::Told;
use questions::{Ask, Terminal};
use session::Interview;
use stop::Stop;

/// A larger file is neither a configuration nor a password.
const MOST_BYTES: u64 = 4 << 20;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let stop = Stop::watch();
    let mut terminal = if args.yes { None } else { Terminal::here() };
    let file = args.config.clone().unwrap_or_else(|| config::DEFAULT_FILE.into());
    if !args.dry_run && !backup::writable(&file) {
        return Err(anyhow::anyhow!(
            "{} cannot be written by this user: sudo leptond setup, or --config FILE for a file of your own",
            file.display()
        )
        .into());
    }
    let text = match read_text(&file, MOST_BYTES) {
        Ok(text) => text,
        Err(error) if error.is_missing() => String::new(),
        Err(error) => return Err(anyhow::Error::from(error).context(file.display().to_string()).into()),
    };
    let present = configuration(&file, &text)?;
    if terminal.is_none() && !interview::parts_only(&args, &present, false) {
        missing(&args, &text)?;
    }
    let place = credentials::place(&file);
    let mut now = Now { present, text: text.clone(), password: given_password(&args)?, name: None };
    let (told, new) = loop {
        let mut told = now.hold(&args, &file, terminal.as_mut(), &stop)?;
        if told.password.is_some()
            && let Some(broker) = &mut told.answers.broker
        {
            broker.password_file.clone_from(&place.configured);
        }
        // Against the file as it is: what an earlier round had answered is not in it.
        let new = changed(&file, &text, &told, &stop);
        let Some(terminal) = terminal.as_mut() else {
            break (told, new.map_err(|(failure, _)| failure)?);
        };
        match new {
            Ok(new) => {
                let changes = config::difference(&text, &new);
                if changes.is_empty() && told.password.is_none() {
                    break (told, new);
                }
                say(&format!("changes to {}:\n{}", file.display(), config::redact(&changes)))?;
                match if args.dry_run { Verdict::Write } else { of_changes(terminal)? } {
                    Verdict::Write => break (told, new),
                    Verdict::Again => now.again(&file, told, Some(new)),
                    Verdict::Stop => return say(&stop.end()),
                }
            }
            Err((failure, new)) => {
                terminal.tell(&format!("error: {failure}"));
                if !terminal.confirm("Change an answer?", true)? {
                    return Err(failure);
                }
                // What was typed is the default of the next round.
                now.again(&file, told, new);
            }
        }
    };
    let Told { answers, password, .. } = told;
    let present = now.present;
    let service = args.config.is_none() && systemd() && rustix::process::geteuid().is_root() && args.root.is_none();
    let changes = config::difference(&text, &new);
    if changes.is_empty() && password.is_none() {
        say(&format!("{} is as it should be; nothing was changed", file.display()))?;
        return next_steps(&args, &answers, &present, terminal.as_mut(), service);
    }
    if terminal.is_none() {
        say(&format!("changes to {}:\n{}", file.display(), config::redact(&changes)))?;
    }
    if args.dry_run {
        if password.is_some() {
            say(&format!("the password would be written to {}", place.file.display()))?;
        }
        return say("nothing was written (--dry-run)");
    }
    let writing = stop.writing();
    // The password first: a configuration that names it is never without it.
    if let Some(password) = &password {
        place.write(password).map_err(anyhow::Error::from)?;
        say(&format!("the password is in {}, readable by its owner only", place.file.display()))?;
    }
    if !text.is_empty() && new != text {
        let copy = backup::backup(&file, &backup::stamp(&rfc3339(SystemTime::now()))).map_err(anyhow::Error::from)?;
        say(&format!("what was there before is in {}", copy.display()))?;
    }
    owned::replace(&file, new.as_bytes(), FileKind::Config).map_err(anyhow::Error::from)?;
    writing.done();
    say(&format!("{} is written", file.display()))?;
    next_steps(&args, &answers, &present, terminal.as_mut(), service)
}

/// One round of the questions: what their defaults come from.
struct Now {
    /// The configuration as it is, or as the round before would have it.
    present: Config,
    /// Its text.
    text: String,
    password: Option<String>,
    /// Name of the work of the round before.
    name: Option<String>,
}

impl Now {
    /// Asks everything.
    fn hold(&self, args: &Args, file: &Path, ask: Option<&mut Terminal>, stop: &Stop) -> Result<Told, Failure> {
        let ask = ask.map(|terminal| terminal as &mut dyn Ask);
        let (present, text) = (&self.present, self.text.as_str());
        let mut interview =
            Interview { args, ask, present, file, text, again: self.name.as_deref(), stop: stop.clone() };
        interview.hold(self.password.clone()).map_err(|failure| match failure {
            Failure::Failed(error) => Failure::Failed(anyhow::anyhow!("{error:#}; {}", stop.end())),
            other => other,
        })
    }

    /// Takes the answers of a round as the defaults of the next, as far as they make a configuration.
    fn again(&mut self, file: &Path, told: Told, text: Option<String>) {
        if told.password.is_some() {
            self.password = told.password;
        }
        self.name = told.answers.work.as_ref().map(|work| work.name().to_owned());
        if let Some(text) = text
            && let Ok(config) = of_text(file, &text)
        {
            (self.present, self.text) = (config, text);
        }
    }
}

/// Decision about the changes that are shown.
enum Verdict {
    Write,
    Again,
    Stop,
}

/// Asks what is to be done with the changes that are shown.
fn of_changes(terminal: &mut Terminal) -> Result<Verdict, Failure> {
    loop {
        let answer = terminal.text("Write this? (yes/no, or \"back\" to change an answer)", Some("yes"))?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => return Ok(Verdict::Write),
            "n" | "no" => return Ok(Verdict::Stop),
            "b" | "back" => return Ok(Verdict::Again),
            _ => terminal.tell("please answer yes, no or back"),
        }
    }
}

/// The file's text with the answers in it, checked.
///
/// # Errors
/// The fault, and the text where there is one that only does not fit.
fn changed(file: &Path, text: &str, told: &Told, stop: &Stop) -> Result<String, (Failure, Option<String>)> {
    let new = edit::edited(text, &told.answers, told.replace).map_err(|error| match error {
        edit::EditError::Exists(_) => (Failure::Usage(error.to_string()), None),
        _ => (Failure::Config(format!("{}: {error}", file.display())), None),
    })?;
    match check(file, &new, told.password.is_some(), told.model_here, stop) {
        Ok(()) => Ok(new),
        Err(failure) => Err((failure, Some(new))),
    }
}

/// The configuration as it is; defaults where there is none.
fn configuration(file: &Path, text: &str) -> Result<Config, Failure> {
    if text.trim().is_empty() {
        return Ok(Config::default());
    }
    let options = Options { file: Some(file.to_path_buf()), skip_files: true, ..Options::default() };
    match config::load(&options) {
        Ok(loaded) => Ok(loaded.config),
        // Without a pipeline it is not complete yet, which is what setup is for.
        Err(errors) => match toml_edit::de::from_str::<Config>(text) {
            Ok(config) if config.pipelines.is_empty() => Ok(config),
            _ => Err(Failure::Config(format!("mend the present configuration first: {errors}"))),
        },
    }
}

/// The configuration of a text that is not written yet.
fn of_text(file: &Path, text: &str) -> Result<Config, Failure> {
    let mut config: Config = toml_edit::de::from_str(text)
        .map_err(|error| Failure::Config(format!("{}: {}", file.display(), error.message())))?;
    config.add_meters();
    Ok(config)
}

/// Says which flags are missing where nobody can be asked.
fn missing(args: &Args, text: &str) -> Result<(), Failure> {
    let flags = [
        (args.broker.is_none() && !present::names_broker(text), "--broker HOST[:PORT]"),
        (args.source.is_empty(), "--source SOURCE"),
        (args.model.is_none() && args.photo.is_none() && !args.baseline, "--model MODEL (or --baseline)"),
    ];
    let missing: Vec<&str> = flags.into_iter().filter(|(missing, _)| *missing).map(|(_, flag)| flag).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why = if args.yes { "--yes asks nothing" } else { "there is no terminal to ask at" };
    Err(Failure::Usage(format!("{why}, and these flags are missing: {}", missing.join(", "))))
}

/// The password from a file or standard input.
fn given_password(args: &Args) -> Result<Option<String>, Failure> {
    let text = match &args.password_file {
        // Whatever a person at a terminal names, also a pipe of a program that keeps passwords.
        Some(file) => {
            let mut text = String::new();
            let read = std::fs::File::open(file).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text));
            read.with_context(|| file.display().to_string())?;
            text
        }
        None if args.password_stdin => {
            let mut line = String::new();
            std::io::stdin().lock().take(MOST_BYTES).read_line(&mut line).context("standard input")?;
            line
        }
        None => return Ok(None),
    };
    match text.lines().next() {
        Some(line) if !line.trim().is_empty() => Ok(Some(line.to_owned())),
        _ => Err(Failure::Usage("the password's first line is empty".into())),
    }
}

/// Checks the text as `leptond check` would if it were the configuration. A password that is written later is
/// not looked for.
fn check(file: &Path, text: &str, password: bool, model_here: bool, stop: &Stop) -> Result<(), Failure> {
    let candidate = std::env::temp_dir().join(format!("leptond-setup-{}.toml", std::process::id()));
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| Failure::Config(format!("{}: {error}", file.display())))?;
    let credential = document.get("mqtt").and_then(|m| m.get("password_file")).and_then(|f| f.as_str());
    if (password || credential == Some(credentials::CREDENTIAL))
        && let Some(mqtt) = document.get_mut("mqtt").and_then(toml_edit::Item::as_table_like_mut)
    {
        mqtt.remove("password_file");
    }
    stop.temporary(&candidate);
    owned::replace(&candidate, document.to_string().as_bytes(), FileKind::Secret).map_err(anyhow::Error::from)?;
    let options = Options { file: Some(candidate.clone()), skip_files: !model_here, ..Options::default() };
    let result = config::load(&options).and_then(|loaded| {
        if model_here {
            configured::models(&loaded, &loading)?;
        }
        Ok(loaded.warnings)
    });
    let _already_gone = std::fs::remove_file(&candidate);
    let named = |words: String| words.replace(&candidate.display().to_string(), &file.display().to_string());
    let warnings = result.map_err(|errors| {
        Failure::Config(named(format!("the result would not run, so nothing was changed: {errors}")))
    })?;
    for warning in warnings {
        tell(&format!("warning: {}", named(warning.to_string())));
    }
    Ok(())
}

fn systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Shows the next commands; runs the first where the person wants that.
fn next_steps(
    args: &Args,
    answers: &Answers,
    present: &Config,
    terminal: Option<&mut Terminal>,
    service: bool,
) -> Result<(), Failure> {
    let file = args.config.as_ref().map(|file| format!(" --config {}", file.display())).unwrap_or_default();
    let root = args.root.as_deref().unwrap_or(Path::new("/"));
    let node = answers.node.clone().unwrap_or_else(|| present.node.name_or_default(root).to_string());
    let of_service = credentials::is_of_service(args.config.as_deref().unwrap_or(Path::new(config::DEFAULT_FILE)));
    let sudo = if rustix::process::geteuid().is_root() && !of_sudo() { "" } else { "sudo " };
    let mut lines = vec!["next:".to_owned()];
    if of_service && systemd() {
        let verb = if enabled() { "restart" } else { "enable --now" };
        lines.push(format!("  {sudo}systemctl {verb} leptond"));
        lines.push(format!("  {sudo}leptond doctor"));
    } else {
        lines.push(format!("  leptond doctor{file}"));
        lines.push(format!("  leptond run{file}"));
    }
    let username = answers.broker.as_ref().map_or(&present.mqtt.username, |broker| &broker.username);
    let reader = if of_service && !username.is_empty() { sudo } else { "" };
    lines.push(format!("  {reader}leptond watch{file} --node {node}"));
    if let Some(work) = &answers.work {
        lines.push(format!("results come on {}/{node}/{}/result", present.mqtt.prefix, work.name()));
    }
    if answers.page || present.page.enabled {
        lines.push(format!("the page for browsers is at {} on this computer", present::page_address(present)));
    }
    if present.mqtt.home_assistant.enabled {
        lines.push("Home Assistant shows this node under Settings, Devices & services, MQTT".into());
    }
    say(&lines.join("\n"))?;
    let Some(terminal) = terminal.filter(|_| service) else { return Ok(()) };
    if !terminal.confirm("Start leptond now, and at every boot?", true)? {
        return Ok(());
    }
    for arguments in [&["enable", "leptond"], &["restart", "leptond"]] {
        let status = Command::new("systemctl").args(arguments).status().context("systemctl")?;
        if !status.success() {
            let command = arguments.join(" ");
            return Err(anyhow::anyhow!("systemctl {command}: {status}; journalctl -u leptond -n 20 says why").into());
        }
    }
    say("leptond runs")
}

/// Reports that the person would type `sudo` before the next command, too.
fn of_sudo() -> bool {
    std::env::var_os("SUDO_USER").is_some()
}

/// Reports that the service starts at every boot already.
fn enabled() -> bool {
    let status = Command::new("systemctl").args(["is-enabled", "--quiet", "leptond"]).status();
    status.is_ok_and(|status| status.success())
}
