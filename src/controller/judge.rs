//! Conditions from what is known: the truth table. Pure.
//!
//! | situation | Ready | Available | Progressing | ImageResolved | Reconciling | Stalled |
//! |---|---|---|---|---|---|---|
//! | first pull | False | False | True | True | True | – |
//! | serving | True | True | False | True | – | – |
//! | rolling, old still serving | False | True | True | True | True | – |
//! | stuck or failed, old serving | False | True | False | True | – | True |
//! | registry down, serving | True | True | False | False | – | – |
//! | pinned / autoUpdate off, serving | True | True | False | True | – | – |
//! | spec invalid | False | as it serves | False | as known | – | True |
//! | pods refused | False | as it serves | False | True | – | True |
//! | newest version held back, old serving | True | True | False | True | – | – |
//! | newest version refused, nothing runs | False | False | False | True | – | True |
//! | newest version awaits metrics, nothing runs | False | False | True | True | True | – |

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::apply::Obstacle;
use crate::{
    api::{
        Invalid,
        conditions::{
            AVAILABLE, IMAGE_PULLABLE, IMAGE_RESOLVED, INVALID_SPEC, Judgement, MONITORING_READY, PROGRESSING, READY,
            RECONCILING, SPEC_IN_EFFECT, STALLED,
        },
        spec::Strategy,
        valid::{Scale, ValidSpec},
    },
    images::{Digest, problem::reason},
    monitoring::{Bundle, bundle::Expectation, surroundings::Proof, verdict::OPERATOR_NOT_SCRAPED},
    rollout::{DeploymentFacts, PodFacts, Progress, Unresolved, progress, target::NO_MATCHING_PLATFORM},
};

/// All that conditions are judged by.
pub struct Situation<'a> {
    pub spec: &'a ValidSpec,
    /// The wanted image, if known.
    pub wanted: Option<&'a str>,
    pub progress: &'a Progress,
    pub deployment: Option<&'a DeploymentFacts>,
    pub pods: &'a [PodFacts],
    pub obstacles: &'a [Obstacle],
    /// The users' Service does not lead to the pods.
    pub cut_off: bool,
    /// The registry's answer to a tag that was not resolved before: what runs is not yet, or not at all, what is wanted. Or
    /// why the only version that there is may not run.
    pub awaited: Option<&'a Unresolved>,
    /// What the registry says of the image.
    pub resolved: Judgement,
    pub pullable: Option<bool>,
    /// What the tag holds, where that is another version than the wanted one.
    pub newer: Option<&'a Digest>,
    /// What the tag holds, where that is the same image as the wanted one, which is lost, under another digest.
    pub same: Option<&'a Digest>,
    /// What is wanted is the same image as what users get, under another digest.
    pub is_same: bool,
    /// A newer version may not run, for what is known of its training.
    pub held: bool,
    /// What `Ready` says of this very spec already, while the registry has not said yet what the tag holds.
    pub unheard: Option<&'a Condition>,
}

/// How `Ready` begins while the wanted version serves: what keeps a newer one from taking its place follows.
pub const SERVES: &str = "the wanted version serves";
/// `spec.image.pin` keeps newer versions out.
pub const PINNED: &str = "Pinned";
/// `spec.image.autoUpdate: false` keeps newer versions out.
pub const UPDATES_OFF: &str = "UpdatesOff";

/// The registry no longer has the digest that runs.
const COLLECTED: &str = "DigestCollected";
/// What runs makes room for the same image under another digest.
pub const SAME_IMAGE: &str = "SameImage";

/// Nothing answers because one version makes room for the next, as the spec asks: nobody needs to be warned.
pub const RECREATING: &str = "Recreating";

/// How the way to the spec stands.
enum Way {
    /// Arrived.
    There,
    /// Under way, nothing to do for anybody.
    Going,
    /// Somebody has to do something.
    Stuck,
}

/// Conditions of a spec that is wrong. What serves goes on serving.
pub fn invalid(
    faults: &[Invalid],
    deployment: Option<&DeploymentFacts>,
    resolved: Option<Judgement>,
) -> Vec<Judgement> {
    let words = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let ready = Judgement::new(READY, false, INVALID_SPEC, words);
    let mut judgements =
        vec![ready.clone(), availability(deployment, nothing_answers()), ready.also(PROGRESSING, false)];
    judgements.extend(resolved);
    judgements.push(ready.also(STALLED, true));
    judgements
}

