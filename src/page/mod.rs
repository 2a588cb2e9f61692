//! A page for browsers inside the process: pictures with what was found on them, charts, status, metrics for Prometheus.
//!
//! [`Feed`] is the sink that leaves the newest of everything for those who look; [`Server`] is the thread that answers. What it says of
//! the daemon comes through [`Backend`]. While nobody looks, no frame is asked for, none is drawn and nobody is woken.

mod assets;
mod backend;
mod config;
mod editor;
mod feed;
mod guard;
mod health;
mod history;
mod metrics;
mod photos;
mod picture;
mod routes;
mod samples;
mod server;
mod shared;
mod stall;
#[cfg(test)]
mod testing;
mod told;

pub use backend::{Backend, Layout, Photo, Reference};
pub use config::{Config, PasswordError};
pub use feed::Feed;
pub use server::Server;
