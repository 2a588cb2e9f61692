use super::*;

#[test]
fn what_is_no_video_device_says_so() {
    let node = Node::open(Path::new("/dev/null")).unwrap();
    // Emulators answer an unknown request with an error of their own.
    let emulated = std::env::var_os("LEPTOND_TEST_EMULATED").is_some();
    let refused = node.capability().unwrap_err();
    assert!(matches!(refused, Errno::NOTTY | Errno::INVAL) || emulated && refused == Errno::NOSYS, "{refused:?}");
    assert_eq!(Node::open(Path::new("/dev/no-such-video")).unwrap_err(), Errno::NOENT);
}

#[test]
fn letters_are_shown_as_people_write_them() {
    assert_eq!(FourCc(*b"MJPG").to_string(), "MJPG");
    assert_eq!(FourCc(*b"Y16 ").to_string(), "Y16");
    assert_eq!(FourCc([b'Y', b'1', b'6', b' ' | 0x80]).to_string(), "Y16-BE");
}

#[test]
fn sizes_hold_what_they_offer() {
    assert!(Size::Exact([640, 480]).holds([640, 480]) && !Size::Exact([640, 480]).holds([640, 481]));
    let range = Size::Range { least: [48, 32], most: [1920, 1080], step: [16, 2] };
    for (size, held) in
        [([640, 480], true), ([48, 32], true), ([641, 480], false), ([32, 32], false), ([1936, 1080], false)]
    {
        assert_eq!(range.holds(size), held, "{size:?}");
    }
    assert!(Size::Range { least: [1, 1], most: [9, 9], step: [0, 0] }.holds([5, 7]), "a step of 0 is any step");
}

#[test]
fn text_ends_at_the_first_nul_or_the_end() {
    assert_eq!(text(b"uvcvideo\0junk"), "uvcvideo");
    assert_eq!(text(b"sixteen letters!"), "sixteen letters!");
    assert_eq!(text(b"\xff\0"), "\u{fffd}");
}

#[test]
fn ages_need_a_monotonic_stamp_in_the_past() {
    let now = clock_gettime(ClockId::Monotonic);
    let stamp = |flags, seconds| abi::Buffer { flags, seconds, ..Default::default() };
    let old = age(&stamp(abi::BUF_FLAG_TIMESTAMP_MONOTONIC, now.tv_sec - 2)).unwrap();
    assert!((Duration::from_secs(2)..Duration::from_secs(60)).contains(&old), "{old:?}");
    assert_eq!(age(&stamp(0, now.tv_sec - 2)), None, "another clock");
    assert_eq!(age(&stamp(abi::BUF_FLAG_TIMESTAMP_MONOTONIC, now.tv_sec + 1000)), None, "the future");
    assert_eq!(age(&stamp(abi::BUF_FLAG_TIMESTAMP_MONOTONIC, -1)), None);
}

#[test]
fn a_list_follows_the_numbers_and_tells_what_cannot_be_asked() {
    let dir = tempfile::tempdir().unwrap();
    for (node, name) in [("video10", "codec\n"), ("video2", "HD Webcam\n"), ("v4l-subdev0", "sensor\n")] {
        let class = dir.path().join("sys/class/video4linux").join(node);
        std::fs::create_dir_all(&class).unwrap();
        std::fs::write(class.join("name"), name).unwrap();
    }
    let roots = Roots { proc: "/proc".into(), sys: dir.path().join("sys"), dev: dir.path().join("dev") };
    let found: Vec<_> = list(&roots).into_iter().map(|l| (l.path, l.name, l.answer.unwrap_err())).collect();
    let dev = |node| dir.path().join("dev").join(node);
    assert_eq!(
        found,
        [(dev("video2"), "HD Webcam".to_owned(), Errno::NOENT), (dev("video10"), "codec".to_owned(), Errno::NOENT)]
    );
}
