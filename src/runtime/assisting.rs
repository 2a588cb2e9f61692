//! Work for other nodes, where this build has it.

#[cfg(feature = "fleet")]
mod compute;
#[cfg(not(feature = "fleet"))]
mod none;
#[cfg(feature = "fleet")]
mod working;

#[cfg(feature = "fleet")]
pub use compute::{content_of, opener};
#[cfg(not(feature = "fleet"))]
pub(super) use none::Assisting;
#[cfg(feature = "fleet")]
pub(super) use working::Assisting;
