//! Sense across keys: checks beyond the schema that need no look at the disk.

mod sources;
pub(super) mod tiles;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::findings::Findings;
use super::problem::{Problem, quoted};
use super::{Config, PipelineConfig};
use crate::frame::PixelFormat;
#[cfg(feature = "fleet")]
use crate::frame::diagnostic::Diagnostic;
use crate::frame::names::NameKind;
use crate::pipeline::Input;
use crate::preprocess::{self, Region};
use crate::publish::PublishError;
use crate::publish::mqtt::check_way;
use crate::publish::requests::Verb;
use crate::source::Frames;
use crate::telemetry::{self, TelemetryError};
use leptond_governor::Mode;

impl Config {
    /// Checks keys against each other. Looks at nothing but the values.
    pub fn check(&self) -> Findings {
        let mut f = Findings::default();
        self.check_log(&mut f);
        self.check_mqtt(&mut f);
        f.take("page", self.page.check());
        self.check_governor(&mut f);
        #[cfg(feature = "fleet")]
        self.check_fleet(&mut f);
        if self.pipelines.is_empty() && !self.assists() {
            f.problem(
                Problem::new("pipeline", "there is no pipeline: nothing would be done")
                    .help("add [[pipeline]] with name, model and [pipeline.source], or [[meter]]"),
            );
        }
        sources::check(self, &mut f);
        for (i, meter) in self.meters.iter().enumerate() {
            f.take(&format!("meter[{i}]"), meter.check());
        }
        let mut names: HashMap<&str, usize> = HashMap::new();
        for (i, pipeline) in self.pipelines.iter().enumerate() {
            let at = |key: &str| format!("pipeline[{i}].{key}");
            if let Some(first) = names.insert(&pipeline.name, i) {
                f.problem(Problem::new(at("name"), "the name is taken").found(quoted(&pipeline.name)).allowed(
                    format!("a name of its own: {} has this one", self.written_path(&format!("pipeline[{first}]"))),
                ));
            }
            // Crops have the size of what was detected.
            let frames = match &pipeline.source {
                Input::Crops(_) => Some(CROPS),
                input => self.source_of(input).map(|source| source.kind().frames()),
            };
            let given = frames.unwrap_or(CROPS);
            each_table(pipeline, &at, &mut |preprocess, at| check_regions(preprocess, given, at, &mut f));
            tiles::check_tiles(pipeline, given, &at, &mut f);
            if let Frames::Pictures { size: Some(size), .. } = given {
                check_reach(pipeline, size, &at, &mut f);
            }
            f.take(&format!("pipeline[{i}]"), pipeline.events().check());
            check_motion(pipeline, frames.unwrap_or(CROPS), &at, &mut f);
            f.take(&at("task"), pipeline.task.check(pipeline.preprocess.regions.len()));
            check_pace(pipeline, &at, &mut f);
        }
        f
    }

    #[cfg(feature = "fleet")]
    fn check_fleet(&self, f: &mut Findings) {
        let Some(fleet) = &self.fleet else { return };
        f.take("fleet", fleet.check());
        if fleet.offload && !self.pipelines.iter().any(|pipeline| pipeline.offload) {
            f.take(
                "fleet",
                vec![Diagnostic::warning("offload", "has no effect: there is no pipeline that may be given away")],
            );
        }
        if fleet.assist && self.pipelines.is_empty() && fleet.models.is_empty() {
            f.problem(
                Problem::new("fleet.models", "there is neither a pipeline nor a model: nothing would be computed")
                    .help("fleet.models = [\"NAME or PATH of a model\"]"),
            );
        }
    }

    fn check_log(&self, f: &mut Findings) {
        if let Err(TelemetryError::Level { found, reason }) = telemetry::check_level(&self.log.level) {
            f.problem(
                Problem::new("log.level", "not a log level or filter")
                    .found(quoted(&found))
                    .help(reason)
                    .allowed("off, error, warn, info, debug, trace, or a filter such as info,leptond::source=debug"),
            );
        }
    }

