//! Times at which something counts as there and as gone.

use super::*;

fn rules(config: EventConfig, frames: Option<Confirm>) -> Rules {
    let seconds = Duration::from_secs_f32;
    Rules::new(&config, &Defaults { appear: seconds(0.5), vanish: seconds(2.0), frames })
}

/// Frames by letters: `1` shows it, `!` clearly, any other does not. Gives the changes with the number of their frame.
fn steps(rules: &Rules, letters: &str, every_ms: u64) -> Vec<(Step, usize)> {
    let mut life: Option<Life> = None;
    let mut steps = Vec::new();
    for (i, letter) in letters.chars().enumerate() {
        let now = Duration::from_millis(i as u64 * every_ms);
        let at = At { now, time: SystemTime::UNIX_EPOCH + now };
        let look = match letter {
            '1' => Look::Seen,
            '!' => Look::Blatant,
            _ => Look::Unseen,
        };
        if life.is_none() && look != Look::Unseen {
            life = Some(Life::new(at));
        }
        let Some(one) = &mut life else { continue };
        let step = one.look(look, rules, at);
        if step != Step::Stays {
            steps.push((step, i));
        }
        if matches!(step, Step::Ends | Step::Dropped) {
            life = None;
        }
    }
    steps
}

use Step::{Begins, Dropped, Ends};

#[test]
fn begins_and_ends_once_at_any_rate() {
    let usual = rules(EventConfig::default(), None);
    let letters = format!("{}{}", "1".repeat(20), ".".repeat(30));
    assert_eq!(steps(&usual, &letters, 100), [(Begins, 5), (Ends, 39)]);
    assert_eq!(steps(&usual, "..111...", 10_000), [(Begins, 3), (Ends, 6)], "a frame in ten seconds");
    assert_eq!(steps(&usual, "..1.1.1.", 10_000), [(Begins, 4)], "half of the frames");
    let at_once = EventConfig { appear_s: Some(0.0), vanish_s: Some(0.0), ..EventConfig::default() };
    assert_eq!(steps(&rules(at_once, None), ".1.1", 10_000), [(Begins, 1), (Ends, 2), (Begins, 3)]);
    assert_eq!(steps(&usual, "..1......", 100), [(Dropped, 4)]);
}

#[test]
fn n_of_m_frames() {
    let confirm = |seen, of| {
        let config = EventConfig { confirm: Some(Confirm { seen, of }), appear_s: Some(0.0), ..EventConfig::default() };
        rules(config, None)
    };
    assert_eq!(steps(&confirm(3, 5), "1.1.1", 100), [(Begins, 4)]);
    assert_eq!(steps(&confirm(3, 5), "1..1..1..1..1..1", 100), []);
    assert_eq!(steps(&confirm(3, 5), "1.....1.....", 100), [(Dropped, 5), (Dropped, 11)]);
    assert_eq!(steps(&confirm(1, 1), "1", 100), [(Begins, 0)]);
    // Sightings now and then are no start of one that comes later.
    let mut life = Life::new(At { now: Duration::ZERO, time: SystemTime::UNIX_EPOCH });
    for (i, letter) in "1...1...1...1...111".chars().enumerate() {
        let now = Duration::from_secs(i as u64);
        let look = if letter == '1' { Look::Seen } else { Look::Unseen };
        life.look(look, &confirm(3, 5), At { now, time: SystemTime::UNIX_EPOCH + now });
    }
    assert!(life.is_present());
    assert_eq!(life.start_time(), SystemTime::UNIX_EPOCH + Duration::from_secs(16));
}

#[test]
fn a_repetition_within_a_time() {
    let within = EventConfig { repeat_within_s: Some(60.0), appear_s: Some(0.0), ..EventConfig::default() };
    let rules = rules(within, None);
    assert_eq!(steps(&rules, "1....1", 10_000), [(Begins, 5)]);
    assert_eq!(steps(&rules, "1.......1", 10_000), [(Dropped, 7)]);
    assert_eq!(rules.within(), Some(Duration::from_secs(60)));
}

#[test]
fn what_is_clear_needs_no_confirmation_unless_one_is_asked_for() {
    let two = Some(Confirm { seen: 2, of: 2 });
    let at_once = Defaults { appear: Duration::ZERO, vanish: Duration::ZERO, frames: two };
    let usual = Rules::new(&EventConfig::default(), &at_once);
    assert_eq!(steps(&usual, "1.!.1..", 500), [(Begins, 2), (Ends, 6)]);
    assert_eq!(steps(&usual, "1.11", 500), [(Begins, 3)]);
    let asked = EventConfig { confirm: Some(Confirm { seen: 3, of: 3 }), ..EventConfig::default() };
    assert_eq!(steps(&Rules::new(&asked, &at_once), "!!!", 500), [(Begins, 2)]);
}
