"""A HubSpot account for each test."""

import pytest

from tests.connectors.hubspot.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
