//! Every head against its reference decoder: `tests/data/heads`, made by `tests/tools/heads_reference.py`.

use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::frame::{Boxes, DType, Elements, TensorView};
use crate::task::testing::labels;

/// A file of `tests/data/heads`.
#[derive(Deserialize)]
struct Case {
    task: TaskKind,
    head: Head,
    labels: usize,
    size: [usize; 2],
    min_score: f32,
    iou: f32,
    scale: f32,
    offset: [f32; 2],
    source: [u32; 2],
    #[serde(default)]
    boxes: Boxes,
    #[serde(default)]
    keypoints: Option<[usize; 2]>,
    outputs: Vec<Output>,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    whole: bool,
    shape: Vec<usize>,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct Object {
    class: usize,
    score: f32,
    #[serde(rename = "box")]
    bbox: [f32; 4],
    #[serde(default)]
    keypoints: Vec<[f32; 3]>,
    corners: Option<[[f32; 2]; 4]>,
    /// Lengths of runs of pixels outside and inside.
    mask: Option<Vec<usize>>,
}

/// Values of an output in the type that it has.
enum Values {
    Floats(Vec<f32>),
    Whole(Vec<i64>),
}

fn view<'a>(spec: &'a TensorSpec, values: &'a Values) -> TensorView<'a> {
    let data = match values {
        Values::Floats(values) => Elements::F32(values),
        Values::Whole(values) => Elements::I64(values),
    };
    TensorView { spec, data }
}

fn read(path: &Path) -> Case {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn files() -> Vec<std::path::PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/heads");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn specs(case: &Case) -> Vec<TensorSpec> {
    let spec = |output: &Output| TensorSpec {
        name: output.name.clone(),
        dtype: if output.whole { DType::I64 } else { DType::F32 },
        shape: output.shape.clone(),
        quant: None,
    };
    case.outputs.iter().map(spec).collect()
}

fn found(case: &Case) -> Vec<Detection> {
    let names: Vec<String> = (0..case.labels).map(|i| i.to_string()).collect();
    let spec = TaskSpec {
        labels: labels(&names.iter().map(String::as_str).collect::<Vec<_>>()),
        head: Some(case.head),
        boxes: case.boxes,
        keypoints: case.keypoints,
        input_size: case.size,
        items: 1,
        ..TaskSpec::default()
    };
    let config = DetectConfig {
        min_score: Some(case.min_score),
        nms_iou: Some(case.iou),
        max_detections: Some(10_000),
        ..DetectConfig::default()
    };
    let mut task = Detect::new(&config, case.task, &spec).unwrap();
    let specs = specs(case);
    task.fits(&specs).unwrap();
    let values = |output: &Output| match output.whole {
        true => Values::Whole(output.values.iter().map(|v| *v as i64).collect()),
        false => Values::Floats(output.values.clone()),
    };
    let values: Vec<Values> = case.outputs.iter().map(values).collect();
    let outputs: Vec<TensorView<'_>> = specs.iter().zip(&values).map(|(spec, values)| view(spec, values)).collect();
    let geometry = [Geometry { scale: [case.scale; 2], offset: case.offset, source: case.source }];
    let input = TaskInput {
        window: None,
        inputs: &[],
        outputs: &outputs,
        first_item: 0,
        geometry: &geometry,
        unreadable: &[],
        faint_score: None,
        now: std::time::Duration::ZERO,
        time: std::time::SystemTime::UNIX_EPOCH,
    };
    match task.run(&input).unwrap().outcome {
        Outcome::Detect { task, detections, .. } => {
            assert_eq!(task, case.task);
            detections
        }
        other => panic!("{other:?}"),
    }
}

/// Largest difference between what is found and what the reference finds, in pixels, and least overlap of the masks.
fn compare(name: &str, case: &Case, found: &[Detection]) -> (f32, f32) {
    assert_eq!(found.len(), case.objects.len(), "{name}: {found:#?}");
    let (mut worst, mut overlap) = (0.0_f32, 1.0_f32);
    let mut differ = |a: f32, b: f32| worst = worst.max((a - b).abs());
    for (found, wanted) in found.iter().zip(&case.objects) {
        assert_eq!(&*found.label, wanted.class.to_string(), "{name}: {found:?}");
        assert!((found.score - wanted.score).abs() < 1e-5, "{name}: {found:?} {}", wanted.score);
        found.bbox.iter().zip(wanted.bbox).for_each(|(a, b)| differ(*a, b));
        assert_eq!(found.keypoints.len(), wanted.keypoints.len(), "{name}");
        for (point, [x, y, score]) in found.keypoints.iter().zip(&wanted.keypoints) {
            differ(point.x, *x);
            differ(point.y, *y);
            assert!((point.score - score).abs() < 1e-4, "{name}: {point:?} {score}");
        }
        assert_eq!(found.corners.is_some(), wanted.corners.is_some(), "{name}");
        let corners = found.corners.iter().flatten().flatten().zip(wanted.corners.iter().flatten().flatten());
        corners.for_each(|(a, b)| differ(*a, *b));
        if let Some(runs) = &wanted.mask {
            overlap = overlap.min(masks_overlap(&found.polygons, runs, case.source));
        }
    }
    (worst, overlap)
}

/// Overlap of what lies within the rings with a mask of runs; 1 for masks that are too small to have an outline.
fn masks_overlap(rings: &[Vec<[f32; 2]>], runs: &[usize], [width, height]: [u32; 2]) -> f32 {
    let mut wanted = runs.iter().enumerate().flat_map(|(i, count)| std::iter::repeat_n(i % 2 == 1, *count));
    let (mut both, mut either) = (0, 0);
    for place in 0..width * height {
        let [x, y] = [(place % width) as f32 + 0.5, (place / width) as f32 + 0.5];
        let crossed = |ring: &Vec<[f32; 2]>| {
            let after = ring.iter().skip(1).chain(ring.first());
            let right_of = |(a, b): &(&[f32; 2], &[f32; 2])| {
                (a[1] <= y) != (b[1] <= y) && a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) > x
            };
            ring.iter().zip(after).filter(right_of).count()
        };
        let inside = rings.iter().map(crossed).sum::<usize>() % 2 == 1;
        let wanted = wanted.next().unwrap();
        both += usize::from(inside && wanted);
        either += usize::from(inside || wanted);
    }
    if either < 400 { 1.0 } else { both as f32 / either as f32 }
}

