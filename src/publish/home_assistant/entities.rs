//! The entities of a node: those of its pipelines by what their results are about, and its own.

use serde_json::{Map, Value, json};

use super::component::{Components, Place, Platform};
use super::facts::Facts;
use super::naming::{slug, title, words};
use super::{states, template};
use crate::frame::status::{About, Meter, Subject};
use crate::frame::{Label, LineName, Quantity, ZoneName};
use crate::publish::topics::Topics;

/// A model with no more labels than these gets an entity for each.
const FEW_LABELS: usize = 12;

/// Labels of one pipeline that get entities at most; all are counted in its "objects".
const MOST_LABELS: usize = 32;

/// Labels in zones of one pipeline that get entities at most.
const MOST_ZONED: usize = 64;

/// Labels that get entities where a model has many and the configuration names none: those that people watch for.
const EVERYDAY: [&str; 10] =
    ["person", "bicycle", "car", "motorcycle", "motorbike", "bus", "truck", "bird", "cat", "dog"];

/// Modes of the governor, as the request takes them.
const MODES: [&str; 4] = ["auto", "performance", "quiet", "manual"];

/// States of the governor.
const STATES: [&str; 5] = ["calibrating", "normal", "reduced", "critical", "paused"];

/// Entities of a pipeline that stay as they are while its camera is away: what was read last, what happened, and what tells of the camera
/// itself. All others say something of the present, of which nothing is known then.
const LASTING: [&str; 10] =
    ["reading", "last_read", "snapshot", "active", "event", "source", "fps", "latency", "rung", "model"];

/// Requests that the node obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Controls {
    /// The governor's mode can be chosen.
    pub(super) mode: bool,
    /// Pipelines can be paused.
    pub(super) pause: bool,
}

/// Everything that a node has to show.
pub(super) fn components(facts: &Facts, topics: &Topics, controls: Controls) -> Map<String, Value> {
    let mut all = Components::new(&facts.node);
    for (name, about) in &facts.pipelines {
        Of { name, title: title(name), topics, camera: about.camera, all: &mut all }.everything(about, controls);
    }
    node(facts, topics, controls, &mut all);
    all.finish()
}

/// The entities of the node itself.
fn node(facts: &Facts, topics: &Topics, controls: Controls, all: &mut Components) {
    let (health, governor) = (topics.health(), topics.governor());
    let diagnostic = (Platform::Sensor, Place::Diagnostic);
    let problem = (Platform::BinarySensor, Place::Diagnostic);
    if facts.readings.temperature {
        let keys = json!({
            "state_topic": health, "value_template": template::number(&["soc_celsius"], 0, 1),
            "device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement",
            "suggested_display_precision": 1,
        });
        all.add(None, "temperature", diagnostic, "Processor temperature", keys);
    }
    if facts.readings.load {
        let keys = json!({
            "state_topic": health, "value_template": template::number(&["cpu_percent"], 0, 1), "icon": "mdi:cpu-64-bit",
            "unit_of_measurement": "%", "state_class": "measurement", "suggested_display_precision": 0,
        });
        all.add(None, "load", diagnostic, "Processor load", keys);
    }
    if facts.readings.throttled {
        let template = template::flag(&["throttled", "now"]);
        let keys = json!({ "state_topic": health, "value_template": template, "device_class": "problem" });
        all.add(None, "throttled", problem, "Processor throttled", keys);
    }
    if facts.readings.supply {
        let template = template::flag(&["throttled", "under_voltage"]);
        let keys = json!({ "state_topic": health, "value_template": template, "device_class": "problem" });
        all.add(None, "supply", problem, "Power supply", keys);
    }
    let mut mode = json!({
        "state_topic": governor, "value_template": template::text(&["mode"]), "options": MODES, "icon": "mdi:speedometer",
    });
    if controls.mode {
        mode["command_topic"] = topics.request("governor/set").into();
        mode["command_template"] = r#"{"mode":"{{ value }}"}"#.into();
        all.add(None, "mode", (Platform::Select, Place::Config), "Governor mode", mode);
    } else {
        mode["device_class"] = "enum".into();
        all.add(None, "mode", diagnostic, "Governor mode", mode);
    }
    let state = json!({
        "state_topic": governor, "value_template": template::text(&["state"]), "options": STATES, "device_class": "enum",
        "icon": "mdi:speedometer-slow",
    });
    all.add(None, "governor", diagnostic, "Governor state", state);
    let hidden = (Platform::Sensor, Place::Hidden);
    let memory = json!({
        "state_topic": health, "value_template": template::number(&["rss_bytes"], 6, 1), "device_class": "data_size",
        "unit_of_measurement": "MB", "state_class": "measurement", "suggested_display_precision": 0,
    });
    all.add(None, "memory", hidden, "Memory", memory);
    let dropped = json!({
        "state_topic": health, "value_template": template::integer(&["mqtt", "dropped"]), "state_class": "total_increasing",
        "icon": "mdi:email-off-outline",
    });
    all.add(None, "dropped", hidden, "Messages dropped", dropped);
}