    fn check_mqtt(&self, f: &mut Findings) {
        let mqtt = &self.mqtt;
        if let Some((_, rest)) = mqtt.host.split_once("://") {
            f.problem(
                Problem::new("mqtt.host", "a name or address is wanted, not a URL")
                    .found(quoted(&super::secret::redact(&mqtt.host)))
                    .help(format!("write host = {:?}; port and [mqtt.tls] are keys of their own", bare_host(rest))),
            );
        } else if mqtt.host.parse::<IpAddr>().is_err() && mqtt.host.contains([':', '/', '@', ' ', '\t']) {
            f.problem(
                Problem::new("mqtt.host", "not a host name or address")
                    .found(quoted(&super::secret::redact(&mqtt.host)))
                    .allowed("a name or an IP address; the port goes into mqtt.port"),
            );
        }
        if let Err(error) = NameKind::Prefix.check(&mqtt.prefix) {
            f.problem(Problem::new("mqtt.prefix", error.reason).found(quoted(&mqtt.prefix)));
        }
        let home_assistant = &mqtt.home_assistant;
        for (key, topic) in [("prefix", &home_assistant.prefix), ("status_topic", &home_assistant.status_topic)] {
            // An empty status topic is the usual one.
            if (key == "prefix" || !topic.is_empty())
                && let Err(error) = NameKind::Prefix.check(topic)
            {
                f.problem(Problem::new(format!("mqtt.home_assistant.{key}"), error.reason).found(quoted(topic)));
            }
        }
        if !mqtt.password.is_empty() && mqtt.password_file.is_some() {
            f.problem(
                Problem::new("mqtt.password", "the password is given twice, here and by password_file")
                    .help("remove one; password_file is the safer"),
            );
        }
        if !self.broker.enabled
            && let Err(PublishError::Setting { key, reason }) = check_way(mqtt)
        {
            f.problem(Problem::new(key, reason));
        }
        if mqtt.username.is_empty() && (!mqtt.password.is_empty() || mqtt.password_file.is_some()) {
            let key = if mqtt.password_file.is_some() { "mqtt.password_file" } else { "mqtt.password" };
            f.warn(
                Problem::new(key, "a password without mqtt.username, which most brokers refuse")
                    .help("set mqtt.username"),
            );
        }
        if (!mqtt.password.is_empty() || mqtt.password_file.is_some())
            && mqtt.tls.is_none()
            && !self.broker.enabled
            && !mqtt.is_local()
        {
            let key = if mqtt.password_file.is_some() { "mqtt.password_file" } else { "mqtt.password" };
            f.warn(
                Problem::new(key, format!("the password goes to {} without encryption", mqtt.host))
                    .help("add [mqtt.tls], where the broker speaks TLS"),
            );
        }
        if !mqtt.client_id.is_empty() && (mqtt.client_id.len() > 128 || mqtt.client_id.chars().any(char::is_control)) {
            f.problem(
                Problem::new("mqtt.client_id", "not a client id")
                    .found(quoted(&mqtt.client_id))
                    .allowed("1 to 128 bytes without control characters; every broker takes 23 letters and digits"),
            );
        }
        if let Some(tls) = &mqtt.tls {
            for (given, missing, key, other) in [
                (&tls.cert_file, &tls.key_file, "mqtt.tls.cert_file", "key_file"),
                (&tls.key_file, &tls.cert_file, "mqtt.tls.key_file", "cert_file"),
            ] {
                if given.is_some() && missing.is_none() {
                    f.problem(
                        Problem::new(key, format!("without {other}"))
                            .help("a client certificate needs both; remove both if the broker does not ask for one"),
                    );
                }
            }
            if mqtt.port == 1883 {
                f.warn(
                    Problem::new("mqtt.port", "1883 is the port without encryption, but [mqtt.tls] is set")
                        .help("brokers usually take TLS on port = 8883"),
                );
            }
            if self.broker.enabled {
                f.warn(Problem::new("mqtt.tls", "has no effect while broker.enabled is true"));
            }
        } else if mqtt.port == 8883 && !self.broker.enabled {
            f.warn(
                Problem::new("mqtt.port", "8883 is the port with TLS, but there is no [mqtt.tls]")
                    .help("add [mqtt.tls]"),
            );
        }
        self.check_requests(f);
        match self.broker.listen.parse::<SocketAddr>() {
            Ok(address) if self.broker.enabled && !address.ip().is_loopback() => f.warn(
                Problem::new("broker.listen", "the broker inside is open to the network and asks for no password")
                    .found(quoted(&self.broker.listen))
                    .help("listen on 127.0.0.1 unless the network is trusted"),
            ),
            Ok(_) => {}
            Err(_) => f.problem(
                Problem::new("broker.listen", "not an address with a port")
                    .found(quoted(&self.broker.listen))
                    .allowed("ADDRESS:PORT such as 127.0.0.1:1883, 0.0.0.0:1883 or [::1]:1883"),
            ),
        }
    }

    /// Warns of a configuration that everyone may change who reaches the broker.
    fn check_requests(&self, f: &mut Findings) {
        let mqtt = &self.mqtt;
        let asks_for_nothing = if self.broker.enabled {
            self.broker.listen.parse::<SocketAddr>().is_ok_and(|address| !address.ip().is_loopback())
        } else {
            mqtt.username.is_empty() && mqtt.tls.as_ref().is_none_or(|tls| tls.cert_file.is_none())
        };
        if mqtt.requests.allow(Verb::ConfigSet) && asks_for_nothing {
            f.warn(
                Problem::new(
                    "mqtt.requests",
                    "\"config/set\" at a broker that asks for no password: everyone who reaches it may change this configuration",
                )
                .help("give the broker passwords and an access list, or leave \"config/set\" out"),
            );
        }
    }

