//! Options of a TCP connection to a federate.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Seconds between keepalive probes when the configuration names none.
pub const DEFAULT_KEEPALIVE_SECONDS: u32 = 60;

/// Unanswered probes before the system gives the connection up.
const PROBES: u32 = 3;

/// Unacknowledged bytes end the connection after this at the latest: a link that lost its bearer must not look alive
/// until the kernel's default of a quarter of an hour.
const LONGEST_UNACKNOWLEDGED: Duration = Duration::from_secs(120);

/// Sets what every federate's connection needs: no delay (events are small and batched by the outbox), keepalive
/// probes, and an end to waiting for acknowledgements.
///
/// `keepalive_seconds` is the time between probes, 1 to 32,767; none = [`DEFAULT_KEEPALIVE_SECONDS`].
///
/// # Errors
/// Whatever the system says; the connection is then still usable.
pub fn prepare(stream: &TcpStream, keepalive_seconds: Option<u32>) -> io::Result<()> {
    let interval = interval(keepalive_seconds);
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(interval)
            .with_interval(interval)
            .with_retries(PROBES),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(unacknowledged(interval)))?;
    Ok(())
}

fn interval(keepalive_seconds: Option<u32>) -> Duration {
    let seconds = keepalive_seconds.unwrap_or(DEFAULT_KEEPALIVE_SECONDS);
    // What Linux takes; the configuration allows nothing else.
    Duration::from_secs(u64::from(seconds.clamp(1, 32_767)))
}

/// TCP_USER_TIMEOUT also overrides the number of probes (tcp(7)), so it must leave room for one and its answer.
#[cfg(target_os = "linux")]
fn unacknowledged(interval: Duration) -> Duration {
    (interval / 2).clamp(Duration::from_secs(15), LONGEST_UNACKNOWLEDGED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn options_reach_the_socket() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        prepare(&stream, Some(40)).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert!(stream.nodelay().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(40)
        );
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(Duration::from_secs(20))
        );
    }

    #[test]
    fn odd_settings_stay_in_what_the_system_takes() {
        assert_eq!(interval(None), Duration::from_secs(60));
        assert_eq!(interval(Some(0)), Duration::from_secs(1));
        assert_eq!(interval(Some(u32::MAX)), Duration::from_secs(32_767));
    }
}
