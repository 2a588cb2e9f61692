//! Best moments of the events of one pipeline: which frame becomes a picture, and when. Pure: time is an argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::frame::{Event, EventKind, Outcome, Output};

/// Events whose moments are watched; those of further ones are not.
const MAX_EVENTS: usize = 64;
/// Frames that wait for a better one; of more, the one that has waited longest is given at once.
const MAX_HELD: usize = 4;
/// Pictures of one event.
const MAX_PICTURES: u32 = 6;
/// Rise of the score that makes a better moment.
const BETTER: f32 = 0.03;
/// A moment that is better than the last picture waits for a still better one for so long.
const PATIENCE: Duration = Duration::from_secs(3);

/// Best moments of the events that are going on.
#[derive(Default)]
pub(super) struct Album {
    /// By the object's number.
    shots: BTreeMap<u64, Shot>,
}

/// One event's pictures.
#[derive(Default)]
struct Shot {
    /// Score of the best moment; `None` before the first.
    best: Option<f32>,
    /// Pictures so far.
    given: u32,
    /// The best moment, if there is no picture of it yet, and since when it waits.
    held: Option<(Arc<Output>, Instant)>,
}

impl Album {
    /// Takes a result with its frame; gives the results that become pictures.
    pub(super) fn output(&mut self, output: &Arc<Output>, now: Instant) -> Vec<Arc<Output>> {
        for event in output.events.iter().filter(|event| event.kind == EventKind::New) {
            if let Some(track) = event.track_id
                && self.shots.len() < MAX_EVENTS
            {
                self.shots.entry(track).or_default();
            }
        }
        if let (Outcome::Detect { detections, .. }, Some(_)) = (&output.outcome, &output.frame) {
            for detection in detections {
                let shot = detection.track_id.and_then(|track| self.shots.get_mut(&track));
                shot.into_iter().for_each(|shot| shot.look(output, detection.score, now));
            }
        }
        let mut due: Vec<Arc<Output>> = self.shots.values_mut().filter_map(|shot| shot.due(now)).collect();
        due.extend(self.end(&output.events));
        due.extend(self.crowded());
        // Two objects may have their best moment in one frame.
        due.dedup_by(|a, b| Arc::ptr_eq(a, b));
        due
    }

    /// Takes events that end; gives the results that become pictures.
    pub(super) fn end(&mut self, events: &[Event]) -> Vec<Arc<Output>> {
        let ended = events.iter().filter(|event| event.kind == EventKind::End);
        let held = ended.filter_map(|event| self.shots.remove(&event.track_id?)?.held);
        held.map(|(output, _)| output).collect()
    }

    /// Moments that have waited longest, where too many wait.
    fn crowded(&mut self) -> Vec<Arc<Output>> {
        let mut given = Vec::new();
        loop {
            let held = self.shots.iter().filter_map(|(track, shot)| Some((*track, shot.held.as_ref()?.1)));
            let held: Vec<(u64, Instant)> = held.collect();
            let Some((oldest, _)) = held.iter().min_by_key(|(_, since)| *since).filter(|_| held.len() > MAX_HELD)
            else {
                return given;
            };
            given.extend(self.shots.get_mut(oldest).and_then(Shot::give));
        }
    }
}

impl Shot {
    fn look(&mut self, output: &Arc<Output>, score: f32, now: Instant) {
        if self.given >= MAX_PICTURES || self.best.is_some_and(|best| score < best + BETTER) {
            return;
        }
        self.best = Some(score);
        let since = self.held.take().map_or(now, |(_, since)| since);
        self.held = Some((output.clone(), since));
    }

    /// The moment to be given: the first at once, the last of those that are left for the event when it ends.
    fn due(&mut self, now: Instant) -> Option<Arc<Output>> {
        let (_, since) = self.held.as_ref()?;
        let waited = now.saturating_duration_since(*since) >= PATIENCE && self.given + 1 < MAX_PICTURES;
        if self.given == 0 || waited { self.give() } else { None }
    }

