//! leptond: an inference daemon for ARM boards. Cameras, microphones and sensors in, int8 models through tract, MQTT out.
//!
//! The modules in the order in which data flows:
//!
//! 1. [`source`] produces [`frame::Frame`]s, each on a thread of its own;
//! 2. a slot of one (newest wins) hands them to a worker;
//! 3. [`preprocess`] turns a frame into a model input;
//! 4. [`model`] runs it through tract;
//! 5. [`task`] turns outputs into an [`frame::Outcome`] and [`frame::Event`]s;
//! 6. [`publish`] tells the world over MQTT;
//! 7. [`governor`] reads the [`board`] and lowers the work before the firmware does.
//!
//! [`tflite`] makes ONNX models of TensorFlow Lite ones before any of this; [`simulate`] lets the governor work on a simulated board, in virtual time.
//!
//! [`runtime`] is the only room that wires these together, [`config`] is every room's settings in one file,
//! [`telemetry`] makes it observable, [`sys`] is the thin layer over Linux, and [`cli`] is what a person types.

#![deny(unsafe_code)]

pub mod board;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod diagnose;
pub mod draw;
pub mod frame;
pub mod install;
pub mod model;
pub mod pipeline;
pub mod preprocess;
pub mod publish;
pub mod runtime;
pub mod source;
pub mod sys;
pub mod task;
pub mod telemetry;
