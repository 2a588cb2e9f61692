//! MQTT client libraries under faults, as docs/measurements.md has them: their event loops with a broker that misbehaves, and their
//! decoders with damaged packets.
//!
//!     cargo run --release --manifest-path tests/bench/clients/Cargo.toml

mod broker;
mod decoders;

use std::time::{Duration, Instant};

use broker::{Broker, Fault};

/// Events of a run, and those in flight at most.
const EVENTS: usize = 500;
const INFLIGHT: u16 = 32;
/// Time after which a run has come to its end.
const LIMIT: Duration = Duration::from_secs(15);

/// Outcome of a run with one library.
#[derive(Default)]
struct Seen {
    /// The library took the messages without an error.
    taken: usize,
    /// Messages of which it told that they are lost.
    told: usize,
    /// Errors of its event loop.
    errors: usize,
    last_error: String,
}

/// A run of one library: `$publish` takes an event, and gives a notice of its end where there are any.
macro_rules! run {
    ($options:expr, $connect:expr, $subscribe:expr, $publish:expr, $notice:expr) => {{
        let options = $options;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            let (client, mut events) = $connect(options);
            let mut seen = Seen::default();
            let mut notices = Vec::new();
            let _ = $subscribe(&client);
            let errors = std::sync::Arc::new(std::sync::Mutex::new((0, String::new())));
            let told = errors.clone();
            let polling = tokio::task::spawn_local(async move {
                loop {
                    if let Err(error) = events.poll().await {
                        let words = format!("{error:?}").chars().take(60).collect();
                        let mut told = told.lock().unwrap();
                        *told = (told.0 + 1, words);
                        drop(told);
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            });
            let until = Instant::now() + LIMIT;
            while Instant::now() < until && !broker::enough(EVENTS) {
                tokio::time::sleep(Duration::from_millis(2)).await;
                if seen.taken < EVENTS
                    && let Ok(notice) = $publish(&client, seen.taken.to_string())
                {
                    seen.taken += 1;
                    notices.push(notice);
                }
            }
            polling.abort();
            let _ = polling.await;
            for notice in notices {
                seen.told += usize::from($notice(notice).await);
            }
            (seen.errors, seen.last_error) = errors.lock().unwrap().clone();
            seen
        })
    }};
}

fn old(port: u16) -> Seen {
    let mut options = old::MqttOptions::new("bench", "127.0.0.1", port);
    options.set_clean_session(false).set_inflight(INFLIGHT).set_max_packet_size(1 << 20, 1 << 20);
    run!(
        options,
        |options| old::AsyncClient::new(options, 1000),
        |client: &old::AsyncClient| client.try_subscribe("retained", old::QoS::AtMostOnce),
        |client: &old::AsyncClient, payload: String| client.try_publish("event", old::QoS::AtLeastOnce, false, payload),
        |()| async { false }
    )
}

fn next4(port: u16) -> Seen {
    let mut options = next4::MqttOptions::new("bench", ("127.0.0.1", port));
    options.set_clean_session(false).set_inflight(INFLIGHT);
    run!(
        options,
        |options| next4::AsyncClient::builder(options).capacity(1000).build(),
        |client: &next4::AsyncClient| client.try_subscribe("retained", next4::QoS::AtMostOnce),
        |client: &next4::AsyncClient, payload: String| client.try_publish_tracked(
            "event",
            payload,
            next4::PublishOptions::new(next4::QoS::AtLeastOnce)
        ),
        |notice: next4::PublishNotice| async move {
            // An event loop that was dropped tells nothing.
            matches!(notice.wait_async().await, Err(error) if !format!("{error:?}").contains("Recv"))
        }
    )
}

fn next5(port: u16) -> Seen {
    let mut options = next5::MqttOptions::new("bench", ("127.0.0.1", port));
    options.set_clean_start(false).set_outgoing_inflight_upper_limit(INFLIGHT);
    options.set_session_expiry_interval(Some(3600));
    run!(
        options,
        |options| next5::AsyncClient::builder(options).capacity(1000).build(),
        |client: &next5::AsyncClient| client.try_subscribe("retained", next5::mqttbytes::QoS::AtMostOnce),
        |client: &next5::AsyncClient, payload: String| client.try_publish_tracked(
            "event",
            payload,
            next5::PublishOptions::new(next5::mqttbytes::QoS::AtLeastOnce)
        ),
        |notice: next5::PublishNotice| async move {
            // An event loop that was dropped tells nothing.
            matches!(notice.wait_async().await, Err(error) if !format!("{error:?}").contains("Recv"))
        }
    )
}

fn main() {
    println!("| fault | library | taken | arrived | of the rest told as lost | connections | errors (the last) |");
    println!("|---|---|---|---|---|---|---|");
    let libraries: [(&str, fn(u16) -> Seen); 3] =
        [("rumqttc 0.25", old), ("v4-next 0.34", next4), ("v5-next 0.34", next5)];
    for fault in Fault::ALL {
        for (name, library) in libraries {
            let broker = Broker::start(fault);
            let seen = library(broker.port);
            let (arrived, connections) = (broker.arrived(), broker.connections());
            println!(
                "| {fault:?} | {name} | {} | {arrived} | {} | {connections} | {} {} |",
                seen.taken, seen.told, seen.errors, seen.last_error
            );
        }
    }
    decoders::compare(2_000_000);
}
