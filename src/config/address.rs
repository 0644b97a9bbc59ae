//! Addresses as people write them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Port of plain CoT.
pub const CLIENTS_TCP_PORT: u16 = 8087;
/// Port of CoT over mutual TLS.
pub const CLIENTS_TLS_PORT: u16 = 8089;
/// Port of federation v2, ours and a peer's that names none.
pub const FEDERATION_PORT: u16 = 9001;
/// `address:port`, or an address alone with the default port.
pub(super) fn socket_address(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    text.parse()
        .ok()
        .or_else(|| bare().map(|address| SocketAddr::new(address, port)))
}

/// `host:port` with the default port filled in and IPv6 in brackets.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn peer_address(text: &str) -> Result<String, &'static str> {
    address_with(text, FEDERATION_PORT)
}

/// The same with another default port.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn address_with(text: &str, default: u16) -> Result<String, &'static str> {
    let text = text.trim();
    if text.contains("://") {
        return Err("has a scheme in front");
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(format!("[{address}]:{default}"));
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let fault = "has no IPv6 address in brackets";
        let (inner, rest) = bracketed.split_once(']').ok_or(fault)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| fault)?;
        let written = match rest {
            "" => None,
            _ => Some(
                rest.strip_prefix(':')
                    .ok_or("has something other than a port behind the brackets")?,
            ),
        };
        return Ok(format!("[{address}]:{}", port(written, default)?));
    }
    let (host, written) = match text.rsplit_once(':') {
        Some((host, written)) => (host, Some(written)),
        None => (text, None),
    };
    let port = port(written, default)?;
    host_fault(host).map_or_else(|| Ok(format!("{host}:{port}")), Err)
}

fn port(written: Option<&str>, default: u16) -> Result<u16, &'static str> {
    let Some(written) = written else {
        return Ok(default);
    };
    let port = written.parse().ok().filter(|&port| port != 0);
    port.ok_or("has no port of 1 to 65535")
}

/// What is wrong with a host name, if anything.
pub(super) fn host_fault(host: &str) -> Option<&'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    match host {
        "" => Some("names no host"),
        _ if host.len() > 253 => Some("names a host longer than 253 characters"),
        _ if !host.chars().all(fits) => Some("holds a character that no host name has"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_in_every_way_in_use() {
        for (written, meant) in [
            ("tak.example.org", "tak.example.org:9001"),
            ("tak.example.org:9002", "tak.example.org:9002"),
            (" 10.0.0.1 ", "10.0.0.1:9001"),
            ("::1", "[::1]:9001"),
            ("[::1]", "[::1]:9001"),
            ("[fe80::1]:7", "[fe80::1]:7"),
        ] {
            assert_eq!(peer_address(written).as_deref(), Ok(meant), "{written}");
        }
        for written in [
            "",
            ":9001",
            "https://tak",
            "host:0",
            "host:70000",
            "host:",
            "a b",
            "[::1",
            "[x]:1",
            "[]",
            "[::1]x",
            "host:1:2",
        ] {
            assert!(peer_address(written).is_err(), "{written}");
        }
    }

    #[test]
    fn a_listener_needs_an_ip_address() {
        let read = |text| socket_address(text, 5).map(|address| address.to_string());
        assert_eq!(read("0.0.0.0:9001").as_deref(), Some("0.0.0.0:9001"));
        assert_eq!(read("127.0.0.1").as_deref(), Some("127.0.0.1:5"));
        assert_eq!(read("::").as_deref(), Some("[::]:5"));
        assert_eq!(read("[::]").as_deref(), Some("[::]:5"));
        for written in ["", "localhost:1", ":9001", "9001", "1.2.3.4:x"] {
            assert_eq!(read(written), None, "{written}");
        }
    }
}
