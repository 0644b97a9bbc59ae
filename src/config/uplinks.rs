//! `[[uplink]]`: the ways out of the box, best first.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::error::ConfigError;
use super::reader::Reader;

/// Uplinks that a box may name.
pub const MOST_UPLINKS: usize = 4;

/// Longest name of a network interface, bytes (Linux: 15 and a zero).
const INTERFACE_BYTES: usize = 15;

const PRIORITY_RANGE: std::ops::RangeInclusive<u32> = 0..=1000;
const KEEPALIVE_RANGE: std::ops::RangeInclusive<u32> = 1..=32_767;
const HOLD_RANGE: std::ops::RangeInclusive<u32> = 1..=3600;

/// Seconds that a better uplink must have held before a peer returns to it.
const HOLD_SECONDS: u32 = 30;

pub(super) const UPLINK_KEYS: &[&str] = &[
    "name",
    "interface",
    "priority",
    "rate",
    "keepalive_seconds",
    "hold_seconds",
    "metered",
];

/// One way out: an interface and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// Unique name, 1 to 64 characters; peers name it in `uplinks`.
    pub name: String,
    /// The network interface that connections are bound to, such as `eth1`.
    pub interface: String,
    /// Smaller is better, 0 to 1000; of equals, the one that is written first.
    pub priority: u32,
    /// Bits per second that it carries, if that is known.
    pub rate: Option<u64>,
    /// Seconds between keepalives on connections over it, 1 to 32,767; none = what is learned.
    pub keepalive_seconds: Option<u32>,
    /// Seconds that it must have held before a peer returns to it from a worse one, 1 to 3600.
    pub hold_seconds: u32,
    /// Bytes cost money: no standby connection is kept over it, and no emergencies are sent over it twice.
    pub metered: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawUplink {
    name: Option<Spanned<String>>,
    interface: Option<Spanned<String>>,
    priority: Option<Spanned<i64>>,
    rate: Option<Spanned<String>>,
    keepalive_seconds: Option<Spanned<i64>>,
    hold_seconds: Option<Spanned<i64>>,
    metered: Option<bool>,
}

impl Reader<'_> {
    /// All of them, best first.
    pub(super) fn uplinks(
        &self,
        raw: &[Spanned<RawUplink>],
    ) -> Result<Vec<Arc<Uplink>>, ConfigError> {
        if let Some(beyond) = raw.get(MOST_UPLINKS) {
            let fault = format!("more than {MOST_UPLINKS} uplinks");
            return Err(self.bad(beyond, "uplink", fault, "leave the least useful ones out"));
        }
        let mut names = HashMap::new();
        let mut uplinks = Vec::with_capacity(raw.len());
        for (written, place) in raw.iter().zip(0_u32..) {
            let uplink = self.uplink(written, place)?;
            let line = self.place(written.span().start).line;
            if let Some(first) = names.insert(uplink.name.clone(), line) {
                return Err(self.bad(
                    written,
                    "name",
                    format!(
                        "the uplink of line {first} is called \"{}\" too",
                        uplink.name
                    ),
                    "give every uplink its own name",
                ));
            }
            uplinks.push(Arc::new(uplink));
        }
        // Stable: of equals, the one that is written first.
        uplinks.sort_by_key(|uplink| uplink.priority);
        Ok(uplinks)
    }

    fn uplink(&self, whole: &Spanned<RawUplink>, place: u32) -> Result<Uplink, ConfigError> {
        let raw = whole.get_ref();
        let Some(name) = &raw.name else {
            let cure = "every [[uplink]] needs a name = \"...\"";
            return Err(self.bad(whole, "name", "is missing", cure));
        };
        let cure = "write the name of a network interface as `ip link` prints it, such as \"eth1\"";
        let Some(interface) = &raw.interface else {
            return Err(self.bad(whole, "interface", "is missing", cure));
        };
        let text = interface.get_ref();
        if !is_interface(text) {
            let fault = format!("{text:?} is no name of an interface");
            return Err(self.bad(interface, "interface", fault, cure));
        }
        let rate = match &raw.rate {
            None => None,
            Some(rate) => Some(bits_per_second(rate.get_ref()).ok_or_else(|| {
                let fault = format!("{:?} is no rate", rate.get_ref());
                let cure = "write such as \"9600 bit/s\", \"64 kbit/s\" or \"2 Mbit/s\"";
                self.bad(rate, "rate", fault, cure)
            })?),
        };
        let number = |key, written: &Option<Spanned<i64>>, range| {
            let written = written.as_ref();
            written
                .map(|written| self.uplink_number(key, written, range))
                .transpose()
        };
        Ok(Uplink {
            name: self.name("name", name)?,
            interface: text.clone(),
            priority: number("priority", &raw.priority, PRIORITY_RANGE)?.unwrap_or(place),
            rate,
            keepalive_seconds: number(
                "keepalive_seconds",
                &raw.keepalive_seconds,
                KEEPALIVE_RANGE,
            )?,
            hold_seconds: number("hold_seconds", &raw.hold_seconds, HOLD_RANGE)?
                .unwrap_or(HOLD_SECONDS),
            metered: raw.metered.unwrap_or(false),
        })
    }

    /// A whole number in its range.
    pub(super) fn uplink_number(
        &self,
        key: &'static str,
        written: &Spanned<i64>,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<u32, ConfigError> {
        u32::try_from(*written.get_ref())
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| ConfigError::OutOfRange {
                place: self.place(written.span().start),
                key,
                value: *written.get_ref(),
                least: *range.start(),
                most: *range.end(),
            })
    }
}

