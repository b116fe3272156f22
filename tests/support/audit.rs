//! What the API server itself has noted: its audit log holds every answered request, written before the answer is sent.

use std::{
    fmt,
    io::{BufRead, BufReader},
};

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::world::setting;

/// One answered request.
pub struct Entry(Value);

impl Entry {
    pub fn user(&self) -> &str {
        self.0["user"]["username"].as_str().unwrap_or_default()
    }

    /// Asked for by somebody who acts as another, as the operators of tests do.
    pub fn impersonated(&self) -> bool {
        !self.0["impersonatedUser"].is_null()
    }

    pub fn verb(&self) -> &str {
        self.0["verb"].as_str().unwrap_or_default()
    }

    /// Plural and, where there is one, subresource: `deployments`, `modeldeployments/status`.
    pub fn resource(&self) -> String {
        let text = |field: &str| self.0["objectRef"][field].as_str();
        let plural = text("resource").unwrap_or_default();
        text("subresource").map_or(plural.to_owned(), |sub| format!("{plural}/{sub}"))
    }

    pub fn name(&self) -> &str {
        self.0["objectRef"]["name"].as_str().unwrap_or_default()
    }

    /// Empty for what lies in no namespace, and for requests over all of them.
    pub fn namespace(&self) -> &str {
        self.0["objectRef"]["namespace"].as_str().unwrap_or_default()
    }

    pub fn code(&self) -> u64 {
        self.0["responseStatus"]["code"].as_u64().unwrap_or_default()
    }

    /// Refused for want of rights; a quota or a namespace that ends are answered by 403 too.
    pub fn unauthorised(&self) -> bool {
        self.0["annotations"]["authorization.k8s.io/decision"] == "forbid"
    }

    pub fn at(&self) -> Timestamp {
        let time = self.0["requestReceivedTimestamp"].as_str().expect("a time");
        time.parse().expect("a time as RFC 3339 has it")
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}/{}", self.at(), self.verb(), self.resource(), self.name())?;
        write!(f, " in {:?} by {} → {}", self.namespace(), self.user(), self.code())
    }
}

/// All answered requests that hold this text (a user, a namespace), oldest first.
pub fn entries(holding: &str) -> Vec<Entry> {
    let log = std::fs::File::open(setting("MODELSHIP_TEST_AUDIT_LOG")).expect("the audit log");
    let lines = BufReader::new(log).lines().map_while(Result::ok).filter(|line| line.contains(holding));
    // The last line may be half written.
    let entries = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    entries.filter(|entry| entry["stage"] == "ResponseComplete").map(Entry).collect()
}
