//! What versions were trained to, as their images and MLflow say it, and whether a new one may be introduced. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    decide,
    observe::Observed,
    runs::{Asked, Question},
};
use crate::{
    api::{
        Meaning, ValidSpec,
        conditions::{AWAITING_METRICS, Judgement, RUN_RESOLVED, STALLED, VERSION_ACCEPTED, find},
        meaning,
        mlflow::{Requirement, RunOf, Tracking, Training},
        status::{Origin, PastVersion, Version},
    },
    images::{Digest, Labels, Observation, labels::RUN_ID},
    mlflow::{Run, Which, problem::reason::RUN_FAILED},
    resources::template,
    rollout::{
        Target, Unresolved,
        gate::{self, Beside, Known, Metrics, Verdict},
        target::Replaces,
    },
};

/// The answer is on its way.
pub const ASKING: &str = "Asking";
const REQUIREMENT_NOT_MET: &str = "RequirementNotMet";
const REQUIREMENTS_MET: &str = "RequirementsMet";
const NO_RUN_IN_IMAGE: &str = "NoRunInImage";
/// Metrics that a version shows.
const MOST_METRICS: usize = 20;
/// Names of metrics that are longer are for no screen.
const LONGEST_NAME: usize = 128;

/// A version that may not be introduced.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub digest: Digest,
    /// Why, and whether time alone may help: for a model of which nothing runs yet.
    pub why: Unresolved,
}

/// What a look at the training of the wanted version came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// What should run: instead of a version that is held back, what runs already.
    pub target: Target,
    pub held: Option<Held>,
    /// The condition `VersionAccepted`.
    pub accepted: Option<Judgement>,
}

/// One model, and what is known of its versions.
struct View<'a> {
    spec: &'a ValidSpec,
    training: &'a Training,
    seen: &'a Observation,
    observed: &'a Observed,
}

impl<'a> View<'a> {
    fn of(spec: &'a ValidSpec, seen: &'a Observation, observed: &'a Observed) -> Option<Self> {
        Some(Self { spec, training: spec.mlflow.as_ref()?, seen, observed })
    }

    /// Its labels; `None` while they are not known.
    fn labels(&self, digest: &Digest) -> Option<&'a Labels> {
        self.observed.labels(&template::pinned(self.spec, digest), &self.repository(), self.seen)
    }

    fn repository(&self) -> String {
        self.spec.image.repository.to_string()
    }

    /// The version that users get, if it is of this repository.
    fn stable(&self) -> Option<&'a Version> {
        let repository = self.repository();
        self.observed.status.stable.as_ref().filter(|stable| stable.repository == repository)
    }

    fn in_status(&self, digest: &Digest) -> Option<&'a Version> {
        let (status, digest) = (&self.observed.status, digest.as_str());
        [&status.candidate, &status.stable].into_iter().flatten().find(|version| version.digest == digest)
    }

    /// The version as users had it, if they did.
    fn past(&self, digest: &Digest) -> Option<&'a PastVersion> {
        let repository = self.repository();
        let mut history = self.observed.status.history.iter();
        history.find(|past| past.repository == repository && past.digest == digest.as_str())
    }

    /// Where another digest of the same image came from, under which users had it.
    fn same_image(&self, digest: &Digest) -> Option<&'a Origin> {
        let repository = self.repository();
        let stored = self.observed.stored(&repository);
        let details = |digest: &str| {
            let of_digest = stored.iter().map(Arc::as_ref).find(|known| known.digest.as_str() == digest);
            of_digest.or_else(|| self.seen.details(&Digest::parse(digest).ok()?))
        };
        let mine = details(digest.as_str())?;
        let history = self.observed.status.history.iter().filter(|past| past.repository == repository);
        let history = history.map(|past| (&past.digest, &past.origin));
        let had = self.stable().map(|stable| (&stable.digest, &stable.origin)).into_iter().chain(history);
        let is_same = |other: &str| details(other).is_some_and(|it| it.same_images_as(mine, &self.observed.platforms));
        had.filter(|(other, origin)| *other != digest.as_str() && origin.run_id.is_some() && is_same(other))
            .map(|(_, origin)| origin)
            .next()
    }

    /// The runs of other versions.
    fn taken(&self, digest: &Digest) -> BTreeSet<String> {
        let status = &self.observed.status;
        let shown = [&status.candidate, &status.stable].into_iter().flatten();
        let shown = shown.map(|version| (&version.digest, &version.origin));
        let all = shown.chain(status.history.iter().map(|past| (&past.digest, &past.origin)));
        all.filter(|(other, _)| *other != digest.as_str()).filter_map(|(_, origin)| origin.run_id.clone()).collect()
    }

    /// A condition of this very spec.
    fn before(&self, kind: &str) -> Option<&'a Condition> {
        let status = &self.observed.status;
        find(&status.conditions, kind).filter(|_| status.observed_generation == Some(self.observed.generation))
    }

    /// The run that is to be asked for, if the image or the spec names one. What runs or ran was judged by its own run, be it
    /// under another digest: an alias may have moved on since.
    fn asked(&self, tracking: &Tracking, digest: &Digest, runs: bool) -> Option<Asked> {
        let labelled = self.labels(digest).and_then(meaning::run_id);
        let (shown, past) = (self.in_status(digest), self.past(digest));
        let same = self.same_image(digest);
        let known = [shown.map(|version| &version.origin), past.map(|past| &past.origin), same];
        let known = labelled.clone().or_else(|| known.into_iter().flatten().find_map(|origin| origin.run_id.clone()));
        let which = match &tracking.run_of {
            RunOf::ImageLabel => Which::Run(labelled.clone()?),
            _ if (runs || past.is_some() || same.is_some()) && known.is_some() => Which::Run(known?),
            RunOf::Version { model, version } => Which::Version { model: model.clone(), version: version.clone() },
            RunOf::Alias { model, alias } => Which::Alias { model: model.clone(), alias: alias.clone() },
        };
        let known = shown.and_then(|version| self.proven(version));
        Some(Asked { which, expected: labelled, taken: self.taken(digest), known })
    }

    /// What status says of the version that `RunResolved` speaks of, when that has come from MLflow, by this very spec.
    fn proven(&self, version: &Version) -> Option<Run> {
        let status = &self.observed.status;
        let subject = status.candidate.as_ref().or(status.stable.as_ref())?;
        self.before(RUN_RESOLVED).filter(|known| known.status == "True" && subject.is(version))?;
        let origin = &version.origin;
        Some(Run {
            id: origin.run_id.clone()?,
            version: origin.model_version.clone(),
            metrics: figures(&origin.metrics),
            left_out: Vec::new(),
        })
    }
}

