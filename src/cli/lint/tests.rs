use super::*;

fn remarks(name: &str, text: &str) -> Vec<String> {
    lint(text, Path::new(name))
        .iter()
        .map(|remark| line(remark).trim_end().to_owned())
        .collect()
}

fn toml(filter: &str) -> Vec<String> {
    let pin = "ab".repeat(32);
    remarks(
        "t.toml",
        &format!("[[peer]]\nname = \"bravo\"\nfingerprint = \"{pin}\"\n{filter}"),
    )
}

#[test]
fn warnings_have_file_line_peer_key_and_rule() {
    let said =
        toml("[peer.filter]\ncot_types = [\n\"a-f-\",\n\"t-x-m-c\",\n]\nblock_types = [\"b-\"]\n");
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(
        said[0].starts_with("t.toml:5: note: peer \"bravo\": allow_types: emergencies"),
        "{said:#?}"
    );
    assert!(
        said[1].starts_with(
            "t.toml:7: warning: peer \"bravo\": allow_types \"t-x-m-c\": it is a mission change"
        ),
        "{said:#?}"
    );
    assert!(
        said[2].starts_with(
            "t.toml:9: warning: peer \"bravo\": block_types \"b-\": `b-` is not a sensor feed"
        ),
        "{said:#?}"
    );
    assert!(toml("").is_empty() && toml("filter = \"tracks+chat+emergencies\"\n").is_empty());
}

#[test]
fn a_filter_without_effect_or_without_a_way_is_named() {
    let said = toml("filter = { block_types = [\"*\"] }\n");
    assert!(
        said.iter().any(|line| line.contains(
            "warning: peer \"bravo\": filter: the filter lets nothing but emergencies in"
        )),
        "{said:#?}"
    );
    let said = toml("incoming = false\nfilter = { block_types = [\"a-h\"], direction = \"in\" }\n");
    assert!(
        said[0].contains("note: peer \"bravo\": filter: incoming = false"),
        "{said:#?}"
    );
}

#[test]
fn what_cannot_be_used_is_an_error_with_its_place_once() {
    let said = toml("filter = { allow_typs = [] }\n");
    assert_eq!(
        said,
        [
            "t.toml:4: error: unknown key `allow_typs` in [peer.filter] — did you mean `allow_types`?"
        ]
    );
    let said = remarks(
        "f.json",
        "{\"version\":1,\n\"peers\":[{\"name\":\"x\",\"prt\":1}]}",
    );
    assert_eq!(
        said,
        ["f.json:2: error: peer \"x\": `prt`: unknown key; did you mean `port`?"]
    );
}

#[test]
fn a_federation_file_is_remarked_on_too() {
    let pin = "ab".repeat(32);
    let text = format!(
        "{{\"version\":1,\"peers\":[{{\"name\":\"x\",\"address\":\"h\",\"fingerprint\":\"{pin}\",\
         \"filters\":{{\"cot_types\":[\"a-f-\",\"t-x-m-c\"]}}}}]}}"
    );
    let said = remarks("federation.json", &text);
    assert!(
        said.iter().any(|line| line
            .starts_with("federation.json: warning: peer \"x\": allow_types \"t-x-m-c\"")),
        "{said:#?}"
    );
}

#[test]
fn shapes_of_documents_that_no_server_reads_are_recognised() {
    let server = "<?xml version=\"1.0\"?>\n<FederationServer><Federation/></FederationServer>";
    assert!(
        remarks("federation-server.xml", server)[0]
            .contains("no TAK Server reads a file of this shape")
    );
    let core = "<network><federation port=\"9000\" v1Enabled=\"true\" useV2=\"true\"/></network>";
    assert!(remarks("CoreConfig.xml", core)[0].contains("no such attributes"));
}

#[test]
fn groups_that_no_network_has_are_named() {
    let said = toml("inbound_groups = [\"Blue\"]\noutbound_groups = [\"Blue\", \"__ANON__\"]\n");
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(
        said[0]
            .starts_with("t.toml: warning: peer \"bravo\": inbound_groups: no network of this box"),
        "{said:#?}"
    );
}

#[test]
fn meshes_have_filters_too() {
    let said = remarks(
        "t.toml",
        "[[mesh]]\nname = \"lan\"\ninterface = \"eth0\"\nfilter = { block_types = [\"b-\"] }\n",
    );
    assert!(
        said[0].starts_with("t.toml:4: warning: mesh \"lan\": block_types \"b-\""),
        "{said:#?}"
    );
}
