"""The contract of a connector, as tests: one class and one fixture are a connector's whole test of it.

    class TestAcme(ConnectorContract):
        @pytest.fixture
        def bench(self) -> Bench:
            return AcmeBench()

`AcmeBench` is a `Bench`: the app to try the connector on (a look-alike, a test account's stand-in, or the server
itself), what people do there, and what may go wrong. What the connector declares is what it is held to; a test that
concerns something it does not declare asks the opposite, or nothing.

Each failure says what the contract wants, and why. This package alone of twoway needs pytest.
"""

import pytest

from twoway.testing.contract.bench import RETRY_AFTER, Bench, Setup, Trouble
from twoway.testing.contract.declared import DeclaredContract
from twoway.testing.contract.faults import FaultContract
from twoway.testing.contract.feeds import FeedContract
from twoway.testing.contract.reading import AccountContract, FetchContract, FindContract, SnapshotContract
from twoway.testing.contract.refusals import ConditionContract, DuplicateContract, GoneContract
from twoway.testing.contract.trial import ContractBroken
from twoway.testing.contract.versions import SnapshotFeedContract, VersionContract
from twoway.testing.contract.writing import BatchContract, WritingContract

__all__ = ["RETRY_AFTER", "Bench", "ConnectorContract", "ContractBroken", "Setup", "Trouble"]


class ConnectorContract(
    AccountContract,
    SnapshotContract,
    FetchContract,
    FindContract,
    FeedContract,
    DeclaredContract,
    VersionContract,
    SnapshotFeedContract,
    WritingContract,
    BatchContract,
    DuplicateContract,
    ConditionContract,
    GoneContract,
    FaultContract,
):
    """Derive a test class from this, and give it the fixture `bench`."""

    @pytest.fixture
    def bench(self) -> Bench:
        """The app to try the connector on: a new one for each test."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `bench` that gives a Bench")
