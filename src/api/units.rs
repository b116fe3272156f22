//! Bounds as users write them, strings with units: `90s`, `1h30m`, `70%`; and Kubernetes quantities, which YAML may
//! also hold as numbers.

use std::time::Duration;

use kube_quantity::ParsedQuantity;
pub use modelship_exporter::units::duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

pub const DURATION_PATTERN: &str = "^([0-9]+(ms|s|m|h))+$";
pub const PERCENT_PATTERN: &str = "^[1-9][0-9]{0,2}%$";
/// Shares of a whole, finer than [`PERCENT_PATTERN`]: `0.5%`, `99.95%`.
pub const RATIO_PATTERN: &str = "^[0-9]{1,3}([.][0-9]{1,3})?%$";
/// Requests by time: `100/s`, `50/m` (rates), `5000/1h` (a total over a window).
pub const TRAFFIC_PATTERN: &str = "^[0-9]+([.][0-9]+)?/([smh]|([0-9]+(s|m|h))+)$";
/// Figures are strings: floating-point numbers do not survive every client of the Kubernetes API unchanged.
pub const FIGURE_PATTERN: &str = "^-?[0-9]+([.][0-9]+)?$";

/// Parses `70%` into 70.
///
/// # Errors
/// A sentence that says what was expected.
pub fn percent(text: &str) -> Result<i32, String> {
    text.strip_suffix('%')
        .and_then(|digits| digits.parse::<i32>().ok())
        .filter(|value| (1..=1000).contains(value))
        .ok_or_else(|| format!("'{text}' is not a percentage; write a whole number with a percent sign, such as 70%"))
}

/// Parses `99.5%` into 0.995.
///
/// # Errors
/// A sentence that says what was expected.
pub fn ratio(text: &str) -> Result<f64, String> {
    let plain = |digits: &&str| digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.strip_suffix('%')
        .filter(plain)
        .and_then(|digits| digits.parse::<f64>().ok())
        .map(|percent| percent / 100.0)
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| format!("'{text}' is not a share; write a number from 0 to 100 with a percent sign, such as 5%"))
}

/// How many requests in which time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Traffic {
    /// Requests per second.
    Rate(f64),
    /// Requests over a window.
    Total(f64, Duration),
}

/// Parses `100/s`, `50/m` and `5000/1h`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn traffic(text: &str) -> Result<Traffic, String> {
    let wrong = || {
        format!(
            "'{text}' is no amount of traffic; write a rate such as 100/s or 50/m, or a total over a window such as 5000/1h"
        )
    };
    let (amount, time) = text.split_once('/').ok_or_else(wrong)?;
    let amount = figure(amount).ok().filter(|amount| *amount >= 0.0).ok_or_else(wrong)?;
    match time {
        "s" => Ok(Traffic::Rate(amount)),
        "m" => Ok(Traffic::Rate(amount / 60.0)),
        "h" => Ok(Traffic::Rate(amount / 3600.0)),
        window => duration(window).map(|window| Traffic::Total(amount, window)).map_err(|_| wrong()),
    }
}

/// Parses `0.5`, `-3`, `1000`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn figure(text: &str) -> Result<f64, String> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
    text.parse()
        .ok()
        .filter(|figure: &f64| plain && figure.is_finite())
        .ok_or_else(|| format!("'{text}' is not a figure; write a plain number in quotes, such as \"0.5\""))
}

/// A resource quantity (`500m`, `2`, `1Gi`). YAML authors write `cpu: 1` as often as `cpu: "1"`: both are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl Quantity {
    /// The quantity in millis (`500m` is 500, `2` is 2000), rounded up.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn millis(&self) -> Result<i64, String> {
        ParsedQuantity::try_from(self.0.as_str())
            .ok()
            .and_then(|quantity| quantity.to_bytes_f64())
            .map(|amount| (amount * 1000.0).ceil() as i64)
            .ok_or_else(|| format!("'{}' is not a quantity; write a number such as 500m, 2 or 1Gi", self.0))
    }
}

/// Whether two quantities mean the same amount, however they are written: the API server stores `1000m` as `1`.
pub fn same_quantity(a: &str, b: &str) -> bool {
    match (ParsedQuantity::try_from(a), ParsedQuantity::try_from(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// What may be written with or without quotes.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Whole(i64),
        Number(f64),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Text(text) => text,
        Written::Whole(number) => number.to_string(),
        Written::Number(number) => number.to_string(),
    })
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer).map(Self)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true, "maxLength": 32})
    }
}

/// A plain number (`0.8`). Both `min: 0.8` and `min: "0.8"` are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Figure(pub String);

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_number(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_compare_by_amount() {
        for (a, b) in [("1000m", "1"), ("1024Mi", "1Gi"), ("1000", "1k"), ("0.5", "500m"), ("2", "2.0")] {
            assert!(same_quantity(a, b), "{a} {b}");
        }
        for (a, b) in [("1", "2"), ("1Gi", "1G"), ("x", "x")] {
            assert!(!same_quantity(a, b), "{a} {b}");
        }
    }

    #[test]
    fn millis_round_up() {
        assert_eq!(Quantity("1500m".into()).millis(), Ok(1500));
        assert_eq!(Quantity("2".into()).millis(), Ok(2000));
        assert!(Quantity("two".into()).millis().is_err());
    }

    #[test]
    fn shares_are_read_as_fractions_of_one() {
        assert_eq!(ratio("5%"), Ok(0.05));
        assert_eq!(ratio("99.5%"), Ok(0.995));
        for wrong in ["5", "-5%", "101%", "1e1%", "%", ""] {
            assert!(ratio(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn traffic_is_a_rate_or_a_total_over_a_window() {
        assert_eq!(traffic("100/s"), Ok(Traffic::Rate(100.0)));
        assert_eq!(traffic("30/m"), Ok(Traffic::Rate(0.5)));
        assert_eq!(traffic("5000/1h"), Ok(Traffic::Total(5000.0, Duration::from_secs(3600))));
        for wrong in ["100", "100/", "-1/s", "/s", "1/d", "a/s"] {
            assert!(traffic(wrong).unwrap_err().contains("such as 100/s"), "{wrong}");
        }
    }

    #[test]
    fn percentages_need_their_sign() {
        assert_eq!(percent("70%"), Ok(70));
        assert!(percent("70").is_err());
        assert!(percent("0%").is_err());
    }
}
