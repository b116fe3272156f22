//! Whether who evaluates a model's rules sends its alerts to an Alertmanager. Pure.

use std::net::IpAddr;

use serde_json::Value;
use url::Url;

use super::report::{Finding, Trouble};

/// What one of them says of where it sends alerts: URLs; or why it does not say.
pub struct Answer {
    /// `KIND NAMESPACE/NAME`
    pub evaluator: String,
    pub urls: Result<Vec<String>, String>,
}

/// The URLs on its page `/api/v1/alertmanagers`.
pub fn urls(page: &Value) -> Vec<String> {
    let active = page["data"]["activeAlertmanagers"].as_array().into_iter().flatten();
    active.filter_map(|known| known["url"].as_str()).map(str::to_owned).collect()
}

/// Who of them sends its alerts to one of these addresses.
///
/// # Errors
/// When it is certain that none does.
pub fn judge(alertmanager: &str, addresses: &[IpAddr], answers: &[Answer]) -> Result<Finding, Trouble> {
    let doubt = |words: String| Ok(Finding::Doubtful(words));
    let mut lacking = Vec::new();
    let mut unclear = Vec::new();
    for Answer { evaluator, urls } in answers {
        match urls {
            Err(error) => unclear.push(format!("{evaluator} cannot be asked where it sends alerts: {error}")),
            Ok(urls) if urls.iter().any(|url| leads_to(url, addresses) == Some(true)) => {
                return Ok(Finding::Good(format!("{evaluator} sends its alerts to Alertmanager {alertmanager}")));
            }
            Ok(urls) if urls.iter().any(|url| leads_to(url, addresses).is_none()) => unclear.push(format!(
                "{evaluator} sends its alerts to {}; whether that is Alertmanager {alertmanager} cannot be seen",
                urls.join(", ")
            )),
            Ok(_) => lacking.push(evaluator.as_str()),
        }
    }
    match (unclear.is_empty(), lacking.is_empty()) {
        (false, _) => doubt(unclear.join("; ")),
        (true, true) => {
            doubt("no Prometheus or ThanosRuler is seen to evaluate the model's rules; if none does, no alert but this test's is ever sent".to_owned())
        }
        (true, false) => Err(Trouble::new(
            format!("{} does not send its alerts to Alertmanager {alertmanager}", lacking.join(" and ")),
            "name the Alertmanager's Service in spec.alerting.alertmanagers of the Prometheus object: {namespace: …, name: alertmanager-operated, port: web}",
        )),
    }
}

/// Whether a URL leads to one of these addresses; `None`: it has a name, which only the cluster resolves.
fn leads_to(url: &str, addresses: &[IpAddr]) -> Option<bool> {
    let url = Url::parse(url).ok()?;
    let address: IpAddr = url.host_str()?.trim_matches(['[', ']']).parse().ok()?;
    Some(addresses.contains(&address))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(urls: Result<&[&str], &str>) -> Answer {
        let urls = urls.map(|urls| urls.iter().map(|url| (*url).to_owned()).collect()).map_err(str::to_owned);
        Answer { evaluator: "Prometheus monitoring/main".into(), urls }
    }

    #[test]
    fn the_active_ones_are_read_from_its_page() {
        let page = json!({"status": "success", "data": {
            "activeAlertmanagers": [{"url": "http://10.0.0.7:9093/api/v2/alerts"}],
            "droppedAlertmanagers": [{"url": "http://10.0.0.8:8080/api/v2/alerts"}],
        }});
        assert_eq!(urls(&page), ["http://10.0.0.7:9093/api/v2/alerts"]);
        assert!(urls(&json!({})).is_empty());
    }

    #[test]
    fn only_a_prometheus_that_certainly_sends_elsewhere_ends_the_way() {
        let ours = "http://10.0.0.7:9093/api/v2/alerts";
        let other = "http://10.0.0.9:9093/api/v2/alerts";
        let named = "http://alertmanager.example.org/api/v2/alerts";
        for (answers, words) in [
            (vec![answer(Ok(&[other, ours]))], "Good(\"Prometheus monitoring/main sends its alerts to"),
            (vec![answer(Ok(&[other])), answer(Ok(&[ours]))], "Good("),
            (vec![answer(Ok(&["http://[fd00::7]:9093/"]))], "Good("),
            (
                vec![answer(Err("forbidden"))],
                "Doubtful(\"Prometheus monitoring/main cannot be asked where it sends alerts: forbidden",
            ),
            (
                vec![answer(Ok(&[named]))],
                "Doubtful(\"Prometheus monitoring/main sends its alerts to http://alertmanager.example.org",
            ),
            (vec![], "Doubtful(\"no Prometheus or ThanosRuler is seen to evaluate"),
            (vec![answer(Ok(&[]))], "Trouble"),
            (vec![answer(Ok(&[other]))], "Trouble { words: \"Prometheus monitoring/main does not send"),
        ] {
            let addresses = ["10.0.0.7".parse().unwrap(), "fd00::7".parse().unwrap()];
            let said = match judge("monitoring/mail", &addresses, &answers) {
                Ok(finding) => format!("{finding:?}"),
                Err(trouble) => format!("{trouble:?}"),
            };
            assert!(said.starts_with(words), "{said}");
        }
    }
}
