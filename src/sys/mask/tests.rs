use super::*;

#[test]
fn what_is_secret_is_masked_and_nothing_else() {
    for (text, shown) in [
        ("", ""),
        ("plain text, a@b.c", "plain text, a@b.c"),
        ("rtsp://camera/1", "rtsp://camera/1"),
        ("rtsp://user:pass@camera:554/1", "rtsp://***@camera:554/1"),
        ("rtsp://user:p/a?s#s@camera/1", "rtsp://***@camera/1"),
        ("rtsp://user:p@ss@camera/1", "rtsp://***@camera/1"),
        ("rtsp://user:p@?s/s?s@camera/1", "rtsp://***@camera/1"),
        ("rtsp://user:p 'a\"ss@camera/1", "rtsp://***@camera/1"),
        ("rtsp://user:p%40ss%23@camera/1", "rtsp://***@camera/1"),
        ("RTSP://USER:PASS@CAMERA/1", "RTSP://***@CAMERA/1"),
        ("http://camera/v?user=me&res=hd&pwd=x#t", "http://camera/v?user=***&res=hd&pwd=***"),
        ("http://camera/v?USER=me&RES=hd&PWD=x", "http://camera/v?USER=***&RES=hd&PWD=***"),
        ("http://c/snap.cgi?loginuse=admin&loginpas=s3cretA", "http://c/snap.cgi?loginuse=***&loginpas=***"),
        ("http://c/s?-usr=admin&-pwd=s3cretA&chn=1", "http://c/s?-usr=***&-pwd=***&chn=1"),
        ("http://c/s?u=admin&p=s3cretA&w=640", "http://c/s?u=***&p=***&w=640"),
        ("http://c/s?p=2&w=640", "http://c/s?p=2&w=640"),
        ("http://c/s?api_key=s3cretA&x=1", "http://c/s?api_key=***&x=1"),
        ("http://c/s?access_token=s3cretA", "http://c/s?access_token=***"),
        ("http://c/s?auth=YWRtaW46c2VjcmV0", "http://c/s?auth=***"),
        ("http://c/s?p%61ssword=s3cretA&x=1", "http://c/s?p%61ssword=***&x=1"),
        ("http://c/s?camPass=s3cretA/1&x=1", "http://c/s?camPass=***&x=1"),
        ("http://c/s?_sid=s3cretA&x=1", "http://c/s?_sid=***&x=1"),
        ("http://c/go?to=rtsp%3A%2F%2Fadmin%3As3cretA%40cam%2F1", "http://c/go?to=rtsp%3A%2F%2F***%40cam%2F1"),
        ("rtsp://c:554/user=admin_password=s3cretA_channel=1_stream=0.sdp", "rtsp://c:554/user=***"),
        (
            "rtsp://c/user=admin&password=s3cretA&channel=1.sdp?real",
            "rtsp://c/user=***&password=***&channel=1.sdp?real",
        ),
        ("rtsp://c/live/pwd=s3cretA/1", "rtsp://c/live/pwd=***/1"),
        ("from rtsp://a:b@c to rtsp://d:e@f ok", "from rtsp://***@c to rtsp://***@f ok"),
        ("'rtsp://a:b@c/1': no route", "'rtsp://***@c/1': no route"),
        ("Authorization: Basic YTpi\r\nX: http://a:b@c", "Authorization: ***\r\nX: http://***@c"),
        ("é AUTHORIZATION:Bearer x", "é AUTHORIZATION:***"),
        ("Proxy-Authorization : Digest x", "Proxy-Authorization : ***"),
        ("Cookie: session=1; a=b", "Cookie: ***"),
        ("login failed, password=s3cretA, trying again", "login failed, password=***, trying again"),
    ] {
        assert_eq!(redact(text), shown, "{text}");
    }
}

#[test]
fn harmless_text_stays() {
    for text in [
        "frame=12 fps=5",
        "keyframe=1 monkey=2",
        "compass=90 bypass=1 passed=3",
        "ü=1",
        "a@b.example",
        "author: me",
        "http://cam/v?channel=1&subtype=0&author=x",
        "rtsp://cam/monkey=1/bus=2",
    ] {
        assert_eq!(Mask::of_url("rtsp://u:hunter2@h/").apply(text), text);
        assert_eq!(redact(text), text);
    }
    assert_eq!(Mask::of_url("rtsp://u:word@h/x").apply("rtsp://u:word@h/x"), "rtsp://***@h/x");
}

