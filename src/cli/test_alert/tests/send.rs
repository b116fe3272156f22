//! The conversation with a real Alertmanager, which delivers to the mail server of tests/monitoring.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant as Clock,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{super::cluster, *};
use crate::{
    cli::{target::Target, test_alert::door::Door},
    monitoring::{MailDefaults, MailSecret, Subject, mail, surroundings::Labels},
    resources::Owner,
    rollout::fixtures::spec,
};

const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "open-sesame";

/// The programs, or `None` after saying how to get them. Where everything must run, a missing one is a failure.
fn programs() -> Option<(PathBuf, PathBuf)> {
    let variables = ["MODELSHIP_TEST_ALERTMANAGER_BIN", "MODELSHIP_TEST_MAIL_PYTHON"];
    let named = variables.map(|variable| std::env::var_os(variable).map(PathBuf::from));
    let must = std::env::var_os("CI").is_some() || named.iter().any(Option::is_some);
    let built = ["build/bin/alertmanager", "build/monitoring/python/bin/python3"];
    let built = built.map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let [alertmanager, python] = [0, 1].map(|n| named[n].clone().unwrap_or_else(|| built[n].clone()));
    let openssl = Command::new("openssl").arg("version").output().is_ok();
    let missing = match (alertmanager.is_file(), python.is_file(), openssl) {
        (true, true, true) => return Some((alertmanager, python)),
        (false, _, _) => "Alertmanager: tests/cluster/run build-tool alertmanager builds it",
        (_, false, _) => "the mail server's Python: tests/monitoring/run python installs it",
        (_, _, false) => "openssl: on Debian, apt-get install openssl",
    };
    assert!(!must, "there is no {missing}");
    println!("left out: there is no {missing}");
    None
}

/// A program that ends with the test.
struct Running(Child);

impl Running {
    fn start(mut command: Command, log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn listens(address: SocketAddr, log: &Path) {
    let deadline = Clock::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        assert!(Clock::now() < deadline, "nobody listens: {}", fs::read_to_string(log).unwrap_or_default());
        sleep(Duration::from_millis(20)).await;
    }
}

/// An Alertmanager and a mail server, which wants TLS and a login and has a certificate of its own.
struct Stack {
    folder: TempDir,
    web: SocketAddr,
    _running: [Running; 2],
}

/// Both know of it; the second one's sender is none that a mail can have.
const MODELS: [&str; 2] = ["grape-scorer", "odd-sender"];

impl Stack {
    async fn start() -> Option<Self> {
        let (alertmanager, python) = programs()?;
        Some(Self::of(&alertmanager, &python, None).await)
    }

    /// `tls`: where the mail server is to speak TLS from the first byte; models use it then.
    async fn of(alertmanager: &Path, python: &Path, tls: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (web, open, guarded) = (free(), free(), free());
        certificate(folder.path());
        let mut sink = Command::new(python);
        sink.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/monitoring/smtp/sink.py"));
        sink.arg("--mails").arg(at("mails")).args(["--open", &open.to_string(), "--guarded", &guarded.to_string()]);
        sink.args(["--user", &format!("alice:{PASSWORD}")]);
        sink.args(tls.iter().flat_map(|address| ["--tls".to_owned(), address.to_string()]));
        sink.arg("--certificate").arg(at("mail.crt")).arg("--key").arg(at("mail.key"));
        let sink = Running::start(sink, &at("mail.log"));
        let smarthost = tls.unwrap_or(guarded);
        fs::write(at("alertmanager.json"), configuration(smarthost, &at("mail.crt")).to_string()).unwrap();
        let mut command = Command::new(alertmanager);
        command.arg("--config.file").arg(at("alertmanager.json")).arg("--storage.path").arg(at("data"));
        command.args([
            &format!("--web.listen-address={web}"),
            "--cluster.listen-address=",
            "--web.route-prefix=/alerts",
        ]);
        let alertmanager = Running::start(command, &at("alertmanager.log"));
        listens(smarthost, &at("mail.log")).await;
        listens(web, &at("alertmanager.log")).await;
        Self { folder, web, _running: [sink, alertmanager] }
    }

    fn pods(&self) -> Pods {
        let web = self.web;
        let connect = move || -> futures::future::BoxFuture<'static, _> {
            Box::pin(async move { Target::of_url(&format!("http://{web}/"), None)?.connect().await })
        };
        let door = Door::new("alertmanager-main-0".into(), "/alerts/", Box::new(connect));
        Pods { doors: vec![door], addresses: Vec::new(), absent: 0 }
    }

