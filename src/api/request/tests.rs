//! Requests and answers as they go over the line.

use super::*;

#[test]
fn requests_are_short_and_strict() {
    let text = serde_json::to_string(&Request::Status).unwrap();
    assert_eq!(text, "\"status\"");
    let add = r#"{"peer_add":{"peer":{"name":"bravo","fingerprint":"AB"}}}"#;
    let Request::PeerAdd { peer, replace } = serde_json::from_str(add).unwrap() else {
        panic!("another request");
    };
    assert!(peer.enabled && peer.incoming && peer.outgoing && !replace);
    for bad in [
        "\"explode\"",
        r#"{"inject":{}}"#,
        r#"{"peer_remove":{"name":"a","x":1}}"#,
    ] {
        assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
    }
}

#[test]
fn answers_come_back_as_they_went() {
    let status = crate::api::status::tests::example();
    for answer in [
        Response::Status(Box::new(status)),
        Response::Peers(Vec::new()),
        Response::Injected {
            accepted: 1,
            refused: vec![RefusedEvent {
                event: 2,
                reason: "malformed".into(),
            }],
        },
        Response::Checked(vec![ConfigFault {
            line: Some(2),
            key: None,
            message: "x".into(),
        }]),
        Response::Committed(Committed {
            words: "x".into(),
            restarts: true,
            unconfirmed_seconds: Some(5),
        }),
        Response::Log(vec!["a".into()]),
        Response::Done("well\n\"done\"".into()),
        Fault::new(ErrorCode::TooLong, "too long").into(),
    ] {
        let text = serde_json::to_string(&answer).unwrap();
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(serde_json::from_str::<Response>(&text).unwrap(), answer);
    }
}
