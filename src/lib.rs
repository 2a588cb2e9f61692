//! leptond: an inference daemon for ARM boards. Cameras and sensors in, quantised models through tract, MQTT out.
//!
//! The modules in the order in which data flows:
//!
//! 1. [`source`] produces [`frame::Frame`]s, each source on a thread of its own;
//! 2. a slot of one hands the newest to a worker;
//! 3. [`preprocess`] turns a frame into a model's input;
//! 4. [`model`] runs it through tract, quantised parts through [`leptond_engine`];
//! 5. [`task`] turns the model's output into an [`frame::Outcome`];
//! 6. [`event`] follows what it shows over time and makes [`frame::Event`]s of it;
//! 7. the worker emits both as a [`frame::Output`], and sinks take it: [`publish`] sends it over MQTT;
//! 8. [`leptond_governor`] reads the [`board`] and lowers the work before the firmware does.
//!
//! [`evaluate`] measures how right models are, and how far two agree. [`scene`] draws the meter that the synthetic camera shows. [`pipeline`] is steps 3 to 6 as a library, with plans and their cost on this board. [`runtime`] is the only module that wires everything
//! together, [`config`] is every module's settings in one file, [`catalog`] installs models, [`telemetry`] makes it observable, [`sys`] is the
//! thin layer over Linux, and [`cli`] is the command line.

#![deny(unsafe_code)]

pub mod board;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod diagnose;
pub mod draw;
pub mod evaluate;
pub mod event;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod frame;
pub mod install;
pub mod join;
pub mod model;
pub mod page;
pub mod pipeline;
pub mod preprocess;
pub mod propose;
pub mod publish;
pub mod runtime;
pub mod scene;
pub mod source;
pub mod sys;
pub mod task;
pub mod telemetry;