impl View<'_> {
    /// What the candidate is judged by.
    fn known(&self, digest: &Digest) -> Known {
        let meaning = self.labels(digest).map(Meaning::of).unwrap_or_default();
        let Some(tracking) = &self.training.tracking else {
            if !meaning.metrics.is_empty() {
                return Known::Metrics { metrics: meaning.metrics, of: "by its image's labels".into() };
            }
            let fault = meaning.faults.first().map(|fault| format!(" ({fault})")).unwrap_or_default();
            return Known::Never(format!(
                "the image's labels hold no metrics{fault}; let python -m modelship_profile write them, or set \
                 spec.mlflow.trackingURI"
            ));
        };
        match self.observed.runs.get(digest.as_str()) {
            Some(Ok(run)) => Known::Metrics { metrics: run.metrics.clone(), of: format!("run {}", run.id) },
            Some(Err(problem)) if problem.reason == RUN_FAILED => Known::Never(problem.message.clone()),
            Some(Err(problem)) => Known::Awaited(problem.message.clone()),
            None if self.asked(tracking, digest, false).is_none() => Known::Never(no_run()),
            None => Known::Awaited(format!("asking {}", tracking.uri)),
        }
    }

    /// The metrics of the version that users get, or why they must be waited for.
    fn known_of_stable(&self) -> Result<Option<Metrics>, String> {
        let relative = |bounds: &Requirement| bounds.not_below_stable_by.or(bounds.not_above_stable_by).is_some();
        let Some(stable) = self.stable().filter(|_| self.training.require.iter().any(relative)) else {
            return Ok(None);
        };
        let shown = Some(figures(&stable.origin.metrics)).filter(|metrics| !metrics.is_empty());
        let digest = Digest::parse(&stable.digest).ok();
        let (Some(tracking), Some(digest)) = (&self.training.tracking, digest) else { return Ok(shown) };
        match self.observed.runs.get(digest.as_str()) {
            Some(Ok(run)) => Ok(Some(run.metrics.clone())),
            Some(Err(problem)) if problem.passes() && shown.is_none() => Err(problem.message.clone()),
            Some(Err(_)) => Ok(shown),
            None if self.asked(tracking, &digest, true).is_none() => Ok(shown),
            None => Err(format!("asking {} for the run of {}, which users get", tracking.uri, digest.short())),
        }
    }
}

fn no_run() -> String {
    format!(
        "the image does not say from which run it comes; give it the label {RUN_ID}, or name a registered model in \
         spec.mlflow.model"
    )
}

fn figures(shown: &BTreeMap<String, String>) -> Metrics {
    shown.iter().filter_map(|(name, figure)| Some((name.clone(), figure.parse().ok()?))).collect()
}

