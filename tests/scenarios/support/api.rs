//! The HTTPS API as curl sees it, and a watcher of its stream of events.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use serde_json::Value;

use super::certificates::Leaf;
use super::process::TomboloBox;
use super::{PATIENCE, eventually};

/// One who asks.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: Option<String>,
    more: Vec<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, as they came.
    pub headers: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as JSON, of an answer with that status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        match self.body.is_empty() {
            true => Value::Null,
            false => self.json(),
        }
    }
}

impl Api {
    /// Nobody yet.
    pub fn of(tombolo: &TomboloBox) -> Self {
        Self {
            base: format!("https://{}", tombolo.api()),
            token: None,
            more: vec!["-k".into()],
        }
    }

    /// FreeTAKServer's routes.
    pub fn freetakserver(tombolo: &TomboloBox) -> Self {
        let port = tombolo.freetakserver().port();
        Self {
            base: format!("http://localhost:{port}"),
            token: None,
            more: Vec::new(),
        }
    }

    /// With a token that the command line made.
    #[track_caller]
    pub fn with_scopes(tombolo: &TomboloBox, name: &str, scopes: &str) -> Self {
        let made = tombolo.call(["token", "add", name, "--scope", scopes], "");
        Self::of(tombolo).with_token(made.success().trim())
    }

    /// With a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// With further arguments of curl.
    #[must_use]
    pub fn with(&self, arguments: &[&str]) -> Self {
        let mut more = self.more.clone();
        more.extend(arguments.iter().map(|&argument| argument.to_owned()));
        Self {
            more,
            ..self.clone()
        }
    }

    /// The token.
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("a token")
    }

    /// Asks.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut curl = Command::new("curl");
        let seconds = PATIENCE.as_secs().to_string();
        curl.args(["-s", "-S", "-i", "-m", &seconds, "-X", method])
            .args(&self.more)
            .arg(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            curl.args(["-H", &format!("Authorization: Bearer {token}")]);
        }
        if !body.is_empty() {
            curl.args(["--data-binary", body]);
        }
        let output = curl.output().expect("curl (scripts/test installs it)");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or_else(|| {
                panic!(
                    "{method} {path}: {text}{}",
                    String::from_utf8_lossy(&output.stderr)
                )
            }),
            headers: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Asks for something.
    #[track_caller]
    pub fn read(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }
}

/// A watcher of the stream of events: a WebSocket by hand, so that it shares nothing with the box.
#[derive(Debug)]
pub struct Watcher {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Watcher {
    /// Watches with a token; `Err` is the status of the refusal.
    pub fn open(tombolo: &TomboloBox, token: &str) -> Result<Self, u16> {
        let header = format!("Authorization: Bearer {token}\r\n");
        Self::open_with(tombolo.api(), None, &header)
    }

    /// Watches with these headers, and shows a certificate.
    pub fn open_with(address: SocketAddr, leaf: Option<&Leaf>, headers: &str) -> Result<Self, u16> {
        let tcp = TcpStream::connect(address).expect("a connection");
        tcp.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        let name = ServerName::try_from("box").expect("a name");
        let tls = ClientConnection::new(config(leaf), name).expect("a client");
        let mut stream = StreamOwned::new(tls, tcp);
        write!(
            stream,
            "GET /api/events HTTP/1.1\r\nHost: box\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        )
        .expect("a request");
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(
                stream.read_line(&mut head).expect("an answer") > 0,
                "{head}"
            );
        }
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        match status.expect("a status") {
            101 => {
                assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
                Ok(Self { stream })
            }
            other => Err(other),
        }
    }

    /// The next frame: its kind, and what is in it.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).expect("a frame");
        assert_eq!(head[0] & 0xF0, 0x80, "whole, nothing reserved");
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length).expect("a length");
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.stream.read_exact(&mut length).expect("a length");
                u64::from_be_bytes(length)
            }
            short => short.into(),
        };
        let mut payload = vec![0; usize::try_from(length).expect("a length")];
        self.stream.read_exact(&mut payload).expect("a payload");
        (head[0] & 0x0F, payload)
    }

    /// Waits for the event of that uid.
    pub fn expect_uid(&mut self, uid: &str) -> String {
        let wanted = format!("uid=\"{uid}\"");
        loop {
            let (kind, payload) = self.frame();
            let text = String::from_utf8(payload).expect("text");
            if kind == 1 {
                assert!(
                    text.starts_with("<event") && text.ends_with("</event>"),
                    "{text}"
                );
                assert_eq!(
                    text.matches("</event>").count(),
                    1,
                    "one event, one message: {text}"
                );
            }
            if text.contains(&wanted) || text.contains(&wanted.replace('"', "'")) {
                return text;
            }
        }
    }

    /// Waits for the box to say goodbye, and gives the code and the reason.
    pub fn expect_close(&mut self) -> (u16, String) {
        loop {
            let (kind, payload) = self.frame();
            if kind == 8 {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                return (code, String::from_utf8_lossy(&payload[2..]).into_owned());
            }
        }
    }

    /// Sends a masked frame.
    pub fn send(&mut self, kind: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | kind, 0x80 | payload.len() as u8, 1, 2, 3, 4];
        let mask = [1, 2, 3, 4].iter().cycle();
        frame.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        let stream = self.stream.get_mut();
        stream.write_all(&frame).expect("sent");
        stream.flush().expect("sent");
    }
}

/// Without a certificate of the box's own, a stranger's: it is worth nothing and no fault.
fn config(leaf: Option<&Leaf>) -> Arc<ClientConfig> {
    let stranger = super::Authority::new("nobody").issue("nobody");
    let mut config = super::client_config(leaf.unwrap_or(&stranger));
    config.alpn_protocols.clear();
    Arc::new(config)
}

/// Waits until a federate's link is up, by the API.
pub fn wait_status(api: &Api, name: &str, status: &str) -> Value {
    eventually(&format!("{name} is {status}"), || {
        let found = api.read(&format!("/api/federation/{name}"));
        let found = (found.status == 200).then(|| found.json())?;
        (found["status"] == status).then_some(found)
    })
}
