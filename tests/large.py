"""Tests that `make soak` alone runs: they are long, and what they cover is covered in `make test`.

`make test` must end within a quarter of an hour on two cores. So it keeps one case for each way through the
program, and `make soak` runs all of them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import pytest

NONE: Final[tuple[str, ...]] = ()
LARGE: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    # Pages in Chromium
    "test_board": {
        "test_a_lost_connection_is_said_and_mended": NONE,
        "test_a_call_is_seen_and_ended": NONE,
        "test_a_phone_is_unlocked_and_gets_new_credentials": NONE,
        "test_a_reseller_chooses_among_its_customers": NONE,
        "test_a_phone_that_moved_is_let_in_again": NONE,
        "test_people_of_another_customer_see_nothing": NONE,
        "test_the_page_of_security_says_what_it_does_not_name": NONE,
    },
    "test_browser": {
        "test_who_is_muted_or_on_hold_is_not_heard": NONE,
        "test_a_second_caller_waits": NONE,
        "test_a_call_is_transferred": NONE,
        "test_a_reload_leaves_no_gap": NONE,
        "test_a_page_in_a_call_fits_a_small_screen": NONE,
        "test_a_page_that_is_left_hangs_up": NONE,
        "test_closing_the_tab_is_noticed": NONE,
        "test_a_certificate_that_nobody_vouches_for_is_explained": NONE,
    },
    "test_calls_reloaded": {
        "test_a_page_whose_connection_alone_was_cut_keeps_its_call": ("sipjs-callee",),
    },
    "test_page_everybody": {
        "test_the_focus_stays_with_the_call": ("keyboard",),
        "test_the_focus_stays_with_a_call_that_the_other_side_ends": NONE,
        "test_the_focus_of_a_card_that_goes_is_at_the_next_call": NONE,
        "test_the_focus_elsewhere_is_left_alone": NONE,
        "test_the_button_that_registers_keeps_the_focus": NONE,
        "test_what_went_wrong_is_for_everybody": NONE,
        "test_a_registration_is_for_everybody": NONE,
    },
    "test_page_person": {
        "test_it_asks_before_it_is_closed_in_a_call_and_only_then": NONE,
        "test_leave_to_notify_is_asked_for_by_a_button_alone": ("granted",),
        "test_a_notification_goes_when_the_page_is_looked_at": NONE,
        "test_another_microphone_and_speaker_in_a_call": NONE,
        "test_a_microphone_that_is_gone_is_replaced_by_that_of_the_system": NONE,
        "test_which_calls_are_missed": NONE,
        "test_a_list_that_cannot_be_read_is_empty": ("{",),
    },
    "test_page_favourites": {
        "test_do_not_disturb": NONE,
        "test_a_call_is_picked_up": ("button",),
        "test_only_the_call_that_was_picked_up_is_answered": NONE,
    },
    "test_page_calls": {
        "test_a_call_that_fails_says_why": ("unknown", "busy"),
        "test_without_a_microphone_it_says_why": NONE,
        "test_a_call_that_is_taken_back_says_why": ("missed",),
        "test_a_number_that_is_none_is_not_called": ("'",),
    },
    "test_page_links": {
        "test_which_server_is_the_own_one": ("another port",),
        "test_a_refusal_is_told_in_the_words_of_the_server": ("403",),
    },
    "test_selftest": {"test_the_page_is_for_everybody": ("bad",)},
    "test_softphones_set_up": {"test_a_viewer_is_offered_no_link": NONE},
    # Calls with sound, and calls of real phones
    "test_calls_sound": {
        "test_hold_and_resume": ("browser",),
        "test_phones_of_one_kind_are_not_relayed": ("udp",),
        "test_a_desk_phone_with_dtls_and_no_ice_calls_a_browser": NONE,
        "test_two_desk_phones_of_which_one_demands_srtp": NONE,
    },
    "test_calls_sound_moves": {
        "test_blind_transfer": NONE,
        "test_a_call_outlives_the_connection_of_the_browser": ("browser",),
    },
    "test_calls_sound_nodes": {"test_a_browser_on_one_node_and_a_desk_phone_on_the_other": NONE},
    "test_calls_baresip": {
        "test_both_hear_each_other_and_hold_and_resume": ("udp",),
        "test_blind_transfer": ("udp",),
        "test_attended_transfer": ("tls",),
    },
    "test_calls_timers": {"test_a_callee_that_never_answers": ("180",)},
    "test_calls_trouble": {
        "test_a_bye_that_meets_a_closed_connection_arrives_when_the_phone_is_back": ("after it",),
    },
    "test_groups_media": {"test_all_ring_and_one_has_the_call_with_sound": ("page-udp",)},
    "test_queues": {"test_members_ring_in_turn_and_each_attempt_lasts": ("unanswered",)},
    "test_queues_nodes": {"test_many_callers_and_agents_on_both_nodes": ("all",)},
    "test_lamps": {"test_the_states_of_a_call_come_in_order": ("wss",)},
    "test_phones_tcp_tls": {
        "test_the_end_of_its_connection_takes_a_phone_offline": ("sipp t1 1", "baresip tls"),
    },
    # Load, faults and many rounds
    "test_bans": {"test_an_office_is_never_refused_for_its_scanner_and_its_old_password": NONE},
    "test_events_over_http": {
        "test_many_readers_cost_one_read_of_the_stream_and_little_memory": NONE,
        "test_readers_and_a_webhook_cost_the_sip_side_nothing": NONE,
    },
    "test_faults": {
        "test_the_database_is_locked_under_load": ("writers",),
        "test_the_embedded_redis_is_killed_under_load": NONE,
    },
    "test_first_fetches": {"test_check_04_of_two_that_have_read_the_same_one_is_served": NONE},
    "test_floods": {"test_honest_phones_go_on": ("register",)},
    "test_fuzz": {"test_nothing_is_found": ("message-0", "websocket-0")},
    "test_generated": {"test_no_generated_request_breaks_anything": NONE},
    "test_http_connections": {
        "test_those_who_say_nothing_take_nothing_from_others": ("HTTPS-from one source",),
    },
    "test_key_rotation": {"test_keys_are_replaced_under_load": NONE},
    "test_limits": {
        "test_garbage_is_closed_or_ignored": NONE,
        "test_a_thousand_come_and_go_each_second": ("tcp",),
    },
    "test_mac_scan": {"test_check_05_a_scan_finds_nothing": NONE},
    "test_node_lost": {"test_after_a_kill_the_next_start_tells_who_was_lost": ("external",)},
    "test_pings": {
        "test_of_two_phones_behind_one_address_the_one_that_falls_silent_is_offline": NONE,
        "test_any_answer_is_a_sign_of_life": ("404 Not Found",),
    },
    "test_rude_phones": {"test_check_20_all_are_closed_in_time_and_phones_go_on": NONE},
    "test_states": {"test_the_numbers_follow_the_phones_and_survive_an_upgrade": NONE},
    "test_ten_thousand_calls": {
        "test_no_call_fails_and_none_is_left": NONE,
        "test_relayed_calls_leave_no_session": NONE,
    },
    "test_torture": {"test_random_damage_on_connections_kills_nothing": ("tcp-3261", "wss-3261")},
    # Each transport, each database, each cause
    "test_connections": {
        "test_whoever_is_revoked_is_hung_up_on_at_once": (
            "reset-tcp", "deleted-tls", "locked elsewhere-ws", "roaming elsewhere-wss",
        ),
        "test_the_phones_of_a_blocked_customer_are_hung_up_on": ("tls",),
        "test_the_fifth_connection_of_a_phone_closes_the_oldest": ("tcp", "wss"),
        "test_a_phone_stands_in_the_index_as_long_as_it_has_a_connection": ("tcp", "wss"),
    },
    "test_https": {"test_what_cannot_be_used_is_one_line": ("one of the two", "no name")},
    "test_live_effects": {
        "test_within_a_second_both_phones_are_gone_everywhere": (
            "sqlite-resetcredentials", "sqlite-deleted", "postgresql-locked elsewhere",
            "postgresql-customer blocked",
        ),
    },
    "test_odd_messages": {
        "test_small_datagrams_of_a_stranger_are_answered_within_bounds": ("REGISTER",),
        "test_a_cancel_right_behind_its_invite_ends_the_call": ("udp-udp", "ws-ws"),
    },
    "test_provisioning_checks": {
        "test_check_11_a_function_is_written_with_the_right_number_or_refused": (
            "postgresql-snom-d735", "postgresql-mitel-6867i", "postgresql-yealink-t54w",
            "postgresql-gigaset-maxwell-3", "postgresql-grandstream-grp2612", "postgresql-cisco-spa525g2",
            "postgresql-lg-lip-8002",
        ),
    },
    "test_reload": {"test_a_phone_of_another_node_is_told_over_its_own_flow": ("udp", "wss")},
    "test_sip_users": {
        "test_sipp_registers_a_sip_user_and_is_refused_outside_the_trusted_networks": ("postgresql",),
        "test_a_user_who_is_found_gone_is_dropped_although_nobody_named_it": ("postgresql",),
        "test_a_user_who_is_deleted_is_dropped": (
            "sqlite-the user", "postgresql-its domain", "postgresql-its row alone",
        ),
    },
    "test_wheel": {"test_the_wheel_knows_its_version": NONE},
}  # fmt: skip
"""Module -> test -> the cases that `make test` keeps; the others run in the soak."""

CASE: Final = re.compile(r"([^\[]+)(?:\[(.*)\])?", re.DOTALL)


def is_large(module: str, name: str) -> bool:
    """Return whether only the soak runs the test of this name, `test_function[case]`, in the module."""
    found = CASE.fullmatch(name)
    kept = LARGE.get(module, {}).get(found[1]) if found else None
    return found is not None and kept is not None and found[2] not in kept


def without_large(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests that `make test` runs. Raise UsageError if a case that it keeps does not exist."""
    items = list(items)
    left = [item for item in items if not is_large(item.path.stem, item.name)]
    cases: dict[tuple[str, str], set[str | None]] = {}
    for item in items:
        found = CASE.fullmatch(item.name)
        if found and found[1] in LARGE.get(item.path.stem, {}):
            cases.setdefault((item.path.stem, found[1]), set()).add(found[2])
    for (module, function), there in cases.items():
        missing = set(LARGE[module][function]) - there
        if len(there) > 1 and missing:
            raise pytest.UsageError(f"{module}::{function} has no case {', '.join(sorted(missing))}")
    return left
