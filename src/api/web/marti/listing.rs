//! `search`, as ATAK's list of data packages reads it, and the API's own list: read from the disk as they are taken.

use std::sync::Arc;

use http::Response as HttpResponse;
use serde_json::{Value, json};

use super::query::Query;
use super::{Marti, feed, headed};
use crate::api::packages::PackageEntry;
use crate::api::web::reply::{JSON, Reply};
use crate::budget::parcels::TRANSFER;
use crate::link::http::{Body, Feed};
use crate::packages::Details;
use crate::wire::stamp;

/// One package, in the words of TAK clients.
pub(super) fn entry(details: &Details) -> Value {
    let millis = i64::try_from(details.submitted).unwrap_or_default();
    let stamp = stamp::write(millis).unwrap_or_default();
    let hash = details.hash.to_string();
    json!({
        "UID": hash,
        "Name": details.name,
        "FileName": details.filename,
        "Hash": hash,
        "PrimaryKey": hash,
        "SubmissionDateTime": String::from_utf8_lossy(&stamp),
        "SubmissionUser": details.submitter,
        "CreatorUid": details.creator_uid,
        "Keywords": details.keywords,
        "MIMEType": details.mime_type,
        "Size": details.size.to_string(),
        "Tool": details.tool,
        "EXPIRATION": "-1",
    })
}

/// What a search asks for.
struct Asked {
    keywords: Vec<String>,
    tool: Option<String>,
    hash: Option<String>,
    name: Option<String>,
    who: String,
}

impl Asked {
    fn fits(&self, details: &Details) -> bool {
        // What is private is listed for whoever brought it.
        if details.tool != "public" && details.submitter != self.who {
            return false;
        }
        let same = |wanted: &Option<String>, there: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(there))
        };
        let has = |wanted: &String| {
            details
                .keywords
                .iter()
                .any(|there| there.eq_ignore_ascii_case(wanted))
        };
        same(&self.tool, &details.tool)
            && same(&self.hash, &details.hash.to_string())
            && same(&self.name, &details.name)
            && self.keywords.iter().all(has)
    }
}

impl Marti {
    pub(super) fn search(self: &Arc<Self>, query: &Query, who: &str) -> HttpResponse<Body> {
        let said = query.all("keywords").chain(query.all("keyword"));
        let owned = |key| query.first(key).map(str::to_owned);
        let asked = Asked {
            keywords: said
                .flat_map(|words| words.split(','))
                .map(str::to_owned)
                .collect(),
            tool: owned("tool"),
            hash: owned("hash").or_else(|| owned("uid")),
            name: owned("name"),
            who: who.to_owned(),
        };
        self.listing(
            "{\"results\":[",
            move |details| asked.fits(details).then(|| entry(details).to_string()),
            |count| format!("],\"resultCount\":{count}}}\n"),
        )
    }

    pub(super) fn list_all(self: &Arc<Self>) -> HttpResponse<Body> {
        self.listing(
            "[",
            |details| serde_json::to_string(&PackageEntry::of(details)).ok(),
            |_| "]\n".to_owned(),
        )
    }

    fn listing(
        self: &Arc<Self>,
        head: &'static str,
        write: impl Fn(&Details) -> Option<String> + Send + 'static,
        tail: fn(u64) -> String,
    ) -> HttpResponse<Body> {
        let (pieces, body) = Body::pieces(None);
        let marti = Arc::clone(self);
        tokio::spawn(async move { marti.list(&pieces, head, write, tail).await });
        headed(Reply::new(200, JSON, ""), JSON, None, body)
    }

    async fn list(
        &self,
        pieces: &Feed,
        head: &str,
        write: impl Fn(&Details) -> Option<String>,
        tail: fn(u64) -> String,
    ) {
        let (mut text, mut count) = (head.to_owned(), 0);
        for hash in self.store.hashes() {
            let store = self.store.clone();
            let Ok(details) = self.clerk.run(move || store.peek(&hash)).await else {
                break;
            };
            let Some(entry) = details.as_ref().and_then(&write) else {
                continue;
            };
            if count > 0 {
                text.push(',');
            }
            text.push_str(&entry);
            count += 1;
            if text.len() >= TRANSFER as usize / 2
                && !feed(pieces, std::mem::take(&mut text).into_bytes()).await
            {
                return;
            }
        }
        text.push_str(&tail(count));
        feed(pieces, text.into_bytes()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::Hash;

    #[test]
    fn private_packages_are_listed_for_whoever_brought_them() {
        let asked = |who: &str, tool: Option<&str>, keyword: &str| Asked {
            keywords: vec![keyword.to_owned()],
            tool: tool.map(str::to_owned),
            hash: None,
            name: None,
            who: who.to_owned(),
        };
        let package = |tool: &str| Details {
            tool: tool.into(),
            submitter: "HAWK".into(),
            keywords: vec!["missionpackage".into()],
            ..Details::of(Hash::of(b""))
        };
        assert!(asked("EAGLE", Some("public"), "MissionPackage").fits(&package("public")));
        assert!(!asked("EAGLE", None, "missionpackage").fits(&package("private")));
        assert!(asked("HAWK", None, "missionpackage").fits(&package("private")));
        assert!(!asked("HAWK", Some("public"), "missionpackage").fits(&package("private")));
        assert!(!asked("HAWK", None, "else").fits(&package("public")));
        let told = entry(&package("public"));
        assert_eq!(told["SubmissionDateTime"], "1970-01-01T00:00:00.000Z");
        assert_eq!(told["Keywords"][0], "missionpackage");
    }
}
