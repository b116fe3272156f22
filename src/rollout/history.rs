//! The versions that users got, newest first, bounded.

use k8s_openapi::jiff::Timestamp;

use crate::api::status::{HISTORY_LIMIT, PastVersion, Version};

/// Adds the stable version to the history if it is not its newest entry.
pub fn record(mut history: Vec<PastVersion>, stable: Option<&Version>, now: Timestamp) -> Vec<PastVersion> {
    let Some(stable) = stable else { return history };
    let newest = history.first().map(|past| (past.repository.as_str(), past.digest.as_str()));
    if newest != Some((stable.repository.as_str(), stable.digest.as_str())) {
        let past = PastVersion { repository: stable.repository.clone(), digest: stable.digest.clone(), since: now };
        history.insert(0, past);
        history.truncate(HISTORY_LIMIT);
    }
    history
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(digest: &str) -> Version {
        Version { repository: "docker.io/alice/churn".into(), digest: digest.into(), short: digest.into() }
    }

    #[test]
    fn a_version_is_recorded_once_and_the_oldest_are_forgotten() {
        let mut history = Vec::new();
        for number in 0..15 {
            let stable = version(&format!("sha256:{number}"));
            let now = Timestamp::from_second(number).unwrap();
            history = record(history, Some(&stable), now);
            history = record(history, Some(&stable), now);
        }
        assert_eq!(history.len(), HISTORY_LIMIT);
        assert_eq!((history[0].digest.as_str(), history[9].digest.as_str()), ("sha256:14", "sha256:5"));
    }

    #[test]
    fn going_back_to_an_earlier_version_is_a_new_entry() {
        let now = Timestamp::from_second(1).unwrap();
        let history = ["a", "b", "a"].iter().fold(Vec::new(), |past, digest| record(past, Some(&version(digest)), now));
        assert_eq!(history.len(), 3);
    }
}
