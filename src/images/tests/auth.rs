use super::*;

fn parse(values: &[&str]) -> Option<Challenge> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
    }
    challenge(&headers)
}

fn bearer_challenge(scope: Option<&str>) -> Challenge {
    Challenge::Bearer {
        realm: "https://auth.docker.io/token".to_owned(),
        service: Some("registry.docker.io".to_owned()),
        scope: scope.map(str::to_owned),
    }
}

#[test]
fn commas_inside_quotes_do_not_end_a_value() {
    let value =
        r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
    assert_eq!(parse(&[value]), Some(bearer_challenge(Some("repository:a/b:pull,push"))));
}

#[test]
fn challenges_are_read_however_they_are_written() {
    let plain = Some(bearer_challenge(None));
    for values in [
        &[r#"bearer realm="https://auth.docker.io/token", service="registry.docker.io""#][..],
        &[r#"BEARER Realm="https://auth.docker.io/token", SERVICE="registry.docker.io", error="invalid_token""#],
        &[r#"Basic realm="x", Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#],
        &[r#"Basic realm="x""#, r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="""#],
    ] {
        assert_eq!(parse(values), plain, "{values:?}");
    }
    assert_eq!(parse(&[r#"Basic realm="Registry Realm""#]), Some(Challenge::Basic));
    for unreadable in ["", "=broken;", "Cookie realm=http://127.0.0.1/"] {
        let after = [unreadable, r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#];
        assert_eq!(parse(&after), plain, "{unreadable:?}");
    }
    for nothing in [&[][..], &["Bearer"], &["Negotiate"], &["===="], &["Bearer service=\"x\""]] {
        assert_eq!(parse(nothing), None, "{nothing:?}");
    }
}

fn login(login: Login) -> Credential {
    Credential { login, secret: "hub-login".to_owned() }
}

fn alice() -> Credential {
    login(Login::Password { username: "alice".to_owned(), password: "pw".to_owned() })
}

fn request(
    realm: &str,
    scope: Option<&str>,
    registry: &str,
    credential: &Credential,
) -> Result<TokenRequest, ChallengeError> {
    let key = TokenKey::new(realm, Some("hub"), scope, "alice/churn", credential);
    key.request(&Url::parse(registry).unwrap(), credential)
}

#[test]
fn a_token_is_asked_for_with_service_and_scope() {
    let got = request("https://auth.example/token?x=1", None, "https://hub.example/", &alice()).unwrap();
    assert_eq!(got.url.as_str(), "https://auth.example/token?x=1&service=hub&scope=repository%3Aalice%2Fchurn%3Apull");
    assert_eq!(got.authorization.unwrap(), "Basic YWxpY2U6cHc=");
    let anonymous = Credential::anonymous();
    let got = request("https://auth.example/token", Some("a b"), "https://hub.example/", &anonymous).unwrap();
    assert_eq!(got.url.as_str(), "https://auth.example/token?service=hub&scope=a&scope=b");
    assert_eq!(got.authorization, None);
}

#[test]
fn an_identity_token_is_exchanged_by_post() {
    let credential = login(Login::IdentityToken("re&fresh".to_owned()));
    let got = request("https://auth.example/token", None, "https://hub.example/", &credential).unwrap();
    assert_eq!(got.url.as_str(), "https://auth.example/token", "no secret in a URL");
    assert!(got.authorization.is_none());
    let form = got.form.unwrap();
    assert!(form.contains("grant_type=refresh_token") && form.contains("refresh_token=re%26fresh"), "{form}");
}

#[test]
fn a_registry_with_tls_cannot_have_credentials_sent_without() {
    let plain = "http://auth.example/token";
    assert!(request(plain, None, "https://hub.example/", &alice()).is_err());
    assert!(request(plain, None, "http://localhost:5000/", &alice()).is_ok());
    for realm in ["", "token", "ftp://x/", "file:///etc/passwd"] {
        assert!(request(realm, None, "http://localhost:5000/", &alice()).is_err(), "{realm:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_used_for_less_than_they_live() {
    let key = |credential: &Credential| TokenKey::new("https://a", None, None, "x", credential);
    let life = async |body: &str| {
        let tokens = Tokens::default();
        let token = Token::read(body.as_bytes(), Instant::now()).expect("there is a token");
        tokens.put(key(&alice()), token);
        assert!(tokens.get(&key(&Credential::anonymous())).is_none(), "somebody else's");
        let start = Instant::now();
        while tokens.get(&key(&alice())).is_some() {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        start.elapsed().as_secs()
    };
    assert_eq!(life(r#"{"token": "t"}"#).await, 50, "60 s when nothing is said");
    assert_eq!(life(r#"{"access_token": "t", "token": "", "expires_in": 300}"#).await, 290);
    assert_eq!(life(r#"{"token": "t", "expires_in": 4}"#).await, 3);
    assert_eq!(life(r#"{"token": "t", "expires_in": 1e12}"#).await, 3590);
    assert_eq!(life(r#"{"token": "t", "expires_in": -5}"#).await, 50);
    for nothing in ["", "{}", r#"{"token": ""}"#, r#"{"token": "a\nb"}"#, "<html>"] {
        assert!(Token::read(nothing.as_bytes(), Instant::now()).is_none(), "{nothing:?}");
    }
}

#[test]
fn a_header_with_a_secret_is_not_printed() {
    let printed = format!("{:?} {:?}", basic("alice", "hunter2"), bearer("hunter2"));
    assert!(!printed.contains("hunter2") && !printed.contains("YWxp"), "{printed}");
}

proptest::proptest! {
    #[test]
    fn no_challenge_makes_us_panic(value in "[ -~]{0,80}") {
        let _ = parse(&[&value]);
    }
}
