//! What real model servers answer, replayed: `tests/servers/record/run` recorded it, and says by hand what it means.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use prometheus::Registry;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{body, page};
use crate::{
    blame::Errors,
    exchange::{Captured, Exchange},
    reading::{Intake, check},
};

/// How often each record is replayed: a model that is asked some fifty times must be read rightly.
const ROUNDS: usize = 50;

/// Records that are not read rightly yet without any settings, and why.
const PENDING_BY_ITSELF: [(&str, &str); 0] = [];
/// Those that are not read rightly yet with the settings that they name, and why.
const PENDING_WITH_SETTINGS: [(&str, &str); 0] = [];

#[derive(Deserialize)]
struct File {
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    name: String,
    kind: Kind,
    by_itself: bool,
    settings: Option<Value>,
    exchanges: Vec<Recorded>,
}

/// What the predictions of a record really are.
#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Class,
    Probability,
    Probabilities,
    Number,
    Labels,
    None,
}

#[derive(Deserialize)]
struct Recorded {
    method: String,
    path: String,
    request_content_type: Option<String>,
    #[serde(default)]
    request: String,
    status: u16,
    response_content_type: Option<String>,
    response_content_encoding: Option<String>,
    #[serde(default)]
    response: String,
    #[serde(default)]
    response_base64: String,
    expect: Expected,
}

/// What one exchange must add to.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
struct Expected {
    /// One for each row; null where there is nothing to count.
    predictions: Option<Vec<Value>>,
    /// How often those follow one another.
    #[serde(default = "once")]
    times: usize,
    blame: Option<String>,
}

fn once() -> usize {
    1
}

fn records() -> Vec<Record> {
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/servers.json"));
    serde_json::from_str::<File>(&file.unwrap()).unwrap().records
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = ALPHABET.iter().position(|known| *known == letter).unwrap();
        bits = (bits << 6) | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap());
        }
    }
    bytes
}

impl Recorded {
    fn exchange(&self) -> Exchange {
        let answer = if self.response_base64.is_empty() {
            Bytes::copy_from_slice(self.response.as_bytes())
        } else {
            base64(&self.response_base64).into()
        };
        let header = |value: &Option<String>| value.as_deref().map(|value| HeaderValue::from_str(value).unwrap());
        Exchange {
            method: self.method.parse().unwrap(),
            path: self.path.split('?').next().unwrap().into(),
            status: StatusCode::from_u16(self.status).unwrap(),
            request: body(&self.request, self.request_content_type.as_deref()),
            answer: Captured {
                content_type: header(&self.response_content_type),
                content_encoding: header(&self.response_content_encoding),
                length: answer.len() as u64,
                pieces: vec![answer],
                whole: true,
            },
        }
    }

    /// As the proxy asks before it copies anything.
    fn is_wanted(&self, intake: &Intake) -> bool {
        let method: Method = self.method.parse().unwrap();
        intake.wants(&method, self.path.split('?').next().unwrap(), self.path.contains('?'))
    }

    /// Statuses from 500 on are blamed on the model by the proxy, and other methods ask for no prediction.
    fn reaches_the_room(&self) -> bool {
        self.status < 500 && matches!(self.method.as_str(), "GET" | "POST")
    }

    fn rows(&self) -> usize {
        self.expect.predictions.as_ref().map_or(0, |predictions| predictions.len() * self.expect.times)
    }
}

/// All series once the record was replayed so many times.
async fn replay(record: &Record, settings: &Value) -> Result<BTreeMap<String, f64>, String> {
    let registry = Registry::new();
    let errors = Errors::new(&registry).unwrap();
    let intake = Intake::start(&registry, check(settings)?, errors).unwrap();
    for _ in 0..ROUNDS {
        for recorded in record.exchanges.iter().filter(|one| one.reaches_the_room() && one.is_wanted(&intake)) {
            intake.offer(recorded.exchange());
        }
        assert!(intake.flush(Duration::from_secs(60)).await, "{}: it was not read in time", record.name);
    }
    Ok(page(&registry))
}

/// What must be counted.
#[derive(Default)]
struct Counted {
    classes: BTreeMap<String, f64>,
    numbers: Vec<f64>,
    unread: f64,
    rows: f64,
}

impl Counted {
    /// With `settings` a class has its name; without, one that is known by its position is called by that.
    fn of(record: &Record, settings: &Value) -> Self {
        let mut counted = Self::default();
        let declared = record.settings.as_ref().and_then(|settings| settings["classes"].as_array());
        let declared = declared.map(|names| names.iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>());
        let by_position = settings.is_null() && matches!(record.kind, Kind::Probabilities | Kind::Labels);
        for recorded in &record.exchanges {
            counted.rows += recorded.rows() as f64;
            let predictions = recorded.expect.predictions.iter().flatten();
            for prediction in predictions.flat_map(|one| std::iter::repeat_n(one, recorded.expect.times)) {
                let mut class = |name: &str| {
                    let position = declared.iter().flatten().position(|known| *known == name);
                    let name = position.filter(|_| by_position).map_or(name.into(), |position| position.to_string());
                    *counted.classes.entry(name).or_default() += ROUNDS as f64;
                };
                match (prediction, record.kind) {
                    (Value::Null, Kind::None) => {}
                    (Value::Null, _) => counted.unread += 1.0,
                    (Value::String(name), _) => class(name),
                    (Value::Array(names), Kind::Labels) => names.iter().for_each(|name| class(name.as_str().unwrap())),
                    (Value::Number(number), Kind::Number | Kind::Probability) => {
                        let number = number.as_f64().unwrap();
                        counted.numbers.push(number);
                        if let (Kind::Probability, Some(two)) =
                            (record.kind, declared.as_ref().filter(|_| !settings.is_null()))
                        {
                            class(two[usize::from(number >= 0.5)]);
                        }
                    }
                    other => panic!("{}: {:?} says nothing", record.name, other.0),
                }
            }
        }
        counted
    }
}

