//! What is found in small graphs, in the models that are part of the program, and in graphs that make no sense.

mod build;
mod check;
mod models;
mod operators;
mod partitions;
mod strangers;
