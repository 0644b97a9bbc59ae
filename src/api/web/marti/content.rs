//! `content`: a package, or a range of it, straight from the disk.

use std::sync::Arc;

use http::header::{IF_RANGE, RANGE};
use http::{Request as HttpRequest, Response as HttpResponse};
use hyper::body::Incoming;

use super::query::{Query, Wanted, range};
use super::{Caller, Marti, feed, hash, headed, held, no_clerk, refused, text};
use crate::api::web::reply::Reply;
use crate::budget::parcels::TRANSFER;
use crate::link::customs::Way;
use crate::link::http::{Body, Feed};
use crate::packages::{Details, Reading, StoreError};

impl Marti {
    pub(super) async fn content(
        self: &Arc<Self>,
        request: &HttpRequest<Incoming>,
        query: &Query,
        caller: &Caller,
    ) -> Result<HttpResponse<Body>, Reply> {
        if let Caller::Federate(peer) = caller {
            self.customs.admits(peer, Way::Out).map_err(held)?;
        }
        let hash = hash(query)?;
        let turn = self.turn().await?;
        let store = self.store.clone();
        let opened = self.clerk.run(move || {
            let reading = store.read(&hash)?;
            let details = store.peek(&hash).ok_or(StoreError::Missing(hash))?;
            Ok((reading, details))
        });
        let (reading, details) = match opened.await.map_err(no_clerk)? {
            Ok(opened) => opened,
            Err(StoreError::Missing(_)) => return Err(text(404, "File not found")),
            Err(error) => return Err(refused(&error)),
        };
        let tag = format!("\"{hash}\"");
        let is_same = super::header(request, IF_RANGE).is_none_or(|wanted| wanted == tag);
        let wanted = super::header(request, RANGE).filter(|_| is_same);
        let size = reading.size();
        let (status, begin, end) = match range(wanted, size) {
            Wanted::All => (200, 0, size),
            Wanted::Part(begin, end) => (206, begin, end),
            Wanted::Nothing => {
                let words = format!("the file has {size} bytes");
                return Err(text(416, words).with("content-range", format!("bytes */{size}")));
            }
        };
        let mut head = Reply::new(status, "", "")
            .with("accept-ranges", "bytes".to_owned())
            .with("etag", tag)
            .with("content-disposition", disposition(&details.filename));
        if status == 206 {
            head = head.with("content-range", format!("bytes {begin}-{}/{size}", end - 1));
        }
        let length = end - begin;
        if request.method() == "HEAD" || length == 0 {
            return Ok(headed(
                head,
                &details.mime_type,
                Some(length),
                Body::default(),
            ));
        }
        let kind = details.mime_type.clone();
        let (pieces, body) = Body::pieces(Some(length));
        let marti = Arc::clone(self);
        tokio::spawn(async move {
            let _turn = turn;
            marti.give(reading, details, begin, end, pieces).await;
        });
        Ok(headed(head, &kind, Some(length), body))
    }

    /// Reads piece by piece, as fast as it is taken.
    async fn give(&self, reading: Reading, details: Details, begin: u64, end: u64, pieces: Feed) {
        let reading = Arc::new(reading);
        let mut at = begin;
        while at < end {
            let source = Arc::clone(&reading);
            let most = usize::try_from(end - at)
                .unwrap_or(usize::MAX)
                .min(TRANSFER as usize);
            let read = self.clerk.run(move || {
                let mut piece = vec![0; most];
                let count = source.read_at(at, &mut piece)?;
                piece.truncate(count);
                Ok::<_, std::io::Error>(piece)
            });
            let piece = match read.await {
                Ok(Ok(piece)) if !piece.is_empty() => piece,
                Ok(Ok(_)) => break,
                Ok(Err(error)) => {
                    tracing::warn!("data package {}: cannot be read: {error}", details.hash);
                    break;
                }
                Err(_) => break,
            };
            at += piece.len() as u64;
            if !feed(&pieces, piece).await {
                break;
            }
        }
        if at < end {
            tracing::info!(
                "data package {}: fetched to byte {at} of {end}",
                details.hash
            );
        }
    }
}

/// How a file is to be called where it arrives (RFC 6266).
fn disposition(filename: &str) -> String {
    let plain: String = filename
        .chars()
        .map(|letter| match letter {
            ' ' | '!' | '#'..='[' | ']'..='~' => letter,
            _ => '_',
        })
        .collect();
    let mut text = format!("attachment; filename=\"{plain}\"");
    if plain != filename {
        text.push_str("; filename*=UTF-8''");
        for byte in filename.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                    text.push(char::from(byte));
                }
                byte => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_reach_the_other_end() {
        assert_eq!(
            disposition("plan 1.zip"),
            "attachment; filename=\"plan 1.zip\""
        );
        assert_eq!(
            disposition("é\"\\.zip"),
            "attachment; filename=\"___.zip\"; filename*=UTF-8''%C3%A9%22%5C.zip"
        );
    }
}
