//! Work for other nodes and from them, over NATS JetStream: one picture is one message of a work queue, taken by whichever node has the
//! model and time to spare, answered on a subject of whoever gave it.
//!
//! [`assist`](Assist) computes for others through [`trait Compute`](Compute); [`Giver`] gives files and takes answers, [`Live`] frames of
//! pipelines, which are worth nothing later. Whatever comes from the network is
//! checked by [`wire`] before anything believes it.

mod assist;
mod bench;
mod compute;
mod config;
mod connect;
mod digest;
mod error;
mod give;
mod live;
mod look;
mod names;
mod outstanding;
mod retries;
mod session;
mod spare;
mod streams;
mod tally;
mod version;
mod wire;
mod worker;

pub use assist::Assist;
pub use compute::{Compute, Computed, Content, Opener, Picture, Refusal, RefusalKind, SETTINGS_BYTES};
pub use config::{Config, Overdue, TlsConfig, Use};
pub use digest::ModelDigest;
pub use error::FleetError;
pub use give::{Giver, Told, Trouble};
pub use live::{Live, Returned, Seat};
pub use look::{Looked, look};
pub use names::Group;
pub use spare::{Seen, Spare};
pub use version::Version;
pub use wire::Answer;
