//! Whom a chat from a TAK server is for, when the server has taken the `<marti>` out.
//!
//! TAK Server moves destinations into its own routing and delivers without them (protocol reference 6.7). What is left
//! says it too: `<__chat>` or `<__chatreceipt>` names the room, and its `<chatgrp>` the members, the sender first. A
//! private word must not become one for everybody only because it came through such a server.

use memchr::memmem;

/// Members of a chat group that are looked at.
const MOST: usize = 64;

/// The chat with its addressees in a `<marti>`, when it is a private one and has none; else nothing.
pub fn addressed(xml: &[u8]) -> Option<Vec<u8>> {
    if !is_chat(xml) || memmem::find(xml, b"<marti").is_some() {
        return None;
    }
    let chat = tag(xml, b"<__chat")?;
    let for_all = |name: &[u8]| {
        attribute(chat, name)
            .is_some_and(|value| matches!(value, b"All Chat Rooms" | b"All Streaming"))
    };
    // A team's word is for all who are of the team, and each device knows whether it is.
    let for_team = attribute(chat, b"parent") == Some(b"TeamGroups");
    if for_team || for_all(b"chatroom") || for_all(b"id") {
        return None;
    }
    let end = memmem::rfind(xml, b"</detail>")?;
    let mut out = Vec::with_capacity(xml.len() + 128);
    out.extend_from_slice(&xml[..end]);
    out.extend_from_slice(b"<marti>");
    let group = tag(xml, b"<chatgrp");
    let members =
        (1..=MOST).map_while(|number| attribute(group?, format!("uid{number}").as_bytes()));
    let mut count = 0;
    for member in members {
        put(&mut out, member);
        count += 1;
    }
    if count == 0 {
        put(&mut out, attribute(chat, b"id")?);
    }
    out.extend_from_slice(b"</marti>");
    out.extend_from_slice(&xml[end..]);
    Some(out)
}

fn is_chat(xml: &[u8]) -> bool {
    [&b"type=\"b-t-f"[..], b"type='b-t-f"]
        .iter()
        .any(|mark| memmem::find(xml, mark).is_some())
}

fn put(out: &mut Vec<u8>, raw: &[u8]) {
    out.extend_from_slice(b"<dest uid=\"");
    for part in raw.split_inclusive(|&byte| byte == b'"') {
        match part.split_last() {
            Some((b'"', before)) => {
                out.extend_from_slice(before);
                out.extend_from_slice(b"&quot;");
            }
            _ => out.extend_from_slice(part),
        }
    }
    out.extend_from_slice(b"\"/>");
}

/// The first tag whose name begins so, from behind that beginning to its `>`.
fn tag<'a>(xml: &'a [u8], begin: &[u8]) -> Option<&'a [u8]> {
    let from = memmem::find(xml, begin)? + begin.len();
    let rest = &xml[from..];
    let mut quote = None;
    for (at, &byte) in rest.iter().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(&rest[..at]),
            (Some(open), byte) if byte == open => quote = None,
            _ => {}
        }
    }
    None
}

/// The raw value of an attribute.
fn attribute<'a>(mut tag: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    loop {
        let equals = memchr::memchr(b'=', tag)?;
        let name = tag[..equals].trim_ascii();
        let name = name.rsplit(u8::is_ascii_whitespace).next()?;
        let rest = tag[equals + 1..].trim_ascii_start();
        let (&quote, rest) = rest
            .split_first()
            .filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
        let end = memchr::memchr(quote, rest)?;
        if name == wanted {
            return Some(&rest[..end]);
        }
        tag = &rest[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chat(kind: &str, inner: &str) -> String {
        format!("<event uid=\"c\" type=\"{kind}\"><point/><detail>{inner}</detail></event>")
    }

    fn to(kind: &str, inner: &str) -> Option<String> {
        addressed(chat(kind, inner).as_bytes()).map(|xml| String::from_utf8(xml).unwrap())
    }

    #[test]
    fn a_private_word_and_its_receipt_are_for_their_addressee() {
        let inner = "<__chat parent=\"RootContactGroup\" chatroom=\"HAWK\" id='ANDROID-2' senderCallsign=\"OTTER\">\
                     <chatgrp uid0=\"ANDROID-1\" uid1=\"ANDROID-2\" id=\"ANDROID-2\"/></__chat>";
        assert_eq!(
            to("b-t-f", inner),
            Some(chat(
                "b-t-f",
                &format!("{inner}<marti><dest uid=\"ANDROID-2\"/></marti>")
            ))
        );
        let receipt = inner.replace("__chat", "__chatreceipt");
        assert!(
            to("b-t-f-d", &receipt)
                .unwrap()
                .contains("<dest uid=\"ANDROID-2\"/></marti>")
        );
        let three = inner.replace("uid1=\"ANDROID-2\"", "uid1='A\"2' uid2=\"B\"");
        assert!(
            to("b-t-f", &three)
                .unwrap()
                .contains("<marti><dest uid=\"A&quot;2\"/><dest uid=\"B\"/></marti>")
        );
        let no_group = "<__chat chatroom=\"HAWK\" id=\"ANDROID-2\"/>";
        assert!(
            to("b-t-f", no_group)
                .unwrap()
                .contains("<dest uid=\"ANDROID-2\"/>")
        );
    }

    #[test]
    fn what_is_for_all_or_says_whom_it_is_for_is_left_alone() {
        let room = "<__chat chatroom=\"All Chat Rooms\" id=\"All Chat Rooms\"><chatgrp uid0=\"a\" uid1=\"All Chat Rooms\"/></__chat>";
        let team = "<__chat parent=\"TeamGroups\" chatroom=\"Cyan\" id=\"Cyan\"><chatgrp uid0=\"a\" uid1=\"Cyan\"/></__chat>";
        let named = "<__chat chatroom=\"HAWK\" id=\"x\"/><marti><dest callsign=\"HAWK\"/></marti>";
        for inner in [room, team, named, "<remarks/>"] {
            assert_eq!(to("b-t-f", inner), None, "{inner}");
        }
        assert_eq!(to("a-f-G", "<__chat chatroom=\"HAWK\" id=\"x\"/>"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(inner in "[<>_a-z=\"' /]{0,40}(<__chat [a-z=\"' ]{0,20}>)?[<>_a-z=\"' /]{0,40}") {
            let _ = to("b-t-f", &inner);
        }
    }
}
