//! `leptond render`: pictures of the synthetic counter, or its digits cut out as a data set.
//!
//! The digits go through the JPEG encoder and [`Preprocessor`] as they do in a pipeline, so that a model is trained on
//! exactly the pixels that it will be given.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use npyz::WriterBuilder as _;

use super::Failure;
use crate::frame::{
    Colour, DType, ElementsMut, Fit, Frame, InputSpec, Layout, PixelFormat, Quant, Spec, TensorSpec, TensorViewMut,
};
use crate::preprocess::{Preprocessor, Region};
use crate::scene::{Chance, Counter, DIGITS, Fault, Fonts, Gears, Household, Knock, Scene, Shown, regions, truth};

/// Size of the pictures in pixels.
const PICTURE: [u16; 2] = [640, 480];
/// Label of what cannot be read.
const NONE: u8 = 10;
/// The moments to choose from, in s: long enough for every number to come.
const SPAN_S: f64 = 400_000.0;

/// Arguments of `leptond render`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenes to render, `first..end`
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    seeds: std::ops::Range<u64>,
    /// Fonts to choose from
    #[arg(long, value_enum, default_value = "all")]
    fonts: FontSet,
    /// Pictures per scene, each at another moment
    #[arg(long, default_value_t = 8)]
    frames: u64,
    /// Share of the pictures in which the last drum is made to roll; otherwise chance decides, as in front of a camera
    #[arg(long, default_value_t = 0.0)]
    rolling: f32,
    /// Shift each digit's region by up to this many pixels, and scale it by up to as many percent
    #[arg(long, default_value_t = 0.0, value_name = "PIXELS")]
    jitter: f32,
    /// Height and width of one digit
    #[arg(long, default_value = "32x24", value_parser = parse_size, value_name = "HxW")]
    size: [usize; 2],
    /// Write the digits here, uint8 `[N, 1, H, W]`
    #[arg(long, short, value_name = "FILE.npy")]
    output: Option<PathBuf>,
    /// Faults under which nothing can be read, one at random for each scene
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FAULT,...")]
    faults: Vec<FaultKind>,
    /// Write the right answers here, uint8 `[N]`: the digit, or 10 where none can be read (a drum between two digits by more than 0.29 of
    /// the way, or a fault)
    #[arg(long, value_name = "FILE.npy")]
    labels: Option<PathBuf>,
    /// Write where each drum stands here, float32 `[N]`: 3.25 is a quarter of the way from 3 to 4
    #[arg(long, value_name = "FILE.npy")]
    drums: Option<PathBuf>,
    /// Write the pictures here, `seed-frame-truth.jpg`
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// A water meter with five drums and four dials, over days of a household; with --pictures
    #[arg(long, requires = "pictures", conflicts_with_all = ["output", "labels", "drums", "rolling", "fonts"])]
    dials: bool,
    /// With --dials: turn the camera by so many degrees, and shift it by so many pixels to the right and down
    #[arg(long, num_args = 3, value_names = ["DEGREES", "X", "Y"], requires = "dials", allow_negative_numbers = true)]
    knock: Vec<f32>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FontSet {
    All,
    Train,
    HeldOut,
}

