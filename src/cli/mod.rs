//! The subcommands of `modelship`, also reachable as `kubectl modelship …`.

mod controller;
mod crds;
mod exporter;
pub mod render;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Where releases are published; the tag is this build's version.
const EXPORTER_IMAGE: &str = concat!("docker.io/modelship/modelship:", env!("CARGO_PKG_VERSION"));

/// Puts machine-learning models into service on Kubernetes and keeps them there.
#[derive(Debug, Parser)]
#[command(name = "modelship", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Controller(controller::Arguments),
    /// Stand in front of a model server: forward requests, measure them and their predictions.
    Exporter(exporter::Arguments),
    /// Print the CustomResourceDefinition.
    Crds,
    /// Print the objects that a ModelDeployment leads to, with no cluster at all.
    Render(render::Arguments),
}

/// Runs the command line; errors go to standard error as one sentence.
pub fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Controller(arguments) => controller::run(arguments),
        Command::Exporter(arguments) => exporter::run(arguments),
        Command::Crds => crds::run(),
        Command::Render(arguments) => render::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("modelship: {message}");
            ExitCode::FAILURE
        }
    }
}
