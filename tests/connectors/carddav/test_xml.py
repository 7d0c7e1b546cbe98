"""Multistatus answers, and what is refused of them."""

import pytest

from twoway_connectors.carddav.xml import (
    DAV,
    Multistatus,
    XmlProblem,
    condition_hrefs,
    conditions,
    multiget_body,
    query_body,
    sync_body,
)

ANSWER = b"""<?xml version="1.0" encoding="utf-8"?>
<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav">
  <d:response><d:href>/b/a%20b.vcf</d:href>
    <d:propstat><d:prop><d:getetag>"1"</d:getetag></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>
    <d:propstat><d:prop><d:displayname/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>
  </d:response>
  <d:response><d:href> /b/gone.vcf </d:href><d:status>HTTP/1.1 404 Not Found</d:status></d:response>
  <d:response><d:href>/b/</d:href><d:status>HTTP/1.1 507 Insufficient Storage</d:status>
    <d:error><d:number-of-matches-within-limits/></d:error></d:response>
  <d:sync-token> token-2 </d:sync-token>
</d:multistatus>"""


def test_responses_come_one_by_one_and_the_token_last() -> None:
    answer = Multistatus(ANSWER)
    assert answer.sync_token == ""
    first, gone, cut = answer
    assert (first.href, first.status, first.text(f"{DAV}getetag")) == ("/b/a%20b.vcf", None, '"1"')
    assert f"{DAV}displayname" not in first.properties
    assert (gone.href, gone.status) == ("/b/gone.vcf", 404)
    assert (cut.status, cut.conditions) == (507, frozenset({f"{DAV}number-of-matches-within-limits"}))
    assert answer.sync_token == "token-2"


BOMB = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<multistatus xmlns="DAV:"><response><href>&b;</href></response></multistatus>"""


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (BOMB, "DOCTYPE"),
        (BOMB.decode().replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16"), "DOCTYPE"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><multistatus xmlns="DAV:"/>', "DOCTYPE"),
        (ANSWER[:-30], "well-formed"),
        (b"", "well-formed"),
        (b"\xff\xfe\x00", "well-formed"),
        (ANSWER.replace(b"/b/gone", b"/b/\x0bgone"), "well-formed"),
        (b'<?xml version="1.0" encoding="klingon"?><multistatus xmlns="DAV:"/>', "well-formed"),
        (b"<html><body>login</body></html>", "another kind"),
        (b'<multistatus xmlns="DAV:">' + b"<a>" * 100 + b"</a>" * 100 + b"</multistatus>", "nested"),
    ],
)
def test_what_is_not_read(body: bytes, what: str) -> None:
    with pytest.raises(XmlProblem, match=what):
        list(Multistatus(body))
    assert conditions(body) == frozenset()
    assert condition_hrefs(body) == []


def test_an_error_answer_names_its_conditions_and_addresses() -> None:
    body = (
        b'<error xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav">'
        b"<c:no-uid-conflict><href>/b/x.vcf</href></c:no-uid-conflict></error>"
    )
    assert conditions(body) == {"{urn:ietf:params:xml:ns:carddav}no-uid-conflict"}
    assert condition_hrefs(body) == ["/b/x.vcf"]


def test_values_are_escaped_in_requests() -> None:
    nasty = "<&\"'>]]>"
    for body in (multiget_body([], [nasty]), sync_body(nasty), query_body([], "EMAIL", [nasty])):
        assert b"&lt;&amp;" in body
        assert b"<&" not in body
