//! Data packages by HTTPS: a device uploads and another one fetches, and between boxes of federation version 1. And
//! those that are refused.

use std::fs;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use tombolo::packages::Hash;

use crate::data_packages_cross::{MIB, boxes, ended, kept, latencies, noise, p99, request, stored};
use crate::support::{Device, Leaf, TomboloBox, eventually, joined, track};

/// Runs curl as a device with that certificate; gives the status and what came.
fn curl(leaf: &Leaf, url: &str, more: &[&str]) -> (String, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key, out) = (
        folder.path().join("chain.pem"),
        folder.path().join("key.pem"),
        folder.path().join("out"),
    );
    fs::write(&certificate, &leaf.chain_pem).expect("written");
    fs::write(&key, &leaf.key_pem).expect("written");
    let output = Command::new("curl")
        .args([
            "-s",
            "-S",
            "-k",
            "-m",
            "120",
            "-w",
            "%{http_code}",
            "--cert",
        ])
        .arg(&certificate)
        .arg("--key")
        .arg(&key)
        .arg("-o")
        .arg(&out)
        .args(more)
        .arg(url)
        .output()
        .expect("curl (scripts/test installs it)");
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    (status, fs::read(&out).unwrap_or_default())
}

fn upload(at: &TomboloBox, leaf: &Leaf, filename: &str, bytes: &[u8]) -> Hash {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(filename);
    fs::write(&file, bytes).expect("written");
    let hash = Hash::of(bytes);
    let url = format!(
        "https://{}/Marti/sync/missionupload?hash={hash}&filename={filename}&creatorUid=HAWK-UID",
        at.api()
    );
    let form = format!("assetfile=@{}", file.display());
    let (status, body) = curl(leaf, &url, &["-F", &form]);
    assert_eq!(status, "200", "{}", String::from_utf8_lossy(&body));
    hash
}

#[test]
fn a_device_uploads_and_a_device_behind_the_other_box_fetches() {
    let (alpha, bravo) = boxes();
    let (alpha, bravo) = joined(alpha, bravo);
    let bytes = noise(20 * MIB as usize, 11);
    let hash = upload(&alpha, &alpha.issue("HAWK"), "mission.zip", &bytes);
    let hawk = Device::tls(alpha.clients_tls(), &alpha.issue("HAWK"));
    let otter = Device::tls(bravo.clients_tls(), &bravo.issue("OTTER"));
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(request("atak-1", "mission.zip", &hash, bytes.len(), &[]));
    let begun = Instant::now();
    let times = latencies(&hawk, &otter, std::time::Duration::from_millis(20), || {
        otter.count("atak-1") == 0 && begun.elapsed().as_secs() < 120
    });
    let told = otter.expect_uid("atak-1");
    let seconds = begun.elapsed().as_secs_f64();
    let url = told.xml.split("senderUrl=").nth(1).expect("an address");
    let url = url[1..].split(['"', '\'']).next().expect("an address");
    let path = url.find("/Marti").expect("its path");
    let here = format!("https://{}{}", bravo.api(), &url[path..]);
    let (status, fetched) = curl(&bravo.issue("OTTER"), &here, &[]);
    assert_eq!(status, "200");
    assert_eq!(Hash::of(&fetched), hash);
    println!(
        "20 MiB uploaded, carried in {seconds:.1} s and fetched; {} tracks meanwhile, p99 {:.1} ms; at most {} and {} KiB",
        times.len(),
        p99(&times),
        alpha.peak_kib(),
        bravo.peak_kib()
    );
}

