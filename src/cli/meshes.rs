//! The meshes, in the table of `status`.

use super::output::{clean, column, wrap};
use crate::api::meshes::MeshStatus;
use crate::console::wording::{counts, heard};

/// A table with its heading, no wider than `width`; nothing without meshes. `now` is RFC 3339.
pub(super) fn table(meshes: &[MeshStatus], now: &str, width: usize) -> String {
    let mut text = String::new();
    if !meshes.is_empty() {
        text.push_str(
            "\nMESH                 STATE                               IN       OUT  HEARD\n",
        );
    }
    for mesh in meshes {
        text.push_str(&format!(
            "{} {:<10} {:>7} {:>7} {:>9} {:>9}  {}\n",
            column(&mesh.name, 20),
            mesh.state,
            "",
            "",
            mesh.events_in,
            mesh.events_out,
            clean(&heard(mesh.last_heard.as_deref(), now)),
        ));
        let dropped = match mesh.dropped.is_empty() {
            true => String::new(),
            false => format!("dropped: {}", counts(&mesh.dropped)),
        };
        for line in [mesh.place(), mesh.reason.clone(), dropped] {
            text.push_str(&wrap(&clean(&line), "  ", width));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_has_its_lines() {
        assert_eq!(table(&[], "", 80), "");
        let status = crate::api::status::tests::example();
        let mut mesh = status.meshes[0].clone();
        mesh.reason = "eth0: there is no such interface; `ip link` lists those there are".into();
        let text = table(&[mesh], &status.clock.utc, 80);
        for part in [
            "lan                  flowing",
            "on eth0 10.0.0.2",
            "no such interface",
            "dropped: duplicate 3",
            "2 s ago",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }
}
