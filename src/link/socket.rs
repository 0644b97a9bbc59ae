//! Options of a TCP connection to a federate.

use std::io;

use socket2::SockRef;
use tokio::net::TcpStream;

use super::gauge::set_probes;
use super::keepalive::{DEFAULT_SECONDS, Probes, seconds_of};

/// Sets what every federate's connection needs from its beginning: no delay (events are small and batched by the
/// outbox), keepalive probes, and an end to waiting for acknowledgements: a link that lost its bearer must not look
/// alive until the kernel's default of a quarter of an hour.
///
/// `keepalive_seconds` is the time between probes, 1 to 32,767; none = 60. What is known better later is set by
/// [`super::gauge::Gauge::set_probes`].
///
/// # Errors
/// Whatever the system says; the connection is then still usable.
pub fn prepare(stream: &TcpStream, keepalive_seconds: Option<u32>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let interval = seconds_of(keepalive_seconds.unwrap_or(DEFAULT_SECONDS));
    set_probes(&SockRef::from(stream), &Probes::of(interval))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn options_reach_the_socket() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        for (seconds, probes) in [(None, 60), (Some(40), 40), (Some(u32::MAX), 32_767)] {
            prepare(&stream, seconds).unwrap();
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap());
            assert!(stream.nodelay().unwrap());
            let after = Duration::from_secs(probes);
            assert_eq!(socket.tcp_keepalive_time().unwrap(), after);
            let given_up = socket.tcp_user_timeout().unwrap().unwrap();
            assert!(given_up <= after * 2, "within two intervals: {given_up:?}");
        }
    }
}
