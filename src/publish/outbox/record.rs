//! Records of the log, as bytes and back.
//!
//! A segment is [`HEADER`] and then records: length of the body (u32), CRC-32 of the body (u32), body; all numbers little-endian. A body
//! is an event: `1`, id (u64), wall clock (u32, s since 1970, 0 = not known), time since the start (u32, s), length of the topic (u16),
//! topic, payload; or a checkpoint: `2`, id (u64), day (u32), bytes written on that day (u64).

use std::sync::Arc;

/// First bytes of a segment.
pub(super) const HEADER: &[u8] = b"leptond outbox 1\n";

/// Length and checksum before each body.
const FRAME_BYTES: usize = 8;
const EVENT: u8 = 1;
const CHECKPOINT: u8 = 2;

/// An event on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position in the order of events; grows, with gaps.
    pub id: u64,
    /// Time of the event in s since 1970; 0 = the clock was not set.
    pub wall_s: u32,
    /// Time of the event in s since the start of its run.
    pub uptime_s: u32,
    /// Topic to publish it to.
    pub topic: Arc<str>,
    /// Payload as first published.
    pub payload: Arc<[u8]>,
}

/// Progress before it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every event before this id is done with.
    pub first: u64,
    /// Day of `written_bytes`.
    pub day: u32,
    /// Bytes written on that day.
    pub written_bytes: u64,
}

/// One record of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Event(Record),
    Checkpoint(Checkpoint),
}

/// Appends an event.
pub(super) fn put_event(record: &Record, out: &mut Vec<u8>) {
    put(out, |body| {
        body.push(EVENT);
        body.extend(record.id.to_le_bytes());
        body.extend(record.wall_s.to_le_bytes());
        body.extend(record.uptime_s.to_le_bytes());
        // A topic has at most 65,535 bytes (MQTT 3.1.1, section 1.5.3), which the queue checks.
        body.extend((record.topic.len() as u16).to_le_bytes());
        body.extend(record.topic.as_bytes());
        body.extend(&record.payload[..]);
    });
}

/// Appends a checkpoint.
pub(super) fn put_checkpoint(checkpoint: &Checkpoint, out: &mut Vec<u8>) {
    put(out, |body| {
        body.push(CHECKPOINT);
        body.extend(checkpoint.first.to_le_bytes());
        body.extend(checkpoint.day.to_le_bytes());
        body.extend(checkpoint.written_bytes.to_le_bytes());
    });
}

fn put(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; FRAME_BYTES]);
    write(out);
    let body = &out[start + FRAME_BYTES..];
    let (length, crc) = (body.len() as u32, crc32fast::hash(body));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + FRAME_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// The record at `at`, and the place after it; `None` at the end and where the bytes are no record.
pub(super) fn entry(segment: &[u8], at: usize) -> Option<(Entry, usize)> {
    let mut rest = segment.get(at..)?;
    let length = u32::from_le_bytes(take(&mut rest)?) as usize;
    let crc = u32::from_le_bytes(take(&mut rest)?);
    let body = rest.get(..length)?;
    if crc32fast::hash(body) != crc {
        return None;
    }
    Some((parse(body)?, at + FRAME_BYTES + length))
}

fn parse(mut body: &[u8]) -> Option<Entry> {
    let [kind] = take(&mut body)?;
    let id = u64::from_le_bytes(take(&mut body)?);
    match kind {
        EVENT => {
            let wall_s = u32::from_le_bytes(take(&mut body)?);
            let uptime_s = u32::from_le_bytes(take(&mut body)?);
            let length = usize::from(u16::from_le_bytes(take(&mut body)?));
            let (topic, payload) = body.split_at_checked(length)?;
            let topic = std::str::from_utf8(topic).ok()?.into();
            Some(Entry::Event(Record { id, wall_s, uptime_s, topic, payload: payload.into() }))
        }
        CHECKPOINT => {
            let day = u32::from_le_bytes(take(&mut body)?);
            let written_bytes = u64::from_le_bytes(take(&mut body)?);
            Some(Entry::Checkpoint(Checkpoint { first: id, day, written_bytes }))
        }
        _ => None,
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(id: u64, topic: &str, payload: &[u8]) -> Record {
        Record { id, wall_s: 7, uptime_s: 9, topic: topic.into(), payload: payload.into() }
    }

    proptest! {
        #[test]
        fn comes_back_as_it_was_and_no_damage_goes_unseen(
            topic in "[a-z/]{0,40}", payload in prop::collection::vec(any::<u8>(), 0..400),
            cut in any::<prop::sample::Index>(), bit in 0u8..8, damaged in any::<prop::sample::Index>(),
        ) {
            let mut bytes = HEADER.to_vec();
            let event = record(5, &topic, &payload);
            put_event(&event, &mut bytes);
            let middle = bytes.len();
            let checkpoint = Checkpoint { first: 3, day: 20_000, written_bytes: 1 << 40 };
            put_checkpoint(&checkpoint, &mut bytes);
            prop_assert_eq!(entry(&bytes, HEADER.len()), Some((Entry::Event(event), middle)));
            prop_assert_eq!(entry(&bytes, middle), Some((Entry::Checkpoint(checkpoint), bytes.len())));
            prop_assert_eq!(entry(&bytes, bytes.len()), None);

            let torn = HEADER.len() + cut.index(middle - HEADER.len());
            prop_assert_eq!(entry(&bytes[..torn], HEADER.len()), None);
            let at = HEADER.len() + damaged.index(middle - HEADER.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(entry(&bytes, HEADER.len()), None);
        }

        #[test]
        fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut whole = Vec::new();
            put(&mut whole, |body| body.extend(&bytes));
            let _ = entry(&whole, 0);
            let _ = entry(&bytes, 0);
        }
    }
}
