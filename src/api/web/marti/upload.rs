//! Uploads: a form with a file in it (`missionupload`), or a bare body (`upload`), straight to the disk.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request as HttpRequest, Response as HttpResponse};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::listing::entry;
use super::query::Query;
use super::{Caller, Marti, STALL, hash, header, held, json_text, no_clerk, refused, text};
use crate::api::web::reply::Reply;
use crate::budget::parcels::TRANSFER;
use crate::link::clerk::Clerk;
use crate::link::customs::Way;
use crate::link::http::Body;
use crate::packages::form::{Form, boundary};
use crate::packages::{Details, Hash, Origin, Receiving, StoreError};

/// What a form may have beside its file, bytes.
const FORM: u64 = 64 * 1024;

/// A package on its way in. It is let go of on the clerk's thread: that may touch the disk.
struct Coming {
    receiving: Option<Receiving>,
    clerk: Clerk,
}

impl Drop for Coming {
    fn drop(&mut self) {
        if let Some(receiving) = self.receiving.take() {
            self.clerk.let_go(receiving);
        }
    }
}

impl Coming {
    /// Writes the buffer and empties it.
    async fn write(&mut self, buffer: &mut Vec<u8>) -> Result<(), Reply> {
        let Some(mut receiving) = self.receiving.take() else {
            return Err(text(503, "the upload has ended"));
        };
        let mut bytes = std::mem::take(buffer);
        let written = self.clerk.run(move || {
            let outcome = receiving.write(&bytes);
            bytes.clear();
            (receiving, bytes, outcome)
        });
        let (receiving, bytes, outcome) = written.await.map_err(no_clerk)?;
        (self.receiving, *buffer) = (Some(receiving), bytes);
        outcome.map_err(|error| refused(&error))
    }

    async fn finish(mut self, details: Details) -> Result<Result<Details, StoreError>, Reply> {
        let Some(receiving) = self.receiving.take() else {
            return Err(text(503, "the upload has ended"));
        };
        let clerk = self.clerk.clone();
        clerk
            .run(move || receiving.finish(details))
            .await
            .map_err(no_clerk)
    }
}

impl Marti {
    /// `missionupload`: 200 and the address where it is fetched, 403 if it is stored already, else 400.
    pub(super) async fn mission_upload(
        self: &Arc<Self>,
        request: &mut HttpRequest<Incoming>,
        query: &Query,
        caller: &Caller,
    ) -> Result<HttpResponse<Body>, Reply> {
        self.may_bring(caller)?;
        let hash = hash(query)?;
        if self.store.size(&hash).is_some() {
            return Err(refused(&StoreError::Kept(hash)));
        }
        let kept = self
            .take(request, query, caller, Some(hash), "missionpackage")
            .await?;
        Ok(text(200, self.url(&kept.hash)).into_response())
    }

    /// `upload`: a file of any kind; its details come back. What is stored already stays as it is.
    pub(super) async fn plain_upload(
        self: &Arc<Self>,
        request: &mut HttpRequest<Incoming>,
        query: &Query,
        caller: &Caller,
    ) -> Result<HttpResponse<Body>, Reply> {
        self.may_bring(caller)?;
        let said = query.first("hash").map(|_| hash(query)).transpose()?;
        let kept = self.take(request, query, caller, said, "").await?;
        Ok(json_text(200, entry(&kept).to_string()).into_response())
    }

    fn may_bring(&self, caller: &Caller) -> Result<(), Reply> {
        match caller {
            Caller::Client(_) => Ok(()),
            Caller::Federate(peer) => self.customs.admits(peer, Way::In).map_err(held),
        }
    }

