//! The only wiring room: threads, channels, restart, shutdown, watchdog.

mod slot;
