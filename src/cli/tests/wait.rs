use clap::Parser as _;
use futures::stream;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::{verdict::verdict, *};

const OURS: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    wait: Arguments,
}

fn arguments(line: &[&str]) -> Result<Arguments, clap::Error> {
    Line::try_parse_from([&["wait"], line].concat()).map(|line| line.wait)
}

fn rows() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../tests/vectors/verdicts.json")).unwrap()
}

fn model(when: &str) -> StoredModelDeployment {
    let row = rows().into_iter().find(|row| row["when"] == when).unwrap();
    serde_json::from_value(row["deployment"].clone()).unwrap()
}

fn changed(when: &str, change: impl FnOnce(&mut Value)) -> StoredModelDeployment {
    let mut model = json!(model(when));
    change(&mut model);
    serde_json::from_value(model).unwrap()
}

#[test]
fn the_verdict_on_a_digest_is_the_one_of_the_workflow_s_script() {
    for row in rows() {
        let model = serde_json::from_value(row["deployment"].clone()).unwrap();
        let digest = Digest::parse(row["digest"].as_str().unwrap()).unwrap();
        let told = verdict(&model, &Wanted::Digest(&digest)).to_string();
        assert_eq!((&row["when"], told.as_str()), (&row["when"], row["verdict"].as_str().unwrap()));
    }
}

#[test]
fn what_the_spec_asks_for_serves_only_when_it_was_seen_and_is_there_completely() {
    let told = |model: &StoredModelDeployment| verdict(model, &Wanted::Current).to_string();
    assert_eq!(told(&model("users get it")), "serving");
    let unseen = changed("users get it", |model| model["metadata"]["generation"] = json!(2));
    assert!(told(&unseen).starts_with("waiting the cluster has not seen it yet"), "{}", told(&unseen));
    let rolling = model("users get it while a newer one is on its way");
    assert!(told(&rolling).starts_with("waiting it is being introduced (RollingOut"), "{}", told(&rolling));
    // A change of the spec without a new version: the pods before it answer.
    let same_version = changed("users get it while a newer one is on its way", |model| {
        model["status"]["candidate"].take();
    });
    assert!(told(&same_version).starts_with("waiting it is being introduced (RollingOut"), "{}", told(&same_version));
    let stuck = model("it is stuck, and the one before it serves");
    assert!(told(&stuck).starts_with("refused CrashLooping"), "{}", told(&stuck));
}

#[test]
fn a_change_of_the_spec_is_waited_for_whatever_the_status_said_before_it() {
    let changed_since = |when: &str, image: Value| {
        changed(when, |model| {
            model["metadata"]["generation"] = json!(2);
            model["spec"]["image"].as_object_mut().unwrap().extend(image.as_object().unwrap().clone());
        })
    };
    let pinned = json!({"pin": format!("sha256:{}", "b".repeat(64))});
    for (when, image) in [
        ("no version of a wrong spec is introduced", json!({})),
        ("it is stuck, and the one before it serves", json!({})),
        ("its training was not good enough, and the one before it serves", json!({})),
        ("new versions are not taken", json!({})),
        ("it is pinned to another digest", json!({})),
        ("users get it", json!({"autoUpdate": false})),
        ("the push was not seen yet", pinned),
    ] {
        for wanted in [Wanted::Current, Wanted::Tag("latest"), Wanted::Commit("4f67834")] {
            let told = verdict(&changed_since(when, image.clone()), &wanted).to_string();
            assert!(told.ends_with("(the changed spec has not been looked at yet)"), "{when}, {wanted}: {told}");
        }
    }
}

#[test]
fn what_a_pin_names_and_what_runs_without_updates_is_the_version_of_the_spec() {
    let told = |when: &str| verdict(&model(when), &Wanted::Current).to_string();
    assert_eq!(told("it is pinned to another digest"), "serving");
    assert_eq!(told("new versions are not taken"), "serving");
}

