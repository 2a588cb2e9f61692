//! Regions in which nothing can be read: none of the synthetic camera's faults is read as a digit, digits are. The fonts and seeds
//! are not trained on.

use leptond::frame::{DType, Elements, Frame, Image, Payload, PixelFormat, Spec, TensorView, Unreadable};
use leptond::model::{self, Engine, LoadedModel, Model, PlanKey};
use leptond::preprocess::{self, Preprocessor, Region};
use leptond::scene::{self, Chance, DIGITS, Fault, Fonts, Scene, Shown};

/// What is known of a region: why it is unreadable, the best class and its score.
#[derive(Debug)]
struct Read {
    unreadable: Option<Unreadable>,
    class: usize,
    score: f32,
}

impl Read {
    /// The digit, where one is read.
    fn digit(&self, min_score: f32) -> Option<u8> {
        let read = self.unreadable.is_none() && self.class < 10 && self.score >= min_score;
        read.then_some(self.class as u8)
    }
}

/// The shipped digits in one variant, for the five regions of a picture.
struct Reader {
    model: LoadedModel,
    plan: Box<dyn Model>,
    min_score: f32,
}

impl Reader {
    fn new(variant: usize) -> Self {
        let bundle = model::open("leptonnet-digits", &[]).unwrap().unwrap();
        let model = LoadedModel::load(&bundle, variant, Engine::Int8, 1).unwrap();
        let key = PlanKey { batch: Some(DIGITS), size: None };
        assert_eq!(model.task_spec(key, DIGITS).unwrap().none, Some(10));
        let plan = model.plan(key).unwrap();
        let min_score = model.defaults()["min_score"].as_f64().unwrap() as f32;
        Reader { model, plan, min_score }
    }

    fn read(&mut self, frame: &Frame, regions: [[f32; 4]; DIGITS]) -> Vec<Read> {
        let spec: Spec = self.model.spec(PlanKey { batch: Some(DIGITS), size: None }).unwrap();
        let checks = preprocess::Config::default().checks();
        let mut preprocessor = Preprocessor::new(spec, regions.map(Region::Rect).to_vec()).with_checks(checks);
        preprocessor.run(frame, self.plan.input_mut(0), 0).unwrap();
        self.plan.run().unwrap();
        let logits = values(&self.plan.output(0));
        logits.chunks_exact(11).zip(preprocessor.unreadable()).map(|(row, unreadable)| read(row, *unreadable)).collect()
    }
}

fn values(tensor: &TensorView<'_>) -> Vec<f32> {
    match (&tensor.data, tensor.spec.quant) {
        (Elements::F32(values), _) => values.to_vec(),
        (Elements::I8(values), Some(quant)) if tensor.spec.dtype == DType::I8 => {
            values.iter().map(|v| (i32::from(*v) - quant.zero_point) as f32 * quant.scale).collect()
        }
        _ => panic!("scores of {:?}", tensor.spec.dtype),
    }
}

fn read(logits: &[f32], unreadable: Option<Unreadable>) -> Read {
    let sum: f32 = logits.iter().map(|v| v.exp()).sum();
    let (class, best) = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    Read { unreadable, class, score: best.exp() / sum }
}

fn image(format: PixelFormat, [width, height]: [u32; 2], data: Vec<u8>) -> Frame {
    let image = Image { format, width, height, stride: 0, full: None, data };
    Frame { payload: Payload::Image(image), ..Frame::empty() }
}

/// The picture in another format.
fn converted(jpeg: &[u8], size: [u32; 2], format: PixelFormat) -> Frame {
    let whole = Image { format: PixelFormat::Jpeg, data: jpeg.to_vec(), ..Image::default() };
    let mut rgb = Vec::new();
    assert_eq!(preprocess::to_rgb(&whole, &mut rgb).unwrap(), size);
    let luma = |p: &[u8]| (f32::from(p[0]) * 0.299 + f32::from(p[1]) * 0.587 + f32::from(p[2]) * 0.114).round();
    let data = match format {
        PixelFormat::Gray8 => rgb.chunks_exact(3).map(|p| luma(p) as u8).collect(),
        PixelFormat::Yuyv => rgb.chunks_exact(3).flat_map(|p| [(16.0 + luma(p) * 219.0 / 255.0) as u8, 128]).collect(),
        PixelFormat::Rgb8 => rgb,
        _ => jpeg.to_vec(),
    };
    image(format, size, data)
}

const FORMATS: [PixelFormat; 4] = [PixelFormat::Jpeg, PixelFormat::Gray8, PixelFormat::Yuyv, PixelFormat::Rgb8];
/// Mostly small ones, which take less time to draw.
const SIZES: [[u16; 2]; 4] = [[320, 240], [240, 180], [320, 240], [640, 480]];

