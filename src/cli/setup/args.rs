//! Arguments of `leptond setup`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::span::span;
use crate::cli::username::username;
use crate::frame::Quantity;

/// Arguments of `leptond setup`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Configuration file [default: /etc/leptond/leptond.toml]
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The MQTT broker
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(super) broker: Option<String>,
    /// PEM file with the authority that signed the broker's certificate: the connection is encrypted
    #[arg(long, value_name = "FILE")]
    pub(super) tls_ca: Option<PathBuf>,
    /// User name at the broker; - for none
    #[arg(long, value_name = "NAME", value_parser = username)]
    pub(super) username: Option<String>,
    /// Take the broker's password from the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Take the broker's password from the first line of standard input
    #[arg(long, conflicts_with = "password_file")]
    pub(super) password_stdin: bool,
    /// Name of this computer in topics
    #[arg(long, value_name = "NAME")]
    pub(super) node: Option<String>,
    /// The source: /dev/video0, rpicam, rtsp://…, http://…/jpg, a photo, folder, film or table by its path, machine, synthetic, or
    /// pairs as in [pipeline.source]
    #[arg(long, value_name = "SOURCE", num_args = 1..)]
    pub(super) source: Vec<String>,
    /// The model: a name or a path
    #[arg(long, value_name = "MODEL")]
    pub(super) model: Option<String>,
    /// No model: learn what is usual of each number of the source, and tell which one is not as usual
    #[arg(long, conflicts_with_all = ["model", "photo", "meter_region"])]
    pub(super) baseline: bool,
    /// With --baseline: for how long it learns before it tells anything [default: 1d]
    #[arg(long, value_name = "TIME", requires = "baseline", value_parser = span)]
    pub(super) learn: Option<Duration>,
    /// Name of the pipeline in topics
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// For a model that finds objects: the labels that matter, with commas between [default: all]
    #[arg(long, value_name = "LABEL,…", value_delimiter = ',')]
    pub(super) labels: Vec<String>,
    /// For a model that finds objects: the least score that counts, 0 to 1
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub(super) min_score: Option<f32>,
    /// For leptonnet-digits: where the whole row of digits is, in pixels of the picture; a slanted one by its corners, clockwise from the
    /// top left, X,Y each (three or four of them)
    #[arg(long, value_name = "X,Y,W,H", requires = "digits")]
    pub(super) meter_region: Option<String>,
    /// For leptonnet-digits: how many digits the row has
    #[arg(long, value_name = "N")]
    pub(super) digits: Option<u32>,
    /// A photo of a meter, as the source shows it: its digits and dials are looked for, and a [[meter]] is written
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "meter_region", "digits"])]
    pub(super) photo: Option<PathBuf>,
    /// Of a meter: what it counts
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    pub(super) kind: Option<Quantity>,
    /// Of a meter: unit of its number [default: the usual one of its kind]
    #[arg(long, value_name = "UNIT")]
    pub(super) unit: Option<String>,
    /// Of a meter: places behind the decimal point [default: the number of dials]
    #[arg(long, value_name = "N")]
    pub(super) decimals: Option<u8>,
    /// Turn on the page for browsers
    #[arg(long)]
    pub(super) page: bool,
    /// Another catalog of models than /etc/leptond/catalog.toml and the program's own: a file or an address
    #[arg(long, value_name = "FILE|URL")]
    pub(super) catalog: Option<String>,
    /// Fetch no model: only those that are installed are offered
    #[arg(long)]
    pub(super) no_download: bool,
    /// Change the pipeline of the same name, if there is one
    #[arg(long)]
    pub(super) replace: bool,
    /// Write even if the broker cannot be reached now, and do not try the source
    #[arg(long)]
    pub(super) untested: bool,
    /// Ask nothing: flags and the present configuration say everything
    #[arg(long, visible_alias = "non-interactive")]
    pub(super) yes: bool,
    /// Print what would change, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Look at a copy of another machine's /proc, /sys, /dev, /etc and /usr below this directory
    #[arg(long, hide = true, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,
}

/// A score from 0 to 1.
fn score(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(score) if (0.0..=1.0).contains(&score) => Ok(score),
        _ => Err("a number from 0 to 1, such as 0.5".into()),
    }
}

/// The kinds of meters by their words.
fn kinds() -> impl TypedValueParser<Value = Quantity> {
    PossibleValuesParser::new(Quantity::ALL.map(Quantity::word)).try_map(|word| {
        let kind = Quantity::ALL.into_iter().find(|kind| kind.word() == word);
        kind.ok_or_else(|| format!("{word:?} is no kind of meter"))
    })
}
