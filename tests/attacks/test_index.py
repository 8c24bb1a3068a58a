"""Every attack the instance has to hold against, and the tests that prove it: here or beside the code."""

import importlib
import inspect

import pytest

OAUTH, PRESENCE = "tests.console.oauth", "tests.console.presence"
ATTACKS = {
    "open redirect": ["tests.attacks.test_open_redirect"],
    "redirect URI variants": [
        f"{OAUTH}.test_requests:test_an_address_that_differs_anywhere_is_shown_beside_the_registered_one",
        f"{OAUTH}.test_requests:test_the_port_is_free_on_loopback_and_nowhere_else",
        "tests.console.clients.test_registration:test_a_bad_address_is_refused_by_both_doors_in_words",
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
    "refresh reuse": [f"{OAUTH}.test_tokens:test_a_refresh_token_used_again_after_a_minute_ends_the_whole_family"],
    "CSRF on consent": [
        "tests.attacks.test_framing_and_forgery:test_another_site_cannot_press_a_button_of_the_consent_page",
    ],
    "clickjacking": ["tests.attacks.test_framing_and_forgery:test_no_page_of_the_sign_in_can_be_framed_or_kept"],
    "look-alike names, http and foreign cursor addresses": ["tests.attacks.test_impostors"],
    "metadata documents at bad addresses": ["tests.attacks.test_metadata_documents"],
    "SQL and header injection": ["tests.attacks.test_injection"],
    "enumeration": ["tests.attacks.test_enumeration"],
    "cookies copied by another program on this computer": [
        f"{PRESENCE}.test_every_act_takes_its_own_proof",
        "tests.console.api.test_proof_of_presence",
        "tests.console.api.test_authority_matrix:test_each_credential_opens_its_doors_and_no_other",
        "tests.console.test_own_name",
        "tests.end_to_end.test_own_name",
    ],
    "a passkey asked by a page of another port": [f"{PRESENCE}.test_where_a_passkey_answers"],
    "real money loosened with a password": [
        f"{PRESENCE}.test_every_act_takes_its_own_proof:test_with_real_money_it_is_always_a_passkey",
        "tests.console.api.test_proof_of_presence:test_with_real_money_it_is_always_a_passkey",
    ],
    "a password guessed where presence is proved": [
        "tests.console.api.test_proof_of_presence:test_guessing_here_uses_up_the_guesses_of_the_sign_in_page",
    ],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_said_to_be_proved_is_a_test(attack: str) -> None:
    for place in ATTACKS[attack]:
        module, _, name = place.partition(":")
        found = dict(inspect.getmembers(importlib.import_module(module), inspect.isfunction))
        assert any(each.startswith("test_") and name in ("", each) for each in found), place
