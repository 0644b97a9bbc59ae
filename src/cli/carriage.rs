//! Data packages on their way between federates, for people.

use super::output::clean;
use crate::link::courier::told::{Carriage, Ended, Transfer};

/// Lines for `status` and `packages`; empty when there is nothing to say.
pub(super) fn table(carriage: &Carriage) -> String {
    let mut text = String::new();
    for transfer in &carriage.transfers {
        text.push_str(&under_way(transfer));
    }
    for ended in &carriage.ended {
        text.push_str(&over(ended));
    }
    match text.is_empty() {
        true => text,
        false => format!("\nDATA PACKAGES\n{text}"),
    }
}

fn under_way(transfer: &Transfer) -> String {
    let peer = match (transfer.incoming, transfer.peer.as_str()) {
        (true, "") => "awaited from its sender".to_owned(),
        (true, peer) => format!("from {}", clean(peer)),
        (false, peer) => format!("to {}", clean(peer)),
    };
    let percent = match transfer.size {
        0 => String::new(),
        size => format!(
            ", {} % of {} KiB",
            transfer.done.saturating_mul(100) / size,
            size.div_ceil(1024)
        ),
    };
    format!("  {}: {peer}{percent}\n", clean(&transfer.filename))
}

fn over(ended: &Ended) -> String {
    let way = match ended.incoming {
        true => "from",
        false => "to",
    };
    let name = match ended.filename.as_str() {
        "" => "a package",
        name => name,
    };
    let reason = ended
        .reason
        .as_ref()
        .map(|reason| format!(" ({})", clean(reason)));
    format!(
        "  {}: {way} {}: {}{}\n",
        clean(name),
        clean(&ended.peer),
        clean(&ended.words),
        reason.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_one_line_with_its_reason() {
        let carriage = Carriage {
            transfers: vec![Transfer {
                peer: "bravo".into(),
                incoming: false,
                hash: "ab".into(),
                filename: "m.zip".into(),
                size: 4096,
                done: 1024,
            }],
            ended: vec![Ended {
                at_ms: 0,
                peer: "charlie".into(),
                incoming: true,
                hash: "cd".into(),
                filename: "x.pref".into(),
                reason: Some("package_blocked".into()),
                words: "no".into(),
            }],
        };
        assert_eq!(
            table(&carriage),
            "\nDATA PACKAGES\n  m.zip: to bravo, 25 % of 4 KiB\n  x.pref: from charlie: no (package_blocked)\n"
        );
        assert_eq!(table(&Carriage::default()), "");
    }
}
