//! The questions in their order. A flag answers its question; where nobody can be asked, defaults do.

use std::path::{Path, PathBuf};

use super::super::capture::source_of_pairs;
use super::super::probe::gather::{self, Report};
use super::answers::{self, Answers, Broker, Pipeline};
use super::questions::Ask;
use super::{Args, Failure, broker, password, probe};
use crate::board::LinuxBoard;
use crate::config::Config;
use crate::publish::{TlsConfig, topics};
use crate::source;

/// The model that is asked where the digits are.
const DIGITS: &str = "leptonnet-digits";

/// One run of the questions.
pub struct Interview<'a> {
    /// The flags.
    pub args: &'a Args,
    /// The person, where there is one.
    pub ask: Option<&'a mut dyn Ask>,
    /// The configuration as it is.
    pub present: &'a Config,
    /// Its file.
    pub file: &'a Path,
}

/// What came of it.
#[derive(Debug)]
pub struct Told {
    /// For the configuration.
    pub answers: Answers,
    /// A new password, never for the configuration.
    pub password: Option<String>,
    /// A pipeline of the same name may be changed.
    pub replace: bool,
}

impl Interview<'_> {
    /// Asks everything.
    ///
    /// # Errors
    /// A flag that makes no sense, a broker or source that does not work where nobody can be asked what to do, or a person
    /// who went away.
    pub fn hold(&mut self, given: Option<String>) -> Result<Told, Failure> {
        let node = self.node()?;
        let (broker, password) = self.broker(node.as_deref(), given)?;
        let (source, source_keys, seen, name) = self.source()?;
        let model = self.model(&source)?;
        let regions = if model.name == DIGITS { self.regions(&seen)? } else { Vec::new() };
        let (source, source_keys) = with_window(source, source_keys, model.rows);
        let (name, replace) = self.name(name)?;
        let pipeline = Pipeline { name, model: model.name, source, source_keys, regions };
        Ok(Told { answers: Answers { node, broker, pipeline }, password, replace })
    }

    fn tell(&mut self, text: &str) {
        match self.ask.as_mut() {
            Some(ask) => ask.tell(text),
            None => eprintln!("{text}"),
        }
    }

    fn node(&mut self) -> Result<Option<String>, Failure> {
        let check = |name: &str| topics::check_node(name).map_err(|error| Failure::Usage(format!("--node: {error}")));
        if let Some(name) = &self.args.node {
            check(name)?;
            return Ok(Some(name.clone()));
        }
        let Some(ask) = self.ask.as_mut() else { return Ok(None) };
        let default = match self.present.node.name.as_str() {
            "" => topics::default_node(self.args.root.as_deref().unwrap_or(Path::new("/"))),
            name => name.to_owned(),
        };
        loop {
            let name = ask.text("Name of this computer in topics", Some(&default))?;
            match topics::check_node(&name) {
                // The default follows the machine id; it is not written down.
                Ok(()) => return Ok((name != default).then_some(name)),
                Err(error) => ask.tell(&error.to_string()),
            }
        }
    }

    fn broker(&mut self, node: Option<&str>, given: Option<String>) -> Result<(Broker, Option<String>), Failure> {
        let mqtt = &self.present.mqtt;
        let args = self.args;
        let ca_file = args.tls_ca.clone().or_else(|| mqtt.tls.as_ref().map(|tls| tls.ca_file.clone()));
        let fallback = topics::default_node(Path::new("/"));
        let node = node.unwrap_or(if mqtt.prefix.is_empty() || self.present.node.name.is_empty() {
            &fallback
        } else {
            &self.present.node.name
        });
        let mut first = args.broker.clone();
        let mut password = given;
        let mut username = args.username.clone().unwrap_or_else(|| mqtt.username.clone());
        loop {
            let address = match (first.take(), self.ask.as_mut()) {
                (Some(address), _) => address,
                (None, None) => shown(&mqtt.host, mqtt.port),
                (None, Some(ask)) => {
                    let default = if self.present.pipelines.is_empty() || *mqtt == Default::default() {
                        ask.tell("looking for a broker on this computer and at homeassistant.local …");
                        broker::suggestion().map(|(host, port)| shown(&host, port))
                    } else {
                        Some(shown(&mqtt.host, mqtt.port))
                    };
                    ask.text("MQTT broker, HOST or HOST:PORT", default.as_deref())?
                }
            };
            let (host, port) = match (answers::broker_address(&address, ca_file.is_some()), self.ask.as_mut()) {
                (Ok(address), _) => address,
                (Err(reason), Some(ask)) => {
                    ask.tell(&reason);
                    continue;
                }
                (Err(reason), None) => return Err(Failure::Usage(format!("--broker: {reason}"))),
            };
            if let Some(ask) = self.ask.as_mut() {
                if args.username.is_none() {
                    let prompt = "User name at the broker (\"-\" for none)";
                    username = ask.text(prompt, Some(if username.is_empty() { "-" } else { &username }))?;
                    if username == "-" {
                        username.clear();
                    }
                }
                if !username.is_empty() && args.password_file.is_none() && !args.password_stdin {
                    let typed = ask.secret("Password (not shown; empty: as it is)")?;
                    password = Some(typed).filter(|p| !p.is_empty());
                }
            }
            if username.is_empty() && password.is_some() {
                return Err(Failure::Usage("a password needs --username: MQTT knows none without a user name".into()));
            }
            // A credential of the service needs no key.
            let wanted = |file: &PathBuf| !username.is_empty() && file != Path::new(password::CREDENTIAL);
            let password_file = mqtt.password_file.clone().filter(wanted);
            let chosen = Broker { host, port, username: username.clone(), password_file, ca_file: ca_file.clone() };
            if args.untested {
                return Ok((chosen, password));
            }
            let at = shown(&chosen.host, chosen.port);
            match broker::test(&self.trial(&chosen, password.as_deref()), node) {
                Ok(()) => {
                    self.tell(&format!("broker {at}: connected, subscribed, and a message came back"));
                    return Ok((chosen, password));
                }
                Err(reason) => {
                    let Some(ask) = self.ask.as_mut() else {
                        return Err(anyhow::anyhow!("broker {at}: {reason}; --untested writes it all the same").into());
                    };
                    ask.tell(&format!("broker {at}: {reason}"));
                    let items = ["change the answer", "go on all the same", "stop"].map(str::to_owned);
                    match ask.choose("What now?", &items, 0)? {
                        0 => {}
                        1 => return Ok((chosen, password)),
                        _ => return Err(stopped()),
                    }
                }
            }
        }
    }

    /// The connection as the daemon would make it, with a password that the daemon may not have yet.
    fn trial(&self, broker: &Broker, password: Option<&str>) -> crate::publish::Config {
        let mut mqtt = self.present.mqtt.clone();
        (mqtt.host, mqtt.port) = (broker.host.clone(), broker.port);
        mqtt.username.clone_from(&broker.username);
        if let Some(password) = password {
            mqtt.password = password.to_owned();
            mqtt.password_file = None;
        } else if broker.username.is_empty() {
            mqtt.password.clear();
            mqtt.password_file = None;
        } else {
            let kept = Path::new(password::KEPT);
            password::as_the_service(&mut mqtt, password::is_of_service(self.file), kept);
        }
        mqtt.tls = broker.ca_file.clone().map(|ca_file| match mqtt.tls.take() {
            Some(tls) => TlsConfig { ca_file, ..tls },
            None => TlsConfig { ca_file, cert_file: None, key_file: None },
        });
        mqtt
    }

    #[allow(clippy::type_complexity, reason = "four answers of one question")]
    fn source(&mut self) -> Result<(source::Config, Vec<String>, probe::Seen, &'static str), Failure> {
        let root = self.args.root.as_deref();
        let mut flag = (!self.args.source.is_empty()).then(|| self.args.source.clone());
        let mut offers = None;
        loop {
            let mut name = "main";
            let words = match (flag.take(), self.ask.as_mut()) {
                (Some(words), _) => words,
                (None, None) => return Err(Failure::Usage("--source is missing".into())),
                (None, Some(ask)) => {
                    let (offers, absent) = offers.get_or_insert_with(|| {
                        probe::sources(&Report::gather(&mut LinuxBoard::new(gather::roots(root)), root))
                    });
                    for line in absent.iter() {
                        ask.tell(&format!("absent: {line}"));
                    }
                    ask.tell("sources of this board:");
                    let labels: Vec<String> = offers.iter().map(|offer| offer.label.clone()).collect();
                    let Some(offer) = offers.get(ask.choose("Source", &labels, 0)?) else { continue };
                    name = offer.name;
                    let mut pairs = offer.pairs.clone();
                    if pairs == ["type=rtsp"] {
                        pairs.push(format!("url={}", ask.text("Address, rtsp://…", None)?));
                    }
                    pairs
                }
            };
            let checked = answers::source_pairs(&words)
                .and_then(|pairs| source_of_pairs(&pairs).map(|config| (config, keys(&pairs))));
            let (config, keys) = match (checked, self.ask.as_mut()) {
                (Ok(checked), _) => checked,
                (Err(reason), Some(ask)) => {
                    ask.tell(&reason);
                    continue;
                }
                (Err(reason), None) => return Err(Failure::Usage(format!("--source: {reason}"))),
            };
            // A copy of another machine has no devices that could be opened.
            if self.args.untested || root.is_some() {
                return Ok((config, keys, probe::Seen::default(), name));
            }
            self.tell("trying it …");
            match probe::look(&config, gather::roots(None)) {
                Ok(seen) => {
                    self.tell(&seen.what);
                    return Ok((config, keys, seen, name));
                }
                Err(reason) => {
                    let reason = crate::config::redact(&reason);
                    let Some(ask) = self.ask.as_mut() else {
                        return Err(anyhow::anyhow!(
                            "the source gives nothing: {reason}; --untested writes it all the same"
                        )
                        .into());
                    };
                    ask.tell(&format!("it gives nothing: {reason}"));
                    let items = ["choose again", "go on all the same", "stop"].map(str::to_owned);
                    match ask.choose("What now?", &items, 0)? {
                        0 => {}
                        1 => return Ok((config, keys, probe::Seen::default(), name)),
                        _ => return Err(stopped()),
                    }
                }
            }
        }
    }

    fn model(&mut self, source: &source::Config) -> Result<probe::Choice, Failure> {
        let dirs = &self.present.models.dirs;
        if let Some(name) = &self.args.model {
            return probe::model(name, dirs).ok_or_else(|| {
                let known: Vec<String> = probe::models(source, dirs).into_iter().map(|c| c.name).collect();
                Failure::Usage(format!(
                    "--model: there is no model {name:?} that can be opened; for this source there are {}",
                    known.join(", ")
                ))
            });
        }
        let mut choices = probe::models(source, dirs);
        let Some(ask) = self.ask.as_mut() else { return Err(Failure::Usage("--model is missing".into())) };
        ask.tell("models for it:");
        let labels: Vec<String> = choices.iter().map(|c| c.label.clone()).collect();
        if labels.is_empty() {
            return Err(anyhow::anyhow!("no model that is installed takes what this source gives").into());
        }
        let index = ask.choose("Model", &labels, 0)?;
        Ok(choices.swap_remove(index))
    }

    fn regions(&mut self, seen: &probe::Seen) -> Result<Vec<[u32; 4]>, Failure> {
        if let Some(text) = &self.args.meter_region {
            let row = answers::row(text, seen.picture).map_err(|e| Failure::Usage(format!("--meter-region: {e}")))?;
            let digits = self.args.digits.unwrap_or(1);
            return answers::regions(row, digits).map_err(|e| Failure::Usage(format!("--digits: {e}")));
        }
        let Some(ask) = self.ask.as_mut() else {
            eprintln!("no --meter-region: the whole picture is taken as one digit");
            return Ok(Vec::new());
        };
        if let Some(jpeg) = &seen.jpeg {
            match probe::save(jpeg) {
                Ok(path) => ask.tell(&format!(
                    "a picture is in {}: copy it (scp) and look where the row of digits begins and how large it is",
                    path.display()
                )),
                Err(reason) => ask.tell(&format!("no picture could be saved: {reason}")),
            }
        }
        loop {
            let text =
                ask.text("Whole row of digits, x,y,width,height in pixels (\"-\": one digit fills the picture)", None)?;
            if text.trim() == "-" {
                return Ok(Vec::new());
            }
            let digits = ask.text("How many digits", Some("5"))?;
            let boxes = answers::row(&text, seen.picture).and_then(|row| {
                let digits = digits.trim().parse().map_err(|_| format!("{digits:?} is not a number"))?;
                answers::regions(row, digits)
            });
            match boxes {
                Ok(boxes) => return Ok(boxes),
                Err(reason) => ask.tell(&reason),
            }
        }
    }

    fn name(&mut self, default: &str) -> Result<(String, bool), Failure> {
        let taken = |name: &str| self.present.pipelines.iter().any(|p| p.name == name);
        let args = self.args;
        if let Some(name) = &args.name {
            let sure = match self.ask.as_mut() {
                Some(ask) if taken(name) && !args.replace => {
                    ask.confirm(&format!("There is a pipeline {name:?}. Change it?"), false)?
                }
                _ => args.replace,
            };
            return Ok((name.clone(), sure));
        }
        let Some(ask) = self.ask.as_mut() else { return Ok((default.to_owned(), args.replace)) };
        loop {
            let name = ask.text("Name of the pipeline in topics", Some(default))?;
            let good =
                (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            if !good {
                ask.tell("1 to 64 characters out of a-z A-Z 0-9 _ -");
            } else if !taken(&name) || args.replace {
                return Ok((name, args.replace));
            } else if ask.confirm(&format!("There is a pipeline {name:?}. Change it?"), true)? {
                return Ok((name, true));
            }
        }
    }
}

fn stopped() -> Failure {
    anyhow::anyhow!("stopped; nothing was changed").into()
}

fn shown(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The keys of pairs, but `type`.
fn keys(pairs: &[String]) -> Vec<String> {
    let keys = pairs.iter().filter_map(|pair| pair.split_once('=')).map(|(key, _)| key.trim().to_owned());
    keys.filter(|key| key != "type").collect()
}

/// A sensor's window as the model takes it.
fn with_window(
    mut source: source::Config,
    mut keys: Vec<String>,
    rows: Option<usize>,
) -> (source::Config, Vec<String>) {
    if let (source::Config::Sensor(sensor), Some(rows)) = (&mut source, rows.and_then(|rows| u32::try_from(rows).ok()))
        && !keys.iter().any(|key| key == "window")
    {
        sensor.window = rows;
        keys.push("window".into());
    }
    (source, keys)
}
