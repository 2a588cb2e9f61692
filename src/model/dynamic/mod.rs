//! Parts of a graph whose shapes depend on data: computed node by node when their inputs are there.
//!
//! `NonZero`, `NonMaxSuppression`, `Loop`, an `If` on an input's value, a `Reshape` to a shape that is an input: behind such a node no
//! shape is known before a run. [`split`] cuts a graph into a part whose shapes are known, which is compiled as ever, and the
//! rest, which becomes one operator ([`op`]) of the compiled graph. [`body`] holds that rest, [`run`] computes it: whole where its
//! shapes follow from those it is given (the body of a loop over a sequence, [`whole`]), else by an operator in plain Rust where there
//! is one, else by tract on the shapes and values at hand.

mod around;
mod body;
mod loops;
pub(super) mod op;
mod run;
mod single;
pub(super) mod split;
mod whole;
