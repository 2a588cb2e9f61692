//! What is written when, and what a file that was not written here does.

use super::*;

fn memory(reading: &str, seconds: u64) -> Memory {
    Memory {
        reading: Number::parse(reading).unwrap(),
        score: 0.97,
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds),
        fastest_per_hour: 12.5,
    }
}

fn pipeline(text: &str) -> Resolved {
    Resolved::inline(toml_edit::de::from_str(text).unwrap()).unwrap()
}

fn meter(name: &str) -> Resolved {
    let text = format!(
        "name = '{name}'\nmodel = 'leptonnet-digits'\nsource = {{ type = 'files', path = '/p' }}\n\
         preprocess = {{ regions = [{{ rect = [0, 0, 9, 9] }}, {{ rect = [9, 0, 9, 9] }}] }}"
    );
    pipeline(&text)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn kept(dir: &Path, name: &str) -> Option<Memory> {
    Readings::open(Some(dir.into())).place(&meter(name)).unwrap().recall()
}

#[test]
fn are_there_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("made");
    let readings = Readings::open(Some(below.clone()));
    let place = readings.place(&meter("a")).unwrap();
    assert_eq!(place.recall(), None);
    place.keep(memory("07", 0));
    assert_eq!(place.recall(), Some(memory("07", 0)), "a pipeline that starts anew in this run has it, too");
    readings.finish(soon());
    assert_eq!((kept(&below, "a"), kept(&below, "b")), (Some(memory("07", 0)), None));
    let text = std::fs::read_to_string(below.join(FILE)).unwrap();
    assert!(text.contains(r#""a/2""#) && text.contains(r#""reading": "07""#), "{text}");
    assert!(text.contains(r#""time": "2023-11-14T22:13:20.000Z""#), "{text}");
    assert_eq!(std::fs::read_dir(&below).unwrap().count(), 1, "nothing half-written is left");
    // A counter of another size is another one, a synthetic one begins anew.
    let mut three = meter("a");
    three.config.preprocess.regions.push(three.config.preprocess.regions[0].clone());
    assert_eq!(Readings::open(Some(below.clone())).place(&three).unwrap().recall(), None);
    let synthetic = "name = 'a'\nmodel = 'leptonnet-digits'\nsource = { type = 'synthetic' }";
    assert!(readings.place(&pipeline(synthetic)).is_none());
    // Nowhere to keep them: they are known to this run.
    let nowhere = Readings::open(None);
    nowhere.place(&meter("a")).unwrap().keep(memory("08", 0));
    nowhere.turn(Instant::now());
    nowhere.finish(soon());
    assert_eq!(nowhere.place(&meter("a")).unwrap().recall(), Some(memory("08", 0)));
}

#[test]
fn are_written_rarely() {
    let dir = tempfile::tempdir().unwrap();
    let readings = Readings::open(Some(dir.path().into()));
    let (a, b) = (readings.place(&meter("a")).unwrap(), readings.place(&meter("b")).unwrap());
    let start = Instant::now();
    let mut writes = 0;
    let mut turn = |at: Duration| {
        let begun = readings.lock().begin(start + at);
        if begun {
            readings.write();
            readings.lock().written = Some(start + at);
            writes += 1;
        }
        begun
    };
    let s = Duration::from_secs;
    assert!(!turn(s(0)), "there is nothing yet");
    a.keep(memory("07", 0));
    assert!(turn(s(1)), "the first of a meter at once");
    assert!(!turn(s(2)));
    a.keep(memory("08", 2));
    assert!(!turn(s(3)), "what changes has time");
    b.keep(memory("50", 3));
    assert!(turn(s(4)), "the first of another one");
    a.keep(memory("09", 5));
    assert!(!turn(s(603)));
    assert!(turn(s(604)));
    // A fast meter for a day: a write every ten minutes. A slow one: every six hours.
    let day = |from: u64, counts: bool, turn: &mut dyn FnMut(Duration) -> bool| {
        (from..from + 86_400)
            .filter(|t| {
                a.keep(memory(if counts && t % 2 == 0 { "10" } else { "11" }, *t));
                turn(s(*t))
            })
            .count()
    };
    assert!((140..=144).contains(&day(1000, true, &mut turn)));
    let slow = day(90_000, false, &mut turn);
    assert!((3..=5).contains(&slow), "{slow}");
    // Also over restarts: the file says when it was written.
    let again = Readings::open(Some(dir.path().into()));
    again.place(&meter("a")).unwrap().keep(memory("12", 200_000));
    assert!(!again.lock().begin(Instant::now()));
    assert!(again.lock().begin(Instant::now() + WRITE_EVERY));
}

#[test]
fn a_file_that_was_not_written_here_is_ignored_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    let entry = |reading: &str, score: &str, time: &str, fastest: &str| {
        format!(
            r#"{{"a/2": {{"reading": {reading}, "score": {score}, "time": {time}, "fastest_per_hour": {fastest}}}}}"#
        )
    };
    let time = r#""2023-11-14T22:13:20.000Z""#;
    let good = entry(r#""07""#, "0.97", time, "12.5");
    std::fs::write(&file, &good).unwrap();
    assert_eq!(kept(dir.path(), "a"), Some(memory("07", 0)));
    let damages = [
        String::new(),
        "null".into(),
        "[1, 2]".into(),
        good[..good.len() / 2].into(),
        good.replace('7', "\u{0}"),
        "[".repeat(100_000),
        r#"{"a/2": {"reading": "07"}}"#.into(),
        entry("7", "0.97", time, "12.5"),
        entry(r#""1none3""#, "0.97", time, "12.5"),
        entry(r#""1000000000000000000""#, "0.97", time, "12.5"),
        entry(r#""""#, "0.97", time, "12.5"),
        entry(r#""07""#, "7.5", time, "12.5"),
        entry(r#""07""#, "0.97", r#""yesterday""#, "12.5"),
        entry(r#""07""#, "0.97", "17", "12.5"),
        entry(r#""07""#, "0.97", time, "-1"),
        entry(r#""07""#, "0.97", time, "1e999"),
        format!("{good}{}", " ".repeat(MAX_BYTES as usize)),
    ];
    for damage in &damages {
        std::fs::write(&file, damage).unwrap();
        assert!(read(&file).is_err(), "{}", &damage[..damage.len().min(100)]);
        assert_eq!(kept(dir.path(), "a"), None);
    }
    let readings = Readings::open(Some(dir.path().into()));
    readings.place(&meter("a")).unwrap().keep(memory("08", 0));
    readings.finish(soon());
    assert_eq!(kept(dir.path(), "a"), Some(memory("08", 0)));
    // What is no file at all is named, not waited for, and what cannot be written is no failure.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(read(&file).unwrap_err().contains("a directory"));
    let readings = Readings::open(Some(dir.path().into()));
    readings.place(&meter("a")).unwrap().keep(memory("09", 0));
    readings.finish(soon());
    assert_eq!(readings.place(&meter("a")).unwrap().recall(), Some(memory("09", 0)));
}

#[test]
fn are_bounded_and_leave_those_of_others_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(FILE);
    put(&file, &BTreeMap::from([("other1/2".to_string(), memory("10", 0))])).unwrap();
    let ours = Readings::open(Some(dir.path().into()));
    // Another process writes meanwhile.
    let others: BTreeMap<String, Memory> =
        (0..MAX_ENTRIES as u64).map(|i| (format!("other{i}/2"), memory("11", i))).collect();
    put(&file, &others).unwrap();
    ours.place(&meter("a")).unwrap().keep(memory("07", 1_000_000));
    ours.finish(soon());
    let all = read(&file).unwrap();
    assert_eq!(all.len(), MAX_ENTRIES);
    assert!(all.contains_key("a/2") && all.contains_key("other1/2") && !all.contains_key("other0/2"));
    assert_eq!(all["other1/2"], memory("11", 1));
    assert!(std::fs::metadata(&file).unwrap().len() < MAX_BYTES);
}
