//! HTTP/2 clients and models that misbehave, frame by frame: what one does must cost no other anything.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::future::join_all;
use h2::RecvStream;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use tokio::{
    io::AsyncWriteExt as _,
    sync::{Barrier, Semaphore, mpsc, watch},
    time::timeout,
};

use super::{
    raw::{PREFACE, ask, asked, client, frame, frames, sized},
    support::{model, soon, stand},
};

#[tokio::test]
async fn streams_whose_client_takes_nothing_end_at_their_limit() {
    let stand = stand(frames(1000, sized).await, |options| options.body_timeout = Duration::from_millis(300)).await;
    for (window, size) in [(0, 10), (0, 100_000), (10, 1000), (10, 100_000), (20_000, 300_000)] {
        let sender = client(&stand, window).await;
        let calls = (0..50).map(|_| async {
            let answer = ask(&sender, &format!("/{size}"), "x").await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let mut body = answer.into_body();
            let mut taken = 0;
            // What the window lets through comes, and no more window is granted.
            loop {
                match soon(body.data()).await {
                    Some(Ok(piece)) => taken += piece.len(),
                    Some(Err(error)) => break assert!(error.is_reset(), "{error}"),
                    None => panic!("{taken} bytes were an end"),
                }
            }
            assert!(taken <= window as usize);
        });
        join_all(calls).await;
        stand.until("http_requests_in_flight", 0.0).await;
    }
}

#[tokio::test]
async fn all_others_are_answered_while_a_client_keeps_250_streams_that_it_does_not_read() {
    let stand = stand(frames(100, sized).await, |_| {}).await;
    let stuck = client(&stand, 0).await;
    let heads = join_all((0..250).map(|_| ask(&stuck, "/1000000", "x"))).await;
    assert!(heads.iter().all(|head| head.as_ref().unwrap().status() == StatusCode::OK));
    let other = client(&stand, 65_535).await;
    for _ in 0..10 {
        for (status, body) in join_all((0..20).map(|_| asked(&other, "/1000", "x"))).await {
            assert_eq!((status, body.len()), (StatusCode::OK, 1000));
        }
    }
}

#[tokio::test]
async fn an_upload_that_the_model_does_not_read_holds_up_no_other_client() {
    let stand = stand(
        frames(100, |_, request, respond| async move {
            if request.uri().path() == "/unread" {
                std::future::pending::<()>().await;
            }
            sized(0, request, respond).await;
        })
        .await,
        |_| {},
    )
    .await;
    let uploads: Vec<_> = join_all((0..3).map(|_| client(&stand, 65_535))).await;
    for sender in &uploads {
        let sender = sender.clone();
        tokio::spawn(async move { ask(&sender, "/unread", vec![1; 8 << 20]).await.map(drop) });
    }
    stand.until("http_requests_in_flight", 3.0).await;
    let other = client(&stand, 65_535).await;
    for _ in 0..20 {
        assert_eq!(asked(&other, "/5", "xx").await, (StatusCode::OK, vec![7; 5]));
    }
}

