use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use prometheus::Registry;

use super::support::{answering, ask, field, stand};
use crate::proxy::Metrics;

fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Answers with the status and the type that the path names.
async fn stub(request: http::Request<hyper::body::Incoming>) -> http::Response<Full<bytes::Bytes>> {
    let path = request.uri().path().to_owned();
    request.into_body().collect().await.unwrap();
    let (status, kind) = path[1..].split_once('/').unwrap();
    http::Response::builder()
        .status(status.parse::<u16>().unwrap())
        .header("content-type", kind)
        .body(Full::from("{\"predictions\": [1]}"))
        .unwrap()
}

#[tokio::test]
async fn each_exchange_counts_once_and_under_its_own_cause() {
    let stand = stand(answering(stub).await, |_| {}).await;
    for request in [
        post("/200/application/json", "{}"),
        post("/200/application/json", "{\"a\": 1}"),
        post("/400/application/json", "{}"),
        post("/404/text/plain", "{}"),
        post("/500/application/json", "{}"),
        post("/500/text/plain", "{}"),
        // As MLflow's server fails for want of a Content-Type.
        post("/500/text/plain", "{}").replace("content-type: application/json\r\n", ""),
        post("/500/text/html", "{}").replace("content-type: application/json\r\n", ""),
        post("/500/text/html", "1;2").replace("content-type: application/json\r\n", ""),
        // As Starlette's and aiohttp's handlers fail that ask for the request's JSON.
        post("/500/text/plain", "{\"x\": [1, 2"),
        post("/500/application/json", ""),
        // What such handlers do not read, and a model that is asked without a body, fail for reasons of their own.
        post("/500/application/json?x=1", ""),
        "GET /500/text/plain HTTP/1.1\r\nhost: m\r\ncontent-type: application/json\r\n\r\n".into(),
        "GET /200/text/plain HTTP/1.1\r\nhost: m\r\n\r\n".into(),
        "GET /404/application/json HTTP/1.1\r\nhost: m\r\n\r\n".into(),
        "BREW /503/text/plain HTTP/1.1\r\nhost: m\r\n\r\n".into(),
        // As a server in front of the model says it, not the model.
        post("/502/text/html", "{}"),
        post("/504/application/json", "{}"),
        "GET /500/text/plain HTTP/1.1\r\nhost: m\r\nuser-agent: kube-probe/1.33\r\n\r\n".into(),
        "GET /200/text/plain HTTP/1.1\r\nhost: m\r\nuser-agent: kube-probe/1\r\n\r\n".into(),
    ] {
        let (got, body) = ask(&stand, &request).await;
        assert_eq!((field(&got, "x-modelship-exporter"), body.len()), (None, 20), "{got}");
    }
    let codes = [("POST", 200, 2.0), ("POST", 400, 1.0), ("POST", 404, 1.0), ("POST", 500, 8.0), ("POST", 504, 1.0)];
    for (method, code, count) in codes.into_iter().chain([("GET", 200, 1.0), ("GET", 404, 1.0), ("other", 503, 1.0)]) {
        assert_eq!(stand.requests(method, code), count, "{method} {code}");
    }
    assert_eq!(stand.requests("GET", 500), 1.0, "probes do not count");
    let causes = ["client", "model", "timeout", "unreachable", "unclear"].map(|cause| stand.errors(cause));
    assert_eq!(causes, [2.0, 6.0, 1.0, 1.0, 4.0], "the JSON 400 is left to the reading room");
    assert_eq!(stand.value("http_request_duration_seconds_count"), 18.0);
    assert_eq!(stand.value("http_request_size_bytes_count"), 18.0);
    assert_eq!(stand.value("http_request_size_bytes_sum"), 40.0);
    assert_eq!(stand.value("http_response_size_bytes_sum"), 360.0);
    assert_eq!(stand.value("http_requests_in_flight"), 0.0);

    let kept = stand.kept.all();
    let statuses: Vec<_> = kept.iter().map(|exchange| exchange.status.as_u16()).collect();
    assert_eq!(statuses, [200, 200, 400], "probes and what nobody can read are not offered");
    let exchange = &kept[1];
    assert_eq!((&exchange.method, exchange.status), (&Method::POST, StatusCode::OK));
    assert_eq!(exchange.path, "/200/application/json");
    assert_eq!(exchange.request.pieces.concat(), b"{\"a\": 1}");
    assert_eq!(exchange.answer.pieces.concat(), b"{\"predictions\": [1]}");
    assert!(exchange.request.whole && exchange.answer.whole);
    assert_eq!((exchange.request.length, exchange.answer.length), (8, 20));
    assert_eq!(exchange.answer.content_type.as_ref().unwrap(), "application/json");
}

#[test]
fn the_usual_series_are_there_at_zero_and_every_help_is_a_sentence() {
    let registry = Registry::new();
    let _metrics = Metrics::new(&registry).unwrap();
    for family in registry.gather() {
        assert!(family.help().ends_with('.') && family.help().contains(' '), "{}", family.name());
        for metric in family.get_metric() {
            assert_eq!(metric.get_counter().get_value(), 0.0);
        }
    }
    let page = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for series in [r#"http_requests_total{code="200",method="GET"} 0"#, r#"{code="499",method="POST"} 0"#] {
        assert!(page.contains(series), "{page}");
    }
    assert!(Metrics::new(&registry).is_err(), "a name is taken once");
}
