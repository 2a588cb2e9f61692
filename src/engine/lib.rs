//! Quantised neural networks in integers: what leptond runs ONNX and TensorFlow Lite models with, on top of tract.
//!
//! [`onnx`] reads and writes graphs, [`tflite`] makes ONNX models of TensorFlow Lite ones, and [`int8`] finds the quantised parts of
//! a graph and computes them on bytes:
//!
//! ```
//! use leptond_engine::int8;
//! use prost::Message;
//! use tract_onnx::{pb::ModelProto, prelude::*};
//!
//! # fn main() -> TractResult<()> {
//! let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/leptonnet-digits/model.onnx"))?;
//! let mut model = ModelProto::decode(&*file)?;
//! let graph = model.graph.as_mut().expect("a graph");
//! graph.value_info.clear(); // shapes follow from the input's
//! int8::decompose(graph);
//!
//! let mut onnx = tract_onnx::onnx();
//! int8::op::register(&mut onnx);
//! let mut floats = onnx.parse(&model, None)?.model;
//! let shape = [1, 1, 32, 24];
//! floats.set_input_fact(0, f32::fact(shape).into())?;
//! floats.analyse(false)?;
//! let rewritten = int8::rewrite(&model, floats, &onnx, 1)?;
//!
//! let mut integers = rewritten.model.expect("a quantised model");
//! integers.set_input_fact(0, f32::fact(shape).into())?;
//! let runnable = integers.into_optimized()?.into_runnable()?;
//! let scores = runnable.run(tvec!(Tensor::zero::<f32>(&shape)?.into()))?;
//! assert_eq!(scores[0].len(), 11);
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

pub mod compress;
pub mod int8;
pub mod onnx;
pub mod operators;
pub mod tflite;