#[test]
fn every_head_finds_what_its_reference_decoder_finds() {
    let mut heads: Vec<Head> = Vec::new();
    for path in files() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let case = read(&path);
        let (pixels, overlap) = compare(&name, &case, &found(&case));
        println!("{name}: {} objects, off by {pixels:.5} pixels, masks overlap by {overlap:.3}", case.objects.len());
        assert!(pixels < 0.01, "{name}: off by {pixels} pixels");
        // Within a cell the outline is straight where the enlarged mask is curved; here a cell is 12 pixels of the source.
        assert!(overlap > 0.93, "{name}: masks overlap by {overlap}");
        heads.push(case.head);
    }
    let missing: Vec<&Head> = Head::ALL
        .iter()
        .filter(|head| !heads.contains(head) && !matches!(head, Head::Ssd | Head::FastestDet))
        .collect();
    assert!(missing.is_empty(), "no reference for {missing:?}");
}

#[test]
fn outputs_of_any_shape_and_value_are_an_error_or_objects() {
    for path in files() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        for value in [f32::NAN, f32::INFINITY, -1e30, 1e30, 0.0] {
            let mut case = read(&path);
            case.outputs.iter_mut().flat_map(|output| output.values.iter_mut().step_by(3)).for_each(|v| *v = value);
            let _ = std::panic::catch_unwind(|| ran(&case)).unwrap_or_else(|_| panic!("{name} with {value}"));
        }
        for output in 0..read(&path).outputs.len() {
            for axis in 0..read(&path).outputs[output].shape.len() {
                for length in [0, 1, 3] {
                    let mut case = read(&path);
                    let changed = &mut case.outputs[output];
                    changed.shape[axis] = length;
                    changed.values.resize(changed.shape.iter().product(), 0.5);
                    let _ = std::panic::catch_unwind(|| ran(&case))
                        .unwrap_or_else(|_| panic!("{name} {output} {axis} {length}"));
                }
            }
        }
    }
}

/// Runs a case whose outputs may be wrong.
fn ran(case: &Case) -> bool {
    let spec = TaskSpec {
        head: Some(case.head),
        keypoints: case.keypoints,
        input_size: case.size,
        items: 1,
        ..TaskSpec::default()
    };
    let mut task = Detect::new(&DetectConfig::default(), case.task, &spec).unwrap();
    let specs = specs(case);
    let values: Vec<Vec<f32>> = case.outputs.iter().map(|output| output.values.clone()).collect();
    let floats: Vec<TensorSpec> = specs.into_iter().map(|spec| TensorSpec { dtype: DType::F32, ..spec }).collect();
    let view = |(spec, values)| TensorView { spec, data: Elements::F32(values) };
    let outputs: Vec<TensorView<'_>> = floats.iter().zip(values.iter().map(Vec::as_slice)).map(view).collect();
    let input = TaskInput {
        window: None,
        inputs: &[],
        outputs: &outputs,
        first_item: 0,
        geometry: &[],
        unreadable: &[],
        faint_score: Some(0.05),
        now: std::time::Duration::ZERO,
        time: std::time::SystemTime::UNIX_EPOCH,
    };
    task.run(&input).is_ok()
}
