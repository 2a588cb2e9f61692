//! The whole configuration, composed of every room's own `Config`: load, layer, validate, explain.
//!
//! [`load`] merges `/etc/leptond/leptond.toml` (or `--config FILE`), `LEPTOND__SECTION__KEY` variables and flags, checks the
//! result against the [`schema`] derived from the types, and returns a [`Loaded`] or all [`Problem`]s at once.

mod check;
mod difference;
mod document;
mod edit;
mod explain;
mod files;
mod findings;
mod layers;
mod load;
mod model_refs;
mod models;
mod node;
mod path;
mod problem;
mod provenance;
mod root;
mod schema;
mod secret;
mod source;
mod unknown;
mod walk;

#[cfg(test)]
mod tests;

pub use difference::difference;
pub use edit::{EditError, Edited, Reach, edited, is_within_reach, part};
pub use explain::effective;
pub use findings::Findings;
pub use layers::Override;
pub use load::{DEFAULT_FILE, Loaded, Options, load, load_text, text};
pub use model_refs::{ModelRefs, read_model_refs};
pub use node::{NodeConfig, Sandbox};
pub use problem::{ConfigErrors, Origin, Problem};
pub use root::Config;
pub use schema::schema;
pub use secret::{masked, redact};
pub use source::SourceConfig;

pub use crate::model::Config as ModelsConfig;
pub use crate::pipeline::Config as PipelineConfig;
