//! Black-box tests: every scenario starts the real program and speaks to it as a device, a federate or a shell would.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests wait on the real clock, in threads of their own"
)]

mod a_box_proves_and_records;
mod a_broken_configuration_is_refused_with_file_and_key;
mod a_code_pairs_two_boxes;
mod a_slow_client_delays_nobody;
mod a_track_crosses_from_client_to_client_over_federation;
mod bad_input_is_counted_and_hurts_nobody;
mod boxes_with_wrong_clocks;
mod clients_may_speak_protobuf;
mod clients_of_others;
mod configuration_changes_are_taken_back;
mod configurations_of_other_servers;
mod data_packages_are_kept_and_given;
mod data_packages_by_https;
mod data_packages_cross;
mod directed_chat_reaches_only_its_addressee;
mod every_box_hears_once;
mod every_break_has_its_own_words;
mod every_corpus_event_crosses_unchanged;
mod federates_of_version_one;
mod federates_on_another_stack;
mod filters_keep_what_they_say;
mod first_run_needs_no_configuration;
mod freetakserver_is_a_federate;
mod groups_say_who_hears;
mod grpc_that_lies_is_counted;
mod inject_and_peer_commands;
mod late_joiners_get_the_latest_events;
mod links_stay_alive_behind_a_nat;
mod links_that_are_cut_come_back;
mod peers_like_freetakserver;
mod provisioning_takes_all_or_nothing;
mod pure_layers_stay_pure;
mod resources_cross_on_another_stack;
mod safe_mode_keeps_a_box_in_reach;
mod seeds_commands_work_to_the_letter;
mod servers_of_others;
mod several_boxes_share_a_mesh;
mod signals_stop_and_reload;
mod status_json_has_the_promised_keys;
mod strangers_are_refused_in_the_handshake;
mod strangers_at_the_door_keep_nobody_out;
#[allow(dead_code, unused_imports, reason = "shared with the benchmark")]
mod support;
mod takproto_reads_and_writes_the_same;
mod the_api_keeps_to_its_document;
mod the_api_lets_in_who_may_come;
mod the_box_knows_what_time_it_is;
mod the_console_sets_a_box_up;
mod the_corpus_passes_in_every_form;
mod the_demo_shows_everything_crossing;
mod the_led_tells_what_the_box_does;
mod the_page_shows_and_switches;
mod the_service_manager_is_told;
mod thin_links_carry_what_matters;
mod time_comes_from_gpsd_and_chrony;
mod updates_are_tried_and_rolled_back;
mod words_wait_for_a_link_that_is_down;
mod wrong_clocks_are_corrected;
