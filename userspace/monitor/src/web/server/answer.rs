//! Answers, with the headers all of them have.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// What a page that is none may load: nothing.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";

/// A body that is there as a whole.
pub(super) struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// An answer.
pub(super) type Answer = Response<Whole>;

/// An answer of that type and content.
pub(super) fn whole(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let body: Bytes = body.into();
    let mut answer = Response::new(Whole(Some(body).filter(|body| !body.is_empty())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING));
    answer
}

/// A line of text.
pub(super) fn text(status: StatusCode, line: &str) -> Answer {
    whole(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

/// A mistake of the client, in words.
pub(super) fn bad(line: &str) -> Answer {
    text(StatusCode::BAD_REQUEST, line)
}

/// A page, and what it may load.
pub(super) fn page(status: StatusCode, body: &Bytes, policy: &HeaderValue) -> Answer {
    let answer = whole(status, "text/html; charset=utf-8", body.clone());
    with(answer, header::CONTENT_SECURITY_POLICY, policy.clone())
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => whole(StatusCode::OK, "application/json", body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The answer with another header.
pub(super) fn with(mut answer: Answer, name: HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name, value);
    answer
}

/// Come again later, in whole seconds and no sooner.
pub(super) fn later(status: StatusCode, line: &str, after: Duration) -> Answer {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    with(text(status, line), header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}