/// [`Fault`] as it is written on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FaultKind {
    /// The lamp is off
    Dark,
    /// Overexposed
    White,
    /// Fogged glass
    Fog,
    /// A reflection over the counter
    Glare,
    /// Out of focus by a quarter of a digit's height or more
    Blur,
    /// Noise and nothing else
    Noise,
    /// Drums without digits
    Blank,
    /// Regions between two drums
    Gap,
    /// Regions with half a digit or less
    Cut,
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Fault {
        match kind {
            FaultKind::Dark => Fault::Dark,
            FaultKind::White => Fault::White,
            FaultKind::Fog => Fault::Fog,
            FaultKind::Glare => Fault::Glare,
            FaultKind::Blur => Fault::Blur,
            FaultKind::Noise => Fault::Noise,
            FaultKind::Blank => Fault::Blank,
            FaultKind::Gap => Fault::Gap,
            FaultKind::Cut => Fault::Cut,
        }
    }
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.output.is_none() && args.pictures.is_none() {
        return Err(Failure::Usage("nothing to write: give --output or --pictures".into()));
    }
    if let Some(dir) = &args.pictures {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    if let (true, Some(dir)) = (args.dials, &args.pictures) {
        return Ok(meters(&args, dir)?);
    }
    let fonts = match args.fonts {
        FontSet::All => Fonts::All,
        FontSet::Train => Fonts::Train,
        FontSet::HeldOut => Fonts::HeldOut,
    };
    let [height, width] = args.size;
    let mut digits = Digits::new(height, width);
    let mut frame = Frame::empty();
    let progress = indicatif::ProgressBar::new(args.seeds.end - args.seeds.start);
    for seed in args.seeds.clone() {
        let fault = fault_of(&args, seed);
        let mut scene = match fault {
            None => Scene::new(seed, fonts, PICTURE[0], PICTURE[1]),
            Some(fault) => Scene::with_fault(seed, fonts, PICTURE[0], PICTURE[1], fault),
        };
        let counter = Counter::new(seed);
        let mut chance = Chance::new(seed, 6);
        for number in 0..args.frames {
            let mut shown = counter.at(SPAN_S * f64::from(chance.within(0.0, 1.0)));
            if chance.often(args.rolling) {
                shown.roll = chance.within(0.0, 1.0);
            }
            let image = frame.image_mut();
            (image.format, image.width, image.height) = (PixelFormat::Jpeg, PICTURE[0].into(), PICTURE[1].into());
            scene.render(&shown, number, &mut image.data).context("cannot encode a picture")?;
            if let Some(dir) = &args.pictures {
                let path = dir.join(format!("{seed}-{number}-{}.jpg", shown.truth()));
                std::fs::write(&path, &image.data).with_context(|| path.display().to_string())?;
            }
            if args.output.is_some() {
                digits.cut(&frame, fault, args.jitter, &mut chance)?;
                digits.answer(&scene, &shown, fault);
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    if let Some(path) = &args.output {
        let count = digits.labels.len() as u64;
        write(path, &[count, 1, height as u64, width as u64], &digits.pixels)?;
    }
    if let Some(path) = &args.labels {
        write(path, &[digits.labels.len() as u64], &digits.labels)?;
    }
    if let Some(path) = &args.drums {
        write(path, &[digits.drums.len() as u64], &digits.drums)?;
    }
    Ok(())
}

/// Time over which moments of a household are chosen, in s.
const DAYS_S: f64 = 30.0 * 86_400.0;

/// Writes pictures of water meters with dials.
fn meters(args: &Args, dir: &Path) -> anyhow::Result<()> {
    let knock = match args.knock[..] {
        [degrees, x, y] => Knock { shift: [x, y], degrees },
        _ => Knock::default(),
    };
    let mut picture = Vec::new();
    for seed in args.seeds.clone() {
        let (gears, mut household, mut chance) = (Gears::new(seed), Household::new(seed), Chance::new(seed, 9));
        let mut scene = Scene::with_dials(seed, PICTURE[0], PICTURE[1], fault_of(args, seed), knock);
        for number in 0..args.frames {
            let counts = household.at(DAYS_S * f64::from(chance.within(0.0, 1.0)));
            scene.render_positions(&gears.at(counts), number, &mut picture).context("cannot encode a picture")?;
            let path = dir.join(format!("{seed}-{number}-{}.jpg", truth(counts)));
            std::fs::write(&path, &picture).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// The fault of a scene, where faults are asked for.
fn fault_of(args: &Args, seed: u64) -> Option<Fault> {
    match Chance::new(seed, 8).below(args.faults.len() as u32) {
        _ if args.faults.is_empty() => None,
        index => args.faults.get(index as usize).map(|kind| Fault::from(*kind)),
    }
}

/// The data set as it grows.
struct Digits {
    spec: InputSpec,
    pixels: Vec<u8>,
    labels: Vec<u8>,
    drums: Vec<f32>,
}

impl Digits {
    fn new(height: usize, width: usize) -> Self {
        let spec = InputSpec {
            batch: DIGITS,
            height,
            width,
            layout: Layout::Nchw,
            colour: Colour::Grey,
            fit: Fit::Stretch,
            mean: [0.0; 3],
            std: [1.0; 3],
            dtype: DType::U8,
            quant: Some(Quant { scale: 1.0 / 255.0, zero_point: 0 }),
        };
        Digits { spec, pixels: Vec::new(), labels: Vec::new(), drums: Vec::new() }
    }

    /// Appends the answers of the five digits of a picture.
    fn answer(&mut self, scene: &Scene, shown: &Shown, fault: Option<Fault>) {
        let label = |digit: Option<u8>| digit.filter(|_| fault.is_none()).unwrap_or(NONE);
        self.labels.extend(scene.readable(shown).map(label));
        self.drums.extend(scene.drums(shown));
    }

    /// Appends the pixels of the five digits of a picture.
    fn cut(&mut self, frame: &Frame, fault: Option<Fault>, jitter: f32, chance: &mut Chance) -> anyhow::Result<()> {
        let [w, h] = PICTURE.map(f32::from);
        let places = regions(PICTURE[0].into(), PICTURE[1].into()).map(|place| {
            let [x, y, rw, rh] = fault.map_or(place, |fault| fault.displace(place, chance));
            let grow = 1.0 + jitter * chance.within(-0.01, 0.01);
            let (gw, gh) = (rw * grow, rh * grow);
            let left = x + (rw - gw) / 2.0 + jitter * chance.within(-1.0, 1.0);
            let top = y + (rh - gh) / 2.0 + jitter * chance.within(-1.0, 1.0);
            Region::Rect([left.clamp(0.0, w - gw), top.clamp(0.0, h - gh), gw, gh])
        });
        let (height, width) = (self.spec.height, self.spec.width);
        let spec = TensorSpec {
            name: "digits".into(),
            dtype: DType::U8,
            shape: vec![DIGITS, 1, height, width],
            quant: self.spec.quant,
        };
        let start = self.pixels.len();
        self.pixels.resize(start + DIGITS * height * width, 0);
        let data = ElementsMut::U8(self.pixels.get_mut(start..).unwrap_or_default());
        let mut preprocessor = Preprocessor::new(Spec::Image(self.spec.clone()), places.to_vec());
        preprocessor.run(frame, TensorViewMut { spec: &spec, data }, 0)?;
        Ok(())
    }
}

fn write<T: npyz::AutoSerialize + Copy>(path: &PathBuf, shape: &[u64], values: &[T]) -> anyhow::Result<()> {
    let save = || -> std::io::Result<()> {
        let file = BufWriter::new(File::create(path)?);
        let mut npy = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd()?;
        npy.extend(values.iter().copied())?;
        npy.finish()
    };
    save().with_context(|| path.display().to_string())
}

fn parse_range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let numbers = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    numbers.filter(|r: &std::ops::Range<u64>| r.start < r.end).ok_or_else(|| "give first..end, such as 0..100".into())
}

fn parse_size(text: &str) -> Result<[usize; 2], String> {
    let size = text.split_once('x').and_then(|(a, b)| Some([a.parse().ok()?, b.parse().ok()?]));
    size.filter(|[h, w]| (8..=256).contains(h) && (8..=256).contains(w))
        .ok_or_else(|| "give height x width, 8 to 256 each, such as 32x24".into())
}
