use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::device::Device;
use super::*;
use crate::frame::Payload;
use crate::sys::v4l2::{Capability, Format, FourCc, Kind, Size};

/// One answer of a scripted device to `take`.
#[derive(Clone)]
enum Take {
    Picture(Vec<u8>),
    Damaged(Vec<u8>),
    Nothing,
    Fault(Errno),
}

/// A scripted device: what it is, what it offers, and what each `take` answers.
#[derive(Clone)]
struct Fake {
    capability: Result<Capability, Errno>,
    formats: Vec<(&'static [u8; 4], Vec<Size>)>,
    /// The driver's answer to a request.
    set_format: fn(FourCc, u32, u32) -> Result<Format, Errno>,
    set_rate: Result<Option<f64>, Errno>,
    start: Result<u32, Errno>,
    takes: VecDeque<Take>,
    log: Arc<Mutex<Vec<String>>>,
}

fn as_asked(fourcc: FourCc, width: u32, height: u32) -> Result<Format, Errno> {
    let stride = match &fourcc.0 {
        b"YUYV" => width * 2,
        b"MJPG" => 0,
        _ => width,
    };
    Ok(Format { fourcc, width, height, stride, split_fields: false })
}

fn webcam() -> Fake {
    let capability =
        Capability { driver: "uvcvideo".into(), card: "Webcam".into(), kind: Kind::Capture, streaming: true };
    Fake {
        capability: Ok(capability),
        formats: vec![
            (b"YUYV", vec![Size::Exact([640, 480]), Size::Exact([320, 240])]),
            (b"MJPG", vec![Size::Exact([1920, 1080]), Size::Exact([640, 480])]),
        ],
        set_format: as_asked,
        set_rate: Ok(Some(30.0)),
        start: Ok(4),
        takes: VecDeque::new(),
        log: Arc::default(),
    }
}

impl Device for Fake {
    fn capability(&mut self) -> Result<Capability, Errno> {
        self.capability.clone()
    }
    fn formats(&mut self) -> Result<Vec<FourCc>, Errno> {
        Ok(self.formats.iter().map(|(f, _)| FourCc(**f)).collect())
    }
    fn sizes(&mut self, fourcc: FourCc) -> Vec<Size> {
        self.formats.iter().find(|(f, _)| **f == fourcc.0).map(|(_, sizes)| sizes.clone()).unwrap_or_default()
    }
    fn set_format(&mut self, fourcc: FourCc, width: u32, height: u32) -> Result<Format, Errno> {
        self.log.lock().unwrap().push(format!("set {fourcc} {width}x{height}"));
        (self.set_format)(fourcc, width, height)
    }
    fn set_rate(&mut self, _: f64) -> Result<Option<f64>, Errno> {
        self.set_rate
    }
    fn start(&mut self, buffers: u32) -> Result<u32, Errno> {
        self.log.lock().unwrap().push(format!("start {buffers}"));
        self.start
    }
    fn take(&mut self, _: Duration, out: &mut Vec<u8>) -> Result<Option<Taken>, Errno> {
        let taken = |damaged| Ok(Some(Taken { damaged, sequence: 0, age: Some(Duration::from_millis(20)) }));
        match self.takes.pop_front().unwrap_or(Take::Fault(Errno::NODEV)) {
            Take::Picture(data) => {
                *out = data;
                taken(false)
            }
            Take::Damaged(data) => {
                *out = data;
                taken(true)
            }
            Take::Nothing => Ok(None),
            Take::Fault(error) => Err(error),
        }
    }
}

fn config(format: V4l2Format) -> V4l2Config {
    V4l2Config { format, width: 640, height: 480, ..V4l2Config::default() }
}

/// A source over devices that are found one after the other.
fn source(config: V4l2Config, devices: Vec<Result<Fake, Errno>>) -> V4l2 {
    let mut devices: VecDeque<_> = devices.into();
    let opener = move || match devices.pop_front() {
        Some(Ok(fake)) => Ok(Box::new(fake) as Box<dyn Device>),
        Some(Err(error)) => Err(error),
        None => Err(Errno::NOENT),
    };
    V4l2::new(config, Box::new(opener))
}

/// The next answer that is no waiting, in words; the waits of the back-off are cut short.
fn step(source: &mut V4l2, frame: &mut Frame) -> String {
    source.backoff = Backoff::default();
    match source.next(frame) {
        Ok(Next::Frame) => "frame".into(),
        Ok(Next::Idle(why)) => format!("idle: {why}"),
        Ok(Next::End) => "end".into(),
        Err(SourceError::Bad { reason, .. }) => format!("bad: {reason}"),
        Err(SourceError::Lost { reason, .. }) => format!("lost: {reason}"),
        Err(SourceError::Fatal { reason, .. }) => format!("fatal: {reason}"),
    }
}

fn steps(source: &mut V4l2, count: usize) -> Vec<String> {
    let mut frame = Frame::empty();
    (0..count).map(|_| step(source, &mut frame)).collect()
}

const JPEG: [u8; 11] = [0xff, 0xd8, 0xff, 0xda, 0, 3, 1, 42, 42, 0xff, 0xd9];

#[test]
fn the_first_known_format_at_the_wanted_size_is_taken() {
    let cases: [(V4l2Format, [u32; 2], &str); 5] = [
        (V4l2Format::Auto, [640, 480], "set MJPG 640x480"),
        (V4l2Format::Auto, [320, 240], "set YUYV 320x240"),
        (V4l2Format::Auto, [1920, 1080], "set MJPG 1920x1080"),
        // Nobody offers it: the best format, and the driver's nearest size.
        (V4l2Format::Auto, [800, 600], "set MJPG 800x600"),
        (V4l2Format::Yuyv, [1920, 1080], "set YUYV 1920x1080"),
    ];
    for (format, [width, height], expected) in cases {
        let mut fake = webcam();
        let agreed = negotiate(&mut fake, &V4l2Config { width, height, ..config(format) }).unwrap();
        assert_eq!(*fake.log.lock().unwrap(), [expected]);
        assert_eq!((agreed.rate, agreed.card.as_str()), (Some(30.0), "Webcam"));
    }
}

#[test]
fn a_driver_without_sizes_or_rates_is_taken_at_its_word() {
    let mut fake = Fake { formats: vec![(b"NV12", vec![])], set_rate: Err(Errno::NOTTY), ..webcam() };
    let agreed = negotiate(&mut fake, &config(V4l2Format::Auto)).unwrap();
    assert_eq!((agreed.words().as_str(), agreed.rate), ("640x480 NV12", None));
    assert_eq!(agreed.rate_words(), "at the driver's own rate");
}

#[test]
fn strides_are_honoured_and_completed() {
    for (fourcc, format, stride, needed) in [
        (b"YUYV", V4l2Format::Yuyv, 1408, 1408 * 479 + 1280),
        (b"NV12", V4l2Format::Nv12, 704, 704 * 480 + 704 * 239 + 640),
        (b"YU12", V4l2Format::Yu12, 704, 704 * 480 + 352 * 240 + 352 * 239 + 320),
    ] {
        let padded = |fourcc: FourCc, width, height| {
            let stride = if &fourcc.0 == b"YUYV" { 1408 } else { 704 };
            Ok(Format { fourcc, width, height, stride, split_fields: false })
        };
        let mut fake = Fake { formats: vec![(fourcc, vec![])], set_format: padded, ..webcam() };
        let agreed = negotiate(&mut fake, &config(format)).unwrap();
        assert_eq!((agreed.format.stride, agreed.bytes()), (stride, needed));
    }
    let silent = |fourcc, width, height| Ok(Format { fourcc, width, height, stride: 0, split_fields: false });
    let mut fake = Fake { set_format: silent, ..webcam() };
    assert_eq!(negotiate(&mut fake, &config(V4l2Format::Yuyv)).unwrap().format.stride, 1280);
}

#[test]
fn devices_that_can_never_work_say_why() {
    let kind = |kind, streaming| {
        let capability = Capability { driver: "unicam".into(), card: "Board".into(), kind, streaming };
        Fake { capability: Ok(capability), ..webcam() }
    };
    let formats = |list: &[&'static [u8; 4]]| Fake { formats: list.iter().map(|f| (*f, vec![])).collect(), ..webcam() };
    let set = |set_format| Fake { set_format, ..webcam() };
    let cases: Vec<(Fake, &str)> = vec![
        (kind(Kind::CapturePlanes, true), "Board (unicam) gives pictures in several planes"),
        (kind(Kind::CapturePlanes, true), "use a source of type rpicam"),
        (kind(Kind::Processor, true), "is a codec or image processor"),
        (kind(Kind::Other, true), "captures no pictures"),
        (kind(Kind::Capture, false), "cannot stream"),
        (Fake { capability: Err(Errno::NOTTY), ..webcam() }, "is no Video4Linux device"),
        (formats(&[b"RGB3", b"GREY"]), "cannot give MJPG, YUYV, NV12 or YU12: it offers RGB3, GREY"),
        (formats(&[b"pBAA", b"BG10"]), "raw sensor data; use a source of type rpicam"),
        (formats(&[]), "it offers no format at all"),
        (set(|_, w, h| as_asked(FourCc(*b"RGB3"), w, h)), "MJPG: the driver gives RGB3 instead; YUYV"),
        (set(|f, _, h| as_asked(f, 0, h)), "impossible size of 0x480"),
        (set(|f, w, h| Ok(Format { stride: 7, ..as_asked(f, w, h)? })).yuyv(), "rows of 7 bytes for 640 pixels"),
        (set(|f, w, h| Ok(Format { split_fields: true, ..as_asked(f, w, h)? })), "half pictures"),
        (set(|_, _, _| Err(Errno::INVAL)), "no format could be set at 640x480: MJPG: "),
    ];
    for (fake, expected) in cases {
        let answer = steps(&mut source(config(V4l2Format::Auto), vec![Ok(fake)]), 1).remove(0);
        assert!(answer.starts_with("fatal: ") && answer.contains(expected), "{answer} should contain {expected}");
    }
}

impl Fake {
    fn yuyv(mut self) -> Self {
        self.formats = vec![(b"YUYV", vec![])];
        self
    }

    fn takes(mut self, takes: &[Take]) -> Self {
        self.takes = takes.iter().cloned().collect();
        self
    }
}

#[test]
fn absent_busy_and_forbidden_devices_are_waited_for() {
    let busy = |_, _, _| Err(Errno::BUSY);
    let mut source = source(
        config(V4l2Format::Auto),
        vec![
            Err(Errno::NOENT),
            Err(Errno::ACCESS),
            Ok(Fake { set_format: busy, ..webcam() }),
            Ok(Fake { start: Err(Errno::BUSY), ..webcam() }),
            Ok(Fake { start: Ok(0), ..webcam() }),
            Ok(webcam().takes(&[Take::Nothing, Take::Picture(JPEG.to_vec())])),
        ],
    );
    assert_eq!(
        steps(&mut source, 7),
        [
            "idle: /dev/video0 is not there",
            "idle: no permission to open /dev/video0: the user that runs leptond must be in the group video",
            "idle: in use by another program",
            "idle: in use by another program",
            "idle: the driver gave no buffers",
            "idle: waiting for the next picture",
            "frame",
        ]
    );
    assert_eq!(source.describe(), "v4l2 /dev/video0 640x480 MJPG");
}

#[test]
fn a_device_that_vanishes_is_lost_once_closed_and_opened_again() {
    let good = Take::Picture(JPEG.to_vec());
    let first = webcam().takes(&[good.clone(), Take::Fault(Errno::NODEV)]);
    let log = first.log.clone();
    let wrong = Fake { capability: Err(Errno::NOTTY), ..webcam() };
    let again = webcam().takes(&[good]);
    let mut source = source(config(V4l2Format::Auto), vec![Ok(first), Err(Errno::NOENT), Ok(wrong), Ok(again)]);
    assert_eq!(steps(&mut source, 2), ["frame", "lost: the device is gone"]);
    assert_eq!(Arc::strong_count(&log), 1, "the device was closed");
    assert_eq!(
        steps(&mut source, 3),
        ["idle: /dev/video0 is not there", "idle: is no Video4Linux device", "frame"],
        "a wrong device at its place is no reason to give up once it has worked"
    );
}

#[test]
fn attempts_are_spaced_by_the_back_off() {
    let mut source = source(config(V4l2Format::Auto), vec![Err(Errno::NOENT), Ok(webcam())]);
    let mut frame = Frame::empty();
    source.next(&mut frame).unwrap();
    let start = Instant::now();
    assert_eq!(source.next(&mut frame).unwrap(), Next::Idle("/dev/video0 is not there".into()));
    assert!(start.elapsed() >= Duration::from_millis(200), "it sleeps instead of spinning");
    assert!(source.running.is_none(), "half a second is not over");
}

#[test]
fn damaged_pictures_are_bad_and_the_stream_goes_on() {
    let yuyv = vec![128; 640 * 480 * 2];
    let takes = [
        Take::Picture(yuyv.clone()),
        Take::Damaged(yuyv.clone()),
        Take::Picture(yuyv[..1000].to_vec()),
        Take::Picture(Vec::new()),
        Take::Fault(Errno::IO),
        Take::Picture(yuyv),
    ];
    let mut source = source(config(V4l2Format::Yuyv), vec![Ok(webcam().takes(&takes))]);
    assert_eq!(
        steps(&mut source, 6),
        [
            "frame",
            "bad: the driver marked the picture as damaged",
            "bad: short picture: 1000 of 614400 bytes",
            "bad: short picture: 0 of 614400 bytes",
            "bad: the driver reports an input fault",
            "frame",
        ]
    );
    let jpegs =
        [Take::Picture(JPEG[..9].to_vec()), Take::Picture(vec![0; 50]), Take::Picture([&JPEG[..], &[0; 9]].concat())];
    let mut source = self::source(config(V4l2Format::Mjpg), vec![Ok(webcam().takes(&jpegs))]);
    assert_eq!(
        steps(&mut source, 3),
        ["bad: truncated JPEG (9 bytes)", "bad: truncated JPEG (50 bytes)", "frame"],
        "padding behind a whole picture is usual"
    );
}

#[test]
fn faults_without_end_lose_the_device() {
    let mut source =
        source(config(V4l2Format::Auto), vec![Ok(webcam().takes(&[const { Take::Fault(Errno::IO) }; 20]))]);
    let answers = steps(&mut source, 11);
    assert!(answers[..10].iter().all(|a| a.starts_with("bad")), "{answers:?}");
    assert!(answers[10].starts_with("lost: the driver gives no more pictures"), "{answers:?}");
}

#[test]
fn frames_carry_format_size_stride_and_the_moment_of_capture() {
    let mut source = source(config(V4l2Format::Yuyv), vec![Ok(webcam().takes(&[Take::Picture(vec![7; 614_400])]))]);
    let mut frame = Frame::empty();
    assert_eq!(step(&mut source, &mut frame), "frame");
    let Payload::Image(image) = &frame.payload else { panic!("a picture") };
    assert_eq!((image.format, image.width, image.height, image.stride), (PixelFormat::Yuyv, 640, 480, 1280));
    assert_eq!((frame.origin.as_str(), image.data.len()), ("/dev/video0", 614_400));
    assert!(frame.captured.elapsed() >= Duration::from_millis(20), "the driver's stamp is 20 ms old");
}

/// The scripted webcam with sizes of its own.
fn offering(sizes: Vec<Size>) -> Fake {
    Fake { formats: vec![(b"YUYV", sizes)], ..webcam() }
}

#[test]
fn smaller_sizes_are_those_that_the_device_offers_in_the_configured_shape() {
    let range = Size::Range { least: [32, 32], most: [1920, 1080], step: [2, 2] };
    let exact = |sizes: &[[u32; 2]]| sizes.iter().copied().map(Size::Exact).collect::<Vec<_>>();
    let cases: [(Vec<Size>, &[[u32; 2]]); 4] = [
        (exact(&[[640, 480], [640, 360], [352, 288], [320, 240], [160, 120]]), &[[320, 240], [160, 120]]),
        (vec![range], &[[480, 360], [320, 240], [240, 180], [160, 120]]),
        // The driver takes another size than the configured one: its shape is not known.
        (exact(&[[800, 600], [320, 240]]), &[]),
        (vec![], &[]),
    ];
    for (offered, expected) in cases {
        assert_eq!(sizes::smaller(&mut offering(offered.clone()), &config(V4l2Format::Auto)), expected, "{offered:?}");
    }
    let mjpg = sizes::smaller(&mut webcam(), &config(V4l2Format::Mjpg));
    assert!(mjpg.is_empty(), "320x240 is offered in another format only: {mjpg:?}");
}

#[test]
fn another_size_is_agreed_on_with_the_device_opened_again() {
    let pictures = |bytes: usize| webcam().takes(&[Take::Picture(vec![128; bytes])]);
    let (first, second, third) = (pictures(640 * 480 * 2), pictures(320 * 240 * 2), pictures(640 * 480 * 2));
    let (log, again) = (first.log.clone(), second.log.clone());
    let mut source = source(config(V4l2Format::Yuyv), vec![Ok(first), Ok(second), Ok(third)]);
    let mut frame = Frame::empty();
    let mut picture = |source: &mut V4l2| {
        assert_eq!(step(source, &mut frame), "frame");
        let Payload::Image(image) = &frame.payload else { panic!("a picture") };
        ([image.width, image.height], image.full)
    };
    assert_eq!(picture(&mut source), ([640, 480], None));
    source.set_capture(Some(320));
    assert_eq!(Arc::strong_count(&log), 1, "the device was closed");
    assert_eq!(picture(&mut source), ([320, 240], Some([640, 480])));
    assert_eq!(*again.lock().unwrap(), ["set YUYV 320x240", "start 4"]);
    assert_eq!(source.describe(), "v4l2 /dev/video0 320x240 YUYV");
    source.set_capture(None);
    assert_eq!(picture(&mut source), ([640, 480], None));
}

#[test]
fn a_size_that_the_driver_refuses_leaves_the_present_one() {
    let stubborn = |fourcc, width, _| as_asked(fourcc, if width < 640 { 640 } else { width }, 480);
    let deaf = |fourcc, width, height| if width < 640 { Err(Errno::INVAL) } else { as_asked(fourcc, width, height) };
    for set_format in [stubborn as fn(FourCc, u32, u32) -> Result<Format, Errno>, deaf] {
        let picture = [Take::Picture(vec![128; 640 * 480 * 2]), Take::Nothing];
        let fake = Fake { set_format, ..webcam().takes(&picture) };
        let (second, third) = (fake.clone(), fake.clone());
        let mut source = source(config(V4l2Format::Yuyv), vec![Ok(fake), Ok(second), Ok(third)]);
        assert_eq!(steps(&mut source, 1), ["frame"]);
        source.set_capture(Some(320));
        assert_eq!(steps(&mut source, 1), ["frame"], "at the configured size");
        assert_eq!((source.refused.as_slice(), source.before), (&[320][..], None));
        source.set_capture(Some(320));
        assert!(source.running.is_some(), "it is not asked again");
    }
}
