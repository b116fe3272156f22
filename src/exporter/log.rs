//! Where logs go.

use std::io::IsTerminal as _;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Sends logs to standard error.
///
/// # Errors
/// When the filter cannot be read; the message shows a right one.
pub fn log(format: LogFormat, filter: &str) -> Result<(), String> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).map_err(|error| {
        format!("--log-filter '{filter}' cannot be read ({error}); write for example info,modelship=debug")
    })?;
    let stderr = std::io::stderr;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(stderr().is_terminal()).with_writer(stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
