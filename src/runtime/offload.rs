//! Frames of this node's pipelines given to others, where this build has it.

#[cfg(feature = "fleet")]
mod answer;
#[cfg(feature = "fleet")]
mod away;
#[cfg(feature = "fleet")]
mod giving;
#[cfg(all(test, feature = "fleet"))]
mod herd_tests;
#[cfg(not(feature = "fleet"))]
mod none;
#[cfg(feature = "fleet")]
mod order;
#[cfg(feature = "fleet")]
mod picture;
#[cfg(feature = "fleet")]
mod seen;
#[cfg(feature = "fleet")]
mod settings;
mod turn;
#[cfg(not(feature = "fleet"))]
mod unseen;
#[cfg(feature = "fleet")]
mod window;

#[cfg(feature = "fleet")]
pub(super) use away::Away;
#[cfg(feature = "fleet")]
pub use giving::Offloading;
#[cfg(not(feature = "fleet"))]
pub(super) use none::Away;
#[cfg(not(feature = "fleet"))]
pub use none::Offloading;
#[cfg(feature = "fleet")]
pub use picture::smaller;
#[cfg(feature = "fleet")]
pub(super) use seen::Seen;
#[cfg(feature = "fleet")]
pub(super) use settings::Settings;
pub(super) use turn::{Looked, Next};
#[cfg(not(feature = "fleet"))]
pub(super) use unseen::Seen;
