use super::*;
use crate::frame::Payload;

/// A picture whose structure is right, `n` bytes of entropy-coded data long.
fn picture(n: usize, seed: u8) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8];
    // An application segment that holds a whole thumbnail.
    out.extend([0xff, 0xe1, 0x00, 0x0a, 0xff, 0xd8, 1, 2, 0xff, 0xd9, 3, 4]);
    out.extend([0xff, 0xda, 0x00, 0x03, 0x01]);
    out.extend((0..n).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed) & 0x7f));
    out.extend([0xff, 0xd9]);
    out
}

/// Everything that comes of a stream that arrives in pieces of `piece` bytes: pictures, or what was wrong.
fn cut(mut cut: Cut, stream: &[u8], piece: usize) -> Vec<Result<Vec<u8>, String>> {
    let mut frame = Frame::empty();
    let mut out = Vec::new();
    let mut stream = stream;
    while !stream.is_empty() {
        let room = cut.room();
        let n = piece.min(room.len()).min(stream.len());
        room[..n].copy_from_slice(&stream[..n]);
        stream = &stream[n..];
        cut.filled(n);
        while let Some(taken) = cut.take(&mut frame) {
            let Payload::Image(image) = &frame.payload else { panic!("a picture") };
            out.push(taken.map(|()| image.data.clone()));
        }
    }
    out
}

fn mjpeg() -> Cut {
    Cut::Mjpeg(Mjpeg::new(10_000))
}

#[test]
fn jpeg_pictures_come_out_whole_however_they_arrive() {
    let pictures = [picture(0, 1), picture(50, 2), picture(3000, 3)];
    let expected: Vec<_> = pictures.iter().cloned().map(Ok).collect();
    for piece in [1, 2, 3, 64, 1000, 100_000] {
        assert_eq!(cut(mjpeg(), &pictures.concat(), piece), expected, "pieces of {piece}");
    }
}

#[test]
fn damage_between_and_inside_pictures_is_told_once_and_overcome() {
    let (a, b) = (picture(100, 4), picture(200, 5));
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("strays", b"hello, world".to_vec(), "12 bytes that belong to no picture"),
        ("cut short", a[..90].to_vec(), "the next one starts inside it"),
        ("no marker", [&[0xff, 0xd8, 0x12, 0x34][..], &[7; 500]].concat(), "the next one starts inside it"),
        ("too long", [&a[..90], &[7; 20_000]].concat(), "more than 10000 bytes"),
        ("no pictures at all", vec![7; 15_000], "bytes that belong to no picture"),
    ];
    for (name, damage, message) in cases {
        for piece in [1, 5, 4096] {
            let out = cut(mjpeg(), &[&a[..], &damage, &b].concat(), piece);
            let good: Vec<_> = out.iter().filter_map(|r| r.as_ref().ok()).collect();
            assert_eq!(good, [&a, &b], "{name}, pieces of {piece}: {out:?}");
            let bad: Vec<_> = out.iter().filter_map(|r| r.as_ref().err()).collect();
            assert!(bad[0].contains(message) && bad.len() <= 2, "{name}, pieces of {piece}: {bad:?}");
        }
    }
}

#[test]
fn raw_pictures_are_cut_by_their_size_also_when_it_is_odd() {
    // 3x3: 9 of luma, and 2x2 for each chroma.
    let stream: Vec<u8> = (0..17 * 3 + 5).collect();
    for piece in [1, 16, 17, 18, 1000] {
        let out = cut(Cut::Raw(Raw::i420(3, 3)), &stream, piece);
        assert_eq!(out, stream.chunks_exact(17).map(|c| Ok(c.to_vec())).collect::<Vec<_>>(), "pieces of {piece}");
    }
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(stream: Vec<u8>, piece in 1usize..50) {
        cut(Cut::Mjpeg(Mjpeg::new(20)), &stream, piece);
    }

    #[test]
    fn one_damaged_byte_costs_no_more_than_a_segment_can_span(at in 0usize..300, byte: u8, piece in 1usize..500) {
        let (a, b) = (picture(200, 7), picture(9_000, 8));
        let mut stream = [&a[..], &b.repeat(9)].concat();
        stream[at.min(a.len() - 1)] = byte;
        let out = cut(mjpeg(), &stream, piece);
        proptest::prop_assert_eq!(out.last(), Some(&Ok(b)));
    }
}

fn child(script: &str, patience: Duration) -> Piped {
    let script = script.to_owned();
    sized_child(patience, move |_| script.clone())
}

/// A camera of 2x2 pixels whose script depends on the longer side that is asked for.
fn sized_child(patience: Duration, script: impl Fn(Option<u32>) -> String + Send + 'static) -> Piped {
    let plan = move |side: Option<u32>| {
        let spec = Spec {
            stdin: Vec::new(),
            name: "fake".into(),
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script(side)],
            package: "dash",
            mask: crate::sys::Mask::default(),
        };
        let (describe, origin) = ("fake camera".into(), "fake".into());
        let (cut, full) = (Cut::Raw(Raw::i420(2, 2)), side.map(|_| [4, 4]));
        Ok(Plan { describe, origin, specs: vec![spec], cut, full, patience, snapshots: None, ends: false })
    };
    Piped::new(Box::new(plan)).unwrap()
}

