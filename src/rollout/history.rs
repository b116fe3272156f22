//! The versions that users got, newest first, bounded.

use k8s_openapi::jiff::Timestamp;

use crate::api::status::{HISTORY_LIMIT, PastVersion, Version};

/// Adds the stable version to the history if it is not its newest entry.
pub fn record(mut history: Vec<PastVersion>, stable: Option<&Version>, now: Timestamp) -> Vec<PastVersion> {
    let Some(stable) = stable else { return history };
    let (repository, digest, origin) = (stable.repository.clone(), stable.digest.clone(), stable.origin.clone());
    match history.first_mut() {
        // What it comes from may have become known only after it served.
        Some(newest) if (&newest.repository, &newest.digest) == (&repository, &digest) => newest.origin = origin,
        _ => {
            history.insert(0, PastVersion { repository, digest, since: now, origin });
            history.truncate(HISTORY_LIMIT);
        }
    }
    history
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::status::Origin, images::Digest};

    fn version(digest: &str) -> Version {
        let image = format!("docker.io/alice/churn@{}", Digest::of(digest));
        Version::of_image(&image).unwrap()
    }

    #[test]
    fn a_version_is_recorded_once_and_the_oldest_are_forgotten() {
        let mut history = Vec::new();
        for number in 0..15 {
            let stable = version(&number.to_string());
            let now = Timestamp::from_second(number).unwrap();
            history = record(history, Some(&stable), now);
            history = record(history, Some(&stable), now);
        }
        assert_eq!(history.len(), HISTORY_LIMIT);
        assert_eq!((&history[0].digest, &history[9].digest), (&version("14").digest, &version("5").digest));
    }

    #[test]
    fn where_a_version_comes_from_is_recorded_even_when_it_is_known_late() {
        let (now, later) = (Timestamp::from_second(1).unwrap(), Timestamp::from_second(2).unwrap());
        let history = record(Vec::new(), Some(&version("a")), now);
        let revision = Some("4f2a".to_owned());
        let known = Version { origin: Origin { revision, ..Origin::default() }, ..version("a") };
        let history = record(history, Some(&known), later);
        assert_eq!((history.len(), history[0].since, &history[0].origin), (1, now, &known.origin));
        let history = record(history, Some(&version("b")), later);
        assert_eq!((&history[0].origin, &history[1].origin), (&Origin::default(), &known.origin));
    }

    #[test]
    fn going_back_to_an_earlier_version_is_a_new_entry() {
        let now = Timestamp::from_second(1).unwrap();
        let history = ["a", "b", "a"].iter().fold(Vec::new(), |past, digest| record(past, Some(&version(digest)), now));
        assert_eq!(history.len(), 3);
    }
}
