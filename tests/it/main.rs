//! Integration tests against the library and the real binary, in one test binary because linking is dear.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the test harness shows it")]

mod architecture;
mod baseline;
mod busy;
mod cameras;
mod cascade;
mod commands;
mod common;
mod compress;
mod config;
mod daemon;
mod demo;
mod detect;
mod docs;
mod doctor;
mod eval;
mod fault_proxy;
mod files;
#[cfg(feature = "fleet")]
mod fleet;
mod gathering;
mod generate;
mod governor;
mod hints;
mod home_assistant;
mod hostile;
mod infer;
mod int8;
mod ladder;
mod logs;
mod machine_anomaly;
mod meter;
mod model;
mod model_add;
mod mosquitto;
mod node_tests;
mod numbers;
mod outbox;
mod page;
mod pictures;
mod pipes;
mod propose;

mod publish;
mod readings;
mod requests;
mod sandbox;
mod screen;
mod secrets;
mod service;
mod setup;
mod sharing;
mod sources;
mod stages;
mod startup;
#[path = "../support/mod.rs"]
mod support;
mod synthetic;
mod text;
mod tflite;
mod tiles;
mod topics;
mod tracking;
mod try_out;
mod unreadable;
mod vision;
