"""The deliberate faults: what each replaces, which rule it breaks, and which invariant must catch it."""

from functools import partial
from typing import Final

from twoway.core import reconcile as heart
from twoway.core import resolve
from twoway.core.mapping import SideMapping
from twoway.core.rules import Blank, OnDelete, OnEditedDelete, Policy
from twoway.engine import apply, cycle, decide, observe, receipts, recover
from twoway.engine.run import Tuning
from twoway.ports import Consistency
from twoway.state.links import Links
from twoway.state.observations import Observations
from twoway.state.operations import Operations
from twoway.state.pairs import Pairs
from twoway.testing import simulator
from twoway.testing.memory import MemoryConnector
from twoway.testing.planted import Fault
from twoway.testing.planted_ways import (
    BLIND,
    BUSY,
    DELETING,
    DYING,
    LOSING,
    MERGING,
    UNDOING,
    all_of,
    answering,
    answering_later,
    any_history,
    around,
    as_if_written,
    blank_is_absent,
    by_address,
    capabilities,
    carried_again,
    cursor_first,
    forgets,
    gone_at_once,
    guess,
    history_late,
    instead,
    left_wins,
    marks_nothing,
    narrow,
    never_edited,
    never_landed,
    never_lost,
    no_overlap,
    nothing_sent,
    one_base,
    opts_in,
    our_clock,
    refused_and_forgotten,
    resent,
    resumed,
    shaped,
    unconditional,
    unhidden,
    whole_record,
)

UNEDITED: Final = {"edited_delete": OnEditedDelete.EDIT}

