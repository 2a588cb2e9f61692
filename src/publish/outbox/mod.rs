//! Events kept until the broker has acknowledged them: in bounded memory first, and on disk while the broker is away or behind.
//!
//! ```text
//!  push ─▶ head ───────────────────take──▶ the queue to the broker ──acknowledged──▶ gone
//!            │  ▲
//!     commit │  │ read      head: next to be sent; tail: younger than everything on disk. Both are in memory, and what of them is
//!            ▼  │           not committed yet is written when it is older than the commit interval.
//!           disk ◀─commit─ tail ◀─ push, while events wait on disk only
//! ```
//!
//! `backlog` and `budget` are pure and decide; `segments` is the log on disk behind the trait `Storage`, which a thread
//! of its own works on.

mod backlog;
mod budget;
mod config;
mod fault;
mod record;
mod segments;
mod storage;
mod waiting;

pub use backlog::{Backlog, Notice, Room};
pub use config::OutboxConfig;
pub use segments::Segments;
pub use storage::{Job, Outcome, Storage};
pub use waiting::{Clock, Waiting};
