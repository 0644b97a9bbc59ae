use std::net::Ipv4Addr;

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "a password of some length";

fn at(mono_ms: u64) -> Moment {
    Moment {
        mono_ms,
        wall: 1_000_000,
    }
}

fn view() -> Scopes {
    Scopes::of(Scope::View)
}

#[test]
fn a_token_opens_what_it_was_made_for_until_it_ends_or_is_revoked() {
    let state = tempfile::tempdir().unwrap();
    let access = Access::open(state.path()).unwrap();
    let token = access.add_token("ci", view(), Some(1_000_001), 0).unwrap();
    let grant = access.holder(&token, at(0)).unwrap();
    assert_eq!((grant.name.as_str(), grant.scopes), ("ci", view()));
    let later = Moment {
        mono_ms: 0,
        wall: 1_000_001,
    };
    assert_eq!(access.holder(&token, later), None);
    assert_eq!(access.holder("tmb_00", at(0)), None);
    // It is still there after a start, and its text is nowhere on the disk.
    let again = Access::open(state.path()).unwrap();
    assert!(again.holder(&token, at(0)).is_some());
    let secret = token.trim_start_matches(PREFIX);
    for file in std::fs::read_dir(state.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(secret));
    }
    again.revoke("ci").unwrap();
    assert_eq!(again.holder(&token, at(0)), None);
    assert_eq!(again.revoke("ci"), Err(AccessError::NotFound("ci".into())));
}

#[test]
fn the_first_password_works_once_and_only_while_nobody_else_can_come_in() {
    let state = tempfile::tempdir().unwrap();
    let access = Access::open(state.path()).unwrap();
    let first = access.first_password().unwrap();
    assert_eq!(
        access.sign_in(HERE, "root", &first, at(0)),
        Err(NotSignedIn::Wrong)
    );
    let typed = format!("{}-{}", first[..5].to_lowercase(), &first[5..]);
    let session = access.sign_in(HERE, FIRST_USER, &typed, at(0)).unwrap();
    assert_eq!(session.grant.scopes, Scopes::ALL);
    assert!(access.holder(&session.token, at(1)).is_some());
    assert_eq!(access.holder(&session.token, at(SESSION_MS)), None);
    assert_eq!(access.first_password(), None);
    assert_eq!(
        access.sign_in(HERE, FIRST_USER, &first, at(1)),
        Err(NotSignedIn::Wrong)
    );
    // Nobody was made: the next start has another one.
    let again = Access::open(state.path()).unwrap();
    assert_ne!(again.first_password().unwrap(), first);
    again.add_token("ci", view(), None, 0).unwrap();
    assert_eq!(again.first_password(), None);
    assert_eq!(Access::open(state.path()).unwrap().first_password(), None);
}

#[test]
fn a_new_password_ends_what_was_open_with_the_old_one() {
    let state = tempfile::tempdir().unwrap();
    let access = Access::open(state.path()).unwrap();
    let told = access.changes();
    let made = access.set_password("admin", view(), None, 0).unwrap();
    let session = access
        .sign_in(HERE, "admin", &made.unwrap(), at(0))
        .unwrap();
    assert_eq!(session.grant.scopes, view());
    let none = access.set_password("admin", Scopes::ALL, Some(PASSWORD), 0);
    assert_eq!(none, Ok(None));
    assert!(told.has_changed().unwrap());
    assert_eq!(access.holder(&session.token, at(0)), None);
    let session = access.sign_in(HERE, "admin", PASSWORD, at(0)).unwrap();
    access.sign_out(&session.token);
    assert_eq!(access.holder(&session.token, at(0)), None);
}

#[test]
fn guessing_is_slowed_down_and_tells_nothing() {
    let state = tempfile::tempdir().unwrap();
    let access = Access::open(state.path()).unwrap();
    access
        .set_password("admin", view(), Some(PASSWORD), 0)
        .unwrap();
    for user in ["admin", "nobody", "admin", "", "nobody"] {
        assert_eq!(
            access.sign_in(HERE, user, "wrong", at(0)),
            Err(NotSignedIn::Wrong)
        );
    }
    assert_eq!(
        access.sign_in(HERE, "admin", PASSWORD, at(0)),
        Err(NotSignedIn::TooMany(12))
    );
    let elsewhere = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    assert!(access.sign_in(elsewhere, "admin", PASSWORD, at(0)).is_ok());
    assert!(access.sign_in(HERE, "admin", PASSWORD, at(12_000)).is_ok());
}

#[test]
fn there_are_not_more_sessions_than_there_is_room_for() {
    let state = tempfile::tempdir().unwrap();
    let access = Access::open(state.path()).unwrap();
    let shared = &access.shared;
    for number in 0..SESSIONS as u8 {
        shared.lock().unwrap().sessions.push(Session {
            hash: [number; 32],
            name: "x".into(),
            scopes: view(),
            ends_ms: 10,
        });
    }
    let first = access.first_password().unwrap();
    access.sign_in(HERE, FIRST_USER, &first, at(0)).unwrap();
    assert_eq!(shared.lock().unwrap().sessions.len(), SESSIONS);
}
