//! `metadata`: what ATAK sets of a package after it has brought it.

use std::sync::Arc;

use http::{Request as HttpRequest, Response as HttpResponse};
use hyper::body::Incoming;
use tokio::sync::Semaphore;

use super::{Marti, json_text, no_clerk, refused, text};
use crate::api::web::reply::Reply;
use crate::link::http::{Body, Large, read};
use crate::packages::{Details, Hash, StoreError};

/// Longest value, bytes.
const LONGEST: usize = 4096;
const WITHIN: std::time::Duration = std::time::Duration::from_secs(15);

/// What may be read and set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Tool,
    Keywords,
    Name,
    MimeType,
}

impl Key {
    fn of(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "tool" => Some(Self::Tool),
            "keywords" => Some(Self::Keywords),
            "name" => Some(Self::Name),
            "mimetype" => Some(Self::MimeType),
            _ => None,
        }
    }

    fn tell(self, details: &Details) -> Reply {
        match self {
            Self::Tool => text(200, details.tool.as_str()),
            Self::Name => text(200, details.name.as_str()),
            Self::MimeType => text(200, details.mime_type.as_str()),
            Self::Keywords => json_text(
                200,
                serde_json::to_string(&details.keywords).unwrap_or_default(),
            ),
        }
    }

    fn set(self, details: &mut Details, value: &str) {
        let value = value.trim().trim_matches('"');
        match self {
            Self::Tool => details.tool = value.to_owned(),
            Self::Name => details.name = value.to_owned(),
            Self::MimeType => details.mime_type = value.to_owned(),
            Self::Keywords => {}
        }
    }
}

impl Marti {
    pub(super) async fn metadata(
        self: &Arc<Self>,
        request: &mut HttpRequest<Incoming>,
        (hash, what): (&str, &str),
        who: &str,
    ) -> Result<HttpResponse<Body>, Reply> {
        let hash: Hash = hash.parse().map_err(|_| text(404, "File not found"))?;
        let key = Key::of(what).ok_or_else(|| {
            text(
                404,
                "of a package, tool, keywords, name and mimetype are known here",
            )
        })?;
        let store = self.store.clone();
        let known = self
            .clerk
            .run(move || store.peek(&hash))
            .await
            .map_err(no_clerk)?;
        let known = known.ok_or_else(|| text(404, "File not found"))?;
        if request.method() == "GET" {
            return Ok(key.tell(&known).into_response());
        }
        if known.submitter != who {
            let words = format!(
                "only {:?}, who brought this package, may change it",
                known.submitter
            );
            return Err(text(403, words));
        }
        let places = Semaphore::new(1);
        let large = Large {
            longest: LONGEST,
            places: &places,
            within: WITHIN,
        };
        let body = read(request.body_mut(), large).await;
        let (body, _) = body.map_err(|_| text(400, "the value is too long, or did not come"))?;
        let value = String::from_utf8(body).map_err(|_| text(400, "the value is no text"))?;
        let keywords = match key {
            Key::Keywords => Some(
                serde_json::from_str::<Vec<String>>(&value)
                    .map_err(|_| text(400, "keywords: send a list of words in JSON"))?,
            ),
            _ => None,
        };
        let store = self.store.clone();
        let changed = self.clerk.run(move || {
            store.amend(&hash, |details| match keywords {
                Some(keywords) => details.keywords = keywords,
                None => key.set(details, &value),
            })
        });
        match changed.await.map_err(no_clerk)? {
            Ok(Some(details)) => Ok(key.tell(&details).into_response()),
            Ok(None) => Err(refused(&StoreError::Missing(hash))),
            Err(error) => Err(refused(&error)),
        }
    }
}
