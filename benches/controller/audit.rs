//! What the API server wrote down of a user's requests. It counts what really arrived, retries included, which no counter
//! inside the operator could.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::Deserialize;

/// A cluster that does nothing still renews leases; less than this per look is calm.
const CALM_BYTES: u64 = 16 * 1024;
const LOOK_EVERY: Duration = Duration::from_millis(400);
const LOOKS: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(180);

/// The API server's audit log.
pub struct Audit(pub PathBuf);

/// A place in the log.
#[derive(Clone, Copy)]
pub struct Mark(u64);

/// One answered request; of a watch, its beginning.
#[derive(Clone, Debug)]
pub struct Request {
    pub user: String,
    pub verb: String,
    /// Plural and, where there is one, subresource: `deployments`, `modeldeployments/status`.
    pub resource: String,
    pub namespace: String,
    pub name: String,
    pub received: Timestamp,
}

impl Request {
    pub fn is_lease(&self) -> bool {
        self.resource == "leases"
    }

    pub fn is_watch(&self) -> bool {
        self.verb == "watch"
    }

    pub fn is_event(&self) -> bool {
        self.resource == "events"
    }

    pub fn is_write(&self) -> bool {
        !self.is_lease() && ["create", "update", "patch", "delete"].contains(&self.verb.as_str())
    }

    /// The ModelDeployment that the request is made for, where its object's name tells.
    pub fn model(&self) -> Option<&str> {
        match self.resource.as_str() {
            // MODEL-HASH and MODEL.TIME.
            "controllerrevisions" => self.name.rsplit_once('-').map(|(model, _)| model),
            "configmaps" => ["-exporter", "-dashboard"].into_iter().find_map(|end| self.name.strip_suffix(end)),
            "services" => Some(self.name.strip_suffix("-metrics").unwrap_or(&self.name)),
            "events" => self.name.rsplit_once('.').map(|(model, _)| model),
            _ if self.name.is_empty() || self.is_lease() => None,
            _ => Some(&self.name),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    stage: String,
    user: User,
    object_ref: Option<ObjectRef>,
    request_received_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

impl Line {
    fn request(self) -> Option<Request> {
        let of_watch = self.verb == "watch" && self.stage == "ResponseStarted";
        let of_other = self.verb != "watch" && self.stage == "ResponseComplete";
        let object = self.object_ref.filter(|_| of_watch || of_other)?;
        let resource = match object.subresource.as_str() {
            "" => object.resource,
            subresource => format!("{}/{subresource}", object.resource),
        };
        Some(Request {
            user: self.user.username,
            verb: self.verb,
            resource,
            namespace: object.namespace,
            name: object.name,
            received: self.request_received_timestamp,
        })
    }
}

impl Audit {
    pub fn mark(&self) -> Mark {
        Mark(std::fs::metadata(&self.0).expect("the audit log is there").len())
    }

    /// A user's requests since then, in the order in which they were answered.
    pub fn since(&self, mark: Mark, user: &str) -> Vec<Request> {
        let mut file = File::open(&self.0).expect("the audit log can be read");
        file.seek(SeekFrom::Start(mark.0)).expect("the audit log only grows");
        let quick = format!("\"username\":\"{user}\"");
        let mut requests = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.expect("the audit log is text");
            // Most lines are of others and need no parsing; the last may be half written, and is of later.
            let parsed = line.contains(&quick).then(|| serde_json::from_str::<Line>(&line).ok()).flatten();
            requests.extend(parsed.and_then(Line::request).filter(|request| request.user == user));
        }
        requests
    }

    /// Waits until nobody makes requests any more, but for leases and the like.
    pub async fn calm(&self) {
        let start = Instant::now();
        let mut before = self.mark().0;
        let mut quiet = 0;
        while quiet < LOOKS {
            assert!(start.elapsed() < PATIENCE, "the cluster has not come to rest within {PATIENCE:?}");
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.mark().0;
            quiet = if now - before < CALM_BYTES { quiet + 1 } else { 0 };
            before = now;
        }
    }
}

/// How many requests there are of each verb and resource.
pub fn count<'a>(requests: impl IntoIterator<Item = &'a Request>) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry((request.resource.clone(), request.verb.clone())).or_default() += 1;
    }
    counts
}
