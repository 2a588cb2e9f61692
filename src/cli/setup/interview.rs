//! The questions in their order. A flag answers its question; without a terminal, defaults do.

use std::path::{Path, PathBuf};

use super::models::{Chosen, DIGITS};
use super::session::{Interview, stopped};
use super::sources::Origin;
use super::{Args, Failure, broker, present};
use crate::config::Config;
use crate::credentials;
use crate::diagnose::look::Seen;
use crate::frame::{NodeName, PipelineName};
use crate::install::answers::{self, Answers, Broker, Pipeline, Work};
use crate::publish::{TlsConfig, Transport, topics};
use crate::source;

/// Ways to go on where something does not work.
const AT_A_FAULT: [&str; 3] = ["change the answer", "go on all the same", "stop"];

/// Answers to all questions.
#[derive(Debug)]
pub struct Told {
    /// For the configuration.
    pub answers: Answers,
    /// A new password, never for the configuration.
    pub password: Option<String>,
    /// A pipeline of the same name may be changed.
    pub replace: bool,
    /// The model is installed; after a dry run it may not be.
    pub model_here: bool,
}

impl Interview<'_> {
    /// Asks everything.
    ///
    /// # Errors
    /// A flag that makes no sense, a broker or source that does not work where nobody can be asked what to do, or a person
    /// who went away.
    pub fn hold(&mut self, given: Option<String>) -> Result<Told, Failure> {
        if parts_only(self.args, self.present, self.ask.is_some()) {
            return self.parts(given);
        }
        let node = self.node()?;
        let (broker, password) = self.broker(node.as_deref(), given)?;
        let Origin { config, keys, seen, name } = self.source()?;
        let Assigned { work, replace, model_here } = self.work(config, keys, &seen, &name)?;
        let page = self.page()?;
        let answers = Answers { node, broker: Some(broker), page, work: Some(work) };
        Ok(Told { answers, password, replace, model_here })
    }

    /// Answers of a few flags by themselves; all else stays as it is.
    fn parts(&mut self, given: Option<String>) -> Result<Told, Failure> {
        let args = self.args;
        let node = if args.node.is_some() { self.node()? } else { None };
        let (broker, password) = if names_broker(args) {
            let (broker, password) = self.broker(node.as_deref(), given)?;
            (Some(broker), password)
        } else {
            (None, None)
        };
        let answers = Answers { node, broker, page: args.page, work: None };
        Ok(Told { answers, password, replace: false, model_here: true })
    }

    /// The pipeline or meter for a source.
    fn work(
        &mut self,
        config: source::Config,
        keys: Vec<String>,
        seen: &Seen,
        name: &str,
    ) -> Result<Assigned, Failure> {
        let of_meter = |(meter, replace)| Assigned { work: Work::Meter(meter), replace, model_here: true };
        if let Some(photo) = &self.args.photo
            && let Some(meter) = self.meter(photo, &config, &keys, seen)?
        {
            return Ok(of_meter(meter));
        }
        let Chosen { choice: model, here: model_here } = self.model(&config, seen)?;
        if model.name == DIGITS {
            if let Some(meter) = self.meter_of_picture(&config, &keys, seen)? {
                return Ok(of_meter(meter));
            }
        } else if let Some(flag) = flag_of_meter(self.args) {
            return Err(Failure::Usage(format!("{flag} is for a meter: with --photo, or --model {DIGITS}")));
        }
        let (name, replace) = self.name(name)?;
        let (labels, min_score) = self.objects(&model)?;
        let learn_s = if model.is_baseline { self.learning()? } else { None };
        let keep_regions = self.keeps_regions(&name, &model.name, &config);
        let (source, source_keys) = with_window(config, keys, model.rows);
        let model = (!model.is_baseline).then_some(model.name);
        let pipeline = Pipeline { name, model, learn_s, source, source_keys, keep_regions, labels, min_score };
        Ok(Assigned { work: Work::Pipeline(pipeline), replace, model_here })
    }

    /// True where the regions of the pipeline that is changed are places in the same pictures, for the same model; tells of it where they
    /// are not.
    fn keeps_regions(&mut self, name: &str, model: &str, source: &source::Config) -> bool {
        let Some(old) = self.present.pipelines.iter().find(|old| old.name == name) else { return false };
        let count = old.preprocess.regions.len();
        let before = self.present.source_of(&old.source);
        if old.model_name() == model && before.is_some_and(|before| present::same_pictures(before, source)) {
            return true;
        }
        if count > 0 {
            self.tell(&format!(
                "warning: the {count} regions of pipeline {name:?} are dropped, its pictures or its model are others now"
            ));
        }
        false
    }

    /// True where the page is to be turned on.
    fn page(&mut self) -> Result<bool, Failure> {
        if self.args.page || self.present.page.enabled {
            return Ok(self.args.page);
        }
        let prompt = format!("Turn on the page for browsers at {}?", self.page_address());
        match self.ask.as_mut() {
            Some(ask) => ask.confirm(&prompt, true),
            None => Ok(false),
        }
    }

    /// Address of the page, on or off.
    pub(super) fn page_address(&self) -> String {
        present::page_address(self.present)
    }

    fn node(&mut self) -> Result<Option<String>, Failure> {
        let check =
            |name: &str| NodeName::new(name).map(drop).map_err(|error| Failure::Usage(format!("--node: {error}")));
        if let Some(name) = &self.args.node {
            check(name)?;
            return Ok(Some(name.clone()));
        }
        let Some(ask) = self.ask.as_mut() else { return Ok(None) };
        let default = self.present.node.name_or_default(self.args.root.as_deref().unwrap_or(Path::new("/")));
        loop {
            let name = ask.text("Name of this computer in topics", Some(&default))?;
            match NodeName::new(&name) {
                // The default of a computer without a name follows its machine id; it is not written down.
                Ok(name) => {
                    let written = self.present.node.name.is_some() || name != default;
                    return Ok(written.then(|| name.to_string()));
                }
                Err(error) => ask.tell(&error.to_string()),
            }
        }
    }

    fn broker(&mut self, node: Option<&str>, given: Option<String>) -> Result<(Broker, Option<String>), Failure> {
        let mqtt = &self.present.mqtt;
        let args = self.args;
        let ca_file = args.tls_ca.clone().or_else(|| mqtt.tls.as_ref().and_then(|tls| tls.ca_file.clone()));
        let fallback = topics::default_node(Path::new("/"));
        let node = node.unwrap_or(match &self.present.node.name {
            Some(name) if !mqtt.prefix.is_empty() => name,
            _ => &fallback,
        });
        let mut first = args.broker.clone();
        let mut typed: Option<String> = None;
        let mut password = given;
        // As at the question: a name that MQTT does not know is no name.
        let flag = args.username.clone().map(|name| if name == "-" { String::new() } else { name });
        let mut username = flag.unwrap_or_else(|| mqtt.username.clone());
        loop {
            let address = match (first.take(), self.ask.as_mut()) {
                (Some(address), _) => address,
                (None, None) => shown(&mqtt.host, mqtt.port),
                (None, Some(ask)) => {
                    let default = if let Some(typed) = &typed {
                        Some(typed.clone())
                    } else if !present::names_broker(self.text) {
                        ask.tell("looking for a broker on this computer and at homeassistant.local …");
                        broker::suggestion().map(|(host, port)| shown(&host, port))
                    } else {
                        Some(shown(&mqtt.host, mqtt.port))
                    };
                    ask.text("MQTT broker, HOST or HOST:PORT", default.as_deref())?
                }
            };
            typed = Some(address.clone());
            let (host, port) = match (answers::broker_address(&address, ca_file.is_some()), self.ask.as_mut()) {
                (Ok(address), _) => address,
                (Err(reason), Some(ask)) => {
                    ask.tell(&reason);
                    continue;
                }
                (Err(reason), None) => return Err(Failure::Usage(format!("--broker: {reason}"))),
            };
            if let Some(ask) = self.ask.as_mut() {
                // A name that is not found needs no password.
                if !args.untested
                    && mqtt.transport != Transport::Unix
                    && let Err(reason) = broker::answers(&host, port)
                {
                    ask.tell(&format!("broker {}: {reason}", shown(&host, port)));
                    match ask.choose("What now?", &AT_A_FAULT.map(str::to_owned), 0)? {
                        0 => continue,
                        1 => {}
                        _ => return Err(stopped()),
                    }
                }
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
            let wanted = |file: &PathBuf| !username.is_empty() && file != Path::new(credentials::CREDENTIAL);
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
                    match ask.choose("What now?", &AT_A_FAULT.map(str::to_owned), 0)? {
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
            let kept = Path::new(credentials::KEPT);
            credentials::as_the_service(&mut mqtt, credentials::is_of_service(self.file), kept);
        }
        if let Some(ca_file) = broker.ca_file.clone() {
            mqtt.tls = Some(TlsConfig { ca_file: Some(ca_file), ..mqtt.tls.take().unwrap_or_default() });
        } else {
            // Without a file of its own it is encrypted only with the system's authorities.
            mqtt.tls = mqtt.tls.take().filter(|tls| tls.ca_file.is_none());
        }
        mqtt
    }

    pub(super) fn name(&mut self, default: &str) -> Result<(String, bool), Failure> {
        let again = self.again;
        let taken = |name: &str| again != Some(name) && self.present.pipelines.iter().any(|p| p.name == name);
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
            let name = ask.text("Name of the pipeline in topics", Some(again.unwrap_or(default)))?;
            if let Err(error) = PipelineName::new(&name) {
                ask.tell(&error.to_string());
            } else if !taken(&name) || args.replace {
                return Ok((name, args.replace));
            } else if ask.confirm(&format!("There is a pipeline {name:?}. Change it?"), true)? {
                return Ok((name, true));
            }
        }
    }
}

