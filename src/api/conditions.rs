//! Condition types, and how a condition changes: `lastTransitionTime` moves only when the status does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// The wanted version serves, completely.
pub const READY: &str = "Ready";
/// At least one pod answers users.
pub const AVAILABLE: &str = "Available";
/// A version is being introduced.
pub const PROGRESSING: &str = "Progressing";
/// The registry says which digest is wanted.
pub const IMAGE_RESOLVED: &str = "ImageResolved";
/// kstatus: present only while the controller works towards the spec.
pub const RECONCILING: &str = "Reconciling";
/// kstatus: present only while somebody has to do something.
pub const STALLED: &str = "Stalled";
/// Whether predictions are read from the answers of the version that serves: absent unless most of them cannot be.
pub const PREDICTIONS_READ: &str = "PredictionsRead";
/// What the registry's daily look at the served digest found: absent unless the digest is gone.
pub const IMAGE_PULLABLE: &str = "ImagePullable";

/// What watches the model is there and picked up; absent where monitoring is switched off.
pub const MONITORING_READY: &str = "MonitoringReady";

/// What MLflow says of the run that a version comes from; absent without a tracking server.
pub const RUN_RESOLVED: &str = "RunResolved";
/// Whether the newest version has reached what `spec.mlflow.require` asks; absent when it asks nothing.
pub const VERSION_ACCEPTED: &str = "VersionAccepted";

/// Whether all that the spec says has an effect: absent unless some of it has none.
pub const SPEC_IN_EFFECT: &str = "SpecInEffect";

/// The reason of a spec that is wrong.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// The reason of a version of whose training nothing is known yet, for it or against it.
pub const AWAITING_METRICS: &str = "AwaitingMetrics";

/// The API server refuses longer messages (`metav1.Condition`: 32768); readers do long before.
const MESSAGE_MAX: usize = 2048;

/// One judgement: true, false or unknown, with the reason (CamelCase) and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub kind: &'static str,
    /// `None`: it cannot be known.
    pub holds: Option<bool>,
    pub reason: String,
    pub message: String,
}

impl Judgement {
    pub fn new(
        kind: &'static str,
        holds: impl Into<Option<bool>>,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, holds: holds.into(), reason: reason.into(), message: message.into() }
    }

    /// What a condition says already.
    pub fn as_before(kind: &'static str, known: &Condition) -> Self {
        let holds = match known.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        };
        Self::new(kind, holds, &known.reason, &known.message)
    }

    /// The same reason and words under another condition type.
    pub fn also(&self, kind: &'static str, holds: bool) -> Self {
        Self { kind, holds: Some(holds), ..self.clone() }
    }
}

/// The types that Modelship sets, whether they are present now or not; all others belong to other writers.
const OURS: [&str; 12] = [
    READY,
    AVAILABLE,
    PROGRESSING,
    IMAGE_RESOLVED,
    IMAGE_PULLABLE,
    MONITORING_READY,
    PREDICTIONS_READ,
    RUN_RESOLVED,
    VERSION_ACCEPTED,
    SPEC_IN_EFFECT,
    RECONCILING,
    STALLED,
];

/// Turns judgements into conditions, keeping the transition time of those whose status is unchanged, and the conditions
/// of other writers as they are.
pub fn conclude(judgements: &[Judgement], before: &[Condition], generation: i64, now: Timestamp) -> Vec<Condition> {
    judgements
        .iter()
        .map(|judgement| {
            let status = match judgement.holds {
                Some(true) => "True",
                Some(false) => "False",
                None => "Unknown",
            };
            let since = before
                .iter()
                .find(|old| old.type_ == judgement.kind && old.status == status)
                .map_or(Time(now), |old| old.last_transition_time.clone());
            Condition {
                type_: judgement.kind.to_owned(),
                status: status.to_owned(),
                reason: judgement.reason.clone(),
                message: shorten(&judgement.message, MESSAGE_MAX),
                last_transition_time: since,
                observed_generation: Some(generation),
            }
        })
        .chain(before.iter().filter(|old| !OURS.contains(&old.type_.as_str())).cloned())
        .collect()
}

/// The condition of that type, if present.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// A text of at most so many bytes, cut at a character.
pub fn shorten(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let first = conclude(&[Judgement::new(READY, false, "Resolving", "…")], &[], 1, at(1));
        let same = conclude(&[Judgement::new(READY, false, "Deploying", "other words")], &first, 2, at(2));
        assert_eq!(same[0].last_transition_time.0, at(1));
        assert_eq!((same[0].reason.as_str(), same[0].observed_generation), ("Deploying", Some(2)));
        let turned = conclude(&[Judgement::new(READY, true, "Serving", "")], &same, 2, at(3));
        assert_eq!(turned[0].last_transition_time.0, at(3));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let long = "ü".repeat(MESSAGE_MAX);
        let cut = shorten(&long, MESSAGE_MAX);
        assert!(cut.len() <= MESSAGE_MAX && cut.ends_with('…'), "{}", cut.len());
    }

    #[test]
    fn a_condition_that_is_not_judged_any_more_is_gone_and_one_of_another_writer_stays() {
        let mut before = conclude(&[Judgement::new(STALLED, true, "Broken", "x")], &[], 1, at(1));
        before.push(Condition { type_: "example.org/Audited".into(), ..before[0].clone() });
        let after = conclude(&[Judgement::new(READY, true, "Serving", "x")], &before, 2, at(2));
        let types: Vec<&str> = after.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, [READY, "example.org/Audited"]);
        assert_eq!(after[1], before[1]);
    }
}
