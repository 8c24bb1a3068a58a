"""Every attack that the server and its desk have to hold against, and the tests that prove it, here or elsewhere."""

import importlib
import inspect

import pytest

OAUTH, REST, MCP, PRESENCE = "tests.console.oauth", "tests.console.api", "tests.mcpserver", "tests.console.presence"
BELOW = f"{REST}.test_management_keys_stay_below_their_owner"
NEWS = "tests.console.notifications"
REACH = "tests.console.orders.test_order_access"
ATTACKS = {
    "open redirect": ["tests.attacks.test_open_redirect"],
    "redirect URI variants": [
        f"{OAUTH}.test_requests:test_an_address_that_differs_anywhere_is_shown_beside_the_registered_one",
        f"{OAUTH}.test_requests:test_the_port_is_free_on_loopback_and_nowhere_else",
        "tests.console.clients.test_registration:test_a_bad_address_is_refused_by_both_endpoints_in_words",
    ],
    "PKCE downgrade and missing verifier": [
        "tests.attacks.test_substitution:test_pkce_cannot_be_left_out_at_one_end",
        f"{OAUTH}.test_requests:test_the_client_is_told_of_its_own_mistakes_before_consent",
        f"{OAUTH}.test_requests:test_the_verifier_must_be_the_one_behind_the_challenge",
    ],
    "code injection": [
        "tests.attacks.test_substitution:test_a_code_that_was_stolen_is_of_no_use_without_the_verifier",
        f"{OAUTH}.test_sign_in:test_a_code_is_bound_to_its_client",
    ],
    "code replay": [
        f"{OAUTH}.test_tokens:test_a_code_sent_twice_later_ends_what_it_gave",
        f"{OAUTH}.test_parallel:test_five_refreshes_with_one_token_each_give_a_pair_that_works",
        "tests.attacks.test_races",
    ],
    "token substitution across resource": [
        "tests.attacks.test_substitution:test_an_access_token_of_mcp_opens_no_page_and_no_management",
        f"{OAUTH}.test_requests:test_another_resource_is_refused_before_anything_is_written",
    ],
    "token substitution across connection": [
        "tests.attacks.test_substitution:test_a_token_acts_on_the_connection_of_its_own_consent_and_no_other",
    ],
    "parameter pollution of the connection id": [
        "tests.attacks.test_substitution:test_a_connection_in_the_query_is_not_one_in_the_form",
        f"{OAUTH}.test_consent:test_parameters_that_a_client_adds_decide_nothing",
        f"{OAUTH}.test_requests:test_a_repeated_parameter_redirects_nowhere",
    ],
    "mix-up": [
        f"{OAUTH}.test_sign_in:test_every_host_gets_from_registration_to_a_refreshed_token",
        f"{OAUTH}.test_consent:test_saying_no_tells_the_client",
        f"{OAUTH}.test_requests:test_the_client_is_told_of_its_own_mistakes_before_consent",
    ],
    "refresh reuse": [
        f"{OAUTH}.test_tokens:test_a_refresh_token_used_again_after_a_minute_ends_that_session_alone_and_its_owner_is_told",
        f"{OAUTH}.test_tokens:test_the_second_reuse_ends_the_app_and_everything_it_has",
    ],
    "CSRF on consent": [
        "tests.attacks.test_framing_and_forgery:test_another_site_cannot_press_a_button_of_the_consent_page",
    ],
    "clickjacking": ["tests.attacks.test_framing_and_forgery:test_no_page_of_the_sign_in_can_be_framed_or_kept"],
    "look-alike names, http and foreign cursor addresses": ["tests.attacks.test_impostors"],
    "metadata documents at bad addresses": ["tests.attacks.test_metadata_documents"],
    "notifications sent into the network behind us": [
        f"{NEWS}.test_other_channels:test_nobody_but_whom_the_operator_lets_sends_into_the_network_behind_us",
        f"{NEWS}.test_other_channels:test_a_name_that_leads_behind_us_is_not_called",
        f"{NEWS}.test_other_channels:test_a_webhook_follows_no_redirect",
    ],
    "notifications that somebody else reads, tests or removes": [
        f"{NEWS}.test_page:test_somebody_else_sees_tests_and_removes_nothing_of_it",
        f"{NEWS}.test_page:test_a_browser_belongs_to_whoever_enabled_it_last",
        f"{NEWS}.test_kinds_of_news:test_a_channel_of_somebody_else_gets_nothing",
    ],
    "a notification that leads elsewhere or acts by itself": [
        "tests.browser.test_push_in_a_browser",
        "tests.console.orders.test_notifications:test_a_letter_says_what_waits_whose_money_it_is_and_leads_to_the_page",
    ],
    "SQL and header injection": ["tests.attacks.test_injection"],
    "enumeration": ["tests.attacks.test_enumeration"],
    "a used authenticator code in another writing, or the one of set-up": ["tests.console.accounts.test_codes_once"],
    "consent to what the page did not show": [
        f"{OAUTH}.test_consent_as_shown",
        "tests.console.clients.test_review:test_an_app_that_changed_while_the_operator_looked_is_not_accepted",
    ],
    "invisible characters in calls, names, notes and reasons": [
        "tests.mcpserver.test_hidden_text_at_the_endpoint",
        "tests.console.test_hidden_text",
    ],
    "names that speak for us": ["tests.attacks.test_misleading_names"],
    "keeping somebody out with wrong passwords": ["tests.console.accounts.test_strangers_lock_nobody_out"],
    "a gateway at another program's port": ["tests.console.connections.test_gateways_of_operators"],
    "a new key round an app's limits, halts, pauses and addresses": [
        f"{BELOW}:test_a_new_key_keeps_to_the_limits_of_the_app_it_could_stand_in_for",
        f"{BELOW}:test_it_has_the_tightest_of_limits_and_the_sets_of_tools_that_all_have",
        f"{BELOW}:test_one_more_key_makes_no_more_room_in_a_day",
        f"{BELOW}:test_there_is_no_new_key_while_an_app_there_is_paused",
        f"{BELOW}:test_nor_one_that_trades_while_an_app_there_is_halted",
        f"{BELOW}:test_ending_an_app_with_the_key_is_no_way_out_of_its_limits_or_its_pause",
        f"{BELOW}:test_where_keys_are_bound_to_addresses_a_new_one_is_too",
        "tests.console.connected_apps.test_signing_in_again:"
        "test_an_app_that_signs_itself_out_loses_neither_its_limits_nor_its_pause",
    ],
    "trade keys and trading from a management key": [
        f"{BELOW}:test_without_its_owners_word_it_makes_keys_that_read_and_none_that_trades",
        f"{BELOW}:test_it_resumes_nothing_and_switches_nothing_on",
        f"{BELOW}:test_nor_does_it_begin_with_trading_on",
        f"{REST}.test_authority_matrix:test_each_credential_opens_its_endpoints_and_no_other",
    ],
    "what a stolen management key left behind": [
        f"{BELOW}:test_it_ends_with_the_key_that_made_it",
        f"{BELOW}:test_what_it_made_never_outlives_it",
        f"{BELOW}:test_it_is_listed_beneath_its_maker_on_the_page_in_rest_and_on_the_trace",
        f"{BELOW}:test_the_call_that_made_it_names_it_and_so_does_the_change",
        f"{BELOW}:test_a_client_it_registers_ends_when_it_is_reported_as_leaked",
    ],
    "a client that a management key registered as its owner's": [
        f"{OAUTH}.test_consent:test_a_client_that_a_management_key_registered_is_called_that_and_not_yours",
    ],
    "a stop in another pair of its coin, and one that its broker did not find": [
        f"{REACH}:test_a_coin_is_guarded_by_a_stop_in_any_of_its_pairs",
        f"{REACH}:test_a_stop_that_its_broker_did_not_find_is_still_the_owners_to_let_go",
    ],
    "one coin by several pairs, past the limit of a position": [
        "tests.console.orders.test_limits:test_a_coin_is_one_position_by_whichever_of_its_pairs_it_is_told_or_bought",
        "tests.console.orders.test_limits:test_what_rests_in_another_pair_of_the_coin_counts",
    ],
    "a limit far through the book in place of a market order": [
        "tests.console.orders.test_collar:test_on_live_a_limit_far_through_the_book_is_no_way_to_take_any_price",
    ],
    "a standing rule that its owner did not make, or more than it says": [
        "tests.console.orders.test_standing_rule_pages:test_a_passkeys_proof_is_for_that_very_rule",
        "tests.console.orders.test_standing_rule_pages:test_no_token_leads_here",
        "tests.console.orders.test_standing_rules:test_no_tool_and_no_address_of_the_api_makes_or_widens_one",
        "tests.console.orders.test_standing_rules:test_the_value_of_a_day_counts_whatever_becomes_of_an_order",
        "tests.console.orders.test_standing_rules:test_changes_cancels_and_closing_everything_stay_the_owners",
        "tests.end_to_end.test_limit_race",
    ],
    "so many orders that their owner finds none": [
        "tests.console.orders.test_time_to_approve:test_more_than_a_person_can_look_at_is_not_held_for_them",
    ],
    "an app in a loop against its owner": [
        f"{REST}.test_nobody_keeps_an_owner_from_stopping",
        f"{MCP}.test_call_limits:test_the_limits_hold_over_all_apps_of_a_user_and_cancels_pass_them",
    ],
    "list and initialize requests without end": [
        f"{MCP}.test_call_limits:test_each_of_them_is_counted",
        f"{MCP}.test_call_limits:test_lists_and_greetings_are_counted_apart_from_calls_and_apart_by_app",
    ],
    "an endpoint that forgets a switch": [f"{MCP}.test_every_endpoint_and_every_switch"],
    "forwarded addresses": [
        "tests.test_who_is_in_front:test_nobody_is_believed_unless_named",
        "tests.test_who_is_in_front:"
        "test_a_key_bound_to_an_address_is_not_opened_by_a_header_unless_a_named_proxy_sent_it",
    ],
    "addresses that are none": ["tests.test_who_is_in_front:test_an_odd_address_is_no_error_at_any_reader"],
    "numbers that lost digits": [
        f"{MCP}.test_numbers_that_lost_digits:test_an_amount_is_refused_and_nothing_is_prepared",
        f"{MCP}.test_numbers_that_lost_digits:test_every_argument_that_takes_a_number_refuses_it",
    ],
    "words taken for booleans, and other scripts' digits for numbers": [
        f"{REST}.test_only_what_is_meant_is_taken",
        "tests.console.platforms.test_users_over_rest:test_starting_cash_is_a_plain_decimal",
    ],
    "confirming while the user is still being asked": [
        "tests.mcpserver.test_a_question_is_its_users",
        "tests.attacks.test_races:test_an_app_that_confirms_while_its_users_answer_arrives_sends_nothing",
    ],
    "undoing what the owner decided with a trade key": [
        REACH,
        "tests.console.api.test_authority_matrix:test_each_credential_opens_its_endpoints_and_no_other",
        "tests.console.api.test_authority_matrix:test_a_cancel_of_what_guards_a_position_waits_for_the_owner",
    ],
    "cancelling or changing another app's orders": [
        f"{REACH}:test_another_apps_order_is_out_of_reach",
        f"{REACH}:test_cancel_all_takes_the_apps_own_orders_and_no_others",
        f"{REACH}:test_an_app_closes_no_position_over_another_apps_order",
    ],
    "confirming after the policy was loosened": [
        f"{REACH}:test_a_policy_that_was_loosened_since_leaves_it_to_the_owner",
        f"{REACH}:test_a_change_that_waits_for_the_owner_does_too",
    ],
    "a forbidden coin by the other side of a pair, or by what is built on it": [
        "tests.console.test_limits_by_name:"
        "test_a_forbidden_coin_is_forbidden_on_either_side_and_in_what_is_built_on_it",
        "tests.console.connections.test_names_in_limits:test_never_btc_lets_no_pair_bring_it_in",
    ],
    "a forbidden name that matches nothing": [
        "tests.console.connections.test_names_in_limits:test_at_the_rest_api",
        "tests.console.connections.test_names_in_limits:test_on_the_page",
    ],
    "a stop that is through, and a stop-limit order far from the market, past the collar": [
        "tests.console.orders.test_collar",
    ],
    "a day's limit used anew after signing in again": [
        "tests.console.orders.test_signed_in_again:test_a_days_use_stays_used",
    ],
    # By their numbers in the run of November 2026.
    "95: bodies that never end": ["tests.mcpserver.test_slow_bodies"],
    "107: a foreign Host header": ["tests.attacks.test_foreign_hosts"],
    "111: a message read half written": ["tests.console.test_embedded_queue", "tests.onboarding.test_soak"],
    "115: the link of a forgotten password in the log": [
        "tests.end_to_end.test_recovery:test_a_forgotten_password_is_replaced_by_the_letters_link"
    ],
    "cookies copied by another program on this computer": [
        f"{PRESENCE}.test_every_act_takes_its_own_proof",
        "tests.console.api.test_proof_of_presence",
        "tests.console.api.test_authority_matrix:test_each_credential_opens_its_endpoints_and_no_other",
        "tests.console.test_own_name",
        "tests.end_to_end.test_own_name",
    ],
    "a passkey added with a question that anybody may ask": [f"{PRESENCE}.test_a_passkey_answers_its_own_question"],
    "a passkey asked by a page of another port": [f"{PRESENCE}.test_where_a_passkey_answers"],
    "real money loosened with a password": [
        f"{PRESENCE}.test_every_act_takes_its_own_proof:test_with_real_money_it_is_always_a_passkey",
        "tests.console.api.test_proof_of_presence:test_with_real_money_it_is_always_a_passkey",
    ],
    "a password guessed where presence is proved": [
        f"{REST}.test_proof_of_presence:test_guessing_the_password_here_ends_after_five_and_keeps_nobody_from_signing_in",
    ],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_said_to_be_proved_is_a_test(attack: str) -> None:
    for place in ATTACKS[attack]:
        module, _, name = place.partition(":")
        found = dict(inspect.getmembers(importlib.import_module(module), inspect.isfunction))
        assert any(each.startswith("test_") and name in ("", each) for each in found), place
