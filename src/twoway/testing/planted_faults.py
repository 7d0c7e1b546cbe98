"""The deliberate faults: what each replaces, which rule it breaks, and which invariant must catch it."""

from typing import Final

from twoway.testing.planted_creating import CREATING
from twoway.testing.planted_deciding import DECIDING
from twoway.testing.planted_reading import READING
from twoway.testing.planted_writing import WRITING

FAULTS: Final = (*READING, *DECIDING, *CREATING, *WRITING)