/// The next pictures' first byte and whether they are lowered, and what was lost, in words; the back-off is cut short.
fn answers(source: &mut Piped, count: usize) -> Vec<String> {
    let mut frame = Frame::empty();
    let mut seen = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while seen.len() < count && Instant::now() < deadline {
        source.backoff = Backoff::default();
        match source.next(&mut frame) {
            Ok(Next::Idle(_)) => {}
            Ok(Next::Frame) => {
                let image = frame.image_mut();
                seen.push(format!(
                    "{}{}",
                    char::from(image.data[0]),
                    if image.full.is_some() { " lowered" } else { "" }
                ));
            }
            Ok(Next::End) => seen.push("end".into()),
            Err(error) => seen.push(error.to_string().split(';').next().unwrap_or_default().to_owned()),
        }
    }
    seen
}

#[test]
fn another_size_starts_the_child_again_and_a_refused_one_leaves_the_present() {
    let long = Duration::from_secs(30);
    let mut source = sized_child(long, |side| match side {
        None => "printf aaaaaa; exec sleep 600".into(),
        Some(100) => "printf bbbbbb; exec sleep 600".into(),
        Some(_) => "exit 3".into(),
    });
    assert_eq!(answers(&mut source, 1), ["a"]);
    source.set_capture(Some(100));
    assert_eq!(answers(&mut source, 1), ["b lowered"]);
    source.set_capture(Some(50));
    assert_eq!(answers(&mut source, 2), ["fake: fake ended with status 3", "b lowered"], "back to what worked last");
    source.set_capture(Some(50));
    assert!(source.child.is_some(), "it is not tried again");
    source.set_capture(None);
    assert_eq!(answers(&mut source, 1), ["a"]);
}

#[test]
fn a_camera_that_is_away_does_not_make_its_smaller_size_a_refused_one() {
    let dir = tempfile::tempdir().unwrap();
    let there = dir.path().join("there");
    let script = format!("test -e {} || exit 3; printf", there.display());
    let mut source = sized_child(Duration::from_secs(30), move |side| {
        format!("{script} {}; exec sleep 600", if side.is_some() { "bbbbbb" } else { "aaaaaa" })
    });
    source.set_capture(Some(100));
    let gone = "fake: fake ended with status 3";
    // The smaller size, the configured one, and the smaller one again.
    assert_eq!(answers(&mut source, 2), [gone, gone]);
    std::fs::write(&there, "").unwrap();
    assert_eq!(answers(&mut source, 1), ["b lowered"]);
}

#[test]
fn a_child_that_hangs_or_sends_no_whole_picture_is_stopped_and_started_again() {
    // Six bytes are a picture; then silence, or drops that never fill another one in time.
    for script in ["printf 123456; exec sleep 600", "printf 123456; while :; do printf .; sleep 3; done"] {
        let mut source = child(script, Duration::from_secs(1));
        let mut frame = Frame::empty();
        let mut seen = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while seen.len() < 3 && Instant::now() < deadline {
            match source.next(&mut frame) {
                Ok(Next::Idle(_)) => {}
                other => seen.push(other.map_or_else(|error| error.to_string(), |next| format!("{next:?}"))),
            }
        }
        assert_eq!(seen, ["Frame", "fake: no picture for 1 s, stopped; next attempt in 0.5 s", "Frame"], "{script}");
    }
}

#[test]
fn a_camera_that_is_slower_than_the_patience_is_given_more_of_it() {
    // A picture at once and the next after two and a half seconds, as often as it is started.
    let mut source = child("while :; do printf aaaaaa; sleep 2.5; done", Duration::from_secs(1));
    let seen = answers(&mut source, 6);
    let hung = |seconds: u32| format!("fake: no picture for {seconds} s, stopped");
    assert_eq!(seen, ["a".into(), hung(1), "a".into(), hung(2), "a".to_owned(), "a".into()]);
}

#[test]
fn patience_has_an_end_and_comes_back_to_what_it_was() {
    let mut source = child("exec sleep 600", Duration::from_secs(20));
    for (hangs, seconds) in [(0, 20), (1, 40), (5, 640), (6, 900), (40, 900)] {
        source.hangs = hangs;
        assert_eq!(source.patience(), Duration::from_secs(seconds));
    }
    let mut running = source.start().unwrap();
    let start = running.progress;
    source.came(&mut running, start + Duration::from_secs(15));
    source.came(&mut running, start + Duration::from_secs(30));
    assert_eq!(source.hangs, 40, "fifteen seconds apart");
    source.came(&mut running, start + Duration::from_secs(31));
    assert_eq!(source.hangs, 0);
    running.child.stop();
}
