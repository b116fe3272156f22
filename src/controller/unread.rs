//! Answers that an exporter cannot read predictions from, as its page tells: what status says of them. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::pages::label;
use crate::api::conditions::{Judgement, PREDICTIONS_READ};

/// With fewer answers it may be an odd path that was asked, and not the model.
const ANSWERS: f64 = 20.0;
/// Reasons for which an answer is not read though it could be.
const NO_FAULT: [&str; 4] = ["queue_full", "failed", "other_path", "stream"];

/// Most answers of a version are not read; one of them stands for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// As the exporter's series call it.
    reason: String,
    /// What it looks like, with no value in it.
    shape: String,
    /// Where its prediction may be; empty where that cannot be told.
    path: String,
}

/// What is known of the answers of the version that serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// No exporter was heard yet: what status said before stands.
    #[default]
    Unknown,
    Read,
    Unread(Unread),
}

impl Answers {
    /// By the page of an exporter.
    pub fn on(page: &str) -> Self {
        let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok()).unwrap_or(0.0);
        let (mut read, mut skipped, mut example) = (0.0, 0.0, None);
        for line in page.lines() {
            if line.starts_with("modelship_exporter_exchanges_read_total ") {
                read = value(line);
            } else if let Some(labels) = line.strip_prefix("modelship_exporter_exchanges_skipped_total{") {
                let counts = label(labels, "reason").is_some_and(|reason| !NO_FAULT.contains(&reason.as_str()));
                skipped += if counts { value(line) } else { 0.0 };
            } else if let Some(labels) = line.strip_prefix("modelship_exporter_unread_info{") {
                let of = |name| label(labels, name);
                let found = of("reason").zip(of("shape")).zip(of("path"));
                example = found.map(|((reason, shape), path)| Unread { reason, shape, path });
            }
        }
        match example.filter(|_| skipped > read && read + skipped >= ANSWERS) {
            Some(unread) => Self::Unread(unread),
            None => Self::Read,
        }
    }

    /// The condition, which is there only while most answers are not read.
    pub fn judge(&self, before: Option<&Condition>) -> Option<Judgement> {
        match self {
            Self::Unknown => before.map(|known| Judgement::as_before(PREDICTIONS_READ, known)),
            Self::Read => None,
            Self::Unread(unread) => Some(unread.judgement()),
        }
    }
}

impl Unread {
    fn judgement(&self) -> Judgement {
        let Self { reason, shape, path } = self;
        let (kind, words) = match reason.as_str() {
            "encoded" => (
                "AnswersEncoded",
                format!("they are compressed in a way that is not read ({shape}); let the server use gzip, or nothing"),
            ),
            "content_type" => (
                "AnswersOfOtherType",
                format!(
                    "their content type is {shape:?}, or they are several lines of text; let the server answer application/json"
                ),
            ),
            "malformed" => ("AnswersMalformed", "they are called JSON and are none; let the server write JSON".into()),
            "cut" => (
                "AnswersTooLong",
                format!(
                    "no row ends in their first 64 KiB ({shape}); ask for fewer rows, or let predictions come first"
                ),
            ),
            _ if path.is_empty() => (
                "NoPredictionFound",
                format!("no prediction was found in {shape}; say where it is by spec.predictions.path and kind"),
            ),
            _ => (
                "NoPredictionFound",
                format!("no prediction was found in {shape}; set spec.predictions.path, perhaps to {path}, and kind"),
            ),
        };
        let words = format!("requests are served, but most answers tell nothing of their predictions: {words}");
        Judgement::new(PREDICTIONS_READ, false, kind, words)
    }
}

/// A page of an exporter that has read and skipped so many answers.
#[cfg(test)]
pub(super) fn page(read: u32, skipped: u32, info: &str) -> String {
    format!(
        "modelship_exporter_exchanges_read_total {read}\n\
         modelship_exporter_exchanges_skipped_total{{reason=\"unknown_shape\"}} {skipped}\n\
         modelship_exporter_exchanges_skipped_total{{reason=\"queue_full\"}} 1000\n\
         modelship_exporter_exchanges_skipped_total{{reason=\"failed\"}} 1000\n\
         modelship_exporter_exchanges_skipped_total{{reason=\"other_path\"}} 1000\n\
         modelship_exporter_unread_info{{{info}}} 1\n"
    )
}

#[cfg(test)]
#[path = "tests/unread.rs"]
mod tests;