#[test]
fn a_tag_is_there_when_what_serves_came_from_it() {
    let told = |model: &StoredModelDeployment| verdict(model, &Wanted::Tag("v2")).to_string();
    let of_tag = |tag: &'static str| changed("users get it", |model| model["status"]["stable"]["tag"] = json!(tag));
    assert_eq!(told(&of_tag("v2")), "serving");
    assert!(told(&of_tag("v1")).starts_with("waiting the cluster has not seen it yet"));
}

#[test]
fn a_commit_is_known_by_the_labels_of_its_image() {
    let told = |model: &StoredModelDeployment| verdict(model, &Wanted::Commit("4f67834")).to_string();
    let of_commit = |when: &str, version: &str, commit: &str| {
        changed(when, |model| model["status"][version]["revision"] = json!(commit))
    };
    let ours = "4f67834c0ffee4f67834c0ffee4f67834c0ffee0";
    assert_eq!(told(&of_commit("users get it", "stable", ours)), "serving");
    let coming = of_commit("it is being introduced", "candidate", ours);
    assert!(told(&coming).starts_with("waiting it is being introduced"), "{}", told(&coming));
    let other = of_commit("users get it", "stable", "0000000c0ffee");
    assert!(told(&other).starts_with("waiting the cluster has not seen it yet"), "{}", told(&other));
    assert!(told(&model("users get it")).starts_with("waiting the cluster has not seen it yet"), "it has no labels");
    let pinned = model("it is pinned to another digest");
    assert!(told(&pinned).starts_with("refused it is pinned to"), "{}", told(&pinned));
    for wrong in ["4f6783", "HEAD~1-4f67834"] {
        let refused = arguments(&["iris", "--commit", wrong]).unwrap_err().to_string();
        assert!(refused.contains("seven at the least"), "{refused}");
    }
}

/// Waits for our digest, with the time standing still but for the wait's own.
async fn waited(seen: Vec<Result<Option<StoredModelDeployment>, String>>) -> (Result<End, String>, Vec<String>) {
    let digest = Digest::parse(OURS).unwrap();
    let (end, said) = waited_for(&Wanted::Digest(&digest), seen).await;
    (end.map(|end| end.expect("the digest itself is waited for")), said)
}