/// Conditions of a valid spec.
pub fn judge(situation: &Situation) -> Vec<Judgement> {
    let (ready, way) = ready(situation);
    let progressing = match way {
        Way::Going => ready.also(PROGRESSING, true),
        Way::There => Judgement::new(PROGRESSING, false, "Complete", "the wanted version is introduced"),
        Way::Stuck => ready.also(PROGRESSING, false),
    };
    let mut judgements =
        vec![ready.clone(), scalable(situation, available(situation, &way)), progressing, situation.resolved.clone()];
    judgements.extend(unpullable(situation));
    match way {
        Way::There => {}
        Way::Going => judgements.push(ready.also(RECONCILING, true)),
        Way::Stuck => judgements.push(ready.also(STALLED, true)),
    }
    judgements
}

/// That no further replica could be started, or that one cannot. A version on its way is what `Ready` speaks of.
fn unpullable(situation: &Situation) -> Option<Judgement> {
    let serves = *situation.progress == Progress::Complete && situation.deployment.is_some_and(|it| it.available > 0);
    let wanted = situation.wanted.filter(|_| serves);
    let waits = wanted.and_then(|wanted| progress::unpulled(situation.spec, wanted, situation.pods));
    let no =
        |reason: &str, words: String| Some(Judgement::new(IMAGE_PULLABLE, false, reason, words + &lost(situation)));
    match waits {
        Some(why) => no(why.reason, format!("a replica cannot be started: {}", why.message)),
        None if situation.pullable == Some(false) => {
            no(COLLECTED, "the registry no longer has the digest that runs: a new node could not pull it".to_owned())
        }
        None => None,
    }
}

/// What becomes of a digest that is lost.
fn lost(situation: &Situation) -> String {
    let image = &situation.spec.image;
    match situation.same.map(Digest::short) {
        None if situation.pullable == Some(false) => "; push the image again or keep a tag on it".to_owned(),
        None => String::new(),
        Some(same) if !image.auto_update => {
            format!(
                "; the tag {} holds the same image as {same}, which spec.image.autoUpdate: false keeps out",
                image.tag
            )
        }
        Some(same) if situation.spec.strategy == Strategy::Recreate => format!(
            "; the tag {} holds the same image as {same}, which takes its place once no replica answers (spec.rollout.strategy \
             Recreate)",
            image.tag
        ),
        Some(same) => format!(
            "; the tag {} holds the same image as {same}, which takes its place: one model after another",
            image.tag
        ),
    }
}

fn ready(situation: &Situation) -> (Judgement, Way) {
    let not = |reason: &str, message: &str| Judgement::new(READY, false, reason, message);
    if let Some(obstacle) = situation.obstacles.first() {
        let way = if obstacle.passing { Way::Going } else { Way::Stuck };
        let words: Vec<&str> = situation.obstacles.iter().map(|obstacle| obstacle.message.as_str()).collect();
        return (not(obstacle.reason, &words.join("; ")), way);
    }
    if let Some(unresolved) = situation.awaited {
        let way = if passes(unresolved) { Way::Going } else { Way::Stuck };
        return (not(&unresolved.reason, &unresolved.message), way);
    }
    let Some(wanted) = situation.wanted else {
        return (not("Resolving", "the image is being resolved"), Way::Going);
    };
    match situation.progress {
        Progress::NotStarted => (starting(situation), Way::Going),
        Progress::Rolling { why: Some(why) } => (not(why.reason, &why.message), Way::Going),
        Progress::Rolling { why: None } => (starting(situation), Way::Going),
        Progress::Stuck(why) | Progress::Refused(why) => (not(why.reason, &why.message), Way::Stuck),
        Progress::Complete => complete(situation, wanted),
    }
}

fn starting(situation: &Situation) -> Judgement {
    let serves = situation.deployment.is_some_and(|facts| facts.available > 0);
    match serves {
        true if situation.is_same => Judgement::new(
            READY,
            false,
            SAME_IMAGE,
            "the same image starts under the digest that the tag holds now; what runs can no longer be pulled, and serves meanwhile",
        ),
        true if situation.spec.strategy == Strategy::Recreate => {
            Judgement::new(READY, false, "RollingOut", "the wanted version starts once the one before it has stopped")
        }
        true => Judgement::new(READY, false, "RollingOut", "the wanted version is starting; the one before it serves"),
        false => Judgement::new(READY, false, "Deploying", "the wanted version is starting"),
    }
}

