//! Home Assistant's MQTT discovery: one retained message from which it makes a device with all its entities.

mod component;
mod config;
mod discovery;
mod entities;
mod facts;
mod naming;
mod sink;
mod states;
mod template;

pub use config::Config;
pub use sink::{HomeAssistant, WAITING};
