//! What came of a check, and what `why` answers.

use super::frame::{Frame, reply};
use crate::api::check::CheckReport;
use crate::api::web::reply::Reply;
use crate::api::why::WhyReport;

/// The steps of a link, and whether a probe came back.
pub fn checked(frame: Frame<'_>, report: &CheckReport) -> Reply {
    let html = frame.around(|html| {
        html.raw("<section class=\"card\"><h1>Check of ").text(&report.peer).raw("</h1><p class=\"pill ");
        html.raw(match (report.done, report.is_good()) {
            (false, _) => "busy",
            (true, true) => "good",
            (true, false) => "bad",
        });
        html.raw("\">").text(report.verdict_in_words()).raw("</p><table><thead><tr><th scope=\"col\">Step</th>");
        html.raw("<th scope=\"col\">State</th><th scope=\"col\">In words</th></tr></thead><tbody>");
        for step in report.steps.iter().take(32) {
            html.raw(match step.is_failed() {
                true => "<tr class=\"due\">",
                false => "<tr>",
            });
            html.element("td", &step.step).element("td", &step.state);
            html.element("td", &step.words).raw("</tr>");
        }
        html.raw("</tbody></table><p><a class=\"button\" href=\"/\">Back to the status</a></p></section>");
    });
    reply(200, html)
}

/// What became of a track.
pub fn explained(frame: Frame<'_>, report: &WhyReport) -> Reply {
    let html = frame.around(|html| {
        html.raw("<section class=\"card\"><h1>What became of ")
            .text(&report.uid)
            .raw("?</h1><ul>");
        for line in report.lines().iter().take(64) {
            html.element("li", line);
        }
        html.raw("</ul><p><a class=\"button\" href=\"/\">Back to the status</a></p></section>");
    });
    reply(200, html)
}
