//! WebSocket (RFC 6455) as far as MQTT needs it: the handshake of a client, frames of binary data as a stream, pings answered. Pure;
//! no message is ever held, so that one of any size passes in bounded memory.

use std::hash::{BuildHasher, RandomState};

use sha1::{Digest, Sha1};

/// Most bytes of the answer to a handshake.
const HEAD: usize = 8 << 10;
/// Constant of the handshake (section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Longest payload of a control frame (section 5.5).
const CONTROL: usize = 125;

/// Opcodes (section 5.2).
mod opcode {
    pub(super) const CONTINUATION: u8 = 0;
    pub(super) const BINARY: u8 = 2;
    pub(super) const CLOSE: u8 = 8;
    pub(super) const PING: u8 = 9;
    pub(super) const PONG: u8 = 10;
}

/// The other side does not follow the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WebSocketError {
    #[error("the answer is not HTTP")]
    NotHttp,
    #[error("the answer has more than {HEAD} bytes")]
    Oversize,
    #[error("the server says {0:?}")]
    Status(String),
    #[error("the answer has no right {0}")]
    Header(&'static str),
    #[error("a frame that no server may send")]
    Frame,
}

/// Request and expected answer of a handshake.
#[derive(Debug)]
pub(super) struct Handshake {
    key: String,
    held: Vec<u8>,
}

impl Handshake {
    /// A handshake, and its request.
    pub(super) fn new(authority: &str, path: &str) -> (Self, Vec<u8>) {
        let random = [RandomState::new(), RandomState::new()].map(|state| state.hash_one(0u8).to_be_bytes());
        let key = base64(random.as_flattened());
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        );
        (Handshake { key, held: Vec::new() }, request.into_bytes())
    }

    /// Takes bytes of the answer; gives those behind it once it is whole.
    ///
    /// # Errors
    /// [`WebSocketError`] where it is no WebSocket.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, WebSocketError> {
        self.held.extend_from_slice(bytes);
        let start = self.held.len().min(5);
        if self.held.get(..start) != b"HTTP/".get(..start) {
            return Err(WebSocketError::NotHttp);
        }
        let Some(end) = self.held.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if self.held.len() > HEAD { Err(WebSocketError::Oversize) } else { Ok(None) };
        };
        let rest = self.held.split_off(end + 4);
        let head = String::from_utf8_lossy(&self.held);
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("101") {
            return Err(WebSocketError::Status(status.chars().filter(|c| !c.is_control()).take(80).collect()));
        }
        let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
        let header = |name: &str| {
            let found = headers.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
            found.map_or("", |(_, value)| value.trim())
        };
        let accept = base64(&Sha1::digest(format!("{}{GUID}", self.key)));
        if !header("upgrade").eq_ignore_ascii_case("websocket") {
            return Err(WebSocketError::Header("Upgrade"));
        }
        if header("sec-websocket-accept") != accept {
            return Err(WebSocketError::Header("Sec-WebSocket-Accept"));
        }
        Ok(Some(rest))
    }
}

/// Frames in both directions.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: Vec<u8>,
    /// Opcode and bytes to come of the present frame.
    present: Option<(u8, u64)>,
    /// Payload of the present control frame.
    control: Vec<u8>,
    random: RandomState,
    sent: u64,
}

/// Content of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unframed {
    /// Data.
    pub(super) data: Vec<u8>,
    /// Answers to pings, as frames.
    pub(super) answer: Vec<u8>,
    /// The server closes.
    pub(super) closed: bool,
}

impl Frames {
    /// Takes received bytes.
    ///
    /// # Errors
    /// [`WebSocketError::Frame`].
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<Unframed, WebSocketError> {
        let mut out = Unframed::default();
        while !out.closed {
            let (opcode, left) = match self.present {
                Some(present) => present,
                None => {
                    let Some((byte, rest)) = bytes.split_first() else { break };
                    self.header.push(*byte);
                    bytes = rest;
                    let Some(frame) = header(&self.header)? else { continue };
                    self.header.clear();
                    frame
                }
            };
            let now = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (payload, rest) = bytes.split_at(now);
            bytes = rest;
            if opcode >= opcode::CLOSE {
                self.control.extend_from_slice(payload)
            } else {
                out.data.extend_from_slice(payload)
            }
            let left = left - now as u64;
            if left > 0 {
                self.present = Some((opcode, left));
                break;
            }
            self.present = None;
            let control = std::mem::take(&mut self.control);
            match opcode {
                opcode::PING => out.answer.extend(self.frame(opcode::PONG, &control)),
                opcode::CLOSE => out.closed = true,
                _ => {}
            }
        }
        Ok(out)
    }

    /// A frame with this data.
    pub(super) fn binary(&mut self, data: &[u8]) -> Vec<u8> {
        self.frame(opcode::BINARY, data)
    }

    /// A masked frame (section 5.3).
    fn frame(&mut self, opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..=125 => out.push(0x80 | length as u8),
            length @ 126..=0xffff => {
                out.push(0x80 | 126);
                out.extend((length as u16).to_be_bytes());
            }
            length => {
                out.push(0x80 | 127);
                out.extend((length as u64).to_be_bytes());
            }
        }
        self.sent += 1;
        let [a, b, c, d, ..] = self.random.hash_one(self.sent).to_be_bytes();
        let mask = [a, b, c, d];
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }
}

