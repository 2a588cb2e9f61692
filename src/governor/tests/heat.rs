//! Heat: foreseen, kept below, and given back; thermometers that fail.

use super::*;
use crate::heat::{Heat, Thermometer};
use crate::thermal::Thermal;

/// A board of two nodes that the pipeline of [`pipeline`] alone heats: rung 0 by 20 °C, the die's own 4 °C among them.
struct Plant {
    die: f64,
    board: f64,
    air: f64,
}

impl Plant {
    fn new(air: f64) -> Self {
        Plant { die: air, board: air, air }
    }

    /// Half a second at a setpoint; what a thermometer reads then.
    fn half_a_second(&mut self, setpoint: &Setpoint) -> (f32, f64) {
        let interval_s = setpoint.interval.as_secs_f64().max(0.1);
        let share = if setpoint.paused || setpoint.offload { 0.0 } else { 0.04 / interval_s / 4.0 };
        self.board += (self.air + 160.0 * share - self.board) * 0.5 / 180.0;
        self.die += (self.board + 40.0 * share - self.die) * 0.5 / 6.0;
        (((self.die * 2.0).round() / 2.0) as f32, share)
    }
}

/// Runs a governor on a plant; `change` may do anything to either at each half second. The changes as `second rung`.
fn live(
    governor: &mut Governor,
    plant: &mut Plant,
    seconds: u64,
    mut change: impl FnMut(f64, &mut Plant, &mut Reading),
) -> Vec<(f64, usize)> {
    let mut told = Vec::new();
    for tick in 0..seconds * 2 {
        let now_s = tick as f64 / 2.0;
        let (celsius, share) = plant.half_a_second(&governor.status("p").unwrap().setpoint);
        let percent = (share * 100.0) as f32;
        let mut reading = Reading {
            soc_celsius: Some(celsius),
            cpu_percent: Some(percent),
            own_cpu_percent: Some(percent),
            core_percent: vec![percent; 4],
            ..cool()
        };
        change(now_s, plant, &mut reading);
        for change in governor.step(&reading, Duration::from_secs_f64(now_s)) {
            let rung = change.setpoint.rung + usize::from(change.setpoint.paused);
            told.push((now_s, rung));
        }
    }
    told
}

fn governor() -> Governor {
    Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)])
}

#[test]
fn the_work_is_lowered_before_the_limit_and_given_back_when_the_air_is_cooler() {
    let (mut governor, mut plant) = (governor(), Plant::new(50.0));
    let mut hottest = 0.0_f64;
    let told = live(&mut governor, &mut plant, 5400, |now_s, plant, _| {
        hottest = hottest.max(plant.die);
        // 50 + 20 °C is fine, 62 + 20 °C is not, rung 1 (two thirds) is.
        plant.air = if (1800.0..3600.0).contains(&now_s) { 62.0 } else { 50.0 };
    });
    assert_eq!(told.iter().map(|t| t.1).collect::<Vec<_>>(), [1, 0], "{told:?}");
    assert!((1800.0..3600.0).contains(&told[0].0) && (3600.0..3780.0).contains(&told[1].0), "{told:?}");
    assert!(hottest < 78.0, "{hottest}");
}

#[test]
fn other_nodes_take_the_work_of_a_hot_board_and_give_it_back_when_the_air_is_cooler() {
    let (mut governor, mut plant) = (governor(), Plant::new(50.0));
    let told = live(&mut governor, &mut plant, 5400, |now_s, plant, reading| {
        plant.air = if (1800.0..3600.0).contains(&now_s) { 62.0 } else { 50.0 };
        let group = Some(Group { spare_per_s: 20.0, in_time: Some(1.0) });
        reading.pipelines.values_mut().for_each(|load| load.group = group);
        assert!(plant.die < 78.0);
    });
    assert!(told.iter().all(|t| t.1 == 0), "full work all the time: {told:?}");
    // A board that does no work tells little of what work would do: home is tried again, later each time.
    assert!(told.len() <= 8, "{told:?}");
    let status = governor.status("p").unwrap();
    assert!(!status.setpoint.offload);
    assert!(status.reason.contains("full work is done here again"), "{}", status.reason);
    assert!((3600..3900).contains(&status.since.as_secs()), "{status:?}");
}

