use std::sync::Barrier;

use super::testing::{Before, Runs, fine, sum_of, sums};
use super::*;
use crate::frame::{Elements, ElementsMut};

const MS: Duration = Duration::from_millis(1);

/// A plan for `places` pipelines of two items each, together from the start, and what was run.
fn plan(places: usize, before: Before) -> (Arc<SharedPlan>, Runs) {
    let runs = Runs::default();
    let shared = SharedPlan::new(sums(2, &runs, before), "f32", places);
    let all = sums(2 * places, &runs, before);
    assert!(shared.fits(all.as_ref()));
    shared.run_together(Together { model: all, run: MS, run_of_one: MS });
    (shared, runs)
}

/// As if the pipeline had brought an input every `gap` up to now.
fn in_rhythm(shared: &SharedPlan, seat: &Seat, gap: Duration) {
    let mut state = shared.lock();
    let place = state.seats[seat.place].as_mut().unwrap();
    place.timing.rhythm = Instant::now().checked_sub(gap).map(|last| (last, gap));
}

fn sum(seat: &mut Seat, pairs: &[f32; 4], deadline: Option<Instant>) -> Result<Vec<f32>, String> {
    let ElementsMut::F32(input) = seat.input_mut(0).data else { panic!("floats") };
    input.copy_from_slice(pairs);
    seat.run_by(deadline).map_err(|e| e.to_string())?;
    let Elements::F32(output) = seat.output(0).data else { panic!("floats") };
    Ok(output.to_vec())
}

#[test]
fn each_reads_its_own_output_of_a_common_run() {
    for places in [2, 3] {
        let (shared, runs) = plan(places, fine);
        let seats: Vec<Seat> = (0..places).map(|_| shared.sit().unwrap()).collect();
        assert!(shared.sit().is_none(), "every place is taken");
        let barrier = Barrier::new(places);
        let long = Duration::from_secs(20);
        std::thread::scope(|scope| {
            for (i, mut seat) in seats.into_iter().enumerate() {
                let (shared, barrier) = (&shared, &barrier);
                scope.spawn(move || {
                    for round in 0..50 {
                        in_rhythm(shared, &seat, long);
                        barrier.wait();
                        let [a, b] = [i as f32, round as f32];
                        assert_eq!(sum(&mut seat, &[a, b, 100.0, a], None).unwrap(), [a + b, 100.0 + a]);
                        let Elements::F32(input) = seat.input(0).data else { panic!("floats") };
                        assert_eq!(input, [a, b, 100.0, a], "a task may look at its input");
                        barrier.wait();
                    }
                });
            }
        });
        assert_eq!(*runs.lock().unwrap(), vec![2 * places; 50], "every round was one run");
    }
}

#[test]
fn a_deadline_makes_a_run_without_those_that_are_late() {
    let (shared, runs) = plan(3, fine);
    let mut seats: Vec<Seat> = (0..3).map(|_| shared.sit().unwrap()).collect();
    let gap = Duration::from_secs(10);
    seats.iter().for_each(|seat| in_rhythm(&shared, seat, gap));
    let mut third = seats.pop().unwrap();
    std::thread::scope(|scope| {
        for mut seat in seats {
            scope.spawn(move || {
                let start = Instant::now();
                let sums = sum(&mut seat, &[1.0, 2.0, 3.0, 4.0], Some(start + 100 * MS)).unwrap();
                assert_eq!(sums, [3.0, 7.0]);
                assert!(start.elapsed() < Duration::from_secs(5), "the third never came");
            });
        }
    });
    assert_eq!(sum(&mut third, &[5.0, 6.0, 7.0, 8.0], Some(Instant::now())).unwrap(), [11.0, 15.0]);
    assert_eq!(*runs.lock().unwrap(), [6, 2], "two of three at once, the third by itself");
}

