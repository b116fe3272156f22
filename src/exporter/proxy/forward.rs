//! One request: to the model and back.

use std::{
    convert::Infallible,
    io,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, Version, header, request, uri::PathAndQuery};
use http_body::Body;
use hyper::{body::Incoming, client::conn::TrySendError, upgrade::OnUpgrade};

use super::{
    answers::Reason,
    call,
    capture::Capture,
    connection::Connection,
    download::{Download, Source},
    headers,
    hold::{Refusal, hold},
    patience::{Expired, Phase, Watch},
    pool::{ConnectError, Lease},
    serve::Shared,
    tally::{Ending, Tally},
    target::Raw,
    told,
    tunnel::Tunnel,
    upload::Upload,
};
use crate::blame::Cause;

/// How often a request is sent whose connection was closed before any of it was taken.
pub const TRIES: usize = 5;

pub type Answer = Response<Download>;

/// Why there is no answer of the model.
pub enum Failure {
    Connect(ConnectError),
    Broken(hyper::Error),
    Stream(h2::Error),
    /// No stream could be had.
    Full,
    Expired,
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::TooManyUploads,
            Refusal::Late => Self::ClientTooSlow,
            Refusal::Broken => Self::BadRequest,
        }
    }
}

impl From<Expired> for Failure {
    fn from(_: Expired) -> Self {
        Self::Expired
    }
}

/// One request that came by HTTP/1.
pub async fn http1(
    connection: Arc<Connection>,
    watch: Arc<Watch>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let mut tally = Tally::begin(&connection, &watch, request.method());
    let (mut parts, body) = request.into_parts();
    let prepared = unmask(&watch, &mut parts).and_then(|()| prepare(&connection.shared, &mut tally, &mut parts));
    let seen = match prepared {
        Ok(seen) => seen,
        Err(reason) => return Ok(own(tally, reason, Cause::Client)),
    };
    let switches = if seen.upgrade { parts.extensions.remove::<OnUpgrade>() } else { None };
    headers::forwarded_for(&mut parts.headers, &connection.client);
    let oldest = parts.version < Version::HTTP_11;
    parts.version = Version::HTTP_11;
    let until = tally.start + connection.shared.options.timeout;
    let (mut upload, unknown) = upload(&connection.shared, &mut tally, &parts, body, Some(until));
    if unknown {
        headers::say_chunked(&mut parts.headers);
    }
    if let Err(refusal) = hold(&connection.shared.room, &mut upload).await {
        return Ok(own(tally, refusal.into(), Cause::Client));
    }
    let request = Request::from_parts(parts, upload);
    let (mut answer, mut lease) = match by_lease(&connection.shared, &watch, &tally, request).await {
        Ok(answer) => answer,
        Err(failure) => return Ok(failed(&connection.shared, tally, failure)),
    };
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(match switches {
            Some(client) => switched(&connection, tally, answer, client),
            None => own(tally, Reason::ModelUnreadable, Cause::Unreachable),
        });
    }
    if is_last(&tally, answer.status(), &lease) {
        lease.spent();
    }
    if answer.status() == StatusCode::UPGRADE_REQUIRED {
        headers::of_switch(answer.headers_mut());
    } else {
        headers::of_answer(answer.headers_mut());
    }
    if oldest && answer.headers().contains_key(header::TRANSFER_ENCODING) {
        // HTTP/1.0 cannot say it, and without a word the client would take the coded body for the answer.
        return Ok(own(tally, Reason::ModelUnreadable, Cause::Unreachable));
    }
    *answer.version_mut() = Version::HTTP_11;
    if connection.shared.rooms.drain.draining() {
        answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    Ok(passed_on(&connection.shared, tally, answer.map(Source::Model), Some(lease)))
}

/// Notes the target that is to be written, where hyper could not be shown it.
fn unmask(watch: &Watch, parts: &mut request::Parts) -> Result<(), Reason> {
    if let Some(raw) = watch.target() {
        parts.extensions.insert(raw.behind(&parts.uri).ok_or(Reason::BadRequest)?);
    }
    Ok(())
}

