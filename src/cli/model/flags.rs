//! Flags about a model that comes without a manifest.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::de::value::{Error as WordError, StrDeserializer};

use crate::cli::picture_size;
use crate::frame::{Boxes, Colour, Fit, Head, Layout, TaskKind};
use crate::install::describe::Stated;

/// Statements about a model that has no manifest. The rest comes from the file.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Of a model without a manifest")]
pub struct Flags {
    /// Meaning of its outputs: classify, detect, pose, segment, obb, semantic, text, anomaly or raw (published as they are)
    #[arg(long, value_name = "TASK", value_parser = word::<TaskKind>)]
    task: Option<String>,
    /// Class names, one a line, in the order of the classes; with --task text the characters, without the blank. Without a file: coco (80
    /// names), imagenet (1001) or ppocr
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// With a task that finds objects, how the outputs are laid out (see docs/models.md); by what the file says and by their shapes and
    /// names if not given
    #[arg(long, value_name = "HEAD", value_parser = word::<Head>)]
    head: Option<String>,
    /// With a task that finds objects, the unit of the boxes: pixels or normalised (0 to 1)
    #[arg(long, value_name = "UNIT", value_parser = word::<Boxes>)]
    boxes: Option<String>,
    /// Size of a picture that the file leaves open
    #[arg(long, value_name = "HxW", value_parser = picture_size::parse)]
    size: Option<[usize; 2]>,
    /// Channels of a picture: rgb, bgr or grey
    #[arg(long, value_name = "COLOUR", value_parser = word::<Colour>)]
    colour: Option<String>,
    /// Axes of a picture: nchw or nhwc
    #[arg(long, value_name = "LAYOUT", value_parser = word::<Layout>)]
    layout: Option<String>,
    /// Way in which a picture of another shape is fitted: stretch, crop, letterbox or pad
    #[arg(long, value_name = "FIT", value_parser = word::<Fit>)]
    fit: Option<String>,
    /// Mean that is taken off the pixels (0 to 1), one value or one a channel
    #[arg(long, value_name = "M,…", value_delimiter = ',')]
    mean: Vec<f32>,
    /// Standard deviation that the pixels (0 to 1) are divided by, one value or one a channel
    #[arg(long, value_name = "S,…", value_delimiter = ',')]
    std: Vec<f32>,
    /// For readings instead of pictures: how many make one window
    #[arg(long, requires = "channels")]
    rows: Option<u32>,
    /// For readings: the names of the channels, in the model's order
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "rows")]
    channels: Vec<String>,
    /// One line for people
    #[arg(long)]
    description: Option<String>,
    /// Its licence
    #[arg(long, alias = "license")]
    licence: Option<String>,
}

impl Flags {
    /// The first flag that was given.
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            ("--task", self.task.is_some()),
            ("--labels", self.labels.is_some()),
            ("--head", self.head.is_some()),
            ("--boxes", self.boxes.is_some()),
            ("--size", self.size.is_some()),
            ("--colour", self.colour.is_some()),
            ("--layout", self.layout.is_some()),
            ("--fit", self.fit.is_some()),
            ("--mean", !self.mean.is_empty()),
            ("--std", !self.std.is_empty()),
            ("--rows", self.rows.is_some()),
            ("--description", self.description.is_some()),
            ("--licence", self.licence.is_some()),
        ];
        given.iter().find(|(_, given)| *given).map(|(flag, _)| *flag)
    }
}

/// Checks that a word is one of `T`'s and keeps it as it was typed: that is how it stands in a manifest.
fn word<T: DeserializeOwned>(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    match T::deserialize(StrDeserializer::<WordError>::new(&lower)) {
        Ok(_) => Ok(lower),
        Err(error) => Err(error.to_string().replace("unknown variant", "unknown word")),
    }
}

impl From<&Flags> for Stated {
    fn from(flags: &Flags) -> Stated {
        let flags = flags.clone();
        Stated {
            task: flags.task,
            labels: flags.labels,
            head: flags.head,
            boxes: flags.boxes,
            size: flags.size,
            colour: flags.colour,
            layout: flags.layout,
            fit: flags.fit,
            mean: flags.mean,
            std: flags.std,
            rows: flags.rows,
            channels: flags.channels,
            description: flags.description,
            licence: flags.licence,
        }
    }
}
