//! `modelship predict`: one request, its answer, and what the model calls the classes in it.

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    target::{self, Target},
    traffic::{
        Output,
        answer::{Label, Names, classes_of, message_of},
        client::{Answer, Client},
        duration,
        payload::{self, Payload},
    },
};

/// Rows that are named on standard error.
const ROWS_SHOWN: usize = 20;

const HELP: &str = "\
The answer goes to standard output exactly as it came; the names of its classes, as the ModelDeployment's
spec.predictions.classes has them, or else the image, go to standard error.

Exit codes: 0 for an answer, 1 when its status was not 2xx, 2 when there was none.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    #[command(flatten)]
    target: target::Arguments,
    /// The body: JSON, or CSV if the name ends in .csv; - for JSON from standard input. Default: the version's own example.
    #[arg(short, long = "filename", value_name = "FILE")]
    filename: Option<PathBuf>,
    /// The longest that the request may take, its connection included.
    #[arg(long, default_value = "65s", value_parser = duration)]
    timeout: Duration,
    /// json: an object of status, seconds, answer and classes instead of the bare answer.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// What came of the request.
struct Predicted {
    answer: Answer,
    seconds: f64,
    names: Names,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let outcome = super::blocking(perform(arguments));
    let (mut out, mut notes) = (std::io::stdout().lock(), std::io::stderr().lock());
    ExitCode::from(match outcome {
        Ok(predicted) => predicted.tell(arguments.output, &mut out, &mut notes),
        Err(message) => super::impossible(&message, &mut notes),
    })
}

async fn perform(arguments: &Arguments) -> Result<Predicted, String> {
    let given = arguments.filename.as_deref().map(payload::body).transpose()?;
    let mut target = Target::find(&arguments.target, given.is_none()).await?;
    let payload = match given {
        Some(payload) => payload,
        None => Payload { body: target.example()?, content_type: payload::JSON },
    };
    let names = Names::new(&target.classes);
    if let Some(note) = &target.note {
        eprintln!("modelship: {note}");
    }
    let described = target.described.clone();
    let start = Instant::now();
    let answer = Client::new(target, arguments.timeout).send(&payload).await;
    let answer = answer.map_err(|failure| format!("{described} gave no answer: {}", failure.words()))?;
    Ok(Predicted { answer, seconds: start.elapsed().as_secs_f64(), names })
}

impl Predicted {
    /// Prints it, and gives the exit code. Who closes a pipe early has seen what they wanted.
    fn tell(&self, output: Output, out: &mut impl Write, notes: &mut impl Write) -> u8 {
        let success = self.answer.status.is_success();
        let labels = if success { classes_of(&self.answer.body) } else { Vec::new() };
        match output {
            Output::Json => {
                let _ = writeln!(out, "{:#}", self.object(&labels));
            }
            Output::Text => {
                // A refusal is no prediction: what reads standard output is not to take it for one.
                if success {
                    let _ = out.write_all(&self.answer.body);
                    let _ = out.flush();
                    self.name_rows(&labels, notes);
                }
            }
        }
        if !success {
            let _ = writeln!(
                notes,
                "modelship: the model answered {}: {}",
                self.answer.status,
                message_of(&self.answer.body)
            );
        }
        u8::from(!success)
    }

    /// One line for each row whose class has a name.
    fn name_rows(&self, labels: &[Label], notes: &mut impl Write) {
        for (at, label) in labels.iter().enumerate().take(ROWS_SHOWN) {
            if let Some(name) = self.names.of(label) {
                let _ = writeln!(notes, "row {}: {name}", at + 1);
            }
        }
        if labels.len() > ROWS_SHOWN && labels.iter().any(|label| self.names.of(label).is_some()) {
            let _ = writeln!(notes, "… and {} rows more", labels.len() - ROWS_SHOWN);
        }
    }

    /// `answer` is the body as JSON, or as text when it is none. `classes` has one entry for each row: its name, or else
    /// what the answer says.
    fn object(&self, labels: &[Label]) -> Value {
        let answer = serde_json::from_slice(&self.answer.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.answer.body).into_owned()));
        let classes: Vec<&str> = labels.iter().map(|label| self.names.of(label).unwrap_or(&label.text)).collect();
        json!({
            "status": self.answer.status.as_u16(),
            "seconds": self.seconds,
            "answer": answer,
            "classes": classes,
        })
    }
}

#[cfg(test)]
#[path = "tests/predict.rs"]
mod tests;
