//! Packets of MQTT 3.1.1 and 5 behind one vocabulary. Pure; the formats are rumqttc's.

use bytes::{Bytes, BytesMut};
use rumqttc_v4::mqttbytes::v4;
use rumqttc_v5::mqttbytes::v5;

use super::error::WireError;
use super::options::{Options, Version};
use crate::publish::queue::Properties;

/// A message to publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Publication {
    /// Full topic.
    pub(crate) topic: String,
    /// Payload.
    pub(crate) payload: Vec<u8>,
    /// QoS 1, else QoS 0.
    pub(crate) acknowledged: bool,
    /// RETAIN flag.
    pub(crate) retain: bool,
    /// Properties that MQTT 5 sends beside the payload.
    pub(crate) properties: Properties,
}

/// A message received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Topic.
    pub(crate) topic: String,
    /// Payload.
    pub(crate) payload: Vec<u8>,
    /// RETAIN flag.
    pub(crate) retain: bool,
}

/// A packet to send.
#[derive(Debug)]
pub(super) enum Outgoing {
    Publish(Publication, u16),
    Subscribe(String, u16),
    Unsubscribe(String, u16),
    PubAck(u16),
    PubRec(u16),
    PubComp(u16),
    Ping,
    Disconnect,
}

/// A packet received after CONNACK.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Publish {
        message: Received,
        qos: u8,
        id: u16,
    },
    /// `refused` has the broker's reason (MQTT 5).
    PubAck {
        id: u16,
        refused: Option<String>,
    },
    /// One entry a filter, with the reason of a refusal.
    SubAck {
        id: u16,
        refused: Vec<Option<String>>,
    },
    UnsubAck {
        id: u16,
    },
    PubRel {
        id: u16,
    },
    Ping,
    Disconnect {
        code: u8,
        reason: Option<String>,
    },
}

/// Limits that a broker grants with CONNACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// Unacknowledged QoS 1 messages that it takes.
    pub(crate) receive_maximum: u16,
    /// It keeps retained messages.
    pub(crate) retains: bool,
    /// Interval of pings that it wants, in s.
    pub(crate) keep_alive_s: Option<u16>,
}

impl Default for Granted {
    fn default() -> Self {
        Granted { receive_maximum: u16::MAX, retains: true, keep_alive_s: None }
    }
}

/// CONNECT with a clean session.
pub(super) fn connect(options: &Options) -> Result<BytesMut, WireError> {
    let keep_alive = u16::try_from(options.keep_alive.as_secs()).unwrap_or(u16::MAX);
    let mut out = BytesMut::new();
    match options.version {
        Version::V311 => {
            let mut packet = v4::Connect::new(&options.client_id);
            packet.keep_alive = keep_alive;
            if let Some((username, password)) = options.login.clone() {
                packet.auth = v4::ConnectAuth::UsernamePassword { username, password: password.into() };
            }
            packet.last_will = options.will.as_ref().map(|(topic, payload)| v4::LastWill {
                topic: topic.clone(),
                message: payload.clone().into(),
                qos: rumqttc_v4::QoS::AtLeastOnce,
                retain: true,
            });
            v4::Packet::Connect(packet).write(&mut out, usize::MAX).map_err(protocol)?;
        }
        Version::V5 => {
            let packet =
                v5::Connect { keep_alive, client_id: options.client_id.clone(), clean_start: true, properties: None };
            let auth = options.login.clone().map_or(v5::ConnectAuth::None, |(username, password)| {
                v5::ConnectAuth::UsernamePassword { username, password: password.into() }
            });
            let will = options.will.as_ref().map(|(topic, payload)| v5::LastWill {
                topic: topic.clone().into(),
                message: payload.clone().into(),
                qos: rumqttc_v5::mqttbytes::QoS::AtLeastOnce,
                retain: true,
                properties: None,
            });
            v5::Packet::Connect(packet, will, auth).write(&mut out, None).map_err(protocol)?;
        }
    }
    Ok(out)
}

