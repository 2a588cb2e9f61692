use super::*;
use crate::frame::{Unreadable, status};
use crate::scene::{Chance, Gears, Household, truth};

const DIAL: Kind = Kind::Dial { clockwise: true };

fn settings() -> Settings {
    Settings {
        places: [[Kind::Digit; 5].as_slice(), &[DIAL; 4]].concat(),
        meter: status::Meter { unit: Some("m³".into()), decimals: 4, counts_up: true, ..status::Meter::default() },
        max_rate: Some(10.0),
        whole_digits: false,
        negative: false,
        min_score: 0.5,
        confirm: 3,
        single: false,
        relearn: None,
    }
}

fn read(position: f32) -> PositionRead {
    PositionRead { position: Some(position.rem_euclid(10.0)), score: 0.95, unreadable: None }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Reads positions at a second of the run, which began at the epoch.
fn at(meter: &mut Meter, positions: &[f32], second: u64) -> MeterReading {
    let reads: Vec<PositionRead> = positions.iter().copied().map(read).collect();
    meter.read(&reads, s(second), SystemTime::UNIX_EPOCH + s(second))
}

/// Positions of 412.3571 m³.
const SHOWN: [f32; 9] = [0.0, 0.0, 4.0, 1.0, 2.0, 3.57, 5.71, 7.1, 1.0];

#[test]
fn a_meter_gives_one_number_with_its_parts() {
    let mut meter = Meter::new(settings());
    let first = at(&mut meter, &SHOWN, 0);
    assert_eq!((first.quality, first.value, first.raw_value), (Quality::Unconfirmed, None, Some(412.3571)));
    at(&mut meter, &SHOWN, 1);
    let reading = at(&mut meter, &SHOWN, 2);
    assert_eq!((reading.quality, reading.problem, reading.held), (Quality::Good, None, false));
    assert_eq!((reading.value, reading.label.as_deref()), (Some(412.3571), Some("00412.3571")));
    let digits: Vec<_> = reading.digits.iter().chain(&reading.dials).filter_map(|place| place.digit).collect();
    assert_eq!((digits, reading.digits.len()), (vec![0, 0, 4, 1, 2, 3, 5, 7, 1], 5));
    // A drum is covered: the number is held, with its reason and age.
    let mut reads: Vec<PositionRead> = SHOWN.iter().copied().map(read).collect();
    reads[0] = PositionRead { position: None, score: 0.0, unreadable: Some(Unreadable::NoDigit) };
    let held = meter.read(&reads, s(62), SystemTime::UNIX_EPOCH + s(62));
    assert_eq!((held.value, held.held, held.problem), (Some(412.3571), true, Some(MeterProblem::Unreadable)));
    assert_eq!(held.last_good.and_then(|last| last.age_s), Some(60.0));
    let knocked = meter.not_aligned(s(63), SystemTime::UNIX_EPOCH + s(63));
    assert_eq!((knocked.value, knocked.problem), (Some(412.3571), Some(MeterProblem::NotAligned)));
    assert_eq!(at(&mut meter, &SHOWN, 64).quality, Quality::Good);
}

#[test]
fn one_picture_by_itself_is_told_with_its_quality() {
    let mut meter = Meter::new(Settings { single: true, ..settings() });
    let good = at(&mut meter, &SHOWN, 0);
    assert_eq!((good.quality, good.value, good.held), (Quality::Good, Some(412.3571), false));
    let mut meter = Meter::new(Settings { single: true, ..settings() });
    // The lowest drum has moved to its digit already, or not yet.
    let torn = at(&mut meter, &[0.0, 0.0, 4.0, 1.0, 2.0, 9.5, 5.0, 0.1, 1.0], 0);
    assert_eq!((torn.quality, torn.problem), (Quality::Uncertain, Some(MeterProblem::Uncertain)));
    assert!(torn.value.is_some() && !torn.held);
}

#[test]
fn what_an_earlier_run_believed_bounds_what_this_one_may() {
    let mut meter = Meter::new(settings());
    (0..3).for_each(|second| _ = at(&mut meter, &SHOWN, second));
    let memory = meter.memory().unwrap();
    assert_eq!(memory.counts, 4_123_571);
    let mut later = Meter::new(settings());
    later.restore(memory);
    // A thousand cubic metres in an hour.
    let mut leapt = SHOWN;
    leapt[1] = 1.0;
    let reading = at(&mut later, &leapt, 3600);
    assert_eq!((reading.value, reading.problem), (Some(412.3571), Some(MeterProblem::TooFast)));
    (3601..3604).for_each(|second| _ = at(&mut later, &SHOWN, second));
    assert_eq!(at(&mut later, &SHOWN, 3604).quality, Quality::Good);
}

#[test]
fn digits_that_are_known_as_a_whole_are_doubted_where_their_drum_may_have_moved() {
    let quality = |whole_digits: bool, shown: [f32; 9]| {
        let mut meter = Meter::new(Settings { whole_digits, single: true, ..settings() });
        let reading = at(&mut meter, &shown, 0);
        (reading.quality, reading.raw_value)
    };
    // A 3 that has come to a rest, or a drum that moves all the time and is nearly a 3.
    let late = [0.0, 0.0, 4.0, 1.0, 3.0, 6.42, 4.21, 2.1, 1.0];
    assert_eq!(quality(false, late), (Quality::Good, Some(413.6421)));
    assert!(matches!(quality(true, late), (Quality::Uncertain, Some(_))));
    assert_eq!(quality(true, SHOWN), (Quality::Good, Some(412.3571)));
}

/// Fault of a picture, which lasts for minutes to hours.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// Nothing can be read.
    Dark,
    /// The marks are not found.
    Knocked,
    /// Every position is chance.
    Fog,
    /// No picture comes.
    Paused,
    /// One place is misread with a high score, always as the same.
    Misread(usize, f32),
}

