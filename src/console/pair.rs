//! `pair code|show|clear|join ...`, with or without dashes.

use crate::api::pairing::PairRequest;
use crate::pair::Terms;

/// Reads the words behind `pair`.
///
/// # Errors
/// What is wrong with them.
pub(super) fn read(words: &[&str]) -> Result<PairRequest, String> {
    match words {
        ["show"] => Ok(PairRequest::Show),
        ["clear"] => Ok(PairRequest::Clear),
        ["code", options @ ..] => {
            let (terms, _) = options_of(options, false)?;
            Ok(PairRequest::Code { terms })
        }
        ["join", code, host, options @ ..] => {
            let (terms, reachable) = options_of(options, true)?;
            Ok(PairRequest::Join {
                code: (*code).to_owned(),
                host: (*host).to_owned(),
                terms,
                reachable,
            })
        }
        ["join", ..] => Err(
            "write pair join CODE HOST: the code as the other box shows it, and where that box is"
                .to_owned(),
        ),
        _ => {
            Err("write pair code, show, clear, or join CODE HOST; `help pair` says more".to_owned())
        }
    }
}

fn options_of(options: &[&str], joins: bool) -> Result<(Terms, bool), String> {
    let (mut terms, mut reachable) = (Terms::default(), false);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match option.trim_start_matches("--") {
            "name" => {
                let name = options.next().ok_or("name needs a name behind it")?;
                terms.name = Some((*name).to_owned());
            }
            "no-incoming" => terms.incoming = false,
            "no-outgoing" => terms.outgoing = false,
            "no-data-packages-in" => terms.data_packages_in = false,
            "no-data-packages-out" => terms.data_packages_out = false,
            "reachable" if joins => reachable = true,
            _ => return Err(format!("no option {option}; `help pair` lists them")),
        }
    }
    Ok((terms, reachable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_pairing_are_read() {
        let of = |line: &str| read(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(of("show"), Ok(PairRequest::Show));
        assert_eq!(of("clear"), Ok(PairRequest::Clear));
        let terms = Terms {
            name: Some("hq".into()),
            incoming: false,
            data_packages_out: false,
            ..Terms::default()
        };
        let line = "no-incoming --name hq no-data-packages-out";
        let code = PairRequest::Code {
            terms: terms.clone(),
        };
        assert_eq!(of(&format!("code {line}")), Ok(code));
        let join = PairRequest::Join {
            code: "k7qm-2xwd".into(),
            host: "10.0.0.1:8443".into(),
            terms,
            reachable: true,
        };
        let line = format!("join k7qm-2xwd 10.0.0.1:8443 {line} reachable");
        assert_eq!(of(&line), Ok(join));
        for bad in [
            "",
            "join",
            "join K7QM-2XWD",
            "code reachable",
            "code name",
            "explode",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
