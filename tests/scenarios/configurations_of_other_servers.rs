//! Configurations of other servers, files in `conf.d/`, variables, and a configuration as a whole: taken over when they
//! are right, refused whole when they are not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::peer_programs;
use crate::support::{Api, Authority, Finished, Setup, TomboloBox, ask, eventually, tombolo};

fn start() -> TomboloBox {
    let authority = Authority::new("alpha-ca");
    Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .api()
        .start()
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/samples")
        .join(name)
}

fn import(at: &TomboloBox, sample: &Path, more: &[&str]) -> Finished {
    let file = sample.to_str().expect("UTF-8");
    at.call([&["import", file], more].concat(), "")
}

fn peer(name: &str) -> String {
    format!(
        "\n[[peer]]\nname = \"{name}\"\nfingerprint = \"{}\"\n",
        "ab".repeat(32)
    )
}

fn conf_d(of: &TomboloBox) -> PathBuf {
    let folder = of.config().with_file_name("conf.d");
    fs::create_dir_all(&folder).expect("conf.d");
    folder
}

#[test]
fn other_servers_files_become_peers_of_a_running_box() {
    let alpha = start();
    let before = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    let nobody = import(&alpha, &sample("federation-server.xml"), &[]);
    assert_eq!(nobody.code, Some(78), "{}", nobody.stdout);
    assert!(
        nobody
            .stdout
            .contains("give its CA with --ca-cert \"company-cloudtak=FILE\""),
        "{}",
        nobody.stdout
    );
    let leaf = Authority::new("cloudtak").issue("cloudtak");
    let ca = alpha.config().with_file_name("cloudtak.pem");
    fs::write(&ca, &leaf.authority_pem).expect("the CA");
    let ca = ca.to_str().expect("UTF-8");
    let dry = import(
        &alpha,
        &sample("federation-server.xml"),
        &["--ca-cert", ca, "--dry-run"],
    )
    .success();
    assert!(
        dry.contains("would be: added company-cloudtak") && dry.contains("maxRetries = 10"),
        "{dry}"
    );
    assert_eq!(
        fs::read_to_string(alpha.config()).expect("tombolo.toml"),
        before
    );
    import(&alpha, &sample("federation-server.xml"), &["--ca-cert", ca]).success();
    assert!(alpha.status().peer("company-cloudtak").is_some());
    let core = import(
        &alpha,
        &sample("CoreConfig.xml"),
        &["--ca-cert", &format!("brigade south={ca}")],
    )
    .success();
    assert!(
        core.contains("added brigade_north, brigade south, Patrol & Co"),
        "{core}"
    );
    assert!(core.contains("left out: peer \"nobody_knows\""), "{core}");
    let listed = alpha.call(["peer", "list", "--json"], "").success();
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(4), "{listed}");
    let again = import(&alpha, &sample("CoreConfig.xml"), &[]).success();
    assert!(
        again.contains("there already, left as it is: brigade_north"),
        "{again}"
    );
    // Its key files are not here: refused whole.
    let fts = import(&alpha, &sample("FTSConfig.yaml"), &["--authoritative"]);
    assert_eq!(fts.code, Some(78), "{}{}", fts.stdout, fts.stderr);
    assert!(
        fts.stderr.contains("/opt/fts/certs/server"),
        "{}",
        fts.stderr
    );
    assert!(alpha.status().peer("brigade_north").is_some());
    let line = import(&alpha, &sample("federation-line.xml"), &["--dry-run"]).success();
    assert!(
        line.contains("set already, left as it is: listen.federation"),
        "{line}"
    );
    let own = import(&alpha, &alpha.config(), &[]);
    assert!(
        own.stderr.contains("`tombolo config commit FILE`"),
        "{}",
        own.stderr
    );
}

#[test]
fn variables_of_the_documents_count_below_the_file() {
    let mut alpha = start();
    let text = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    fs::write(alpha.config(), text.replace("name = \"alpha\"", "")).expect("tombolo.toml");
    alpha.start_again(&[
        ("FTS_NODE_ID", "server_a_hq_node"),
        ("FTS_FED_PORT", "9000"),
        ("FTS_FED_PASSWORD", "secure_federation_pass"),
    ]);
    let log = alpha.log();
    for words in [
        "environment: FTS_NODE_ID sets node.name = \"server_a_hq_node\"",
        "environment: FTS_FED_PORT is not used, because",
        "environment: FTS_FED_PASSWORD is not needed",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let status = alpha.call(["status", "--json"], "").success();
    assert!(status.contains("\"server_a_hq_node\""), "{status}");
    // The same again, for good.
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tombolo.toml");
    let run = |arguments: &[&str], password: &str| {
        let mut command = Command::new(tombolo());
        let places = [
            "--config".as_ref(),
            file.as_os_str(),
            "--state".as_ref(),
            directory.path().as_os_str(),
        ];
        command.args(arguments).args(places);
        command.envs([("FTS_FED_PORT", "9000"), ("FTS_FED_PASSWORD", password)]);
        let output = command.output().expect("it runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (code, said) = run(&["import", "--environment"], "own");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("set listen.federation = \"0.0.0.0:9000\""),
        "{said}"
    );
    let written = fs::read_to_string(&file).expect("tombolo.toml");
    assert_eq!(written, "[listen]\nfederation = \"0.0.0.0:9000\"\n");
    let (code, said) = run(&["run"], "defaultpass");
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("`FTS_FED_PASSWORD`: is the password that everybody knows; choose"),
        "{said}"
    );
}