async fn waited_for(
    wanted: &Wanted<'_>,
    seen: Vec<Result<Option<StoredModelDeployment>, String>>,
) -> (Result<Option<End>, String>, Vec<String>) {
    let said = std::sync::Mutex::new(Vec::new());
    let patience = Patience { begun: Instant::now(), asked: Some(Duration::from_secs(60)) };
    let seen = stream::iter(seen).chain(stream::pending());
    let end = wait(seen, wanted, &patience, |words| said.lock().unwrap().push(words.to_owned())).await;
    (end, said.into_inner().unwrap())
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_it_waits_for_once_and_ends_with_the_verdict() {
    let coming = || Ok(Some(model("it is being introduced")));
    let (end, said) = waited(vec![
        Ok(Some(model("the push was not seen yet"))),
        coming(),
        coming(),
        Ok(None),
        coming(),
        Ok(Some(model("users get it"))),
    ])
    .await;
    assert_eq!(end, Ok(End::Serving(OURS.into())));
    let told: Vec<&str> = said.iter().map(|words| words.split(" (").next().unwrap()).collect();
    assert_eq!(
        told,
        [
            "the cluster has not seen it yet",
            "it is being introduced",
            "the cluster does not answer",
            "it is being introduced"
        ]
    );
    let (end, _) = waited(vec![coming(), Ok(Some(model("it is stuck, and the one before it serves")))]).await;
    assert_eq!(end, Ok(End::Refused("CrashLooping: the model's container ends with exit code 1".into())));
}

#[tokio::test(start_paused = true)]
async fn when_the_time_is_up_it_says_what_was_missing() {
    let (end, _) = waited(vec![Ok(Some(model("the push was not seen yet")))]).await;
    let words = "the cluster has not seen it yet (Serving: the wanted version serves)";
    assert_eq!(end, Ok(End::TimeUp(words.into(), Duration::from_secs(60))));
    let (end, _) = waited(vec![]).await;
    assert_eq!(end, Ok(End::TimeUp("the cluster does not answer".into(), Duration::from_secs(60))));
}

#[tokio::test(start_paused = true)]
async fn a_push_that_is_overtaken_is_not_waited_for_until_the_time_is_up() {
    let digest = Digest::parse(OURS).unwrap();
    let held = Held { digest: digest.clone(), name: "alice/iris:latest".into() };
    let before = || Ok(Some(model("the push was not seen yet")));
    let newer = |ready: &str| {
        Ok(Some(changed("the push was not seen yet", |model| {
            model["status"]["stable"]["digest"] = json!(format!("sha256:{}", "c".repeat(64)));
            model["status"]["conditions"][0]["status"] = json!(ready);
        })))
    };
    let (end, _) = waited_for(&Wanted::Held(&held), vec![before(), newer("True")]).await;
    assert_eq!(end, Ok(None));
    for (wanted, seen) in [
        (Wanted::Held(&held), vec![before(), before()]),
        (Wanted::Held(&held), vec![before(), newer("False")]),
        (Wanted::Digest(&digest), vec![before(), newer("True")]),
    ] {
        let (end, _) = waited_for(&wanted, seen).await;
        assert!(matches!(end, Ok(Some(End::TimeUp(..)))), "{end:?}");
    }
}

#[test]
fn each_end_has_an_exit_code_of_its_own() {
    let arguments = arguments(&["iris", "--digest", OURS, "--timeout", "90s"]).unwrap();
    let told = |end: End| {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let code = end.tell("iris", arguments.wanted(None), &mut out, &mut notes);
        (code, String::from_utf8([out, notes].concat()).unwrap())
    };
    assert_eq!(told(End::Serving(OURS.into())), (0, format!("modeldeployment.modelship.dev/iris serves {OURS}\n")));
    let refused = format!("modelship: iris does not get {OURS}: it is so\n");
    assert_eq!(told(End::Refused("it is so".into())), (1, refused));
    let late = format!("modelship: after 90s, iris does not serve {OURS}: not yet\n");
    assert_eq!(told(End::TimeUp("not yet".into(), Duration::from_secs(90))), (3, late));
}

#[test]
fn a_wrong_digest_and_two_names_for_a_version_are_refused() {
    assert!(arguments(&["iris", "--digest", "latest"]).unwrap_err().to_string().contains("sha256"));
    assert!(arguments(&["iris", "--digest", OURS, "--tag", "v1"]).is_err());
    assert!(arguments(&[]).is_err());
}

#[test]
fn rights_that_lack_and_a_model_that_is_not_there_end_the_wait_at_once() {
    let failed = |code: u16| {
        let status =
            serde_json::from_value(json!({"status": "Failure", "code": code, "message": "no", "reason": "no"}));
        lasting(&watcher::Error::InitialListFailed(kube::Error::Api(status.unwrap())), "models", "iris")
    };
    assert!(failed(403).unwrap().contains("may not list and watch modeldeployments.modelship.dev"));
    assert!(failed(404).unwrap().contains("knows no ModelDeployments"));
    assert_eq!(failed(500), None);
}

#[test]
fn without_a_time_it_waits_until_the_push_is_noticed_and_the_roll_out_s_deadline_has_passed() {
    let patience = |asked: Option<u64>| Patience { begun: Instant::now(), asked: asked.map(Duration::from_secs) };
    let minutes = |model: Option<&StoredModelDeployment>| patience(None).by(model).as_secs() / 60;
    let usual = model("the push was not seen yet");
    assert_eq!((minutes(None), minutes(Some(&usual))), (15, 1 + 10 + 2), "its crash loop ends first");
    let slow = changed("the push was not seen yet", |model| {
        model["spec"]["rollout"] = json!({"deadline": "30m"});
        model["spec"]["image"]["pollInterval"] = json!("1h");
    });
    assert_eq!(minutes(Some(&slow)), 60 + 30 + 2);
    let wrong = changed("the push was not seen yet", |model| model["spec"]["image"]["pin"] = json!("x"));
    assert_eq!(minutes(Some(&wrong)), 15);
    assert_eq!(patience(Some(90)).by(Some(&slow)), Duration::from_secs(90));
}

#[test]
fn a_push_that_is_not_taken_is_no_version_of_the_spec_that_serves() {
    let refused = model("it is for no node of the cluster");
    for wanted in [Wanted::Current, Wanted::Digest(&Digest::parse(OURS).unwrap())] {
        let told = verdict(&refused, &wanted).to_string();
        assert!(told.starts_with("refused NoMatchingPlatform: "), "{told}");
    }
    let told = verdict(&refused, &Wanted::Commit("4f67834")).to_string();
    assert!(told.starts_with("waiting the cluster has not seen it yet (NoMatchingPlatform: "), "{told}");
}

#[test]
fn what_the_spec_asks_for_is_told_by_its_digest() {
    let arguments = arguments(&["iris"]).unwrap();
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    assert_eq!(End::Serving(OURS.into()).tell("iris", arguments.wanted(None), &mut out, &mut notes), 0);
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out, format!("modeldeployment.modelship.dev/iris serves the version of its spec: {OURS}\n"));
    assert!(String::from_utf8(notes).unwrap().contains("--digest"), "a push may not have been seen yet");
}

