//! Models of others: the list of those that are known to run, their files fetched, and bundles put into a models directory whole or
//! not at all.
//!
//! [`Catalog`] is the list, [`fetch`] gets a file over HTTP and goes on where an earlier attempt ended, [`Store`] is one models
//! directory that nobody else changes meanwhile. None of them knows what a model is good for: whoever installs one proves first
//! that it runs.

mod agent;
mod entry;
mod fault;
mod fetch;
mod limits;
mod list;
mod pace;
mod partial;
mod store;
#[cfg(test)]
mod tests;

pub use agent::Server;
pub use entry::{Cost, Entry, Place};
pub use fault::{CatalogError, FetchError, StoreError};
pub use fetch::{Progress, Request, fetch, recognise, text_at};
pub use limits::Limits;
pub use list::{Catalog, LOCAL_FILE};
pub use partial::Partial;
pub use store::{Stage, Store, choose, files_of, is_packaged, same_files};
