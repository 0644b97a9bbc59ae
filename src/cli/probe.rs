//! The part of `check` at a TAK Server: a second identity logs in there as a client, and sees what comes out.
//!
//! Out: the running box sends an event over federation, the client must get it, and it is deleted again. In: the
//! client sends one, and it must come to the box over federation.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::CertificateDer;
use tokio::time::Instant;

use super::failure::Failure;
use super::paths::Places;
use crate::api::check::{CheckReport, Step, StepState};
use crate::api::{Request, Response, ask};
use crate::clock::{Clock, SystemClock};
use crate::config::Peer;
use crate::cot::echo::hex;
use crate::files;
use crate::link::login::{Login, LoginError};
use crate::link::tls::{self, Credentials};
use crate::pki::gather::Gathered;
use crate::wire::stamp;

/// What is sent must come out within this.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two questions whether it came.
const PAUSE: Duration = Duration::from_millis(50);
/// A probe that is left over goes stale after this, milliseconds.
const LIFE_MS: i64 = 30_000;
/// A file of the second identity is no longer than this, bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// Adds the steps `login`, `out` and `in`, and the verdict.
pub(super) fn run(report: &mut CheckReport, peer: &Peer, places: &Places) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(steps(report, peer, places)),
        Err(error) => Err(Step::new(
            "login",
            StepState::Failed,
            format!("no event loop: {error}"),
        )),
    };
    if let Err(failed) = done {
        report.add(failed);
    }
    report.verdict = match report.stopped_by {
        Some(_) => "stopped",
        None => "proven",
    }
    .to_owned();
}

async fn steps(report: &mut CheckReport, peer: &Peer, places: &Places) -> Result<(), Step> {
    let failed = |step: &str, words: String| Step::new(step, StepState::Failed, words);
    let mut login = login(peer).await.map_err(|words| failed("login", words))?;
    let words = "the second identity is logged in at the server's client port";
    report.add(Step::new("login", StepState::Ok, words));
    // The server may still be about to refuse us, and is told who we are.
    if peer.outgoing {
        let took = out(&mut login, &peer.name, places)
            .await
            .map_err(|words| failed("out", words))?;
        let words = format!(
            "an event sent over federation came out at the client port after {took} ms, and was deleted again"
        );
        report.add(Step::new("out", StepState::Ok, words));
    } else {
        report.add(Step::new("out", StepState::Skipped, "outgoing is off here"));
    }
    if peer.incoming {
        let took = inward(&mut login, &peer.name, places)
            .await
            .map_err(|words| failed("in", words))?;
        let words = format!("an event sent by the client came over federation after {took} ms");
        report.add(Step::new("in", StepState::Ok, words));
    } else {
        report.add(Step::new("in", StepState::Skipped, "incoming is off here"));
    }
    Ok(())
}

async fn login(peer: &Peer) -> Result<Login, String> {
    let Some(probe) = &peer.probe else {
        return Err("the peer has no `probe`".into());
    };
    let mut gathered = Gathered::default();
    let passwords: Vec<String> = probe.password.clone().into_iter().collect();
    for file in &probe.files {
        let name = file.display().to_string();
        let bytes = files::read_bounded(file, MOST_BYTES)
            .map_err(|error| format!("{name}: {}; see `probe`", files::fault(&error)))?;
        gathered
            .add(&name, &bytes, &passwords)
            .map_err(|error| error.to_string())?;
    }
    let identity = gathered
        .login()
        .map_err(|error| format!("`probe`: {error}"))?;
    let mut authorities: Vec<CertificateDer<'static>> = gathered.authorities();
    authorities.extend(peer.authorities.iter().cloned());
    if authorities.is_empty() {
        return Err(
            "`probe` names no CA of the server: add `ca_cert`, or a .p12 that holds it".into(),
        );
    }
    let tls = Credentials::new(&identity)
        .and_then(|credentials| tls::login_client(&credentials, authorities, None))
        .map_err(|error| format!("`probe`: {error}"))?;
    Login::open(&probe.address, tls)
        .await
        .map_err(|error| error.to_string())
}

