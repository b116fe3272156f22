//! Whom an answer blames by its own words, where its status alone would blame the wrong one.

use http::{HeaderMap, StatusCode, header};

use crate::blame::Cause;

/// Many images have a server in front of the model's own, as MLflow's have nginx, which says itself that the model is away
/// (502, or 503 as a page for people) or late (504). Then it was not the model that answered. With 503 and a plain word a
/// model's own server says that it has too much to do (uvicorn's `--limit-concurrency`), unless it is Envoy's.
pub fn by_gateway(status: StatusCode, headers: &HeaderMap) -> Option<Cause> {
    let has = |name: header::HeaderName, word: &[u8]| {
        let value = headers.get(name).map_or(&b""[..], |value| value.as_bytes());
        value.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
    };
    let models = || {
        let plain = has(header::CONTENT_TYPE, b"text/plain") && !has(header::SERVER, b"envoy");
        plain || has(header::CONTENT_TYPE, b"json")
    };
    match status {
        StatusCode::GATEWAY_TIMEOUT => Some(Cause::Timeout),
        StatusCode::BAD_GATEWAY => Some(Cause::Unreachable),
        StatusCode::SERVICE_UNAVAILABLE if !models() => Some(Cause::Unreachable),
        _ => None,
    }
}

/// A gRPC call fails with HTTP's 200; how it ended is in `grpc-status`, in trailers or where there is no message in headers.
/// The codes are those of gRPC's status.proto; whom each blames follows what it asks the caller to do.
pub fn by_grpc(headers: &HeaderMap) -> Option<Cause> {
    match headers.get("grpc-status")?.to_str().ok()?.trim().parse::<u8>().ok()? {
        0 => None,
        // DEADLINE_EXCEEDED; UNAVAILABLE.
        4 => Some(Cause::Timeout),
        14 => Some(Cause::Unreachable),
        // UNKNOWN, RESOURCE_EXHAUSTED, ABORTED, UNIMPLEMENTED, INTERNAL, DATA_LOSS.
        2 | 8 | 10 | 12 | 13 | 15 => Some(Cause::Model),
        _ => Some(Cause::Client),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        [(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn a_gateways_own_words_are_told_from_the_models() {
        for (status, kind, cause) in [
            (502, "text/html", Some(Cause::Unreachable)),
            (502, "application/json", Some(Cause::Unreachable)),
            (504, "text/html", Some(Cause::Timeout)),
            (503, "text/html; charset=utf-8", Some(Cause::Unreachable)),
            (503, "application/problem+JSON", None),
            (503, "text/plain; charset=utf-8", None),
            (500, "text/html", None),
            (200, "text/html", None),
        ] {
            let found = by_gateway(StatusCode::from_u16(status).unwrap(), &headers("content-type", kind));
            assert_eq!(found, cause, "{status} {kind}");
        }
        let envoy = [("content-type", "text/plain"), ("server", "envoy")].map(|(name, value)| headers(name, value));
        let envoy: HeaderMap = envoy.into_iter().flatten().map(|(name, value)| (name.unwrap(), value)).collect();
        for headers in [HeaderMap::new(), envoy] {
            assert_eq!(by_gateway(StatusCode::SERVICE_UNAVAILABLE, &headers), Some(Cause::Unreachable), "{headers:?}");
        }
    }

    #[test]
    fn how_a_grpc_call_ended_says_whose_fault_it_was() {
        for (code, cause) in [
            ("0", None),
            ("3", Some(Cause::Client)),
            ("4", Some(Cause::Timeout)),
            ("13", Some(Cause::Model)),
            ("14", Some(Cause::Unreachable)),
            ("99", Some(Cause::Client)),
            ("good", None),
        ] {
            assert_eq!(by_grpc(&headers("grpc-status", code)), cause, "{code}");
        }
        assert_eq!(by_grpc(&HeaderMap::new()), None);
    }
}