#[test]
fn version_one_uploads_first_and_then_tells() {
    let (alpha, bravo) = boxes();
    let bytes = noise(300_000, 12);
    let hash = stored(&alpha, "one.zip", &bytes);
    let blocked = stored(&alpha, "one.exe", &noise(100, 13));
    let (to_alpha, to_bravo) = (alpha.registration(), bravo.registration());
    let v1 = "protocol = \"v1\"";
    let bravo = bravo
        .peer(to_alpha.key(v1).key("package_block_extensions = [\"exe\"]"))
        .start();
    let port = bravo.status().address("/listen/packages").port();
    let to_bravo = to_bravo.dial(bravo.federation()).key(v1);
    let alpha = alpha
        .peer(to_bravo.key(&format!("package_port = {port}")))
        .start();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    let hawk = Device::plain(alpha.clients_tcp());
    let otter = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(request("v1-package", "one.zip", &hash, bytes.len(), &[]));
    let told = otter.expect_uid("v1-package");
    assert_eq!(kept(&bravo, &hash).as_deref(), Some(bytes.as_slice()));
    let here = format!(":{}/Marti/sync/content?hash={hash}", bravo.api().port());
    assert!(told.xml.contains(&here), "{}", told.xml);
    assert_eq!(ended(&alpha, &hash)["reason"], Value::Null);
    // What is there already is not uploaded again.
    hawk.send(request("v1-again", "one.zip", &hash, bytes.len(), &[]));
    otter.expect_uid("v1-again");
    hawk.send(request("v1-blocked", "one.exe", &blocked, 100, &[]));
    assert_eq!(ended(&bravo, &blocked)["reason"], "package_blocked");
    assert_eq!(otter.count("v1-blocked"), 0);
    // A switch at the receiver stops the upload itself, and the sender reads why.
    bravo
        .call(["peer", "set", "alpha", "--data-packages-in", "false"], "")
        .success();
    let more = noise(1000, 14);
    let refused = upload(&alpha, &alpha.issue("HAWK"), "two.zip", &more);
    hawk.send(request("v1-refused", "two.zip", &refused, more.len(), &[]));
    hawk.send(track("after", 1));
    otter.expect_uid("after");
    let end = ended(&alpha, &refused);
    assert_eq!(end["reason"], "package_refused", "{end}");
    assert_eq!(otter.count("v1-refused"), 0);
}

#[test]
fn what_is_refused_says_why_at_both_ends() {
    let (alpha, bravo) = boxes();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("settings/secret.PREF", options)
        .expect("an entry");
    let zip = zip.finish().expect("an archive").into_inner();
    let inside = stored(&alpha, "inside.zip", &zip);
    let named = stored(&alpha, "tool.exe", &noise(2000, 4));
    let large = stored(&alpha, "large.zip", &noise(2 * MIB as usize, 5));
    let (alpha, bravo) = joined(alpha, bravo);
    bravo
        .call(
            [
                "peer",
                "set",
                "alpha",
                "--package-limit-mib",
                "1",
                "--package-block-extensions",
                "pref,exe",
            ],
            "",
        )
        .success();
    let hawk = Device::plain(alpha.clients_tcp());
    let otter = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    let never = Hash::of(b"never uploaded");
    for (uid, name, hash, size, reason) in [
        ("in", "inside.zip", &inside, zip.len(), "package_blocked"),
        ("na", "tool.exe", &named, 2000, "package_blocked"),
        (
            "la",
            "large.zip",
            &large,
            2 * MIB as usize,
            "package_too_large",
        ),
    ] {
        hawk.send(request(uid, name, hash, size, &[]));
        let there = ended(&bravo, hash);
        assert_eq!(there["reason"], reason, "{there}");
        let here = ended(&alpha, hash);
        assert_eq!(here["reason"], "package_refused", "{here}");
        let words = here["words"].as_str().expect("words");
        assert!(
            words.contains("bravo refuses it") && words.contains(reason),
            "{words}"
        );
        assert!(kept(&bravo, hash).is_none(), "{name} stays");
        let why = alpha.call(["why", uid, "--json"], "").stdout;
        assert!(why.contains("package_refused"), "{why}");
        assert!(alpha.status().dropped_peer("bravo", "package_refused") > 0);
        assert!(bravo.status().dropped_peer("alpha", reason) > 0);
    }
    hawk.send(request("never", "never.zip", &never, 10, &[]));
    eventually("it waits for its bytes", || {
        alpha
            .call(["status"], "")
            .stdout
            .contains("never.zip")
            .then_some(())
    });
    assert_eq!(
        otter
            .events()
            .iter()
            .filter(|event| event.kind() == "b-f-t-r")
            .count(),
        0
    );
    let told = bravo.call(["packages", "log"], "").success();
    assert!(
        told.contains("DATA PACKAGES") && told.contains("secret.PREF"),
        "{told}"
    );
}
