"""The very octets of cards, by the version that they stand for, where that can be proved.

To change one field of a card, all the rest of it must be known as it is stored. The XML of a report does not show that:
its parser makes one line feed of each line ending (XML 1.0, 2.11), and a server may tell a card in another version of
vCard than it holds (RFC 6352, 10.4). Nor does a PUT that is answered with a strong ETag, which promises that the card
was stored as it was sent (RFC 6352, 6.3.2.3): Radicale gives one, and stores the card in its own form. But most servers
make the ETag a digest of what they store: then the octets that have this digest are those that are stored.
"""

import re
from hashlib import md5, sha1, sha256

MOST_BYTES = 16 * 1024 * 1024
"""How much of an address book is kept at once; the cards that were kept first are let go first."""
_OVERHEAD = 400
"""What keeping a card takes beside its octets, about."""
_LARGEST = MOST_BYTES // 32
"""A card that is larger, with a photo as a rule, is not kept: it would take the place of many."""
_HEX = re.compile(r'"([0-9A-Fa-f]+)"\Z')


def is_digest(version: str) -> bool:
    """Whether a version looks like a digest of the kinds that `proves` knows."""
    found = _HEX.match(version)
    return found is not None and len(found[1]) in {32, 40, 64}


def proves(version: str, octets: bytes) -> bool:
    """Whether a version is a digest of these octets.

    As Radicale (SHA-256), sabre/dav and with it Nextcloud and Baïkal (MD5), and Xandikos (git's name of the content)
    make it. That somebody could make two contents of one MD5 harms only their own card.
    """
    found = _HEX.match(version)
    if found is None:
        return False
    digest = found[1].lower()
    match len(digest):
        case 32:
            return md5(octets, usedforsecurity=False).hexdigest() == digest
        case 40:
            named = b"blob %d\0" % len(octets) + octets
            return digest in {sha1(data, usedforsecurity=False).hexdigest() for data in (octets, named)}
        case 64:
            return sha256(octets).hexdigest() == digest
    return False


def stored_octets(text: str, version: str, length: str = "") -> bytes | None:
    """A card as it is stored, from its text in an answer's XML; None where that cannot be told.

    `length` is what the server says of its size (`getcontentlength`), which tells the line endings apart, too. But if
    the version is a digest, a text that it is not of is another one, such as the card in another version of vCard.
    """
    if is_digest(version):
        length = ""
    octets = text.encode("utf-8", "surrogatepass")
    forms = [octets] if b"\r" in octets else [octets.replace(b"\n", b"\r\n"), octets]
    return next((one for one in forms if str(len(one)) == length or proves(version, one)), None)


class Octets:
    """The octets of the cards of one address book that were read or written last, each with its version.

    What is kept here may be past: whoever writes it back says for which version (If-Match).
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._size = 0
        self._kept: dict[str, tuple[str, bytes]] = {}
        self._unread: set[str] = set()

    def at(self, id: str, version: str | None) -> bytes | None:
        """What a card holds at this version; None where that is not known."""
        kept = self._kept.get(id)
        return kept[1] if kept is not None and kept[0] == version else None

    def keep(self, id: str, version: str, octets: bytes) -> None:
        """Keep what was read."""
        self.forget(id)
        if len(octets) > _LARGEST:
            return
        self._kept[id] = version, octets
        self._size += len(octets) + _OVERHEAD
        while self._size > self._most:
            self.forget(next(iter(self._kept)))

    def written(self, id: str, version: str | None, octets: bytes) -> None:
        """Keep what was written, where the answer's version proves that it is stored just so."""
        if version is not None and proves(version, octets):
            self.keep(id, version, octets)
            if id in self._kept:
                self._unread.add(id)

    def first_reading(self, id: str, version: str) -> bytes | None:
        """What we wrote ourselves, when it is told of for the first time, and still at the version that we made."""
        if id not in self._unread:
            return None
        self._unread.discard(id)
        return self.at(id, version)

    def forget(self, id: str) -> None:
        """Let go of a card."""
        self._unread.discard(id)
        if (kept := self._kept.pop(id, None)) is not None:
            self._size -= len(kept[1]) + _OVERHEAD
