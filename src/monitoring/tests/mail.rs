use serde_json::json;

use super::*;
use crate::{
    api::ValidSpec,
    resources::Owner,
    rollout::fixtures::{NAME, NAMESPACE, spec},
};

fn told(email: Value, defaults: &MailDefaults, secret: &MailSecret) -> Result<Value, Shortcoming> {
    let spec: ValidSpec = spec(json!({"monitoring": {"email": email}}));
    let owner = Owner { namespace: NAMESPACE.into(), name: NAME.into(), uid: "1".into() };
    let monitoring = spec.monitoring.as_ref().unwrap();
    let subject = Subject { owner: &owner, spec: &spec, monitoring };
    config(&subject, monitoring.email.as_ref().unwrap(), defaults, secret, &Labels::new()).map(|child| child.body)
}

fn found(smarthost: Option<&str>) -> MailSecret {
    MailSecret::Found {
        username: Some("cellar@example.org".into()),
        smarthost: smarthost.map(str::to_owned),
        from: None,
        has_password: true,
        has_ca: false,
    }
}

fn defaults() -> MailDefaults {
    MailDefaults {
        from: Some("modelship@example.org".into()),
        smarthost: Some("smtp.example.org:587".into()),
        secret: Some("smtp".into()),
        require_tls: None,
        grafana: None,
    }
}

#[test]
fn a_model_may_say_no_more_than_to_whom() {
    let body = told(json!({"to": ["a@example.org", "b@example.org"]}), &defaults(), &found(None)).unwrap();
    let mail = &body["spec"]["receivers"][0]["emailConfigs"][0];
    assert_eq!((&mail["from"], &mail["smarthost"]), (&json!("modelship@example.org"), &json!("smtp.example.org:587")));
    assert_eq!(mail["authUsername"], "cellar@example.org");
    assert_eq!(mail["authPassword"], json!({"name": "smtp", "key": "password"}));
    assert_eq!(mail["requireTLS"], true);
}

#[test]
fn each_address_gets_a_mail_of_its_own() {
    let body = told(json!({"to": ["a@example.org", "b@example.org"]}), &defaults(), &found(None)).unwrap();
    let mails = body["spec"]["receivers"][0]["emailConfigs"].as_array().unwrap();
    let to: Vec<_> = mails.iter().map(|mail| mail["to"].as_str().unwrap()).collect();
    assert_eq!(to, ["a@example.org", "b@example.org"]);
    assert!(mails.iter().all(|mail| mail["smarthost"] == "smtp.example.org:587"));
}

#[test]
fn a_model_with_a_server_of_its_own_gets_no_secret_and_no_word_on_tls_that_were_meant_for_another() {
    let defaults = MailDefaults { require_tls: Some(false), ..defaults() };
    let requires = |email: Value, secret: &MailSecret| {
        let body = told(email, &defaults, secret).unwrap();
        body["spec"]["receivers"][0]["emailConfigs"][0]["requireTLS"].clone()
    };
    let to = json!({"to": ["a@example.org"]});
    let own = json!({"to": ["a@example.org"], "smarthost": "own.example.org:587"});
    assert_eq!(requires(to.clone(), &found(None)), false);
    assert_eq!(requires(to, &found(Some("secret.example.org:587"))), false, "their Secret names their server");
    let own_secret = json!({"to": ["a@example.org"], "secret": "own"});
    assert_eq!(requires(own_secret.clone(), &found(None)), false);
    assert_eq!(requires(own_secret, &found(Some("own.example.org:587"))), true);
    assert_eq!(requires(own.clone(), &MailSecret::None), true);
    let spec: ValidSpec = spec(json!({"monitoring": {"email": own}}));
    let email = spec.monitoring.unwrap().email.unwrap();
    assert_eq!(defaults.secret_of(&email), None);
}

#[test]
fn nobody_waits_for_starttls_where_tls_comes_first() {
    let requires = |smarthost: &str| {
        let email = json!({"to": ["a@example.org"], "smarthost": smarthost, "requireTLS": true});
        told(email, &defaults(), &MailSecret::None).unwrap()["spec"]["receivers"][0]["emailConfigs"][0]["requireTLS"]
            .clone()
    };
    assert_eq!((requires("smtp.example.org:465"), requires("smtp.example.org:587")), (json!(false), json!(true)));
}

