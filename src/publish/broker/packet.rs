//! MQTT 3.1.1 packets of clients, fully validated. Pure: bytes in, values out.
//!
//! The standard (OASIS MQTT 3.1.1) defines the server's reaction to each malformed packet: a return code to CONNECT (section
//! 3.2.2.3) or closing the connection (section 4.8).

/// Packet types (section 2.2.1), as the upper half of a packet's first byte.
pub(super) mod kind {
    pub const CONNECT: u8 = 1;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBCOMP: u8 = 7;
    pub const PUBREL: u8 = 6;
    pub const SUBSCRIBE: u8 = 8;
    pub const SUBACK: u8 = 9;
    pub const UNSUBSCRIBE: u8 = 10;
    pub const UNSUBACK: u8 = 11;
    pub const PINGREQ: u8 = 12;
    pub const DISCONNECT: u8 = 14;
}

/// Return codes of CONNACK (section 3.2.2.3).
pub(super) const UNACCEPTABLE_LEVEL: u8 = 1;
pub(super) const IDENTIFIER_REJECTED: u8 = 2;
pub(super) const SERVER_UNAVAILABLE: u8 = 3;
pub(super) const NOT_AUTHORIZED: u8 = 5;

const FLAG_RESERVED: u8 = 0x01;
const FLAG_CLEAN: u8 = 0x02;
const FLAG_WILL: u8 = 0x04;
const FLAG_WILL_RETAIN: u8 = 0x20;
const FLAG_PASSWORD: u8 = 0x40;
const FLAG_USERNAME: u8 = 0x80;

/// A refused CONNECT, with the bytes of the answer (none where the connection is only closed).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: String,
    pub(super) answer: Vec<u8>,
}

impl Refused {
    fn closed(reason: impl Into<String>) -> Self {
        Refused { reason: reason.into(), answer: Vec::new() }
    }

    fn with(code: u8, reason: impl Into<String>) -> Self {
        Refused { reason: reason.into(), answer: connack(code).into() }
    }
}

/// A CONNACK with a return code.
pub(super) fn connack(code: u8) -> [u8; 4] {
    [0x20, 2, 0, code]
}

/// A valid CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Connect {
    pub(super) client_id: String,
    /// The broker requires none; only the daemon sends one.
    pub(super) username: Option<String>,
    pub(super) clean: bool,
    /// Seconds; 0 = off.
    pub(super) keep_alive: u16,
    pub(super) will: Option<Will>,
}

/// Message published when the client leaves without DISCONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Will {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: u8,
    pub(super) retain: bool,
}