#[test]
fn a_cameras_secrets_are_masked_wherever_they_stand() {
    let cases = [
        ("rtsp://admin:hunter2@10.0.0.5:554/s0", "opening rtsp://admin:hunter2@10.0.0.5:554/s0", "hunter2"),
        ("rtsp://admin:hunter2@10.0.0.5/s0", "401 for user admin:hunter2", "hunter2"),
        ("rtsp://admin:p@ss/w0rd@10.0.0.5/s0", "bad port in rtsp://admin:p@ss/w0rd@10.0.0.5/s0", "w0rd"),
        ("rtsp://admin:p@ss/w0rd@10.0.0.5/s0", "said p@ss/w0rd", "w0rd"),
        ("rtsp://admin:p%23ssw0rd@10.0.0.5/s0", "said p#ssw0rd", "ssw0rd"),
        ("http://cam/video?user=bob&password=s3cr3t!", "GET /video?user=bob&password=s3cr3t! failed", "s3cr3t"),
        ("http://cam/video?loginpas=s3cr3t!", "wrong word s3cr3t!", "s3cr3t"),
        ("rtsp://cam/user=admin_password=tlJwpbo6_channel=1", "x tlJwpbo6_channel=1", "tlJwpbo6"),
        ("rtsp://cam/user=admin_password=tlJwpbo6_channel=1", "the word tlJwpbo6", "tlJwpbo6"),
        ("rtsp://cam/s0", "redirected to rtsp://other:word@host/", "word@"),
        ("rtsp://a:b@cam/s0", "'rtsp://a:b@cam/s0': no route", "a:b"),
    ];
    for (url, text, secret) in cases {
        let masked = Mask::of_url(url).apply(text);
        assert!(!masked.contains(secret), "{masked}");
        assert!(masked.contains(MASK), "{masked}");
        assert!(!Mask::of_url(url).apply(url).contains(secret));
    }
}

#[test]
fn what_the_program_calls_otherwise_is_shown_by_its_name() {
    let mask = Mask::of_url("rtsp://a:hunter2@cam/1").with_alias("pipe:0", "rtsp://***@cam/1");
    assert_eq!(mask.apply("pipe:0: 401 for hunter2"), "rtsp://***@cam/1: 401 for ***");
}

#[test]
fn arguments_hold_secrets_too() {
    let args = |all: &[&str]| all.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    for (given, shown) in [
        (
            args(&["-headers", "Authorization: Basic YWRtaW46eA==\r\n", "-re"]),
            args(&["-headers", "Authorization: ***\r\n", "-re"]),
        ),
        (args(&["-password", "s3cretA", "-re"]), args(&["-password", "***", "-re"])),
        (args(&["-http_proxy", "http://me:s3cretA@proxy"]), args(&["-http_proxy", "http://***@proxy"])),
        (args(&["-timeout", "5000000", "-fflags", "nobuffer"]), args(&["-timeout", "5000000", "-fflags", "nobuffer"])),
    ] {
        assert_eq!(redact_args(&given), shown);
        let text = format!("it said {}", given[1].trim());
        let masked = Mask::of("rtsp://cam/1", &given).apply(&text);
        assert_eq!(masked.contains(MASK), given != shown, "{masked}");
    }
}

proptest::proptest! {
    #[test]
    fn never_panics(url: String, text: String) {
        Mask::of_url(&url).apply(&text);
        redact_args(&[url, text]);
    }

    #[test]
    fn no_password_is_left(password in "[!-~äß]{4,12}", at in 0usize..5) {
        let text = match at {
            0 => format!("rtsp://admin:{password}@cam/1"),
            1 => format!("http://cam/s?pwd={}", password.replace(['&', '"', '\'', '<', '>'], "_")),
            2 => format!("http://cam/s?loginpas={}&x=1", password.replace(['&', '"', '\'', '<', '>'], "_")),
            3 => format!("Authorization: Basic {password}"),
            _ => format!("http://cam/s?a=1&access_token={}", password.replace(['&', '"', '\'', '<', '>'], "_")),
        };
        let shown = redact(&text);
        let bare = password.replace(['&', '"', '\'', '<', '>'], "_");
        proptest::prop_assert!(!shown.contains(&password) && !shown.contains(&bare), "{text} -> {shown}");
    }
}
