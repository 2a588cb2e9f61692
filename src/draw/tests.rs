//! Outcomes on pictures, asserted on pixels.

use std::collections::BTreeMap;

use super::*;
use crate::frame::{ClassMap, Keypoint, Reading, Scored, Share, TaskKind, TextRead, Unreadable};

fn grey(width: u32, height: u32, value: u8) -> Canvas {
    Canvas::new([width, height], vec![value; (width * height * 3) as usize])
}

fn detect(detections: &[(&str, [f32; 4])]) -> Outcome {
    let one = |(label, bbox): &(&str, [f32; 4])| Detection::new((*label).into(), 0.9, *bbox);
    Outcome::Detect {
        task: TaskKind::Detect,
        detections: detections.iter().map(one).collect(),
        counts: BTreeMap::new(),
        zones: BTreeMap::new(),
        lines: BTreeMap::new(),
        source_width: 320,
        source_height: 240,
    }
}

fn count(canvas: &Canvas, colour: Colour) -> usize {
    canvas.rgb().chunks_exact(3).filter(|pixel| **pixel == colour).count()
}

#[test]
fn a_box_is_where_the_detection_is_and_seen_on_any_background() {
    for background in [0, 128, 255] {
        let drawn = annotated(grey(320, 240, background), &detect(&[("dog", [100.0, 80.0, 200.0, 160.0])]), &[]);
        assert_eq!(drawn.size(), [320, 240]);
        let colour = colour_of("dog");
        for (x, y) in [(100, 120), (200, 120), (150, 80), (150, 160)] {
            assert_eq!(drawn.pixel(x, y), Some(colour), "{x} {y} on {background}");
        }
        assert_eq!((drawn.pixel(99, 120), drawn.pixel(101, 120)), (Some(BLACK), Some(BLACK)), "a dark edge");
        assert_eq!(drawn.pixel(150, 120), Some([background; 3]), "the inside is left as it is");
        assert_eq!(
            drawn.pixel(110, 70),
            annotated(grey(320, 240, 7), &detect(&[("dog", [100.0, 80.0, 200.0, 160.0])]), &[]).pixel(110, 70)
        );
    }
}

#[test]
fn labels_do_not_cover_each_other() {
    let same = [100.0, 80.0, 200.0, 160.0];
    let outcome = detect(&[("person", same), ("dog", same), ("cat", same)]);
    let mut sheet = Sheet { canvas: grey(320, 240, 50), scale: 1, factor: 1.0, plates: Vec::new() };
    let Outcome::Detect { detections, .. } = &outcome else { unreachable!() };
    sheet.detections(detections, &[]);
    for (i, a) in sheet.plates.iter().enumerate() {
        assert!(sheet.plates[i + 1..].iter().all(|b| !a.overlaps(b)), "{:?}", sheet.plates);
        assert!(a.left >= 0 && a.top >= 0 && a.right <= 320 && a.bottom <= 240, "{a:?}");
    }
    assert_eq!(sheet.plates.len(), 3);
}

#[test]
fn boxes_at_and_beyond_the_edges_keep_their_labels_inside() {
    for bbox in
        [[0.0, 0.0, 320.0, 240.0], [310.0, 0.0, 320.0, 5.0], [-50.0, -50.0, 10.0, 10.0], [0.0, 235.0, 9.0, 240.0]]
    {
        let mut sheet = Sheet { canvas: grey(320, 240, 50), scale: 1, factor: 1.0, plates: Vec::new() };
        let Outcome::Detect { detections, .. } = detect(&[("a long label", bbox)]) else { unreachable!() };
        sheet.detections(&detections, &[]);
        let plate = sheet.plates[0];
        assert!(plate.left >= 0 && plate.top >= 0 && plate.right <= 320 && plate.bottom <= 240, "{bbox:?}: {plate:?}");
    }
    let strange = [f32::NAN, f32::INFINITY, -1e30, 1e30];
    assert_eq!(annotated(grey(320, 240, 0), &detect(&[("x", strange)]), &[]).size(), [320, 240]);
}

#[test]
fn each_region_shows_whether_it_was_read() {
    let square = |left: f32| [[left, 100.0], [left + 40.0, 100.0], [left + 40.0, 160.0], [left, 160.0]];
    let read = RegionRead { label: Some("7".into()), score: 0.98, unreadable: None };
    let fogged = RegionRead { label: None, score: 0.0, unreadable: Some(Unreadable::LowContrast) };
    let reading = Reading {
        label: None,
        value: None,
        score: 0.0,
        quality: Quality::Unreadable,
        held: false,
        regions: vec![read, fogged],
        last_good: None,
    };
    let outcome = Outcome::Reading(reading);
    let drawn = annotated(grey(320, 240, 128), &outcome, &[square(50.0), square(200.0)]);
    assert_eq!((drawn.pixel(50, 130), drawn.pixel(200, 130)), (Some(GOOD), Some(BAD)));
    assert_eq!(caption(&outcome), ["no reading: unreadable"]);
    assert_eq!(drawn.pixel(1, 1), Some(BAD), "the corner says that nothing was read");
}

#[test]
fn a_class_stands_in_the_corner_and_a_small_picture_is_enlarged_for_it() {
    let top = vec![Scored { label: "3".into(), score: 0.998 }, Scored { label: "8".into(), score: 0.002 }];
    let outcome = Outcome::Classify { label: "3".into(), score: 0.998, top, unreadable: None };
    assert_eq!(caption(&outcome), ["3 1.00", "8 0.00"]);
    let drawn = annotated(grey(24, 32, 200), &outcome, &[]);
    assert_eq!(drawn.size(), [24 * 7, 32 * 7]);
    assert_eq!(drawn.pixel(1, 1), Some(colour_of("3")));
    assert!(count(&drawn, ink_on(colour_of("3"))) > 50, "text");
    assert_eq!(drawn.pixel(160, 220), Some([200; 3]));
}

