use std::time::{Duration, Instant};

use super::config::SensorConfig;
use crate::frame::Frame;
use crate::source::{Context, Next, SourceError, SourceKind};

fn config(interval_ms: u64, channels: &[&str]) -> SensorConfig {
    let channels = channels.iter().map(|c| (*c).to_owned()).collect();
    SensorConfig { interval_ms, channels, window: 3, stride: 2, ..SensorConfig::default() }
}

#[test]
fn this_machine_gives_windows_of_the_channels_asked_for() {
    let mut source = config(10, &["memory_used_percent", "cpu_percent"]).open(Context::default()).unwrap();
    let mut frame = Frame::empty();
    let mut captured = Vec::new();
    while captured.len() < 2 {
        let begun = Instant::now();
        let next = match source.next(&mut frame) {
            // No tick of the clock that counts processor time lies between two readings that come close together.
            Err(SourceError::Bad { reason, .. }) if reason.contains("cpu_percent") => continue,
            next => next.unwrap(),
        };
        if next == Next::Frame {
            captured.push(frame.captured);
            let window = frame.window_mut();
            assert_eq!(*window.channels, ["memory_used_percent", "cpu_percent"]);
            assert_eq!((window.rows, window.data.len()), (3, 6));
            let memory: Vec<f32> = window.data.iter().step_by(2).copied().collect();
            assert!(memory.iter().all(|v| (0.0..=100.0).contains(v)), "{memory:?}");
        }
        assert!(begun.elapsed() < Duration::from_millis(500));
    }
    assert!(captured[1] - captured[0] >= Duration::from_millis(15), "two readings apart");
}

#[test]
fn an_unknown_channel_or_no_interval_can_never_work() {
    for (config, expected) in [
        (config(500, &["cpu_precent"]), "machine: there is no channel \"cpu_precent\"; there are cpu_percent, "),
        (config(0, &[]), "machine: interval_ms is 0, and must be at least 10"),
    ] {
        let error = config.open(Context::default()).err().unwrap();
        assert!(matches!(error, SourceError::Fatal { .. }) && error.to_string().starts_with(expected), "{error}");
    }
}
