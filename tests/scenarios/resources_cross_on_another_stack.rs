//! Data packages and missions with federates that are no boxes: resource messages (protocol reference 3.2) from and to a
//! federate on Python's grpcio, dialled and accepted.

use std::time::Duration;

use serde_json::{Value, json};

use crate::data_packages_cross::{MIB, kept, noise, request, setup, stored};
use crate::federates_on_another_stack::own_id;
use crate::support::{
    Authority, Device, FOREIGN_ID, Foreign, QUIET, Registration, TomboloBox, eventually,
};
use tombolo::packages::Hash;

const OTHER_ID: &str = "e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1";

/// `create resource` as a TAK Server writes it, of a file whose bytes are all `seed`.
fn resource(filename: &str, size: usize, seed: u8) -> Value {
    let program = format!(
        "create resource\n{{\"filename\":\"{filename}\",\"keywords\":[\"missionpackage\"],\"mimeType\":\"application/zip\",\
         \"name\":\"{filename}\",\"submissionTime\":\"2026-11-21T22:00:00.5Z\",\"submitter\":\"FOX\",\"uid\":\"u-1\",\
         \"hash\":\"{{sha256}}\",\"size\":{{size}},\"creatorUid\":\"FOX-UID\",\"tool\":\"public\"}};"
    );
    json!({"do": "send_rol", "program": program, "size": size, "seed": seed})
}

fn announcement(filename: &str, hash: &Hash, size: usize) -> Value {
    let sender = r#"{\"callsigns\":[],\"uids\":[]}"#;
    let program = format!(
        "announce package\n{{\"type\":\"ResourceDetails\",\"sha256\":\"{hash}\",\"senderUid\":\"{sender}\",\
         \"name\":\"{filename}\",\"filename\":\"{filename}\",\"senderUrl\":\"\",\"tsStored\":1795298400005,\
         \"sizeInBytes\":{size},\"senderCallsign\":\"FOX\"}}\n;"
    );
    json!({"do": "send_rol", "program": program})
}

/// The ROL messages that came to it.
fn resources(foreign: &Foreign) -> Vec<Value> {
    let is_rol = |said: &Value| {
        said["report"] == "message"
            && (said["message"].get("program")).is_some_and(serde_json::Value::is_string)
    };
    let mut said = foreign.said();
    said.retain(is_rol);
    said.into_iter()
        .map(|said| said["message"].clone())
        .collect()
}

#[track_caller]
fn came(foreign: &Foreign, what: &str, begins: &str) -> Value {
    eventually(what, || {
        let begins =
            |rol: &&Value| (rol["program"].as_str()).is_some_and(|text| text.starts_with(begins));
        resources(foreign).iter().find(begins).cloned()
    })
}