/// Each way to have it read again says no, and the box goes on as it was.
fn is_refused_every_way(alpha: &TomboloBox, api: &Api, words: &str) {
    let reload = alpha.call(["reload"], "");
    assert_eq!(reload.code, Some(78), "{}", reload.stderr);
    assert!(reload.stderr.contains(words), "{words}: {}", reload.stderr);
    let asked = api.ask("POST", "/api/reload", "").expect(422);
    assert!(
        asked["detail"]
            .to_string()
            .contains(&json!(words).to_string()[1..words.len()]),
        "{asked}"
    );
    let said = || alpha.log().matches("the old one stays in use").count();
    let before = said();
    alpha.signal(Signal::SIGHUP);
    eventually("the log says why", || (said() > before).then_some(()));
    let log = alpha.log();
    let line = log
        .lines()
        .rfind(|line| line.contains("the old one stays in use"));
    assert!(
        line.is_some_and(|line| line.contains(words)),
        "{words}: {log}"
    );
    assert!(alpha.status().peer("bravo").is_some());
    assert!(alpha.status().peer("charlie").is_none());
}

#[test]
fn a_broken_configuration_is_refused_whole_wherever_it_breaks() {
    let alpha = start();
    let api = Api::with_scopes(&alpha, "boss", "administrator");
    let text = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    let folder = conf_d(&alpha);
    fs::write(folder.join("10-bravo.toml"), peer("bravo")).expect("a file");
    alpha.call(["reload"], "").success();
    assert!(alpha.status().peer("bravo").is_some());
    let there = alpha.call(["peer", "remove", "bravo"], "");
    assert!(
        there.stderr.contains("conf.d/10-bravo.toml declares it"),
        "{}",
        there.stderr
    );
    // With a good peer beside the fault, which must not come.
    let lines = text.lines().count();
    let broken = format!("{text}{}adress = \"x\"\n", peer("charlie"));
    fs::write(alpha.config(), broken).expect("tombolo.toml");
    let place = format!(
        "tombolo.toml:{}: unknown key `adress` in [[peer]]",
        lines + 5
    );
    is_refused_every_way(&alpha, &api, &place);
    fs::write(alpha.config(), &text).expect("tombolo.toml");

    let second = folder.join("20-charlie.toml");
    fs::write(
        &second,
        format!("{}\n[node]\nname = \"other\"\n", peer("charlie")),
    )
    .expect("a file");
    is_refused_every_way(&alpha, &api, "conf.d/20-charlie.toml:7: `name`: ");
    fs::write(
        &second,
        format!("{}[limits]\nmax_clients = 2000\n", peer("charlie")),
    )
    .expect("a file");
    is_refused_every_way(&alpha, &api, "[limits] add up to");
    fs::remove_file(&second).expect("it goes");

    let declared = alpha.config().with_file_name("federation.json");
    let file = |port: &str| {
        let pin = "cd".repeat(32);
        format!(
            "{{\"version\": 1, \"peers\": [\n{{\"name\": \"charlie\", \"fingerprint\": \"{pin}\",\n\"address\": \"127.0.0.1\", \"port\": {port}}}]}}\n"
        )
    };
    fs::write(&declared, file("0")).expect("a file");
    is_refused_every_way(
        &alpha,
        &api,
        "federation.json: line 3: peer \"charlie\": `port`: 0 will not do",
    );
    fs::write(&declared, file("9")).expect("a file");
    let words = alpha.call(["reload"], "").success();
    assert!(words.contains("federation.json: added charlie"), "{words}");
    assert!(alpha.status().peer("charlie").is_some());
}

