//! A TLS client that speaks TAK protocol v1 once it has asked for it, with prost for its messages.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use prost::Message;
use rustls::{ClientConnection, StreamOwned};

use super::certificates::Leaf;
use super::cot::{now_ms, stamp};
use super::device::tls_stream;
use super::eventually;

/// `TakMessage`, by protocol reference 6.2.
#[derive(Clone, PartialEq, Message)]
pub struct TakMessage {
    /// The event.
    #[prost(message, optional, tag = "2")]
    pub event: Option<CotEvent>,
    /// A field of a version yet to come.
    #[prost(string, tag = "99")]
    pub future: String,
}

/// `CotEvent`.
#[derive(Clone, PartialEq, Message)]
pub struct CotEvent {
    /// `event@type`
    #[prost(string, tag = "1")]
    pub kind: String,
    /// `event@uid`
    #[prost(string, tag = "5")]
    pub uid: String,
    /// `event@time`
    #[prost(uint64, tag = "6")]
    pub send_time: u64,
    /// `event@start`
    #[prost(uint64, tag = "7")]
    pub start_time: u64,
    /// `event@stale`
    #[prost(uint64, tag = "8")]
    pub stale_time: u64,
    /// `event@how`
    #[prost(string, tag = "9")]
    pub how: String,
    /// `point@lat`
    #[prost(double, tag = "10")]
    pub lat: f64,
    /// `point@lon`
    #[prost(double, tag = "11")]
    pub lon: f64,
    /// `point@hae`
    #[prost(double, tag = "12")]
    pub hae: f64,
    /// `point@ce`
    #[prost(double, tag = "13")]
    pub ce: f64,
    /// `point@le`
    #[prost(double, tag = "14")]
    pub le: f64,
    /// `<detail>`
    #[prost(message, optional, tag = "15")]
    pub detail: Option<Detail>,
}

/// `Detail`, as far as the scenarios need it.
#[derive(Clone, PartialEq, Message)]
pub struct Detail {
    /// The children without a field of their own.
    #[prost(string, tag = "1")]
    pub xml: String,
    /// `contact@endpoint`, `@callsign`
    #[prost(message, optional, tag = "2")]
    pub contact: Option<Pair>,
    /// `__group@name`, `@role`
    #[prost(message, optional, tag = "3")]
    pub group: Option<Pair>,
    /// `track@speed`, `@course`
    #[prost(message, optional, tag = "7")]
    pub track: Option<Track>,
}

/// Two texts.
#[derive(Clone, PartialEq, Message)]
pub struct Pair {
    /// Field 1.
    #[prost(string, tag = "1")]
    pub one: String,
    /// Field 2.
    #[prost(string, tag = "2")]
    pub two: String,
}

/// `Track`.
#[derive(Clone, PartialEq, Message)]
pub struct Track {
    /// Metres per second.
    #[prost(double, tag = "1")]
    pub speed: f64,
    /// Degrees.
    #[prost(double, tag = "2")]
    pub course: f64,
}

impl TakMessage {
    /// An event of now, with that detail.
    pub fn of(uid: &str, kind: &str, detail: Detail) -> Self {
        let now = u64::try_from(now_ms()).expect("after 1970");
        let event = CotEvent {
            kind: kind.to_owned(),
            uid: uid.to_owned(),
            send_time: now,
            start_time: now,
            stale_time: now + 120_000,
            how: "m-g".to_owned(),
            lat: 47.0707,
            lon: 12.6938,
            hae: 1204.5,
            ce: 4.5,
            le: 999_999.0,
            detail: Some(detail),
        };
        Self {
            event: Some(event),
            future: String::new(),
        }
    }

    /// A device's own position.
    pub fn position(uid: &str, callsign: &str) -> Self {
        let pair = |one: &str, two: &str| {
            Some(Pair {
                one: one.to_owned(),
                two: two.to_owned(),
            })
        };
        let detail = Detail {
            contact: pair("*:-1:stcp", callsign),
            group: pair("Cyan", "Team Member"),
            track: Some(Track {
                speed: 1.5,
                course: 90.25,
            }),
            ..Detail::default()
        };
        Self::of(uid, "a-f-G-U-C", detail)
    }

    /// Its event's uid.
    pub fn uid(&self) -> &str {
        self.event.as_ref().map_or("", |event| &event.uid)
    }

    /// Its event's type.
    pub fn kind(&self) -> &str {
        self.event.as_ref().map_or("", |event| &event.kind)
    }

    /// Its event's detail.
    pub fn detail(&self) -> Detail {
        let event = self.event.clone().unwrap_or_default();
        event.detail.unwrap_or_default()
    }

