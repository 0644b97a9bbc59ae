//! TAK protocol v1 as the public library takproto has it, which is made from the official `.proto` files: it reads what we
//! write, and we read what it writes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tombolo::cot::tak;
use tombolo::wire::tak::framing::{self, Datagram, Found};
use tombolo::wire::{stamp, tak as wire, xml};

use crate::support::{Element, corpus, peer_python};

/// Asks takproto; `None` where it is not installed.
fn ask(questions: &[Value]) -> Option<Vec<Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/takproto_corpus.py");
    let python = peer_python();
    let there = Command::new(&python)
        .args(["-c", "import takproto"])
        .output();
    if !there.is_ok_and(|output| output.status.success()) {
        println!("skipped: takproto is not installed; scripts/test installs it");
        return None;
    }
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut input = child.stdin.take().expect("its input");
    let lines: String = questions
        .iter()
        .map(|question| format!("{question}\n"))
        .collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let answers: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"))
        .collect();
    writer.join().expect("a writer").expect("all is written");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(answers.len(), questions.len());
    Some(answers)
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digits).collect()
}

fn shown(message: &[u8]) -> String {
    let event = wire::parse(message)
        .expect("a message")
        .event
        .expect("an event");
    let (mut room, mut checked) = (Vec::new(), xml::Event::nothing());
    tak::read_detail(&mut checked, &event, &mut room, &mut xml::Reader::default())
        .expect("a detail");
    let mut out = Vec::new();
    let mut stamps = stamp::Writer::default();
    tak::render::put_event(&mut out, &event, checked.detail.as_ref(), &mut stamps).expect("a time");
    String::from_utf8(out).expect("text")
}

/// An event as takproto read it, as XML: typed fields as elements, then the text.
fn told(event: &Value) -> String {
    let text = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;")
    };
    let time = |name: &str| {
        let millis: i64 = event[name]
            .as_str()
            .map_or(0, |text| text.parse().expect("a number"));
        String::from_utf8(stamp::write(millis).expect("a time").to_vec()).expect("text")
    };
    let mut xml = format!(
        "<event version='2.0' uid=\"{}\" type=\"{}\" time='{}' start='{}' stale='{}' how=\"{}\"",
        text(&event["uid"]),
        text(&event["type"]),
        time("sendTime"),
        time("startTime"),
        time("staleTime"),
        text(&event["how"])
    );
    for (name, field) in [("access", "access"), ("qos", "qos"), ("opex", "opex")] {
        if event[field].is_string() {
            xml += &format!(" {name}=\"{}\"", text(&event[field]));
        }
    }
    xml += "><point";
    for name in ["lat", "lon", "hae", "ce", "le"] {
        // A zero is left out; 999999 and 9999999 are how somebody says that nobody knows.
        let number = event[name].as_str().unwrap_or("0.0");
        let unknown = matches!(name, "ce" | "le")
            && number.parse().is_ok_and(|number: f64| number >= 999_999.0);
        xml += &format!(" {name}='{}'", if unknown { "9999999.0" } else { number });
    }
    xml += "/>";
    let Some(detail) = event["detail"].as_object() else {
        return xml + "</event>";
    };
    xml += "<detail>";
    for (field, name, attributes) in [
        ("contact", "contact", &["callsign", "endpoint"][..]),
        ("group", "__group", &["name", "role"]),
        (
            "precisionLocation",
            "precisionlocation",
            &["geopointsrc", "altsrc"],
        ),
        ("status", "status", &["battery"]),
        ("takv", "takv", &["device", "platform", "os", "version"]),
        ("track", "track", &["speed", "course"]),
    ] {
        let Some(values) = detail.get(field) else {
            continue;
        };
        xml += &format!("<{name}");
        for attribute in attributes {
            let value = match (field, *attribute, &values[*attribute]) {
                ("contact", "endpoint", Value::Null) => continue,
                ("status" | "track", _, Value::Null) => "0".to_owned(),
                (_, _, value) => text(value),
            };
            xml += &format!(" {attribute}=\"{value}\"");
        }
        xml += "/>";
    }
    xml += detail
        .get("xmlDetail")
        .and_then(Value::as_str)
        .unwrap_or_default();
    xml + "</detail></event>"
}

#[test]
fn it_reads_what_we_write() {
    let corpus = corpus();
    let question = |xml: &str| {
        let mut message = Vec::new();
        tak::encode::put_event(&mut message, &xml::parse(xml.as_bytes()).expect("an event"))
            .expect("a message");
        let mut datagram = Vec::new();
        framing::put_datagram(&mut datagram, &message);
        let hex: String = datagram.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "message": hex })
    };
    let questions: Vec<Value> = corpus.iter().map(|(_, xml)| question(xml)).collect();
    for ((path, original), answer) in corpus.iter().zip(ask(&questions).unwrap_or_default()) {
        let (is, meant) = (
            Element::parse(&told(&answer["event"])),
            Element::parse(original),
        );
        assert_eq!(is, meant, "{path}\nis {is}\nmeant {meant}");
    }
}

#[test]
fn we_read_what_it_writes() {
    let corpus = corpus();
    let questions: Vec<Value> = corpus
        .iter()
        .map(|(_, xml)| json!({ "xml": xml }))
        .collect();
    for ((path, _), answer) in corpus.iter().zip(ask(&questions).unwrap_or_default()) {
        let stream = unhex(answer["stream"].as_str().expect("hex"));
        let Found::Message { start, end } = framing::next(&stream, 1 << 20) else {
            panic!("{path}: no message");
        };
        assert_eq!(end, stream.len(), "{path}");
        let mesh = unhex(answer["mesh"].as_str().expect("hex"));
        let Datagram::Tak(datagram) = framing::datagram(&mesh) else {
            panic!("{path}: no datagram");
        };
        assert_eq!(datagram, &stream[start..], "{path}");
        // Not the original: takproto loses attributes that its typed fields have no place for.
        let meant = Element::parse(&told(&answer["event"]));
        let is = Element::parse(&shown(datagram));
        assert_eq!(is, meant, "{path}\nis {is}\nmeant {meant}");
    }
}