#[test]
fn a_configuration_is_changed_whole_by_command_and_by_the_api() {
    let alpha = start();
    let old = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    let probe = "probe = { address = \"127.0.0.1:1\", p12 = \"x.p12\", password = \"hush\" }\n";
    let new = format!("{old}{}{probe}", peer("bravo"));
    let file = alpha.config().with_file_name("new.toml");
    fs::write(&file, &new).expect("a file");
    let path = file.to_str().expect("UTF-8");
    let said = alpha
        .call(["config", "commit", path, "--confirm", "2"], "")
        .success();
    assert!(
        said.contains("it is taken back in 120 s; `tombolo config confirm` keeps it"),
        "{said}"
    );
    assert!(alpha.status().peer("bravo").is_some());
    alpha.call(["config", "rollback"], "").success();
    assert_eq!(
        fs::read_to_string(alpha.config()).expect("tombolo.toml"),
        old
    );
    alpha
        .call(["config", "commit", "-", "--confirm", "2"], &new)
        .success();
    let kept = alpha.call(["config", "confirm"], "").success();
    assert!(kept.contains("stays"), "{kept}");
    let bad = alpha.call(["config", "commit", "-"], "[nod]\n");
    assert_eq!(bad.code, Some(78), "{}", bad.stderr);
    assert!(
        bad.stderr.contains("tombolo.toml:1: unknown key `nod`"),
        "{}",
        bad.stderr
    );

    let api = Api::with_scopes(&alpha, "boss", "administrator");
    let shown = api.read("/api/config").expect(200);
    let text = shown["text"].as_str().expect("text").to_owned();
    assert!(
        !text.contains("hush") && text.contains("password = \"(hidden)\""),
        "{text}"
    );
    let viewer = Api::with_scopes(&alpha, "eye", "view,change");
    for (method, path) in [
        ("GET", "/api/config"),
        ("POST", "/api/config/rollback"),
        ("POST", "/api/reload"),
    ] {
        viewer.ask(method, path, "").expect(403);
    }
    // What is shown can be changed and sent back: the password stays.
    let changed = json!({
        "text": format!("{text}{}", peer("charlie")),
        "confirm_minutes": 1,
        "generation": shown["generation"],
    });
    let done = api
        .ask("POST", "/api/config", &changed.to_string())
        .expect(200);
    assert_eq!(done["unconfirmed_seconds"], 60, "{done}");
    let written = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    assert_eq!(written, format!("{new}{}", peer("charlie")));
    api.ask("POST", "/api/config", &changed.to_string())
        .expect(409);
    api.ask("POST", "/api/config/confirm", "").expect(200);
    assert_eq!(
        api.read("/api/config").expect(200)["unconfirmed_seconds"],
        Value::Null
    );
    api.ask("POST", "/api/config/rollback", "").expect(200);
    assert!(alpha.status().peer("charlie").is_none());
    let broken = json!({"text": "[node]\nnam = 1\n"}).to_string();
    let refused = api.ask("POST", "/api/config", &broken).expect(422);
    assert_eq!(refused["key"], "nam", "{refused}");
    assert!(
        refused["detail"]
            .to_string()
            .contains("tombolo.toml:2: unknown key `nam`"),
        "{refused}"
    );
    assert_eq!(
        fs::read_to_string(alpha.config()).expect("tombolo.toml"),
        new
    );
    let schema = viewer.read("/api/schema/federation").expect(200);
    let printed = alpha.call(["config", "schema", "federation"], "").success();
    assert_eq!(
        serde_json::from_str::<Value>(&printed).expect("JSON"),
        schema
    );
    viewer.read("/api/schema/configuration").expect(200);
}

/// Another implementation of JSON Schema, where there is one.
#[test]
fn an_independent_validator_agrees_with_the_schemas() {
    const CHECK: &str = "import json, sys, tomllib, jsonschema\n\
        of, schema, text = json.load(sys.stdin)\n\
        schema = json.loads(schema)\n\
        jsonschema.Draft202012Validator.check_schema(schema)\n\
        document = tomllib.loads(text) if of == 'toml' else json.loads(text)\n\
        print(len(list(jsonschema.Draft202012Validator(schema).iter_errors(document))))\n";
    let Some(python) = peer_programs::installed("jsonschema/bin/python") else {
        return;
    };
    // Python has TOML since 3.11.
    if ask(&python, ["-c", "import jsonschema, tomllib"], "").code != Some(0) {
        eprintln!("skipped: {} has no tomllib", python.display());
        return;
    }
    let configuration = ask(tombolo(), ["config", "schema"], "").success();
    let federation = ask(tombolo(), ["config", "schema", "federation"], "").success();
    let template = ask(tombolo(), ["config", "template"], "").success();
    let peer = json!({"name": "b", "address": "x", "port": 9000, "ca_cert": "x.pem", "bidirectional": true,
                      "filters": {"cot_types": ["a-f-"], "groups": ["Blue"], "direction": "both"}});
    let file = |peer: &Value| {
        json!({"$schema": "federation.schema.json", "version": 1, "peers": [peer]}).to_string()
    };
    let mut wrong = peer.clone();
    wrong["prt"] = json!(1);
    for (of, schema, text, faults) in [
        ("toml", &configuration, &template, "0"),
        (
            "toml",
            &configuration,
            &"[limits]\nmax_clients = 0\n[nod]\n".to_owned(),
            "2",
        ),
        ("json", &federation, &file(&peer), "0"),
        ("json", &federation, &file(&wrong), "1"),
    ] {
        let input = json!([of, schema, text]).to_string();
        let checked = ask(&python, ["-c", CHECK], &input).success();
        assert_eq!(checked.trim(), faults, "{text}");
    }
}