#[test]
fn a_reload_keeps_what_is_known_of_the_board_and_the_rungs_of_what_did_not_change() {
    let (mut governor, mut plant) = (governor(), Plant::new(62.0));
    let told = live(&mut governor, &mut plant, 1800, |_, _, _| {});
    let rung = told.last().expect("lowered").1;
    let known = governor.forecast().unwrap();
    governor.order(&Order::Mode(Mode::Performance), None, Duration::from_secs(1800));
    governor.reload(Config::default(), ["new", "p"], vec![pipeline("new", 1.0, 250), pipeline("p", 1.0, 250)]);
    assert_eq!(governor.forecast().map(|f| f.soc_celsius), Some(known.soc_celsius));
    assert_eq!(governor.mode(), Mode::Performance, "an order stays in force");
    let rungs = ["new", "p"].map(|name| governor.status(name).unwrap().setpoint.rung);
    assert_eq!(rungs, [0, rung]);
}

#[test]
fn an_air_in_which_nothing_helps_pauses_the_work() {
    let (mut governor, mut plant) = (governor(), Plant::new(60.0));
    let told =
        live(&mut governor, &mut plant, 3600, |now_s, plant, _| plant.air = if now_s < 1800.0 { 76.8 } else { 50.0 });
    let paused = told.iter().find(|t| t.1 == 8).expect("paused");
    assert!(paused.0 < 1800.0, "{told:?}");
    assert_eq!(told.last().map(|t| t.1), Some(0), "{told:?}");
    assert_eq!(governor.state(), State::Normal);
}

#[test]
fn one_reading_moves_nothing_whatever_it_is() {
    for spike in [Some(200.0), Some(-40.0), Some(f32::NAN), Some(f32::INFINITY), Some(99.0), Some(20.0), None] {
        let (mut governor, mut plant) = (governor(), Plant::new(50.0));
        let told = live(&mut governor, &mut plant, 900, |now_s, _, reading| {
            if now_s == 600.0 {
                reading.soc_celsius = spike;
            }
        });
        assert_eq!(told, [], "{spike:?}");
    }
}

#[test]
fn a_thermometer_that_goes_is_counted_as_the_worst_and_never_raises_the_work() {
    for gone in [None, Some(f32::NAN), Some(-40.0), Some(200.0), Some(30.0)] {
        // 57 + 20 °C is just fine, as long as that is known.
        let (mut governor, mut plant) = (governor(), Plant::new(57.0));
        let told = live(&mut governor, &mut plant, 2400, |now_s, _, reading| {
            if now_s >= 1500.0 {
                reading.soc_celsius = gone;
            }
        });
        assert_eq!(told.len(), 1, "{gone:?}: {told:?}");
        assert!(told[0].0 > 1510.0 && told[0].1 > 0, "{gone:?}: {told:?}");
        let reason = governor.status("p").unwrap().reason;
        assert!(reason.starts_with("soc sensor "), "{reason}");
    }
}

#[test]
fn a_board_without_a_thermometer_works_on_deadlines() {
    let (mut governor, mut plant) = (governor(), Plant::new(90.0));
    let told = live(&mut governor, &mut plant, 600, |now_s, _, reading| {
        reading.soc_celsius = if (now_s as u64).is_multiple_of(2) { None } else { Some(f32::NAN) };
        if (300.0..310.0).contains(&now_s) {
            reading.pipelines = of_p(in_time(400.0, 390.0));
        }
    });
    assert!(!told.is_empty() && told.iter().all(|t| t.0 >= 300.0), "{told:?}");
    assert_eq!(governor.forecast(), None);
}

