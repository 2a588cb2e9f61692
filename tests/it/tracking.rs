//! Tracking on the drawn street, whose truth is known: leptond's events beside plain trackers and beside what the detections allow.

mod assign;
mod baseline;
mod detector;
mod follow;
mod metrics;
mod metrics_tests;
mod oracle;
mod run;

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use baseline::Plain;
use detector::{CLEAN, POOR, Quality, USUAL};
use follow::{Follow, Own};
use oracle::Oracle;
use run::{Course, Figures, Frame, detections, run};

/// Trackers in the order of the table's columns: leptond, SORT, greedy by overlap, perfect identity.
const TRACKERS: usize = 4;

fn trackers(course: &Course, frames: &[Frame], fps: u32) -> [Box<dyn Follow>; TRACKERS] {
    // Frames of a camera that drops none in leptond's `vanish_s`.
    let age = 2 * fps;
    [
        Box::new(Own::new(&course.shares)),
        Box::new(Plain::new(true, age)),
        Box::new(Plain::new(false, age)),
        Box::new(Oracle::new(frames)),
    ]
}

/// Conditions of a row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    quality: Quality,
    dropped: f32,
    fps: u32,
}

/// The figures of each row and tracker over the streets of these seeds.
fn measure(rows: &[Row], seeds: RangeInclusive<u64>, length: Duration) -> Vec<[Figures; TRACKERS]> {
    let sums = Mutex::new(vec![<[Figures; TRACKERS]>::default(); rows.len()]);
    let seeds: Vec<u64> = seeds.collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let course = Course::new(*seed, length);
                    for (index, row) in rows.iter().enumerate() {
                        let frames = course.frames(row.fps, row.dropped);
                        let found = detections(&course, &frames, row.quality);
                        for (at, mut tracker) in trackers(&course, &frames, row.fps).into_iter().enumerate() {
                            let figures = run(&course, &frames, &found, &mut *tracker);
                            sums.lock().unwrap()[index][at].add(&figures);
                        }
                    }
                }
            });
        }
    });
    sums.into_inner().unwrap()
}

/// Bounds are the worst of twenty groups of four other seeds with some room.
#[test]
fn objects_are_followed_counted_and_told() {
    struct Bounds {
        mota: f64,
        idf1: f64,
        recall: f64,
        precision: f64,
        count_error: f64,
        churn: f64,
    }
    let cases = [
        (
            Row { quality: USUAL, dropped: 0.0, fps: 2 },
            Bounds { mota: 0.63, idf1: 0.61, recall: 0.87, precision: 0.79, count_error: 0.42, churn: 1.40 },
        ),
        (
            Row { quality: USUAL, dropped: 0.0, fps: 5 },
            Bounds { mota: 0.68, idf1: 0.68, recall: 0.89, precision: 0.78, count_error: 0.36, churn: 1.33 },
        ),
        (
            Row { quality: POOR, dropped: 0.4, fps: 15 },
            Bounds { mota: 0.47, idf1: 0.52, recall: 0.84, precision: 0.66, count_error: 0.35, churn: 1.42 },
        ),
    ];
    let rows: Vec<Row> = cases.iter().map(|case| case.0).collect();
    for ((row, bounds), [own, sort, greedy, known]) in cases.iter().zip(measure(&rows, 1..=4, Duration::from_secs(60)))
    {
        let wrong = |what: &str| format!("{what} of {row:?}: {own:?}");
        assert!(own.sums.mota() >= bounds.mota, "{}: {:.3}", wrong("MOTA"), own.sums.mota());
        assert!(own.sums.idf1() >= bounds.idf1, "{}: {:.3}", wrong("IDF1"), own.sums.idf1());
        assert!(own.event_recall() >= bounds.recall, "{}: {:.3}", wrong("recall"), own.event_recall());
        assert!(own.event_precision() >= bounds.precision, "{}: {:.3}", wrong("precision"), own.event_precision());
        assert!(own.count_error() <= bounds.count_error, "{}: {:.3}", wrong("counts"), own.count_error());
        assert!(own.churn() <= bounds.churn, "{}: {:.3}", wrong("churn"), own.churn());
        assert!(own.sums.mota() > sort.sums.mota() && own.sums.mota() > greedy.sums.mota(), "{}", wrong("MOTA"));
        assert!(own.count_error() < sort.count_error(), "{}", wrong("counts"));
        // The measure itself: who knows every identity is nearly right, and nobody beats the detections.
        assert!(known.sums.switches <= 8 && known.event_recall() > 0.95 && known.count_error() < 0.2, "{known:?}");
        assert!(own.sums.mota() < known.sums.mota() && own.sums.idf1() < known.sums.idf1(), "{}", wrong("bound"));
    }
}

/// The table of `docs/measurements.md`; `tests/bench/tracking` runs it. `SEEDS` is the number of streets, 20 if unset.
#[test]
#[ignore = "a measurement of minutes"]
fn table() {
    let seeds: u64 = std::env::var("SEEDS").map_or(20, |seeds| seeds.parse().unwrap());
    let mut rows = Vec::new();
    for quality in [USUAL, CLEAN, POOR] {
        for dropped in [0.0, 0.2, 0.4] {
            rows.extend([2, 3, 5, 8, 10, 15].map(|fps| Row { quality, dropped, fps }));
        }
    }
    println!(
        "| detector | dropped % | fps | MOTA | IDF1 | switches | counts wrong % | events: recall | precision | per object |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (row, all) in rows.iter().zip(measure(&rows, 1..=seeds, Duration::from_secs(120))) {
        let cell = |value: fn(&Figures) -> String| all.iter().map(value).collect::<Vec<_>>().join(" / ");
        println!(
            "| {} | {:.0} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.quality.name,
            row.dropped * 100.0,
            row.fps,
            cell(|f| format!("{:.2}", f.sums.mota())),
            cell(|f| format!("{:.2}", f.sums.idf1())),
            cell(|f| f.sums.switches.to_string()),
            cell(|f| format!("{:.0}", f.count_error() * 100.0)),
            cell(|f| format!("{:.2}", f.event_recall())),
            cell(|f| format!("{:.2}", f.event_precision())),
            cell(|f| format!("{:.2}", f.churn())),
        );
    }
    let [own, ..] = &measure(&rows[2..3], 1..=seeds, Duration::from_secs(120))[0];
    println!(
        "\n{seeds} streets of 120 s: {} true objects worth an event, {} crossings; leptond's MOTP {:.3} and {} fragmentations (usual, 5 fps)",
        own.worthy,
        own.crossed,
        own.sums.motp(),
        own.sums.fragmentations
    );
}
