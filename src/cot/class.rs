//! What an event means to those who wait for it.

/// Traffic classes, most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Emergencies and their cancellation, CASEVAC. Nothing may delay them, deletes and contacts included.
    Emergency,
    /// Deletes, contacts, pings.
    Control,
    /// Chat and anything addressed to somebody.
    Chat,
    /// Positions.
    Track,
    /// Everything else: markers, drawings, routes, files.
    Bulk,
}

impl Class {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// All of them, most important first.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Emergency,
        Self::Control,
        Self::Chat,
        Self::Track,
        Self::Bulk,
    ];

    /// The class of a CoT type; whoever addresses an event to somebody lifts it to [`Class::Chat`] at least.
    pub fn of(kind: &[u8], directed: bool) -> Self {
        let class = match kind {
            _ if is_emergency(kind) => Self::Emergency,
            [b't', b'-', ..] => Self::Control,
            _ if starts(kind, b"b-t-f") => Self::Chat,
            [b'a', b'-', ..] => Self::Track,
            _ => Self::Bulk,
        };
        if directed {
            class.min(Self::Chat)
        } else {
            class
        }
    }
}

/// 911, ring the bell, in contact and their cancellation (`b-a-*`), and CASEVAC (`b-r-f-h-c`).
pub fn is_emergency(kind: &[u8]) -> bool {
    starts(kind, b"b-a") || starts(kind, b"b-r-f-h-c")
}

/// The end of an emergency: its uid is that of the emergency (protocol reference 6.7).
pub fn is_cancellation(kind: &[u8]) -> bool {
    kind == b"b-a-o-can"
}

/// Whether a newer event of the same uid makes an older one worthless: positions, map markers and drawings.
pub fn is_replaceable(kind: &[u8]) -> bool {
    matches!(kind, [b'a' | b'u', b'-', ..]) || starts(kind, b"b-m")
}

/// Messages that the server they are sent to consumes, and never passes on (protocol reference 1.10).
pub fn is_for_server(kind: &[u8]) -> bool {
    starts(kind, b"t-x-c")
        || starts(kind, b"t-x-takp")
        || starts(kind, b"t-b")
        || starts(kind, b"t-x-tombolo")
}

/// Mission changes, which never cross federation as events (protocol reference 1.10).
pub fn is_mission_change(kind: &[u8]) -> bool {
    starts(kind, b"t-x-m")
}

/// A request to fetch a file or data package (protocol reference 6.8).
pub const FILE_REQUEST: &[u8] = b"b-f-t-r";

/// Whether it is a request to fetch a file or data package.
#[inline(always)]
pub fn is_file_request(kind: &[u8]) -> bool {
    kind == FILE_REQUEST
}

/// A client's ping (protocol reference 6.1).
pub const PING: &[u8] = b"t-x-c-t";

/// A delete or a disconnect.
pub const DELETE: &[u8] = b"t-x-d-d";

/// Whether a type is `prefix` or stands below it.
fn starts(kind: &[u8], prefix: &[u8]) -> bool {
    kind.strip_prefix(prefix)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_class() {
        for (kind, class) in [
            ("b-a-o-tbl", Class::Emergency),
            ("b-a-o-can", Class::Emergency),
            ("b-r-f-h-c", Class::Emergency),
            ("t-x-d-d", Class::Control),
            ("b-t-f", Class::Chat),
            ("b-t-f-d", Class::Chat),
            ("a-f-G-U-C", Class::Track),
            ("a-h-A", Class::Track),
            ("b-m-p-s-m", Class::Bulk),
            ("u-d-f", Class::Bulk),
            ("b-f-t-r", Class::Bulk),
            ("bogus", Class::Bulk),
        ] {
            assert_eq!(Class::of(kind.as_bytes(), false), class, "{kind}");
        }
        assert_eq!(Class::of(b"b-f-t-r", true), Class::Chat);
        assert_eq!(Class::of(b"b-a-o-tbl", true), Class::Emergency);
        assert_eq!(Class::of(b"a-f-G", true), Class::Chat);
    }

    #[test]
    fn prefixes_end_at_a_hyphen() {
        assert!(is_for_server(b"t-x-c-t") && is_for_server(b"t-x-takp-q") && is_for_server(b"t-b"));
        assert!(!is_for_server(b"t-x-d-d") && !is_for_server(b"t-bogus"));
        assert!(is_mission_change(b"t-x-m-c-l") && !is_mission_change(b"t-x-d-d"));
        assert!(
            is_replaceable(b"u-d-f") && is_replaceable(b"b-m-p-s-m") && !is_replaceable(b"b-t-f")
        );
    }
}
