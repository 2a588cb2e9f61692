use std::io::Write;
use std::path::Path;

use super::*;

fn config(kind: SensorKind, path: &Path, channels: &[&str], window: u32) -> SensorConfig {
    SensorConfig {
        kind,
        path: path.to_str().unwrap().into(),
        channels: channels.iter().map(|c| (*c).to_owned()).collect(),
        interval_ms: 0,
        window,
        missing: Some(MissingPolicy::Nan),
        ..SensorConfig::default()
    }
}

fn open(config: &SensorConfig) -> Result<Table, SourceError> {
    Table::open(config, (&[], false), Path::new("/dev"), false)
}

/// Result of the next call, without the directory; windows as their channels and values.
fn step(table: &mut Table) -> String {
    let mut frame = Frame::empty();
    match table.next(&mut frame) {
        Ok(Next::Frame) => {
            let window = frame.window_mut();
            format!("{} {:?}", window.channels.join(","), window.data)
        }
        Ok(other) => format!("{other:?}"),
        Err(SourceError::Bad { origin, reason }) => format!("{}: {reason}", origin.rsplit('/').next().unwrap()),
        Err(error) => format!("{error:?}"),
    }
}

/// Everything that a file leads to.
#[track_caller]
fn check(kind: SensorKind, channels: &[&str], window: u32, text: &[u8], expected: &[&str]) {
    let mut file = tempfile::Builder::new().prefix("f").rand_bytes(0).tempfile_in(tempfile::tempdir().unwrap().keep());
    let file = file.as_mut().unwrap();
    file.write_all(text).unwrap();
    let mut table = open(&config(kind, file.path(), channels, window)).unwrap();
    let mut found = Vec::new();
    while found.last().is_none_or(|l: &String| l != "End" && !l.starts_with("Fatal")) && found.len() < 50 {
        found.push(step(&mut table));
    }
    let place = format!("{:?}", file.path());
    let found: Vec<String> = found.iter().map(|l| l.replace(&place, "f")).collect();
    assert_eq!(found, expected);
    std::fs::remove_dir_all(file.path().parent().unwrap()).unwrap();
}

#[test]
fn jsonl_windows_and_bad_lines() {
    check(
        SensorKind::Jsonl,
        &[],
        2,
        b"\xef\xbb\xbf{\"t\":1,\"at\":\"noon\"}\r\n\n{\"t\":\"2\"}\nnonsense\n{\"t\":null}\n{\"t\":{}}\n[4]\n{\"u\":4}\n{\"t\":5}",
        &[
            "t [1.0, 2.0]",
            "f:4: expected ident at line 1 column 2",
            "t [2.0, NaN]",
            "f:6: channel \"t\": \"an object\" is not a number",
            "f:7: values without names, where t are wanted; `channels` says which they are",
            "f:8: none of t among its values: u",
            "t [NaN, 5.0]",
            "End",
        ],
    );
}

#[test]
fn csv_headers_fields_and_ragged_rows() {
    check(
        SensorKind::Csv,
        &[],
        1,
        b"time,\"a, left\",b\n12:00,1,\"2\"\n12:01,,nan\n12:02,5\n12:03,6,7,8\n12:04,hot,1\n\"12:05,1,2\n12:06,8,9\n",
        &[
            "a, left,b [1.0, 2.0]",
            "a, left,b [NaN, NaN]",
            "f:4: 2 fields, and the header has 3",
            "f:5: 4 fields, and the header has 3",
            "f:6: channel \"a, left\": \"hot\" is not a number",
            "f:7: a quote that does not end on its line",
            "f:8: within a quoted field that began 1 lines before",
            "End",
        ],
    );
    check(
        SensorKind::Csv,
        &["b", "a"],
        1,
        b"a;b\n1;2\na;b\n3;4\nb;a\n5;6",
        &["b,a [2.0, 1.0]", "b,a [4.0, 3.0]", "b,a [5.0, 6.0]", "End"],
    );
    check(
        SensorKind::Csv,
        &["c"],
        1,
        b"a\tb\n1\t2\n",
        &["Fatal { origin: f, reason: \"none of c among its values: a, b\" }"],
    );
    check(
        SensorKind::Csv,
        &[],
        1,
        b"a\n1\nERROR\n2\n",
        &["a [1.0]", "f:3: channel \"a\": \"ERROR\" is not a number", "a [2.0]", "End"],
    );
    check(SensorKind::Csv, &[], 1, b"a,b\n", &[NOTHING]);
    check(SensorKind::Csv, &[], 1, b"1,2\n", &["#1,#2 [1.0, 2.0]", "End"]);
    check(SensorKind::Jsonl, &[], 1, b"", &[NOTHING]);
}

const NOTHING: &str = "Fatal { origin: f, reason: \"no reading in it\" }";