fn complete(situation: &Situation, wanted: &str) -> (Judgement, Way) {
    let yes = |reason: &str, message: &str| Judgement::new(READY, true, reason, message);
    let (available, asked) = situation.deployment.map_or((0, 1), |facts| (facts.available, facts.wanted));
    if asked == 0 {
        return (yes("ScaledToZero", "the wanted version is introduced and scaled to zero, as asked"), Way::There);
    }
    if available > 0 {
        return (serving(situation), Way::There);
    }
    match progress::trouble(situation.spec, wanted, situation.pods) {
        Some(why) => (Judgement::new(READY, false, why.reason, why.message), Way::Stuck),
        None => (Judgement::new(READY, false, "Unavailable", "no replica answers at the moment"), Way::Going),
    }
}

/// What serves, and what keeps a newer version from taking its place: else nobody would look for it.
fn serving(situation: &Situation) -> Judgement {
    let image = &situation.spec.image;
    let refused =
        Some(&situation.resolved).filter(|said| said.holds == Some(false) && said.reason == NO_MATCHING_PLATFORM);
    let (reason, more) = match (&image.pin, &situation.newer) {
        (Some(_), _) => (PINNED, "; spec.image.pin keeps every push out".to_owned()),
        (None, Some(newer)) if !image.auto_update => (
            UPDATES_OFF,
            format!("; the tag {} holds {}, which spec.image.autoUpdate: false keeps out", image.tag, newer.short()),
        ),
        (None, None) if !image.auto_update => {
            // A controller that has just started would take back what is known, and tell it once more.
            if let Some(known) = situation.unheard.filter(|known| known.reason == UPDATES_OFF) {
                return Judgement::as_before(READY, known);
            }
            (UPDATES_OFF, "; spec.image.autoUpdate: false keeps every push out".to_owned())
        }
        _ if refused.is_some() => ("Serving", "; the newest push is not taken, as ImageResolved says".to_owned()),
        _ if unpullable(situation).is_some() => {
            ("Serving", "; a further replica could not pull it, as ImagePullable says".to_owned())
        }
        _ if situation.held => ("Serving", "; a newer one is held back, as VersionAccepted says".to_owned()),
        _ => ("Serving", String::new()),
    };
    Judgement::new(READY, true, reason, format!("{SERVES}{more}"))
}

fn available(situation: &Situation, way: &Way) -> Judgement {
    let going = matches!(way, Way::Going) && matches!(situation.progress, Progress::Rolling { .. });
    match situation.deployment {
        Some(facts) if situation.cut_off && facts.available > 0 => {
            let words = "replicas answer, but the model's Service does not lead to them; the condition Ready says why";
            Judgement::new(AVAILABLE, false, "NoEndpoints", words)
        }
        // It is being written in this very turn, and has nothing to show yet.
        None if situation.wanted.is_some() && situation.obstacles.is_empty() => nothing_answers(),
        Some(_) if going && situation.spec.strategy == Strategy::Recreate => {
            let words = "the version before has stopped to make room, as spec.rollout.strategy Recreate asks";
            availability(situation.deployment, Judgement::new(AVAILABLE, false, RECREATING, words))
        }
        deployment => availability(deployment, nothing_answers()),
    }
}

/// Where nobody in the spec decides the number, an autoscaler may, and must know of what.
fn scalable(situation: &Situation, available: Judgement) -> Judgement {
    const WHAT: &str =
        "an HPA or KEDA may scale the Deployment of this name; to scale the ModelDeployment, set spec.replicas";
    match situation.spec.scale {
        Scale::Unset if available.holds == Some(true) => {
            Judgement { message: format!("{}; {WHAT}", available.message), ..available }
        }
        _ => available,
    }
}

fn nothing_answers() -> Judgement {
    Judgement::new(AVAILABLE, false, "Unavailable", "no replica answers")
}

fn availability(deployment: Option<&DeploymentFacts>, silence: Judgement) -> Judgement {
    match deployment {
        Some(facts) if facts.available > 0 => {
            Judgement::new(AVAILABLE, true, "Available", "at least one replica answers")
        }
        Some(facts) if facts.wanted == 0 => {
            Judgement::new(AVAILABLE, false, "ScaledToZero", "scaled to zero, as asked")
        }
        Some(_) => silence,
        None => Judgement::new(AVAILABLE, false, "NotDeployed", "nothing is deployed yet"),
    }
}

