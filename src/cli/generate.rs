//! `leptond completions` and `leptond man`: generated from the command line's own definition.

use std::path::PathBuf;

use super::Failure;

/// Arguments of `leptond completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    shell: clap_complete::Shell,
}

/// Arguments of `leptond man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Directory to write one page per subcommand into
    dir: PathBuf,
}

/// Writes completions to standard output.
pub fn completions(args: CompletionsArgs) -> Result<(), Failure> {
    use clap::CommandFactory;
    clap_complete::generate(args.shell, &mut super::Cli::command(), "leptond", &mut std::io::stdout());
    Ok(())
}

/// Writes the man pages.
pub fn man(args: ManArgs) -> Result<(), Failure> {
    use clap::CommandFactory;
    clap_mangen::generate_to(super::Cli::command(), &args.dir)
        .map_err(|e| anyhow::anyhow!("{}: {e}", args.dir.display()).into())
}