FAULTS: Final = (
    Fault(
        "a match is linked as if written",
        "rule 1",
        "diverged",
        around(decide, "reconcile", as_if_written),
        any_history,
    ),
    Fault(
        "a key that is not unique is guessed at",
        "pain 5",
        "ended by IntegrityError",
        around(decide, "propose", guess),
        shaped(addresses=4),
    ),
    Fault("one base for both sides", "rule 3", "undo undone", around(Links, "set_bases", one_base), UNDOING),
    Fault(
        "an operation that fails is forgotten",
        "rule 4",
        "left alone",
        around(receipts, "_close_undone", forgets),
        BUSY,
    ),
    Fault(
        "the cursor moves before its page is stored",
        "rule 4, pain 22",
        "left alone",
        instead(observe, "_changes", cursor_first),
        DYING,
    ),
    Fault(
        "what was refused is forgotten",
        "pain 26",
        "left alone",
        around(receipts, "refuse", refused_and_forgotten),
        shaped(addresses=4, manner_unique=frozenset({"email"})),
    ),
    Fault(
        "a record is created anew without a match",
        "rule 5",
        "double",
        answering(decide, "_is_there_already", False),
        shaped(deletes=True, addresses=4, manner_unique=frozenset(), manner_find=Consistency.NONE, spec=UNEDITED),
    ),
    Fault(
        "an unknown create is sent again",
        "rule 7, pain 1",
        "two counterparts",
        around(recover, "_among_the_born", resent),
        narrow(
            "name",
            addresses=30,
            fault_share=4.0,
            manner_unique=frozenset(),
            manner_marker=False,
            manner_find=Consistency.NONE,
        ),
    ),
    Fault(
        "an unknown create is looked up by its address",
        "rule 7, pain 4",
        "overwritten",
        around(recover, "_among_the_born", by_address),
        narrow(
            "name",
            addresses=30,
            fault_share=4.0,
            manner_unique=frozenset(),
            manner_marker=False,
            manner_find=Consistency.NONE,
        ),
    ),
    Fault(
        "it is looked up before it can have landed",
        "rule 8",
        "two counterparts",
        answering(recover, "_is_ripe", True),
        narrow(
            "name",
            addresses=30,
            fault_share=4.0,
            manner_unique=frozenset(),
            manner_marker=False,
            manner_find=Consistency.NONE,
        ),
    ),
    Fault(
        "no overlap",
        "rule 9, pain 22",
        "left alone",
        around(MemoryConnector, "changes", no_overlap),
        narrow("name", manner_lag=6000, addresses=30),
    ),
    Fault(
        "the cursor is our own clock",
        "rule 9, pain 20",
        "left alone",
        around(MemoryConnector, "changes", our_clock),
        shaped(manner_skew=-45_000),
    ),
    Fault(
        "the clocks are trusted",
        "rule 7, pain 20",
        "two counterparts",
        instead(simulator, "Tuning", partial(Tuning, skew=0)),
        narrow(
            "name",
            addresses=30,
            fault_share=4.0,
            manner_created_times=True,
            manner_skew=-45_000,
            manner_unique=frozenset(),
            manner_marker=False,
            manner_find=Consistency.NONE,
        ),
    ),
    Fault(
        "the target is not read before a write",
        "rule 10, pain 19",
        "lost edit",
        answering_later(apply, "_read_targets", {}),
        BLIND,
    ),
    Fault(
        "a write is not conditional",
        "rule 10, pain 19",
        "lost edit",
        all_of(around(apply, "_write", unconditional), answering_later(apply, "_read_targets", {})),
        BUSY,
    ),
    Fault(
        "no look for a second record before a create",
        "rule 10",
        "double",
        answering_later(cycle, "_before_creating"),
        shaped(addresses=4, manner_unique=frozenset(), manner_find=Consistency.NONE),
    ),
    Fault("no history", "rule 11", "lost edit", answering(Operations, "record"), any_history),
    Fault(
        "the history comes with the answer",
        "rule 11",
        "lost edit",
        history_late,
        shaped(fault_share=4.0, spec={"conflict": Policy.LEFT}),
    ),
    Fault("a merge is read as a deletion", "rule 12, pain 14", "deleted for a merge", capabilities(unhidden), MERGING),
    Fault(
        "what a listing lacks is gone",
        "rule 13, pains 6 and 10",
        "deleted without proof",
        all_of(around(Observations, "not_shown", gone_at_once), answering_later(apply, "_read_sources", {})),
        DELETING,
    ),
    Fault(
        "a deletion wins over an edit",
        "rule 13, pain 11",
        "deleted over an edit",
        around(heart, "_deleted", never_edited),
        shaped(deletes=True, addresses=30, right={"delete": OnDelete.DELETE}, spec=UNEDITED),
    ),
    Fault(
        "a tombstone is no tombstone",
        "pain 12",
        "came back",
        around(Links, "mark", marks_nothing),
        shaped(deletes=True, addresses=30, right={"delete": OnDelete.IGNORE}),
    ),
    Fault(
        "out of scope does not freeze",
        "rule 15, pain 13",
        "out of scope",
        answering(SideMapping, "in_scope", True),
        any_history,
    ),
    Fault(
        "an undo is carried over again",
        "rule 16",
        "undo undone",
        around(Links, "hold", carried_again),
        narrow("name", by_hand=True, addresses=30),
    ),
    Fault(
        "an undo does not look again",
        "invariant 10",
        "undo over an edit",
        all_of(answering_later(apply, "_read_targets", {}), answering(apply, "_undone_meanwhile")),
        UNDOING,
    ),
    Fault(
        "no journal",
        "rule 3 of the flow, pain 1",
        "two counterparts",
        instead(recover, "interrupted", resumed),
        shaped(crash_share=0.05, faults=8, addresses=30, manner_unique=frozenset(), manner_find=Consistency.NONE),
    ),
    Fault(
        "a crash leaves a write in flight for ever",
        "pain 28",
        "diverged",
        instead(recover, "interrupted", never_lost),
        DYING,
    ),
    Fault(
        "an answer that is lost is a no", "pain 1", "two counterparts", around(receipts, "lose", never_landed), LOSING
    ),
    Fault(
        "a request that is lost was not sent",
        "pain 1",
        "two counterparts",
        instead(apply, "_send", nothing_sent),
        narrow(
            "name",
            addresses=30,
            fault_share=4.0,
            manner_unique=frozenset(),
            manner_marker=False,
            manner_find=Consistency.NONE,
        ),
    ),
    Fault(
        "no fence",
        "pain 28",
        "forced",
        answering(Pairs, "beat"),
        shaped(fault_share=4.0, manner_unique=frozenset(), manner_find=Consistency.NONE),
    ),
    Fault("the whole record is written", "invariant 7", "touched", around(apply, "_write", whole_record), any_history),
    Fault(
        "the last writer wins, without a base",
        "rule 20, pain 20",
        "overwritten",
        around(heart, "resolve", left_wins),
        shaped(merges=False, spec={"blank": Blank.PROPAGATE}),
    ),
    Fault(
        "a blank is no value",
        "pain 21",
        "diverged",
        around(decide, "_seen", blank_is_absent),
        shaped(blanks=True, spec={"blank": Blank.PROPAGATE}),
    ),
    Fault("opting in travels", "consent", "opted in", around(resolve, "_consent", opts_in), any_history),
)