/// What the registry says of the image, what is wrong with its labels, and which nodes cannot run it.
pub fn resolved(
    unresolved: Option<&Unresolved>,
    wanted: Option<&Digest>,
    faults: &[String],
    misplaced: Option<&str>,
) -> Judgement {
    match (unresolved, wanted) {
        (Some(unresolved), _) => Judgement::new(IMAGE_RESOLVED, false, &unresolved.reason, &unresolved.message),
        (None, Some(digest)) => {
            let mut words = format!("the wanted version is {digest}");
            if !faults.is_empty() {
                words += &format!("; not all that its image says of it counts: {}", faults.join("; "));
            }
            if let Some(misplaced) = misplaced {
                words += &format!("; {misplaced}");
            }
            Judgement::new(IMAGE_RESOLVED, true, "Resolved", words)
        }
        (None, None) => Judgement::new(IMAGE_RESOLVED, false, "Resolving", "the image is being resolved"),
    }
}

const PICKED_UP: &str = "PickedUp";
/// Reasons that only Prometheus itself can tell.
const PROVEN: [&str; 5] = [PICKED_UP, "NotScraped", "ScrapeFails", "NotEvaluated", OPERATOR_NOT_SCRAPED];

/// A controller that starts next knows by these words alone that somebody else scrapes.
fn told<'a>(messages: impl Iterator<Item = &'a String>, bundle: &'a Bundle) -> String {
    messages.chain(&bundle.elsewhere).map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// Whether the model's monitoring is there and picked up. While that is not known, what was known before stands.
pub fn monitored(bundle: &Bundle, obstacles: &[Obstacle], before: Option<&Condition>) -> Option<Judgement> {
    let not = |reason: &str, words: String| Some(Judgement::new(MONITORING_READY, false, reason, words));
    let shortcomings = bundle.shortcomings.iter().map(|shortcoming| (shortcoming.reason, &shortcoming.message));
    let in_the_way: Vec<(&str, &String)> =
        shortcomings.chain(obstacles.iter().map(|obstacle| (obstacle.reason, &obstacle.message))).collect();
    let as_before = |known: &Condition| Judgement::as_before(MONITORING_READY, known);
    if bundle.pending {
        return before.map(as_before);
    }
    if let Some((reason, _)) = in_the_way.first() {
        return not(reason, told(in_the_way.iter().map(|(_, message)| *message), bundle));
    }
    // A controller that has just started has asked nobody yet: what Prometheus said last stands.
    // And where there is nothing that it could be asked, nothing was said.
    let awaited = bundle.proof == Proof::Awaited && bundle.expectation != Expectation::default();
    let wanted = |reason: &str| reason != OPERATOR_NOT_SCRAPED || bundle.expectation.told;
    let said = before.filter(|known| awaited && PROVEN.contains(&known.reason.as_str()) && wanted(&known.reason));
    Some(match said {
        Some(known) if known.status == "False" => as_before(known),
        _ if !bundle.unverified.is_empty() => {
            Judgement::new(MONITORING_READY, None, "Unverified", told(bundle.unverified.iter(), bundle))
        }
        Some(_) => Judgement::new(MONITORING_READY, true, PICKED_UP, &bundle.seen),
        None if bundle.proof == Proof::Seen => Judgement::new(MONITORING_READY, true, PICKED_UP, &bundle.seen),
        None => Judgement::new(MONITORING_READY, true, "Selected", &bundle.words),
    })
}

/// What the spec says without effect; `None` where all of it has one. `completed` is the spec with what the version says itself,
/// once there is one; `unscaled` is why its autoscaler does not scale.
pub fn in_effect(spec: &ValidSpec, completed: Option<&ValidSpec>, unscaled: Option<&str>) -> Option<Judgement> {
    let drift = spec.monitoring.as_ref().is_some_and(|monitoring| monitoring.alerts.drift.said);
    let compared = completed.is_none_or(|completed| !completed.predictions["reference"].is_null());
    let without = "spec.monitoring.alerts.drift: there is nothing to compare predictions with; set spec.predictions.reference, \
                   or let modelship-profile write it into the image";
    let idle = spec.idle.iter().map(String::as_str).chain((drift && !compared).then_some(without));
    let words = idle.chain(unscaled).collect::<Vec<_>>().join("; ");
    (!words.is_empty()).then(|| Judgement::new(SPEC_IN_EFFECT, false, "WithoutEffect", words))
}

/// Whether time alone may help.
fn passes(unresolved: &Unresolved) -> bool {
    unresolved.pending || reason::away(&unresolved.reason) || unresolved.reason == reason::PULL_SECRET_UNAVAILABLE
}

#[cfg(test)]
#[path = "tests/judge.rs"]
mod tests;