/// Bytes and announcement in both orders to the box, and a package of the box to the other.
fn packages_cross(alpha: &TomboloBox, foreign: &mut Foreign, own: (&Hash, usize)) {
    let hawk = Device::plain(alpha.clients_tcp());
    let local = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(2);
    // Whom ours will be for.
    foreign.tell(
        &json!({"do": "send_contact", "operation": "CREATE", "uid": "FOX-UID", "callsign": "FOX"}),
    );
    let url = |hash: &Hash| {
        let port = alpha.api().port();
        format!(":{port}/Marti/sync/content?hash={hash}")
    };
    // The bytes first, 20 MiB of them.
    let size = 20 * MIB as usize;
    let hash = Hash::of(&vec![7; size]);
    foreign.tell(&resource("first.zip", size, 7));
    foreign.tell(&announcement("first.zip", &hash, size));
    let told = local.expect_uid(&hash.to_string());
    assert!(told.xml.contains(&url(&hash)), "{}", told.xml);
    assert!(told.xml.contains("first.zip"), "{}", told.xml);
    assert_eq!(kept(alpha, &hash).map(|bytes| Hash::of(&bytes)), Some(hash));
    // The announcement first.
    let hash = Hash::of(&vec![8; 5000]);
    foreign.tell(&announcement("second.zip", &hash, 5000));
    std::thread::sleep(QUIET);
    assert_eq!(
        local.count(&hash.to_string()),
        0,
        "told before its bytes are there"
    );
    foreign.tell(&resource("second.zip", 5000, 8));
    let told = local.expect_uid(&hash.to_string());
    assert!(told.xml.contains(&url(&hash)), "{}", told.xml);
    // A payload before its program, and a hash that lies.
    let hash = Hash::of(&vec![9; 70_000]);
    let mut odd = resource("third.zip", 70_000, 9);
    odd["payload_first"] = json!(true);
    foreign.tell(&odd);
    eventually("the third is kept", || kept(alpha, &hash));
    let mut liar = resource("liar.zip", 6000, 10);
    let text = liar["program"].as_str().expect("text");
    liar["program"] = json!(text.replace("{sha256}", &"ab".repeat(32)));
    foreign.tell(&liar);
    eventually("the lie is counted", || {
        (alpha.status().dropped_peer("foreign", "bad_resource") == 1).then_some(())
    });
    // Ours.
    let (own, size) = own;
    hawk.send(request("transfer-1", "own.zip", own, size, &["FOX"]));
    let bytes = came(foreign, "our package", "create resource");
    let (hash, length) = (&bytes["payload"][0]["sha256"], &bytes["payload"][0]["size"]);
    assert_eq!((hash, length), (&json!(own.to_string()), &json!(size)));
    assert_eq!(
        bytes["federateProvenance"][0]["federationServerId"],
        json!(own_id(alpha))
    );
    let text = bytes["program"].as_str().expect("text");
    for said in [
        "\"keywords\":",
        "\"mimeType\":\"application/zip\"",
        "\"submissionTime\":\"20",
    ] {
        assert!(text.contains(said), "{text}");
    }
    assert!(text.ends_with(';'), "{text}");
    let announced = came(foreign, "our announcement", "announce package");
    let text = announced["program"].as_str().expect("text");
    assert!(text.contains(&own.to_string()), "{text}");
    assert!(
        text.contains(r#""senderUid":"{\"callsigns\":[\"FOX\"],\"uids\":[]}""#),
        "{text}"
    );
    assert!(announced.get("payload").is_none());
    println!(
        "resident {} KiB, at most {} KiB",
        alpha.resident_kib(),
        alpha.peak_kib()
    );
}

#[test]
fn packages_cross_with_one_that_dials_us() {
    let (alpha_ca, foreign_ca) = (Authority::new("alpha-ca"), Authority::new("foreign-ca"));
    let (alpha_leaf, foreign_leaf) = (alpha_ca.issue("alpha"), foreign_ca.issue("foreign"));
    let alpha = setup("alpha", &alpha_ca).identity(&alpha_leaf);
    let bytes = noise(3 * MIB as usize, 11);
    let hash = stored(&alpha, "own.zip", &bytes);
    let alpha = alpha
        .peer(Registration::of("foreign", &foreign_leaf))
        .start();
    let health = ["--health-every", "1"];
    let mut foreign = Foreign::dial(alpha.federation(), &foreign_leaf, &alpha_leaf, &health);
    alpha.wait_peer("foreign");
    foreign.expect("its resource stream", |said| {
        said["report"] == "message" && said["method"] == "ServerROLStream"
    });
    packages_cross(&alpha, &mut foreign, (&hash, bytes.len()));
}

#[test]
fn packages_cross_with_one_that_we_dial() {
    let (alpha_ca, foreign_ca) = (Authority::new("alpha-ca"), Authority::new("foreign-ca"));
    let (alpha_leaf, foreign_leaf) = (alpha_ca.issue("alpha"), foreign_ca.issue("foreign"));
    let (mut foreign, address) = Foreign::listen(&foreign_leaf, &alpha_leaf, &[]);
    let alpha = setup("alpha", &alpha_ca).identity(&alpha_leaf);
    let bytes = noise(3 * MIB as usize, 12);
    let hash = stored(&alpha, "own.zip", &bytes);
    let alpha = (alpha.peer(Registration::of("foreign", &foreign_leaf).dial(address))).start();
    alpha.wait_peer("foreign");
    foreign.expect("our resource streams", |said| {
        said["report"] == "call" && said["method"] == "ServerROLStream"
    });
    packages_cross(&alpha, &mut foreign, (&hash, bytes.len()));
}

#[test]
fn a_mission_goes_from_one_to_the_other_and_leaves_a_trail() {
    let leaves =
        ["alpha", "foreign", "other"].map(|name| Authority::new(&format!("{name}-ca")).issue(name));
    let [alpha_leaf, foreign_leaf, other_leaf] = &leaves;
    let options = ["--id", OTHER_ID, "--name", "other"];
    let (other, address) = Foreign::listen(other_leaf, alpha_leaf, &options);
    let alpha = setup("alpha", &Authority::new("unused"))
        .identity(alpha_leaf)
        .peer(Registration::of("foreign", foreign_leaf))
        .peer(Registration::of("other", other_leaf).dial(address))
        .start();
    let health = ["--health-every", "1"];
    let mut foreign = Foreign::dial(alpha.federation(), foreign_leaf, alpha_leaf, &health);
    alpha.wait_peer("foreign");
    alpha.wait_peer("other");
    other.expect("our resource streams", |said| {
        said["report"] == "call" && said["method"] == "ServerROLStream"
    });
    foreign.expect("its resource stream", |said| {
        said["report"] == "message" && said["method"] == "ServerROLStream"
    });
    let program =
        "create mission\n{\"type\":\"MissionMetadata\",\"name\":\"ridge\",\"tool\":\"public\"}\n;";
    let mission = |program: &str, size: usize| {
        json!({
            "do": "send_rol", "program": program, "size": size, "federateProvenance": [FOREIGN_ID],
            "maxHops": -1, "currentHops": 1,
        })
    };
    foreign.tell(&mission(program, 1000));
    let came = came(&other, "the mission", "create mission");
    assert_eq!(came["program"], json!(program));
    assert_eq!(came["payload"][0]["size"], json!(1000));
    let trail: Vec<&Value> = (came["federateProvenance"].as_array().into_iter().flatten())
        .map(|one| &one["federationServerId"])
        .collect();
    assert_eq!(trail, [FOREIGN_ID, &own_id(&alpha)]);
    assert_eq!(
        came["federateHops"],
        json!({"maxHops": -1, "currentHops": 2})
    );
    // What has been there, may go no further, or is too long, stays here.
    let mut looped = mission("create mission {\"name\":\"looped\"};", 0);
    looped["federateProvenance"] = json!([FOREIGN_ID, OTHER_ID]);
    foreign.tell(&looped);
    let mut far = mission("create mission {\"name\":\"far\"};", 0);
    far["maxHops"] = json!(1);
    foreign.tell(&far);
    foreign.tell(&mission("update mission {\"name\":\"long\"};", 40_000));
    foreign.tell(&mission("delete mission {\"name\":\"last\"};", 0));
    let last = self::came(&other, "the last one", "delete mission");
    assert_eq!(
        last["program"],
        json!("delete mission {\"name\":\"last\"};")
    );
    assert_eq!(resources(&other).len(), 2, "{:?}", resources(&other));
    let status = alpha.status();
    assert_eq!(status.dropped_peer("other", "loop"), 1);
    assert_eq!(status.dropped_peer("other", "hop_limit"), 1);
    assert_eq!(status.dropped_peer("foreign", "resource_too_large"), 1);
    assert!(resources(&foreign).is_empty(), "nothing goes back");
    std::thread::sleep(Duration::from_millis(100));
}
