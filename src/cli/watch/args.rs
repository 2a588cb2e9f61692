//! Arguments of `leptond watch`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::span::span;
use crate::cli::username::username;

/// Arguments of `leptond watch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or address of the broker [default: the configuration's, else localhost]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Port of the broker [default: the configuration's, else 1883]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// User name; - for none
    #[arg(long, value_name = "NAME", value_parser = username)]
    pub username: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Encrypt the connection, and trust the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Take broker, credentials and encryption from this configuration file [default: the service's
    /// /etc/leptond/leptond.toml, if it is there and --host is not given]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// First level of the topics [default: the configuration's, else leptond]
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Only this node [default: all]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Print messages of this topic filter instead of the nodes' topics
    #[arg(long, value_name = "FILTER", conflicts_with = "node")]
    pub topic: Option<String>,
    /// Print a line for each change instead of drawing a screen; so it is anyway where the output is no terminal
    #[arg(long)]
    pub plain: bool,
    /// Print every message as one JSON object: `topic`, `payload`, `retain`
    #[arg(long)]
    pub json: bool,
    /// End after this many lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time, for instance 20s or 5m
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    pub for_time: Option<Duration>,
}

impl Args {
    /// Lines are asked for, by the flag or by another that means nothing on a screen.
    pub fn wants_lines(&self) -> bool {
        self.plain || self.json || self.count.is_some() || self.topic.is_some()
    }
}
