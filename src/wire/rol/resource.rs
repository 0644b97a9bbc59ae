//! The JSON of `create resource` and `announce package` (protocol reference 3.2).
//!
//! Written as a TAK Server binds it: the keys in their order, nulls left out, and in a resource always `keywords` and
//! `mimeType`, by which it is told from an announcement. Read with patience: nulls and unknown keys are passed over.

use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::wire::stamp;

/// Most destinations of one kind that an announcement may name.
pub const MOST_DESTINATIONS: usize = 256;

/// What is said of a file: the parameters of `create resource`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    /// Name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Words to find it by; `missionpackage` marks a data package.
    #[serde(deserialize_with = "or_default")]
    pub keywords: Vec<String>,
    /// What kind of file, as `application/zip`.
    #[serde(deserialize_with = "or_default")]
    pub mime_type: String,
    /// What kind of content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was handed in; [`Resource::submitted`] reads it. A TAK Server cannot do without (protocol reference 3.2).
    #[serde(deserialize_with = "or_default")]
    pub submission_time: String,
    /// Who handed it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitter: Option<String>,
    /// Its own uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// SHA-256 of its bytes, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The uid of the device that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator_uid: Option<String>,
    /// What it is for: `public`, `private`, or the name of a tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// Metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altitude: Option<f64>,
    /// When it ceases to be of worth, seconds since 1970; −1 = never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<i64>,
}

impl Resource {
    /// Reads the parameters of `create resource`.
    ///
    /// # Errors
    /// When they are not such JSON.
    pub fn read(json: &str) -> Result<Self, &'static str> {
        object(json).ok_or("the parameters are no resource")
    }

    /// The parameters of `create resource`.
    pub fn json(&self) -> String {
        written(self)
    }

    /// When it was handed in, ms since 1970; none if it does not say, or not in that form.
    ///
    /// TAK Server reads what stands after the point as a number of milliseconds, whatever its width.
    pub fn submitted(&self) -> Option<i64> {
        let text = self.submission_time.as_bytes();
        let whole = stamp::read(text)?;
        let Some((_, fraction)) = self.submission_time.rsplit_once('.') else {
            return Some(whole);
        };
        let digits = fraction.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        match digits.len() {
            1 | 2 => Some(whole - whole.rem_euclid(1000) + digits.parse::<i64>().ok()?),
            _ => Some(whole),
        }
    }

    /// Says when it was handed in, ms since 1970; what a calendar of four digits cannot say is said as 1970.
    pub fn set_submitted(&mut self, millis: i64) {
        let text = stamp::write(millis).or_else(|| stamp::write(0));
        let text = text.unwrap_or_default();
        self.submission_time = String::from_utf8_lossy(&text).into_owned();
    }
}

/// For whom an announcement is. Nobody named = for everybody who may have it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Destinations {
    /// Callsigns.
    #[serde(deserialize_with = "or_default")]
    pub callsigns: Vec<String>,
    /// Uids.
    #[serde(deserialize_with = "or_default")]
    pub uids: Vec<String>,
}

impl Destinations {
    /// Whether it is for everybody.
    pub fn is_everybody(&self) -> bool {
        self.callsigns.is_empty() && self.uids.is_empty()
    }
}

/// The parameters of `announce package`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceDetails {
    /// SHA-256 of the package, hexadecimal.
    pub sha256: String,
    /// For whom it is.
    pub destinations: Destinations,
    /// What people call it; receivers show it as the sender's callsign too.
    pub name: String,
    /// Name of the file.
    pub filename: String,
    /// When it was stored, ms since 1970.
    pub stored: i64,
    /// Bytes.
    pub size: u64,
    /// Who sends it.
    pub sender_callsign: String,
}

/// As it stands in the message.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Announcement {
    #[serde(rename = "type")]
    kind: Option<String>,
    sha256: Option<String>,
    sender_uid: Option<String>,
    name: Option<String>,
    filename: Option<String>,
    #[serde(deserialize_with = "ignored")]
    sender_url: String,
    ts_stored: Option<i64>,
    size_in_bytes: Option<i64>,
    sender_callsign: Option<String>,
}

