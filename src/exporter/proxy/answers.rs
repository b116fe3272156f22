//! What the exporter says itself, always marked as such: a client must be able to tell it from what the model says.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// The header on every answer that did not come from the model; its value is [`Reason::name`].
pub const HEADER: HeaderName = HeaderName::from_static("x-modelship-exporter");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why the exporter answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    BadRequest,
    ClientTooSlow,
    TargetTooLong,
    HeadTooLarge,
    ConnectRefused,
    TooManyUploads,
    ModelNotUp,
    ModelUnreachable,
    ModelClosed,
    ModelUnreadable,
    ModelTimeout,
    ModelFull,
}

impl Reason {
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::ClientTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::ConnectRefused => StatusCode::NOT_IMPLEMENTED,
            Self::TooManyUploads | Self::ModelNotUp | Self::ModelFull => StatusCode::SERVICE_UNAVAILABLE,
            Self::ModelUnreachable | Self::ModelClosed | Self::ModelUnreadable => StatusCode::BAD_GATEWAY,
            Self::ModelTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The value of the header.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::ClientTooSlow => "client-too-slow",
            Self::TargetTooLong => "target-too-long",
            Self::HeadTooLarge => "head-too-large",
            Self::ConnectRefused => "connect-refused",
            Self::TooManyUploads => "too-many-uploads",
            Self::ModelNotUp => "model-not-up",
            Self::ModelUnreachable => "model-unreachable",
            Self::ModelClosed => "model-closed",
            Self::ModelUnreadable => "model-unreadable",
            Self::ModelTimeout => "model-timeout",
            Self::ModelFull => "model-full",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::BadRequest => "the request is not HTTP as it should be",
            Self::ClientTooSlow => "the request's body did not come in time",
            Self::TargetTooLong => "the request's target is too long",
            Self::HeadTooLarge => "the request's headers are too many or too large",
            Self::ConnectRefused => "CONNECT is not supported",
            Self::TooManyUploads => "too many requests wait for their bodies",
            Self::ModelNotUp => "the model server has not opened its port yet",
            Self::ModelUnreachable => "the model server cannot be reached",
            Self::ModelClosed => "the model server closed the connection before its answer",
            Self::ModelUnreadable => "the model server's answer is not HTTP",
            Self::ModelTimeout => "the model server did not answer in time",
            Self::ModelFull => "the model server takes no further HTTP/2 stream; the request did not reach it",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::BadRequest => {
                "send one Host header, one Content-Length or Transfer-Encoding: chunked, and a valid target"
            }
            Self::ClientTooSlow => "send the body without long pauses, or a smaller one, or raise server.timeout",
            Self::TargetTooLong => "put the data into the body",
            Self::HeadTooLarge => "put large values, such as tokens, into the body",
            Self::ConnectRefused => "send the request itself; this is no forward proxy",
            Self::TooManyUploads => "try again soon, and send the body along with the head",
            Self::ModelNotUp => "try again soon; if it lasts, look at the log of the container 'model' and at its port",
            Self::ModelUnreachable | Self::ModelClosed => {
                "look at the log of the container 'model' and at its restarts (memory limit?)"
            }
            Self::ModelUnreadable => "look at the port that the model server speaks HTTP on",
            Self::ModelTimeout => "send fewer rows at a time, or raise server.timeout",
            Self::ModelFull => {
                "send it again, or fewer at a time; see how many streams the server allows on a connection"
            }
        }
    }

    /// By the status that hyper answers a head with that it cannot read.
    pub fn of_refused_head(status: u16) -> Self {
        match status {
            414 => Self::TargetTooLong,
            431 => Self::HeadTooLarge,
            _ => Self::BadRequest,
        }
    }

    /// Whether the connection is of no more use.
    pub fn closes(self) -> bool {
        matches!(self, Self::BadRequest | Self::ConnectRefused | Self::ClientTooSlow | Self::TooManyUploads)
    }

    pub fn body(self) -> Bytes {
        let (name, message, advice) = (self.name(), self.message(), self.advice());
        Bytes::from(format!("{{\"error\":\"{name}\",\"message\":\"{message}\",\"advice\":\"{advice}\"}}\n"))
    }

    pub fn headers(self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(HEADER, HeaderValue::from_static(self.name()));
        headers.insert(header::CONTENT_TYPE, JSON);
        if matches!(self, Self::ModelNotUp | Self::ModelFull | Self::TooManyUploads) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        headers
    }

    /// The whole answer as bytes, after which the connection is closed.
    pub fn wire(self) -> Vec<u8> {
        let (status, body) = (self.status(), self.body());
        let mut wire = String::new();
        let _ = write!(
            wire,
            "HTTP/1.1 {} {}\r\n{HEADER}: {}\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            self.name(),
            body.len()
        );
        let mut wire = wire.into_bytes();
        wire.extend_from_slice(&body);
        wire
    }
}
