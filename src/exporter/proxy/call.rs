//! One HTTP/2 request: to the model and back.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::{Reason as Code, RecvStream};
use http::{
    HeaderValue, Request, Response, Uri, header, request,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::{Body, Frame};
use tokio::task::JoinHandle;

use super::{
    again::Again,
    answers::Reason,
    download::Source,
    forward::{self, Answer, Failure, TRIES},
    headers,
    patience::Watch,
    pump::Pump,
    received::Received,
    session::Session,
    streams::Slot,
    tally::Tally,
    upload::Upload,
};
use crate::blame::Cause;

/// What of a request is still to be sent.
type Rest = Again<Upload<Received>>;

pub async fn call(session: &Session, watch: &Arc<Watch>, request: Request<RecvStream>) -> Answer {
    let connection = &session.connection;
    let shared = &connection.shared;
    let mut tally = Tally::begin(connection, watch, request.method());
    let (mut parts, body) = request.into_parts();
    if let Err(reason) = forward::prepare(shared, &mut tally, &mut parts) {
        return forward::own(tally, reason, Cause::Client);
    }
    headers::forwarded_for(&mut parts.headers, &connection.client);
    // A call may send for as long as it lives.
    let (upload, _) = forward::upload(shared, &mut tally, &parts, Received::new(body), None);
    match to_the_model(session, watch, Request::from_parts(parts, ()), Again::new(upload)).await {
        Ok(mut answer) => {
            headers::of_answer(answer.headers_mut());
            forward::passed_on(shared, tally, answer.map(Source::Call), None)
        }
        Err(failure) => forward::failed(shared, tally, failure),
    }
}

/// HTTP/2 clients name the host in `:authority`, those that were HTTP/1 before in `Host`, and the model gets `:authority`. Two that
/// differ are two opinions on whose request this is (RFC 9113, 8.3.1).
pub fn name_host(parts: &mut request::Parts, hosts: usize, own: &HeaderValue) -> Result<(), Reason> {
    let host = parts.headers.get(header::HOST);
    if let Some(authority) = parts.uri.authority() {
        let same = host.is_none_or(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()));
        return if hosts <= 1 && same { Ok(()) } else { Err(Reason::BadRequest) };
    }
    let authority = Authority::try_from(host.unwrap_or(own).as_bytes()).map_err(|_| Reason::BadRequest)?;
    if hosts > 1 || authority.as_str().contains('@') {
        return Err(Reason::BadRequest);
    }
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(authority);
    uri.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    parts.uri = Uri::from_parts(uri).map_err(|_| Reason::BadRequest)?;
    Ok(())
}

async fn to_the_model(
    session: &Session,
    watch: &Watch,
    head: Request<()>,
    mut body: Rest,
) -> Result<Response<Answering>, Failure> {
    let streams = &session.streams;
    for left in (0..TRIES).rev() {
        let slot = match watch.limit(pin!(streams.slot())).await {
            // A place that came too late is for those who wait still.
            Ok(Ok(_)) if watch.expired() => return Err(Failure::Full),
            Ok(slot) => slot.map_err(Failure::Connect)?,
            Err(_) if streams.full() => return Err(Failure::Full),
            Err(expired) => return Err(expired.into()),
        };
        let refused = match watch.limit(pin!(exchange(slot, head.clone(), body))).await? {
            Ok(answer) => return Ok(answer),
            Err(refused) => refused,
        };
        let Refused { error, rest: Some(rest) } = refused else { return Err(Failure::Stream(refused.error)) };
        body = rest;
        if !body.rewind() {
            return Err(Failure::Full);
        }
        if left == 0 {
            return Err(if error.is_reset() { Failure::Full } else { Failure::Stream(error) });
        }
        session.connection.shared.metrics.resent();
    }
    Err(Failure::Full)
}

/// No answer came.
struct Refused {
    error: h2::Error,
    /// The request, if the model has not looked at it.
    rest: Option<Rest>,
}

/// Sends the request, and waits for the head of the answer.
async fn exchange(slot: Slot, head: Request<()>, body: Rest) -> Result<Response<Answering>, Refused> {
    let mut sent = body.is_end_stream();
    let (mut answer, to) = match slot.open(head, sent).await {
        Ok(open) => open,
        Err(error) => return Err(Refused { error, rest: Some(body) }),
    };
    let mut pump = Pump::new(body, to);
    let answer = std::future::poll_fn(|context| {
        sent = sent || pump.poll(context).is_ready();
        Pin::new(&mut answer).poll(context)
    })
    .await;
    match answer {
        Ok(answer) => {
            pump.body_mut().forget();
            let upload = (!sent).then(|| Sending::begin(pump));
            Ok(answer.map(|body| Answering { body: Received::new(body), _upload: upload, _slot: slot }))
        }
        Err(error) => {
            let rest = untouched(&error).then(|| pump.into_body());
            Err(Refused { error, rest })
        }
    }
}

/// Whether the model says that it has not looked at the request. h2 gives the error of a GOAWAY only to streams above its last.
fn untouched(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Code::REFUSED_STREAM))
}

/// Sends the rest of a request while its answer passes already, until it is dropped.
struct Sending(JoinHandle<()>);

impl Sending {
    fn begin(mut pump: Pump<Rest>) -> Self {
        Self(tokio::spawn(async move { std::future::poll_fn(|context| pump.poll(context)).await }))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of an answer, and what it takes to get it: with it the whole exchange ends.
pub struct Answering {
    body: Received,
    _upload: Option<Sending>,
    _slot: Slot,
}

impl Body for Answering {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