#[tokio::test]
async fn a_further_connection_is_opened_when_the_model_takes_no_more_streams_on_the_first() {
    let all = Arc::new(Barrier::new(25));
    let model = frames(10, move |number, request, respond| {
        let all = all.clone();
        async move {
            all.wait().await;
            sized(number, request, respond).await;
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let sender = client(&stand, 65_535).await;
    for (status, _) in join_all((0..25).map(|_| asked(&sender, "/10", "x"))).await {
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(stand.value("modelship_exporter_model_connections_total"), 3.0);
}

#[tokio::test]
async fn a_further_connection_comes_although_streams_of_the_first_end_while_it_is_opened() {
    let begun = watch::Sender::new(0);
    let connections = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = connections.clone();
    let model = model(move |number, stream| {
        let (begun, seen) = (begun.clone(), seen.clone());
        async move {
            let before = *begun.borrow();
            if number > 0 && begun.subscribe().wait_for(|now| *now >= before + 3).await.is_err() {
                return;
            }
            let mut builder = h2::server::Builder::new();
            let Ok(mut connection) = builder.max_concurrent_streams(1).handshake(stream).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                seen.lock().unwrap().insert(number);
                begun.send_modify(|count| *count += 1);
                tokio::spawn(sized(0, request, respond));
            }
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let sender = client(&stand, 65_535).await;
    for (status, _) in join_all((0..40).map(|_| asked(&sender, "/10", "x"))).await {
        assert_eq!(status, StatusCode::OK);
    }
    let used = connections.lock().unwrap().len();
    assert!(used > 1, "all 40 calls went through one connection");
}

#[tokio::test]
async fn a_call_waits_for_a_stream_no_longer_than_the_timeout_and_is_told_that_the_model_is_full() {
    let gate = Arc::new(Semaphore::new(0));
    let inside = gate.clone();
    let model = frames(1, move |number, request, respond| {
        let gate = inside.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            sized(number, request, respond).await;
        }
    })
    .await;
    let stand = stand(model, |options| options.timeout = Duration::from_secs(1)).await;
    let sender = client(&stand, 65_535).await;
    let answers = join_all((0..20).map(|_| ask(&sender, "/10", "x"))).await;
    let (full, late): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .map(|answer| answer.unwrap())
        .partition(|answer| answer.headers()["x-modelship-exporter"] == "model-full");
    assert!(
        !full.is_empty() && late.len() >= 8,
        "eight connections take one stream each, and {} were late",
        late.len()
    );
    assert!(full.iter().all(|answer| answer.status() == 503 && answer.headers()["retry-after"] == "1"));
    assert!(late.iter().all(|answer| answer.status() == 504));
    gate.add_permits(20);
    assert_eq!(asked(&sender, "/10", "x").await.0, StatusCode::OK, "streams that were given up are free again");
}

/// The authority and the host that came.
async fn names(_: usize, request: Request<RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let mut answer = Response::new(());
    answer.headers_mut().insert("x-authority", HeaderValue::from_str(&authority).unwrap());
    let _ = respond.send_response(answer, true);
}

#[tokio::test]
async fn a_request_may_name_its_host_in_either_of_two_ways_but_not_two_hosts() {
    let address = frames(100, names).await;
    let stand = stand(address, |_| {}).await;
    let sender = client(&stand, 65_535).await;
    let upstream = address.to_string();
    for (uri, hosts, wanted) in [
        ("http://a.example/x", &[][..], Ok("a.example")),
        ("http://a.example/x", &["A.example"][..], Ok("a.example")),
        ("/x", &["b.example:81"][..], Ok("b.example:81")),
        ("/x", &[][..], Ok(&*upstream)),
        ("http://a.example/x", &["b.example"][..], Err(400)),
        ("/x", &["a.example", "b.example"][..], Err(400)),
        ("/x", &["no host"][..], Err(400)),
        ("/x", &["me:secret@b.example"][..], Err(400)),
    ] {
        let mut request = Request::post(uri).body(()).unwrap();
        // With this version h2 sends no `:authority` where there is none.
        *request.version_mut() = if uri.starts_with('/') { Version::HTTP_11 } else { Version::HTTP_2 };
        for host in hosts {
            request.headers_mut().append("host", HeaderValue::from_str(host).unwrap());
        }
        let (answer, _) = sender.clone().ready().await.unwrap().send_request(request, true).unwrap();
        let answer = soon(answer).await.unwrap();
        let got = match answer.status().as_u16() {
            200 => Ok(answer.headers()["x-authority"].to_str().unwrap()),
            status => Err(status),
        };
        assert_eq!(got, wanted, "{uri} {hosts:?}");
    }
    stand.until(r#"http_request_errors_total{cause="client"}"#, 4.0).await;
    assert_eq!(stand.errors("unreachable"), 0.0);
}

#[tokio::test]
async fn an_answer_that_came_before_the_request_was_sent_ends_both() {
    let (told, mut resets) = mpsc::unbounded_channel();
    let model = frames(100, move |_, request, mut respond| {
        let told = told.clone();
        async move {
            let _unread = request.into_body();
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"no"), true).unwrap();
            told.send(std::future::poll_fn(|context| stream.poll_reset(context)).await.unwrap()).unwrap();
        }
    })
    .await;
    let stand = stand(model, |_| {}).await;
    let sender = client(&stand, 65_535).await;
    let request = Request::post("http://model/").body(()).unwrap();
    let (answer, mut upload) = sender.clone().ready().await.unwrap().send_request(request, false).unwrap();
    // More than both windows.
    upload.send_data(vec![1; 4 << 20].into(), false).unwrap();
    let mut body = soon(answer).await.unwrap().into_body();
    assert_eq!(soon(body.data()).await.unwrap().unwrap(), "no");
    assert!(soon(body.data()).await.is_none_or(|end| end.unwrap_err().reason() == Some(h2::Reason::NO_ERROR)));
    let told = soon(std::future::poll_fn(|context| upload.poll_reset(context))).await;
    assert_eq!(told.unwrap(), h2::Reason::NO_ERROR, "the client need not send the rest");
    assert_eq!(soon(resets.recv()).await, Some(h2::Reason::CANCEL));
    stand.until("http_requests_in_flight", 0.0).await;
}

#[tokio::test]
async fn an_idle_client_is_closed_after_its_time_and_one_at_work_is_not() {
    let gate = Arc::new(Semaphore::new(0));
    let inside = gate.clone();
    let model = frames(100, move |number, request, respond| {
        let gate = inside.clone();
        async move {
            let _open = gate.acquire().await;
            sized(number, request, respond).await;
        }
    })
    .await;
    let stand = stand(model, |options| options.client_idle_timeout = Duration::from_millis(400)).await;
    let (at_work, idle) = (client(&stand, 65_535).await, client(&stand, 65_535).await);
    let work = tokio::spawn(async move { asked(&at_work, "/10", "x").await });
    stand.until("http_requests_in_flight", 1.0).await;
    stand.until("modelship_exporter_client_connections", 1.0).await;
    assert!(idle.ready().await.is_err());
    gate.add_permits(1);
    assert_eq!(soon(work).await.unwrap(), (StatusCode::OK, vec![7; 10]));
}

#[tokio::test]
async fn a_client_that_sends_pings_and_reads_no_answers_is_not_read_any_more() {
    let stand = stand(frames(100, sized).await, |_| {}).await;
    let mut flood = stand.connect().await;
    flood.write_all(PREFACE).await.unwrap();
    flood.write_all(&frame(4, 0, 0, b"")).await.unwrap();
    let pings = frame(6, 0, 0, b"01234567").repeat(10_000);
    let mut sent = 0;
    while timeout(Duration::from_secs(1), flood.write_all(&pings)).await.is_ok() {
        sent += pings.len();
        assert!(sent < 256 << 20, "what is read must be answered, and answers have no room");
    }
    let other = client(&stand, 65_535).await;
    assert_eq!(asked(&other, "/10", "x").await, (StatusCode::OK, vec![7; 10]));
}