/// Counts of a run.
#[derive(Debug, Default)]
struct Tally {
    good: u32,
    /// Good readings further from the truth than the lowest place's jitter, and the furthest in counts.
    wrong: u32,
    furthest: u64,
    /// Pictures without a fault, and those of them whose reading was held.
    clear: u32,
    held: u32,
}

/// Days of a household in virtual time, looked at each minute, with faults of the kinds that `kind` makes of a number.
fn days(seed: u64, days: u64, kind: impl Fn(&mut Chance) -> Fault) -> Tally {
    let (gears, mut household) = (Gears::new(seed), Household::new(seed));
    let (mut chance, mut meter) = (Chance::new(seed, 99), Meter::new(settings()));
    let (mut fault, mut until) = (Fault::None, 600);
    let mut tally = Tally::default();
    for minute in 0..days * 1440 {
        let second = minute * 60;
        if minute >= until {
            fault = if fault == Fault::None { kind(&mut chance) } else { Fault::None };
            let usual = if fault == Fault::None { 1500.0 } else { 240.0 };
            until = minute + 1 + chance.within(1.0, usual) as u64;
        }
        let counts = household.at(second as f64);
        let shown = gears.at(counts);
        let mut positions: Vec<f32> = shown.drums.iter().chain(&shown.dials).copied().collect();
        positions.iter_mut().for_each(|position| *position += 0.07 * chance.normal());
        match fault {
            Fault::Misread(place, position) => positions[place] = position,
            Fault::Fog => positions.iter_mut().for_each(|position| *position = chance.within(0.0, 10.0)),
            Fault::None | Fault::Dark | Fault::Knocked | Fault::Paused => {}
        }
        let time = SystemTime::UNIX_EPOCH + s(second);
        let dark = PositionRead { position: None, score: 0.0, unreadable: Some(Unreadable::LowContrast) };
        let reading = match fault {
            Fault::Paused => continue,
            Fault::Knocked => meter.not_aligned(s(second), time),
            Fault::Dark => meter.read(&vec![dark; 9], s(second), time),
            _ => at(&mut meter, &positions, second),
        };
        if reading.quality == Quality::Good {
            let told: u64 = reading.label.unwrap().replace('.', "").parse().unwrap();
            let apart = told.abs_diff(truth(counts).parse().unwrap());
            tally.good += 1;
            tally.wrong += u32::from(apart > 2);
            tally.furthest = tally.furthest.max(apart);
        }
        if fault == Fault::None && minute >= 3 {
            tally.clear += 1;
            tally.held += u32::from(reading.quality != Quality::Good);
        }
    }
    tally
}

#[test]
fn thirty_days_of_a_household_with_faults_give_no_wrong_number() {
    let faults = [Fault::Dark, Fault::Knocked, Fault::Fog, Fault::Paused];
    let found = days(0, 30, |chance| faults[chance.below(4) as usize]);
    assert!(found.good > 30_000 && found.wrong == 0, "{found:?}");
    assert!(found.held * 100 <= found.clear, "{found:?}");
}

#[test]
fn a_place_that_is_misread_for_hours_stays_within_what_flow_explains() {
    let found = days(5, 8, |chance| Fault::Misread(chance.below(9) as usize, chance.within(0.0, 10.0)));
    // A high place is caught at once; a low one may be wrong by no more than the water of some minutes.
    assert!(found.furthest < 5_000 && found.wrong * 20 < found.good, "{found:?}");
    assert!(found.held * 20 <= found.clear, "{found:?}");
}
