//! What a server's answers mean: a version, a run, or a [`Problem`] whose words tell how to mend it.

use std::{collections::BTreeMap, fmt};

use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Login, Problem, Run, Server,
    problem::reason::{
        BAD_ANSWER, NO_RUN, NO_SUCH_ALIAS, NO_SUCH_MODEL, NO_SUCH_RUN, NO_SUCH_VERSION, RUN_FAILED, RUN_UNFINISHED,
        SERVER_ERROR, UNAUTHORIZED, UNREACHABLE,
    },
};
use crate::outside;

/// Characters of a run's id, of which MLflow makes 32, and of a version's number.
const LONGEST_NAME: usize = 64;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Run(&'a str),
    Version { model: &'a str, version: &'a str },
    Alias { model: &'a str, alias: &'a str },
    Stage { model: &'a str },
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(id) => write!(f, "run {id}"),
            Self::Version { model, version } => write!(f, "version {version} of the registered model {model}"),
            Self::Alias { model, alias } => write!(f, "the alias {alias} of the registered model {model}"),
            Self::Stage { model } => write!(f, "the stages of the registered model {model}"),
        }
    }
}

/// What MLflow says of a request that went wrong.
#[derive(Deserialize, Default)]
pub(super) struct Refusal {
    #[serde(default)]
    pub error_code: String,
}

/// Reads a refusal; `None` when it is not MLflow that speaks.
pub(super) fn refusal(body: &[u8]) -> Option<Refusal> {
    serde_json::from_slice(body).ok().filter(|refusal: &Refusal| !refusal.error_code.is_empty())
}

/// A status that is no success.
pub(super) fn status(server: &Server, subject: Subject<'_>, status: StatusCode, said: Option<&Refusal>) -> Problem {
    let uri = &server.uri;
    let code = status.as_u16();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => unauthorized(server, subject),
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST if said.is_some() => absent(server, subject, said),
        StatusCode::NOT_FOUND if uri.lacks_mlflow() => Problem::new(
            BAD_ANSWER,
            format!(
                "there is no MLflow at {uri}: DagsHub's tracking URI ends with .mlflow; correct spec.mlflow.trackingURI"
            ),
        ),
        StatusCode::NOT_FOUND => Problem::new(
            BAD_ANSWER,
            format!(
                "there is no MLflow at {uri}: it answers 404 without MLflow's error; correct spec.mlflow.trackingURI"
            ),
        ),
        _ if status.is_redirection() => Problem::new(
            BAD_ANSWER,
            format!(
                "{uri} redirects to another address (a login page, or https), and credentials are sent to none but the \
                 one that is written; write the final address into spec.mlflow.trackingURI"
            ),
        ),
        _ => Problem::new(
            SERVER_ERROR,
            format!("{uri} answers {code} when asked for {subject}; if it goes on, look into the server's log"),
        ),
    }
}

fn unauthorized(server: &Server, subject: Subject<'_>) -> Problem {
    let uri = &server.uri;
    let message = match (&server.login, &server.secret) {
        (Login::Nobody, _) | (_, None) => format!(
            "{uri} does not show {subject} to strangers; put a user and a password, or a token, into a Secret, and name it \
             in spec.mlflow.credentialsSecret"
        ),
        (_, Some(secret)) => format!(
            "{uri} refuses {subject} to the credentials in the Secret {secret}; check the user and the password or token \
             in it, that this user may read the experiment, and that {subject} exists (MLflow says the same of what does not)"
        ),
    };
    Problem::new(UNAUTHORIZED, message)
}

fn absent(server: &Server, subject: Subject<'_>, said: Option<&Refusal>) -> Problem {
    let uri = &server.uri;
    let unknown = said.is_some_and(|said| said.error_code == "RESOURCE_DOES_NOT_EXIST");
    match subject {
        Subject::Run(id) => Problem::new(
            NO_SUCH_RUN,
            format!("{uri} has no run {id}; the image may come from another tracking server, or the run was removed"),
        ),
        Subject::Version { model, version } => Problem::new(
            NO_SUCH_VERSION,
            format!(
                "{uri} has no version {version} of a registered model {model}; correct spec.mlflow.model or version"
            ),
        ),
        // Not the alias but the model is what a 404 speaks of; of an alias it says that the parameter is wrong.
        Subject::Alias { model, .. } | Subject::Stage { model } if unknown => Problem::new(
            NO_SUCH_MODEL,
            format!("{uri} has no registered model {model}; register it, or correct spec.mlflow.model"),
        ),
        Subject::Alias { model, alias } => Problem::new(
            NO_SUCH_ALIAS,
            format!(
                "the registered model {model} at {uri} has no alias {alias}; set it on a version, or correct spec.mlflow.alias"
            ),
        ),
        Subject::Stage { .. } => bad(server, subject, "MLflow says that the question is wrong"),
    }
}

