use std::path::Path;

use super::*;
use crate::config::Config;

fn peer(rest: &str) -> String {
    let pin = format!("SHA256:{}", "AB".repeat(32));
    format!("[[peer]]\nname = \"bravo\"\nfingerprint = \"{pin}\"\n{rest}")
}

fn filters(rest: &str) -> Filters {
    let config = Config::parse(&peer(rest), Path::new("/etc/tombolo"));
    config.unwrap().peers.remove(0).filters
}

fn fault(rest: &str) -> String {
    let config = Config::parse(&peer(rest), Path::new("/etc/tombolo"));
    config.unwrap_err().to_string()
}

#[test]
fn every_shape_of_the_documents_is_read() {
    let types = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let seed = filters("filters = { cot_types = [\"a-f-\", \"a-n-\", \"t-x-m-c\"] }\n");
    assert_eq!(
        seed.outgoing.as_ref().unwrap().allow_types,
        types(&["a-f-", "a-n-", "t-x-m-c"])
    );
    assert_eq!(seed.incoming, seed.outgoing);
    let planned = filters(
        "federation_filter = { allow_types = [\"a-f-G\", \"b-m-p\", \"t-x\"], block_types = [\"a-h\"] }\n",
    );
    assert_eq!(planned.incoming.unwrap().block_types, types(&["a-h"]));
    let table = filters("[peer.filter]\nblock_types = \"a-h\"\ndirection = \"out\"\n");
    assert_eq!(table.incoming, None);
    assert_eq!(table.outgoing.unwrap().block_types, types(&["a-h"]));
    let both = filters(
        "[[peer.filter]]\ndirection = \"in\"\npreset = \"tracks\"\n\
         [[peer.filter]]\ndirection = \"out\"\nblock_callsigns = [\"TEST*\"]\n",
    );
    assert_eq!(both.incoming.unwrap().preset.unwrap().to_string(), "tracks");
    let out = both.outgoing.unwrap();
    assert_eq!((out.preset, out.block_callsigns), (None, types(&["TEST*"])));
}

#[test]
fn a_filter_without_a_rule_is_the_default_preset_and_no_filter_is_none() {
    assert!(filters("").is_empty());
    for short in ["[peer.filter]\n", "filter = \"tracks+chat+emergencies\"\n"] {
        let read = filters(short);
        assert_eq!(
            read.outgoing.as_ref().unwrap().preset,
            Some(Preset::default())
        );
        assert_eq!(read.incoming, read.outgoing);
    }
    let read = filters("filter = { allow_callsigns = [\"ALPHA*\"] }\n");
    assert_eq!(read.incoming.unwrap().preset, None);
}

#[test]
fn each_fault_names_line_key_and_cure() {
    for (rest, parts) in [
        (
            "[peer.filter]\nallow_typs = [\"a\"]\n",
            ":5: unknown key `allow_typs` in [peer.filter] — did you mean `allow_types`?",
        ),
        (
            "filter = { groups = [\"Blue\"] }\n",
            ":4: unknown key `groups` in [peer.filter]",
        ),
        (
            "[peer.filter]\n\nallow_types = [\"a-f\", \"a-*-G\"]\n",
            ":6: `allow_types`: \"a-*-G\" has a * that does not stand at its end; write the beginning",
        ),
        (
            "[peer.filter]\nblock_types = [\"\"]\n",
            ":5: `block_types`: \"\" names no type",
        ),
        (
            "[peer.filter]\nblock_types = [\"friendly tanks\"]\n",
            "has a character that no CoT type has",
        ),
        (
            "[peer.filter]\nblock_types = 5\n",
            ":5: `block_types`: 5 is a number; write a list of types",
        ),
        (
            "[peer.filter]\nallow_callsigns = [\" \"]\n",
            ":5: `allow_callsigns`: \" \" is empty; write a callsign",
        ),
        (
            "[peer.filter]\npreset = \"tracks+weather\"\n",
            ":5: `preset`: \"tracks+weather\" has a part that is not known, \"weather\"; write tracks",
        ),
        (
            "filter = \"all\"\n",
            ":4: `filter`: \"all\" has a part that is not known",
        ),
        (
            "[peer.filter]\ndirection = \"up\"\n",
            ":5: `direction`: \"up\" is no direction; write \"in\", \"out\" or \"both\"",
        ),
        (
            "filter = [{ direction = \"in\" }, { block_types = [\"a-h\"] }]\n",
            "two filters for direction \"in\"",
        ),
        ("filter = 5\n", ":4: `filter`: 5 is a number; write a table"),
    ] {
        let fault = fault(rest);
        assert!(
            fault.contains(parts),
            "{rest}\n  gave: {fault}\n  not: {parts}"
        );
    }
}

#[test]
fn the_rules_of_all_neighbours_together_are_bounded() {
    let rest =
        "[peer.filter]\nblock_types = [\"a\", \"b\", \"c\"]\n[limits]\nmax_filter_rules = 5\n";
    let fault = fault(rest);
    assert!(
        fault.contains("`filter`: with it there are 6 rules, and max_filter_rules is 5"),
        "{fault}"
    );
    assert!(
        fault.contains("raise max_filter_rules in [limits]"),
        "{fault}"
    );
    let many: Vec<String> = (0..251).map(|n| format!("\"a-{n}\"")).collect();
    let rest = format!(
        "filter = {{ block_types = [{}] }}\n[limits]\nmax_filter_rules = 1000\n",
        many.join(",")
    );
    assert!(self::fault(&rest).contains("has 251 rules; write 250 at most"));
}

#[test]
fn one_type_is_written_in_several_ways() {
    for text in ["a-f", "a-f-", "a-f-*", "a-f*"] {
        assert_eq!(type_prefix(text), Ok("a-f"), "{text}");
    }
    assert_eq!(type_prefix("*"), Ok(""));
    for text in ["", "-", "a-*-G", "a b", "a/b", "é"] {
        assert!(type_prefix(text).is_err(), "{text}");
    }
}

#[test]
fn presets_show_as_they_are_read() {
    for text in ["tracks+chat+emergencies", "everything", "markers"] {
        assert_eq!(Preset::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Preset::parse("chat + chat").unwrap().to_string(), "chat");
    assert!(Preset::parse("").is_err());
}