/// Makes a client's request one for the model.
pub fn prepare(shared: &Shared, tally: &mut Tally, parts: &mut request::Parts) -> Result<headers::Seen, Reason> {
    if parts.method == Method::CONNECT {
        return Err(Reason::ConnectRefused);
    }
    let seen = headers::of_request(&mut parts.headers, parts.version == Version::HTTP_11);
    if seen.probe && matches!(parts.method, Method::GET | Method::HEAD) {
        tally.do_not_count();
    }
    let http1 = parts.version < Version::HTTP_2;
    if http1 {
        // Two Hosts are two opinions on whose request this is; HTTP/1.1 asks for exactly one (RFC 9112, 3.2).
        if seen.hosts > 1 || (seen.hosts == 0 && parts.version == Version::HTTP_11) {
            return Err(Reason::BadRequest);
        }
        if parts.uri.authority().is_some() {
            // `GET predict HTTP/1.1` forgets a slash, and would name a host (RFC 9112, 3.2.3).
            if parts.uri.scheme().is_none() {
                return Err(Reason::BadRequest);
            }
            of_absolute_target(parts)?;
        } else if seen.hosts == 0 {
            parts.headers.insert(header::HOST, shared.host.clone());
        }
    } else {
        call::name_host(parts, seen.hosts, &shared.host)?;
    }
    let settings = shared.rooms.settings.borrow();
    if !settings.aliases.is_empty()
        && let Some(path) = settings.aliases.get(parts.uri.path())
    {
        if let Some(raw) = parts.extensions.get_mut::<Raw>() {
            raw.rename(parts.uri.path().len(), path);
        }
        rename(&mut parts.uri, path).ok_or(Reason::BadRequest)?;
    }
    Ok(seen)
}

