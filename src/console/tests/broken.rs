//! Broken and arbitrary input at every prompt.

use proptest::prelude::*;

use super::*;

/// Lines that lead to every prompt there is.
const WAYS: &[&str] = &[
    "",
    "setup",
    "setup\n ",
    "setup\n \n ",
    "setup\n \n \n ",
    "setup\n \n \n \n-----BEGIN CERTIFICATE-----",
    "setup\n \n \n \nabababababababababababababababababababababababababababababababab",
    "setup\n \n \n \nlater",
    "paste bravo",
    "paste bravo\n-----BEGIN CERTIFICATE-----\nAAAA",
    "reboot",
    "pin set",
    "pin set\n1234",
];

fn narrow_ascii(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte))
        && text.lines().all(|line| line.len() <= 79)
}

#[test]
fn every_prompt_survives_broken_input() {
    for way in WAYS {
        for broken in [
            Input::Line("\u{1b}[A".into()),
            Input::Line("\u{0}\u{7}".into()),
            Input::Line("-----END CERTIFICATE-----".into()),
            Input::Line("-----BEGIN PRIVATE KEY-----".into()),
            Input::Line("x".repeat(4095)),
            Input::Line("\u{fffd}\u{2603}".into()),
            Input::TooLong,
            Input::NotText,
            Input::Interrupt,
            Input::End,
        ] {
            let mut world = World::new(
                PEER,
                Manner {
                    is_script: false,
                    stays: true,
                },
            );
            world.lines(way);
            world.input(broken.clone());
            assert!(
                narrow_ascii(&world.shown),
                "{way:?} {broken:?}: {}",
                world.shown
            );
            // Ctrl-C leads back to commands from everywhere, at the second time at the latest.
            world.input(Input::Interrupt);
            world.input(Input::Interrupt);
            world.prompt_is("tombolo> ");
            assert_eq!(world.text, PEER, "{way:?} {broken:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_is_typed_is_answered_in_narrow_ascii(
        way in proptest::sample::select(WAYS),
        lines in proptest::collection::vec(
            "(help|set|unset|show|commit|peer|log|paste|pin|update|cert) (node.name|peer.bravo.address|add|set|clear|confirm|x) .{0,30}|.{0,120}|yes|back|no|\\?",
            1..8,
        ),
    ) {
        let mut world = World::new(PEER, Manner { is_script: false, stays: true });
        prop_assert!(narrow_ascii(&world.shown), "{}", world.shown);
        world.lines(way);
        for line in lines {
            let shown = world.line(&line);
            prop_assert!(narrow_ascii(&shown), "{}: {}", line, shown);
            if let Some((prompt, _)) = world.console.prompt() {
                prop_assert!(prompt.ends_with("> ") && prompt.is_ascii(), "{}", prompt);
            }
            prop_assert!(Config::parse(&world.text, Path::new("")).is_ok());
        }
    }
}
