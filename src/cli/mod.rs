//! The subcommands of `modelship`, also reachable as `kubectl modelship …`.

mod alerts;
mod controller;
mod crds;
mod init;
mod metrics;
mod panels;
mod predict;
mod profile;
mod pushed;
pub mod render;
mod target;
mod test_alert;
mod traffic;
mod wait;

use std::{
    future::Future,
    io::{self, Write},
    process::ExitCode,
};

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
    /// Print the CustomResourceDefinition.
    Crds,
    /// Print the reference of the exporter's or the operator's metrics, as Markdown.
    #[command(hide = true)]
    Metrics(metrics::Arguments),
    /// Print the index of a model's alerts, as Markdown.
    #[command(hide = true)]
    Alerts,
    /// Print the list of all dashboards' panels, as Markdown.
    #[command(hide = true)]
    Panels,
    /// Print the objects that a ModelDeployment leads to, with no cluster at all.
    Render(render::Arguments),
    /// Write the workflow and the ModelDeployment that a model's repository needs.
    Init(init::Arguments),
    /// Send real traffic to a model and tell what came of it.
    Traffic(traffic::Arguments),
    /// Send one request to a model, and print its answer with the classes named.
    Predict(predict::Arguments),
    /// Wait for the cluster's verdict on a version: until users get it, or it is clear that they will not.
    Wait(wait::Arguments),
    /// Send a model's e-mail for real, and tell how far it gets.
    TestAlert(test_alert::Arguments),
}

/// Runs the command line; errors go to standard error as one sentence.
pub fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Controller(arguments) => controller::run(arguments),
        Command::Crds => crds::run(),
        Command::Metrics(arguments) => metrics::run(&arguments),
        Command::Alerts => alerts::run(),
        Command::Panels => panels::run(),
        Command::Render(arguments) => render::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Traffic(arguments) => return traffic::run(&arguments),
        Command::Predict(arguments) => return predict::run(&arguments),
        Command::Wait(arguments) => return wait::run(&arguments),
        Command::TestAlert(arguments) => return test_alert::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("modelship: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output. Who closes a pipe early, as `head` does, has seen what they wanted.
fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The exit code of a client of a model that had nothing to judge: 1 says that the model did badly.
fn impossible(message: &str, notes: &mut impl Write) -> u8 {
    let _ = writeln!(notes, "modelship: {message}");
    2
}

/// Runs a client of a model to its end.
fn blocking<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let outcome = runtime.block_on(work);
    // A look-up of a name that nobody waits for any more would hold up the end.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        super::Arguments::command().debug_assert();
    }
}
