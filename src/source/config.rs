//! `[pipeline.source]`: what each kind of source is told.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[pipeline.source]`: what a pipeline reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Config {
    /// A counter drawn by leptond itself, to try things without a camera.
    Synthetic(SyntheticConfig),
    /// Pictures from files: JPEG, PNG, MJPEG, Y4M.
    Files(FilesConfig),
    /// A USB camera or another Video4Linux capture device.
    V4l2(V4l2Config),
    /// A Raspberry Pi camera through `rpicam-vid` (or `libcamera-vid`).
    Rpicam(RpicamConfig),
    /// A network camera through `ffmpeg`.
    Rtsp(RtspConfig),
    /// Numbers: from this machine, from sysfs sensors, from a file, FIFO or standard input.
    Sensor(SensorConfig),
    /// Numbers or JPEG pictures that others publish on an MQTT topic.
    Mqtt(MqttConfig),
}

/// A rendered five-digit counter, as a water or power meter shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Picture width in pixels.
    #[schemars(range(min = 64, max = 4096))]
    pub width: u32,
    /// Picture height in pixels.
    #[schemars(range(min = 48, max = 4096))]
    pub height: u32,
    /// Pictures per second.
    #[schemars(range(min = 0.01, max = 240.0))]
    pub fps: f64,
    /// Seed of everything that varies: font, light, noise, blur, perspective, start value.
    pub seed: u64,
    /// Stop after this many pictures; 0 = never.
    pub frames: u64,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        SyntheticConfig { width: 640, height: 480, fps: 15.0, seed: 1, frames: 0 }
    }
}

/// Pictures from files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// A file, a directory (its pictures in name order) or a glob (`/data/*.jpg`) of JPEG, PNG and BMP pictures;
    /// `.mjpeg`/`.mjpg` and `.y4m` files hold many.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Start again at the end.
    #[serde(default, rename = "loop")]
    pub repeat: bool,
    /// Pictures per second; 0 = as fast as they are taken.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0, max = 240.0))]
    pub fps: f64,
}

/// A Video4Linux capture device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct V4l2Config {
    /// Device node; a stable name such as `/dev/v4l/by-id/…` survives replugging.
    pub device: PathBuf,
    /// Wanted width in pixels; the driver's nearest is taken and logged.
    #[schemars(range(min = 16, max = 8192))]
    pub width: u32,
    /// Wanted height in pixels.
    #[schemars(range(min = 16, max = 8192))]
    pub height: u32,
    /// Wanted pictures per second.
    #[schemars(range(min = 0.1, max = 240.0))]
    pub fps: f64,
    /// Pixel format; `auto` takes the first of MJPG, YUYV, NV12, YU12 that the device offers at that size.
    pub format: V4l2Format,
    /// Memory-mapped buffers to ask the driver for.
    #[schemars(range(min = 2, max = 16))]
    pub buffers: u32,
}

impl Default for V4l2Config {
    fn default() -> Self {
        V4l2Config {
            device: "/dev/video0".into(),
            width: 640,
            height: 480,
            fps: 15.0,
            format: V4l2Format::Auto,
            buffers: 4,
        }
    }
}

/// Pixel format asked of a capture device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum V4l2Format {
    /// The first of MJPG, YUYV, NV12, YU12 that the device offers.
    #[default]
    Auto,
    /// Motion JPEG.
    Mjpg,
    /// Packed 4:2:2.
    Yuyv,
    /// Semi-planar 4:2:0.
    Nv12,
    /// Planar 4:2:0.
    Yu12,
}

/// A Raspberry Pi camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RpicamConfig {
    /// Camera number as `rpicam-hello --list-cameras` counts them.
    #[schemars(range(min = 0, max = 15))]
    pub camera: u32,
    /// Width in pixels.
    #[schemars(range(min = 16, max = 8192))]
    pub width: u32,
    /// Height in pixels.
    #[schemars(range(min = 16, max = 8192))]
    pub height: u32,
    /// Pictures per second.
    #[schemars(range(min = 0.1, max = 240.0))]
    pub fps: f64,
    /// Further arguments for `rpicam-vid`, for instance `["--hflip", "--vflip"]`.
    pub extra_args: Vec<String>,
    /// The program; empty = `rpicam-vid`, else `libcamera-vid`, from PATH.
    pub program: String,
}

