//! Tests of the sink: who looks is served, who does not costs nothing.

use super::*;
use crate::page::testing::{Fake, name, output, status};

fn feed() -> Arc<Feed> {
    let feed = Feed::new(Arc::new(Fake));
    feed.serve(true);
    feed
}

fn soon(feed: &Feed) {
    // The next picture is due.
    feed.state().pipelines.values_mut().for_each(|pipeline| pipeline.due = None);
}

#[test]
fn frames_are_wanted_only_while_somebody_looks() {
    let feed = feed();
    assert!(!feed.wants_frames("meter"));
    feed.take(&Emission::Output(output("meter", 1, true)));
    assert!(feed.take_frames().is_empty());
    assert!(feed.look("nobody").is_none() && feed.look("../x").is_none());
    let (one, two) = (feed.look("meter").unwrap(), feed.look("meter").unwrap());
    assert!(feed.wants_frames("meter") && !feed.wants_frames("other"));
    for seq in 2..50 {
        feed.take(&Emission::Output(output("meter", seq, true)));
    }
    let frames = feed.take_frames();
    assert_eq!(frames.iter().map(|output| output.stamp.seq).collect::<Vec<_>>(), [2], "five in a second at most");
    soon(&feed);
    feed.take(&Emission::Output(output("meter", 50, true)));
    soon(&feed);
    feed.take(&Emission::Output(output("meter", 51, true)));
    assert_eq!(feed.take_frames()[0].stamp.seq, 51, "the newest wins");
    assert_eq!(feed.drew(&name("meter"), vec![1], Duration::from_millis(3)), Some(1));
    assert_eq!(one.pictures.borrow().as_ref().map(|picture| picture.number), Some(1));
    drop(one);
    assert!(feed.wants_frames("meter"));
    drop(two);
    assert!(!feed.wants_frames("meter"));
    assert_eq!(feed.drew(&name("meter"), vec![1], Duration::from_millis(3)), None, "nobody sees it any more");
    let cost = feed.cost();
    assert_eq!((cost.viewers, cost.pictures, cost.draw), (0, 2, Duration::from_millis(6)));
}

#[test]
fn no_frame_is_held_for_those_who_read_results() {
    let feed = feed();
    let output = output("meter", 1, true);
    let frame = Arc::downgrade(output.frame.as_ref().unwrap());
    feed.take(&Emission::Output(output));
    assert!(frame.upgrade().is_none());
    let news = feed.news(&mut Seen::default());
    assert_eq!((news.results.len(), news.events.len(), feed.numbers()[&name("meter")]), (1, 1, 42.0));
}

#[test]
fn each_listener_hears_everything_once_and_events_are_bounded() {
    let feed = feed();
    let mut seen = Seen::default();
    for seq in 0..3 * EVENTS as u64 {
        feed.take(&Emission::Output(output("meter", seq, false)));
    }
    feed.take(&Emission::Status(status(1, Instant::now())));
    let news = feed.news(&mut seen);
    assert_eq!((news.results.len(), news.events.len(), news.status.is_some()), (1, EVENTS, true));
    assert_eq!(news.results[0].1.stamp.seq, 3 * EVENTS as u64 - 1);
    let news = feed.news(&mut seen);
    assert!(news.results.is_empty() && news.events.is_empty() && news.status.is_none());
    feed.take(&Emission::Output(output("door", 1, false)));
    assert_eq!(feed.news(&mut seen).results.len(), 1);
    let listener = feed.listen();
    assert_eq!(feed.cost().listeners, 1);
    drop(listener);
    assert_eq!(feed.cost().listeners, 0);
}

#[test]
fn a_pipeline_that_is_gone_is_forgotten_and_its_viewers_with_it() {
    let feed = feed();
    let old = feed.look("meter").unwrap();
    feed.take(&Emission::Removed(name("meter")));
    assert!(!feed.wants_frames("meter") && old.pictures.has_changed().is_err());
    let new = feed.look("meter").unwrap();
    drop(old);
    assert!(feed.wants_frames("meter"), "the old viewer takes nothing away from the new one");
    drop(new);
    assert_eq!(feed.cost().viewers, 0);
}

#[test]
fn a_page_that_is_not_served_takes_nothing() {
    let feed = feed();
    feed.take(&Emission::Output(output("meter", 1, false)));
    feed.take(&Emission::Status(status(1, Instant::now())));
    assert!(feed.status().is_some());
    feed.serve(false);
    feed.take(&Emission::Output(output("meter", 2, false)));
    assert!(feed.status().is_none() && feed.numbers().is_empty());
    let text = serde_json::to_string(&feed.history(&[], Span::Hours)).unwrap();
    assert!(text.contains("\"series\":{}"), "{text}");
}

#[test]
fn rates_and_points_come_out_of_statuses() {
    let feed = feed();
    let begun = Instant::now();
    for (inferences, seconds) in [(100, 0), (110, 1), (130, 3), (160, 6), (5, 9), (200, 20)] {
        feed.take(&Emission::Status(status(inferences, begun + Duration::from_secs(seconds))));
        let fps = feed.status().unwrap().1.get(&name("meter")).copied();
        let expected = [(0, None), (1, None), (3, Some(10.0)), (6, Some(10.0)), (9, None)];
        if let Some((_, expected)) = expected.iter().find(|(at, _)| *at == seconds) {
            assert_eq!(fps, *expected, "{seconds} s");
        }
    }
    let text = serde_json::to_value(feed.history(&["meter/rung", "node/soc_celsius"], Span::Hours)).unwrap();
    assert_eq!(text["series"]["meter/rung"]["values"], serde_json::json!([1.0, 1.0, 1.0]));
    assert_eq!(text["series"]["node/soc_celsius"]["unit"], "°C");
    assert_eq!(text["series"].as_object().unwrap().len(), 2);
}

#[test]
fn health_says_why() {
    use crate::page::health::faults;
    let now = Instant::now();
    assert_eq!(faults(None, false, now).len(), 1);
    let status = status(1, now);
    assert!(faults(Some(&status), false, now).is_empty());
    assert_eq!(faults(Some(&status), true, now), ["stopping"]);
    assert!(faults(Some(&status), false, now + Duration::from_secs(40))[0].contains("40 s"));
    let mut idle = NodeStatus::clone(&status);
    idle.pipelines[0].idle = Some("no camera".into());
    assert_eq!(faults(Some(&idle), false, now), ["meter: no camera"]);
    idle.pipelines[0].paused = true;
    assert!(faults(Some(&idle), false, now).is_empty(), "somebody paused it");
    idle.pipelines.clear();
    assert_eq!(faults(Some(&idle), false, now), ["no pipeline runs"]);
}
