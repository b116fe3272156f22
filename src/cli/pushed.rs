//! What a model's registry holds just now, asked in the person's own name: what was pushed a moment ago the cluster may not have
//! seen yet.

use std::{env, ffi::OsString, fs, io::Read as _, path::PathBuf, time::Duration};

use crate::{
    api::{StoredModelDeployment, ValidSpec},
    images::{
        Digest, Keychain,
        once::{self, Unknown},
        poller,
        problem::reason,
    },
};

/// For all that it takes: names, handshakes, a token, the answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Files of logins have some kilobytes.
const LARGEST_LOGINS: u64 = 1 << 20;

/// What a tag holds, by the registry's own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub digest: Digest,
    /// As people write it: `alice/churn:latest`.
    pub name: String,
}

/// What the tag of the spec holds, or why that is not known. `None` where the next version does not come from a tag: it is
/// pinned, or stays, or cannot be read.
pub async fn held(model: &StoredModelDeployment, logins: &Keychain) -> Option<Result<Held, String>> {
    let name = model.metadata.name.as_deref().unwrap_or_default();
    let image = ValidSpec::parse(name, &model.spec.value()).ok()?.image;
    let stays = !image.auto_update && model.known_status().stable.is_some();
    if image.pin.is_some() || stays {
        return None;
    }
    let name = format!("{}:{}", image.repository.familiar(), image.tag);
    let config = poller::Config { request_timeout: PATIENCE, ..poller::Config::default() };
    let asked = once::holds(&config, &image.repository, &image.tag, logins);
    Some(match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(digest)) => Ok(Held { digest, name }),
        Ok(Err(why)) => Err(format!("what {name} holds is not known here ({})", word(&why))),
        Err(_) => Err(format!("what {name} holds is not known here ({})", reason::REGISTRY_UNREACHABLE)),
    })
}

/// The sentences of the operator speak of its own pull secrets.
fn word(why: &Unknown) -> String {
    match why {
        Unknown::Problem(problem) if problem.reason == reason::UNAUTHORIZED => {
            format!(
                "{}: log in to the registry with docker login or podman login; a login that Docker keeps in a helper is not read here, so name the version by --digest",
                problem.reason
            )
        }
        Unknown::Problem(problem) => problem.reason.to_owned(),
        Unknown::Setup(error) => error.to_string(),
    }
}

/// The logins of Docker and Podman, as far as they stand in their files: no helper program is run. What cannot be read is no
/// login.
pub fn logins() -> Keychain {
    let mut logins = Keychain::empty();
    for file in files(|name| env::var_os(name).filter(|value| !value.is_empty())) {
        let mut content = Vec::new();
        let read = fs::File::open(&file).and_then(|file| file.take(LARGEST_LOGINS).read_to_end(&mut content));
        if read.is_ok() {
            let _ = logins.add_docker_config_json(&file.display().to_string(), &content);
        }
    }
    logins
}

/// Where `docker login` and `podman login` write, the first one asked first.
fn files(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let directory = |name: &str| variable(name).map(PathBuf::from);
    let docker = directory("DOCKER_CONFIG").or_else(|| Some(directory("HOME")?.join(".docker")));
    let podman = directory("REGISTRY_AUTH_FILE")
        .or_else(|| Some(directory("XDG_RUNTIME_DIR")?.join("containers").join("auth.json")));
    docker.map(|docker| docker.join("config.json")).into_iter().chain(podman).collect()
}

#[cfg(test)]
#[path = "tests/pushed.rs"]
mod tests;