/// What MLflow is to be asked: the run of what is wanted, of what runs, and of what users get.
pub fn question(spec: &ValidSpec, seen: &Observation, observed: &Observed) -> Option<Question> {
    let view = View::of(spec, seen, observed)?;
    let tracking = view.training.tracking.as_ref()?;
    let running = observed.running(&spec.image.repository.to_string());
    let wanted = decide::target(spec, seen, observed).digest;
    let stable = view.stable().and_then(|stable| Digest::parse(&stable.digest).ok());
    let mut versions = BTreeMap::new();
    for digest in [&wanted, &running, &stable].into_iter().flatten() {
        let runs = [&running, &stable].into_iter().flatten().any(|known| known == digest);
        if let Some(asked) = view.asked(tracking, digest, runs) {
            versions.insert(digest.to_string(), asked);
        }
    }
    let (uri, secret) = (tracking.uri.clone(), tracking.secret.clone());
    Some(Question { uri, secret, generation: observed.generation, versions })
}

/// Holds a version back that has not reached what is required. Never what runs, and never what a person has pinned.
pub fn admit(
    spec: &ValidSpec,
    target: Target,
    running: Option<&Digest>,
    seen: &Observation,
    observed: &Observed,
) -> Admission {
    let view = View::of(spec, seen, observed).filter(|view| !view.training.require.is_empty());
    let Some(view) = view else { return Admission { target, held: None, accepted: None } };
    let yes = |reason: &str, words: String| Some(Judgement::new(VERSION_ACCEPTED, true, reason, words));
    let before = view.before(VERSION_ACCEPTED);
    let held = |target: Target, digest: Digest, accepted: Judgement, passing: bool| {
        let why = Unresolved { reason: accepted.reason.clone(), message: accepted.message.clone(), pending: passing };
        let target = Target { digest: running.cloned(), replaces: None, ..target };
        Admission { target, held: Some(Held { digest, why }), accepted: Some(accepted) }
    };
    // What was said of a version stands while the registry, or MLflow, has not answered a controller that has just started.
    let refused = before.filter(|before| before.status == "False").map(|before| {
        let passing = find(&observed.status.conditions, STALLED).is_none();
        (Judgement::as_before(VERSION_ACCEPTED, before), passing)
    });
    if let Some(pin) = &spec.image.pin {
        let words = format!("{} is pinned by spec.image.pin, and a person's choice is not judged", pin.short());
        return Admission { target, held: None, accepted: yes("Pinned", words) };
    }
    // The same image was judged when it was introduced.
    let judged = target.replaces != Some(Replaces::SameImage);
    let candidate = target.digest.clone().filter(|digest| judged && Some(digest) != running);
    let Some(digest) = candidate else {
        let silent = seen.latest.is_none() || target.unresolved.as_ref().is_some_and(|unresolved| unresolved.pending);
        let shown = observed.status.candidate.as_ref().and_then(|shown| Digest::parse(&shown.digest).ok());
        if let (true, Some(shown), Some((accepted, passing))) = (silent, shown, refused) {
            return held(target, shown, accepted, passing);
        }
        let accepted = running.and_then(|running| {
            let known = before.filter(|known| known.status == "True" && known.message.contains(running.short()));
            known.map(|known| Judgement::as_before(VERSION_ACCEPTED, known)).or_else(|| {
                let words =
                    format!("{} runs already; spec.mlflow.require judges the versions to come", running.short());
                yes("AlreadyRunning", words)
            })
        });
        return Admission { target, held: None, accepted };
    };
    let heard = observed.runs.get(digest.as_str());
    let had = view.past(&digest).is_some();
    let (known, stable) = (view.known(&digest), if had { Ok(None) } else { view.known_of_stable() });
    let known = match (&stable, &known) {
        (Err(why), Known::Metrics { .. }) => Known::Awaited(why.clone()),
        _ => known,
    };
    let on_its_way = heard.is_none() || stable.is_err();
    let stable = stable.ok().flatten();
    let beside = match &stable {
        _ if had => Beside::Return,
        Some(stable) => Beside::Metrics(stable),
        None => Beside::Nothing,
    };
    match gate::judge(&view.training.require, digest.short(), &known, beside) {
        Verdict::Passed(words) => Admission { target, held: None, accepted: yes(REQUIREMENTS_MET, words) },
        Verdict::Refused(words) => {
            let failed = heard.is_some_and(|heard| heard.as_ref().is_err_and(|problem| problem.reason == RUN_FAILED));
            let reason = if failed { RUN_FAILED } else { REQUIREMENT_NOT_MET };
            held(target, digest, Judgement::new(VERSION_ACCEPTED, false, reason, words), false)
        }
        Verdict::Waiting(words) => {
            let same = observed.status.candidate.as_ref().is_some_and(|shown| shown.digest == digest.as_str());
            match refused.filter(|_| on_its_way && same) {
                Some((accepted, passing)) => held(target, digest, accepted, passing),
                None => {
                    let passing = heard.is_none_or(|heard| heard.as_ref().err().is_none_or(|problem| problem.passes()));
                    let accepted = Judgement::new(VERSION_ACCEPTED, false, AWAITING_METRICS, words);
                    held(target, digest, accepted, passing)
                }
            }
        }
    }
}