impl Connect {
    /// Parses a whole CONNECT packet (section 3.1).
    pub(super) fn parse(packet: &[u8]) -> Result<Self, Refused> {
        let malformed = |what: &str| Refused::closed(format!("malformed CONNECT: {what}"));
        match packet.first() {
            Some(0x10) => {}
            Some(first) if first >> 4 == kind::CONNECT => return Err(malformed("flags in the fixed header")),
            _ => return Err(Refused::closed("what it sent first is not an MQTT CONNECT")),
        }
        let mut body = Body::of(packet);
        let protocol = body.string().map_err(|e| malformed(&format!("protocol name: {e}")))?;
        let level = body.byte().ok_or_else(|| malformed("cut short"))?;
        match (protocol.as_str(), level) {
            ("MQTT", 4) => {}
            // MQTT 5 has a CONNACK of its own: 0x84, unsupported protocol version.
            ("MQTT", 5) => {
                let answer = vec![0x20, 3, 0, 0x84, 0];
                return Err(Refused { reason: "it speaks MQTT 5; this broker knows 3.1.1".into(), answer });
            }
            ("MQTT" | "MQIsdp", level) => {
                let reason = format!("it speaks {protocol} level {level}; this broker knows MQTT 3.1.1 (level 4)");
                return Err(Refused::with(UNACCEPTABLE_LEVEL, reason));
            }
            _ => return Err(malformed("the protocol name is not MQTT")),
        }
        let flags = body.byte().ok_or_else(|| malformed("cut short"))?;
        let will_qos = (flags >> 3) & 3;
        if flags & FLAG_RESERVED != 0 {
            return Err(malformed("the reserved flag is set"));
        }
        if flags & FLAG_WILL == 0 && (will_qos != 0 || flags & FLAG_WILL_RETAIN != 0) {
            return Err(malformed("QoS or retain of a will that is not there"));
        }
        if will_qos == 3 {
            return Err(malformed("a will of QoS 3"));
        }
        if flags & FLAG_USERNAME == 0 && flags & FLAG_PASSWORD != 0 {
            return Err(malformed("a password without a user name"));
        }
        let keep_alive = body.number().ok_or_else(|| malformed("cut short"))?;
        let client_id = body.string().map_err(|e| malformed(&format!("client id: {e}")))?;
        let will = if flags & FLAG_WILL == 0 {
            None
        } else {
            let topic = body.string().map_err(|e| malformed(&format!("topic of the will: {e}")))?;
            check_topic(&topic).map_err(|e| malformed(&format!("topic of the will: {e}")))?;
            let payload = body.bytes().ok_or_else(|| malformed("cut short in the will"))?.to_vec();
            Some(Will { topic, payload, qos: will_qos, retain: flags & FLAG_WILL_RETAIN != 0 })
        };
        let mut username = None;
        if flags & FLAG_USERNAME != 0 {
            username = Some(body.string().map_err(|e| malformed(&format!("user name: {e}")))?);
        }
        if flags & FLAG_PASSWORD != 0 {
            body.bytes().ok_or_else(|| malformed("cut short in the password"))?;
        }
        if !body.rest.is_empty() {
            return Err(malformed(&format!("{} bytes too many", body.rest.len())));
        }
        let clean = flags & FLAG_CLEAN != 0;
        if client_id.is_empty() && !clean {
            let reason = "an empty client id without a clean session";
            return Err(Refused::with(IDENTIFIER_REJECTED, reason));
        }
        if let Some(will) = will.as_ref().filter(|will| crashes_rumqttd(&will.topic)) {
            let reason = format!("the topic of its will, {:?}, {CRASHES}", cut(&will.topic));
            return Err(Refused::with(NOT_AUTHORIZED, reason));
        }
        Ok(Connect { client_id, username, clean, keep_alive, will })
    }

    /// The packet for the inner broker: with the gate's client id, without credentials, and with the longest keep-alive in place
    /// of none, which rumqttd refuses.
    pub(super) fn encode(&self, client_id: &str) -> Vec<u8> {
        let mut flags = if self.clean { FLAG_CLEAN } else { 0 };
        let keep_alive = if self.keep_alive == 0 { u16::MAX } else { self.keep_alive };
        if let Some(will) = &self.will {
            flags |= FLAG_WILL | (will.qos << 3) | if will.retain { FLAG_WILL_RETAIN } else { 0 };
        }
        let mut body = string(b"MQTT");
        body.extend([4, flags]);
        body.extend(keep_alive.to_be_bytes());
        body.extend(string(client_id.as_bytes()));
        if let Some(will) = &self.will {
            body.extend(string(will.topic.as_bytes()));
            body.extend(string(&will.payload));
        }
        packet(0x10, &body)
    }
}

/// A valid packet that follows CONNECT.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Publish {
        topic: String,
        retain: bool,
        payload_bytes: usize,
    },
    Subscribe {
        packet_id: u16,
        filters: Vec<(String, u8)>,
    },
    Unsubscribe {
        packet_id: u16,
    },
    Disconnect,
    /// Acknowledgements and pings, which are only forwarded.
    Other,
}