const KIND: &str = "ResourceDetails";

impl ResourceDetails {
    /// Reads the parameters of `announce package`.
    ///
    /// `senderUid` holds the destinations as JSON in a string. What is no JSON object there is a uid, as it once was,
    /// and names nobody; a broken object is an error, lest what was for one goes to all.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(json: &str) -> Result<Self, &'static str> {
        let read: Announcement = object(json).ok_or("the parameters are no announcement")?;
        if read.kind.as_deref().is_some_and(|kind| kind != KIND) {
            return Err("type is not ResourceDetails");
        }
        let sender = read.sender_uid.unwrap_or_default();
        let destinations: Destinations = match sender.trim_start().starts_with('{') {
            true => object(&sender).ok_or("senderUid begins like JSON and is none")?,
            false => Destinations::default(),
        };
        let most = destinations.callsigns.len().max(destinations.uids.len());
        if most > MOST_DESTINATIONS {
            return Err("more than 256 destinations");
        }
        Ok(Self {
            sha256: read.sha256.ok_or("sha256 is missing")?,
            destinations,
            name: read.name.unwrap_or_default(),
            filename: read.filename.unwrap_or_default(),
            stored: read.ts_stored.unwrap_or(0),
            size: u64::try_from(read.size_in_bytes.unwrap_or(0)).unwrap_or(0),
            sender_callsign: read.sender_callsign.unwrap_or_default(),
        })
    }

    /// The parameters of `announce package`. A size beyond 31 bits is written as the largest that fits, as the receiver
    /// has no more room.
    pub fn json(&self) -> String {
        written(&Announcement {
            kind: Some(KIND.to_owned()),
            sha256: Some(self.sha256.clone()),
            sender_uid: Some(written(&self.destinations)),
            name: Some(self.name.clone()),
            filename: Some(self.filename.clone()),
            sender_url: String::new(),
            ts_stored: Some(self.stored),
            size_in_bytes: Some(i64::from(i32::try_from(self.size).unwrap_or(i32::MAX))),
            sender_callsign: Some(self.sender_callsign.clone()),
        })
    }
}

/// A list would be taken for the fields in their order.
fn object<'de, T: Deserialize<'de>>(json: &'de str) -> Option<T> {
    let is_object = json.trim_start().starts_with('{');
    serde_json::from_str(json).ok().filter(|_| is_object)
}