/// The answer to CONNECT.
///
/// # Errors
/// [`WireError::Refused`], or [`WireError::Protocol`] where it is no CONNACK.
pub(super) fn connack(version: Version, packet: &[u8]) -> Result<Granted, WireError> {
    let body = body(packet);
    if packet.first() != Some(&0x20) {
        return Err(WireError::Protocol("the answer to CONNECT is not CONNACK".into()));
    }
    let code = *body.get(1).ok_or_else(|| WireError::Protocol("a CONNACK cut short".into()))?;
    // A broker that knows 3.1.1 only may answer an MQTT 5 client in its own way (MQTT 3.1.1, section 3.1.2.2).
    let old = version == Version::V311 || body.len() == 2;
    match (old, code) {
        (true, 0) if version == Version::V5 => Err(WireError::Protocol("a CONNACK of MQTT 3.1.1".into())),
        (true, 0) => match v4::Packet::read(&mut packet.into(), usize::MAX) {
            Ok(v4::Packet::ConnAck(_)) => Ok(Granted::default()),
            Ok(_) => Err(WireError::Protocol("the answer to CONNECT is not CONNACK".into())),
            Err(error) => Err(protocol(error)),
        },
        (true, 1..=5) => Err(WireError::Refused { code, reason: None }),
        (false, 128..) => {
            let read = v5::Packet::read(&mut packet.into(), None);
            let reason = match read {
                Ok(v5::Packet::ConnAck(ack)) => ack.properties.and_then(|properties| properties.reason_string),
                _ => None,
            };
            Err(WireError::Refused { code, reason })
        }
        (false, 0) => match v5::Packet::read(&mut packet.into(), None) {
            Ok(v5::Packet::ConnAck(ack)) => granted(ack.properties),
            Ok(_) => Err(WireError::Protocol("the answer to CONNECT is not CONNACK".into())),
            Err(error) => Err(protocol(error)),
        },
        (_, code) => Err(WireError::Protocol(format!("a CONNACK with code {code}"))),
    }
}

fn granted(properties: Option<v5::ConnAckProperties>) -> Result<Granted, WireError> {
    let Some(properties) = properties else { return Ok(Granted::default()) };
    if properties.max_qos == Some(0) {
        // QoS not supported.
        let reason = Some("it takes no acknowledged messages (QoS 1), which leptond needs".into());
        return Err(WireError::Refused { code: 0x9b, reason });
    }
    let receive_maximum = match properties.receive_max {
        Some(0) => return Err(WireError::Protocol("a receive maximum of 0".into())),
        other => other.unwrap_or(u16::MAX),
    };
    let retains = properties.retain_available != Some(0);
    Ok(Granted { receive_maximum, retains, keep_alive_s: properties.server_keep_alive.filter(|s| *s > 0) })
}

/// Bytes of a packet.
///
/// # Errors
/// [`WireError::Protocol`] where the packet would have more than `most` bytes, or cannot be written.
pub(super) fn encode(version: Version, packet: Outgoing, most: usize) -> Result<BytesMut, WireError> {
    let mut out = BytesMut::new();
    let written = match version {
        Version::V311 => encode_v311(packet).write(&mut out, most).map_err(protocol),
        Version::V5 => encode_v5(packet).write(&mut out, u32::try_from(most).ok()).map_err(protocol),
    };
    written.map(|_| out)
}

