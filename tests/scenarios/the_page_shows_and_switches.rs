//! The status page: nothing for strangers, everything for who signs in, buttons for who may press them; and as a
//! browser sees it, where there is one.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{
    Answer, Api, Authority, Device, Registration, Setup, TomboloBox, ask, eventually, joined,
    position, track,
};

const PASSWORD: &str = "a password of some length";

/// A browser: it keeps a cookie, and says where its forms were filled in.
struct Browser {
    api: Api,
    origin: String,
    cookie: Option<String>,
}

impl Browser {
    fn of(tombolo: &TomboloBox) -> Self {
        Self {
            api: Api::of(tombolo),
            origin: format!("Origin: https://{}", tombolo.api()),
            cookie: None,
        }
    }

    fn api(&self) -> Api {
        match &self.cookie {
            Some(cookie) => self.api.with(&["-H", &format!("Cookie: {cookie}")]),
            None => self.api.clone(),
        }
    }

    fn read(&self, path: &str) -> Answer {
        self.api().read(path)
    }

    fn post(&self, path: &str, form: &str) -> Answer {
        self.api()
            .with(&["-H", &self.origin])
            .ask("POST", path, form)
    }

    fn sign_in(mut self, form: &str) -> Self {
        let answer = self.post("/login", form);
        assert_eq!(answer.status, 303, "{answer:?}");
        let header = answer
            .headers
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        let header = header.unwrap_or_else(|| panic!("no cookie: {answer:?}"));
        for part in [
            "__Host-tombolo=",
            "; Secure",
            "; HttpOnly",
            "; SameSite=Strict",
            "; Path=/",
        ] {
            assert!(header.contains(part), "{part}: {header}");
        }
        self.cookie = header.split(';').next().map(str::to_owned);
        self
    }
}

fn token_of(tombolo: &TomboloBox, name: &str, scopes: &str) -> String {
    let scopes = scopes.split(' ').flat_map(|scope| ["--scope", scope]);
    let words: Vec<&str> = ["token", "add", name].into_iter().chain(scopes).collect();
    let made = tombolo.call(&words, "");
    format!("token={}", made.success().trim())
}