    /// Sends for that model; what is told and how it ends.
    async fn send(&self, model: &str, timeout: Duration) -> (String, Result<(), Trouble>) {
        let mut cluster = cluster::tests::cluster(Vec::new());
        cluster.owner.name = model.to_owned();
        let settings = Settings {
            receiver: format!("cellar/{model}/email"),
            words: String::new(),
            secrets: Vec::new(),
            labels: Labels::new(),
            group_wait: GROUP_WAIT,
            group_interval: Duration::from_secs(1),
        };
        let alertmanager = Collector { namespace: "monitoring".into(), name: "main".into(), ..Collector::default() };
        let (pods, timeout) = (self.pods(), Some(timeout));
        let sending = Sending {
            cluster: &cluster,
            settings: &settings,
            alertmanager: &alertmanager,
            pods: &pods,
            timeout,
            board: true,
        };
        let mut out = Vec::new();
        let outcome = async {
            let mut report = Report::new(&mut out);
            report.good(&sending.loaded().await?);
            sending.send(&mut report).await
        }
        .await;
        (String::from_utf8(out).unwrap(), outcome)
    }

    fn mails(&self) -> Vec<Value> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.folder.path().join("mails")).unwrap().flatten().map(|entry| entry.path()).collect();
        files.sort();
        files.iter().map(|file| serde_json::from_slice(&fs::read(file).unwrap()).unwrap()).collect()
    }
}

/// Longer than any test takes: no first mail goes out by the mere passing of time.
const GROUP_WAIT: Duration = Duration::from_secs(600);

