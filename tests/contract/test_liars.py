"""The suite catches connectors that lie: each by the test that is named for it, which an honest connector passes."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract import liars, listing_liars, talking_liars, writing_liars
from tests.contract.test_contract_mailchimp import MailchimpBench
from tests.contract.test_contract_memory import MemoryBench
from twoway.sdk import Connector, Consistency
from twoway.testing.contract import Bench, ConnectorContract, ContractBroken, Setup, Trouble
from twoway.testing.memory import Manner, MemoryConnector

PLAIN = Manner()
SMALL_PAGES = Manner(page=20)
KEYED = Manner(unique=frozenset({"email"}), marker=True, find_fields=frozenset({"email"}))
LATE = Manner(lag=30_000, find=Consistency.LAGGING, find_fields=frozenset({"email"}))
LATE_PAGES = Manner(page=20, lag=30_000)
REWRITING = Manner(unique=frozenset({"email"}), stores=writing_liars.as_stored)
FINDS = Manner(find_fields=frozenset({"name"}))
VERSIONS = Manner(by_version=True, page=20)
ONE_VERSION = "test_a_version_in_a_listing_stands_for_one_content"
MEANWHILE = "test_what_changes_while_a_snapshot_is_read_is_told_by_the_feed_after_it"

IN_MEMORY: tuple[tuple[type[MemoryConnector], Manner, str], ...] = (
    (listing_liars.SkipsTheEdge, SMALL_PAGES, "test_many_changes_of_one_instant_are_all_told"),
    (listing_liars.SkipsTheEdge, SMALL_PAGES, "test_changes_between_two_pages_are_told_in_this_read_or_the_next"),
    (listing_liars.PagesByOffset, SMALL_PAGES, "test_a_snapshot_misses_nobody_while_records_come_and_go"),
    (listing_liars.EndsAtADeletion, SMALL_PAGES, "test_a_snapshot_misses_nobody_while_records_come_and_go"),
    (listing_liars.StandsStill, PLAIN, "test_changes_tell_edits_and_new_records"),
    (listing_liars.ReadsNoOverlap, PLAIN, "test_an_edit_at_the_instant_of_the_last_read_is_told_next"),
    (listing_liars.ReadsNoOverlapOfTheLag, LATE, "test_what_an_index_shows_late_is_told_by_a_later_read"),
    (
        listing_liars.PagesTheFeedByOffset,
        LATE_PAGES,
        "test_changes_between_two_pages_are_told_in_this_read_or_the_next",
    ),
    (listing_liars.PagesByOffset, LATE_PAGES, "test_a_snapshot_misses_nobody_while_records_come_and_go"),
    (listing_liars.ClaimsAShortLag, LATE, "test_a_snapshot_lists_every_live_record_and_no_other"),
    (listing_liars.RemembersItsPlace, PLAIN, "test_a_kept_cursor_goes_on_in_a_fresh_connector"),
    (listing_liars.PrefersItsOwnPlace, PLAIN, "test_a_kept_cursor_goes_on_in_a_fresh_connector"),
    (listing_liars.GuessesAPosition, PLAIN, "test_a_foreign_cursor_asks_for_a_snapshot"),
    (listing_liars.HidesDeletions, PLAIN, "test_deletions_are_told_where_that_is_declared"),
    (liars.LeavesAnswersOut, PLAIN, "test_fetch_answers_every_id"),
    (liars.FollowsMerges, PLAIN, "test_merges_are_told_or_hidden_as_declared"),
    (liars.TurnsMergesRound, PLAIN, "test_merges_are_told_or_hidden_as_declared"),
    (liars.TellsMergesAsDeletions, PLAIN, "test_merges_are_told_or_hidden_as_declared"),
    (liars.WritesToTheSurvivor, PLAIN, "test_an_update_of_what_was_merged_away_says_so"),
    (liars.ShowsEmptyTexts, PLAIN, "test_a_field_that_is_empty_is_none_and_not_missing"),
    (liars.ShowsEmptyTexts, PLAIN, "test_every_read_tells_the_same_of_a_record"),
    (liars.TakesTheTimeForAVersion, PLAIN, "test_a_version_changes_with_every_field"),
    (liars.TakesTheTimeForAVersion, PLAIN, "test_a_read_at_the_version_of_a_receipt_shows_what_the_receipt_said"),
    (liars.AnswersInLowerCase, KEYED, "test_find_tells_who_holds_a_value"),
    (liars.QuotesNothing, KEYED, "test_find_takes_any_sign_in_a_value_for_itself"),
    (liars.FindsTheFirst, FINDS, "test_find_tells_all_who_hold_a_value"),
    (liars.CannotFindTheMarker, KEYED, "test_every_field_that_find_is_declared_for_can_be_looked_up"),
    (liars.ForgetsTheMarker, KEYED, "test_a_record_is_found_by_the_marker_that_its_create_carried"),
    (liars.IsBornWithEachEdit, PLAIN, "test_times_are_as_fine_as_declared"),
    (liars.NeverMoves, PLAIN, "test_times_are_as_fine_as_declared"),
    (liars.ReadsTimesAsLocal, PLAIN, "test_times_are_as_fine_as_declared"),
    (liars.ClaimsFineTimes, PLAIN, "test_times_are_as_fine_as_declared"),
    (liars.ClaimsToBeUpToDate, LATE, "test_a_snapshot_lists_every_live_record_and_no_other"),
    (liars.ClaimsToBeUpToDate, LATE, "test_changes_tell_edits_and_new_records"),
    (liars.ClaimsToBeUpToDate, LATE, "test_find_tells_who_holds_a_value"),
    (liars.MixesReceipts, PLAIN, "test_receipts_come_in_the_order_of_the_writes"),
    (liars.IgnoresConditions, PLAIN, "test_a_write_at_a_version_that_is_past_is_moved_or_the_version_is_ignored"),
    (liars.SwallowsBlanks, PLAIN, "test_a_blank_clears_the_field"),
    (liars.WritesWholeRecords, PLAIN, "test_an_update_touches_only_the_fields_it_names"),
    (liars.CutsLongTexts, PLAIN, "test_a_new_record_holds_what_it_was_given"),
    (liars.CutsLongTexts, PLAIN, "test_an_update_stores_what_it_was_given"),
    (writing_liars.TellsWhatItSent, REWRITING, "test_a_new_record_holds_what_it_was_given"),
    (writing_liars.TellsWhatItSent, REWRITING, "test_an_update_stores_what_it_was_given"),
    (writing_liars.ForetellsNothing, REWRITING, "test_a_key_that_is_spelt_otherwise_reads_as_normal_foretells"),
    (writing_liars.CutsAtTwoHundred, PLAIN, "test_a_value_that_an_app_may_not_like_is_stored_whole_or_refused"),
    (writing_liars.PassesOverTheFixed, PLAIN, "test_a_field_that_cannot_be_written_is_not_passed_over"),
    (writing_liars.KeepsTheKey, KEYED, "test_a_field_that_cannot_be_cleared_is_not_said_to_be"),
    (liars.NamesTheWrongHolder, KEYED, "test_a_second_record_with_the_key_is_a_duplicate_of_the_first"),
    (liars.AllowsSecondKeys, PLAIN, "test_a_second_record_with_the_key_is_a_duplicate_of_the_first"),
    (liars.ChangesWhatItIsGiven, PLAIN, "test_normal_is_pure_and_settled"),
    (liars.ListsAnotherVersion, VERSIONS, "test_a_listing_tells_the_version_that_fetch_tells"),
    (liars.ListsTheTime, VERSIONS, ONE_VERSION),
    (liars.CountsPeopleOnly, VERSIONS, ONE_VERSION),
    (liars.NumbersItsAnswers, VERSIONS, "test_a_record_that_rests_is_listed_at_one_version"),
    (liars.ListsEmptyVersions, VERSIONS, "test_pages_are_what_they_seem"),
    (liars.ListsTheDeleted, VERSIONS, "test_a_snapshot_lists_every_live_record_and_no_other"),
    (listing_liars.PagesByOffset, VERSIONS, "test_a_snapshot_misses_nobody_while_records_come_and_go"),
    (listing_liars.SkipsTheEdge, VERSIONS, "test_changes_between_two_pages_are_told_in_this_read_or_the_next"),
    (liars.TellsNoFeed, VERSIONS, "test_a_snapshot_tells_the_feeds_cursor_where_that_is_declared"),
    (liars.TellsTheFeedUndeclared, PLAIN, "test_a_snapshot_tells_the_feeds_cursor_where_that_is_declared"),
    (liars.BeginsTheFeedTooLate, VERSIONS, MEANWHILE),
    (listing_liars.ReadsNoOverlap, PLAIN, MEANWHILE),
    (listing_liars.HidesDeletions, VERSIONS, MEANWHILE),
    (liars.DescribesTooLittle, PLAIN, "test_describe_tells_every_field_that_records_have"),
)

READS = "test_a_read_that_meets_trouble_says_which"
WRITES = "test_a_write_that_meets_trouble_says_what_became_of_it"
BATCHES = "test_trouble_in_the_middle_of_a_batch_is_told_for_each_write"
OVER_THE_NETWORK: tuple[tuple[Callable[[Connector], Any], str, dict[str, Trouble]], ...] = (
    (liars.TakesTroubleForEmptiness, READS, {"trouble": Trouble.BROKEN}),
    (liars.TakesTroubleForEmptiness, READS, {"trouble": Trouble.PAGE}),
    (liars.TakesTroubleForAbsence, READS, {"trouble": Trouble.LOST_ANSWER}),
    (liars.TakesTroubleForAbsence, "test_a_wrong_address_is_told_to_the_user", {}),
    (liars.KnowsWhatItCannot, WRITES, {"trouble": Trouble.LOST_ANSWER}),
    (liars.SendsAgain, WRITES, {"trouble": Trouble.LOST_ANSWER}),
    (liars.SaysItIsDone, WRITES, {"trouble": Trouble.LOST_REQUEST}),
    (liars.SaysItIsDone, WRITES, {"trouble": Trouble.BUSY}),
    (liars.RaisesAfterAHalf, BATCHES, {"trouble": Trouble.BROKEN}),
    (talking_liars.TellsSecrets, "test_a_wrong_login_is_the_accounts_matter", {}),
    (talking_liars.ShowsItsLogin, "test_check_names_the_account", {}),
    (talking_liars.LogsItsLogin, "test_check_names_the_account", {}),
    (talking_liars.WritesItsLoginDown, WRITES, {"trouble": Trouble.LOST_ANSWER}),
    (talking_liars.NamesTheCustomer, "test_a_second_record_with_the_key_is_a_duplicate_of_the_first", {}),
    (talking_liars.RepeatsValues, "test_one_bad_record_does_not_hold_back_the_others", {}),
    (liars.RefusesWholeBatches, "test_one_bad_record_does_not_hold_back_the_others", {}),
    (writing_liars.SplitsLists, "test_a_value_that_an_app_may_not_like_is_stored_whole_or_refused", {}),
    (liars.StaysBusy, "test_a_call_that_is_cancelled_leaves_the_connector_usable", {}),
)


class LyingBench(MailchimpBench):
    """Mailchimp, with a liar between it and the suite."""

    def __init__(self, liar: Callable[[Connector], Any]) -> None:
        super().__init__()
        self._liar = liar

    def open(self, setup: Setup = Setup.RIGHT, *, times: bool = False) -> Connector:
        lying: Connector = self._liar(super().open(setup, times=times))
        return lying


def _run(name: str, bench: Bench, **more: Trouble) -> None:
    getattr(ConnectorContract(), name)(bench=bench, **more)


@pytest.mark.parametrize(("liar", "manner", "name"), IN_MEMORY, ids=lambda part: getattr(part, "__name__", None))
def test_a_lie_of_a_connector_in_memory_is_caught(liar: type[MemoryConnector], manner: Manner, name: str) -> None:
    _run(name, MemoryBench(manner))
    with pytest.raises(ContractBroken):
        _run(name, MemoryBench(manner, liar))


def test_a_blank_that_is_left_out_is_told_by_the_test_that_is_named_for_it_and_breaks_no_other() -> None:
    with pytest.raises(ContractBroken):
        _run("test_a_field_that_is_empty_is_none_and_not_missing", MemoryBench(PLAIN, liars.LeavesBlanksOut))
    _run("test_only_the_named_fields_of_a_new_record_are_filled", MemoryBench(PLAIN, liars.LeavesBlanksOut))


@pytest.mark.parametrize(("liar", "name", "more"), OVER_THE_NETWORK, ids=lambda part: getattr(part, "__name__", None))
def test_a_lie_about_the_network_is_caught(
    liar: Callable[[Connector], Any], name: str, more: dict[str, Trouble]
) -> None:
    _run(name, MailchimpBench(), **more)
    with pytest.raises(ContractBroken):
        _run(name, LyingBench(liar), **more)
