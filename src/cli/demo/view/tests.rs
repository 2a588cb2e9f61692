//! Screens of the demo at several sizes.
