//! HTTP/2 with limits that fit a small box.
//!
//! hyper's defaults allow megabytes per connection (5 MiB windows, 1 MiB send buffers). Flow control is also what holds
//! a fast peer back while the router has not attached it yet, so the windows bound what can be waiting.

use std::time::Duration;

use hyper::client::conn::http2::Builder as ClientBuilder;
use hyper::server::conn::http2::Builder as ServerBuilder;
use hyper_util::rt::TokioTimer;

use super::scope::TaskScope;
use crate::budget;

/// What a peer may send on one stream before we have read it, bytes.
pub const STREAM_WINDOW: u32 = 64 * 1024;
/// What a peer may send on all streams before we have read it, bytes. More than [`STREAM_WINDOW`], so that one stream
/// that must wait leaves room for the others.
pub const CONNECTION_WINDOW: u32 = budget::FEDERATE_WINDOW as u32;
/// What we keep of a stream that the peer does not read, bytes.
pub const SEND_BUFFER: usize = budget::FEDERATE_SEND_BUFFER as usize;
/// Longest frame taken, bytes.
pub const FRAME: u32 = budget::FEDERATE_FRAME as u32;
/// Calls that a peer may have open at once; a federate needs seven.
pub const STREAMS: u32 = 24;
/// Headers of one call, bytes.
pub const HEADERS: u32 = 16 * 1024;
/// Streams that a peer may open and reset at once before it is thrown out.
pub const RESETS: usize = 32;

/// Protocol errors of single streams over the whole life of a connection before it is ended. They cost nothing to
/// bear, and a federation link lives for months.
pub const MISTAKES: usize = 1024;

/// HTTP/2 towards a peer that we dialled.
///
/// `pings` are how often an idle connection is pinged and how long the answer may take. None towards anything but a
/// box, and no window probing: a TAK Server answers more than one ping in five minutes with GOAWAY `too_many_pings`
/// (protocol reference, pitfall 16); there the health check every 3 s is the keepalive.
pub fn client(scope: TaskScope, pings: Option<(Duration, Duration)>) -> ClientBuilder<TaskScope> {
    let mut builder = ClientBuilder::new(scope);
    builder
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .keep_alive_interval(pings.map(|(every, _)| every))
        .keep_alive_while_idle(pings.is_some())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_frame_size(FRAME)
        .max_concurrent_streams(0)
        .initial_max_send_streams(STREAMS as usize)
        .max_header_list_size(HEADERS)
        .max_concurrent_reset_streams(RESETS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(MISTAKES);
    if let Some((_, within)) = pings {
        builder.keep_alive_timeout(within);
    }
    builder
}

/// HTTP/2 towards a peer that dialled us.
pub fn server(scope: TaskScope) -> ServerBuilder<TaskScope> {
    let mut builder = ServerBuilder::new(scope);
    builder
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .keep_alive_interval(None)
        .auto_date_header(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_frame_size(FRAME)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(MISTAKES);
    builder
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use http::{Request, Response};
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::link::grpc::body::GrpcBody;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /// Reads one HTTP/2 frame: type, stream, payload.
    async fn frame(io: &mut DuplexStream) -> (u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        io.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        io.read_exact(&mut payload).await.unwrap();
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        (head[3], stream, payload)
    }

    /// What one end announces first: its settings by number, and its connection window.
    async fn announced(io: &mut DuplexStream) -> (BTreeMap<u16, u32>, u32) {
        let (kind, _, settings) = frame(io).await;
        assert_eq!(kind, 4, "SETTINGS comes first");
        let settings = settings
            .chunks_exact(6)
            .map(|entry| {
                let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
                (u16::from_be_bytes([entry[0], entry[1]]), value)
            })
            .collect();
        loop {
            let (kind, stream, payload) = frame(io).await;
            if kind == 8 && stream == 0 {
                let more = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
                return (settings, 65_535 + more);
            }
        }
    }

    #[tokio::test]
    async fn a_client_announces_small_limits() {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let scope = TaskScope::new();
        let _guard = scope.guard();
        let (_sender, connection) = client(scope.clone(), None)
            .handshake::<_, GrpcBody>(TokioIo::new(near))
            .await
            .unwrap();
        scope.spawn(async move { drop(connection.await) });
        let mut preface = [0; PREFACE.len()];
        far.read_exact(&mut preface).await.unwrap();
        assert_eq!(preface, PREFACE);
        let (settings, window) = announced(&mut far).await;
        assert_eq!(settings.get(&4), Some(&STREAM_WINDOW));
        assert_eq!(settings.get(&5).copied().unwrap_or(16_384), FRAME);
        assert_eq!(settings.get(&6), Some(&HEADERS));
        assert_eq!(settings.get(&2), Some(&0), "no pushed streams");
        assert_eq!(window, CONNECTION_WINDOW);
    }

    #[tokio::test]
    async fn only_a_box_is_pinged_and_a_silent_one_is_given_up() {
        let moment = Duration::from_millis(200);
        for pings in [None, Some((moment, moment))] {
            let (near, mut far) = tokio::io::duplex(64 * 1024);
            let scope = TaskScope::new();
            let _guard = scope.guard();
            let (_sender, connection) = client(scope.clone(), pings)
                .handshake::<_, GrpcBody>(TokioIo::new(near))
                .await
                .unwrap();
            let ended = tokio::spawn(connection);
            far.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
            far.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            let ping = async { while frame(&mut far).await.0 != 6 {} };
            match pings {
                None => {
                    let came = tokio::time::timeout(moment * 5, ping).await;
                    assert!(came.is_err(), "a TAK Server would say goodbye for that");
                }
                Some(_) => {
                    ping.await;
                    let end = tokio::time::timeout(moment * 100, ended).await;
                    assert!(end.unwrap().unwrap().is_err(), "no answer came");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_server_announces_small_limits() {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let scope = TaskScope::new();
        let _guard = scope.guard();
        let service = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(GrpcBody::trailers_only()))
        });
        let connection = server(scope.clone()).serve_connection(TokioIo::new(near), service);
        scope.spawn(async move { drop(connection.await) });
        far.write_all(PREFACE).await.unwrap();
        far.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let (settings, window) = announced(&mut far).await;
        assert_eq!(settings.get(&3), Some(&STREAMS));
        assert_eq!(settings.get(&4), Some(&STREAM_WINDOW));
        assert_eq!(settings.get(&5).copied().unwrap_or(16_384), FRAME);
        assert_eq!(settings.get(&6), Some(&HEADERS));
        assert_eq!(window, CONNECTION_WINDOW);
    }
}