    /// As it stands in a stream.
    pub fn framed(&self) -> Vec<u8> {
        let mut bytes = vec![0xbf];
        bytes.extend(self.encode_length_delimited_to_vec());
        bytes
    }
}

/// A TLS client, XML at first.
#[derive(Debug)]
pub struct TakDevice {
    stream: StreamOwned<ClientConnection, TcpStream>,
    pending: Vec<u8>,
    /// Everything after the answer.
    switched: bool,
    closed: bool,
    /// XML events, in their order.
    pub xml: Vec<String>,
    /// Messages, in their order, as they came.
    pub messages: Vec<Vec<u8>>,
}

impl TakDevice {
    /// Connects, and speaks XML.
    pub fn connect(address: SocketAddr, leaf: &Leaf) -> Self {
        Self {
            stream: tls_stream(address, leaf).expect("the box accepts the certificate"),
            pending: Vec::new(),
            switched: false,
            closed: false,
            xml: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Connects and switches.
    #[track_caller]
    pub fn switched(address: SocketAddr, leaf: &Leaf) -> Self {
        let mut device = Self::connect(address, leaf);
        device.send(request(1));
        device.expect_answer(true);
        device
    }

    /// Sends bytes as they are; one that the box has closed is the scenario's to notice.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.write_all(bytes.as_ref());
        self.closed |= sent.and_then(|()| self.stream.flush()).is_err();
    }

    /// Sends a message.
    pub fn say(&mut self, message: &TakMessage) {
        self.send(message.framed());
    }

    /// Waits for the box's answer, and switches if it is yes.
    #[track_caller]
    pub fn expect_answer(&mut self, yes: bool) {
        let answer = self.expect_xml("the answer", |xml| xml.contains("t-x-takp-r"));
        assert!(
            answer.contains(&format!("<TakResponse status=\"{yes}\"/>")),
            "{answer}"
        );
    }

    /// Waits for XML that fits.
    #[track_caller]
    pub fn expect_xml(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        eventually(what, || {
            self.read();
            self.xml.iter().find(|xml| fits(xml)).cloned()
        })
    }

    /// Waits for a message that fits.
    #[track_caller]
    pub fn expect(&mut self, what: &str, fits: impl Fn(&TakMessage) -> bool) -> TakMessage {
        eventually(what, || {
            self.read();
            self.all().into_iter().find(|message| fits(message))
        })
    }

    /// Waits for the message with that uid.
    #[track_caller]
    pub fn expect_uid(&mut self, uid: &str) -> TakMessage {
        self.expect(uid, |message| message.uid() == uid)
    }

    /// Waits until the box hangs up.
    #[track_caller]
    pub fn expect_closed(&mut self, why: &str) {
        eventually(why, || {
            self.read();
            self.closed.then_some(())
        });
    }

    /// All messages so far.
    pub fn all(&self) -> Vec<TakMessage> {
        let read = |bytes: &Vec<u8>| TakMessage::decode(bytes.as_slice()).expect("a TakMessage");
        self.messages.iter().map(read).collect()
    }

    /// Reads what is there.
    pub fn read(&mut self) {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.closed = true,
            Ok(count) => self.pending.extend_from_slice(&buffer[..count]),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(_) => self.closed = true,
        }
        while self.take_one() {}
    }

    fn take_one(&mut self) -> bool {
        if !self.switched {
            let Some(end) = memchr::memmem::find(&self.pending, b"</event>") else {
                return false;
            };
            let piece: Vec<u8> = self.pending.drain(..end + b"</event>".len()).collect();
            let xml = String::from_utf8(piece).expect("the box sends UTF-8");
            self.switched = xml.contains("<TakResponse status=\"true\"/>");
            self.xml.push(xml.trim_start().to_owned());
            return true;
        }
        let Some(&first) = self.pending.first() else {
            return false;
        };
        assert_eq!(first, 0xbf, "nothing but messages after the answer");
        let mut rest = &self.pending[1..];
        let Ok(length) = prost::decode_length_delimiter(&mut rest) else {
            return false;
        };
        let Some(message) = rest.get(..length) else {
            return false;
        };
        self.messages.push(message.to_vec());
        let taken = self.pending.len() - rest.len() + length;
        self.pending.drain(..taken);
        true
    }
}

/// The question for a version, as XML.
pub fn request(version: u32) -> String {
    let (now, stale) = (stamp(now_ms()), stamp(now_ms() + 60_000));
    format!(
        "<event version=\"2.0\" uid=\"asking\" type=\"t-x-takp-q\" how=\"m-g\" time=\"{now}\" start=\"{now}\" stale=\"{stale}\">\
         <point lat=\"0\" lon=\"0\" hae=\"0\" ce=\"999999\" le=\"999999\"/>\
         <detail><TakControl><TakRequest version=\"{version}\"/></TakControl></detail></event>"
    )
}
