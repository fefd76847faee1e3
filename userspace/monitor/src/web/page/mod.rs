//! The live page, and the one that asks for the token.
//!
//! Both are whole in one file, load nothing, and may run exactly the one script whose digest their policy names. The second says nothing about
//! what is behind it: it is the body of every answer to a request without the token. Given one, it fetches the page it stands for and takes its
//! place; for that the policy lets it run a script it has been given as a `blob:`.

use hyper::body::Bytes;
use hyper::header::HeaderValue;

use super::server::{base64, sha256};

const LIVE: &str = include_str!("live.html");
const LIVE_STYLE: &[&str] =
    &[include_str!("colours.css"), include_str!("live.css"), include_str!("table.css")];
const LIVE_SCRIPTS: &[&str] = &[
    include_str!("format.js"),
    include_str!("dom.js"),
    include_str!("spark.js"),
    include_str!("host.js"),
    include_str!("columns.js"),
    include_str!("rows.js"),
    include_str!("target.js"),
    include_str!("alerts.js"),
    include_str!("main.js"),
];
const LOGIN: &str = include_str!("login.html");
const LOGIN_STYLE: &[&str] = &[include_str!("colours.css"), include_str!("login.css")];
const LOGIN_SCRIPTS: &[&str] = &[include_str!("login.js")];

/// What is served to browsers.
pub(super) struct Page {
    live: (Bytes, HeaderValue),
    login: (Bytes, HeaderValue),
}

impl Page {
    pub(super) fn new() -> Self {
        Self {
            live: made(LIVE, LIVE_STYLE, LIVE_SCRIPTS, ""),
            login: made(LOGIN, LOGIN_STYLE, LOGIN_SCRIPTS, " blob:"),
        }
    }

    /// The live page and its policy.
    pub(super) const fn live(&self) -> (&Bytes, &HeaderValue) {
        (&self.live.0, &self.live.1)
    }

    /// The page that asks for the token, and its policy.
    pub(super) const fn login(&self) -> (&Bytes, &HeaderValue) {
        (&self.login.0, &self.login.1)
    }
}

fn made(frame: &str, style: &[&str], scripts: &[&str], also: &str) -> (Bytes, HeaderValue) {
    let (style, script) = (style.concat(), format!("\"use strict\";\n{}", scripts.concat()));
    let digest = |text: &str| format!("'sha256-{}'", base64(&sha256(text.as_bytes())));
    let policy = format!(
        "default-src 'none'; script-src {}{also}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        digest(&script),
        digest(&style),
    );
    let body = frame.replacen("{{style}}", &style, 1).replacen("{{script}}", &script, 1);
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    (Bytes::from(body), policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What would break out of its element, or reach out of the page.
    #[test]
    fn pages_are_whole_and_load_nothing() {
        let page = Page::new();
        for (body, policy) in [page.live(), page.login()] {
            let text = std::str::from_utf8(body).unwrap();
            assert!(!text.contains("{{"));
            assert_eq!(text.matches("</script").count(), 1);
            assert_eq!(text.matches("</style").count(), 1);
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for outside in ["http://", "https://", " src=", "@import", "url(", " style=", " onclick="] {
                assert!(!text.contains(outside), "{outside}");
            }
            assert!(policy.to_str().unwrap().contains("script-src 'sha256-"));
        }
    }

    #[test]
    fn the_login_page_says_nothing() {
        let page = Page::new();
        let text = std::str::from_utf8(page.login().0).unwrap().to_lowercase();
        assert!(!text.contains("waytrace") && !text.contains("metric") && !text.contains("target\""));
    }
}
