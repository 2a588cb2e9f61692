//! Third-party models: a catalog of tested ones, downloads, and atomic installation into a models directory.
//!
//! [`Catalog`] is the list, [`fetch`] downloads a file over HTTP and resumes partial ones, [`Store`] is an exclusively locked
//! models directory. None of them judges a model: the caller proves that it runs before installing it.

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
pub use entry::{Cost, Entry, Location, Part};
pub use fault::{CatalogError, FetchError, StoreError};
pub use fetch::{Progress, Request, fetch, recognise, text_at};
pub use limits::Limits;
pub use list::{Catalog, LOCAL_FILE, built_in_labels};
pub use partial::Partial;
pub use store::{Stage, Store, choose, files_of, is_packaged, same_files};