/// Work as it was told.
struct Assigned {
    work: Work,
    replace: bool,
    model_here: bool,
}

/// True for flags that change a part of a configuration that has its work already: with nobody to ask, whatever they say; a person
/// is asked all the rest, but for a name or the page.
pub(super) fn parts_only(args: &Args, present: &Config, asks: bool) -> bool {
    let work = !args.source.is_empty()
        || [&args.model, &args.name, &args.meter_region].iter().any(|flag| flag.is_some())
        || args.photo.is_some()
        || args.baseline
        || !args.labels.is_empty()
        || args.min_score.is_some()
        || flag_of_meter(args).is_some();
    if work || present.pipelines.is_empty() {
        return false;
    }
    if names_broker(args) { !asks } else { args.node.is_some() || args.page }
}

/// True for flags that say something of the broker.
fn names_broker(args: &Args) -> bool {
    args.broker.is_some()
        || args.username.is_some()
        || args.password_file.is_some()
        || args.password_stdin
        || args.tls_ca.is_some()
}

/// The first flag that only a meter has.
fn flag_of_meter(args: &Args) -> Option<&'static str> {
    let flags = [
        (args.kind.is_some(), "--kind"),
        (args.unit.is_some(), "--unit"),
        (args.decimals.is_some(), "--decimals"),
        (args.digits.is_some(), "--digits"),
    ];
    flags.into_iter().find(|(given, _)| *given).map(|(_, flag)| flag)
}

fn shown(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
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
