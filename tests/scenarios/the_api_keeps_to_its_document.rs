//! `/openapi.json` says what the API does: a client that knows nothing else finds no other status and no defect.

use std::process::Command;

use serde_json::json;

use crate::support::{Api, Authority, Setup, eventually};

#[test]
fn the_document_lists_what_is_there_and_errors_name_key_and_cure() {
    let alpha = Setup::new("alpha").api().start();
    let admin = Api::with_scopes(&alpha, "admin", "administrator");
    let document = Api::of(&alpha).read("/openapi.json").expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    // Each path without a name answers; none is there that only the document knows.
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let path = path.replace("{name}", "nobody");
            let nobody = Api::of(&alpha)
                .ask(&method.to_uppercase(), &path, "")
                .status;
            let answer = admin.ask(&method.to_uppercase(), &path, "");
            assert!(
                ![404, 405, 500].contains(&nobody),
                "{method} {path}: {nobody}"
            );
            let known = &operations[method]["responses"][answer.status.to_string()];
            assert!(known.is_object(), "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(
        admin
            .ask("PUT", "/api/federation", "")
            .headers
            .matches("allow: GET, POST")
            .count(),
        1
    );
    assert_eq!(admin.read("/api/nothing").expect(404)["code"], "no_route");
    let ca = Authority::new("bravo-ca").issue("bravo");
    for (body, key, words) in [
        (
            json!({"name": "b", "adress": "x"}),
            "adress",
            "did you mean \"address\"?",
        ),
        (
            json!({"name": "b", "port": "9000"}),
            "port",
            "a whole number from 1 to 65535",
        ),
        (
            json!({"name": "b", "port": 9000}),
            "port",
            "give address too",
        ),
        (json!({"name": "b"}), "ca_cert", "fingerprint"),
        (
            json!({"name": "b", "ca_cert": "/ssl/nothing.pem"}),
            "ca_cert",
            "no such file on the box",
        ),
        (
            json!({"name": "b", "ca_cert": ca.chain_pem}),
            "ca_cert",
            "is a leaf, not a CA",
        ),
        (
            json!({"name": "b", "ca_cert": ca.authority_pem, "ca_pin": "AB".repeat(32)}),
            "ca_pin",
            "no certificate of ca_cert has",
        ),
        (
            json!({"name": "b", "fingerprint": "xyz"}),
            "fingerprint",
            "64 hex digits",
        ),
        (
            json!({"name": "b\n", "ca_cert": ca.authority_pem}),
            "name",
            "control character",
        ),
    ] {
        let problem = admin
            .ask("POST", "/api/federation", &body.to_string())
            .expect(422);
        assert_eq!(problem["key"], key, "{body}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{body}: {detail}");
    }
    assert_eq!(
        admin.ask("POST", "/api/federation", "{").expect(400)["code"],
        "invalid"
    );
}

#[test]
fn what_others_need_is_there_to_be_downloaded() {
    let alpha = Setup::new("alpha").table("").api().start();
    let viewer = Api::with_scopes(&alpha, "viewer", "viewer");
    let ours = viewer.read("/api/connection").expect(200);
    assert_eq!(ours["port"], alpha.federation().port());
    assert_eq!(ours["fingerprint"], alpha.status().0["node"]["fingerprint"]);
    assert!(
        ours["missing"][0]
            .as_str()
            .unwrap()
            .contains("node.advertised_host")
    );
    let certificate = viewer.read("/api/connection/federation.pem");
    assert!(
        certificate
            .headers
            .contains("attachment; filename=\"alpha-federation.pem\"")
    );
    assert!(certificate.body.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(
        viewer.read("/api/connection/ca.pem").body,
        ours["ca_certificate"].as_str().unwrap()
    );
    assert!(
        viewer
            .read("/api/connection/outgoing.xml")
            .body
            .contains("<federation-outgoing")
    );
    assert!(
        viewer
            .read("/api/connection/federate.xml")
            .body
            .contains("<federateCA")
    );
    let metrics = viewer.read("/metrics");
    assert!(
        metrics.headers.contains("text/plain; version=0.0.4"),
        "{metrics:?}"
    );
    assert!(
        metrics.body.contains("\ntombolo_uptime_seconds "),
        "{metrics:?}"
    );
}

/// What schemathesis tries takes its time, so only where somebody asks for it.
#[test]
fn schemathesis_finds_no_other_status_and_no_defect() {
    let Ok(program) = std::env::var("TOMBOLO_SCHEMATHESIS") else {
        println!("skipped: set TOMBOLO_SCHEMATHESIS to the program `schemathesis`");
        return;
    };
    let alpha = Setup::new("alpha").api().start();
    let admin = Api::with_scopes(&alpha, "admin", "administrator");
    let schema = format!("https://{}/openapi.json", alpha.api());
    // It keeps notes where it runs.
    let notes = tempfile::tempdir().unwrap();
    // What would end the right to ask comes last, and by itself.
    let ends = ["/api/logout", "/api/tokens/{name}"];
    for (how, answer_after) in [("exclude", 200), ("include", 401)] {
        let paths = ends.map(|path| format!("--{how}-path={path}"));
        let output = Command::new(&program)
            .current_dir(notes.path())
            .args(["run", &schema, "--tls-verify=false", "--max-examples=40"])
            .args(["--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
            .args(["--seed=1", "--request-timeout=20"])
            .args(["-H", &format!("Authorization: Bearer {}", admin.token())])
            .args(&paths)
            .output()
            .expect("schemathesis");
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{text}");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{complaints}");
        let after = admin.read("/api/status").status;
        println!("afterwards: {after}");
        if answer_after == 200 {
            assert_eq!(after, 200, "the token was good until the end");
        }
    }
    let viewer = Api::with_scopes(&alpha, "viewer", "viewer");
    eventually("the box is still there", || {
        (viewer.read("/api/status").status == 200).then_some(())
    });
}