#[test]
fn files_hold_the_pixels() {
    let drawn = annotated(grey(320, 240, 128), &detect(&[("dog", [100.0, 80.0, 200.0, 160.0])]), &[]);
    let png = encode(&drawn, Format::Png).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert_eq!(pixels, drawn.rgb());
    assert!(encode(&drawn, Format::Jpeg).unwrap().starts_with(&[0xff, 0xd8]));
    let wide = grey(70_000, 1, 0);
    assert!(matches!(encode(&wide, Format::Jpeg), Err(EncodeError::JpegSize { width: 70_000, height: 1 })));
}

fn one(detection: Detection, task: TaskKind) -> Outcome {
    let Outcome::Detect { counts, zones, lines, source_width, source_height, .. } = detect(&[]) else { unreachable!() };
    Outcome::Detect { task, detections: vec![detection], counts, zones, lines, source_width, source_height }
}

#[test]
fn a_skeleton_has_bones_between_points_that_are_seen() {
    let point = |x: f32, y: f32, score: f32| Keypoint { x, y, score };
    let mut keypoints = vec![point(0.0, 0.0, 0.0); 17];
    (keypoints[5], keypoints[7], keypoints[9]) =
        (point(100.0, 60.0, 0.9), point(100.0, 120.0, 0.9), point(200.0, 120.0, 0.1));
    let detection = Detection { keypoints, ..Detection::new("person".into(), 0.9, [50.0, 40.0, 250.0, 200.0]) };
    let drawn = annotated(grey(320, 240, 128), &one(detection, TaskKind::Pose), &[]);
    assert_eq!(drawn.pixel(100, 90), Some(colour_of("person")), "from the shoulder to the elbow");
    assert_eq!((drawn.pixel(100, 60), drawn.pixel(100, 120)), (Some(WHITE), Some(WHITE)));
    assert_eq!(drawn.pixel(150, 120), Some([128; 3]), "no bone to a point that is not seen");
    assert_eq!(drawn.pixel(2, 2), Some([128; 3]));
}

#[test]
fn an_outline_is_filled_but_for_its_holes_and_a_turned_box_is_turned() {
    let square = |low: f32, high: f32| vec![[low, low], [high, low], [high, high], [low, high]];
    let bbox = [40.0, 40.0, 160.0, 160.0];
    let polygons = vec![square(40.0, 160.0), square(80.0, 120.0)];
    let detection = Detection { polygons, ..Detection::new("cat".into(), 0.9, bbox) };
    let drawn = annotated(grey(320, 240, 128), &one(detection, TaskKind::Segment), &[]);
    let tinted = drawn.pixel(60, 100).unwrap();
    assert!(tinted != [128; 3] && tinted != colour_of("cat"), "{tinted:?}");
    assert_eq!(drawn.pixel(100, 100), Some([128; 3]), "the hole");
    assert_eq!(drawn.pixel(80, 100), Some(colour_of("cat")), "its edge");
    let corners = Some([[100.0, 40.0], [160.0, 100.0], [100.0, 160.0], [40.0, 100.0]]);
    let detection = Detection { corners, ..Detection::new("ship".into(), 0.9, bbox) };
    let drawn = annotated(grey(320, 240, 128), &one(detection, TaskKind::Obb), &[]);
    assert_eq!(drawn.pixel(130, 70), Some(colour_of("ship")));
    assert_eq!(drawn.pixel(160, 60), Some([128; 3]), "no upright box");
}

#[test]
fn text_is_written_or_said_to_be_none() {
    let region = |left: f32| [[left, 40.0], [left + 100.0, 40.0], [left + 100.0, 90.0], [left, 90.0]];
    let read = |text: Option<&str>| TextRead { text: text.map(str::to_owned), score: 0.9 };
    let text = |text: Option<&str>, regions| Outcome::Text { text: text.map(str::to_owned), score: 0.9, regions };
    let plate = |outcome: &Outcome, regions: &[Corners]| {
        let drawn = annotated(grey(320, 240, 128), outcome, regions);
        (drawn.pixel(1, 1).unwrap(), drawn.pixel(10, 60).unwrap(), drawn.pixel(150, 60).unwrap())
    };
    assert_eq!(plate(&text(Some("AB 12"), Vec::new()), &[]).0, GOOD);
    assert_eq!(plate(&text(None, Vec::new()), &[]).0, DOUBTFUL);
    let both = text(None, vec![read(Some("AB")), read(None)]);
    let (corner, first, second) = plate(&both, &[region(10.0), region(150.0)]);
    assert_eq!((corner, first, second), ([128; 3], GOOD, DOUBTFUL));
}

#[test]
fn places_have_the_colours_of_their_classes() {
    let classes = vec![Share { label: "road".into(), class: 3, share: 0.5 }];
    let map = ClassMap { width: 2, height: 1, bbox: [0.0, 0.0, 320.0, 240.0], runs: vec![[3, 1], [4, 1]] };
    let outcome = Outcome::Semantic { classes, map, source_width: 320, source_height: 240 };
    let drawn = annotated(grey(320, 240, 128), &outcome, &[]);
    assert!(drawn.pixel(100, 200) != Some([128; 3]), "class 3");
    assert_eq!(drawn.pixel(200, 200), Some([128; 3]), "a class that is not listed");
}