/// From the box over federation to the client.
async fn out(login: &mut Login, peer: &str, places: &Places) -> Result<u128, String> {
    let uid = fresh_uid();
    let begun = Instant::now();
    tell(
        &Request::ProbeOut {
            peer: peer.to_owned(),
            event: event(&uid),
        },
        places,
    )?;
    let came = login.wait(PATIENCE, |event| names(event, &uid)).await;
    let took = begun.elapsed().as_millis();
    // Whether it came or not: nothing of it is to stay on anybody's map.
    let gone = Request::ProbeOut {
        peer: peer.to_owned(),
        event: delete(&uid),
    };
    let told = tell(&gone, places);
    if !came.map_err(in_words)? {
        return Err(format!(
            "what is sent over federation does not come out at the client port within {} s: see the federate's groups \
             and its outbound and inbound filters at the server, and that this client is in one of those groups",
            PATIENCE.as_secs()
        ));
    }
    told?;
    let deleted = |event: &[u8]| names(event, &uid) && names(event, "t-x-d-d");
    // TAK Server tells its clients of deletes in its own way, or not at all: the probe is short-lived anyway.
    let _ = login
        .wait(Duration::from_secs(1), deleted)
        .await
        .map_err(in_words)?;
    Ok(took)
}

/// From the client over federation to the box.
async fn inward(login: &mut Login, peer: &str, places: &Places) -> Result<u128, String> {
    let uid = fresh_uid();
    tell(
        &Request::ProbeExpect {
            peer: peer.to_owned(),
            uid: uid.clone(),
        },
        places,
    )?;
    let begun = Instant::now();
    login.send(event(&uid).as_bytes()).await.map_err(in_words)?;
    let mut came = false;
    while !came && begun.elapsed() < PATIENCE {
        // Waiting is reading: the server hangs up on clients that do not take what it sends.
        let _ = login.wait(PAUSE, |_| false).await.map_err(in_words)?;
        came = match ask(&places.state, &Request::ProbeCame).map_err(|error| error.to_string())? {
            Response::Came(came) => came,
            _ => false,
        };
    }
    let took = begun.elapsed().as_millis();
    login
        .send(delete(&uid).as_bytes())
        .await
        .map_err(in_words)?;
    match came {
        true => Ok(took),
        false => Err(format!(
            "what a client of the server sends does not come over federation within {} s: see the federate's outbound \
             groups at the server, and that this client is in one of those groups",
            PATIENCE.as_secs()
        )),
    }
}

fn in_words(error: LoginError) -> String {
    error.to_string()
}

fn tell(request: &Request, places: &Places) -> Result<(), String> {
    let told = ask(&places.state, request)
        .map_err(Failure::from)
        .and_then(|answer| answer.into_result().map_err(Failure::from));
    told.map(drop).map_err(|failure| failure.message)
}

fn names(event: &[u8], uid: &str) -> bool {
    memchr::memmem::find(event, uid.as_bytes()).is_some()
}

fn fresh_uid() -> String {
    let mut bytes = [0; 8];
    // Two checks of one uid would only be taken for one.
    let _ = SystemRandom::new().fill(&mut bytes);
    format!("tombolo-probe-{}", hex(&bytes))
}

fn times() -> (String, String) {
    let now = SystemClock::new().now().wall_ms;
    let time = |ms| {
        let text = stamp::write(ms).unwrap_or(*b"1970-01-01T00:00:00.000Z");
        String::from_utf8_lossy(&text).into_owned()
    };
    (time(now), time(now.saturating_add(LIFE_MS)))
}

/// A short-lived track of nobody, which every TAK program passes on.
fn event(uid: &str) -> String {
    let (now, stale) = times();
    format!(
        "<event version=\"2.0\" uid=\"{uid}\" type=\"a-u-G\" time=\"{now}\" start=\"{now}\" stale=\"{stale}\" how=\"m-g\">\
         <point lat=\"0\" lon=\"0\" hae=\"0\" ce=\"9999999.0\" le=\"9999999.0\"/><detail><remarks>tombolo check</remarks>\
         </detail></event>"
    )
}

fn delete(uid: &str) -> String {
    let (now, stale) = times();
    format!(
        "<event version=\"2.0\" uid=\"{uid}-delete\" type=\"t-x-d-d\" time=\"{now}\" start=\"{now}\" stale=\"{stale}\" \
         how=\"m-g\"><point lat=\"0\" lon=\"0\" hae=\"0\" ce=\"9999999.0\" le=\"9999999.0\"/><detail>\
         <link uid=\"{uid}\" type=\"a-u-G\" relation=\"none\"/></detail></event>"
    )
}
