//! The memory sum, its cures and its words.

use super::*;
use proptest::prelude::*;

#[test]
fn the_defaults_fit_sixteen_mebibytes() {
    let limits = Limits::default();
    let budget = Budget::of(&limits);
    assert_eq!(limits.memory_mib, 16);
    assert_eq!(budget.check(), Ok(()), "\n{budget}");
    // Honest: within a mebibyte of the ceiling, not far below it by leaving things out.
    assert!(budget.total() > 15 * MIB, "\n{budget}");
    println!("{budget}");
}

#[test]
fn too_much_is_refused_and_each_cure_cures() {
    let limits = Limits {
        max_clients: 200,
        ..Limits::default()
    };
    let over = Budget::of(&limits).check().unwrap_err();
    let words = over.to_string();
    assert!(words.contains("lower max_clients to "), "{words}");
    assert!(!over.lower.is_empty());
    for (key, value) in &over.lower {
        let cured = limits.with(key, *value).unwrap();
        assert_eq!(Budget::of(&cured).check(), Ok(()), "{key} = {value}");
        let not_quite = limits.with(key, value + 1).unwrap();
        assert!(
            Budget::of(&not_quite).check().is_err(),
            "{key} = {value} is not the largest"
        );
    }
    let raised = u32::try_from(over.total.div_ceil(MIB)).unwrap();
    assert!(
        words.ends_with(&format!("raise memory_mib to {raised}")),
        "{words}"
    );
    assert_eq!(
        Budget::of(&limits.with("memory_mib", raised).unwrap()).check(),
        Ok(())
    );
}

#[test]
fn two_hundred_clients_eight_federates_and_two_meshes_fit_twenty_eight_mebibytes() {
    let limits = Limits {
        max_clients: 200,
        memory_mib: 28,
        ..Limits::default()
    };
    let limits = limits.with("max_meshes", 2).unwrap_or(limits);
    assert_eq!(limits.max_federates, 8);
    let budget = Budget::of(&limits);
    assert_eq!(budget.check(), Ok(()), "\n{budget}");
    println!("{budget}");
}

#[test]
fn the_table_names_every_row_and_the_sum() {
    let budget = Budget::of(&Limits::default());
    let table = budget.to_string();
    for row in budget.rows() {
        assert!(table.contains(row.item), "{table}");
        assert!(!row.why.is_empty());
    }
    assert!(table.contains(&tenths(budget.total())), "{table}");
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
}

#[test]
fn every_limit_that_takes_memory_is_in_the_sum() {
    let limits = Limits::default();
    let base = Budget::of(&limits).total();
    for limit in Limits::TABLE {
        // One outbox can take no more than all may, whatever its own bounds.
        // The spool lies on the disk; what it has in memory is part of the waiting events.
        // Watchers and connections to the API take the places of clients.
        let free = matches!(
            limit.key,
            "memory_mib" | "outbox_kib" | "outbox_events" | "max_watchers" | "max_api_connections"
        ) || limit.key.starts_with("spool_")
            || limit.key.ends_with("_seconds");
        let more = limits.with(limit.key, limit.default + 1).unwrap();
        assert_eq!(Budget::of(&more).total() > base, !free, "{}", limit.key);
    }
}

proptest! {
    #[test]
    fn no_limits_within_their_ranges_overflow(shares in proptest::collection::vec(0.0f64..=1.0, Limits::TABLE.len())) {
        let mut limits = Limits::default();
        for (limit, share) in Limits::TABLE.iter().zip(shares) {
            let span = f64::from(limit.most - limit.least);
            limits = limits.with(limit.key, limit.least + (span * share) as u32).unwrap();
        }
        let budget = Budget::of(&limits);
        prop_assert_eq!(budget.check().is_ok(), budget.total() <= budget.ceiling());
    }
}