/// Whether Linux would call an interface so.
pub(super) fn is_interface(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= INTERFACE_BYTES
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/')
        && !matches!(text, "." | "..")
}

/// `9600 bit/s`, `64 kbit/s`, `2 Mbit/s`; at least 300 bit/s.
fn bits_per_second(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let unit = match unit.trim_start() {
        "bit/s" => 1,
        "kbit/s" => 1000,
        "Mbit/s" => 1_000_000,
        _ => return None,
    };
    let rate = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (rate >= 300).then_some(rate)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/tombolo")).map_err(|error| error.to_string())
    }

    const PEER: &str = "[[peer]]\nname = \"b\"\nfingerprint = \"abababababababababababababababababababababababababababababababab\"\n";

    #[test]
    fn uplinks_stand_best_first_and_peers_name_them() {
        let text = format!(
            "[[uplink]]\nname = \"radio\"\ninterface = \"eth2\"\npriority = 30\nrate = \"64 kbit/s\"\nmetered = true\n\
             [[uplink]]\nname = \"sat\"\ninterface = \"eth1\"\npriority = 10\nhold_seconds = 5\nkeepalive_seconds = 20\n\
             {PEER}uplinks = [\"radio\"]\n"
        );
        let config = parse(&text).unwrap();
        let names: Vec<&str> = config
            .uplinks
            .iter()
            .map(|uplink| uplink.name.as_str())
            .collect();
        assert_eq!(names, ["sat", "radio"]);
        assert_eq!(
            (
                config.uplinks[0].hold_seconds,
                config.uplinks[1].hold_seconds
            ),
            (5, 30)
        );
        assert_eq!(config.uplinks[0].keepalive_seconds, Some(20));
        assert_eq!(config.uplinks[1].rate, Some(64_000));
        assert!(config.uplinks[1].metered && !config.uplinks[0].metered);
        assert_eq!(config.peers[0].uplinks, ["radio"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_cure() {
        let uplink = |rest: &str| format!("[[uplink]]\nname = \"lte\"\n{rest}");
        let wan = "interface = \"wwan0\"\n";
        for (text, part) in [
            (uplink(""), "`interface`: is missing; write the name"),
            (
                uplink("interface = \"a/b\"\n"),
                ":3: `interface`: \"a/b\" is no name",
            ),
            (
                uplink("interface = \"abcdefghijklmnop\"\n"),
                "is no name of an interface",
            ),
            (
                uplink(wan) + "rate = \"fast\"\n",
                ":4: `rate`: \"fast\" is no rate; write such as",
            ),
            (
                uplink(wan) + "priority = -1\n",
                "`priority` = -1 is out of range; write 0 to 1000",
            ),
            (
                uplink(wan) + "priorty = 1\n",
                "unknown key `priorty` in [[uplink]] — did you mean `priority`?",
            ),
            (
                uplink(wan) + &uplink(wan),
                "the uplink of line 1 is called \"lte\" too",
            ),
            (
                uplink(wan) + PEER + "uplinks = [\"sat\"]\n",
                "`uplinks`: no [[uplink]] is called \"sat\"",
            ),
            (uplink(wan).repeat(5), "more than 4 uplinks"),
        ] {
            let fault = parse(&text).unwrap_err();
            assert!(fault.contains(part), "{text}\n  gave: {fault}");
        }
    }

    #[test]
    fn further_addresses_and_fallbacks_are_checked() {
        let second = PEER.replace("\"b\"", "\"c\"");
        let config = parse(&format!(
            "{PEER}address = \"b.example\"\naddresses = [\"10.0.0.1\", \"[::1]:99\"]\n{second}address = \"c\"\nfallback_of = \"b\"\n"
        ))
        .unwrap();
        let addresses: Vec<&str> = config.peers[0].all_addresses().collect();
        assert_eq!(addresses, ["b.example:9001", "10.0.0.1:9001", "[::1]:99"]);
        assert_eq!(config.peers[1].fallback_of.as_deref(), Some("b"));
        assert_eq!(config.peers[1].fallback_seconds, 10);
        for (rest, part) in [
            (
                "addresses = [\"1\",\"2\",\"3\",\"4\",\"5\"]\n",
                ":4: `addresses`: has 5 entries; write 4 at most",
            ),
            (
                "addresses = [\"http://x\"]\n",
                "`addresses`: \"http://x\" has a scheme",
            ),
            (
                "address = \"x\"\nfallback_of = \"nobody\"\n",
                "`fallback_of`: no [[peer]] is called \"nobody\"",
            ),
            (
                "address = \"x\"\nfallback_of = \"b\"\n",
                "`fallback_of`: it is its own name",
            ),
            ("fallback_of = \"c\"\n", "`fallback_of`: it has no address"),
        ] {
            let fault = parse(&format!("{PEER}{rest}{second}")).unwrap_err();
            assert!(fault.contains(part), "{rest}\n  gave: {fault}");
        }
        let chain = format!(
            "{PEER}address = \"b\"\nfallback_of = \"c\"\n{second}address = \"c\"\nfallback_of = \"b\"\n"
        );
        let fault = parse(&chain).unwrap_err();
        assert!(fault.contains("\"c\" is a fallback itself"), "{fault}");
    }
}