/// Validates a packet that follows CONNECT.
///
/// # Errors
/// Reason for closing the connection.
pub(super) fn examine(packet: &[u8]) -> Result<Packet, String> {
    let first = packet.first().copied().unwrap_or_default();
    let (kind, flags) = (first >> 4, first & 0x0f);
    let mut body = Body::of(packet);
    let wanted_flags = match kind {
        kind::PUBLISH => flags,
        kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 2,
        _ => 0,
    };
    if flags != wanted_flags {
        return Err(format!("malformed packet of type {kind}: flags {flags:#x}"));
    }
    match kind {
        kind::CONNECT => Err("a second CONNECT".into()),
        kind::PUBLISH => publish(flags, body),
        kind::PUBACK..=kind::PUBCOMP => {
            packet_id(&mut body)?;
            if body.rest.is_empty() { Ok(Packet::Other) } else { Err("an acknowledgement that is too long".into()) }
        }
        kind::SUBSCRIBE => {
            let packet_id = packet_id(&mut body)?;
            let mut filters = Vec::new();
            while !body.rest.is_empty() {
                let filter = filter(&mut body)?;
                match body.byte() {
                    Some(qos @ 0..=2) => filters.push((filter, qos)),
                    Some(qos) => return Err(format!("SUBSCRIBE with QoS {qos:#x}")),
                    None => return Err("SUBSCRIBE: cut short".into()),
                }
            }
            if filters.is_empty() {
                Err("SUBSCRIBE to nothing".into())
            } else {
                Ok(Packet::Subscribe { packet_id, filters })
            }
        }
        kind::UNSUBSCRIBE => {
            let packet_id = packet_id(&mut body)?;
            if body.rest.is_empty() {
                return Err("UNSUBSCRIBE from nothing".into());
            }
            while !body.rest.is_empty() {
                filter(&mut body)?;
            }
            Ok(Packet::Unsubscribe { packet_id })
        }
        kind::PINGREQ | kind::DISCONNECT if !body.rest.is_empty() => {
            Err(format!("malformed packet of type {kind}: not empty"))
        }
        kind::PINGREQ => Ok(Packet::Other),
        kind::DISCONNECT => Ok(Packet::Disconnect),
        _ => Err(format!("a packet of type {kind}, which no client sends")),
    }
}

fn publish(flags: u8, mut body: Body) -> Result<Packet, String> {
    let qos = (flags >> 1) & 3;
    if qos == 3 {
        return Err("PUBLISH with QoS 3".into());
    }
    let topic = body.string().map_err(|e| format!("PUBLISH: topic: {e}"))?;
    check_topic(&topic).map_err(|e| format!("PUBLISH: topic {:?}: {e}", cut(&topic)))?;
    if crashes_rumqttd(&topic) {
        return Err(format!("the topic {:?} {CRASHES}", cut(&topic)));
    }
    if qos > 0 {
        packet_id(&mut body)?;
    }
    Ok(Packet::Publish { topic, retain: flags & 1 != 0, payload_bytes: body.rest.len() })
}

fn packet_id(body: &mut Body) -> Result<u16, String> {
    match body.number() {
        Some(0) => Err("the packet id 0".into()),
        Some(id) => Ok(id),
        None => Err("a packet without its packet id".into()),
    }
}

fn filter(body: &mut Body) -> Result<String, String> {
    let filter = body.string().map_err(|e| format!("topic filter: {e}"))?;
    if crate::frame::names::NameKind::Filter.check(&filter).is_err() {
        return Err(format!("{:?} is not a topic filter", cut(&filter)));
    }
    Ok(filter)
}

/// Checks that a message may be published to `topic` (section 4.7.3).
fn check_topic(topic: &str) -> Result<(), &'static str> {
    match topic {
        "" => Err("it is empty"),
        _ if topic.contains(['+', '#']) => Err("it holds a wildcard"),
        _ => Ok(()),
    }
}

const CRASHES: &str = "begins with a letter beyond ASCII, which would crash this broker";

/// `true` for topics that crash rumqttd 0.20, which slices them after their first byte.
fn crashes_rumqttd(topic: &str) -> bool {
    topic.bytes().next().is_some_and(|byte| !byte.is_ascii())
}

/// Text of a client cut to one log line.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A length-prefixed string.
pub(in crate::publish) fn string(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut out = length.to_be_bytes().to_vec();
    out.extend(text.iter().take(usize::from(length)));
    out
}

/// A packet: its first byte, the remaining length (section 2.2.3), its body.
pub(in crate::publish) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let byte = (left % 128) as u8;
        left /= 128;
        out.push(if left > 0 { byte | 0x80 } else { byte });
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

/// Remaining bytes of a packet's variable header and payload.
struct Body<'a> {
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    fn of(packet: &'a [u8]) -> Self {
        let header = 1 + packet.iter().skip(1).take(3).take_while(|b| **b & 0x80 != 0).count() + 1;
        Body { rest: packet.get(header..).unwrap_or_default() }
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.number()?);
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// UTF-8 without NUL (section 1.5.3).
    fn string(&mut self) -> Result<String, &'static str> {
        let bytes = self.bytes().ok_or("cut short")?;
        let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
        if text.contains('\0') { Err("it holds NUL") } else { Ok(text.to_owned()) }
    }
}

#[cfg(test)]
mod tests;
