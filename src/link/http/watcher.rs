//! One watcher: a link that only hears. Each event is a message of text, CoT XML.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, timeout};

use super::websocket::{CloseCode, Decoder, Heard, Kind, put, put_close, put_head};
use crate::link::hub::Port;
use crate::wire::scan::{Found, Scanner};

/// How often a watcher is asked whether it is there.
const PING: Duration = Duration::from_secs(20);
/// A watcher that was not heard of for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// A batch must be taken within this.
const SLOW: Duration = Duration::from_secs(15);
/// For the last words.
const GOODBYE: Duration = Duration::from_secs(1);
/// Longer events go out without being copied first.
const LONG: usize = 16 * 1024;

/// Streams events until the watcher goes, is too slow, may not watch any more, or the box stops. Tells why.
pub async fn watch<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    port: &Port,
    mut rights: watch::Receiver<u64>,
    is_allowed: impl Fn() -> bool,
    mut stop: watch::Receiver<bool>,
) -> String {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut decoder, mut heard_at) = (Decoder::default(), Instant::now());
    let mut pings = interval_at(Instant::now() + PING, PING);
    let mut out = Vec::new();
    let (code, why) = loop {
        out.clear();
        let mut buffer = [0; 256];
        tokio::select! {
            read = reader.read(&mut buffer) => {
                let count = match read {
                    Ok(0) => return "closed by the watcher".to_owned(),
                    Ok(count) => count,
                    // rustls words a missing close_notify for programmers.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        return "it hung up".to_owned();
                    }
                    Err(error) => return error.to_string(),
                };
                heard_at = Instant::now();
                match answer(&mut decoder, &buffer[..count], &mut out) {
                    Ok(()) => {}
                    Err(Ended::Goodbye) => {
                        let _ = timeout(GOODBYE, last(&mut writer, &out)).await;
                        return "closed by the watcher".to_owned();
                    }
                    Err(Ended::Fault(code, why)) => break (code, why),
                }
            }
            batch = std::future::poll_fn(|context| port.poll_batch(context)) => {
                let Some(batch) = batch else {
                    break (CloseCode::GoingAway, "taken off the router");
                };
                match timeout(SLOW, send(&mut writer, &batch, &mut out)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return error.to_string(),
                    Err(_) => break (CloseCode::Policy, "too slow: it did not take what was sent within 15 s"),
                }
                continue;
            }
            _ = pings.tick() => {
                if heard_at.elapsed() >= SILENCE {
                    break (CloseCode::Policy, "it was silent for a minute");
                }
                if !is_allowed() {
                    break (CloseCode::Policy, "its token counts no more");
                }
                put(&mut out, Kind::Ping, b"");
            }
            Ok(()) = rights.changed() => {
                if !is_allowed() {
                    break (CloseCode::Policy, "its token counts no more");
                }
            }
            () = stopped(&mut stop) => break (CloseCode::GoingAway, "the box stops"),
        }
        if !out.is_empty() {
            match timeout(SLOW, last(&mut writer, &out)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => {
                    break (
                        CloseCode::Policy,
                        "too slow: it did not take what was sent within 15 s",
                    );
                }
            }
        }
    };
    out.clear();
    put_close(&mut out, code, why);
    let _ = timeout(GOODBYE, async {
        last(&mut writer, &out).await?;
        writer.shutdown().await
    })
    .await;
    why.to_owned()
}

/// On its own, so that what it borrows is gone before the next wait.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}

enum Ended {
    Goodbye,
    Fault(CloseCode, &'static str),
}

fn answer(decoder: &mut Decoder, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Ended> {
    while !bytes.is_empty() {
        let (heard, used) = decoder.take(bytes);
        bytes = &bytes[used..];
        match heard {
            None | Some(Heard::Control(Kind::Pong | Kind::Text, _)) => {}
            Some(Heard::Control(Kind::Ping, payload)) => put(out, Kind::Pong, &payload),
            Some(Heard::Control(Kind::Close, payload)) => {
                put(out, Kind::Close, payload.get(..2).unwrap_or_default());
                return Err(Ended::Goodbye);
            }
            Some(Heard::Data) => {
                let why = "this stream only tells; POST /api/events takes events";
                return Err(Ended::Fault(CloseCode::Unsupported, why));
            }
            Some(Heard::Broken) => {
                return Err(Ended::Fault(CloseCode::Protocol, "no WebSocket frame"));
            }
        }
    }
    Ok(())
}

/// Each event of a batch is a message of its own.
async fn send<W: AsyncWrite + Unpin>(
    writer: &mut W,
    batch: &Bytes,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let mut scanner = Scanner::new(batch.len());
    let mut rest = &batch[..];
    while let Found::Piece { start, end } = scanner.next(rest) {
        let event = &rest[start..end];
        rest = &rest[end..];
        put_head(out, Kind::Text, event.len());
        if event.len() > LONG {
            writer.write_all(out).await?;
            writer.write_all(event).await?;
            out.clear();
            continue;
        }
        out.extend_from_slice(event);
        if out.len() > LONG {
            writer.write_all(out).await?;
            out.clear();
        }
    }
    last(writer, out).await
}

async fn last<W: AsyncWrite + Unpin>(writer: &mut W, out: &[u8]) -> io::Result<()> {
    writer.write_all(out).await?;
    writer.flush().await
}
