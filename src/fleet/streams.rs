//! The streams of a group and their consumers, made where they are not there.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config as Wanted, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use std::time::Duration;

use super::config::Config;
use super::connect::Connection;
use super::digest::ModelDigest;
use super::error::FleetError;
use super::names::{Lane, consumer};
use super::wire::HEADER_BYTES;

/// Pulls that wait at once, of all workers of a model.
const WAITING: i64 = 4096;
/// Messages without an acknowledgement at once, of all workers of a model.
const UNACKNOWLEDGED: i64 = 65_536;
/// Time in which a message that is published again is known as the same.
const DUPLICATES: Duration = Duration::from_secs(120);

/// The settings of a stream.
fn wanted(config: &Config, lane: Lane) -> Wanted {
    let (storage, age_s) = match lane {
        Lane::Work => (StorageType::Memory, config.work_age_s),
        Lane::Map => (StorageType::File, config.map_age_s),
    };
    let max_age = Duration::from_secs(age_s.into());
    Wanted {
        name: config.group.stream(lane),
        subjects: vec![config.group.subjects(lane)],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        storage,
        max_age,
        max_bytes: i64::try_from(config.queue_bytes).unwrap_or(i64::MAX),
        max_message_size: i32::try_from(config.max_payload_bytes + HEADER_BYTES).unwrap_or(i32::MAX),
        num_replicas: config.replicas as usize,
        duplicate_window: DUPLICATES.min(max_age),
        description: Some("leptond: work for the nodes of a group".into()),
        ..Wanted::default()
    }
}

/// The stream of a lane.
///
/// # Errors
/// [`FleetError`] where it cannot be made or seen, or is another one.
pub(super) async fn stream(connection: &Connection, config: &Config, lane: Lane) -> Result<Stream, FleetError> {
    let wanted = wanted(config, lane);
    let name = wanted.name.clone();
    let subjects = wanted.subjects.clone();
    let stream = connection
        .jetstream
        .get_or_create_stream(wanted)
        .await
        .map_err(|e| disabled(connection.failed(&format!("see or make the stream {name}"), &e)))?;
    let found = &stream.cached_info().config;
    let reason = if found.retention != RetentionPolicy::WorkQueue {
        "it is no work queue"
    } else if found.subjects != subjects {
        "it has other subjects"
    } else {
        return Ok(stream);
    };
    Err(FleetError::Stream { name, reason: reason.into() })
}

/// An account without JetStream says so only when it is asked for something.
fn disabled(error: FleetError) -> FleetError {
    match error {
        FleetError::Server { reason, .. } if reason.contains("jetstream not enabled") => {
            FleetError::NoJetStream(format!(" for this user ({reason})"))
        }
        other => other,
    }
}

/// Messages that wait in the stream of a lane; `None` where it is not there yet. Makes nothing.
///
/// # Errors
/// [`FleetError`] where it cannot be seen.
pub(super) async fn waiting(connection: &Connection, config: &Config, lane: Lane) -> Result<Option<u64>, FleetError> {
    let name = config.group.stream(lane);
    match connection.jetstream.get_stream(&name).await {
        Ok(stream) => Ok(Some(stream.cached_info().state.messages)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(reason) if reason.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(disabled(connection.failed(&format!("see the stream {name}"), &error))),
        },
    }
}

/// The consumer that every worker of `model` shares. Deliveries have no limit at the server, which would leave a message that reached it
/// where nobody sees it: workers count them, and answer.
///
/// # Errors
/// [`FleetError`] where it cannot be made or seen.
pub(super) async fn workers(
    connection: &Connection,
    config: &Config,
    stream: &Stream,
    lane: Lane,
    model: &ModelDigest,
) -> Result<Consumer<pull::Config>, FleetError> {
    let name = consumer(model);
    let settings = pull::Config {
        durable_name: Some(name.clone()),
        filter_subject: config.group.subject(lane, model),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(config.lease_s.into()),
        max_deliver: -1,
        max_waiting: WAITING,
        max_ack_pending: UNACKNOWLEDGED,
        memory_storage: lane == Lane::Work,
        ..pull::Config::default()
    };
    stream.get_or_create_consumer(&name, settings).await.map_err(|e| {
        connection.failed(&format!("see or make the consumer {name} of {}", config.group.stream(lane)), &e)
    })
}
