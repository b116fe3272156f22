//! Who is measured.

use std::{
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::{
    answer::ROWS,
    load::Load,
    page::Page,
    process::Process,
    setting::{Setting, free_address, model, proxy},
};

/// How long one may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the clients talk to.
pub struct Contestant {
    pub name: &'static str,
    pub address: SocketAddr,
    pub process: Process,
    /// Requests answered, ever.
    pub answered: u64,
    /// Where it shows metrics, and whether it reads predictions.
    page: Option<(SocketAddr, bool)>,
}

/// Those that take part, the model itself first.
pub struct Contestants(pub Vec<Contestant>);

/// Their order; the columns of the report.
pub const DIRECT: usize = 0;
pub const NGINX: usize = 1;
pub const FLASK: usize = 2;
pub const OFF: usize = 3;
pub const ON: usize = 4;
/// Another build of modelship, reading, where one is given.
pub const EARLIER: usize = 5;
pub const NAMES: [&str; 6] = ["direct", "nginx", "Flask", "reading off", "reading on", "earlier"];

/// What modelship counted, beside what it was asked.
pub struct Account {
    pub name: &'static str,
    pub answered: u64,
    pub counted: u64,
    pub reads: bool,
    pub read: u64,
    pub skipped: u64,
    pub predictions: u64,
    pub wanted_predictions: u64,
}

impl Contestants {
    /// All of them, ready.
    pub fn start(setting: &Setting) -> Self {
        let upstream = free_address();
        let mut all = vec![nginx(NAMES[DIRECT], "model", upstream, setting, &model(upstream))];
        wait(&mut all[DIRECT]);
        let address = free_address();
        all.push(nginx(NAMES[NGINX], "nginx", address, setting, &proxy(address, upstream)));
        all.push(flask(setting, upstream));
        setting.write_settings();
        all.push(modelship(NAMES[OFF], "modelship-off", setting, &setting.modelship, upstream, false));
        all.push(modelship(NAMES[ON], "modelship-on", setting, &setting.modelship, upstream, true));
        if let Some(earlier) = &setting.earlier {
            all.push(modelship(NAMES[EARLIER], "modelship-earlier", setting, earlier, upstream, true));
        }
        all[NGINX..].iter_mut().for_each(wait);
        Self(all)
    }

    /// What modelship's own pages say, once it has read what it was given.
    pub fn accounts(&self) -> Vec<Account> {
        self.0.iter().filter_map(Contestant::account).collect()
    }
}

impl Contestant {
    fn new(name: &'static str, address: SocketAddr, process: Process) -> Self {
        Self { name, address, process, answered: 0, page: None }
    }

    fn account(&self) -> Option<Account> {
        let (page, reads) = self.page?;
        let began = Instant::now();
        loop {
            let page = Page::of(page);
            let account = Account {
                name: self.name,
                answered: self.answered,
                counted: page.sum("http_requests_total"),
                reads,
                read: page.sum("modelship_exporter_exchanges_read_total"),
                skipped: page.sum("modelship_exporter_exchanges_skipped_total"),
                predictions: page.sum("model_predictions_total"),
                wanted_predictions: if reads { self.answered * ROWS as u64 } else { 0 },
            };
            if !reads || account.read + account.skipped >= account.answered || began.elapsed() > PATIENCE {
                return Some(account);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn nginx(name: &'static str, file: &'static str, address: SocketAddr, setting: &Setting, server: &str) -> Contestant {
    let mut command = Command::new(&setting.nginx);
    command.args(setting.nginx_configuration(file, server));
    Contestant::new(name, address, Process::start(file, &setting.folder, command))
}

fn flask(setting: &Setting, model: SocketAddr) -> Contestant {
    let address = free_address();
    let mut command = Command::new(&setting.python);
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/exporter/flask/exporter.py"))
        .args([address.port().to_string(), format!("http://{model}")]);
    Contestant::new(NAMES[FLASK], address, Process::start("flask", &setting.folder, command))
}

fn modelship(
    name: &'static str,
    file: &'static str,
    setting: &Setting,
    program: &Path,
    model: SocketAddr,
    reads: bool,
) -> Contestant {
    let (address, page) = (free_address(), free_address());
    let mut command = Command::new(program);
    command
        .args(["--upstream", &model.to_string(), "--listen", &address.to_string()])
        .args(["--metrics-listen", &page.to_string(), "--probes-listen", &free_address().to_string()])
        .args(["--settings", "settings", "--read-predictions", if reads { "true" } else { "false" }])
        .env_clear();
    let process = Process::start(file, &setting.folder, command);
    Contestant { page: Some((page, reads)), ..Contestant::new(name, address, process) }
}

/// Until it answers.
fn wait(contestant: &mut Contestant) {
    let began = Instant::now();
    loop {
        contestant.process.check().unwrap_or_else(|problem| panic!("{problem}"));
        match Load::start(contestant.address, 1).and_then(Load::stop) {
            Ok((answered, _)) => {
                contestant.answered += answered;
                return;
            }
            Err(problem) => assert!(began.elapsed() < PATIENCE, "{} does not answer: {problem}", contestant.name),
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