/// The condition `RunResolved`, of the version that is held back or wanted.
pub fn resolved(
    spec: &ValidSpec,
    wanted: Option<&Digest>,
    seen: &Observation,
    observed: &Observed,
) -> Option<Judgement> {
    let view = View::of(spec, seen, observed)?;
    let tracking = view.training.tracking.as_ref()?;
    let not = |reason: &str, words: String| Some(Judgement::new(RUN_RESOLVED, false, reason, words));
    let before = view.before(RUN_RESOLVED);
    let as_before = |known: &Condition| Judgement::as_before(RUN_RESOLVED, known);
    let Some(digest) = wanted else { return before.map(as_before) };
    let short = digest.short();
    match observed.runs.get(digest.as_str()) {
        Some(Ok(run)) => {
            // A controller that has just started knows no more than that: the words that were found then stand.
            let known = before.filter(|known| known.status == "True" && known.message.starts_with(&from(short, run)));
            Some(known.map_or_else(|| Judgement::new(RUN_RESOLVED, true, "Resolved", told(short, run)), as_before))
        }
        Some(Err(problem)) => not(problem.reason, format!("{short}: {}", problem.message)),
        None if view.labels(digest).is_some() && view.asked(tracking, digest, false).is_none() => {
            not(NO_RUN_IN_IMAGE, format!("{short}: {}", no_run()))
        }
        None => {
            let known = before.filter(|known| known.message.contains(short)).map(as_before);
            known.or_else(|| not(ASKING, format!("{short}: asking {} for its run", tracking.uri)))
        }
    }
}

fn from(short: &str, run: &Run) -> String {
    format!("{short} comes from run {}", run.id)
}

fn told(short: &str, run: &Run) -> String {
    let version = run.version.as_ref().map(|version| format!(" (version {version})")).unwrap_or_default();
    let left_out = match run.left_out.is_empty() {
        true => String::new(),
        false => format!("; left out, since they are no finite numbers: {}", run.left_out.join(", ")),
    };
    format!("{}{version} with {} metrics{left_out}", from(short, run), run.metrics.len())
}

/// A version with what MLflow knows of it: it wins over what the image says of itself.
pub fn describe(version: Version, spec: &ValidSpec, seen: &Observation, observed: &Observed) -> Version {
    let mut known = resolve(version, spec, seen, observed);
    known.origin.metrics = cut(known.origin.metrics, spec.mlflow.as_ref());
    known
}

fn resolve(version: Version, spec: &ValidSpec, seen: &Observation, observed: &Observed) -> Version {
    let Some(view) = View::of(spec, seen, observed) else { return version };
    let Some(tracking) = &view.training.tracking else { return version };
    let uri = Some(tracking.uri.to_string());
    let mut known = version.clone();
    if let Some(Ok(run)) = observed.runs.get(&version.digest) {
        let same = || view.same_image(&Digest::parse(&version.digest).ok()?);
        let same = || same().filter(|same| same.run_id.as_ref() == Some(&run.id))?.model_version.clone();
        known.origin.run_id = Some(run.id.clone());
        known.origin.model_version = run.version.clone().or(known.origin.model_version).or_else(same);
        known.origin.metrics = run.metrics.iter().map(|(name, value)| (name.clone(), meaning::shown(*value))).collect();
        known.tracking_uri = uri;
        return known;
    }
    // Until it answers again, what it has said stands.
    let before = Digest::parse(&version.digest).ok().and_then(|digest| view.in_status(&digest));
    match before.filter(|before| before.is(&version) && before.tracking_uri == uri && before.origin.run_id.is_some()) {
        Some(before) => {
            known.origin.run_id.clone_from(&before.origin.run_id);
            known.origin.model_version.clone_from(&before.origin.model_version);
            known.origin.metrics.clone_from(&before.origin.metrics);
            Version { tracking_uri: uri, ..known }
        }
        None => version,
    }
}

/// Those that are required first, then the others by name, as far as there is room.
fn cut(mut metrics: BTreeMap<String, String>, training: Option<&Training>) -> BTreeMap<String, String> {
    let required = training.into_iter().flat_map(|training| &training.require);
    let mut shown: BTreeMap<_, _> = required.filter_map(|bounds| metrics.remove_entry(&bounds.metric)).collect();
    let room = MOST_METRICS.saturating_sub(shown.len());
    shown.extend(metrics.into_iter().filter(|(name, _)| name.len() <= LONGEST_NAME).take(room));
    shown
}

#[cfg(test)]
#[path = "tests/training.rs"]
mod tests;
