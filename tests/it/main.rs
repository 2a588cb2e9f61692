//! Integration tests against the library and the real binary, in one test binary because linking is dear.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod busy;
mod cameras;
mod common;
mod config;
mod daemon;
mod doctor;
mod gathering;
mod generate;
mod governor;
mod infer;
mod int8;
mod ladder;
mod logs;
mod machine_anomaly;
mod model;
mod model_add;
mod mosquitto;
mod proxy;
mod publish;
mod requests;
mod sandbox;
mod secrets;
mod service;
mod setup;
mod sources;
mod stages;
mod startup;
mod synthetic;
mod tflite;
mod vision;
