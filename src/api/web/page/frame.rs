//! What all pages have in common: head, top, foot, and the headers they go out with. And the smallest of them.

use super::html::Html;
use crate::api::web::reply::Reply;

/// Nothing from elsewhere, nothing inline, in no frame, and forms go here and nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// HTML.
const KIND: &str = "text/html; charset=utf-8";

/// What stands around a page.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Name of the box.
    pub name: &'a str,
    /// Who is signed in with a session that can be ended.
    pub who: Option<&'a str>,
    /// What the page is about.
    pub title: &'static str,
    /// It shows how things stand now: it keeps itself fresh.
    pub is_live: bool,
}

impl Frame<'_> {
    /// A whole page.
    pub fn around(&self, fill: impl FnOnce(&mut Html)) -> Html {
        let mut html = Html::default();
        html.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
            .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
            .raw("<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\"><title>");
        if !self.title.is_empty() {
            html.text(self.title).raw(" · ");
        }
        html.text(self.name).raw("</title>");
        html.raw(
            "<link rel=\"icon\" href=\"/icon.svg\"><link rel=\"stylesheet\" href=\"/page.css\">",
        );
        if self.is_live {
            html.raw("<script src=\"/page.js\" defer></script>")
                .raw("<noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript>");
        }
        html.raw("</head><body><a class=\"skip\" href=\"#main\">To the content</a><header class=\"top\"><div class=\"wide\">")
            .raw("<a class=\"brand\" href=\"/\"><img src=\"/icon.svg\" alt=\"\" width=\"28\" height=\"28\"><span>")
            .text(self.name)
            .raw("</span></a>");
        if let Some(who) = self.who {
            html.raw(
                "<form class=\"leave\" method=\"post\" action=\"/logout\"><span class=\"who\">",
            )
            .text(who)
            .raw("</span><button>Sign out</button></form>");
        }
        html.raw("</div></header><main id=\"main\" class=\"wide\">");
        fill(&mut html);
        html.raw("</main><footer class=\"wide\">Tombolo ")
            .raw(env!("CARGO_PKG_VERSION"))
            .raw("</footer></body></html>\n");
        html
    }
}

/// HTML as an answer.
pub fn reply(status: u16, html: Html) -> Reply {
    secure(Reply::new(status, KIND, html.finish()))
}

/// With the headers that keep a browser from doing what no page of ours asks for.
pub fn secure(reply: Reply) -> Reply {
    [
        ("content-security-policy", POLICY),
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "geolocation=(), camera=(), microphone=()",
        ),
    ]
    .into_iter()
    .fold(reply, |reply, (name, value)| {
        reply.with(name, value.to_owned())
    })
}

/// To another page, to be read anew.
pub fn see_other(place: String) -> Reply {
    secure(Reply::empty_with(303)).with("location", place)
}

/// The page that lets somebody in.
pub fn sign_in(name: &str, status: u16, wrong: Option<&str>) -> Reply {
    let frame = Frame {
        name,
        who: None,
        title: "Sign in",
        is_live: false,
    };
    let html = frame.around(|html| {
        html.raw("<section class=\"card narrow\"><h1>Sign in</h1>");
        if let Some(words) = wrong {
            html.raw("<p class=\"alert\" role=\"alert\">").text(words).raw("</p>");
        }
        html.raw("<form method=\"post\" action=\"/login\" class=\"fields\">")
            .raw("<label for=\"username\">User name</label><input id=\"username\" name=\"username\" autocomplete=\"username\" ")
            .raw("autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"64\" required>")
            .raw("<label for=\"password\">Password</label><input id=\"password\" name=\"password\" type=\"password\" ")
            .raw("autocomplete=\"current-password\" maxlength=\"256\" required><button class=\"main\">Sign in</button></form>")
            .raw("<details><summary>With a token instead</summary><form method=\"post\" action=\"/login\" class=\"fields\">")
            .raw("<label for=\"token\">Token</label><input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"off\" ")
            .raw("maxlength=\"128\" required><button>Sign in with the token</button></form></details>")
            .raw("<p class=\"hint\">The first time: <code>tombolo token first</code> on the box, or its console, tells the ")
            .raw("password of the user <code>admin</code>.</p></section>");
    });
    reply(status, html)
}

/// What went wrong, and the way back.
pub fn sorry(frame: Frame<'_>, status: u16, words: &str) -> Reply {
    let html = frame.around(|html| {
        html.raw("<section class=\"card narrow\"><h1>That did not work</h1><p class=\"alert\" role=\"alert\">")
            .text(words)
            .raw("</p><p><a class=\"button\" href=\"/\">Back to the status</a></p></section>");
    });
    reply(status, html)
}

/// Asks whether a federate is to be removed.
pub fn remove(frame: Frame<'_>, peer: &str) -> Reply {
    let html = frame.around(|html| {
        html.raw("<section class=\"card narrow\"><h1>Remove ").text(peer).raw("?</h1><p>")
            .raw("Its link is cut at once, its registration and trust are forgotten, and it is refused when it dials again. ")
            .raw("To stop the traffic for a while, pause it instead.</p>")
            .raw("<form method=\"post\" action=\"/remove\" class=\"actions\"><input type=\"hidden\" name=\"peer\"")
            .attribute("value", peer)
            .raw("><button class=\"danger\">Remove ").text(peer)
            .raw("</button><a class=\"button\" href=\"/\">Keep it</a></form></section>");
    });
    reply(200, html)
}