/// Opcode and length of a frame; `None` = more bytes are needed.
fn header(bytes: &[u8]) -> Result<Option<(u8, u64)>, WebSocketError> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let (opcode, last) = (first & 0x0f, first & 0x80 != 0);
    // Extensions were not agreed on, and a server does not mask (sections 5.1 and 5.2).
    let is_control = opcode >= opcode::CLOSE;
    let known = matches!(opcode, opcode::CONTINUATION | opcode::BINARY | opcode::CLOSE | opcode::PING | opcode::PONG);
    if first & 0x70 != 0 || second & 0x80 != 0 || !known || (is_control && (!last || usize::from(*second) > CONTROL)) {
        return Err(WebSocketError::Frame);
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let length = match (second, rest.len()) {
        (126, 2) | (127, 8) => number(rest),
        (126 | 127, _) => return Ok(None),
        (length, _) => u64::from(*length),
    };
    if length >> 63 == 0 { Ok(Some((opcode, length))) } else { Err(WebSocketError::Frame) }
}

/// Base64 (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let number = three.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of a server to a request.
    fn answer(request: &[u8]) -> String {
        let request = String::from_utf8(request.to_vec()).unwrap();
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = base64(&Sha1::digest(format!("{key}{GUID}")));
        format!("HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
    }

    #[test]
    fn the_handshake_is_that_of_the_standard() {
        // Section 1.3.
        assert_eq!(base64(&Sha1::digest(format!("dGhlIHNhbXBsZSBub25jZQ=={GUID}"))), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for size in [1, 7, 1000] {
            let (mut handshake, request) = Handshake::new("host:1", "/mqtt");
            assert!(request.starts_with(b"GET /mqtt HTTP/1.1\r\nHost: host:1\r\n"));
            let bytes = [answer(&request).as_bytes(), b"rest"].concat();
            let mut rest = None;
            for piece in bytes.chunks(size) {
                match &mut rest {
                    None => rest = handshake.push(piece).unwrap(),
                    Some(rest) => rest.extend_from_slice(piece),
                }
            }
            assert_eq!(rest.as_deref(), Some(b"rest".as_slice()));
        }
    }

    #[test]
    fn what_is_no_websocket_is_told() {
        let (handshake, request) = Handshake::new("host:1", "/");
        let right = answer(&request);
        let cases = [
            ("\x20\x02\x00\x01".to_owned(), WebSocketError::NotHttp),
            ("HTTP/1.1 404 Not Found\r\n\r\n".into(), WebSocketError::Status("HTTP/1.1 404 Not Found".into())),
            (right.replace("WebSocket", "h2c"), WebSocketError::Header("Upgrade")),
            (right.replace("Accept: ", "Accept: x"), WebSocketError::Header("Sec-WebSocket-Accept")),
            (format!("HTTP/1.1 101 x\r\n{}", "x: y\r\n".repeat(2000)), WebSocketError::Oversize),
        ];
        for (bytes, error) in cases {
            let mut one = Handshake { key: handshake.key.clone(), held: Vec::new() };
            assert_eq!(one.push(bytes.as_bytes()), Err(error), "{bytes:.60}");
        }
    }

    #[test]
    fn data_passes_whatever_the_frames_and_pings_are_answered() {
        let long = vec![7; 70_000];
        let frame = |first: u8, payload: &[u8]| {
            let mut out = vec![first];
            match payload.len() {
                length @ 0..=125 => out.push(length as u8),
                length @ 126..=0xffff => out.extend([&[126], (length as u16).to_be_bytes().as_slice()].concat()),
                length => out.extend([&[127], (length as u64).to_be_bytes().as_slice()].concat()),
            }
            [out.as_slice(), payload].concat()
        };
        let stream = [
            frame(0x82, b"ab"),
            frame(0x02, b"c"),
            frame(0x89, b"?"),
            frame(0x80, &[b'd'; 300]),
            frame(0x82, b""),
            frame(0x82, &long),
            frame(0x88, b""),
            frame(0x82, b"never"),
        ]
        .concat();
        for size in [1, 3, 1000, stream.len()] {
            let (mut frames, mut all) = (Frames::default(), Unframed::default());
            for piece in stream.chunks(size) {
                let Unframed { data, answer, closed } = frames.push(piece).unwrap();
                all.data.extend(data);
                all.answer.extend(answer);
                all.closed |= closed;
                if closed {
                    break;
                }
            }
            assert_eq!(all.data, [b"abc".as_slice(), &[b'd'; 300], &long].concat());
            assert!(all.closed);
            assert_eq!(&all.answer[..2], [0x8a, 0x81]);
            assert_eq!(all.answer[6] ^ all.answer[2], b'?');
        }
        for wrong in [[0xc2, 0], [0x81, 0], [0x82, 0x80], [0x89, 126], [0x09, 0]] {
            assert_eq!(Frames::default().push(&wrong), Err(WebSocketError::Frame), "{wrong:x?}");
        }
        let sent = Frames::default().binary(&[1; 200]);
        assert_eq!((&sent[..4], sent.len()), ([0x82, 0xfe, 0, 200].as_slice(), 208));
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(stream: Vec<u8>, size in 1usize..50) {
            let (mut frames, mut handshake) = (Frames::default(), Handshake::new("h", "/").0);
            for piece in stream.chunks(size) {
                let _ = frames.push(piece);
                let _ = handshake.push(piece);
            }
        }
    }
}