#[test]
fn what_the_registry_says_that_the_tag_holds_is_waited_for_under_the_spec_as_it_is_now() {
    let held = Held { digest: Digest::parse(OURS).unwrap(), name: "alice/iris:latest".into() };
    let told = |model: &StoredModelDeployment| judged(model, &Wanted::Held(&held)).to_string();
    assert_eq!(told(&model("users get it")), "serving");
    let before = told(&model("the push was not seen yet"));
    assert!(before.starts_with("waiting the cluster has not seen it yet"), "the version before serves: {before}");
    assert!(told(&model("it is being introduced")).starts_with("waiting it is being introduced"));
    assert_eq!(told(&model("users get it while a newer one is on its way")), "serving");
    let refused = told(&model("it is for no node of the cluster"));
    assert!(refused.starts_with("refused NoMatchingPlatform: "), "{refused}");
    // The image is the same, and the pods are not yet as the spec says.
    let unseen = changed("users get it", |model| model["metadata"]["generation"] = json!(2));
    assert!(told(&unseen).ends_with("(the changed spec has not been looked at yet)"), "{}", told(&unseen));
    let rolling = changed("users get it while a newer one is on its way", |model| {
        model["status"]["candidate"].take();
    });
    assert!(told(&rolling).starts_with("waiting it is being introduced (RollingOut"), "{}", told(&rolling));
}

#[test]
fn where_the_registry_was_asked_its_word_is_told_and_that_a_mirror_may_hold_another() {
    let (arguments, digest) = (arguments(&["iris"]).unwrap(), Digest::parse(OURS).unwrap());
    let held = Held { digest, name: "alice/iris:latest".into() };
    let told = |end: End| {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let code = end.tell("iris", arguments.wanted(Some(&held)), &mut out, &mut notes);
        (code, String::from_utf8([out, notes].concat()).unwrap())
    };
    let serves = format!("modeldeployment.modelship.dev/iris serves {OURS}, which alice/iris:latest holds\n");
    assert_eq!(told(End::Serving(OURS.into())), (0, serves));
    let (code, late) = told(End::TimeUp("not yet".into(), Duration::from_secs(90)));
    assert!(code == 3 && late.contains("where the cluster asks a mirror"), "{late}");
    // Who names a version means that one.
    let named = self::arguments(&["iris", "--tag", "v1"]).unwrap();
    assert_eq!(named.wanted(Some(&held)).to_string(), "the tag v1");
}
