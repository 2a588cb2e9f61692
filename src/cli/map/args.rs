//! Arguments of `leptond map`.

use std::path::PathBuf;

use crate::fleet::{Config, Group, TlsConfig};

/// Arguments of `leptond map`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "One line of JSON for each file goes to --output as soon as it is known, in no order. A second run with the same \
                  --output goes on where the first one ended. Nodes compute for others with [fleet] assist = true in their configuration."
)]
pub struct Args {
    /// Bundle directory, bundle name, .onnx or .tflite file
    #[arg(value_name = "MODEL")]
    pub(super) model: String,
    /// Pictures: files, directories or quoted patterns such as 'photos/*.jpg'
    #[arg(value_name = "FILE", required = true)]
    pub(super) inputs: Vec<PathBuf>,
    /// File that gets one line for each input; lines that it has are kept, and their inputs left out
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// Configuration whose [fleet] is used [default: /etc/leptond/leptond.toml]
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Server of the group, nats://HOST:PORT or tls://HOST:PORT; may be given again
    #[arg(long, value_name = "URL")]
    pub(super) servers: Vec<String>,
    /// Name of the group
    #[arg(long, value_name = "NAME")]
    pub(super) group: Option<Group>,
    #[command(flatten)]
    pub(super) login: Login,
    /// Compute on this computer as well
    #[arg(long)]
    pub(super) local: bool,
    /// With --local: threads for one inference; 0 = all cores
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=64), requires = "local")]
    pub(super) threads: u32,
    /// Counts and shares as one JSON object on standard output
    #[arg(long)]
    pub(super) json: bool,
}

/// Flags over the login of `[fleet]`.
#[derive(Debug, clap::Args)]
pub(super) struct Login {
    /// User at the server
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// File whose first line is the user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// File with a user's JWT and key
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "nkey_file"])]
    credentials_file: Option<PathBuf>,
    /// File with the seed of a user's nkey
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    nkey_file: Option<PathBuf>,
    /// PEM file with the certificate authority of the server
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Login {
    /// Puts what was given in place of the configuration's.
    pub(super) fn over(&self, fleet: &mut Config) {
        let Login { user, password_file, credentials_file, nkey_file, ca_file } = self;
        if user.is_some() || credentials_file.is_some() || nkey_file.is_some() {
            fleet.user = user.clone().unwrap_or_default();
            fleet.password = String::new();
            fleet.password_file.clone_from(password_file);
            fleet.credentials_file.clone_from(credentials_file);
            fleet.nkey_file.clone_from(nkey_file);
        }
        if ca_file.is_some() {
            let before = fleet.tls.take().unwrap_or_default();
            fleet.tls = Some(TlsConfig { ca_file: ca_file.clone(), ..before });
        }
    }
}
