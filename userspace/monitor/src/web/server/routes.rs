//! Which path answers what, and to whom.

use std::net::IpAddr;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};

use super::answer::{self, Answer};
use super::{Shared, profile, query};
use crate::web::metrics::{self, Format};
use crate::web::pprof::ProfileKind;
use crate::web::trails::LENGTH;
use crate::web::view;

/// Answers a request, and counts the answer.
pub(super) async fn answer(shared: &Shared, request: &Request<Incoming>) -> Answer {
    let answer = match refusal(shared, request) {
        Some(refusal) => refusal,
        None => route(shared, request).await,
    };
    shared.state.http().count_answer(answer.status().as_u16());
    answer
}

/// What is refused whatever it asks for.
fn refusal(shared: &Shared, request: &Request<Incoming>) -> Option<Answer> {
    let access = shared.access();
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    if !access.allows(header(header::AUTHORIZATION)) {
        let (body, policy) = shared.page.login();
        let answer = answer::page(StatusCode::UNAUTHORIZED, body, policy);
        let answer = answer::with(answer, header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return Some(closing(answer));
    }
    // A site that has its own name point here could otherwise read the answers in the browser of somebody on this machine.
    let is_private = access.is_open() && shared.address.is_some_and(|address| address.ip().is_loopback());
    if is_private && !header(header::HOST).is_none_or(is_this_machine) {
        let line = "asked for by another name than this machine's: use localhost or its address, or set http.token_file";
        return Some(answer::text(StatusCode::MISDIRECTED_REQUEST, line));
    }
    let path = request.uri().path();
    if header(header::HeaderName::from_static("sec-fetch-site")) == Some(b"cross-site") && path != "/" {
        return Some(answer::text(StatusCode::FORBIDDEN, "asked for by another site"));
    }
    if !request.body().is_end_stream() {
        return Some(closing(answer::text(StatusCode::PAYLOAD_TOO_LARGE, "requests have no body here")));
    }
    None
}

async fn route(shared: &Shared, request: &Request<Incoming>) -> Answer {
    let (path, query) = (request.uri().path(), request.uri().query());
    let kind = path.strip_prefix("/debug/pprof/");
    let kind = ProfileKind::ALL.into_iter().find(|known| kind == Some(known.as_str()));
    let is_known =
        matches!(path, "/" | "/metrics" | "/healthz" | "/readyz" | "/debug/pprof" | "/debug/pprof/")
            || matches!(path, "/api/v1/windows" | "/api/v1/alerts" | "/api/v1/overview" | "/api/v1/target");
    if !is_known && kind.is_none() {
        return answer::text(StatusCode::NOT_FOUND, "not found");
    }
    let is_profile_by_head = kind.is_some() && request.method() == Method::HEAD;
    if !matches!(*request.method(), Method::GET | Method::HEAD) || is_profile_by_head {
        let allowed = if kind.is_some() { "GET" } else { "GET, HEAD" };
        let answer = answer::text(StatusCode::METHOD_NOT_ALLOWED, &format!("only {allowed}"));
        return answer::with(answer, header::ALLOW, HeaderValue::from_static(allowed));
    }
    match (path, kind) {
        (_, Some(kind)) => profile::profile(shared, kind, query).await,
        ("/", _) => page(shared),
        ("/metrics", _) => metrics(shared, request),
        ("/healthz", _) => health(shared),
        ("/readyz", _) => readiness(shared),
        ("/debug/pprof" | "/debug/pprof/", _) => profile::index(shared),
        _ => data(shared, path, query).unwrap_or_else(|mistake| answer::bad(&mistake)),
    }
}

fn page(shared: &Shared) -> Answer {
    let (body, policy) = shared.page.live();
    answer::page(StatusCode::OK, body, policy)
}

fn metrics(shared: &Shared, request: &Request<Incoming>) -> Answer {
    let offers: Vec<_> =
        request.headers().get_all(header::ACCEPT).iter().filter_map(|offer| offer.to_str().ok()).collect();
    let format = Format::negotiate(&offers.join(","));
    let answer = answer::whole(StatusCode::OK, format.content_type(), metrics::page(&shared.state, format));
    answer::with(answer, header::VARY, HeaderValue::from_static("accept"))
}

/// Alive: windows come.
fn health(shared: &Shared) -> Answer {
    let (silence, _) = shared.state.silence();
    let window = shared.state.about().window;
    if silence <= window * 3 {
        return answer::text(StatusCode::OK, "ok");
    }
    let line = format!(
        "no window for {} s, and one should come every {} s",
        silence.as_secs(),
        window.as_secs_f64()
    );
    answer::text(StatusCode::SERVICE_UNAVAILABLE, &line)
}

/// Ready: there is something to show.
fn readiness(shared: &Shared) -> Answer {
    if shared.state.silence().1 {
        return answer::text(StatusCode::OK, "ok");
    }
    answer::later(StatusCode::SERVICE_UNAVAILABLE, "no window yet", Duration::from_secs(1))
}

fn data(shared: &Shared, path: &str, query: Option<&str>) -> Result<Answer, String> {
    let most = LENGTH as u32;
    let count = |key, value: &Option<String>, default| {
        query::number(key, value.as_deref(), 1, most).map(|count| count.unwrap_or(default) as usize)
    };
    Ok(match path {
        "/api/v1/windows" => {
            let [last] = query::read(query, ["last"])?;
            answer::json(&view::windows(&shared.state, count("last", &last, 1)?))
        }
        "/api/v1/alerts" => {
            let [] = query::read(query, [])?;
            answer::json(&view::alerts(&shared.state))
        }
        "/api/v1/overview" => {
            let [last] = query::read(query, ["last"])?;
            answer::json(&view::overview(&shared.state, count("last", &last, 1)?))
        }
        _ => {
            let [name] = query::read(query, ["name"])?;
            let name = name.ok_or("name: which target? add ?name=TARGET")?;
            match view::target(&shared.state, &name) {
                Some(target) => answer::json(&target),
                None => answer::text(StatusCode::NOT_FOUND, "no such target in the last window"),
            }
        }
    })
}

/// An answer after which the connection ends.
fn closing(answer: Answer) -> Answer {
    answer::with(answer, header::CONNECTION, HeaderValue::from_static("close"))
}

/// Whether a `Host` header names this machine in a way no other site can: by an address, or as `localhost`.
fn is_this_machine(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let lower = name.to_ascii_lowercase();
    address.parse::<IpAddr>().is_ok() || lower == "localhost" || lower.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::is_this_machine;

    #[test]
    fn names_of_other_sites_are_not_this_machine() {
        for own in [
            "127.0.0.1:9477",
            "localhost",
            "LocalHost:80",
            "[::1]:9477",
            "[::1]",
            "a.localhost:1",
            "10.0.0.1",
        ] {
            assert!(is_this_machine(own.as_bytes()), "{own}");
        }
        for other in [
            "evil.example",
            "evil.example:9477",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "\u{e9}",
        ] {
            assert!(!is_this_machine(other.as_bytes()), "{other}");
        }
    }
}
