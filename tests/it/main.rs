//! Integration tests against the library and the real binary, in one test binary because linking is dear.

mod architecture;
mod common;
