//! Quantised models in integers: what leptond runs ONNX and TensorFlow Lite models with, on top of tract.
//!
//! [`int8`] finds the quantised parts of an ONNX graph and computes them on bytes; [`tflite`] makes ONNX models of
//! TensorFlow Lite ones.

#![deny(unsafe_code)]

pub mod int8;
pub mod onnx;
pub mod tflite;