pub(super) fn unanswered(server: &Server, subject: Subject<'_>, error: &reqwest::Error) -> Problem {
    const WITHOUT_TLS: &str = "Write spec.mlflow.trackingURI with http:// if the server has no TLS";
    // A timeout while the body comes is a server that is too slow, not one that answers wrongly.
    if (error.is_body() || error.is_decode()) && !error.is_timeout() {
        let message =
            format!("{} broke off in its answer for {subject}; if it goes on, look into the server's log", server.uri);
        return Problem::new(SERVER_ERROR, message);
    }
    let uri = &server.uri;
    let cause = outside::cause(error, WITHOUT_TLS);
    let way = || format!("Check that {} can be reached from the operator's pod (DNS, egress, proxy)", uri.host());
    let remedy = cause.remedy.map_or_else(way, str::to_owned);
    let message = format!("{uri} cannot be asked for {subject}: {}. {remedy}", cause.what);
    Problem::new(UNREACHABLE, message)
}

pub(super) fn bad(server: &Server, subject: Subject<'_>, why: &str) -> Problem {
    let message = format!(
        "{} gave a wrong answer for {subject}: {why}. Check that spec.mlflow.trackingURI is MLflow's own address",
        server.uri
    );
    Problem::new(BAD_ANSWER, message)
}

pub(super) fn read<T: DeserializeOwned>(server: &Server, subject: Subject<'_>, body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|_| bad(server, subject, "it is not what MLflow says"))
}

#[derive(Deserialize)]
pub(super) struct VersionAnswer {
    pub model_version: Version,
}

#[derive(Deserialize)]
pub(super) struct LatestVersions {
    #[serde(default)]
    pub model_versions: Vec<Version>,
}

/// A version of a registered model. Its `source` is not looked at: it may be `models:/…`, and names no run then.
#[derive(Deserialize)]
pub(super) struct Version {
    /// Written as a number by some.
    pub version: Value,
    #[serde(default)]
    pub run_id: Option<String>,
    #[serde(default)]
    pub current_stage: String,
}

impl Version {
    /// Its number. Status shows it, so it is as short as any that MLflow gives.
    pub fn number(&self, server: &Server, subject: Subject<'_>) -> Result<String, Problem> {
        let number = match &self.version {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        number
            .filter(|number| short(number))
            .ok_or_else(|| bad(server, subject, "the version's number is none that MLflow gives"))
    }

    /// The id of its run, short like its number.
    pub fn run(&self, server: &Server, subject: Subject<'_>) -> Result<String, Problem> {
        let Some(id) = self.run_id.as_ref().filter(|id| !id.is_empty()) else {
            let message = format!(
                "{subject} at {} (version {}) was registered without a run, so it has no metrics; register it from a run",
                server.uri,
                self.number(server, subject)?
            );
            return Err(Problem::new(NO_RUN, message));
        };
        match short(id) {
            true => Ok(id.clone()),
            false => Err(bad(server, subject, "the run's id is none that MLflow gives")),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RunAnswer {
    run: RunBody,
}

#[derive(Deserialize)]
struct RunBody {
    info: Info,
    #[serde(default)]
    data: Data,
}

#[derive(Deserialize)]
struct Info {
    status: String,
    #[serde(default)]
    lifecycle_stage: String,
}

#[derive(Deserialize, Default)]
struct Data {
    #[serde(default)]
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    key: String,
    /// NaN and infinity come as words.
    #[serde(default)]
    value: Value,
}

impl RunAnswer {
    pub fn finished(self, server: &Server, id: &str, version: Option<String>) -> Result<Run, Problem> {
        let (uri, info) = (&server.uri, &self.run.info);
        if info.lifecycle_stage == "deleted" {
            let message = format!("run {id} at {uri} is deleted; restore it (mlflow runs restore), or train anew");
            return Err(Problem::new(NO_SUCH_RUN, message));
        }
        match info.status.to_ascii_uppercase().as_str() {
            "FINISHED" => {}
            status @ ("FAILED" | "KILLED") => {
                let message = format!(
                    "run {id} at {uri} ended as {status}, so its metrics say nothing of a whole training; train anew and push"
                );
                return Err(Problem::new(RUN_FAILED, message));
            }
            "RUNNING" | "SCHEDULED" => {
                let message = format!("run {id} at {uri} has not ended yet; its metrics count when it has");
                return Err(Problem::new(RUN_UNFINISHED, message));
            }
            _ => return Err(bad(server, Subject::Run(id), "the run's status is none that is known")),
        }
        let mut metrics = BTreeMap::new();
        let mut left_out = Vec::new();
        for Metric { key, value } in self.run.data.metrics {
            match value.as_f64().filter(|value| finite(*value)) {
                Some(value) => drop(metrics.insert(key, value)),
                None => left_out.push(key),
            }
        }
        left_out.sort();
        Ok(Run { id: id.to_owned(), version, metrics, left_out })
    }
}

fn short(name: &str) -> bool {
    name.chars().count() <= LONGEST_NAME && !name.contains(char::is_control)
}

/// MLflow's databases hold infinity as the largest number that there is.
fn finite(value: f64) -> bool {
    value.is_finite() && value.abs() < f64::MAX
}