#[test]
fn strangers_see_the_sign_in_page_and_nothing_else() {
    let hostile = "\"><script>x</script>";
    let leaf = Authority::new("b").issue("b");
    let alpha = Setup::new("alpha")
        .api()
        .peer(Registration::of("bravo", &leaf))
        .start();
    alpha
        .call(["token", "password", "ada", "--scope", "viewer"], PASSWORD)
        .success();
    let stranger = Browser::of(&alpha);
    for path in ["/", "/why?uid=x", "/remove?peer=bravo"] {
        let answer = stranger.read(path);
        assert!(
            answer.status == 303 && answer.headers.contains("location: /login"),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(stranger.read("/live").status, 401);
    let page = stranger.read("/login");
    assert!(
        page.status == 200 && page.body.contains("alpha") && !page.body.contains("bravo"),
        "{page:?}"
    );
    for header in [
        "content-security-policy: default-src 'none'",
        "x-frame-options: DENY",
        "cache-control: no-store",
    ] {
        assert!(page.headers.contains(header), "{header}: {page:?}");
    }
    for (asset, kind) in [
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = stranger.read(asset);
        assert!(
            answer.status == 200 && answer.headers.contains(kind),
            "{asset}: {answer:?}"
        );
    }
    assert_eq!(stranger.post("/", "").status, 405);
    // Not with a wrong password, and not from another site.
    let wrong = stranger.post("/login", &format!("username=ada&password=wrong{hostile}"));
    assert!(
        wrong.status == 401 && wrong.body.contains("is wrong") && !wrong.body.contains("<script>x"),
        "{wrong:?}"
    );
    assert_eq!(stranger.post("/login", "token=tmb_nothing").status, 401);
    let right = "username=ada&password=a+password+of+some+length";
    for origin in ["Origin: https://evil.example", "Origin: null", "X-None: 1"] {
        let answer = Api::of(&alpha)
            .with(&["-H", origin])
            .ask("POST", "/login", right);
        assert_eq!(answer.status, 403, "{origin}: {answer:?}");
    }
    let ada = Browser::of(&alpha).sign_in(right);
    let page = ada.read("/");
    assert!(
        page.status == 200 && page.body.contains("bravo") && page.body.contains("Sign out"),
        "{page:?}"
    );
    assert!(
        !page.body.contains("action=\"/peer\"") && !page.body.contains("action=\"/remove\""),
        "{page:?}"
    );
    // The cookie reads the API too, and does nothing else there.
    assert_eq!(ada.read("/api/status").status, 200);
    assert_eq!(
        ada.api().ask("PATCH", "/api/federation/bravo", "{}").status,
        401
    );
    let foreign = ada.api().with(&["-H", "Origin: https://evil.example"]);
    assert_eq!(foreign.read("/api/status").status, 401);
    for (path, form) in [
        ("/peer", "peer=bravo&do=pause"),
        ("/remove", "peer=bravo"),
        ("/check", "peer=bravo"),
    ] {
        assert_eq!(ada.post(path, form).status, 403, "{path}");
    }
    let out = ada.post("/logout", "");
    assert!(
        out.status == 303 && out.headers.contains("Max-Age=0"),
        "{out:?}"
    );
    assert_eq!(
        ada.read("/").status,
        303,
        "the session is over, whatever the browser keeps"
    );
}

#[test]
fn who_may_switches_pauses_checks_and_removes() {
    let authority = Authority::new("ca");
    let (alpha, bravo) = joined(
        Setup::new("alpha")
            .identity(&authority.issue("alpha"))
            .api(),
        Setup::new("bravo").identity(&authority.issue("bravo")),
    );
    let operator = Browser::of(&alpha).sign_in(&token_of(&alpha, "operator", "operator"));
    let peer = || alpha.status().0["peers"][0].clone();
    let press = |what: &str| {
        let answer = operator.post("/peer", &format!("peer=bravo&do={what}"));
        assert!(
            answer.status == 303 && answer.headers.contains("location: /#peer-bravo"),
            "{what}: {answer:?}"
        );
    };
    for (word, key) in [
        ("in", "incoming"),
        ("out", "outgoing"),
        ("dp_in", "data_packages_in"),
        ("dp_out", "data_packages_out"),
    ] {
        for (state, is_on) in [("off", false), ("on", true)] {
            press(&format!("{word}_{state}"));
            assert_eq!(peer()[key], is_on, "{word}");
        }
    }
    press("pause");
    assert_eq!(peer()["enabled"], false);
    eventually("the page says so", || {
        operator
            .read("/live")
            .body
            .contains(">Paused<")
            .then_some(())
    });
    press("resume");
    alpha.wait_peer("bravo");
    let checked = operator.post("/check", "peer=bravo");
    assert!(
        checked.status == 200 && checked.body.contains("a probe came back"),
        "{checked:?}"
    );
    // The same by the API.
    let api = Api::with_scopes(&alpha, "checker", "inject");
    let checked = api.ask("POST", "/api/check/bravo", "").expect(200);
    assert_eq!(
        (&checked["done"], &checked["verdict"]),
        (&true.into(), &"proven".into()),
        "{checked}"
    );
    assert_eq!(api.ask("POST", "/api/check/nobody", "").status, 404);
    let viewer = Api::with_scopes(&alpha, "viewer", "viewer");
    assert_eq!(viewer.ask("POST", "/api/check/bravo", "").status, 403);
    let device = Device::plain(alpha.clients_tcp());
    device.send(position("otter-1", "OTTER"));
    let why = eventually("it is known", || {
        let why = viewer.read("/api/why?uid=OTTER&peer=bravo").expect(200);
        (why["fates"][0]["fate"] == "sent").then_some(why)
    });
    assert_eq!(why["uid"], "otter-1");
    assert_eq!(viewer.read("/api/why").expect(422)["key"], "uid");
    assert_eq!(viewer.read("/api/why?uid=a&uid=b").status, 422);
    assert_eq!(
        viewer.read("/api/why?uid=a&per=b").expect(422)["key"],
        "per"
    );
    assert_eq!(viewer.read("/api/why?uid=%zz").status, 400);
    assert_eq!(viewer.read("/api/why?uid=a&peer=nobody").status, 404);
    assert_eq!(viewer.read("/api/update").expect(404)["code"], "no_slots");
    let told = operator.read("/why?uid=OTTER&peer=");
    assert!(
        told.status == 200 && told.body.contains("otter-1"),
        "{told:?}"
    );
    // Who may federate with others makes a code, and nobody else sees it.
    let partner = Browser::of(&alpha).sign_in(&token_of(&alpha, "partner", "view federate_across"));
    assert_eq!(operator.post("/pair", "do=code").status, 403);
    assert_eq!(partner.post("/pair", "do=code&incoming=on").status, 303);
    let page = partner.read("/").body;
    let (_, after) = page.split_once("<output>").expect("the code");
    let (code, _) = after.split_once('<').expect("its end");
    assert!(
        code.len() >= 8 && !operator.read("/").body.contains(code),
        "{code}"
    );
    assert_eq!(partner.post("/pair", "do=clear").status, 303);
    assert!(!partner.read("/").body.contains("<output>"));
    assert_eq!(partner.post("/pair", "do=join&code=x&host=").status, 422);
    // An operator may not stop a federation; who may is asked before.
    assert_eq!(operator.read("/remove?peer=bravo").status, 403);
    let admin = Browser::of(&alpha).sign_in(&token_of(&alpha, "admin", "administrator"));
    assert!(
        admin
            .read("/remove?peer=bravo")
            .body
            .contains("Remove bravo?")
    );
    assert_eq!(admin.post("/remove", "peer=nobody").status, 404);
    assert_eq!(admin.post("/remove", "peer=bravo").status, 303);
    bravo.wait_peer_gone("alpha");
    assert_eq!(alpha.status().0["peers"], serde_json::json!([]));
    assert!(
        admin
            .read("/")
            .body
            .contains("No federate is registered yet")
    );
    assert_eq!(admin.post("/peer", "peer=bravo&do=pause").status, 404);
}

/// What a browser makes of it: pictures are in target/page.
#[test]
fn a_browser_shows_it() {
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "chrome",
    ];
    let is_there = |name: &&str| {
        Command::new(name)
            .arg("--version")
            .output()
            .is_ok_and(|done| done.status.success())
    };
    if std::env::var_os("CHROMIUM").is_none() && !names.iter().any(is_there) {
        println!(
            "skipped: no Chromium here (apt-get install chromium, or set CHROMIUM to the program)"
        );
        return;
    }
    let authority = Authority::new("ca");
    let (alpha, bravo) = joined(
        Setup::new("alpha")
            .identity(&authority.issue("alpha"))
            .api(),
        Setup::new("bravo").identity(&authority.issue("bravo")),
    );
    let [admin, viewer] = [("admin", "administrator"), ("viewer", "viewer")]
        .map(|(name, scopes)| Api::with_scopes(&alpha, name, scopes).token().to_owned());
    let stop = Arc::new(AtomicBool::new(false));
    let traffic: Vec<_> = [
        ("otter", alpha.clients_tcp()),
        ("heron", bravo.clients_tcp()),
    ]
    .map(|(name, address)| {
        let (stop, device) = (Arc::clone(&stop), Device::plain(address));
        std::thread::spawn(move || {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                device.send(track(&format!("{name}-{}", number % 5), number));
                number += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
        })
    })
    .into();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("tests/peers/page.py").display().to_string();
    let pictures = root.join("target/page").display().to_string();
    let base = format!("https://{}", alpha.api());
    let done = ask(
        Path::new("python3"),
        [&script, &base, "bravo", &admin, &viewer, &pictures],
        "",
    );
    stop.store(true, Ordering::Relaxed);
    for thread in traffic {
        thread.join().expect("traffic");
    }
    println!("{}", done.success());
}
