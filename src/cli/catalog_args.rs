//! `--catalog` and `--timeout`, for the commands that read the list of models.

use std::time::Duration;

use anyhow::Context as _;

use super::Failure;
use crate::catalog::{self, Catalog, LOCAL_FILE, Limits, Server};
use crate::install::names::is_url;

/// The source of the list of models.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CatalogArgs {
    /// Another catalog than /etc/leptond/catalog.toml and the program's own: a file or an address
    #[arg(long, value_name = "FILE|URL")]
    catalog: Option<String>,
    /// A server that says nothing for this long, or less than 1 KiB a second over it, is given up
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = patience)]
    timeout: Duration,
}

/// Longest time of one attempt: 512 MB come within it at 12 kB a second.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// Time after which a silent server is given up.
const PATIENCE: Duration = Duration::from_secs(30);

impl Default for CatalogArgs {
    fn default() -> Self {
        CatalogArgs { catalog: None, timeout: PATIENCE }
    }
}

impl CatalogArgs {
    /// The catalog at `place`, or this computer's.
    pub(super) fn at(place: Option<String>) -> CatalogArgs {
        CatalogArgs { catalog: place, ..CatalogArgs::default() }
    }

    /// A client for what has to be fetched.
    pub(super) fn server(&self, retries: u32) -> Server {
        Server::new(Limits { silence: self.timeout, retries, total: LONGEST })
    }

    /// The catalog. `server` is made when one has to be asked.
    pub(super) fn open(&self) -> Result<Catalog, Failure> {
        let catalog = match &self.catalog {
            Some(place) if is_url(place) => {
                let text = catalog::text_at(&self.server(0), place, Catalog::MOST_BYTES).context("the catalog")?;
                Catalog::from_url(&text, place)
            }
            Some(place) => Catalog::open(place.as_ref()),
            None => Catalog::of_this_computer(LOCAL_FILE.as_ref()),
        };
        Ok(catalog.map_err(anyhow::Error::from)?)
    }
}

fn patience(text: &str) -> Result<Duration, String> {
    let time = super::span::span(text)?;
    let allowed = Duration::from_millis(100)..=Duration::from_secs(3600);
    if allowed.contains(&time) { Ok(time) } else { Err("allowed is 100ms to 1h".into()) }
}
