//! Searches in small graphs, in the models that are part of the program, and in malformed graphs.

mod build;
mod check;
mod dynamic;
mod floats;
mod models;
mod operators;
mod partitions;
mod results;
mod shared;
mod strangers;
mod tables;
mod wide;