/// What is wrong with the series of a record; none if they are as they should be.
fn wrong(record: &Record, settings: &Value, page: &BTreeMap<String, f64>) -> Option<String> {
    let at = |series: &str| page.get(series).copied().unwrap_or_default();
    let total =
        |family: &str| page.iter().filter(|(name, _)| name.starts_with(family)).map(|(_, count)| count).sum::<f64>();
    let rounds = ROUNDS as f64;
    let expected = Counted::of(record, settings);
    let classes: BTreeMap<String, f64> = page
        .iter()
        .filter(|(_, count)| **count > 0.0)
        .filter_map(|(series, count)| {
            let name = series.strip_prefix("model_predictions_total{class=\"")?.strip_suffix("\"}")?;
            Some((name.to_owned(), *count))
        })
        .collect();
    if classes != expected.classes {
        return Some(format!("classes are {classes:?}, not {:?}", expected.classes));
    }
    for (kind, family) in
        [(Kind::Number, "model_prediction_value"), (Kind::Probability, "model_prediction_probability")]
    {
        let numbers: &[f64] = if record.kind == kind { &expected.numbers } else { &[] };
        let (count, sum) = (at(&format!("{family}_count")), at(&format!("{family}_sum")));
        let right = (rounds * numbers.len() as f64, rounds * numbers.iter().sum::<f64>());
        // Expectations are rounded.
        if count != right.0 || (sum - right.1).abs() > 0.005 * right.1.abs().max(rounds) {
            return Some(format!("{family} has {count} of sum {sum}, not {right:?}"));
        }
    }
    let unread = total("model_predictions_unread_total");
    if record.kind != Kind::None && unread != rounds * expected.unread {
        return Some(format!("{unread} rows are unread, not {}", rounds * expected.unread));
    }
    let rows = at("model_rows_per_request_sum");
    if record.kind != Kind::None && rows != rounds * expected.rows {
        return Some(format!("{rows} rows were asked for, not {}", rounds * expected.rows));
    }
    let with_rows = record.exchanges.iter().filter(|one| one.rows() > 0).count() as f64;
    let read = at("modelship_exporter_exchanges_read_total");
    if record.kind != Kind::None && read < rounds * with_rows {
        return Some(format!("{read} exchanges were read, not {}", rounds * with_rows));
    }
    ["client", "model", "unclear"].into_iter().find_map(|cause| {
        let blamed = |one: &&Recorded| one.reaches_the_room() && one.expect.blame.as_deref() == Some(cause);
        let right = rounds * record.exchanges.iter().filter(blamed).count() as f64;
        let counted = at(&format!("http_request_errors_total{{cause=\"{cause}\"}}"));
        (counted != right).then(|| format!("{counted} errors are laid to {cause}, not {right}"))
    })
}

async fn verdict(record: &Record, settings: &Value) -> Option<String> {
    match replay(record, settings).await {
        Ok(page) => wrong(record, settings, &page),
        Err(refused) => Some(format!("the settings are refused: {refused}")),
    }
}

/// Compares what is wrong with what is known to be.
fn compare(wrong: &BTreeMap<&str, String>, pending: &[(&str, &str)]) {
    let unexpected: Vec<String> = wrong
        .iter()
        .filter(|(name, _)| !pending.iter().any(|(known, _)| known == *name))
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    let mended: Vec<&str> = pending.iter().map(|(name, _)| *name).filter(|name| !wrong.contains_key(name)).collect();
    assert!(unexpected.is_empty(), "{} are read wrongly:\n{}", unexpected.len(), unexpected.join("\n"));
    assert!(mended.is_empty(), "these are read rightly now, take them off the list: {mended:?}");
}

#[tokio::test]
async fn recorded_servers_are_read_without_any_settings() {
    let all = records();
    let mut wrong = BTreeMap::new();
    for record in all.iter().filter(|record| record.by_itself) {
        if let Some(why) = verdict(record, &json!(null)).await {
            wrong.insert(record.name.as_str(), why);
        }
    }
    compare(&wrong, &PENDING_BY_ITSELF);
}

#[tokio::test]
async fn recorded_servers_are_read_with_the_settings_that_a_user_writes_for_them() {
    let all = records();
    let mut wrong = BTreeMap::new();
    for record in &all {
        if let Some(settings) = &record.settings
            && let Some(why) = verdict(record, settings).await
        {
            wrong.insert(record.name.as_str(), why);
        }
    }
    compare(&wrong, &PENDING_WITH_SETTINGS);
}
