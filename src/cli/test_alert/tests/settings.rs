use serde_json::json;

use super::*;

fn model(spec: Value, conditions: Value) -> StoredModelDeployment {
    serde_json::from_value(json!({
        "apiVersion": "modelship.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"namespace": "cellar", "name": "grape-scorer", "generation": 3},
        "spec": spec, "status": {"conditions": conditions},
    }))
    .unwrap()
}

fn monitoring_ready(status: &str, reason: &str, generation: i64) -> Value {
    json!([{"type": "MonitoringReady", "status": status, "reason": reason, "message": "so it is",
        "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"}])
}

#[test]
fn whoever_asks_for_no_mail_is_told_how_to() {
    let to = json!({"monitoring": {"email": {"to": ["a@example.org", "b@example.org"]}}});
    assert_eq!(recipients(&model(to, json!([]))).unwrap(), "a@example.org, b@example.org");
    for (spec, words) in [
        (json!({}), "cellar/grape-scorer asks for no e-mail"),
        (json!({"monitoring": {"email": {"to": []}}}), "asks for no e-mail"),
        (json!({"monitoring": {"enabled": false, "email": {"to": ["a@example.org"]}}}), "is not monitored"),
    ] {
        let trouble = recipients(&model(spec, json!([]))).unwrap_err();
        assert!(trouble.words.contains(words) && trouble.remedy.contains("monitoring"), "{trouble:?}");
    }
}

#[test]
fn only_a_condition_about_the_mail_itself_ends_the_way() {
    for (conditions, verdict) in [
        (monitoring_ready("True", "PickedUp", 3), "Good"),
        (monitoring_ready("True", "PickedUp", 2), "Doubtful"),
        (monitoring_ready("False", "NotScraped", 3), "Doubtful"),
        (monitoring_ready("False", "EmailSecretMissing", 3), "Trouble"),
        (json!([]), "Doubtful"),
    ] {
        let said = match condition(&model(json!({}), conditions.clone())) {
            Ok(finding) => format!("{finding:?}"),
            Err(trouble) => format!("{trouble:?}"),
        };
        assert!(said.starts_with(verdict), "{conditions}: {said}");
        assert!(said.contains("so it is") || conditions == json!([]), "{said}");
    }
}

fn config(spec: Value) -> DynamicObject {
    let metadata = json!({"namespace": "cellar", "name": "grape-scorer", "labels": {"release": "kps"}});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

#[test]
fn an_alertmanagerconfig_is_told_without_anything_secret() {
    let settings = Settings::of(&config(json!({
        "route": {"receiver": "email", "groupWait": "10s", "groupInterval": "1m"},
        "receivers": [{"name": "email", "emailConfigs": [{
            "to": "team@example.org", "from": "m@example.org", "smarthost": "smtp.example.org:587",
            "authUsername": "alice", "authPassword": {"name": "smtp", "key": "password"},
            "tlsConfig": {"ca": {"secret": {"name": "smtp", "key": "ca.crt"}}}, "requireTLS": true,
        }]}],
    })))
    .unwrap();
    assert_eq!(settings.receiver, "cellar/grape-scorer/email");
    let words = "from m@example.org to team@example.org through smtp.example.org:587 over TLS, as alice";
    assert!(settings.words.ends_with(words), "{}", settings.words);
    let key = |key: &str| SecretKey { secret: "smtp".into(), key: key.into() };
    assert_eq!(settings.secrets, [key("password"), key("ca.crt")]);
    assert_eq!((settings.group_wait, settings.group_interval), (Duration::from_secs(10), Duration::from_secs(60)));
    assert_eq!(settings.labels["release"], "kps");

    let to = |to: &str, smarthost: &str| json!({"to": to, "from": "m@example.org", "smarthost": smarthost, "requireTLS": false});
    let of =
        |mails: Value| Settings::of(&config(json!({"receivers": [{"name": "email", "emailConfigs": mails}]}))).unwrap();
    let two = of(json!([to("a@example.org", "smtp:465"), to("b@example.org", "smtp:465")]));
    let words = "to a@example.org, b@example.org through smtp:465 over TLS, without a login";
    assert!(two.words.ends_with(words), "{}", two.words);
    let open = of(json!([to("a@example.org", "relay:25")]));
    assert!(open.words.ends_with("through relay:25 without TLS, without a login") && open.secrets.is_empty());
    let other = Settings::of(&config(json!({"receivers": [{"name": "chat", "slackConfigs": [{}]}]}))).unwrap_err();
    assert!(other.words.contains("sends no e-mail"), "{other:?}");
}

#[test]
fn a_secret_that_is_missing_or_lacks_the_key_is_named() {
    let key = SecretKey { secret: "smtp".into(), key: "password".into() };
    let secret = |data: Value| serde_json::from_value::<Secret>(json!({"data": data})).unwrap();
    assert_eq!(key.present("cellar", Some(&secret(json!({"password": "b3Blbi1zZXNhbWU="})))), Ok(()));
    for (found, words) in [
        (None, "Secret cellar/smtp is not there"),
        (Some(secret(json!({}))), "Secret cellar/smtp has no key password"),
        (Some(secret(json!({"password": ""}))), "Secret cellar/smtp has no key password"),
    ] {
        let trouble = key.present("cellar", found.as_ref()).unwrap_err();
        assert!(trouble.words == words && trouble.remedy.contains("kubectl -n cellar"), "{trouble:?}");
    }
    let broken = secret(json!({"password": "b3Blbi1zZXNhbWUK", "ca.crt": "LS0tLS0K"}));
    let trouble = key.present("cellar", Some(&broken)).unwrap_err();
    assert!(trouble.words.ends_with("ends with a line break"), "{trouble:?}");
    let authority = SecretKey { key: "ca.crt".into(), ..key };
    assert_eq!(authority.present("cellar", Some(&broken)), Ok(()));
}