    fn give(&mut self) -> Option<Arc<Output>> {
        let (output, _) = self.held.take()?;
        self.given += 1;
        Some(output)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::frame::{Detection, Frame, FramePool, PipelineName, Stamp, TaskKind, Timing};

    /// Results of a pipeline: objects with their scores, and events with the number of their object.
    struct Run {
        album: Album,
        pool: Arc<FramePool>,
        start: Instant,
        seq: u64,
    }

    impl Run {
        fn new() -> Run {
            Run { album: Album::default(), pool: Arc::default(), start: Instant::now(), seq: 0 }
        }

        /// Gives the numbers of the frames that become pictures, each frame half a second after the one before.
        fn frame(&mut self, objects: &[(u64, f32)], events: &[(EventKind, u64)]) -> Vec<u64> {
            self.seq += 1;
            let frame = Frame { seq: self.seq, ..Frame::empty() };
            let detection = |(track, score): &(u64, f32)| Detection {
                track_id: Some(*track),
                ..Detection::new("person".into(), *score, [0.0, 0.0, 1.0, 1.0])
            };
            let output = Output {
                pipeline: PipelineName::new("door").unwrap(),
                stamp: Stamp::of(&frame),
                frame: Some(self.pool.share(frame, true)),
                outcome: Outcome::Detect {
                    task: TaskKind::Detect,
                    detections: objects.iter().map(detection).collect(),
                    counts: Default::default(),
                    zones: Default::default(),
                    lines: Default::default(),
                    source_width: 1,
                    source_height: 1,
                },
                events: events.iter().map(|(kind, track)| event(*kind, *track)).collect(),
                timing: Timing::default(),
            };
            let now = self.start + Duration::from_millis(500) * u32::try_from(self.seq).unwrap();
            self.album.output(&Arc::new(output), now).iter().map(|output| output.stamp.seq).collect()
        }
    }

    fn event(kind: EventKind, track: u64) -> Event {
        let begun = Event::begin(track.to_string(), "person", 0.5, SystemTime::UNIX_EPOCH);
        Event { kind, track_id: Some(track), ..begun }
    }

    use EventKind::{End, New};

    #[test]
    fn the_first_moment_at_once_a_better_one_later_and_the_best_at_the_end() {
        let mut run = Run::new();
        assert_eq!(run.frame(&[(1, 0.9)], &[]), [] as [u64; 0], "no event yet");
        assert_eq!(run.frame(&[(1, 0.5)], &[(New, 1)]), [2]);
        assert_eq!(run.frame(&[(1, 0.51)], &[]), [] as [u64; 0], "hardly better");
        assert_eq!(run.frame(&[(1, 0.6)], &[]), [] as [u64; 0], "a better one may follow");
        assert_eq!(run.frame(&[(1, 0.7)], &[]), [] as [u64; 0]);
        let later: Vec<u64> = (6..12).flat_map(|_| run.frame(&[(1, 0.4)], &[])).collect();
        assert_eq!(later, [5]);
        assert_eq!(run.frame(&[(1, 0.8)], &[]), [] as [u64; 0]);
        assert_eq!(run.frame(&[], &[(End, 1)]), [12]);
        assert!(run.album.shots.is_empty());
    }

    #[test]
    fn pictures_and_frames_are_bounded() {
        let mut run = Run::new();
        let mut given = run.frame(&[(1, 0.0)], &[(New, 1)]);
        for i in 0..100_u8 {
            given.extend(run.frame(&[(1, f32::from(i) * 0.05)], &[]));
        }
        given.extend(run.frame(&[], &[(End, 1)]));
        assert_eq!(given.len(), MAX_PICTURES as usize, "{given:?}");
        let mut run = Run::new();
        let crowd: Vec<(EventKind, u64)> = (0..200).map(|track| (New, track)).collect();
        run.frame(&[], &crowd);
        assert_eq!(run.album.shots.len(), MAX_EVENTS);
        for i in 1..20_u8 {
            for track in 0..64 {
                run.frame(&[(track, f32::from(i) * 0.05)], &[]);
                assert!(run.album.shots.values().filter(|shot| shot.held.is_some()).count() <= MAX_HELD);
            }
        }
    }

    #[test]
    fn one_frame_of_two_objects_is_one_picture() {
        let mut run = Run::new();
        assert_eq!(run.frame(&[(1, 0.5), (2, 0.6)], &[(New, 1), (New, 2)]), [1]);
    }
}