    async fn take(
        self: &Arc<Self>,
        request: &mut HttpRequest<Incoming>,
        query: &Query,
        caller: &Caller,
        hash: Option<Hash>,
        keyword: &str,
    ) -> Result<Details, Reply> {
        let mut form = match header(request, CONTENT_TYPE) {
            Some(kind)
                if kind
                    .trim_start()
                    .to_ascii_lowercase()
                    .starts_with("multipart/") =>
            {
                let boundary = boundary(kind);
                let boundary =
                    boundary.ok_or_else(|| text(400, "Content-Type: this form has no boundary"))?;
                Some(Form::new(boundary))
            }
            _ if !keyword.is_empty() => {
                let words = "send the file as multipart/form-data, in a part called assetfile";
                return Err(text(400, words));
            }
            _ => None,
        };
        let length = header(request, CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        let (largest, beside) = (self.store.largest(), if form.is_some() { FORM } else { 0 });
        if let Some(size) = length
            && size > largest + beside
        {
            return Err(refused(&StoreError::TooLarge { size, largest }));
        }
        let size = length.filter(|_| form.is_none());
        let _turn = self.turn().await?;
        let store = self.store.clone();
        let begun = self
            .clerk
            .run(move || store.receive(hash, size))
            .await
            .map_err(no_clerk)?;
        let mut coming = Coming {
            receiving: Some(begun.map_err(|error| refused(&error))?),
            clerk: self.clerk.clone(),
        };
        let mut buffer = Vec::with_capacity(TRANSFER as usize);
        while let Some(data) = next(request.body_mut()).await? {
            // Pieces are at most as long as the buffers of a connection, so this one stays bounded.
            for piece in data.chunks(TRANSFER as usize / 2) {
                match &mut form {
                    None => buffer.extend_from_slice(piece),
                    Some(form) => form
                        .take(piece, &mut buffer)
                        .map_err(|wrong| text(400, wrong.to_string()))?,
                }
                if buffer.len() >= TRANSFER as usize / 2 {
                    coming.write(&mut buffer).await?;
                }
            }
        }
        if let Some(form) = &form
            && !form.is_whole()
        {
            let words = match form.file() {
                None => "the form has no part called assetfile",
                Some(_) => "the form ends within the file",
            };
            return Err(text(400, words));
        }
        if !buffer.is_empty() {
            coming.write(&mut buffer).await?;
        }
        let file = form.as_ref().and_then(Form::file);
        let details = self.details(query, caller, keyword, file, header(request, CONTENT_TYPE));
        let kept = coming.finish(details).await?;
        kept.map_err(|error| refused(&error))
    }

    fn details(
        &self,
        query: &Query,
        caller: &Caller,
        keyword: &str,
        file: Option<&crate::packages::form::File>,
        kind: Option<&str>,
    ) -> Details {
        let or_file = |from_file: fn(&crate::packages::form::File) -> &str| {
            file.map(from_file).unwrap_or_default()
        };
        let first = |keys: &[&str], other: &str| {
            let found = keys.iter().find_map(|key| query.first(key));
            found.unwrap_or(other).to_owned()
        };
        let filename = first(&["filename", "name"], or_file(|file| &file.filename));
        let said = query.all("keyword").chain(query.all("keywords"));
        let mut keywords: Vec<String> = said
            .flat_map(|words| words.split(','))
            .map(str::to_owned)
            .collect();
        if keywords.is_empty() && !keyword.is_empty() {
            keywords.push(keyword.to_owned());
        }
        let own_kind = match file {
            Some(file) => file.mime_type.as_str(),
            None => kind.unwrap_or_default(),
        };
        Details {
            name: first(&["name", "filename"], &filename),
            filename,
            mime_type: first(&["mimetype", "mime_type"], own_kind),
            keywords,
            tool: first(&["tool"], "public"),
            creator_uid: first(&["creatorUid"], ""),
            submitter: caller.name().to_owned(),
            submitted: u64::try_from(self.hub.now().wall_ms).unwrap_or_default(),
            from: match caller {
                Caller::Client(_) => Origin::Local,
                Caller::Federate(peer) => Origin::Peer(peer.clone()),
            },
            ..Details::of(Hash::new([0; 32]))
        }
    }
}

/// The next bytes of a body; none at its end.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Reply> {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        match timeout(STALL, frame).await {
            Err(_) => {
                return Err(text(
                    408,
                    "the upload stood still for a minute; send the file again",
                ));
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(text(400, "the upload broke off; send the file again")),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