fn certificate(folder: &Path) {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=sink.example.test", "-addext", "subjectAltName=IP:127.0.0.1,IP:127.0.0.46"]);
    command.args(["-keyout", "mail.key", "-out", "mail.crt"]).current_dir(folder);
    let output = command.output().expect("openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// As prometheus-operator makes it of the AlertmanagerConfigs of [`MODELS`].
fn configuration(smarthost: SocketAddr, authority: &Path) -> Value {
    let receiver = |model: &str| {
        let email =
            json!({"to": ["team@example.org"], "from": "Models <m@example.org>", "smarthost": smarthost.to_string()});
        let spec = spec(json!({"monitoring": {"email": email}}));
        let owner = Owner { namespace: "cellar".into(), name: model.into(), uid: String::new() };
        let subject = Subject { owner: &owner, spec: &spec, monitoring: spec.monitoring.as_ref().unwrap() };
        let email = subject.monitoring.email.as_ref().unwrap();
        let body =
            mail::config(&subject, email, &MailDefaults::default(), &MailSecret::None, &Labels::new()).unwrap().body;
        let made = &body["spec"]["receivers"][0]["emailConfigs"][0];
        let from = if model == MODELS[1] { json!("a@example.org, b@example.org") } else { made["from"].clone() };
        json!({"name": format!("cellar/{model}/email"), "email_configs": [{
            "to": made["to"], "from": from, "smarthost": made["smarthost"], "send_resolved": made["sendResolved"],
            "auth_username": "alice", "auth_password": PASSWORD, "require_tls": made["requireTLS"],
            "tls_config": {"ca_file": authority}, "text": made["text"], "html": made["html"],
            "headers": {"Subject": made["headers"][0]["value"]},
        }]})
    };
    let route = |model: &str| {
        json!({
            "receiver": format!("cellar/{model}/email"), "continue": true,
            "matchers": ["namespace=\"cellar\"", format!("model=\"{model}\"")], "group_by": ["namespace", "model", "severity", "test"],
            "group_wait": format!("{}s", GROUP_WAIT.as_secs()), "group_interval": "1s", "repeat_interval": "12h",
        })
    };
    let receivers: Vec<Value> = [json!({"name": "null"})].into_iter().chain(MODELS.map(receiver)).collect();
    json!({"route": {"receiver": "null", "routes": MODELS.map(route)}, "receivers": receivers})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_alertmanager_mails_the_alert_each_time_and_says_so() {
    let Some(stack) = Stack::start().await else { return };
    let (told, outcome) = stack.send(MODELS[0], PATIENCE).await;
    assert_eq!(outcome, Ok(()), "{told}");
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].contains("alertmanager-main-0 has loaded the receiver cellar/grape-scorer/email"), "{told}");
    assert!(lines[1].contains("took the alert ModelshipTest"), "{told}");
    assert!(lines[2].starts_with("ok    the mail server took the e-mail") && lines.len() == 3, "{told}");
    let mails = stack.mails();
    assert_eq!((mails.len(), &mails[0]["tls"], &mails[0]["user"]), (1, &json!(true), &json!("alice")), "{mails:#?}");
    assert_eq!(
        (&mails[0]["from"], &mails[0]["headers"]["From"]),
        (&json!("m@example.org"), &json!("Models <m@example.org>"))
    );
    assert_eq!(mails[0]["subject"], "This is a test: e-mail about model cellar/grape-scorer arrives.");
    let text = mails[0]["text"].as_str().unwrap();
    assert!(text.starts_with("ModelshipTest (info) of model grape-scorer in namespace cellar\n"), "{text}");
    assert!(text.contains("Nothing is wrong with the model.") && text.contains("Dashboard: /d/ms-"), "{text}");
    assert!(mails[0]["html"].is_null());

    // The first one still fires: it must not pass for the second.
    sleep(Duration::from_secs(1)).await;
    let (told, outcome) = stack.send(MODELS[0], PATIENCE).await;
    assert_eq!(outcome, Ok(()), "{told}");
    assert_eq!(stack.mails().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_alertmanager_that_sends_nothing_is_told_with_the_reason() {
    let Some(stack) = Stack::start().await else { return };
    let (told, outcome) = stack.send("unheard-of", Duration::from_millis(1)).await;
    let trouble = outcome.unwrap_err();
    assert!(
        trouble.words.contains("has not loaded the receiver cellar/unheard-of/email") && told.is_empty(),
        "{trouble:?}"
    );

    let (told, outcome) = stack.send(MODELS[1], PATIENCE).await;
    let trouble = outcome.unwrap_err();
    assert!(trouble.words.contains("could not hand the e-mail over"), "{trouble:?}");
    assert!(
        trouble.remedy.contains("| grep cellar/odd-sender/email") && told.lines().count() == 2,
        "{trouble:?} {told}"
    );
    let log = fs::read_to_string(stack.folder.path().join("alertmanager.log")).unwrap();
    let reason = crate::cli::test_alert::log::complaint(&log, "cellar/odd-sender/email").expect("a line about it");
    assert!(reason.contains("must be exactly one 'from' address"), "{reason}");

    let silence = json!({
        "matchers": [{"name": "model", "value": MODELS[0], "isRegex": false}], "createdBy": "a test", "comment": "quiet",
        "startsAt": Timestamp::now().to_string(), "endsAt": (Timestamp::now() + PATIENCE).to_string(),
    });
    stack.pods().doors[0].post("/api/v2/silences", &silence).await.unwrap();
    let trouble = stack.send(MODELS[0], PATIENCE).await.1.unwrap_err();
    assert!(trouble.words.contains("is silenced"), "{trouble:?}");
    assert!(stack.mails().is_empty());
}

/// The newest one, and where `tests/run heavy` has built it the oldest one that kube-prometheus-stack has shipped for two years.
/// They know by the port alone that TLS comes first, and only who may do so opens that one.
#[tokio::test(flavor = "multi_thread")]
async fn alertmanagers_of_two_years_mail_through_a_server_that_speaks_tls_from_the_first_byte() {
    let Some((newest, python)) = programs() else { return };
    let smarthost: SocketAddr = "127.0.0.46:465".parse().unwrap();
    let oldest = std::env::var_os("MODELSHIP_TEST_OLDEST_ALERTMANAGER_BIN").map(PathBuf::from);
    if let Err(why) = TcpListener::bind(smarthost) {
        // Where the oldest one is named, this test is what the run is for.
        assert!(oldest.is_none(), "{smarthost} cannot be listened on: {why}");
        println!("left out: {smarthost} cannot be listened on: {why}");
        return;
    }
    for alertmanager in [newest].into_iter().chain(oldest) {
        let stack = Stack::of(&alertmanager, &python, Some(smarthost)).await;
        let (told, outcome) = stack.send(MODELS[0], PATIENCE).await;
        assert_eq!(outcome, Ok(()), "{}: {told}", alertmanager.display());
        let mails = stack.mails();
        assert_eq!(
            (mails.len(), &mails[0]["tls"], &mails[0]["user"]),
            (1, &json!(true), &json!("alice")),
            "{mails:#?}"
        );
    }
}
