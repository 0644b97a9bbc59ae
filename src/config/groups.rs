//! Groups of a `[[peer]]`: which it gives and takes, and what its names mean here (protocol reference 1.5, 1.6).

use toml::Spanned;

use super::error::ConfigError;
use super::raw::RawPeer;
use super::reader::Reader;

/// Longest name of a group, bytes.
const LONGEST: usize = 64;
/// Entries of `inbound_group_mapping`.
const MOST_MAPPED: usize = 16;
/// Most hops that can be asked for.
const MOST_HOPS: u32 = 254;

/// The groups of one federate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerGroups {
    /// What it sends is put into these; none = all.
    pub inbound: Option<Vec<String>>,
    /// It gets what is in one of these; none = all.
    pub outbound: Option<Vec<String>>,
    /// Names of groups are told to it, and its own count (`federatedGroupMapping` of a TAK Server).
    pub mapping: bool,
    /// Its names and ours.
    pub inbound_mapping: Vec<(String, String)>,
    /// Its names are ours when it is of the same CA.
    pub automatic: bool,
    /// What has no name that is known here is put into `inbound`; else into none.
    pub fallback: bool,
    /// How many hops our events may go from here, 1 to 254; none = without limit.
    pub max_hops: Option<u32>,
    /// The same by group; none = without limit.
    pub hop_limits: Vec<(String, Option<u32>)>,
}

/// What is wrong with the name of a group, if anything.
pub(super) fn group_fault(name: &str) -> Option<&'static str> {
    match name {
        _ if name.is_empty() => Some("is empty"),
        _ if name.len() > LONGEST => Some("is longer than 64 bytes"),
        _ if name.chars().any(char::is_control) => Some("holds a control character"),
        _ if name.trim() != name => Some("begins or ends with a space"),
        _ => None,
    }
}