/// `GET http://host/path`: the target's host counts, whatever the header says (RFC 9112, 3.2.2).
fn of_absolute_target(parts: &mut request::Parts) -> Result<(), Reason> {
    let uri = std::mem::take(&mut parts.uri).into_parts();
    let authority = uri.authority.ok_or(Reason::BadRequest)?;
    // A password in a target is nobody's business but the client's.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let host = header::HeaderValue::from_str(host).map_err(|_| Reason::BadRequest)?;
    parts.headers.insert(header::HOST, host);
    parts.uri = Uri::from(uri.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")));
    Ok(())
}

/// The same target with another path. `None` when that is no path.
fn rename(uri: &mut Uri, path: &str) -> Option<()> {
    let target = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(target.ok()?);
    *uri = Uri::from_parts(parts).ok()?;
    Some(())
}

/// The body with what is to be noted of it, and whether its length is unknown. All of it must come before `until`.
pub fn upload<B: Body<Data = Bytes> + Unpin>(
    shared: &Shared,
    tally: &mut Tally,
    parts: &request::Parts,
    body: B,
    until: Option<Instant>,
) -> (Upload<B>, bool) {
    let mut limit = 0;
    if let Some(taker) = &shared.rooms.taker
        && tally.counts()
        && taker.wants(&parts.method, parts.uri.path(), parts.uri.query().is_some())
    {
        limit = taker.request_limit();
        tally.captures(Capture::of(&parts.method, parts.uri.path(), parts.uri.query().is_some(), &parts.headers));
    }
    let (upload, sent) = Upload::new(body, tally.watch(), limit, until);
    let has_body = sent.is_some();
    if let Some(sent) = sent {
        tally.sends(sent);
    }
    let unknown = has_body && upload.size_hint().exact().is_none();
    (upload, unknown)
}

async fn by_lease(
    shared: &Shared,
    watch: &Watch,
    tally: &Tally,
    mut request: Request<Upload>,
) -> Result<(Response<Incoming>, Lease), Failure> {
    for left in (0..TRIES).rev() {
        let mut lease = watch.limit(pin!(shared.pool.lease(tally.start))).await?.map_err(Failure::Connect)?;
        if let Some(raw) = request.extensions().get::<Raw>() {
            lease.line.restores(request.method(), raw.clone());
        }
        let answer = watch.limit(pin!(lease.sender.try_send_request(request))).await?;
        match answer {
            Ok(answer) => return Ok((answer, lease)),
            Err(error) => {
                if !error.error().is_parse() && !error.error().is_user() {
                    shared.pool.found_closed(&lease);
                }
                request = again(shared, error, left)?;
            }
        }
    }
    Err(Failure::Expired)
}

/// Whether the model closes the connection after this answer, as servers do without a word: after a handler broke (uvicorn),
/// and when they answer before they have read the whole request.
fn is_last(tally: &Tally, status: StatusCode, lease: &Lease) -> bool {
    status.as_u16() >= 500 || !tally.sent_all() || !lease.line.written()
}

/// hyper gives the request back if its connection had closed before any of it was taken; then the model cannot have
/// seen it, whatever the method.
fn again(shared: &Shared, mut error: TrySendError<Request<Upload>>, left: usize) -> Result<Request<Upload>, Failure> {
    match error.take_message() {
        Some(request) if left > 0 => {
            shared.metrics.resent();
            Ok(request)
        }
        _ => Err(Failure::Broken(error.into_error())),
    }
}

/// From here on both speak another protocol. The exchange is over with this answer: how long they speak, and what they say, says
/// nothing about a request.
fn switched(connection: &Connection, mut tally: Tally, mut answer: Response<Incoming>, client: OnUpgrade) -> Answer {
    let shared = &connection.shared;
    shared.rooms.health.answered();
    shared.was_up.store(true, Relaxed);
    let model = hyper::upgrade::on(&mut answer);
    headers::of_switch(answer.headers_mut());
    tally.answered(answer.status(), answer.headers());
    connection.becomes(Tunnel { client, model, under_way: shared.rooms.drain.enter() });
    tally.end(Ending::Whole, Instant::now());
    tally.watch().enter(Phase::Tunnel);
    answer.map(|body| Download::of_model(Source::Model(body), tally, None))
}

pub fn passed_on(shared: &Shared, mut tally: Tally, answer: Response<Source>, lease: Option<Lease>) -> Answer {
    let (status, headers) = (answer.status(), answer.headers());
    let gateway = told::by_gateway(status, headers);
    if gateway.is_none() {
        shared.rooms.health.answered();
        shared.was_up.store(true, Relaxed);
    }
    tally.answered(status, headers);
    // Only HTTP/2 has no lease.
    let cause = gateway.or_else(|| lease.is_none().then(|| told::by_grpc(headers)).flatten());
    cause.into_iter().for_each(|cause| tally.blames(cause));
    answer.map(|body| Download::of_model(body, tally, lease))
}

pub fn failed(shared: &Shared, tally: Tally, failure: Failure) -> Answer {
    let (reason, cause) = match failure {
        Failure::Expired if tally.waits_for_client() => (Reason::ClientTooSlow, Cause::Client),
        Failure::Expired => (Reason::ModelTimeout, Cause::Timeout),
        Failure::Broken(_) if tally.client_broke() => (Reason::BadRequest, Cause::Client),
        Failure::Broken(error) if error.is_user() && tally.client_late() => (Reason::ClientTooSlow, Cause::Client),
        Failure::Broken(error) if error.is_parse() => (Reason::ModelUnreadable, Cause::Unreachable),
        Failure::Stream(_) if tally.client_broke() => (Reason::BadRequest, Cause::Client),
        // What h2 itself ended, it could not read.
        Failure::Stream(error) if error.is_library() => (Reason::ModelUnreadable, Cause::Unreachable),
        Failure::Broken(_) | Failure::Stream(_) => (Reason::ModelClosed, Cause::Unreachable),
        Failure::Full => (Reason::ModelFull, Cause::Unreachable),
        Failure::Connect(ConnectError::Handshake(_) | ConnectError::Http2(_)) => {
            (Reason::ModelUnreadable, Cause::Unreachable)
        }
        Failure::Connect(ConnectError::Connect(error)) => {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                shared.rooms.health.refused();
            }
            let up = shared.was_up.load(Relaxed);
            (if up { Reason::ModelUnreachable } else { Reason::ModelNotUp }, Cause::Unreachable)
        }
    };
    own(tally, reason, cause)
}

pub fn own(mut tally: Tally, reason: Reason, cause: Cause) -> Answer {
    tally.answers(reason.status(), cause);
    let draining = tally.connection().shared.rooms.drain.draining();
    let watch = tally.watch().clone();
    let mut answer = Response::new(Download::own(reason.body(), tally));
    *answer.status_mut() = reason.status();
    *answer.headers_mut() = reason.headers();
    if reason.closes() {
        watch.linger.store(true, Relaxed);
    }
    if draining || reason.closes() {
        answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    answer
}