#[test]
fn a_cool_reading_that_stands_still_does_not_hide_missed_deadlines() {
    let stuck = |load: Load| Reading { soc_celsius: Some(45.0), pipelines: of_p(load), ..cool() };
    let mut governor = governor();
    let told = run(&mut governor, 0.0, &[(60.0, stuck(in_time(50.0, 40.0))), (4.0, stuck(in_time(300.0, 290.0)))]);
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_thermometer_that_froze_is_found_by_the_load() {
    let (mut heat, mut plant) = (Heat::default(), Plant::new(30.0));
    let setpoint = |interval_ms| Setpoint { interval: Duration::from_millis(interval_ms), ..Setpoint::full() };
    let mut failed_at = None;
    for tick in 0..2400_u32 {
        let now = TICK * tick;
        // Changes of load teach it the board; then the thermometer stands still and the load goes up.
        let interval_ms = if tick >= 1200 || tick / 240 % 2 == 0 { 100 } else { 1000 };
        let (celsius, share) = plant.half_a_second(&setpoint(interval_ms));
        let reads = if tick >= 1200 { 33.0 } else { celsius };
        let before = heat.thermometer();
        heat.take(Some(reads), share, now);
        if let (Thermometer::Failed(why), true) = (heat.thermometer(), failed_at.is_none()) {
            failed_at = Some((tick, why));
        }
        assert!(
            tick >= 1200 || before == heat.thermometer() || tick < 4,
            "healthy readings at {tick}: {:?}",
            heat.thermometer()
        );
    }
    let (tick, why) = failed_at.expect("found");
    assert!(tick < 1500, "after {} s: {why}", (tick - 1200) / 2);
}

#[test]
fn a_constant_is_no_thermometer() {
    let mut heat = Heat::default();
    for tick in 0..2400_u32 {
        let load = if tick / 400 % 2 == 0 { 0.05 } else { 0.9 };
        heat.take(Some(27.8), load, TICK * tick);
    }
    assert_eq!((heat.thermometer(), heat.now()), (Thermometer::Absent, None));
}

#[test]
fn another_thermometer_is_believed_once_it_has_moved() {
    let mut heat = Heat::default();
    let mut at = |tick: u32, celsius: f32| {
        heat.take(Some(celsius), 0.3, TICK * tick);
        heat.thermometer()
    };
    for tick in 0..400 {
        at(tick, 50.0 + (tick / 100) as f32 * 0.5);
    }
    // Another zone, 14 °C warmer, that moves as one does.
    let sights: Vec<Thermometer> = (400..900).map(|tick| at(tick, 66.0 + ((tick / 30) % 3) as f32 * 0.5)).collect();
    assert!(matches!(sights[20], Thermometer::Failed(_)), "{:?}", sights[20]);
    assert_eq!(sights.last(), Some(&Thermometer::Working));
    assert!((heat.now().unwrap().celsius - 66.5).abs() < 1.0);
}

#[test]
fn the_model_learns_a_board_that_it_was_not_told_of() {
    // Two nodes of 6 and 180 s, 40 and 10 °C of full load, air at 31 °C, read in steps of half a degree.
    let (mut board, mut die) = (31.0_f64, 31.0_f64);
    let mut model = Thermal::new(31.0, 0.0);
    for tick in 0..7200_u32 {
        let load = [0.2, 0.9, 0.5, 0.7][(tick / 600 % 4) as usize];
        board += (31.0 + 40.0 * load - board) * 0.5 / 180.0;
        die += (board + 10.0 * load - die) * 0.5 / 6.0;
        model.advance(load, TICK);
        model.observe((die * 2.0).round() / 2.0, TICK);
    }
    // The further from what it has seen lately, the less sure it is, and knows it.
    for (load, within) in [(0.1, 7.0), (0.5, 3.0), (0.8, 3.0), (1.0, 6.0)] {
        let (expected, found) = (31.0 + 50.0 * load, model.steady(load));
        assert!((found.celsius - expected).abs() < within, "{load}: {found:?} instead of {expected}");
        assert!((found.celsius - expected).abs() < 2.0 * found.sd + 1.0, "{load}: {found:?} instead of {expected}");
    }
    assert!((120.0..270.0).contains(&model.board_s()), "{}", model.board_s());
    let ahead = model.after(Duration::from_secs(30), 1.0);
    let (mut board, mut die) = (board, die);
    for _ in 0..60 {
        board += (31.0 + 40.0 - board) * 0.5 / 180.0;
        die += (board + 10.0 - die) * 0.5 / 6.0;
    }
    assert!((ahead.celsius - die).abs() < 1.0, "{ahead:?} instead of {die}");
}
