//! `leptond completions` and `leptond man`: generated from the command line's own definition.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Failure, say};

/// Arguments of `leptond completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    shell: clap_complete::Shell,
}

/// Arguments of `leptond man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Directory to write one page per subcommand into; made if it is not there
    dir: PathBuf,
}

/// Exit codes, which the command line's definition lacks, as roff, below every page.
const EXIT_STATUS: &str = r#".SH "EXIT STATUS"
.TP
0
done, or stopped as asked
.TP
1
failed while running
.TP
2
wrong arguments
.TP
78
the configuration, or a model that it names, is wrong; starting again will not help
"#;

/// Below the pages of what reads a configuration.
const CONFIGURATION: &str = r#".SH ENVIRONMENT
.TP
LEPTOND__SECTION__KEY
sets a key of the configuration, over the file and below flags:
.B LEPTOND__MQTT__HOST=broker
is
.B host
in
.BR [mqtt] ,
.B LEPTOND__PIPELINE__0__SOURCE__FPS=5
is
.B fps
in the source of the first pipeline. Lists and tables are written as TOML. An unknown or wrong variable is an error.
.TP
NO_COLOR
if set and not empty, nothing is coloured
.SH FILES
.TP
/etc/leptond/leptond.toml
the configuration, where
.B \-\-config
does not name another. The example that comes with leptond has every key with its meaning, default and range;
.B leptond check
says what is wrong with a file, by line and key.
"#;

/// Writes the completions of `command` to standard output.
pub fn completions(args: CompletionsArgs, mut command: clap::Command) -> Result<(), Failure> {
    // Not straight to standard output: it panics where that is not read.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "leptond", &mut script);
    say(&String::from_utf8_lossy(&script))
}

/// Writes the man pages of `command`.
pub fn man(args: ManArgs, command: clap::Command) -> Result<(), Failure> {
    std::fs::create_dir_all(&args.dir).with_context(|| args.dir.display().to_string())?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let pages: Vec<String> = visible(&command).map(|sub| format!("leptond-{}", sub.get_name())).collect();
    page(&command, "leptond", &pages, &args.dir)?;
    for sub in visible(&command) {
        page(sub, &format!("leptond-{}", sub.get_name()), &["leptond".to_owned()], &args.dir)?;
    }
    Ok(())
}

fn visible(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

/// The flag with its other names in its text, where the pages do not have them otherwise.
fn with_aliases(arg: clap::Arg) -> clap::Arg {
    let Some(aliases) = arg.get_visible_aliases().filter(|aliases| !aliases.is_empty()) else { return arg };
    let also = aliases.iter().map(|alias| format!("--{alias}")).collect::<Vec<_>>().join(", ");
    let help = format!("{} [also {also}]", arg.get_help().map(ToString::to_string).unwrap_or_default());
    arg.help(help)
}

/// Writes one page of section 1.
fn page(command: &clap::Command, name: &str, see_also: &[String], dir: &Path) -> Result<(), Failure> {
    let mut roff = Vec::new();
    let man = clap_mangen::Man::new(command.clone().mut_args(with_aliases))
        .title(name.to_uppercase())
        .section("1")
        .source(format!("leptond {}", env!("CARGO_PKG_VERSION")))
        .manual("leptond");
    let path = dir.join(format!("{name}.1"));
    let mut write = || -> std::io::Result<()> {
        man.render(&mut roff)?;
        if name == "leptond" || command.get_arguments().any(|arg| arg.get_id() == "config") {
            roff.write_all(CONFIGURATION.as_bytes())?;
        }
        roff.write_all(EXIT_STATUS.as_bytes())?;
        let others: Vec<String> =
            see_also.iter().map(|other| format!(".BR {} (1)", other.replace('-', "\\-"))).collect();
        write!(roff, ".SH \"SEE ALSO\"\n{}\n", others.join(",\n"))?;
        std::fs::write(&path, &roff)
    };
    Ok(write().with_context(|| path.display().to_string())?)
}
