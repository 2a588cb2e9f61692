//! JPEG pictures one after another, as cameras and `ffmpeg -f mjpeg` write them: where one ends and the next begins.
//!
//! The pictures are found by walking their structure (ITU-T T.81, annex B): a segment is skipped by its length, so that a
//! thumbnail inside an APP segment does not end the picture, and entropy-coded data runs to the first marker that is
//! neither a stuffed zero, a restart nor a fill byte. What lies between two segments or two pictures (multipart headers) is skipped.

/// Result of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Neither an end nor damage: more bytes are needed.
    Nothing,
    /// The end of a picture, all of which is in `out`.
    Picture,
    /// `out` holds no whole picture, for this reason.
    Broken(&'static str),
}

/// Walks a stream, any number of bytes at a time.
#[derive(Debug)]
pub struct Walker {
    state: State,
}

impl Default for Walker {
    fn default() -> Self {
        Walker { state: State::Outside { ff: false } }
    }
}

impl Walker {
    /// Walks `bytes` to the end of a picture, to where it is broken, or to the last byte; says how many were used. Bytes of
    /// the picture go to `out`, which the caller clears after [`Found::Picture`] and [`Found::Broken`].
    pub fn walk(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> (usize, Found) {
        walk(&mut self.state, bytes, out)
    }

    /// True if the next byte is part of a picture.
    pub fn is_inside(&self) -> bool {
        !matches!(self.state, State::Outside { .. })
    }

    /// Forgets the picture at hand: the search begins anew.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Checks that `data` begins with one whole picture.
pub fn check(data: &[u8]) -> Result<(), String> {
    let mut state = State::Outside { ff: false };
    match walk(&mut state, data, &mut Sink).1 {
        Found::Picture => Ok(()),
        Found::Broken(reason) => Err(format!("broken JPEG: {reason}")),
        Found::Nothing => Err("truncated JPEG".into()),
    }
}

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// Position of the next byte in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a picture; the last byte was 0xff or not.
    Outside { ff: bool },
    /// A start was met inside another picture: its two bytes are still to be written.
    Started,
    /// At the 0xff of a marker.
    Marker,
    /// Behind the 0xff of a marker.
    Code,
    /// At the first length byte of a segment.
    Length { code: u8 },
    /// At its second.
    Length2 { code: u8, high: u8 },
    /// Inside a segment.
    Segment { code: u8, left: usize },
    /// Inside entropy-coded data; the last byte was 0xff or not.
    Entropy { ff: bool },
}

/// Takes the bytes of a picture.
trait Out {
    fn extend(&mut self, bytes: &[u8]);
}

impl Out for Vec<u8> {
    fn extend(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Only looks.
struct Sink;

impl Out for Sink {
    fn extend(&mut self, _: &[u8]) {}
}

/// Walks `bytes` from `state` to the end of a picture, to where it is broken, or to the last byte; says how many were
/// used. Bytes of the picture go to `out`.
fn walk(state: &mut State, bytes: &[u8], out: &mut impl Out) -> (usize, Found) {
    let mut at = 0;
    if *state == State::Started {
        out.extend(&[0xff, SOI]);
        *state = State::Marker;
    }
    while let Some(&byte) = bytes.get(at) {
        let from = at;
        at += 1;
        let rest = bytes.get(from..).unwrap_or_default();
        *state = match *state {
            State::Outside { ff: true } if byte == SOI => {
                out.extend(&[0xff, SOI]);
                *state = State::Marker;
                continue;
            }
            State::Outside { .. } => {
                if byte != 0xff {
                    at = from + rest.iter().position(|&b| b == 0xff).unwrap_or(rest.len());
                }
                *state = State::Outside { ff: byte == 0xff };
                continue;
            }
            // Bytes that belong to no segment are passed over to the next marker, as libjpeg does: some cameras leave a few.
            State::Started | State::Marker => {
                let strays = rest.iter().position(|&b| b == 0xff);
                at = from + strays.map_or(rest.len(), |n| n + 1);
                if strays.is_some() { State::Code } else { State::Marker }
            }
            State::Code => match byte {
                0xff => State::Code,
                SOI => {
                    *state = State::Started;
                    return (at, Found::Broken("the next one starts inside it"));
                }
                EOI => {
                    out.extend(&[byte]);
                    *state = State::Outside { ff: false };
                    return (at, Found::Picture);
                }
                0x00 | 0x01 | 0xd0..=0xd7 => State::Marker,
                // Reserved (T.81, table B.1): to take what follows for a length would swallow whole pictures.
                0x02..=0xbf => {
                    *state = State::Outside { ff: false };
                    return (at, Found::Broken("a marker that does not exist"));
                }
                code => State::Length { code },
            },
            State::Length { code } => State::Length2 { code, high: byte },
            State::Length2 { code, high } => match usize::from(u16::from_be_bytes([high, byte])) {
                0 | 1 => {
                    *state = State::Outside { ff: false };
                    return (at, Found::Broken("a segment shorter than its own length"));
                }
                2 => after_segment(code),
                length => State::Segment { code, left: length - 2 },
            },
            State::Segment { code, left } => {
                let here = left.min(rest.len());
                at = from + here;
                if here == left { after_segment(code) } else { State::Segment { code, left: left - here } }
            }
            State::Entropy { ff: false } => {
                let data = rest.iter().position(|&b| b == 0xff);
                at = from + data.map_or(rest.len(), |n| n + 1);
                State::Entropy { ff: data.is_some() }
            }
            State::Entropy { ff: true } => match byte {
                0x00 | 0xd0..=0xd7 => State::Entropy { ff: false },
                0xff => State::Entropy { ff: true },
                EOI => {
                    out.extend(&[byte]);
                    *state = State::Outside { ff: false };
                    return (at, Found::Picture);
                }
                SOI => {
                    *state = State::Started;
                    return (at, Found::Broken("the next one starts inside it"));
                }
                0x01..=0xbf => {
                    *state = State::Outside { ff: false };
                    return (at, Found::Broken("a marker that does not exist"));
                }
                code => State::Length { code },
            },
        };
        out.extend(bytes.get(from..at).unwrap_or_default());
    }
    (at, Found::Nothing)
}

fn after_segment(code: u8) -> State {
    if code == SOS { State::Entropy { ff: false } } else { State::Marker }
}