#[test]
fn one_that_left_or_lost_its_rhythm_is_not_waited_for() {
    let (shared, _) = plan(2, fine);
    let [mut stays, goes] = [shared.sit().unwrap(), shared.sit().unwrap()];
    let long = Duration::from_secs(100);
    let quick = |seat: &mut Seat, why: &str| {
        let start = Instant::now();
        sum(seat, &[1.0; 4], None).unwrap();
        assert!(start.elapsed() < 250 * MS, "{why}: {:?}", start.elapsed());
    };
    in_rhythm(&shared, &stays, long);
    quick(&mut stays, "the other never brought anything");
    shared.lock().seats[goes.place].as_mut().unwrap().timing.rhythm =
        Instant::now().checked_sub(3 * MS).map(|at| (at, MS));
    in_rhythm(&shared, &stays, long);
    quick(&mut stays, "the other has paused");
    in_rhythm(&shared, &goes, long);
    drop(goes);
    in_rhythm(&shared, &stays, long);
    quick(&mut stays, "the other has stopped");
    let mut again = shared.sit().expect("its place is free again");
    assert_eq!(sum(&mut again, &[1.0; 4], None).unwrap(), [2.0, 2.0]);
}

#[test]
fn one_that_stops_while_it_is_waited_for_lets_the_others_go() {
    let (shared, runs) = plan(2, fine);
    let [mut waits, goes] = [shared.sit().unwrap(), shared.sit().unwrap()];
    let long = Duration::from_secs(1000);
    in_rhythm(&shared, &waits, long);
    in_rhythm(&shared, &goes, long);
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || sum(&mut waits, &[1.0; 4], None));
        let deadline = Instant::now() + Duration::from_secs(20);
        while shared.lock().seats.iter().flatten().all(|seat| seat.timing.until.is_none()) {
            assert!(Instant::now() < deadline, "its input never came");
            std::thread::yield_now();
            if !runs.lock().unwrap().is_empty() {
                break;
            }
        }
        drop(goes);
        assert_eq!(thread.join().unwrap().unwrap(), [2.0, 2.0]);
    });
}

#[test]
fn an_input_that_fails_costs_only_its_own_result() {
    let fails = |sums: &[f32]| match sums.iter().any(|sum| *sum < 0.0) {
        true => Err(ModelError::Run { model: "sums".into(), reason: "below zero".into() }),
        false => Ok(()),
    };
    let (shared, runs) = plan(2, fails);
    let seats = [shared.sit().unwrap(), shared.sit().unwrap()];
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        for (mut seat, value) in seats.into_iter().zip([1.0, -1.0]) {
            let (shared, barrier) = (&shared, &barrier);
            scope.spawn(move || {
                in_rhythm(shared, &seat, Duration::from_secs(20));
                barrier.wait();
                let sums = sum(&mut seat, &[value; 4], None);
                let expected = if value > 0.0 { Ok(vec![2.0, 2.0]) } else { Err("sums: below zero".into()) };
                assert_eq!(sums, expected);
            });
        }
    });
    assert_eq!(*runs.lock().unwrap(), [4, 2, 2], "together, then one by one");
}

#[test]
fn a_panic_in_a_run_hangs_nobody() {
    let panics = |sums: &[f32]| {
        assert!(sums.iter().all(|sum| *sum >= 0.0), "below zero");
        Ok(())
    };
    let (shared, _) = plan(2, panics);
    let seats = [shared.sit().unwrap(), shared.sit().unwrap()];
    let barrier = Barrier::new(2);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let threads = seats.map(|mut seat| {
            let (shared, barrier) = (&shared, &barrier);
            scope.spawn(move || {
                in_rhythm(shared, &seat, Duration::from_secs(20));
                barrier.wait();
                sum(&mut seat, &[-1.0; 4], None)
            })
        });
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let (broken, panicked): (Vec<_>, Vec<_>) = ends.into_iter().partition(Result::is_ok);
    assert_eq!((broken.len(), panicked.len()), (1, 1), "who ran it has panicked, the other goes on");
    assert_eq!(broken[0].as_ref().unwrap(), &Err("shared plan: the run was broken off".to_owned()));
    let mut next = shared.sit().unwrap();
    assert_eq!(sum(&mut next, &[1.0; 4], None).unwrap(), [2.0, 2.0], "the plan is still there");
}

#[test]
fn a_plan_whose_parts_do_not_stack_is_no_plan_for_all() {
    let runs = Runs::default();
    let shared = SharedPlan::new(sums(2, &runs, fine), "f32", 3);
    assert!(!shared.fits(sums(4, &runs, fine).as_ref()) && shared.fits(sums(6, &runs, fine).as_ref()));
    let mut alone = shared.sit().unwrap();
    let result = sum_of(&mut alone, &[1.0, 2.0, 3.0, 4.0], |seat| seat.run());
    assert_eq!(result.unwrap(), [3.0, 7.0], "the first has it to itself");
}
