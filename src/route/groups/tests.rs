//! From the configuration to sets.

use std::path::Path;

use super::*;

fn groups(text: &str, is_kin: bool) -> Groups {
    let pin = "ab".repeat(32);
    let text = text.replace("[[peer]]", &format!("[[peer]]\nfingerprint = \"{pin}\""));
    let config = Config::parse(&text, Path::new("")).unwrap();
    Groups::of(&config, |_| is_kin)
}

fn mapped(groups: &Groups, names: &[&str]) -> Vec<String> {
    let policy = &groups.peers[0];
    let mapping = policy.mapping.as_ref().unwrap();
    let named = names.iter().map(|name| name.as_bytes());
    let set = mapping.groups(named, &groups.table, policy.membership.says);
    groups.table.names(set).map(str::to_owned).collect()
}

#[test]
fn without_a_word_everybody_hears_everybody() {
    let groups = groups(
        "[[network]]\nname = \"range\"\n[[peer]]\nname = \"b\"\n",
        false,
    );
    assert_eq!(groups.peers, [PeerPolicy::plain("b")]);
    assert_eq!(
        groups.networks,
        [NetworkPolicy::plain(0), NetworkPolicy::plain(1)]
    );
    let [one, other] = [0, 1].map(|at| groups.networks[at].membership);
    assert!(one.says.meets(other.hears) && one.says.meets(GroupSet::ALL));
    assert_eq!(groups.announced("b"), ["__ANON__"]);
}

#[test]
fn a_network_with_a_direction_off_still_hears_itself() {
    let text = "[[network]]\nname = \"local\"\nincoming = false\n[[network]]\nname = \"range\"\noutgoing = false\n";
    let groups = groups(text, false);
    let [mute, deaf] = [0, 1].map(|at| groups.networks[at].membership);
    assert!(!mute.says.meets(deaf.hears) && !mute.says.meets(GroupSet::ALL));
    assert!(mute.says.meets(mute.hears) && deaf.says.meets(deaf.hears));
    assert!(deaf.says.meets(mute.hears) && !deaf.hears.meets(GroupSet::ALL));
}

#[test]
fn names_of_a_peer_become_ours_by_the_list() {
    let text = "[[peer]]\nname = \"b\"\ngroup_mapping = true\ninbound_groups = [\"Guests\"]\n\
                inbound_group_mapping = [\"Rot:Red\", \"Blau:Blue\", \"Blau:Navy\"]\noutbound_groups = [\"Blue\"]\n";
    let groups = groups(text, true);
    let mut all = mapped(&groups, &["Blau", "?", "Rot"]);
    all.sort();
    assert_eq!(all, ["Blue", "Navy", "Red"]);
    // No fallback: what has no known name is for nobody, the list of groups or not. Nor is our own name for one theirs.
    for names in [&[][..], &["?"], &["Red"], &["rot"]] {
        assert!(mapped(&groups, names).is_empty(), "{names:?}");
    }
    assert_eq!(groups.announced("b"), ["Blue"]);
    assert_eq!(groups.announced("nobody"), ["__ANON__"]);
}

#[test]
fn what_has_no_known_name_falls_back_to_the_plain_list() {
    let text = "[[peer]]\nname = \"b\"\ngroup_mapping = true\nfallback_when_no_group_mappings = true\n\
                inbound_group_mapping = [\"Rot:Red\"]\ninbound_groups = [\"Guests\"]\n";
    let groups = groups(text, false);
    assert_eq!(mapped(&groups, &["?"]), ["Guests"]);
    assert_eq!(mapped(&groups, &["Rot", "?"]), ["Red"]);
}

#[test]
fn a_federate_whose_groups_meet_nobodys_is_found() {
    let of = |text: &str| groups(text, false).crossing("b");
    assert_eq!(of("[[peer]]\nname = \"b\"\n"), [true, true]);
    let blue = "[[peer]]\nname = \"b\"\noutbound_groups = [\"Blue\"]\ninbound_groups = []\n";
    assert_eq!(of(blue), [false, false]);
    let network = "[[network]]\nname = \"n\"\ninbound_groups = [\"Blue\"]\n";
    assert_eq!(of(&format!("{network}{blue}")), [true, false]);
    assert_eq!(
        of(&format!("{blue}[[peer]]\nname = \"c\"\n")),
        [true, false]
    );
    let mapped =
        "[[peer]]\nname = \"b\"\ngroup_mapping = true\ninbound_group_mapping = [\"x:Red\"]\n";
    assert_eq!(of(mapped), [true, false]);
    let fallback = format!("{mapped}fallback_when_no_group_mappings = true\n");
    assert_eq!(of(&fallback), [true, true]);
}

#[test]
fn names_are_the_same_for_kin_and_only_those_that_are_known_here() {
    let text = "[[network]]\nname = \"range\"\ninbound_groups = [\"Blue\"]\n\
                [[peer]]\nname = \"b\"\ngroup_mapping = true\nautomatic_group_mapping = true\n\
                inbound_group_mapping = [\"Blau:Blue\"]\n";
    let kin = groups(text, true);
    assert_eq!(
        mapped(&kin, &["Blue", "New", "__ANON__"]),
        ["__ANON__", "Blue"]
    );
    assert!(mapped(&kin, &["Blau"]).is_empty());
    // Of another CA: by the list.
    let stranger = groups(text, false);
    assert_eq!(mapped(&stranger, &["Blue", "Blau"]), ["Blue"]);
    assert!(mapped(&stranger, &["Blue"]).is_empty());
}
