//! The proxy of `tests/support` does what the other tests rely on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{Action, Direction, FaultProxy, Faults, Step, random};

const SOON: Duration = Duration::from_secs(30);

/// A server that returns every byte.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut buffer = [0; 1000];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn client(proxy: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n % 251) as u8).collect()
}

/// Reads until the end.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

/// Sends `count` bytes and returns those that come back until the end.
fn exchange(proxy: &FaultProxy, count: usize) -> Vec<u8> {
    let mut stream = client(proxy);
    let mut sender = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let _ = sender.write_all(&bytes(count));
        let _ = sender.shutdown(Shutdown::Write);
    });
    let back = rest(&mut stream);
    writer.join().unwrap();
    back
}

#[test]
fn without_faults_everything_passes_and_the_end_does_too() {
    let proxy = FaultProxy::start(echo());
    assert_eq!(exchange(&proxy, 300_000), bytes(300_000));
    assert_eq!((proxy.accepted(), proxy.cuts()), (1, 0));
    assert_eq!((proxy.passed(Direction::ToServer), proxy.passed(Direction::ToClient)), (300_000, 300_000));
}

#[test]
fn a_connection_is_cut_at_the_byte_that_was_asked_for_in_its_direction_only() {
    let proxy = FaultProxy::start(echo());
    proxy.set(Direction::ToClient, Faults { cut_after: Some(12_345), ..Faults::default() });
    for _ in 0..2 {
        assert_eq!(exchange(&proxy, 50_000), bytes(12_345), "each connection anew");
    }
    assert_eq!(proxy.cuts(), 2);
    assert_eq!(exchange(&proxy, 12_000), bytes(12_000), "a shorter one is not touched");
    proxy.heal();
    assert_eq!(exchange(&proxy, 50_000).len(), 50_000);

    // On a connection that exists it counts from the moment at which it is set.
    let mut stream = client(&proxy);
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    proxy.set(Direction::ToServer, Faults { cut_after: Some(3), ..Faults::default() });
    stream.write_all(b"world").unwrap();
    let back = rest(&mut stream);
    assert!(b"wor".starts_with(&back), "{back:?}");
}

#[test]
fn frozen_nothing_passes_and_afterwards_everything() {
    let proxy = FaultProxy::start(echo());
    let mut stream = client(&proxy);
    stream.write_all(b"a").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    proxy.freeze(true);
    stream.write_all(b"bc").unwrap();
    let mut late = client(&proxy);
    late.write_all(b"d").unwrap();
    for frozen in [&mut stream, &mut late] {
        frozen.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let quiet = frozen.read(&mut [0]).unwrap_err().kind();
        assert!(matches!(quiet, std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{quiet:?}");
        frozen.set_read_timeout(Some(SOON)).unwrap();
    }
    assert_eq!(proxy.passed(Direction::ToServer), 1);
    proxy.freeze(false);
    let mut two = [0; 2];
    stream.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"bc");
    late.read_exact(&mut [0]).unwrap();
    assert_eq!(proxy.cuts(), 0);
}

#[test]
fn a_slow_and_a_long_line_take_their_time() {
    let proxy = FaultProxy::start(echo());
    proxy.set(Direction::ToServer, Faults { bytes_per_s: Some(10_000), ..Faults::default() });
    let began = Instant::now();
    assert_eq!(exchange(&proxy, 5_000), bytes(5_000));
    assert!(began.elapsed() >= Duration::from_millis(350), "{:?}", began.elapsed());
    proxy.set(Direction::ToServer, Faults::default());
    proxy.set_both(Faults { delay: Duration::from_millis(100), ..Faults::default() });
    let began = Instant::now();
    assert_eq!(exchange(&proxy, 5_000), bytes(5_000));
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    // Switched off while it runs.
    proxy.set_both(Faults { bytes_per_s: Some(1), ..Faults::default() });
    let mut stream = client(&proxy);
    stream.write_all(&bytes(1_000)).unwrap();
    proxy.heal();
    stream.read_exact(&mut [0; 1_000]).unwrap();
}

#[test]
fn losses_follow_from_the_seed() {
    let target = echo();
    let run = |seed| -> Vec<usize> {
        let proxy = FaultProxy::seeded(target, seed);
        proxy.set(Direction::ToClient, Faults { mean_bytes_to_loss: Some(5_000), ..Faults::default() });
        (0..12).map(|_| exchange(&proxy, 100_000).len()).collect()
    };
    let first = run(7);
    assert_eq!(first, run(7));
    assert_ne!(first, run(8));
    let mean = first.iter().sum::<usize>() / first.len();
    assert!((1_500..15_000).contains(&mean), "{first:?}");
}

#[test]
fn cut_and_closed() {
    let proxy = FaultProxy::start(echo());
    let mut stream = client(&proxy);
    stream.write_all(b"a").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    proxy.close();
    assert_eq!(rest(&mut stream), b"");
    assert_eq!(rest(&mut client(&proxy)), b"", "closed at once");
    assert_eq!(proxy.accepted(), 1);
    proxy.open();
    assert_eq!(exchange(&proxy, 10), bytes(10));
    drop(proxy);
}

#[test]
fn a_schedule_is_performed_and_a_random_one_follows_from_its_seed() {
    let proxy = FaultProxy::start(echo());
    let frozen = Faults { frozen: true, ..Faults::default() };
    let after = Duration::from_millis(20);
    let steps = [
        Action::Faults(frozen, frozen),
        Action::Cut,
        Action::Close,
        Action::Open,
        Action::Faults(Faults::default(), Faults::default()),
    ];
    let mut stream = client(&proxy);
    proxy.play(steps.map(|action| Step { after, action }).to_vec()).join().unwrap();
    assert_eq!(rest(&mut stream), b"");
    assert_eq!(exchange(&proxy, 1_000), bytes(1_000));

    let (minute, healed) = (Duration::from_secs(60), Action::Faults(Faults::default(), Faults::default()));
    assert_eq!(random(3, minute), random(3, minute));
    assert_ne!(random(3, minute), random(4, minute));
    for seed in 0..50 {
        let steps = random(seed, minute);
        assert!(steps.iter().map(|step| step.after).sum::<Duration>() >= minute);
        assert!(matches!(steps.last(), Some(step) if step.action == healed || step.action == Action::Open), "{seed}");
    }
}
