use std::fs;

use prometheus::TextEncoder;
use tempfile::TempDir;

use super::*;

const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

/// As a kernel 6.1 writes it: listening at 127.0.0.1:5000 and at the exporter's port, one connection.
const TCP: &str = "   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 48318 1 0000000000000000 100 0 0 10 0\n   \
     1: 00000000:2648 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 48319 1 0000000000000000 100 0 0 10 0\n   \
     2: 0100007F:C350 0100007F:1388 01 00000000:00000000 00:00000000 00000000     0        0 48320 1 0000000000000000 20 4 30 10 -1\n";
const TCP6: &str = "   0: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 48321 1 0000000000000000 100 0 0 10 0\n   \
     1: 00000000000000000000000000000000:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 48322 1 0000000000000000 100 0 0 10 0\n";

fn tables(tcp: &str, tcp6: Option<&str>) -> TempDir {
    let net = TempDir::new().unwrap();
    fs::write(net.path().join("tcp"), format!("{HEAD}{tcp}")).unwrap();
    tcp6.into_iter().for_each(|lines| fs::write(net.path().join("tcp6"), format!("{HEAD}{lines}")).unwrap());
    net
}

#[test]
fn ports_that_are_listened_on_are_named_but_for_those_that_are_known() {
    let net = tables(TCP, Some(TCP6));
    assert_eq!(Silence::new(net.path(), [8082], None).listening(), "5000,8081");
    assert_eq!(Silence::new(tables(TCP, None).path(), [], None).listening(), "5000", "a node without IPv6");
}

#[test]
fn where_the_kernel_tells_nothing_and_where_its_table_is_none_nothing_is_named() {
    assert_eq!(Silence::new(Path::new("/nowhere"), [], None).listening(), "");
    for lines in ["", "x\n", "0: 1388 0 0A\n", "0: 0100007F:XYZW 00000000:0000 0A\n", "0: 0100007F:1388\n"] {
        assert_eq!(Silence::new(tables(lines, None).path(), [], None).listening(), "", "{lines}");
    }
    let helpers =
        "0: 0100007F:8000 00000000:0000 0A\n0: 0100007F:D431 00000000:0000 0A\n0: 0100007F:7FFF 00000000:0000 0A\n";
    assert_eq!(
        Silence::new(tables(helpers, None).path(), [], None).listening(),
        "32767",
        "helpers' ports are no model's"
    );
    assert_eq!(Silence::new(tables(helpers, None).path(), [], Some(0xD431)).listening(), "32767,54321");
    let many: String = (1..100).map(|port| format!("0: 00000000:{port:04X} 00000000:0000 0A\n")).collect();
    assert_eq!(Silence::new(tables(&many, None).path(), [], None).listening(), "1,2,3,4,5,6,7,8", "no more than help");
}

#[test]
fn the_kernels_own_tables_name_who_listens_here() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(listed(Path::new("/proc/self/net/tcp")).contains(&port));
}

#[test]
fn the_series_is_there_only_while_the_model_is_unwell() {
    let (net, registry) = (tables(TCP, None), Registry::new());
    let silence = Silence::new(net.path(), [], None);
    Told::register(&registry, &silence).unwrap();
    let shown = || {
        let page = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(shown(), [""; 0]);
    silence.refused();
    assert_eq!(shown(), ["modelship_exporter_model_unwell_info{listening=\"5000\",status=\"\"} 1"]);
    silence.answered(StatusCode::NOT_FOUND);
    assert_eq!(shown(), ["modelship_exporter_model_unwell_info{listening=\"5000\",status=\"404\"} 1"]);
    silence.over();
    assert_eq!(shown(), [""; 0]);
}
