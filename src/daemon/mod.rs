//! The only wiring room: threads, channels, restart, shutdown, watchdog.

pub mod slot;
