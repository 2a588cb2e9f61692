use std::io::{Read, Write};

use tempfile::TempDir;

use super::*;

/// A grey gradient as a JPEG of our own making; larger pictures have stuffed zeros in their data.
fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let pixels: Vec<u8> =
        (0..u32::from(width) * u32::from(height)).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut out = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut out, 95);
    encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Luma).unwrap();
    out
}

/// The same with `thumbnail` in an APP1 segment.
fn with_thumbnail(picture: &[u8], thumbnail: &[u8]) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8, 0xff, 0xe1];
    out.extend(u16::try_from(thumbnail.len() + 2).unwrap().to_be_bytes());
    out.extend(thumbnail);
    out.extend(&picture[2..]);
    out
}

fn png() -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, 3, 2);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[1, 2, 3, 4, 5, 6]).unwrap();
    out
}

fn dir(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn open(path: &Path, repeat: bool) -> Files {
    Files::open(&FilesConfig { path: path.to_str().unwrap().into(), repeat, fps: 0.0 }, false).unwrap()
}

/// Everything a source gives until its end: `name format bytes`, or `name: what is wrong`.
fn all(source: &mut Files) -> Vec<String> {
    let mut frame = Frame::empty();
    let mut out = Vec::new();
    let short = |text: &str| text.rsplit('/').next().unwrap().to_owned();
    loop {
        match source.next(&mut frame) {
            Ok(Next::Frame) => {
                let origin = short(&frame.origin);
                let image = frame.image_mut();
                let size = format!("{}x{}", image.width, image.height);
                out.push(format!("{origin} {:?} {size} {}", image.format, image.data.len()));
            }
            Ok(Next::Idle(_)) => {}
            Ok(Next::End) => return out,
            Err(SourceError::Bad { origin, reason }) => out.push(format!("{}: {reason}", short(&origin))),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn a_directory_in_name_order_with_each_fault_named() {
    let picture = jpeg(40, 30);
    let png = png();
    let half = &picture[..picture.len() / 2];
    let dir = dir(&[
        ("a.jpg", &picture),
        ("b.PNG", &png),
        ("c.jpg", half),
        ("d.png", &png[..20]),
        ("e.jpeg", b"GIF89a"),
        ("f.jpg", b""),
        (".hidden.jpg", &picture),
        ("notes.txt", b"x"),
        ("g.jpg", &png),
    ]);
    std::fs::File::create(dir.path().join("h.jpg")).unwrap().set_len(MOST_BYTES as u64 + 1).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("i.jpg")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("j.jpg"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let expected = [
        format!("a.jpg Jpeg 0x0 {}", picture.len()),
        format!("b.PNG Png 0x0 {}", png.len()),
        "c.jpg: truncated JPEG".into(),
        "d.png: truncated PNG".into(),
        "e.jpeg: neither JPEG, PNG nor BMP".into(),
        "f.jpg: the file is empty".into(),
        format!("g.jpg Png 0x0 {}", png.len()),
        "h.jpg: more than 67108864 bytes, the most that is read".into(),
        "i.jpg: No such file or directory (os error 2)".into(),
        "j.jpg: is a FIFO, a regular file is wanted".into(),
    ];
    assert_eq!(all(&mut open(dir.path(), false)), expected);
    let glob = dir.path().join("[ab].*");
    assert_eq!(all(&mut open(&glob, false)), expected[..2]);
    assert_eq!(all(&mut open(&dir.path().join("a.jpg"), false)), expected[..1]);
}

#[test]
fn mjpeg_pictures_are_found_by_their_structure() {
    let picture = jpeg(64, 48);
    assert!(picture.windows(2).any(|w| w == [0xff, 0]), "the data has stuffed zeros");
    let thumb = with_thumbnail(&jpeg(32, 24), &jpeg(8, 8));
    let mut stream = b"--boundary\r\nContent-Type: image/jpeg\r\n\r\n\xff".to_vec();
    stream.extend(&picture);
    stream.extend(b"\r\n--boundary\xff\xff\r\n");
    stream.extend(&thumb);
    stream.extend(&picture[..picture.len() / 2]);
    stream.extend(&picture);
    stream.extend([0xff, 0xd8, 0xff, 0xdb, 0, 1]);
    stream.extend([0xff, 0xd8, 0x12]);
    stream.extend(&thumb);
    stream.extend(&thumb[..thumb.len() - 1]);
    let expected = [
        format!("a.mjpeg#1 Jpeg 0x0 {}", picture.len()),
        format!("a.mjpeg#2 Jpeg 0x0 {}", thumb.len()),
        "a.mjpeg: picture 3: the next one starts inside it".into(),
        format!("a.mjpeg#4 Jpeg 0x0 {}", picture.len()),
        "a.mjpeg: picture 5: a segment shorter than its own length".into(),
        "a.mjpeg: picture 6: the next one starts inside it".into(),
        format!("a.mjpeg#7 Jpeg 0x0 {}", thumb.len()),
        "a.mjpeg: picture 8: it ends early".into(),
        "b.mjpg: no picture in it".into(),
    ];
    let dir = dir(&[("a.mjpeg", &stream), ("b.mjpg", b"nothing")]);
    assert_eq!(all(&mut open(dir.path(), false)), expected);
}

#[test]
fn mjpeg_is_the_same_however_the_bytes_arrive() {
    let mut stream = Vec::new();
    let pictures = [jpeg(33, 17), with_thumbnail(&jpeg(20, 20), &jpeg(8, 8)), jpeg(64, 64)];
    for picture in &pictures {
        stream.extend(b"..\xff");
        stream.extend(picture);
    }
    for piece in [1, 2, 3, 7, 1000] {
        let mut reader = mjpeg::Reader::new(BufReader::with_capacity(piece, stream.as_slice()));
        let mut out = Vec::new();
        for picture in &pictures {
            assert!(matches!(reader.next(&mut out), Ok(Part::Picture)));
            assert!(out == *picture, "in pieces of {piece}");
        }
        assert!(matches!(reader.next(&mut out), Ok(Part::End)));
    }
}

#[test]
fn an_endless_picture_is_cut_off() {
    let mut head = jpeg(16, 16);
    head.truncate(head.len() - 2);
    let endless = head.as_slice().chain(std::io::repeat(7).take(MOST_BYTES as u64 * 2));
    let mut reader = mjpeg::Reader::new(BufReader::with_capacity(1 << 16, endless));
    let mut out = Vec::new();
    assert!(matches!(reader.next(&mut out), Ok(Part::Broken(why)) if why == "more than 67108864 bytes"));
    assert!(out.len() < MOST_BYTES + (1 << 17));
    assert!(matches!(reader.next(&mut out), Ok(Part::Searching)), "one call does not read for ever");
}

fn y4m(header: &str, frames: &[&[u8]]) -> Vec<u8> {
    let mut out = header.as_bytes().to_vec();
    for frame in frames {
        out.extend(b"FRAME\n");
        out.extend(*frame);
    }
    out
}

#[test]
fn y4m_formats_and_faults() {
    for (name, file, expected) in [
        ("420", y4m("YUV4MPEG2 W4 H2 F30:1 Ip A1:1 C420jpeg\n", &[&[1; 12], &[2; 12]]), "I420 4x2 12|I420 4x2 12"),
        ("default", y4m("YUV4MPEG2 H2 W4\n", &[&[1; 12]]), "I420 4x2 12"),
        ("odd", y4m("YUV4MPEG2 W3 H3 C420\n", &[&[1; 17]]), "I420 3x3 17"),
        ("mono", y4m("YUV4MPEG2 W3 H3 Cmono XCOLORRANGE=FULL\n", &[&[1; 9]]), "Gray8 3x3 9"),
        ("cut", y4m("YUV4MPEG2 W4 H2\n", &[&[1; 12], &[2; 11]]), "I420 4x2 12|picture 2: truncated: 11 of 12 bytes"),
        ("shift", y4m("YUV4MPEG2 W4 H2\n", &[&[1; 13]]), "I420 4x2 12|picture 2: a header line without an end"),
        ("none", y4m("YUV4MPEG2 W4 H2\n", &[]), "no picture in it"),
        (
            "p10",
            y4m("YUV4MPEG2 W4 H2 C420p10\n", &[]),
            "colour space \"420p10\": only 8-bit 420, 422 and mono are read",
        ),
        ("odd422", y4m("YUV4MPEG2 W3 H2 C422\n", &[]), "4:2:2 of odd width 3"),
        ("zero", y4m("YUV4MPEG2 W0 H2\n", &[]), "width \"0\" is not 1 to 65535"),
        ("nosize", y4m("YUV4MPEG2 W4\n", &[]), "the header says no width or no height"),
        ("big", y4m("YUV4MPEG2 W65535 H65535\n", &[]), "6442319873 bytes, and at most 67108864 are read"),
        ("other", b"RIFF\n".to_vec(), "no YUV4MPEG2 header"),
        ("binary", vec![0xff; 9000], "a header line without an end"),
        ("empty", Vec::new(), "a header line without an end"),
    ] {
        let dir = dir(&[("x.y4m", &file)]);
        let found: Vec<String> =
            all(&mut open(dir.path(), false)).iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
        let found = found.join("|");
        assert!(found == expected || found.ends_with(expected), "{name}: {found}");
    }
}

#[test]
fn y4m_422_becomes_yuyv() {
    let planes = [10, 11, 12, 13, 14, 15, 16, 17, 50, 51, 52, 53, 90, 91, 92, 93];
    let dir = dir(&[("x.y4m", &y4m("YUV4MPEG2 W4 H2 C422\n", &[&planes]))]);
    let mut frame = Frame::empty();
    assert_eq!(open(dir.path(), false).next(&mut frame).unwrap(), Next::Frame);
    assert_eq!(frame.image_mut().format, PixelFormat::Yuyv);
    assert_eq!(frame.image_mut().data, [10, 50, 11, 90, 12, 51, 13, 91, 14, 52, 15, 92, 16, 53, 17, 93]);
}

#[test]
fn a_place_without_pictures_can_never_work() {
    let empty = dir(&[("notes.txt", b"x")]);
    let path = |name: &str| empty.path().join(name).to_str().unwrap().to_owned();
    for (path, expected) in [
        (path(""), "no .jpg, .jpeg, .png, .bmp, .mjpeg, .mjpg or .y4m file in this directory"),
        (path("*.jpg"), "no file matches"),
        (path("a.jpg"), "No such file or directory (os error 2)"),
        (path("***"), "not a glob: "),
        ("/dev/null".into(), "neither a file nor a directory"),
        (String::new(), "No such file or directory (os error 2)"),
    ] {
        let error = Files::open(&FilesConfig { path: path.clone(), repeat: true, fps: 1.0 }, false).err().unwrap();
        let SourceError::Fatal { origin, reason } = &error else { panic!("{error:?}") };
        assert!(*origin == path && reason.starts_with(expected), "{error}");
    }
    assert!(Files::open(&FilesConfig { path: path("notes.txt"), repeat: true, fps: f64::NAN }, true).is_err());
}

#[test]
fn what_is_not_there_yet_is_waited_for_where_that_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let later = dir.path().join("later");
    std::fs::create_dir(&later).unwrap();
    std::fs::write(later.join("a.png"), png()).unwrap();
    for path in ["pictures", "pictures/*.png", "pictures/a.png"] {
        let pattern = dir.path().join(path).to_str().unwrap().to_owned();
        let mut source = Files::open(&FilesConfig { path: pattern.clone(), repeat: false, fps: 0.0 }, true).unwrap();
        let mut frame = Frame::empty();
        let Next::Idle(reason) = source.next(&mut frame).unwrap() else { panic!("there is nothing") };
        assert!(reason.starts_with(&pattern), "{reason}");
        std::fs::rename(&later, dir.path().join("pictures")).unwrap();
        source.backoff = Backoff::default();
        let mut answers = Vec::new();
        while answers.last() != Some(&Next::End) && answers.len() < 10 {
            answers.push(source.next(&mut frame).unwrap());
        }
        assert_eq!(answers.iter().filter(|a| **a == Next::Frame).count(), 1, "{path}: {answers:?}");
        std::fs::rename(dir.path().join("pictures"), &later).unwrap();
    }
    // What can never be a picture is no matter of time.
    assert!(Files::open(&FilesConfig { path: "/dev/null".into(), repeat: true, fps: 1.0 }, true).is_err());
}

#[test]
fn a_loop_reads_the_list_again_and_does_not_spin_on_broken_files() {
    let picture = jpeg(8, 8);
    let dir = dir(&[("a.jpg", &picture)]);
    let mut source = open(dir.path(), true);
    let mut frame = Frame::empty();
    let given = |source: &mut Files, wanted: &str| {
        let mut frame = Frame::empty();
        (0..100).any(|_| source.next(&mut frame).is_ok_and(|n| n == Next::Frame) && frame.origin.ends_with(wanted))
    };
    assert!(given(&mut source, "a.jpg"));
    std::fs::write(dir.path().join("b.jpg"), &picture).unwrap();
    assert!(given(&mut source, "b.jpg"));

    std::fs::write(dir.path().join("a.jpg"), b"broken").unwrap();
    std::fs::remove_file(dir.path().join("b.jpg")).unwrap();
    let begun = Instant::now();
    let (mut calls, mut bad) = (0, 0);
    while begun.elapsed() < Duration::from_millis(1200) {
        calls += 1;
        bad += usize::from(matches!(source.next(&mut frame), Err(SourceError::Bad { .. })));
    }
    assert!((1..=4).contains(&bad) && calls < 20, "{bad} bad of {calls} calls");
}

#[test]
fn files_that_vanish_are_lost_once_and_come_back() {
    let dir = dir(&[("a.jpg", &jpeg(8, 8))]);
    let mut source = open(dir.path(), true);
    let mut frame = Frame::empty();
    assert_eq!(source.next(&mut frame).unwrap(), Next::Frame);
    std::fs::rename(dir.path().join("a.jpg"), dir.path().join("a.away")).unwrap();
    let lost = source.next(&mut frame);
    assert!(matches!(&lost, Err(SourceError::Lost { reason, .. }) if reason.starts_with("no .jpg")), "{lost:?}");
    let idle = source.next(&mut frame);
    assert!(matches!(&idle, Ok(Next::Idle(why)) if why.starts_with("no readable picture in /")), "{idle:?}");
    std::fs::rename(dir.path().join("a.away"), dir.path().join("a.jpg")).unwrap();
    assert!((0..10).any(|_| source.next(&mut frame).unwrap() == Next::Frame));
}

#[test]
fn pictures_come_at_the_rate_asked_for() {
    let picture = jpeg(8, 8);
    let dir = dir(&[("a.jpg", &picture)]);
    let config = FilesConfig { path: dir.path().to_str().unwrap().into(), repeat: true, fps: 20.0 };
    let mut source = Files::open(&config, false).unwrap();
    let mut frame = Frame::empty();
    let begun = Instant::now();
    let (mut frames, mut calls) = (0, 0);
    while frames < 6 {
        calls += 1;
        frames += usize::from(source.next(&mut frame).unwrap() == Next::Frame);
    }
    assert!(begun.elapsed() >= Duration::from_millis(249), "five intervals of 50 ms: {:?}", begun.elapsed());
    assert!(calls <= 20, "{calls} calls");
}

#[test]
fn long_waits_are_taken_in_naps() {
    let mut file = tempfile::Builder::new().suffix(".jpg").tempfile().unwrap();
    file.write_all(&jpeg(8, 8)).unwrap();
    let config = FilesConfig { path: file.path().to_str().unwrap().into(), repeat: true, fps: 1e-300 };
    let mut source = Files::open(&config, false).unwrap();
    let mut frame = Frame::empty();
    assert_eq!(source.next(&mut frame).unwrap(), Next::Frame);
    let begun = Instant::now();
    assert!(matches!(source.next(&mut frame), Ok(Next::Idle(_))));
    assert!(begun.elapsed() < Duration::from_millis(450));
}
