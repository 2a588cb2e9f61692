//! The laws of belief, as scripts of readings.

use super::*;

/// Sign of one verdict: `+` believed, `~` rolling, `?` doubted, `-` unseen.
fn mark(verdict: Verdict) -> char {
    match verdict {
        Verdict::Believed => '+',
        Verdict::Rolling => '~',
        Verdict::Doubted => '?',
        Verdict::Unseen => '-',
    }
}

/// Plays `seconds reading` by `seconds reading`: digits, `?` for a drum that shows none, `dark` for a picture without light, and `unsure` in
/// front of a reading whose scores are low. Gives a mark for each, and what is believed at the end.
fn play(counter: &mut Counter, script: &str) -> (String, String) {
    let mut words = script.split_whitespace();
    let mut marks = String::new();
    while let Some(at) = words.next() {
        let mut text = words.next().unwrap();
        let sure = text != "unsure";
        if !sure {
            text = words.next().unwrap();
        }
        let visible = text != "dark";
        let digits: Vec<_> =
            if visible { text } else { "?????" }.bytes().map(|b| b.is_ascii_digit().then(|| b - b'0')).collect();
        let now = Duration::from_secs_f64(at.parse().unwrap());
        marks.push(mark(counter.judge(Drums { digits: &digits, visible, sure }, now)));
    }
    (marks, counter.believed().map(|n| n.to_string()).unwrap_or_default())
}

fn counter(limits: Limits) -> Counter {
    Counter::new(Duration::from_secs(10), limits)
}

fn check(limits: Limits, script: &str, marks: &str, believed: &str) {
    assert_eq!(play(&mut counter(limits), script), (marks.into(), believed.into()), "{script}");
}

const NONE: Limits = Limits { max_rate: None, max_step: None };

/// `reading` from second `from` on, `times` times at this distance.
fn every(from: u64, distance: u64, times: u64, reading: &str) -> String {
    (0..times).map(|i| format!("{} {reading} ", from + i * distance)).collect()
}

#[test]
fn a_leap_within_a_hundredth_of_the_range_is_held_and_the_truth_after_it_is_believed_at_once() {
    // The reading after the leap is a step from the last believed one, not one backwards from the leap.
    check(NONE, "0 00424 1 00424 2 00924 3 00425 4 00425", "++?++", "00425");
    // However long it is looked at before, and whatever pace was learnt: one count in 2 s does not become 500 in one.
    check(NONE, "0 00424 2 00425 4 00426 6 00427 7 00927 8 00427 9 00428", "++++?++", "00428");
    // A step of two at the roll, where nothing is known of the pace.
    check(NONE, "0 00424 1 00426 2 00425", "+?+", "00425");
    // Twice in a row is no confirmation either: pictures of a meter that stands still are the same.
    check(NONE, "0 00424 1 00424 2 00924 3 00924 4 00924 5 00425", "++???+", "00425");
}

#[test]
fn a_leap_that_is_confirmed_is_believed_in_the_end() {
    let script = format!("0 00424 1 00424 {}", every(2, 1, 12, "00924"));
    check(NONE, &script, "++??????????++", "00924");
    // Once in five minutes: three readings, which may go on meanwhile.
    check(NONE, "0 50000 300 50000 600 50400 900 50440 1200 50480 1500 50520", "++??++", "50520");
    // A meter that was exchanged.
    check(NONE, "0 50000 300 50000 600 00003 900 00003 1200 00004 1500 00005", "++??++", "00005");
}

#[test]
fn a_fast_meter_is_doubted_once_and_then_known() {
    // 40 counts in each five minutes, and later ten times a minute: within what was seen, at any distance of looks.
    check(
        NONE,
        "0 00100 300 00140 600 00180 900 00220 1200 00260 1500 00300 5100 00780 5106 00781 5112 00782",
        "+??++++++",
        "00782",
    );
    // Four times as fast is believed, a leap is not.
    check(NONE, "0 00100 300 00140 600 00180 900 00220 1200 00340 1500 00900 1800 00381", "+??++?+", "00381");
}

#[test]
fn a_doubted_line_that_explains_its_first_step_is_a_fast_meter() {
    check(NONE, "0 00100 1 00100 2 00105 3 00110 4 00115 5 00120", "++??++", "00120");
    // One misread digit in front of a meter that runs as before: its own pace does not explain 10,000, nor 10.
    check(NONE, "0 00100 1 00101 2 00102 3 10103 4 10104 5 10105 6 10106 7 00107", "+++????+", "00107");
    check(NONE, "0 00100 1 00101 2 00102 3 00113 4 00114 5 00115 6 00116 7 00107", "+++????+", "00107");
    // It is for limits that are learnt.
    let set = Limits { max_rate: None, max_step: Some(2) };
    check(set, "0 00100 1 00100 2 00105 3 00107 4 00109 5 00111", "++????", "00100");
}

#[test]
fn what_the_user_says_of_the_meter_counts() {
    let rate = |per_hour| Limits { max_rate: Some(per_hour), max_step: None };
    let step = |counts| Limits { max_rate: None, max_step: Some(counts) };
    // 3600 in an hour is one a second.
    check(rate(3600.0), "0 00424 1 00424 2 00426 3 00428 4 00924 5 00430", "++++?+", "00430");
    check(rate(3600.0), "0 00424 1 00424 2 00427 3 00427", "++?+", "00427");
    // Dark for ten minutes, and it went on.
    check(rate(3600.0), "0 00424 1 00424 300 dark 600 01000", "++-+", "01000");
    check(rate(36.0), "0 00424 1 00424 300 dark 600 01000", "++-?", "00424");
    check(step(5), "0 00424 1 00429 2 00434 3 00440 4 00436", "+++?+", "00436");
    // A day without light: more than a step, and confirmed by what follows.
    check(step(5), "0 00424 1 00424 86400 00600 86700 00604 87000 00608", "++??+", "00608");
    // What is doubted must be able to go on at that rate, too.
    check(step(5), "0 00424 1 00424 5 00600 10 00650 15 00700 20 00750 25 00800", "++?????", "00424");
}

