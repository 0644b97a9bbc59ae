//! What a mesh must know of an event that it hears or says, in either form.

use std::net::Ipv4Addr;

use super::company::{Company, Endpoint};
use crate::config::MeshForm;
use crate::cot::content;
use crate::wire::tak;
use crate::wire::text;
use crate::wire::xml::{self, Named, destinations};

/// An event at a glance.
#[derive(Debug, Default)]
pub struct Glance {
    /// What it says.
    pub content: u64,
    /// It belongs where chat is said.
    pub chat: bool,
    /// Where those it is addressed to listen.
    pub endpoints: Vec<Endpoint>,
}

/// Chat, and what is said of it.
fn is_chat(kind: &[u8]) -> bool {
    kind.starts_with(b"b-t-f")
}

/// A glance at an event that is to be said; none if it cannot be read, which nothing is that comes from the router.
pub fn at_ours(
    event: &[u8],
    form: MeshForm,
    company: &Company,
    (seed, now_ms): (u64, u64),
) -> Option<Glance> {
    let mut glance = Glance::default();
    let marti = match form {
        MeshForm::Xml => {
            let event = xml::parse(event).ok()?;
            glance.content = content::of_xml(seed, &event);
            glance.chat = is_chat(event.kind);
            event.detail.map_or(&b""[..], |detail| detail.marti.bytes)
        }
        MeshForm::Protobuf => {
            let event = tak::parse(event).ok()?.event?;
            glance.content = content::of_tak(seed, &event);
            glance.chat = is_chat(event.kind);
            // `<marti>` has no field of its own there.
            event.detail.map_or(&b""[..], |detail| marti_in(detail.xml))
        }
    };
    let mut name = Vec::new();
    for dest in destinations(marti) {
        name.clear();
        text::write_unescaped(&mut name, dest.value);
        let endpoint = match dest.named {
            Named::Uid => company.of_uid(&name, now_ms),
            Named::Callsign => company.of_callsign(&name, now_ms),
            Named::Mission | Named::Other => None,
        };
        if let Some(endpoint) = endpoint.filter(|endpoint| !glance.endpoints.contains(endpoint)) {
            glance.endpoints.push(endpoint);
        }
    }
    Some(glance)
}

/// What an event in XML says that came from `from`; who says where he is, is noted. None if it cannot be read.
pub fn at_xml(
    event: &[u8],
    from: Ipv4Addr,
    company: &mut Company,
    (seed, now_ms): (u64, u64),
) -> Option<u64> {
    let event = xml::parse(event).ok()?;
    let contact = event.detail.unwrap_or_default().contact;
    if let Some(callsign) = contact.first()
        && event.kind.starts_with(b"a-")
    {
        let (mut uid, mut meant) = (Vec::new(), Vec::new());
        text::write_unescaped(&mut uid, event.uid);
        text::write_unescaped(&mut meant, callsign);
        let endpoint = (contact.second()).and_then(|text| Endpoint::read(text, from));
        company.heard((&uid, &meant), endpoint, now_ms);
    }
    Some(content::of_xml(seed, &event))
}

/// The same of a `TakMessage`.
pub fn at_tak(
    message: &[u8],
    from: Ipv4Addr,
    company: &mut Company,
    (seed, now_ms): (u64, u64),
) -> Option<u64> {
    let event = tak::parse(message).ok()?.event?;
    let contact = event.detail.unwrap_or_default().contact;
    if let Some([callsign, endpoint]) = contact
        && event.kind.starts_with(b"a-")
    {
        let endpoint = Endpoint::read(endpoint, from);
        company.heard((event.uid, callsign), endpoint, now_ms);
    }
    Some(content::of_tak(seed, &event))
}

/// From `<marti` on: what reads it looks for `<dest` alone, so what stands behind it must end there.
fn marti_in(children: &[u8]) -> &[u8] {
    let Some(at) = memchr::memmem::find(children, b"<marti") else {
        return &[];
    };
    let marti = &children[at..];
    let end = memchr::memmem::find(marti, b"</marti").unwrap_or(marti.len());
    &marti[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

    fn event(kind: &str, detail: &str) -> Vec<u8> {
        format!(
            "<event version='2.0' uid='R&amp;B' type='{kind}' how='m-g' time='2026-01-01T00:00:00Z' \
             start='2026-01-01T00:00:00Z' stale='2026-01-01T00:01:00Z'><point lat='1' lon='2' hae='3' ce='4' le='5'/>\
             <detail>{detail}</detail></event>"
        )
        .into_bytes()
    }

    #[test]
    fn who_was_heard_is_written_to_where_he_listens() {
        let mut company = Company::new(1);
        let position = event(
            "a-f-G",
            "<contact callsign='A &lt; B' endpoint='10.0.0.7:4242:udp'/>",
        );
        let said = at_xml(&position, FROM, &mut company, (7, 0)).unwrap();
        let ours = |bytes: &[u8]| at_ours(bytes, MeshForm::Xml, &company, (7, 1)).unwrap();
        assert_eq!(ours(&position).content, said);
        assert!(!ours(&position).chat && ours(&position).endpoints.is_empty());
        let chat = event(
            "b-t-f",
            "<marti><dest callsign='A &lt; B'/><dest uid='R&amp;B'/><dest uid='x'/></marti>",
        );
        let glance = ours(&chat);
        assert!(glance.chat);
        assert_eq!(glance.endpoints.len(), 1);
        assert_eq!(glance.endpoints[0].address.to_string(), "10.0.0.7:4242");
        // From somewhere else he is not believed, and forgotten.
        at_xml(&position, Ipv4Addr::LOCALHOST, &mut company, (7, 2));
        let glance = at_ours(&chat, MeshForm::Xml, &company, (7, 3)).unwrap();
        assert!(glance.endpoints.is_empty());
    }

    #[test]
    fn marti_is_found_among_other_children() {
        let children =
            b"<remarks/><marti><dest uid='a'/></marti><link uid='b'/><x><dest uid='c'/></x>";
        let found: Vec<_> = destinations(marti_in(children))
            .map(|dest| dest.value)
            .collect();
        assert_eq!(found, [b"a"]);
        assert_eq!(marti_in(b"<remarks/>"), b"");
    }
}