    fn check_governor(&self, f: &mut Findings) {
        let g = &self.governor;
        if g.mode != Mode::Manual && g.rung != 0 {
            f.warn(
                Problem::new("governor.rung", "has no effect unless mode is \"manual\"")
                    .help("set governor.mode = \"manual\""),
            );
        }
        let kept = g.limit_celsius - g.margin_celsius;
        if kept < 35.0 {
            f.warn(
                Problem::new("governor.limit_celsius", format!("the board would have to stay below {kept:.1} °C"))
                    .help("that is limit_celsius - margin_celsius; make the limit higher"),
            );
        }
    }
}

/// Pictures of any size.
const CROPS: Frames<'static> = Frames::Pictures { format: PixelFormat::Rgb8, size: None };

/// The whole path of a key of a table.
type PathOf<'a> = &'a dyn Fn(&str) -> String;

/// Calls `each` with the regions of a pipeline, of a meter also with those of its second model, and what makes the path of a key.
fn each_table(pipeline: &PipelineConfig, at: PathOf<'_>, each: &mut dyn FnMut(&preprocess::Config, PathOf<'_>)) {
    each(&pipeline.preprocess, &|key| at(&format!("preprocess.{key}")));
    if let Some(join) = pipeline.meter.as_ref().filter(|join| join.model.is_some()) {
        each(&join.preprocess, &|key| at(&format!("preprocess.{key}").replacen("preprocess.regions", "dials", 1)));
    }
}

/// Checks the shape of regions.
fn check_regions(preprocess: &preprocess::Config, frames: Frames<'_>, at: PathOf<'_>, f: &mut Findings) {
    let regions = &preprocess.regions;
    let Frames::Pictures { .. } = frames else {
        if !regions.is_empty() {
            f.problem(Problem::new(at("regions"), "regions cut pictures, but this source gives numbers"));
        }
        if preprocess.fit.is_some() {
            f.warn(Problem::new(at("fit"), "has no effect: this source gives numbers"));
        }
        return;
    };
    for (i, region) in regions.iter().enumerate() {
        if let Region::Rect([_, _, w, h]) = region
            && (*w <= 0.0 || *h <= 0.0)
        {
            f.problem(
                Problem::new(at(&format!("regions[{i}].rect")), "width and height must be above 0")
                    .found(format!("{w} x {h}"))
                    .allowed("[x, y, width, height] in source pixels"),
            );
        } else if !region.is_clockwise() {
            f.problem(
                Problem::new(at(&key_of(i, region)), "the corners do not make a proper quadrilateral")
                    .allowed("top left, top right, bottom right, bottom left, each x then y, in source pixels"),
            );
        }
    }
}

/// Checks that the regions of a pipeline are within pictures of `[width, height]` pixels.
pub(super) fn check_reach(pipeline: &PipelineConfig, [width, height]: [u32; 2], at: PathOf<'_>, f: &mut Findings) {
    each_table(pipeline, at, &mut |preprocess, at| {
        for (i, region) in preprocess.regions.iter().enumerate() {
            let within = |[x, y]: [f32; 2]| x >= 0.0 && y >= 0.0 && x <= width as f32 && y <= height as f32;
            if let Some([x, y]) = region.corners().into_iter().find(|corner| !within(*corner)) {
                f.problem(
                    Problem::new(at(&key_of(i, region)), "reaches outside of the picture")
                        .found(format!("a corner at x = {x}, y = {y}"))
                        .allowed(format!("x 0 to {width}, y 0 to {height}: the size of the source's pictures")),
                );
            }
        }
    });
}

fn key_of(index: usize, region: &Region) -> String {
    match region {
        Region::Rect(_) => format!("regions[{index}].rect"),
        Region::Quad(_) => format!("regions[{index}].quad"),
    }
}

/// Motion shows where one camera looks at one scene.
fn check_motion(pipeline: &PipelineConfig, frames: Frames<'_>, at: PathOf<'_>, f: &mut Findings) {
    f.take(&at("motion"), pipeline.motion.check(!frames.are_windows()));
    if pipeline.motion.enabled == Some(true) && matches!(pipeline.source, Input::Crops(_)) {
        f.problem(
            Problem::new(at("motion.enabled"), "crops show another place each time: there is no motion in them")
                .help("set it in the pipeline whose detections are cropped"),
        );
    }
}

fn check_pace(pipeline: &PipelineConfig, at: PathOf<'_>, f: &mut Findings) {
    let governor = &pipeline.governor;
    let is_default = governor.min_fps == leptond_governor::PipelineConfig::default().min_fps;
    if governor.interval_ms > 0 && !is_default {
        let fps = 1000.0 / governor.interval_ms as f32;
        if fps < governor.min_fps {
            f.problem(
                Problem::new(at("governor.min_fps"), "more than the interval gives at full work")
                    .found(format!("{}", governor.min_fps))
                    .allowed(format!("0 to {fps} per second, since interval_ms = {}", governor.interval_ms)),
            );
        }
    }
}

fn bare_host(rest: &str) -> &str {
    let rest = rest.rsplit('@').next().unwrap_or(rest);
    rest.split(['/', ':']).next().unwrap_or(rest)
}
