//! Pairing on the page: make a code for another box, take it back, or type the code of another box.

use super::form::Form;
use super::frame::{Frame, reply};
use super::html::Html;
use crate::api::pairing::{PairRequest, PairResponse, WaitingCode};
use crate::api::web::problem::Problem;
use crate::api::web::reply::Reply;
use crate::pair::Terms;

/// What may cross: the name of the box to be ticked, and the words beside it.
const TERMS: [(&str, &str); 4] = [
    ("incoming", "In: take its events"),
    ("outgoing", "Out: send it ours"),
    ("data_packages_in", "DP-In: take its data packages"),
    ("data_packages_out", "DP-Out: let it have ours"),
];

/// The forms, for those who may federate with others.
pub fn forms(html: &mut Html, waiting: Option<&WaitingCode>) {
    html.raw("<section id=\"pair\" class=\"half\"><h2>Let another box pair with this one</h2><div class=\"card\">");
    match waiting {
        Some(waiting) => {
            html.raw("<p>Type this on the other box:</p><p class=\"code\"><output>")
                .text(&waiting.code)
                .raw("</output></p><p>with the address <b>")
                .text(&waiting.host)
                .raw("</b>. It counts for ")
                .text(super::say::Span(waiting.expires_seconds.into()))
                .raw(", once, and bears ")
                .text(waiting.tries_left)
                .raw(" wrong guesses.</p><form method=\"post\" action=\"/pair\" class=\"actions\"><button name=\"do\" value=\"clear\">Clear the code</button></form>");
        }
        None => {
            html.raw("<form method=\"post\" action=\"/pair\" class=\"fields\"><p class=\"hint\">Makes a code of eight characters ")
                .raw("for the administrator of the other box. It counts once, and for ten minutes.</p>");
            terms(html);
            html.raw("<button name=\"do\" value=\"code\">Make a code</button></form>");
        }
    }
    html.raw("</div></section><section class=\"half\"><h2>Pair with another box</h2><form method=\"post\" action=\"/pair\" ")
        .raw("class=\"card fields\"><label for=\"code\">Code of the other box</label><input id=\"code\" name=\"code\" ")
        .raw("maxlength=\"64\" required autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\">")
        .raw("<label for=\"host\">Its address</label><input id=\"host\" name=\"host\" maxlength=\"255\" required ")
        .raw("autocapitalize=\"none\" autocomplete=\"off\" spellcheck=\"false\" placeholder=\"host or host:port\">");
    terms(html);
    html.raw("<label class=\"tick\"><input type=\"checkbox\" name=\"reachable\" value=\"on\"> It may dial us, too</label>")
        .raw("<button name=\"do\" value=\"join\">Pair</button></form></section>");
}

fn terms(html: &mut Html) {
    html.raw("<details><summary>What may cross</summary><fieldset><legend>Directions and data packages</legend>");
    for (name, words) in TERMS {
        html.raw("<label class=\"tick\"><input type=\"checkbox\" value=\"on\" checked name=\"")
            .raw(name)
            .raw("\"> ");
        html.raw(words).raw("</label>");
    }
    html.raw("</fieldset></details>");
}

/// What a form asks for.
///
/// # Errors
/// When it is none of ours.
pub fn asked(form: &Form) -> Result<PairRequest, Problem> {
    let on = |name| form.text(name) == "on";
    let terms = Terms {
        name: None,
        incoming: on("incoming"),
        outgoing: on("outgoing"),
        data_packages_in: on("data_packages_in"),
        data_packages_out: on("data_packages_out"),
    };
    match form.text("do") {
        "code" => Ok(PairRequest::Code { terms }),
        "clear" => Ok(PairRequest::Clear),
        "join" => Ok(PairRequest::Join {
            code: form.text("code").trim().to_owned(),
            host: form.text("host").trim().to_owned(),
            terms,
            reachable: on("reachable"),
        }),
        _ => {
            let words = "no button asks for that; go back to the status and press one";
            Err(Problem::of_key("do", words))
        }
    }
}

/// What came of it.
pub fn done(frame: Frame<'_>, answer: &PairResponse) -> Reply {
    let html = frame.around(|html| {
        html.raw("<section class=\"card narrow\"><h1>Pairing</h1><ul>");
        for line in answer.lines().iter().take(16) {
            html.element("li", line);
        }
        html.raw("</ul><p><a class=\"button\" href=\"/\">Back to the status</a></p></section>");
    });
    reply(200, html)
}