impl Reader<'_> {
    /// Names of groups as they are listed; none when the key is not there.
    pub(super) fn group_names(
        &self,
        key: &'static str,
        written: &Option<Spanned<Vec<String>>>,
    ) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(written) = written else {
            return Ok(None);
        };
        for name in written.get_ref() {
            self.group_name(key, written, name)?;
        }
        Ok(Some(written.get_ref().clone()))
    }

    fn group_name<T>(
        &self,
        key: &'static str,
        at: &Spanned<T>,
        name: &str,
    ) -> Result<(), ConfigError> {
        match group_fault(name) {
            None => Ok(()),
            Some(fault) => Err(self.bad(
                at,
                key,
                format!("{name:?} {fault}"),
                "write the group exactly as the TAK server spells it, capitals too",
            )),
        }
    }

    pub(super) fn peer_groups(&self, raw: &RawPeer) -> Result<PeerGroups, ConfigError> {
        let groups = PeerGroups {
            inbound: self.group_names("inbound_groups", &raw.inbound_groups)?,
            outbound: self.group_names("outbound_groups", &raw.outbound_groups)?,
            mapping: raw.group_mapping.as_ref().is_some_and(|on| *on.get_ref()),
            inbound_mapping: match &raw.inbound_group_mapping {
                Some(written) => self.mapped(written)?,
                None => Vec::new(),
            },
            automatic: raw.automatic_group_mapping.unwrap_or(false),
            fallback: raw.fallback_when_no_group_mappings.unwrap_or(false),
            max_hops: match &raw.max_hops {
                Some(hops) => Some(self.uplink_number("max_hops", hops, 1..=MOST_HOPS)?),
                None => None,
            },
            hop_limits: match &raw.outbound_group_hop_limits {
                Some(written) => self.hop_limits(written)?,
                None => Vec::new(),
            },
        };
        let takes = raw.incoming.unwrap_or(true);
        let nothing =
            groups.inbound_mapping.is_empty() && !groups.automatic && !groups.fallback && takes;
        match &raw.group_mapping {
            Some(written) if groups.mapping && nothing => Err(self.bad(
                written,
                "group_mapping",
                "no name of a group of this peer is known here, so nothing of it would be taken",
                "add inbound_group_mapping = [\"remote:local\"], automatic_group_mapping = true or \
                 fallback_when_no_group_mappings = true",
            )),
            _ => Ok(groups),
        }
    }

    /// `remote:local`; a third part is ignored, as a TAK Server does.
    fn mapped(&self, written: &Spanned<Vec<String>>) -> Result<Vec<(String, String)>, ConfigError> {
        const KEY: &str = "inbound_group_mapping";
        if written.get_ref().len() > MOST_MAPPED {
            let fault = format!("has more than {MOST_MAPPED} entries");
            let cure = "leave those out that no neighbour of this box needs";
            return Err(self.bad(written, KEY, fault, cure));
        }
        let one = |text: &String| {
            let mut parts = text
                .splitn(3, ':')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            let (Some(theirs), Some(ours)) = (parts.next(), parts.next()) else {
                return Err(self.bad(
                    written,
                    KEY,
                    format!("{text:?} is no pair of groups"),
                    "write \"remote:local\": the group's name at the peer, and here",
                ));
            };
            for name in [theirs, ours] {
                self.group_name(KEY, written, name)?;
            }
            Ok((theirs.to_owned(), ours.to_owned()))
        };
        written.get_ref().iter().map(one).collect()
    }

    fn hop_limits(
        &self,
        written: &Spanned<Vec<String>>,
    ) -> Result<Vec<(String, Option<u32>)>, ConfigError> {
        const KEY: &str = "outbound_group_hop_limits";
        let one = |text: &String| {
            let (name, hops) = text.rsplit_once(':').unwrap_or((text, ""));
            let hops = match hops.trim().parse() {
                Ok(-1) => None,
                Ok(hops @ 1..=254) => Some(hops as u32),
                _ => {
                    return Err(self.bad(
                        written,
                        KEY,
                        format!("{text:?} is no group with a number of hops"),
                        "write such as \"Blue:2\": the group, and 1 to 254 hops; -1 = without limit",
                    ));
                }
            };
            self.group_name(KEY, written, name.trim())?;
            Ok((name.trim().to_owned(), hops))
        };
        let limits: Vec<(String, Option<u32>)> = written
            .get_ref()
            .iter()
            .map(one)
            .collect::<Result<_, _>>()?;
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/tombolo")).map_err(|error| error.to_string())
    }

    fn peer(rest: &str) -> String {
        let pin = "ab".repeat(32);
        format!("[[peer]]\nname = \"b\"\nfingerprint = \"{pin}\"\n{rest}")
    }

    #[test]
    fn all_keys_of_a_peers_groups_are_read() {
        let text = peer(
            "inbound_groups = [\"Blue\"]\noutbound_groups = []\ngroup_mapping = true\n\
             inbound_group_mapping = [\" Rot : Red \", \"x:Blue:ignored\"]\n\
             automatic_group_mapping = true\nfallback_when_no_group_mappings = true\nmax_hops = 3\n\
             outbound_group_hop_limits = [\"Blue:2\", \"a:b:-1\"]\n",
        );
        let config = parse(&text).unwrap();
        let groups = &config.peers[0].groups;
        assert_eq!(groups.inbound, Some(vec!["Blue".into()]));
        assert_eq!(groups.outbound, Some(vec![]));
        assert_eq!(
            groups.inbound_mapping,
            [
                ("Rot".to_owned(), "Red".to_owned()),
                ("x".into(), "Blue".into())
            ]
        );
        assert!(groups.mapping && groups.automatic && groups.fallback);
        assert_eq!(groups.max_hops, Some(3));
        assert_eq!(
            groups.hop_limits,
            [("Blue".to_owned(), Some(2)), ("a:b".into(), None)]
        );
        assert_eq!(config.group_names(), ["__ANON__", "Blue", "Red", "a:b"]);
        let silent = &parse(&peer("")).unwrap().peers[0].groups;
        assert_eq!(*silent, super::PeerGroups::default());
    }

    #[test]
    fn what_cannot_be_meant_is_explained() {
        for (rest, words) in [
            (
                "inbound_groups = [\"\"]\n",
                "`inbound_groups`: \"\" is empty",
            ),
            (
                "outbound_groups = [\" Blue\"]\n",
                "begins or ends with a space; write the group exactly",
            ),
            (
                "inbound_group_mapping = [\"Blue\"]\n",
                "\"Blue\" is no pair of groups; write \"remote:local\"",
            ),
            ("inbound_group_mapping = [\":Blue\"]\n", "no pair"),
            (
                "max_hops = 0\n",
                "`max_hops` = 0 is out of range; write 1 to 254",
            ),
            (
                "outbound_group_hop_limits = [\"Blue\"]\n",
                "write such as \"Blue:2\"",
            ),
            (
                "outbound_group_hop_limits = [\"Blue:0\"]\n",
                "1 to 254 hops",
            ),
            (
                "group_mapping = true\n",
                "`group_mapping`: no name of a group of this peer is known here",
            ),
            (
                "inbound_groups = \"Blue\"\n",
                "write a list of groups such as [\"Blue\", \"Command\"]",
            ),
        ] {
            let fault = parse(&peer(rest)).unwrap_err();
            assert!(fault.contains(words), "{rest}: {fault}");
            assert!(fault.starts_with("/etc/tombolo/tombolo.toml:"), "{fault}");
        }
        // Nothing is to come in at all: then nothing needs a meaning.
        assert!(parse(&peer("group_mapping = true\nincoming = false\n")).is_ok());
    }

    #[test]
    fn more_groups_than_there_are_places_for_are_refused() {
        let names: Vec<String> = (0..20).map(|n| format!("\"g{n}\"")).collect();
        let list = format!("outbound_groups = [{}]\n", names.join(", "));
        let fault = parse(&peer(&list)).unwrap_err();
        assert!(
            fault.contains("21 groups are named, and 16 can be told apart; \"g15\""),
            "{fault}"
        );
        let roomy = format!("[limits]\nmax_groups = 21\n{}", peer(&list));
        assert_eq!(parse(&roomy).unwrap().group_names().len(), 21);
    }
}