impl Default for RpicamConfig {
    fn default() -> Self {
        RpicamConfig { camera: 0, width: 640, height: 480, fps: 15.0, extra_args: Vec::new(), program: String::new() }
    }
}

/// A network camera.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RtspConfig {
    /// `rtsp://`, `http://` or a file that `ffmpeg` can read. A password in it never reaches the log.
    #[schemars(length(min = 1))]
    pub url: String,
    /// Width in pixels that `ffmpeg` scales to.
    #[serde(default = "w640")]
    #[schemars(range(min = 16, max = 8192))]
    pub width: u32,
    /// Height in pixels that `ffmpeg` scales to.
    #[serde(default = "h480")]
    #[schemars(range(min = 16, max = 8192))]
    pub height: u32,
    /// Most pictures per second that `ffmpeg` passes on. A camera that is silent for the time of three of them, and for 15 s, is
    /// connected anew.
    #[serde(default = "five")]
    #[schemars(range(min = 0.001, max = 240.0))]
    pub fps: f64,
    /// Transport of RTSP.
    #[serde(default)]
    pub transport: RtspTransport,
    /// Further input arguments for `ffmpeg`, before `-i`.
    #[serde(default)]
    pub extra_args: Vec<String>,
    /// The program; empty = `ffmpeg` from PATH.
    #[serde(default)]
    pub program: String,
}

impl fmt::Debug for RtspConfig {
    /// Everything but what may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RtspConfig { url, width, height, fps, transport, extra_args, program } = self;
        f.debug_struct("RtspConfig")
            .field("url", if url.contains(['@', '?']) { &"***" } else { url })
            .field("width", width)
            .field("height", height)
            .field("fps", fps)
            .field("transport", transport)
            .field("extra_args", &format_args!("[{} not shown]", extra_args.len()))
            .field("program", program)
            .finish()
    }
}

/// Transport of RTSP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RtspTransport {
    /// Interleaved in the RTSP connection; survives firewalls and packet loss.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

/// Numbers in time, cut into windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SensorConfig {
    /// What is read.
    pub kind: SensorKind,
    /// For `jsonl` and `csv`: a file, a FIFO, or `-` for standard input. For `iio`, `hwmon` and `thermal`: a device or zone
    /// name (`bme280`, `cpu_thermal`); empty = all.
    pub path: String,
    /// Channels to keep, in this order; empty = those that the model names, else all that are found, in their own order. For
    /// `jsonl`, a path leads into objects and arrays (`ENERGY.Power`, `phases[0].volts`; a dot within a key is written `\.`); for
    /// `csv`, `#3` is the third column.
    pub channels: Vec<String>,
    /// A reading without a value for one of the channels: leave it out, hold the last value, or pass the gap on.
    pub missing: MissingPolicy,
    /// For `missing = "hold"`: longest time for which a value is held, in s.
    #[schemars(range(min = 1, max = 86_400))]
    pub hold_s: u32,
    /// For `csv`: whether the first line has the names of the columns.
    pub header: Header,
    /// For `csv`: what stands between the fields.
    pub delimiter: Delimiter,
    /// For `csv`: what stands between whole and fractional digits.
    pub decimal: Decimal,
    /// Time between two readings in ms (`jsonl` and `csv` from a plain file: 0 = as fast as they are taken).
    #[schemars(range(min = 0, max = 3_600_000))]
    pub interval_ms: u64,
    /// Readings in one window.
    #[schemars(range(min = 1, max = 100_000))]
    pub window: u32,
    /// Readings from the start of one window to the start of the next.
    #[schemars(range(min = 1, max = 100_000))]
    pub stride: u32,
    /// For `jsonl` and `csv` from a plain file: start again at the end.
    #[serde(rename = "loop")]
    pub repeat: bool,
}

