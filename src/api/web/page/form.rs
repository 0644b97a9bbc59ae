//! What a browser sends: forms and queries, the cookie of a session, and where a form was filled in.

use http::header::{COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Request};

use crate::api::web::route::decode;

/// The cookie that holds the token of a session. The prefix makes browsers refuse it but over TLS and for this host.
pub const SESSION: &str = "__Host-tombolo";
/// Members of a form that are read.
const MOST: usize = 32;

/// The members of a form or a query, `application/x-www-form-urlencoded`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads it; none when it is none.
    pub fn read(text: &str) -> Option<Self> {
        let mut members = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            members.push((plain(key)?, plain(value)?));
            if members.len() > MOST {
                return None;
            }
        }
        Some(Self(members))
    }

    /// One member, empty when it is not there.
    pub fn text(&self, key: &str) -> &str {
        let mut members = self.0.iter();
        members
            .find(|(known, _)| known == key)
            .map_or("", |(_, value)| value)
    }

    /// All members.
    pub fn members(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Text without its per cent signs; a plus sign is a blank.
fn plain(text: &str) -> Option<String> {
    decode(&text.replace('+', "%20"))
}

/// The token in the cookie.
pub fn session(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';').filter_map(|one| one.split_once('=')));
    let (_, token) = cookies.find(|(name, _)| name.trim() == SESSION)?;
    Some(token.trim()).filter(|token| !token.is_empty())
}

/// The cookie for a token: for this host alone, not for scripts, never from another site, gone after so many seconds.
pub fn cookie(token: &str, seconds: u64) -> String {
    format!("{SESSION}={token}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}")
}

/// What fits into a cookie as it is.
pub fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=128).contains(&text.len()) && text.bytes().all(fits)
}

/// The form was filled in on a page of this box. Browsers say so by themselves with everything but `GET`.
pub fn is_ours<B>(request: &Request<B>) -> bool {
    let text = |name| request.headers().get(name)?.to_str().ok();
    let host = (request.uri().authority().map(http::uri::Authority::as_str)).or_else(|| text(HOST));
    match (request.headers().get(ORIGIN), host) {
        (Some(_), Some(host)) => {
            let origin = text(ORIGIN).and_then(|origin| origin.strip_prefix("https://"));
            origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host))
        }
        (Some(_), None) => false,
        (None, _) => {
            let site = request.headers().get("sec-fetch-site");
            site.is_some_and(|site| site.as_bytes() == b"same-origin")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let form = Form::read("peer=B%20N+1&do=in_off&&empty=&alone&x=%C3%A9%3D").unwrap();
        assert_eq!(form.text("peer"), "B N 1");
        assert_eq!(
            (form.text("do"), form.text("alone"), form.text("none")),
            ("in_off", "", "")
        );
        assert_eq!(form.text("x"), "é=");
        for bad in ["a=%", "a=%zz", "a=%+1", "a=%ff"] {
            assert_eq!(Form::read(bad), None, "{bad}");
        }
        assert_eq!(Form::read(&"a=1&".repeat(33)), None);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(session(&headers), None);
        headers.append(COOKIE, "a=b; other=1".parse().unwrap());
        headers.append(COOKIE, "x=y; __Host-tombolo=tmb_1 ; z=".parse().unwrap());
        assert_eq!(session(&headers), Some("tmb_1"));
        assert!(is_token("tmb_aZ9-") && !is_token("a b") && !is_token("a;b") && !is_token(""));
    }

    #[test]
    fn a_form_of_another_site_is_known() {
        let of = |uri: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method("POST").uri(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            is_ours(&request.body(()).unwrap())
        };
        let host = ("host", "box:8443");
        assert!(of("/login", &[host, ("origin", "https://box:8443")]));
        assert!(of(
            "https://box:8443/login",
            &[("origin", "https://BOX:8443")]
        ));
        assert!(of("/login", &[host, ("sec-fetch-site", "same-origin")]));
        for bad in [
            &[host, ("origin", "https://evil.example")][..],
            &[host, ("origin", "https://box")],
            &[host, ("origin", "http://box:8443")],
            &[host, ("origin", "null")],
            &[host, ("origin", "null"), ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "same-site")],
            &[host],
            &[("origin", "https://box:8443")],
        ] {
            assert!(!of("/login", bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_form_makes_it_panic(text in any::<String>()) {
            let _ = Form::read(&text);
        }
    }
}