/// Strings, numbers and lists of them: this cannot fail.
fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Null is as good as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn ignored<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan() -> Resource {
        let mut resource = Resource {
            filename: Some("plan.zip".into()),
            keywords: vec!["missionpackage".into()],
            mime_type: "application/zip".into(),
            name: Some("plan".into()),
            hash: Some("ab".repeat(32)),
            size: Some(5),
            ..Resource::default()
        };
        resource.set_submitted(1_795_298_400_005);
        resource
    }

    #[test]
    fn a_resource_is_written_as_a_tak_server_binds_it() {
        let expected = format!(
            r#"{{"filename":"plan.zip","keywords":["missionpackage"],"mimeType":"application/zip","name":"plan","submissionTime":"2026-11-21T22:00:00.005Z","hash":"{}","size":5}}"#,
            "ab".repeat(32)
        );
        assert_eq!(plan().json(), expected);
        let bare = Resource::default().json();
        assert_eq!(
            bare, r#"{"keywords":[],"mimeType":"","submissionTime":""}"#,
            "what tells it from an announcement is always there"
        );
    }

    #[test]
    fn nulls_and_unknown_keys_are_passed_over() {
        let read = Resource::read(
            r#"{"filename":null,"keywords":null,"mimeType":null,"submissionTime":null,"groups":[1,{"a":[]}],
               "hash":"AB","size":7,"tool":null,"later":{"x":1}}"#,
        )
        .unwrap();
        assert_eq!((read.hash.as_deref(), read.size), (Some("AB"), Some(7)));
        assert_eq!(read.submitted(), None);
        for broken in ["", "[]", "{", r#"{"size":-1}"#, r#"{"hash":{}}"#] {
            assert!(Resource::read(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn milliseconds_are_counted_as_a_tak_server_counts_them() {
        let mut resource = plan();
        for (text, millis) in [
            ("2026-11-21T22:00:00.5Z", 5),
            ("2026-11-21T22:00:00.50Z", 50),
            ("2026-11-21T22:00:00.500Z", 500),
            ("2026-11-21T22:00:00Z", 0),
            ("2026-11-21T22:00:00.123456Z", 123),
        ] {
            resource.submission_time = text.into();
            assert_eq!(
                resource.submitted(),
                Some(1_795_298_400_000 + millis),
                "{text}"
            );
        }
        resource.submission_time = "yesterday".into();
        assert_eq!(resource.submitted(), None);
        resource.set_submitted(i64::MAX);
        assert_eq!(resource.submitted(), Some(0));
    }

    #[test]
    fn an_announcement_carries_its_destinations_as_json_in_a_string() {
        let details = ResourceDetails {
            sha256: "cd".repeat(32),
            destinations: Destinations {
                callsigns: vec!["ECHO \"1\"".into()],
                uids: Vec::new(),
            },
            name: "plan".into(),
            filename: "plan.zip".into(),
            stored: 7,
            size: u64::MAX,
            sender_callsign: "ALPHA".into(),
        };
        let json = details.json();
        assert_eq!(
            json,
            format!(
                r#"{{"type":"ResourceDetails","sha256":"{}","senderUid":"{{\"callsigns\":[\"ECHO \\\"1\\\"\"],\"uids\":[]}}","name":"plan","filename":"plan.zip","senderUrl":"","tsStored":7,"sizeInBytes":2147483647,"senderCallsign":"ALPHA"}}"#,
                "cd".repeat(32)
            )
        );
        let read = ResourceDetails::read(&json).unwrap();
        assert_eq!(
            read,
            ResourceDetails {
                size: 2_147_483_647,
                ..details
            }
        );
    }

    #[test]
    fn what_was_for_one_never_goes_to_all() {
        let read = |sender: &str| {
            let json = serde_json::json!({"sha256": "a", "senderUid": sender, "senderUrl": null});
            ResourceDetails::read(&json.to_string()).map(|read| read.destinations)
        };
        assert!(read("ANDROID-1").unwrap().is_everybody());
        assert!(read(r#"{"callsigns":null}"#).unwrap().is_everybody());
        assert!(!read(r#"{"uids":["a"]}"#).unwrap().is_everybody());
        for broken in [r#"{"uids":["a""#, r#" {"uids":"a"}"#, "{}}"] {
            assert!(read(broken).is_err(), "{broken}");
        }
        let many: Vec<_> = (0..300).map(|n| n.to_string()).collect();
        let many = serde_json::json!({"uids": many}).to_string();
        assert_eq!(read(&many), Err("more than 256 destinations"));
        assert!(ResourceDetails::read(r#"{"type":"DataFeedMetadata","sha256":"a"}"#).is_err());
        assert!(ResourceDetails::read("{}").is_err());
    }

    proptest! {
        #[test]
        fn any_text_comes_back(
            name in any::<String>(), callsigns in prop::collection::vec(any::<String>(), 0..4),
            stored: i64, size in 0_u64..1 << 31, keywords in prop::collection::vec(any::<String>(), 0..4),
        ) {
            let details = ResourceDetails {
                sha256: name.clone(),
                destinations: Destinations { callsigns, uids: vec![name.clone()] },
                name: name.clone(),
                filename: name.clone(),
                stored,
                size,
                sender_callsign: name.clone(),
            };
            prop_assert_eq!(ResourceDetails::read(&details.json()), Ok(details));
            let resource = Resource { keywords, name: Some(name), size: Some(size), ..Resource::default() };
            prop_assert_eq!(Resource::read(&resource.json()).unwrap(), resource);
        }

        #[test]
        fn no_text_makes_it_panic(json in ".{0,200}", inner in ".{0,60}") {
            let _ = Resource::read(&json);
            let _ = ResourceDetails::read(&json);
            let _ = ResourceDetails::read(&serde_json::json!({"sha256": "", "senderUid": inner}).to_string());
        }
    }
}
