use super::*;

fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

const HOP_BY_HOP: [(&str, &str); 8] = [
    ("connection", "keep-alive, X-Secret"),
    ("connection", "close"),
    ("keep-alive", "timeout=5"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "websocket"),
    ("proxy-connection", "keep-alive"),
    ("proxy-authenticate", "Basic"),
    ("proxy-authorization", "Basic eA=="),
];

#[test]
fn headers_about_the_connection_end_here_in_both_directions() {
    let mut all = map(&HOP_BY_HOP);
    all.extend(map(&[("x-secret", "1"), ("http2-settings", "x"), ("accept", "*/*"), ("te", "gzip"), ("host", "h")]));
    let (mut request, mut answer) = (all.clone(), all);
    of_request(&mut request, true);
    of_answer(&mut answer);
    assert_eq!(request, map(&[("accept", "*/*"), ("host", "h")]));
    assert_eq!(answer, map(&[("accept", "*/*"), ("host", "h")]));
}

#[test]
fn te_goes_on_as_far_as_it_asks_for_trailers() {
    let mut headers = map(&[("te", "gzip, Trailers"), ("connection", "TE")]);
    of_request(&mut headers, true);
    assert_eq!(headers, map(&[("te", "trailers")]));
}

#[test]
fn a_connection_header_cannot_take_away_host_and_length() {
    let mut headers = map(&[("connection", "host, content-length"), ("host", "h"), ("content-length", "3")]);
    assert_eq!(of_request(&mut headers, true), Seen { hosts: 1, probe: false, upgrade: false });
    assert_eq!(headers, map(&[("host", "h"), ("content-length", "3")]));
}

#[test]
fn an_expectation_is_met_here() {
    let mut headers = map(&[("expect", "100-continue")]);
    of_request(&mut headers, true);
    assert!(headers.is_empty());
}

#[test]
fn probes_and_hosts_are_seen() {
    let mut headers = map(&[("user-agent", "kube-probe/1.33"), ("host", "a"), ("host", "b")]);
    assert_eq!(of_request(&mut headers, true), Seen { hosts: 2, probe: true, upgrade: false });
}

#[test]
fn the_clients_address_is_appended_to_what_was_there() {
    let client = HeaderValue::from_static("10.0.0.7");
    let mut headers = HeaderMap::new();
    forwarded_for(&mut headers, &client);
    assert_eq!(headers, map(&[("x-forwarded-for", "10.0.0.7")]));
    let mut headers = map(&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2, 3.3.3.3")]);
    forwarded_for(&mut headers, &client);
    assert_eq!(headers, map(&[("x-forwarded-for", "1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.7")]));
}

#[test]
fn an_upgrade_goes_on_where_it_may_and_names_no_other_http() {
    let asked = [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("host", "h")];
    let passed = map(&[("connection", "upgrade"), ("upgrade", "websocket"), ("host", "h")]);
    let mut headers = map(&asked);
    assert!(of_request(&mut headers, true).upgrade);
    assert_eq!(headers, passed);
    for (may, connection, protocol) in [
        (false, "upgrade", "websocket"),
        (true, "keep-alive", "websocket"),
        (true, "upgrade", "h2c"),
        (true, "Upgrade, HTTP2-Settings", "websocket, H2C"),
    ] {
        let mut headers = map(&[("connection", connection), ("upgrade", protocol), ("host", "h")]);
        assert!(!of_request(&mut headers, may).upgrade, "{may} {connection} {protocol}");
        assert_eq!(headers, map(&[("host", "h")]));
    }
    let mut headers = map(&asked);
    of_switch(&mut headers);
    assert_eq!(headers, passed);
}

#[test]
fn codings_of_the_transfer_stay_and_chunks_alone_do_not() {
    for (coding, stays) in
        [("chunked", None), ("gzip, chunked", Some("gzip, chunked")), ("GZip", Some("GZip, chunked"))]
    {
        let mut headers = map(&[("transfer-encoding", coding), ("content-length", "3")]);
        of_answer(&mut headers);
        assert_eq!(headers, stays.map(|stays| map(&[("transfer-encoding", stays)])).unwrap_or_default());
    }
}