/// Readings of five regions over scenes that are not trained on.
fn over_scenes(
    fault: Option<Fault>,
    seeds: std::ops::Range<u64>,
    roll: impl Fn(&mut Chance) -> f32,
    mut each: impl FnMut(u64, usize, &Read, Option<u8>, f32),
) {
    let mut reader = Reader::new(0);
    for seed in seeds {
        let [width, height] = SIZES[seed as usize % SIZES.len()];
        let mut chance = Chance::new(seed, 20);
        let shown = Shown { value: chance.below(100_000), roll: roll(&mut chance) };
        let mut scene = match fault {
            None => Scene::new(seed, Fonts::HeldOut, width, height),
            Some(fault) => Scene::with_fault(seed, Fonts::HeldOut, width, height, fault),
        };
        let mut jpeg = Vec::new();
        scene.render(&shown, 0, &mut jpeg).unwrap();
        let size = [width.into(), height.into()];
        let frame = converted(&jpeg, size, FORMATS[seed as usize / 2 % FORMATS.len()]);
        let regions = scene::regions(size[0], size[1]).map(|region| {
            let [x, y, w, h] = fault.map_or(region, |fault| fault.displace(region, &mut chance));
            [x.clamp(0.0, size[0] as f32 - w), y.clamp(0.0, size[1] as f32 - h), w, h]
        });
        let min_score = reader.min_score;
        for (i, read) in reader.read(&frame, regions).iter().enumerate() {
            each(seed, i, read, scene.readable(&shown)[i], min_score);
        }
    }
}

#[test]
fn no_fault_of_the_picture_is_read_as_a_digit() {
    for fault in Fault::ALL {
        let (mut read_as_digit, mut caught, mut seen) = (Vec::new(), 0, 0);
        over_scenes(
            Some(fault),
            1_500_000..1_500_008,
            |_| 0.0,
            |seed, i, read, _, min_score| {
                seen += 1;
                caught += usize::from(read.unreadable.is_some());
                if read.digit(min_score).is_some() {
                    read_as_digit.push((seed, i, read.class, read.score));
                }
            },
        );
        assert_eq!(seen, 40);
        assert!(read_as_digit.len() <= 1, "{fault:?}: {} of {seen}: {read_as_digit:?}", read_as_digit.len());
        if matches!(fault, Fault::Dark | Fault::White | Fault::Fog | Fault::Noise) {
            assert!(caught * 10 >= seen * 6, "{fault:?}: {caught} of {seen} found before the model");
        }
    }
}

#[test]
fn digits_are_read_and_none_of_them_is_held_to_be_unreadable() {
    let (mut right, mut wrong, mut seen) = (0, Vec::new(), 0);
    over_scenes(
        None,
        1_500_100..1_500_124,
        |_| 0.0,
        |seed, i, read, truth, min_score| {
            seen += 1;
            assert_eq!(read.unreadable, None, "digit {i} of seed {seed}");
            match read.digit(min_score) {
                Some(digit) if Some(digit) == truth => right += 1,
                Some(digit) => wrong.push((seed, i, digit, truth, read.score)),
                None => {}
            }
        },
    );
    assert!(wrong.len() <= 1, "{wrong:?}");
    assert!(right * 100 >= seen * 97, "{right} of {seen} read");
}

#[test]
fn a_drum_between_two_digits_is_not_read() {
    let (mut read_as_digit, mut seen) = (0, 0);
    over_scenes(
        None,
        1_500_200..1_500_240,
        |chance| chance.within(0.4, 0.6),
        |_, i, read, truth, min_score| {
            // Displays change at once.
            if i == 4 && truth.is_none() {
                seen += 1;
                read_as_digit += usize::from(read.digit(min_score).is_some());
            }
        },
    );
    assert!(seen >= 12, "{seen} drums between digits");
    assert!(read_as_digit * 100 <= seen * 5, "{read_as_digit} of {seen} read as a digit");
}

#[test]
fn a_slightly_rolled_digit_is_still_that_digit() {
    let (mut right, mut seen) = (0, 0);
    let roll =
        |chance: &mut Chance| if chance.often(0.5) { chance.within(0.0, 0.12) } else { chance.within(0.88, 1.0) };
    over_scenes(None, 1_500_300..1_500_320, roll, |_, i, read, truth, min_score| {
        if i == 4 {
            seen += 1;
            right += usize::from(read.digit(min_score).is_some_and(|digit| Some(digit) == truth));
        }
    });
    assert!(right * 10 >= seen * 9, "{right} of {seen} read");
}