#[test]
fn what_cannot_be_seen_says_nothing() {
    // A lamp that fails for hours, and the meter goes on meanwhile.
    let script = format!("0 07018 60 07019 120 07020 {} 7380 07061", every(180, 60, 119, "dark"));
    check(NONE, &script, &format!("+++{}+", "-".repeat(119)), "07061");
    // A doubted reading is in sight for two seconds: the hour of darkness does not count.
    check(NONE, "0 50000 1 50000 2 00001 3 00001 4 dark 3600 dark 3604 00001 3605 00001", "++??--??", "50000");
    check(NONE, &format!("0 50000 1 50000 2 00001 3 dark {}", every(3600, 1, 10, "00001")), "++?-?????????+", "00001");
    // Nor does it contradict: every other picture is fogged.
    check(NONE, "0 50000 300 50000 600 10000 900 ????? 1200 10000 1500 ????? 1800 10001", "++?-?-+", "10001");
    // The first picture ever is dark.
    check(NONE, "0 dark 1 ???12 2 07019 3 07019", "--++", "07019");
}

#[test]
fn drums_on_their_way_are_held_for_as_long_as_they_stand_there() {
    check(NONE, "0 00423 1 0042? 2 0042? 3 00424", "+~~+", "00424");
    let script = format!("0 00199 1 00199 {} 4000 00200", every(2, 60, 60, "00299"));
    check(NONE, &script, &format!("++{}+", "~".repeat(60)), "00200");
    // A drum that has come to rest looks like the number before: it does not run backwards, however long it does.
    let script = format!("0 00423 1 00424 {} 4000 00424", every(2, 60, 60, "00423"));
    check(NONE, &script, &format!("++{}+", "~".repeat(60)), "00424");
    // In the dark, nothing is on its way.
    check(NONE, "0 99999 1 dark", "+-", "99999");
}

#[test]
fn a_first_misreading_gives_way() {
    check(NONE, "0 97019 1 07019 2 07019 3 07019", "+??+", "07019");
    // Read twice, it is as good as any other.
    let script = format!("0 97019 1 97019 {}", every(2, 1, 11, "07019"));
    check(NONE, &script, "++??????????+", "07019");
    // One that is not sure must come twice in the first place.
    check(NONE, "0 unsure 97019 1 07019 2 07019", "?++", "07019");
}

#[test]
fn a_misreading_that_was_confirmed_ends_when_the_truth_is_back() {
    // Glare makes 11111 of 07019 for a minute; the light is back, and the reading follows from the one before.
    let script = format!("0 07018 60 07019 120 07020 {} 200 07020 260 07021", every(121, 1, 60, "11111"));
    let (marks, believed) = play(&mut counter(NONE), &script);
    assert_eq!((&marks[..13], &marks[13..14], &marks[63..], believed.as_str()), ("+++??????????", "+", "++", "07021"));
    // A reading that goes on is a meter's: what was before is forgotten.
    let script = format!("0 07018 60 07019 {} 200 11112 260 07020", every(121, 1, 60, "11111"));
    let (marks, believed) = play(&mut counter(NONE), &script);
    assert_eq!((&marks[62..], believed.as_str()), ("+?", "11112"));
}

#[test]
fn contradictions_begin_a_doubt_anew() {
    check(NONE, "0 50000 1 50000 2 00001 6 30000 10 00001 14 30000 18 00001 22 30000", "++??????", "50000");
    check(NONE, "0 50000 1 50000 2 00001 6 00001 11 50000 12 00001 13 00001", "++??+??", "50000");
}

#[test]
fn a_remembered_reading_is_the_last_one() {
    let hour = Duration::from_secs(3600);
    let play = |age, fastest_per_hour, script: &str| {
        let mut counter = counter(NONE);
        counter.restore(Number::parse("07019").unwrap(), age, fastest_per_hour, Duration::ZERO);
        play(&mut counter, script)
    };
    let says = |marks: &str, believed: &str| (marks.to_string(), believed.to_string());
    assert_eq!(play(Some(hour), 0.0, "0 97019 1 07019"), says("?+", "07019"));
    assert_eq!(play(Some(hour), 0.0, "0 07020 1 07020"), says("++", "07020"));
    assert_eq!(play(Some(hour), 10.0, "0 07050"), says("+", "07050"));
    assert_eq!(play(Some(hour), 10.0, "0 07080"), says("?", "07019"));
    assert_eq!(play(Some(24 * hour), 10.0, "0 07519"), says("+", "07519"));
    // However long ago: not everything is ahead of it.
    assert_eq!(play(Some(Duration::MAX), 1e9, "0 97019 1 06000 2 07020"), says("??+", "07020"));
    // Nobody knows how long ago: what cannot be judged by its rate is confirmed.
    assert_eq!(play(None, 1e9, "0 07050 300 07020"), says("?+", "07020"));
    assert_eq!(play(None, 10.0, "0 07050 300 07051 600 07052"), says("??+", "07052"));
    // A first reading that contradicts it thrice must also last.
    assert_eq!(play(Some(hour), 0.0, "0 97019 1 97019 2 97019 3 97019"), says("????", "07019"));
}