fn encode_v311(packet: Outgoing) -> v4::Packet {
    use rumqttc_v4::QoS;
    match packet {
        Outgoing::Publish(publication, id) => {
            let qos = if publication.acknowledged { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            let mut publish = v4::Publish::new(publication.topic, qos, publication.payload);
            (publish.pkid, publish.retain) = (id, publication.retain);
            v4::Packet::Publish(publish)
        }
        Outgoing::Subscribe(filter, id) => {
            let mut subscribe = v4::Subscribe::new(filter, QoS::AtMostOnce);
            subscribe.pkid = id;
            v4::Packet::Subscribe(subscribe)
        }
        Outgoing::Unsubscribe(filter, id) => {
            v4::Packet::Unsubscribe(v4::Unsubscribe { pkid: id, ..v4::Unsubscribe::new(filter) })
        }
        Outgoing::PubAck(id) => v4::Packet::PubAck(v4::PubAck::new(id)),
        Outgoing::PubRec(id) => v4::Packet::PubRec(v4::PubRec::new(id)),
        Outgoing::PubComp(id) => v4::Packet::PubComp(v4::PubComp::new(id)),
        Outgoing::Ping => v4::Packet::PingReq,
        Outgoing::Disconnect => v4::Packet::Disconnect,
    }
}

fn encode_v5(packet: Outgoing) -> v5::Packet {
    use rumqttc_v5::mqttbytes::QoS;
    match packet {
        Outgoing::Publish(publication, id) => {
            let qos = if publication.acknowledged { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            let Properties { content_type, expiry_s, user } = publication.properties;
            let properties =
                (content_type.is_some() || expiry_s.is_some() || !user.is_empty()).then(|| v5::PublishProperties {
                    content_type: content_type.map(str::to_owned),
                    message_expiry_interval: expiry_s,
                    user_properties: user,
                    ..v5::PublishProperties::default()
                });
            let mut publish = v5::Publish::new(publication.topic, qos, publication.payload, properties);
            (publish.pkid, publish.retain) = (id, publication.retain);
            v5::Packet::Publish(publish)
        }
        Outgoing::Subscribe(filter, id) => {
            let mut subscribe = v5::Subscribe::new(v5::SubscribeFilter::new(filter, QoS::AtMostOnce), None);
            subscribe.pkid = id;
            v5::Packet::Subscribe(subscribe)
        }
        Outgoing::Unsubscribe(filter, id) => {
            v5::Packet::Unsubscribe(v5::Unsubscribe { pkid: id, ..v5::Unsubscribe::new(filter, None) })
        }
        Outgoing::PubAck(id) => v5::Packet::PubAck(v5::PubAck::new(id, None)),
        Outgoing::PubRec(id) => v5::Packet::PubRec(v5::PubRec::new(id, None)),
        Outgoing::PubComp(id) => v5::Packet::PubComp(v5::PubComp::new(id, None)),
        Outgoing::Ping => v5::Packet::PingReq,
        Outgoing::Disconnect => {
            v5::Packet::Disconnect(v5::Disconnect::new(v5::DisconnectReasonCode::NormalDisconnection))
        }
    }
}

/// The packet in these bytes, which are those of one packet.
///
/// # Errors
/// [`WireError::Protocol`] where it is none that a broker may send then.
pub(super) fn decode(version: Version, bytes: &[u8]) -> Result<Incoming, WireError> {
    match version {
        Version::V311 => decode_v311(bytes),
        Version::V5 => decode_v5(bytes),
    }
}

fn decode_v311(bytes: &[u8]) -> Result<Incoming, WireError> {
    Ok(match v4::Packet::read(&mut bytes.into(), usize::MAX).map_err(protocol)? {
        v4::Packet::Publish(v4::Publish { topic, payload, retain, qos, pkid, .. }) => {
            publish(&topic, &payload, retain, qos as u8, pkid)?
        }
        v4::Packet::PubAck(ack) => Incoming::PubAck { id: ack.pkid, refused: None },
        v4::Packet::SubAck(ack) => {
            let refused = |code: &v4::SubscribeReasonCode| {
                matches!(code, v4::SubscribeReasonCode::Failure).then(|| "return code 0x80".to_owned())
            };
            Incoming::SubAck { id: ack.pkid, refused: ack.return_codes.iter().map(refused).collect() }
        }
        v4::Packet::UnsubAck(ack) => Incoming::UnsubAck { id: ack.pkid },
        v4::Packet::PubRel(rel) => Incoming::PubRel { id: rel.pkid },
        v4::Packet::PingResp => Incoming::Ping,
        other => return Err(unexpected(other.packet_type())),
    })
}

fn decode_v5(bytes: &[u8]) -> Result<Incoming, WireError> {
    // The decoder wants properties behind the reason code, which may be left out (section 3.14.2.2.1).
    if let [0xe0, 1, code] = bytes {
        return Ok(Incoming::Disconnect { code: *code, reason: None });
    }
    Ok(match v5::Packet::read(&mut bytes.into(), None).map_err(protocol)? {
        v5::Packet::Publish(v5::Publish { topic, payload, retain, qos, pkid, .. }) => {
            publish(&topic, &payload, retain, qos as u8, pkid)?
        }
        v5::Packet::PubAck(ack) => {
            let refused = (ack.reason as u8 >= 128).then(|| {
                let words = ack.properties.and_then(|properties| properties.reason_string);
                words.unwrap_or_else(|| format!("{:?}", ack.reason))
            });
            Incoming::PubAck { id: ack.pkid, refused }
        }
        v5::Packet::SubAck(ack) => {
            let words = ack.properties.and_then(|properties| properties.reason_string);
            let refused = |code: &v5::SubscribeReasonCode| match code {
                v5::SubscribeReasonCode::Success(_) => None,
                other => Some(words.clone().unwrap_or_else(|| format!("{other:?}"))),
            };
            Incoming::SubAck { id: ack.pkid, refused: ack.return_codes.iter().map(refused).collect() }
        }
        v5::Packet::UnsubAck(ack) => Incoming::UnsubAck { id: ack.pkid },
        v5::Packet::PubRel(rel) => Incoming::PubRel { id: rel.pkid },
        v5::Packet::PingResp => Incoming::Ping,
        v5::Packet::Disconnect(packet) => Incoming::Disconnect {
            code: packet.reason_code as u8,
            reason: packet.properties.and_then(|properties| properties.reason_string),
        },
        other => return Err(unexpected(other.packet_type())),
    })
}

fn publish(topic: &Bytes, payload: &Bytes, retain: bool, qos: u8, id: u16) -> Result<Incoming, WireError> {
    let topic = std::str::from_utf8(topic).map_err(|_| WireError::Protocol("a topic that is no UTF-8".into()))?;
    if qos > 0 && id == 0 {
        return Err(WireError::Protocol("a message with packet id 0".into()));
    }
    let message = Received { topic: topic.to_owned(), payload: payload.to_vec(), retain };
    Ok(Incoming::Publish { message, qos, id })
}

/// The part behind the fixed header.
fn body(packet: &[u8]) -> &[u8] {
    let length = packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    packet.get(1 + length..).unwrap_or_default()
}

fn unexpected(kind: impl std::fmt::Debug) -> WireError {
    WireError::Protocol(format!("an unexpected {kind:?}"))
}

fn protocol(error: impl std::fmt::Display) -> WireError {
    WireError::Protocol(error.to_string())
}

#[cfg(test)]
mod tests;
