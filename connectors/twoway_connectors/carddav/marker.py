"""The operation id that a create carries, so that it can be looked up when its answer was lost.

A new card is put at `twoway-OPERATION.vcf`, with the same UID unless the mapping gives another one. Servers keep cards
in files of that name, so an operation id has at most 100 bytes.
"""

import re

LONGEST = 100
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")
_NAMED = re.compile(r"twoway-([A-Za-z0-9_-]{1,100})\Z")
_CODED = re.compile(r"twoway\.((?:[0-9a-f]{2})+)\Z")
_SUFFIX = ".vcf"


def uid_of(operation: str) -> str:
    """The UID for a create; an operation id that is no plain word is written in hexadecimal."""
    if _PLAIN.match(operation):
        return f"twoway-{operation}"
    coded = operation.encode()
    if not 0 < len(coded) <= LONGEST:
        raise ValueError(f"an operation id has 1 to {LONGEST} bytes, not {len(coded)}")
    return f"twoway.{coded.hex()}"


def id_of(operation: str) -> str:
    """The record id that a create gets."""
    return uid_of(operation) + _SUFFIX


def operation_of(id: str, uid: str) -> str | None:
    """The operation id in a record's id or else in its UID; None where neither is ours."""
    for text in (id.removesuffix(_SUFFIX) if id.endswith(_SUFFIX) else "", uid):
        if found := _NAMED.match(text):
            return found[1]
        if found := _CODED.match(text):
            return bytes.fromhex(found[1]).decode(errors="replace")
    return None
