//! Bounds as users write them: strings with units.

use std::time::Duration;

/// Parses `1h30m`, `90s`, `500ms`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a duration; write a number with a unit, such as 30s, 5m or 1h30m");
    // What the pattern in the CRD allows; jiff alone would also read days, words and signs.
    let plain = text.chars().all(|c| c.is_ascii_digit() || matches!(c, 's' | 'm' | 'h'));
    if !plain || text.is_empty() || text.len() > 16 || text.ends_with(|c: char| c.is_ascii_digit()) {
        return Err(wrong());
    }
    let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_every_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
    }

    #[test]
    fn a_duration_without_a_unit_is_refused_with_an_example() {
        for wrong in ["", "5", "-5s", "5 minutes", "P1D", "1d"] {
            let message = duration(wrong).unwrap_err();
            assert!(message.contains("such as 30s"), "{wrong}: {message}");
        }
    }
}
