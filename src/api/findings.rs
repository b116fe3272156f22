//! What is wrong with a spec: where, and how to mend it.

use std::time::Duration;

use super::units;

/// One thing that is wrong with a spec: where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Path of the field, such as `spec.server.port`.
    pub field: String,
    pub message: String,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Collects what is wrong instead of stopping at the first.
#[derive(Default)]
pub(super) struct Findings(Vec<Invalid>);

impl Findings {
    pub(super) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Invalid { field: field.into(), message: message.into() });
    }

    /// The first of them in words.
    pub(super) fn first(&self) -> Option<String> {
        self.0.first().map(ToString::to_string)
    }

    /// The value, or a stand-in after noting what is wrong with it.
    pub(super) fn take<T, E: ToString>(&mut self, field: &str, result: Result<T, E>, stand_in: T) -> T {
        result.unwrap_or_else(|error| {
            self.add(field, error.to_string());
            stand_in
        })
    }

    pub(super) fn duration(
        &mut self,
        field: &str,
        text: Option<&str>,
        default: Duration,
        bounds: (u64, u64),
    ) -> Duration {
        let Some(text) = text else { return default };
        let value = self.take(field, units::duration(text), default);
        let (low, high) = (Duration::from_secs(bounds.0), Duration::from_secs(bounds.1));
        if value < low || value > high {
            self.add(field, format!("'{text}' must lie between {}s and {}s", bounds.0, bounds.1));
        }
        value
    }

    pub(super) fn port(&mut self, field: &str, port: Option<i32>, default: u16) -> u16 {
        match port.map(u16::try_from) {
            None => default,
            Some(Ok(port)) if port > 0 => port,
            _ => {
                self.add(field, format!("{} is not a port; use 1 to 65535", port.unwrap_or_default()));
                default
            }
        }
    }

    /// The name of a Secret or ServiceAccount, which becomes a part of a path that the API server is asked for.
    pub(super) fn object_name(&mut self, field: impl Into<String>, name: &str) {
        let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let within = |c: char| ends(c) || matches!(c, '-' | '.');
        if !name.chars().all(within) || !name.starts_with(ends) || !name.ends_with(ends) {
            let words = "is no name that a Secret or ServiceAccount can have: lower-case letters, digits, '-' and '.', the first \
                         and the last a letter or digit";
            self.add(field, format!("'{name}' {words}"));
        }
    }

    /// `Ok` when nothing was found.
    pub(super) fn nothing(self) -> Result<(), Vec<Invalid>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}
