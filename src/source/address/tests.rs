use super::*;

#[test]
fn what_cannot_stand_in_a_user_part_is_encoded_where_it_is_clear() {
    for (url, expected) in [
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("rtsp://cam:554/1?a=b#c", "rtsp://cam:554/1?a=b#c"),
        ("/data/yard@home.mp4", "/data/yard@home.mp4"),
        ("rtsp://admin:pass@cam:554/1", "rtsp://admin:pass@cam:554/1"),
        ("rtsp://admin:pass#word@127.0.0.1:9/live", "rtsp://admin:pass%23word@127.0.0.1:9/live"),
        ("rtsp://admin:pass?word@cam/live", "rtsp://admin:pass%3Fword@cam/live"),
        ("rtsp://admin:pa/ss@cam/live", "rtsp://admin:pa%2Fss@cam/live"),
        ("rtsp://admin:p@ss@cam/live", "rtsp://admin:p%40ss@cam/live"),
        ("rtsp://admin:p/s#s?w@cam/live?x=1", "rtsp://admin:p%2Fs%23s%3Fw@cam/live?x=1"),
        ("rtsp://admin:100%@cam/live", "rtsp://admin:100%25@cam/live"),
        ("rtsp://admin:p%40s%23@cam/live", "rtsp://admin:p%40s%23@cam/live"),
        ("rtsp://admin:pä s@cam/live", "rtsp://admin:p%C3%A4%20s@cam/live"),
        ("rtsp://admin:p[w]^|@cam/live", "rtsp://admin:p%5Bw%5D%5E%7C@cam/live"),
        ("rtsp://admin:#1@[fe80::1]:554/live", "rtsp://admin:%231@[fe80::1]:554/live"),
        ("rtsp://admin:12#34@cam/live", "rtsp://admin:12%2334@cam/live"),
        ("http://cam/view?mail=a@b.example", "http://cam/view?mail=a@b.example"),
        ("http://cam:80/view?mail=a@b.example", "http://cam:80/view?mail=a@b.example"),
        ("rtsp://cam/stream@2x", "rtsp://cam/stream@2x"),
        ("rtsp://cam:554/stream@2x", "rtsp://cam:554/stream@2x"),
        ("file:///data/a@b#c", "file:///data/a@b#c"),
        ("rtsp://admin@cam/1", "rtsp://admin@cam/1"),
    ] {
        assert_eq!(read(url), Address::Clear(expected.into()), "{url}");
        assert_eq!(read(expected), Address::Clear(expected.into()), "it stays so");
    }
}

#[test]
fn where_nobody_can_tell_it_is_said() {
    for url in ["rtsp://admin:12/34@cam/live", "rtsp://admin:p@ss/w#rd?@cam/live?x=1"] {
        assert!(doubt(url).unwrap().usable, "{url}");
    }
    for url in [
        "rtsp://admin:p#w@cam/live@home",
        "rtsp://admin:pass#word/live",
        "rtsp://admin:pass@/live",
        "rtsp://:pass#@:554/",
        "rtsp:///live",
        "rtsp://cam:port/live",
    ] {
        assert!(matches!(read(url), Address::Doubtful(same, _) if same == url), "{url}: {:?}", read(url));
        assert!(!doubt(url).unwrap().usable, "{url}");
        assert!(doubt(url).unwrap().how.contains("%23"));
    }
}

fn args(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn without_a_secret_nothing_changes() {
    let found = input(args("-rtsp_transport tcp -fflags nobuffer"), "rtsp://cam/1");
    assert_eq!(found.args.join(" "), "-rtsp_transport tcp -fflags nobuffer -i rtsp://cam/1");
    assert_eq!((found.stdin.len(), found.exposed), (0, None));
}

#[test]
fn a_secret_goes_to_standard_input_with_the_cameras_options() {
    let options = "-fflags discardcorrupt -flags low_delay -rtsp_transport tcp -re -c:v h264_v4l2m2m -timeout 5000000";
    let found = input(args(options), "rtsp://admin:it's@cam/1");
    assert_eq!(
        found.args.join(" "),
        format!(
            "-fflags discardcorrupt -flags low_delay -re -c:v h264_v4l2m2m -protocol_whitelist {PROTOCOLS} -f concat -safe 0 \
             -i pipe:0"
        )
    );
    assert_eq!(
        String::from_utf8(found.stdin).unwrap(),
        "ffconcat version 1.0\nfile 'rtsp://admin:it'\\''s@cam/1'\noption fflags 'discardcorrupt'\n\
         option rtsp_transport 'tcp'\noption timeout '5000000'\n"
    );
    let header = vec!["-headers".to_owned(), "Authorization: Basic YTpi\r\n".to_owned()];
    let found = input(header, "http://cam/1");
    assert!(!found.args.join(" ").contains("YTpi"));
    assert!(String::from_utf8(found.stdin).unwrap().ends_with("option headers 'Authorization: Basic YTpi'\n"));
}

#[test]
fn what_cannot_be_hidden_is_told() {
    let secret = "rtsp://a:bcde@cam/1";
    for options in
        [args("-f mpjpeg"), args("stray"), args("-timeout"), vec!["-headers".into(), "A: b\r\nC: d\r\n".into()]]
    {
        let found = input(options.clone(), secret);
        assert!(found.exposed.is_some() && found.stdin.is_empty(), "{options:?}");
        assert_eq!(found.args.last().map(String::as_str), Some(secret));
    }
}

proptest::proptest! {
    #[test]
    fn never_panics_and_what_is_clear_stays(url in "(rtsp://)?[a-z0-9:@/#?%\\[\\]é]{0,30}") {
        if let Address::Clear(once) = read(&url) {
            proptest::prop_assert_eq!(read(&once), Address::Clear(once.clone()), "{}", url);
        }
    }
}
