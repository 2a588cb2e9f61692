//! Splits a stream of bytes into packets; oversize messages are skipped. Pure.

/// Type of PUBLISH (MQTT 3.1.1, section 2.2.1).
const PUBLISH: u8 = 3;

/// A skipped message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its topic.
    pub topic: String,
    /// Size of its packet in bytes.
    pub bytes: usize,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Its packet id; 0 with QoS 0.
    pub packet_id: u16,
}

/// An element of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A packet, header included.
    Packet(Vec<u8>),
    /// An oversize message, after its last byte.
    Skipped(Skipped),
}

/// The stream is malformed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a remaining length of more than four bytes")]
    Length,
    #[error("a packet of type {kind} with {bytes} bytes")]
    Oversize { kind: u8, bytes: usize },
    #[error("a message with a malformed header")]
    Header,
}

/// Splits a stream. Holds the present packet of at most `limit` bytes, and the bytes pushed behind it.
pub(super) struct Frames {
    /// Most bytes behind a packet's fixed header.
    limit: usize,
    held: Vec<u8>,
    /// The oversize message being skipped, and its remaining bytes.
    skipping: Option<(Skipped, usize)>,
}

impl Frames {
    pub(super) fn new(limit: usize) -> Self {
        Frames { limit, held: Vec::new(), skipping: None }
    }

    /// Adds received bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next packet; `None` = more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Malformed> {
        if let Some((_, left)) = &mut self.skipping {
            let now = self.held.len().min(*left);
            self.held.drain(..now);
            *left -= now;
            if *left > 0 {
                return Ok(None);
            }
            return Ok(self.skipping.take().map(|(skipped, _)| Frame::Skipped(skipped)));
        }
        let Some((header, remaining)) = self.header()? else { return Ok(None) };
        if remaining > self.limit {
            let Some(skipped) = self.oversize(header, remaining)? else { return Ok(None) };
            self.skipping = Some((skipped, header + remaining));
            return self.next();
        }
        if self.held.len() < header + remaining {
            return Ok(None);
        }
        let rest = self.held.split_off(header + remaining);
        Ok(Some(Frame::Packet(std::mem::replace(&mut self.held, rest))))
    }

    /// Sizes of the fixed header and of the rest (section 2.2.3).
    fn header(&self) -> Result<Option<(usize, usize)>, Malformed> {
        let mut remaining = 0;
        for (n, byte) in self.held.iter().skip(1).take(4).enumerate() {
            remaining |= usize::from(byte & 0x7f) << (7 * n);
            if byte & 0x80 == 0 {
                return Ok(Some((n + 2, remaining)));
            }
        }
        if self.held.len() > 4 { Err(Malformed::Length) } else { Ok(None) }
    }

    /// Description of an oversize packet; `None` = more bytes are needed.
    fn oversize(&self, header: usize, remaining: usize) -> Result<Option<Skipped>, Malformed> {
        let first = self.held.first().copied().unwrap_or_default();
        let (kind, qos) = (first >> 4, (first >> 1) & 3);
        let bytes = header + remaining;
        if kind != PUBLISH {
            return Err(Malformed::Oversize { kind, bytes });
        }
        let number = |at: usize| Some(u16::from_be_bytes([*self.held.get(at)?, *self.held.get(at + 1)?]));
        let Some(length) = number(header).map(usize::from) else { return Ok(None) };
        let end = header + 2 + length;
        if qos == 3 || end + 2 > bytes {
            return Err(Malformed::Header);
        }
        let Some(topic) = self.held.get(header + 2..end) else { return Ok(None) };
        let packet_id = if qos == 0 { Some(0) } else { number(end) };
        let Some(packet_id) = packet_id else { return Ok(None) };
        let topic = String::from_utf8_lossy(topic).into_owned();
        Ok(Some(Skipped { topic, bytes, qos, packet_id }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, body: &[u8]) -> Vec<u8> {
        crate::publish::broker::packet::packet(first, body)
    }

    /// Frames of `stream`, read in pieces of `size`, and the most bytes held.
    fn cut(stream: &[u8], size: usize, limit: usize) -> (Result<Vec<Frame>, Malformed>, usize) {
        let (mut frames, mut found, mut most) = (Frames::new(limit), Vec::new(), 0);
        for piece in stream.chunks(size) {
            frames.push(piece);
            most = most.max(frames.held.len());
            loop {
                match frames.next() {
                    Ok(Some(frame)) => found.push(frame),
                    Ok(None) => break,
                    Err(error) => return (Err(error), most),
                }
            }
        }
        (Ok(found), most)
    }

    #[test]
    fn a_message_that_is_too_large_is_read_over_however_it_comes() {
        let small = packet(0x30, b"\0\x01ahello");
        let large = packet(0x32, &[b"\0\x03a/b\0\x07".as_slice(), &vec![0xd0; 5000]].concat());
        let stream = [small.clone(), large.clone(), large.clone(), small.clone()].concat();
        let skipped = || Frame::Skipped(Skipped { topic: "a/b".into(), bytes: large.len(), qos: 1, packet_id: 7 });
        let whole = || Frame::Packet(small.clone());
        for size in [1, 2, 3, 7, 64, 4096, stream.len()] {
            let (found, most) = cut(&stream, size, 100);
            assert_eq!(found, Ok(vec![whole(), skipped(), skipped(), whole()]), "{size}");
            assert!(most <= 100 + size, "{most} bytes were held at {size}");
        }
    }

    #[test]
    fn the_limit_is_exact() {
        let of = |bytes: usize| packet(0x30, &[b"\0\x01a".as_slice(), &vec![0; bytes - 3]].concat());
        let (found, _) = cut(&of(200), 9, 200);
        assert!(matches!(found.as_deref(), Ok([Frame::Packet(_)])), "{found:?}");
        let (found, _) = cut(&of(201), 9, 200);
        assert!(matches!(found.as_deref(), Ok([Frame::Skipped(_)])), "{found:?}");
    }

    #[test]
    fn what_is_no_packet_is_told() {
        assert_eq!(cut(&[0x30, 0xff, 0xff, 0xff, 0xff, 1], 1, 10).0, Err(Malformed::Length));
        assert_eq!(cut(&packet(0x90, &[0; 20]), 4, 10).0, Err(Malformed::Oversize { kind: 9, bytes: 22 }));
        assert_eq!(cut(&packet(0x36, &[0; 20]), 4, 10).0, Err(Malformed::Header), "QoS 3");
        assert_eq!(cut(&packet(0x30, &[0xff; 20]), 4, 10).0, Err(Malformed::Header), "a topic longer than the packet");
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics_and_little_is_held(stream: Vec<u8>, size in 1usize..50, limit in 0usize..50) {
            let (_, most) = cut(&stream, size, limit);
            proptest::prop_assert!(most <= limit + size + 5 + 2 + 65_535 + 2);
        }
    }
}