impl Default for SensorConfig {
    fn default() -> Self {
        SensorConfig {
            kind: SensorKind::Machine,
            path: String::new(),
            channels: Vec::new(),
            missing: MissingPolicy::Skip,
            hold_s: HOLD_S,
            header: Header::Auto,
            delimiter: Delimiter::Auto,
            decimal: Decimal::Auto,
            interval_ms: 500,
            window: 1,
            stride: 1,
            repeat: false,
        }
    }
}

/// Default of `hold_s`.
const HOLD_S: u32 = 60;

/// Treatment of a reading that has no value for one of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissingPolicy {
    /// The reading is left out and counted; no window spans it.
    #[default]
    Skip,
    /// The channel's last value stands in, for at most `hold_s`; after that as `skip`.
    Hold,
    /// The model gets the channel's mean, where its manifest says one; otherwise the window is refused.
    Nan,
}

/// Whether a CSV file begins with the names of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// Seen by the first lines; refused where that cannot be told.
    #[default]
    Auto,
    /// The first line has the names.
    Present,
    /// The first line is a reading; `channels` are the columns of numbers in their order.
    Absent,
}

/// Character between the fields of a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Delimiter {
    /// Seen by the first lines.
    #[default]
    Auto,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// The tabulator.
    Tab,
}

/// Character between the whole and the fractional digits in a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decimal {
    /// Seen by numbers that have only one meaning; one that has two is refused until then.
    #[default]
    Auto,
    /// `.`
    Point,
    /// `,`
    Comma,
}

/// Kind of sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SensorKind {
    /// This computer: CPU per core, memory, PSI, load, temperatures, network and disk rates.
    #[default]
    Machine,
    /// One JSON object (or array of numbers) per line.
    Jsonl,
    /// Comma separated values with a header line.
    Csv,
    /// Linux industrial I/O devices (`/sys/bus/iio`).
    Iio,
    /// Hardware monitors (`/sys/class/hwmon`).
    Hwmon,
    /// Thermal zones (`/sys/class/thermal`).
    Thermal,
}

/// Input from MQTT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// Topic filter to subscribe to (`+` and `#` allowed).
    #[schemars(length(min = 1))]
    pub topic: String,
    /// What a message holds: a `jpeg` picture, or `numbers` (a number, a JSON array or a JSON object of numbers).
    pub content: MqttContent,
    /// For `numbers`: channels to keep, in this order, as paths (`ENERGY.Power`, `phases[0].volts`; a dot within a key is written
    /// `\.`); empty = those that the model names, else the numbers of the first message on a topic.
    #[serde(default)]
    pub channels: Vec<String>,
    /// For `numbers`: a message without a value for one of the channels: leave it out, hold the last value, or pass the gap on.
    #[serde(default)]
    pub missing: MissingPolicy,
    /// For `missing = "hold"`: longest time for which a value is held, in s.
    #[serde(default = "hold_s")]
    #[schemars(range(min = 1, max = 86_400))]
    pub hold_s: u32,
    /// For `numbers`: readings in one window.
    #[serde(default = "one_u32")]
    #[schemars(range(min = 1, max = 100_000))]
    pub window: u32,
    /// For `numbers`: readings from the start of one window to the start of the next.
    #[serde(default = "one_u32")]
    #[schemars(range(min = 1, max = 100_000))]
    pub stride: u32,
}

/// What an MQTT message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MqttContent {
    /// A JPEG picture.
    Jpeg,
    /// A number, a JSON array or a JSON object of numbers.
    Numbers,
}

fn hold_s() -> u32 {
    HOLD_S
}
fn one() -> f64 {
    1.0
}
fn five() -> f64 {
    5.0
}
fn one_u32() -> u32 {
    1
}
fn w640() -> u32 {
    640
}
fn h480() -> u32 {
    480
}