/// One pipeline on its way to entities.
struct Of<'a> {
    name: &'a str,
    title: String,
    topics: &'a Topics,
    camera: bool,
    all: &'a mut Components,
}

impl Of<'_> {
    /// Adds the entity `key`, called by the pipeline's title with `words` behind it.
    fn add(&mut self, key: &str, kind: (Platform, Place), words: &str, mut keys: Value) {
        if self.camera && !LASTING.contains(&key) {
            keys["availability"] = json!([
                { "topic": self.topics.state(), "value_template": states::ONLINE },
                { "topic": self.topics.health(), "value_template": states::idle(self.name, "offline", "online") },
            ]);
            keys["availability_mode"] = "all".into();
        }
        let name = format!("{} {words}", self.title);
        self.all.add(Some(self.name), key, kind, name.trim(), keys);
    }

    fn everything(&mut self, about: &About, controls: Controls) {
        let work = match &about.subject {
            Subject::Class => {
                self.class();
                "classification"
            }
            Subject::Reading(meter) => {
                self.reading(meter);
                "reading"
            }
            Subject::Meter(meter) => {
                self.meter(meter);
                "reading"
            }
            Subject::Objects { labels, chosen } => {
                let labels = shown(labels, *chosen);
                self.objects(&labels);
                self.zones(&about.zones, &labels);
                self.lines(&about.lines);
                "detection"
            }
            Subject::Areas { labels, chosen } => {
                self.areas(&shown(labels, *chosen));
                "segmentation"
            }
            Subject::Text => {
                self.text();
                "text recognition"
            }
            Subject::Anomaly => {
                self.anomaly(false, true);
                "monitoring"
            }
            Subject::Channels { learns } => {
                self.anomaly(true, *learns);
                "monitoring"
            }
            Subject::Positions | Subject::Raw => "inference",
        };
        if !matches!(
            about.subject,
            Subject::Reading(_) | Subject::Meter(_) | Subject::Areas { .. } | Subject::Positions | Subject::Raw
        ) {
            self.event(matches!(about.subject, Subject::Objects { .. }));
        }
        if about.snapshot {
            let keys = json!({ "image_topic": self.topics.snapshot(self.name), "content_type": "image/jpeg" });
            self.add("snapshot", (Platform::Image, Place::Main), "snapshot", keys);
        }
        if controls.pause {
            let keys = json!({
                "command_topic": self.topics.detect_set(self.name), "state_topic": self.topics.detect_state(self.name),
                "payload_on": "ON", "payload_off": "OFF", "icon": "mdi:motion-play-outline",
            });
            self.add("active", (Platform::Switch, Place::Config), work, keys);
        }
        self.diagnostics(!matches!(about.subject, Subject::Channels { .. }));
    }

    fn class(&mut self) {
        let state = self.topics.pipeline_state(self.name);
        let keys =
            json!({ "state_topic": state, "value_template": template::text(&["label"]), "icon": "mdi:shape-outline" });
        self.add("class", (Platform::Sensor, Place::Main), "", keys);
        self.confidence(&state);
    }

    fn confidence(&mut self, state: &str) {
        let keys = json!({
            "state_topic": state, "value_template": states::percent(&["score"]), "unit_of_measurement": "%",
            "state_class": "measurement", "icon": "mdi:percent-outline", "suggested_display_precision": 0,
        });
        self.add("score", (Platform::Sensor, Place::Hidden), "confidence", keys);
    }

    /// The text that is read; unknown where none is certain.
    fn text(&mut self) {
        let state = self.topics.pipeline_state(self.name);
        let keys = json!({
            "state_topic": state, "value_template": template::short_text(&["text"]), "icon": "mdi:text-recognition",
        });
        self.add("text", (Platform::Sensor, Place::Main), "", keys);
        self.confidence(&state);
    }

    /// The class with the largest share of the picture, and the share of each label.
    fn areas(&mut self, labels: &[Label]) {
        let state = self.topics.pipeline_state(self.name);
        let keys = json!({
            "state_topic": state, "value_template": template::first_of("classes", "label"), "icon": "mdi:texture-box",
            "json_attributes_topic": state, "json_attributes_template": template::list("classes"),
        });
        self.add("area", (Platform::Sensor, Place::Main), "largest area", keys);
        for label in labels {
            let keys = json!({
                "state_topic": state, "value_template": template::percent_of("classes", label, "share"),
                "unit_of_measurement": "%", "state_class": "measurement", "icon": "mdi:chart-pie-outline",
                "suggested_display_precision": 0,
            });
            self.add(&label_key(label), (Platform::Sensor, Place::Main), &format!("{} area", words(label)), keys);
        }
    }

    /// The number, when it was read, and a problem where it has not been read for long.
    fn reading(&mut self, meter: &Meter) {
        let shown = format!("{{{{ {{'digits': {} | default(none)}} | tojson }}}}", template::at(&["label"]));
        self.number(meter, template::number(&["value"], meter.decimals, meter.decimals), shown);
        self.last_read(states::unreadable());
    }

    /// The number of a meter with its rate, when it was read, and a problem where it has been held for long.
    fn meter(&mut self, meter: &Meter) {
        let state = self.topics.pipeline_state(self.name);
        let shown = format!(
            "{{{{ {{'digits': {} | default(none), 'problem': {} | default(none)}} | tojson }}}}",
            template::at(&["label"]),
            template::at(&["problem"])
        );
        self.number(meter, template::number(&["value"], 0, meter.decimals), shown);
        let mut keys = json!({
            "state_topic": state, "value_template": template::number(&["rate_per_hour"], 0, 6),
            "state_class": "measurement", "icon": "mdi:speedometer", "suggested_display_precision": 3,
        });
        if let Some((class, unit)) = rate(meter) {
            keys["device_class"] = class.into();
            keys["unit_of_measurement"] = unit.into();
            // The icon follows from the class.
            keys.as_object_mut().and_then(|keys| keys.remove("icon"));
        } else if let Some(unit) = &meter.unit {
            keys["unit_of_measurement"] = format!("{unit}/h").into();
        }
        self.add("rate", (Platform::Sensor, Place::Main), "rate", keys);
        self.last_read(states::held_long());
    }

    /// The number of a meter, taken by `template`, with `attributes`.
    fn number(&mut self, meter: &Meter, template: String, attributes: String) {
        let state = self.topics.pipeline_state(self.name);
        let mut keys = json!({
            "state_topic": state, "value_template": template,
            "state_class": if meter.counts_up { "total_increasing" } else { "measurement" },
            "suggested_display_precision": meter.decimals,
            "json_attributes_topic": state, "json_attributes_template": attributes,
        });
        if let Some(quantity) = meter.quantity {
            keys["device_class"] = device_class(quantity).into();
            // The energy panel takes what counts up; one that may run backwards is a total.
            keys["state_class"] = if meter.feeds_back { "total" } else { "total_increasing" }.into();
        } else {
            keys["icon"] = "mdi:counter".into();
        }
        if let Some(unit) = &meter.unit {
            keys["unit_of_measurement"] = unit.as_str().into();
        }
        self.add("reading", (Platform::Sensor, Place::Main), "", keys);
    }

    /// Time of the last good reading, and a problem as `template` says.
    fn last_read(&mut self, template: String) {
        let state = self.topics.pipeline_state(self.name);
        let keys = json!({
            "state_topic": state, "value_template": template::text(&["last_good_time"]), "device_class": "timestamp",
        });
        self.add("last_read", (Platform::Sensor, Place::Diagnostic), "last read", keys);
        let keys = json!({ "state_topic": state, "value_template": template, "device_class": "problem" });
        self.add("unreadable", (Platform::BinarySensor, Place::Diagnostic), "reading problem", keys);
    }

    /// Presence and number of each label, and the number of all.
    fn objects(&mut self, labels: &[Label]) {
        let state = self.topics.pipeline_state(self.name);
        for label in labels {
            let (key, name, path) = (label_key(label), words(label), ["counts", label.as_ref()]);
            let keys = json!({ "state_topic": state, "value_template": template::present(&path), "device_class": "occupancy" });
            self.add(&key, (Platform::BinarySensor, Place::Main), &name, keys);
            let keys = counted(&state, template::count(&path));
            self.add(&format!("{key}_count"), (Platform::Sensor, Place::Main), &format!("{name} count"), keys);
        }
        let mut keys = counted(&state, template::total(&["counts"]));
        keys["json_attributes_topic"] = state.into();
        keys["json_attributes_template"] = template::object(&["counts"]).into();
        self.add("objects", (Platform::Sensor, Place::Main), "objects", keys);
    }

    /// Presence of anything, and of each label, in each zone.
    fn zones(&mut self, zones: &[ZoneName], labels: &[Label]) {
        let state = self.topics.pipeline_state(self.name);
        let occupancy =
            |template| json!({ "state_topic": state, "value_template": template, "device_class": "occupancy" });
        let kind = (Platform::BinarySensor, Place::Main);
        for zone in zones {
            let keys = occupancy(template::any(&["zones", zone]));
            self.add(&format!("zone_{}", slug(zone)), kind, &format!("{} zone", words(zone)), keys);
        }
        let each = zones.iter().flat_map(|zone| labels.iter().map(move |label| (zone, label)));
        for (zone, label) in each.take(MOST_ZONED) {
            let keys = occupancy(template::present(&["zones", zone, label]));
            let key = format!("zone_{}_{}", slug(zone), label_key(label));
            self.add(&key, kind, &format!("{} {}", words(zone), words(label)), keys);
        }
    }

    /// Crossings of each line, to each side.
    fn lines(&mut self, lines: &[LineName]) {
        let state = self.topics.pipeline_state(self.name);
        for line in lines {
            for direction in ["forward", "backward"] {
                let keys = json!({
                    "state_topic": state, "value_template": template::total_of(&["lines", line], direction),
                    "state_class": "total_increasing", "icon": "mdi:swap-horizontal",
                    "json_attributes_topic": state, "json_attributes_template": template::object(&["lines", line]),
                });
                let key = format!("line_{}_{direction}", slug(line));
                self.add(&key, (Platform::Sensor, Place::Main), &format!("{} {direction}", words(line)), keys);
            }
        }
    }

    /// An anomaly of the whole, or of single `channels`; `learns`: it has a distance, which is learnt first.
    fn anomaly(&mut self, channels: bool, learns: bool) {
        let state = self.topics.pipeline_state(self.name);
        let attributes = if channels { template::channels("channels") } else { template::list("channels") };
        let keys = json!({
            "state_topic": state, "value_template": template::flag(&["anomalous"]), "device_class": "problem",
            "json_attributes_topic": state, "json_attributes_template": attributes,
        });
        self.add("anomaly", (Platform::BinarySensor, Place::Main), "anomaly", keys);
        if !learns {
            return;
        }
        let keys = json!({
            "state_topic": state, "value_template": template::number(&["score"], 0, 4), "state_class": "measurement",
            "icon": "mdi:chart-bell-curve",
        });
        let words = if channels { "distance" } else { "anomaly score" };
        self.add("score", (Platform::Sensor, Place::Diagnostic), words, keys);
        let keys = json!({
            "state_topic": state, "value_template": template::flag(&["calibrating"]), "device_class": "running",
        });
        self.add("calibrating", (Platform::BinarySensor, Place::Diagnostic), "learning", keys);
    }

    fn event(&mut self, motion: bool) {
        // Home Assistant wants the type under a name of its own, and takes the rest as attributes.
        let template = "{% set e = value_json | default({}, true) %}\
                        {{ (dict(e, event_type=e.type) | tojson) if e is mapping and e.type is string else '' }}";
        let mut keys = json!({
            "state_topic": self.topics.event(self.name), "value_template": template, "event_types": ["new", "update", "end"],
            "qos": 1,
        });
        if motion {
            keys["device_class"] = "motion".into();
        }
        self.add("event", (Platform::Event, Place::Main), "event", keys);
    }

    fn diagnostics(&mut self, has_model: bool) {
        let name = self.name;
        let (health, governor, info) = (self.topics.health(), self.topics.governor(), self.topics.info());
        let diagnostic = (Platform::Sensor, Place::Diagnostic);
        let keys = json!({
            "state_topic": health, "value_template": states::idle(name, "ON", "OFF"), "device_class": "problem",
            "json_attributes_topic": health, "json_attributes_template": states::reason(name),
        });
        self.add("source", (Platform::BinarySensor, Place::Diagnostic), "source", keys);
        let keys = json!({
            "state_topic": health, "value_template": template::number(&["pipelines", name, "fps"], 0, 1),
            "unit_of_measurement": "fps", "state_class": "measurement", "icon": "mdi:timer-outline",
            "suggested_display_precision": 1,
        });
        self.add("fps", diagnostic, "rate", keys);
        let keys = json!({
            "state_topic": health, "value_template": template::number(&["pipelines", name, "latency_ms", "p95"], 0, 1),
            "device_class": "duration", "unit_of_measurement": "ms", "state_class": "measurement",
            "suggested_display_precision": 0,
        });
        self.add("latency", diagnostic, "latency", keys);
        let keys = json!({
            "state_topic": governor, "value_template": template::integer(&["pipelines", name, "rung"]),
            "json_attributes_topic": governor, "json_attributes_template": template::object(&["pipelines", name]),
            "icon": "mdi:stairs",
        });
        self.add("rung", diagnostic, "rung", keys);
        if !has_model {
            return;
        }
        // Without a way to install one, the version that runs is the latest that is known.
        let keys = json!({ "state_topic": info, "value_template": states::version(name) });
        self.add("model", (Platform::Update, Place::Diagnostic), "model", keys);
    }
}

/// The labels that get entities.
fn shown(labels: &[Label], chosen: bool) -> Vec<Label> {
    let everyday = |label: &&Label| chosen || labels.len() <= FEW_LABELS || EVERYDAY.contains(&label.as_ref());
    labels.iter().filter(everyday).take(MOST_LABELS).cloned().collect()
}

fn label_key(label: &str) -> String {
    format!("label_{}", slug(label))
}

fn counted(state: &str, template: String) -> Value {
    json!({ "state_topic": state, "value_template": template, "state_class": "measurement", "icon": "mdi:counter" })
}

/// The energy panel takes heat as it does electricity.
fn device_class(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Water => "water",
        Quantity::Gas => "gas",
        Quantity::Electricity | Quantity::Heat => "energy",
        // Home Assistant has no class for oil.
        Quantity::Oil => "volume",
    }
}

/// Device class and unit of a meter's rate, where Home Assistant knows them.
fn rate(meter: &Meter) -> Option<(&'static str, &'static str)> {
    Some(match meter.unit.as_deref()? {
        "m³" => ("volume_flow_rate", "m³/h"),
        "kWh" => ("power", "kW"),
        "Wh" => ("power", "W"),
        "MWh" => ("power", "MW"),
        _ => return None,
    })
}
