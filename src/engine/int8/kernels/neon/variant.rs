//! Variants of packed weights.

/// Variants of packed dense weights: those of [`Reference`](super::super::reference::Reference), for the rare weights that neither of the others takes, of
/// [`long`](super::long) and of [`short`](super::short).
pub(super) const PLAIN: u8 = 0;
pub(super) const LONG: u8 = 1;
pub(super) const SHORT: u8 = 2;

/// Set in a variant (of dense or depthwise weights) if all channels are tame ([`GemmWeights::are_tame`](super::super::GemmWeights::are_tame)).
pub(super) const TAME: u8 = 0x80;
