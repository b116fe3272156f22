use super::*;

const RECEIVER: &str = "cellar/grape-scorer/email";

fn seen(receivers: &[&str], status: Value) -> Seen {
    let receivers: Vec<Value> = receivers.iter().map(|name| json!({"name": name})).collect();
    Seen::of(&json!({"labels": {}, "receivers": receivers, "status": status}))
}

#[test]
fn the_alert_carries_what_routes_and_mails_need() {
    let owner = Owner { namespace: "cellar".into(), name: "grape-scorer".into(), uid: String::new() };
    let (since, until) = (Timestamp::from_second(60).unwrap(), Timestamp::from_second(300).unwrap());
    let made = alert(&owner, "1", true, since, until);
    let labels = json!({"alertname": "ModelshipTest", "namespace": "cellar", "model": "grape-scorer", "severity": "info", "test": "1"});
    assert_eq!(made["labels"], labels);
    for name in ["summary", "description", "runbook_url", "dashboard"] {
        assert!(made["annotations"][name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {made}");
    }
    assert_eq!((&made["startsAt"], &made["endsAt"]), (&json!("1970-01-01T00:01:00Z"), &json!("1970-01-01T00:05:00Z")));
    assert_eq!(alert(&owner, "1", false, since, until)["annotations"].get("dashboard"), None);
}

#[test]
fn an_alert_that_goes_elsewhere_or_is_held_back_is_told() {
    let active = json!({"state": "active"});
    assert_eq!(seen(&["null", RECEIVER], active.clone()).judge(RECEIVER), Some(Ok(())));
    assert_eq!(seen(&[RECEIVER], json!({"state": "unprocessed"})).judge(RECEIVER), None);
    for (receivers, status, words) in [
        (&["null"][..], active, "sends the alert to null, and not to cellar/grape-scorer/email"),
        (&[RECEIVER], json!({"state": "suppressed", "silencedBy": ["5d4a"]}), "is silenced (by 5d4a)"),
        (&[RECEIVER], json!({"state": "suppressed", "silencedBy": [], "inhibitedBy": ["1"]}), "is inhibited"),
        (&[RECEIVER], json!({"state": "suppressed", "mutedBy": ["nights"]}), "is muted at this time"),
    ] {
        let trouble = seen(receivers, status).judge(RECEIVER).unwrap().unwrap_err();
        assert!(trouble.words.contains(words), "{trouble:?}");
    }
}