#[test]
fn a_mail_links_to_the_dashboard_once_grafanas_address_is_known() {
    let text = |grafana: Option<&str>| {
        let defaults = MailDefaults { grafana: grafana.map(|url| url.parse().unwrap()), ..defaults() };
        let body = told(json!({"to": ["a@example.org"]}), &defaults, &found(None)).unwrap();
        body["spec"]["receivers"][0]["emailConfigs"][0]["text"].as_str().unwrap().to_owned()
    };
    assert!(text(None).contains("Dashboard: {{ . }}\n"), "{}", text(None));
    let link = "Dashboard: https://example.org/grafana{{ . }}\n";
    for address in ["https://example.org/grafana", "https://example.org/grafana/"] {
        assert!(text(Some(address)).contains(link), "{}", text(Some(address)));
    }
}

#[test]
fn what_the_model_says_counts_before_its_secret_and_that_before_the_operators_defaults() {
    let host = |email: Value, secret: &MailSecret| {
        told(email, &defaults(), secret).unwrap()["spec"]["receivers"][0]["emailConfigs"][0]["smarthost"].clone()
    };
    let to = json!({"to": ["a@example.org"]});
    assert_eq!(host(to.clone(), &found(Some("secret.example.org:25"))), "secret.example.org:25");
    let own = json!({"to": ["a@example.org"], "smarthost": "own.example.org:465"});
    assert_eq!(host(own, &found(Some("secret.example.org:25"))), "own.example.org:465");
    assert_eq!(host(to, &found(None)), "smtp.example.org:587");
}

#[test]
fn without_a_secret_nobody_logs_in() {
    let email = json!({"to": ["a@example.org"], "from": "m@example.org", "smarthost": "relay:25", "requireTLS": false});
    let body = told(email, &MailDefaults::default(), &MailSecret::None).unwrap();
    let mail = &body["spec"]["receivers"][0]["emailConfigs"][0];
    assert!(mail.get("authUsername").is_none() && mail.get("authPassword").is_none());
    assert_eq!(mail["requireTLS"], false);
}

#[test]
fn a_certification_authority_of_the_secret_is_the_one_that_counts() {
    let with = |has_ca| {
        let secret =
            MailSecret::Found { username: Some("a".into()), smarthost: None, from: None, has_password: true, has_ca };
        let body = told(json!({"to": ["a@example.org"]}), &defaults(), &secret).unwrap();
        body["spec"]["receivers"][0]["emailConfigs"][0]["tlsConfig"].clone()
    };
    assert_eq!(with(true), json!({"ca": {"secret": {"name": "smtp", "key": "ca.crt"}}}));
    assert_eq!(with(false), json!(null));
}

#[test]
fn only_the_models_own_alerts_are_sent_and_no_urgent_one_waits_for_another() {
    let body = told(json!({"to": ["a@example.org"]}), &defaults(), &found(None)).unwrap();
    let route = &body["spec"]["route"];
    let equal = |name: &str, value: &str| json!({"name": name, "value": value, "matchType": "="});
    assert_eq!(route["matchers"], json!([equal("namespace", NAMESPACE), equal("model", NAME)]));
    assert_eq!(route["groupBy"], json!(["namespace", "model", "severity", "test"]));
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let lacking = |username: Option<&str>, has_password| MailSecret::Found {
        username: username.map(str::to_owned),
        smarthost: None,
        from: None,
        has_password,
        has_ca: false,
    };
    let none = MailDefaults::default();
    let rows = [
        (json!({"secret": "smtp"}), &none, MailSecret::Missing, "Secret tasting-room/smtp is not there"),
        (json!({"secret": "smtp"}), &none, lacking(Some("a"), false), "Secret tasting-room/smtp has no key password"),
        (json!({"secret": "smtp"}), &none, lacking(None, true), "Secret tasting-room/smtp has no key username"),
        (json!({"secret": "smtp"}), &none, MailSecret::Unreadable("forbidden".into()), "could not be read: forbidden"),
        (json!({"from": "m@example.org"}), &none, MailSecret::None, "defaults.email.smarthost"),
        (json!({"smarthost": "relay:25"}), &none, MailSecret::None, "defaults.email.from"),
        (json!({"secret": "smtp", "from": "m@example.org"}), &none, found(Some("relay")), "a host and its port"),
    ];
    for (mut email, defaults, secret, words) in rows {
        email["to"] = json!(["a@example.org"]);
        let shortcoming = told(email.clone(), defaults, &secret).unwrap_err();
        assert!(shortcoming.message.contains(words), "{email} {secret:?}: {shortcoming:?}");
    }
}
