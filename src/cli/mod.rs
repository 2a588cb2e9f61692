//! The command line: one file a subcommand.
//!
//! A subcommand is a struct of arguments and a `run` that returns `Result<(), Failure>`; [`run`] maps it to an exit code:
//! 0 stopped as asked, 1 failed while running, 2 usage, 75 to be started again, 78 configuration.

mod bench;
mod capture;
mod catalog_args;
mod check;
mod choice;
mod compress;
mod demo;
mod doctor;
mod eval;
mod failure;
mod generate;
mod hint;
mod infer;
mod inspect;
mod ladder;
#[cfg(feature = "fleet")]
mod map;
mod model;
mod open;
mod output;
mod picture_size;
mod probe;
mod profile;
mod progress;
mod prune;
mod quantize;
mod record;
mod render;
mod run;
mod schema;
mod setup;
mod shrink;
mod simulate;
mod source_pairs;
mod span;
mod tip;
mod trial_load;
mod try_out;
mod username;
mod watch;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use output::{say, tell};

pub use failure::Failure;

/// Cameras and sensors in, int8 models through tract, MQTT out.
#[derive(Debug, Parser)]
#[command(name = "leptond", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Run(run::Args),
    /// Show the whole thing at work: broker, camera, sensors and models in one process
    Demo(demo::Args),
    /// Validate the configuration and its models
    Check(check::Args),
    /// Try pipelines and meters on photos: what would be said, and why something is held back
    Try(try_out::Args),
    /// Run a model over files
    Infer(infer::Args),
    /// Run a model over files on the nodes of a group
    #[cfg(feature = "fleet")]
    Map(map::Args),
    /// Measure how right a model is on labelled files, or how far two models agree
    Eval(eval::Args),
    /// Time a model
    Bench(bench::Args),
    /// Explain a model: inputs, outputs, operators and how each one runs
    Inspect(inspect::Args),
    /// Make a float model faster: channels removed that matter least, the layers behind fitted to samples
    Prune(prune::Args),
    /// Make a float model small: weights and activations in bytes, by what samples show
    Quantize(quantize::Args),
    /// Make a float model small in every way, show what each costs, and keep the best as one bundle for the governor
    Shrink(shrink::Args),
    /// Install models: from the catalog, an address or a file; list them; remove them
    Model(model::Args),
    /// Show or save what a source gives, without a model
    Capture(capture::Args),
    /// Set up broker, source and model by questions or flags, and write the configuration
    Setup(setup::Args),
    /// Say what is wrong with board, camera, broker, clock, storage, models and service, with the command that mends it
    Doctor(doctor::Args),
    /// Show this board: sensors, cameras, throttle flags
    Probe(probe::Args),
    /// Record a sensor's readings as CSV, to train on or to run a model over
    Record(record::Args),
    /// Try the governor on a simulated board, in virtual time
    Simulate(simulate::Args),
    /// Print the JSON schema of the configuration, for editors and other programs
    Schema(schema::Args),
    /// Watch nodes live: pipelines, rungs and their reasons, temperature, events; as lines in a pipe
    Watch(watch::Args),
    /// Render the synthetic counter: pictures, or its digits as a data set
    #[command(hide = true)]
    Render(render::Args),
    /// Load a model under hard limits, for this program itself
    #[command(hide = true)]
    TrialLoad(trial_load::Args),
    /// Print completions for a shell
    Completions(generate::CompletionsArgs),
    /// Write man pages into a directory
    Man(generate::ManArgs),
}

/// Parses the arguments, runs the subcommand and turns its result into an exit code.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let error = tip::mended(error, &Cli::command());
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => check::run(args),
        Command::Try(args) => try_out::run(args),
        Command::Infer(args) => infer::run(args),
        #[cfg(feature = "fleet")]
        Command::Map(args) => map::run(args),
        Command::Prune(args) => prune::run(args),
        Command::Quantize(args) => quantize::run(args),
        Command::Shrink(args) => shrink::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Model(args) => model::run(args),
        Command::Capture(args) => capture::run(args),
        Command::Setup(args) => setup::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Probe(args) => probe::run(args),
        Command::Record(args) => record::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Render(args) => render::run(args),
        Command::TrialLoad(args) => trial_load::run(args),
        Command::Completions(args) => generate::completions(args, Cli::command()),
        Command::Man(args) => generate::man(args, Cli::command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&format!("error: {failure}"));
            ExitCode::from(match failure {
                Failure::Config(_) => 78,
                Failure::Usage(_) => 2,
                Failure::Restart => 75,
                Failure::Failed(_) => 1,
            })
        }
    }
}
