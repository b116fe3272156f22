//! uvicorn closes a connection without a word after a handler broke, behind the 500 that Starlette answers. With more to do than it
//! may, it says so itself.

use std::time::{Duration, Instant};

use modelship_exporter::proxy::Options;

use super::uvicorn::{Server, proxy};

const CLIENTS: usize = 50;
const REQUESTS: usize = 100;
/// One in so many raises.
const RAISING: usize = 7;

fn raises(client: usize, request: usize) -> bool {
    (client + request).is_multiple_of(RAISING)
}

#[tokio::test]
async fn a_handler_that_breaks_costs_nobody_elses_request() {
    let uvicorn = Server::uvicorn("raising:app", &[]);
    let stand = proxy(Options::to(uvicorn.1.to_string()));
    let url = format!("http://{}/invocations", stand.address);
    let clients = (0..CLIENTS).map(|number| {
        let url = url.clone();
        tokio::spawn(async move {
            let client = crate::client();
            let mut wrong = Vec::new();
            for request in 0..REQUESTS {
                let (input, wanted) = if raises(number, request) { (-1, 500) } else { (1, 200) };
                let body = format!("{{\"inputs\": [[{input}]]}}");
                let answer = client.post(&url).header("content-type", "application/json").body(body).send().await;
                let status = answer.map(|answer| answer.status().as_u16());
                if !status.as_ref().is_ok_and(|status| *status == wanted) {
                    wrong.push(format!("client {number}, request {request}: {status:?} instead of {wanted}"));
                }
            }
            wrong
        })
    });
    let mut wrong = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        wrong.extend(client.await.expect("a client"));
    }
    assert!(wrong.is_empty(), "{} of {} went wrong:\n{}", wrong.len(), CLIENTS * REQUESTS, wrong.join("\n"));
    let raised = (0..CLIENTS).map(|client| (0..REQUESTS).filter(|request| raises(client, *request)).count()).sum();
    // A request counts when its answer's last byte is handed on, which is a moment after its head.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !(stand.counted("POST", 500, raised) && stand.counted("POST", 200, CLIENTS * REQUESTS - raised)) {
        assert!(Instant::now() < deadline, "{raised} raised:\n{}", stand.page());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_that_says_that_it_has_too_much_to_do_was_reached() {
    let uvicorn = Server::uvicorn("raising:app", &["--limit-concurrency", "1"]);
    let stand = proxy(Options::to(uvicorn.1.to_string()));
    let answer = crate::client().post(format!("http://{}/invocations", stand.address)).body("{}").send().await;
    assert_eq!(answer.expect("an answer").status(), 503);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !stand.counted("POST", 503, 1) {
        assert!(Instant::now() < deadline, "{}", stand.page());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (cause, count) in [("model", 1), ("unreachable", 0)] {
        let series = format!("http_request_errors_total{{cause=\"{cause}\"}} {count}\n");
        assert!(stand.page().contains(&series), "{}", stand.page());
    }
}