#[test]
fn a_line_without_end_is_left_out_in_bounded_memory() {
    let mut text = b"{\"a\":1}\n".to_vec();
    text.extend(vec![b'x'; 3 * MOST_LINE]);
    text.extend(b"\n{\"a\":2}\n");
    let too_long = "f:2: a line longer than 1048576 bytes";
    check(SensorKind::Jsonl, &[], 1, &text, &["a [1.0]", too_long, "a [2.0]", "End"]);
    text.truncate(MOST_LINE * 2);
    check(SensorKind::Jsonl, &[], 1, &text, &["a [1.0]", too_long, "End"]);
}

#[test]
fn a_loop_starts_again_without_a_window_over_the_seam() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"a\n1\n2\n3\n").unwrap();
    let config = SensorConfig { repeat: true, ..config(SensorKind::Csv, file.path(), &[], 2) };
    let mut table = open(&config).unwrap();
    let mut frames = Vec::new();
    for _ in 0..20 {
        let said = step(&mut table);
        if !said.starts_with("Idle") {
            frames.push(said);
        }
    }
    assert_eq!(frames[..4], ["a [1.0, 2.0]", "a [2.0, 3.0]", "a [1.0, 2.0]", "a [2.0, 3.0]"]);
}

#[test]
fn a_plain_file_is_read_at_the_interval() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n").unwrap();
    let config = SensorConfig { interval_ms: 40, ..config(SensorKind::Jsonl, file.path(), &[], 1) };
    let mut table = open(&config).unwrap();
    let begun = Instant::now();
    let mut said = String::new();
    let mut calls = 0;
    while said != "End" {
        said = step(&mut table);
        calls += 1;
    }
    assert!(begun.elapsed() >= Duration::from_millis(80) && calls < 10, "{:?}, {calls} calls", begun.elapsed());
}

fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

/// Calls until something other than `Idle` is said.
#[track_caller]
fn until(table: &mut Table) -> String {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let called = Instant::now();
        let said = step(table);
        assert!(called.elapsed() < Duration::from_millis(500), "{said} took {:?}", called.elapsed());
        if !said.starts_with("Idle") {
            return said;
        }
    }
    panic!("nothing came");
}

#[test]
fn a_fifo_outlives_its_writers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    fifo(&path);
    let mut table = open(&config(SensorKind::Jsonl, &path, &[], 2)).unwrap();
    let begun = Instant::now();
    assert!(step(&mut table).starts_with("Idle"), "nobody writes yet");
    assert!(begun.elapsed() >= Duration::from_millis(150), "it waits instead of spinning");
    for value in 1..=3 {
        let mut writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        writer.write_all(format!("{{\"a\":{value}}}\n").as_bytes()).unwrap();
        drop(writer);
        if value > 1 {
            assert_eq!(until(&mut table), format!("a [{}.0, {value}.0]", value - 1));
        } else {
            step(&mut table);
        }
    }
    let mut writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    writer.write_all(b"{\"a\":").unwrap();
    assert!(step(&mut table).starts_with("Idle"), "half a line is no line");
    writer.write_all(b"9}\n").unwrap();
    assert_eq!(until(&mut table), "a [3.0, 9.0]");

    std::fs::remove_file(&path).unwrap();
    drop(writer);
    assert!(until(&mut table).starts_with("Lost"), "the FIFO itself is gone");
    assert!(step(&mut table).contains("is not there"));
    fifo(&path);
    let writer = std::thread::spawn(move || std::fs::write(&path, b"{\"a\":5}\n{\"a\":6}\n").unwrap());
    assert_eq!(until(&mut table), "a [5.0, 6.0]", "no window over the gap");
    writer.join().unwrap();
}

#[test]
fn a_writer_that_dribbles_does_not_keep_the_call() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    fifo(&path);
    let mut table = open(&config(SensorKind::Jsonl, &path, &[], 1)).unwrap();
    let writer = std::thread::spawn(move || {
        let mut writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        for byte in b"{\"a\":            12}\n" {
            writer.write_all(&[*byte]).unwrap();
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    assert_eq!(until(&mut table), "a [12.0]");
    writer.join().unwrap();
}

#[test]
fn what_cannot_be_opened_can_never_work_but_a_device_may_come() {
    let dir = tempfile::tempdir().unwrap();
    for (path, expected) in [
        (dir.path().join("absent"), "absent: No such file or directory (os error 2)"),
        (dir.path().into(), ": it is a directory"),
        ("".into(), "sensor: kind csv needs a path: a file, a FIFO, or - for standard input"),
    ] {
        let error = open(&config(SensorKind::Csv, &path, &[], 1)).err().unwrap();
        assert!(matches!(error, SourceError::Fatal { .. }) && error.to_string().ends_with(expected), "{error}");
    }
    let device = dir.path().join("ttyACM0");
    let mut table = Table::open(&config(SensorKind::Jsonl, &device, &[], 1), (&[], false), dir.path(), false).unwrap();
    assert!(step(&mut table).contains("ttyACM0 is not there"));
    fifo(&device);
    let writer = std::thread::spawn(move || std::fs::write(&device, b"{\"a\":5}\n").unwrap());
    assert_eq!(until(&mut table), "a [5.0]");
    writer.join().unwrap();
}
