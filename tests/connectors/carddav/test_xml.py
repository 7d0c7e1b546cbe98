"""Multistatus answers, and what is refused of them."""

import pytest

from twoway_connectors.carddav.members import Member, Members
from twoway_connectors.carddav.xml import (
    DAV,
    XmlProblem,
    condition_hrefs,
    conditions,
    multiget_body,
    query_body,
    responses,
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

OK, DENIED, ETAG = "<status>HTTP/1.1 200 OK</status>", "<status>HTTP/1.1 403 No</status>", '<getetag>"1"</getetag>'


def test_responses_come_one_by_one() -> None:
    first, gone, cut = responses(ANSWER)
    assert (first.href, first.status, first.text(f"{DAV}getetag")) == ("/b/a%20b.vcf", None, '"1"')
    assert f"{DAV}displayname" not in first.properties
    assert (gone.href, gone.status) == ("/b/gone.vcf", 404)
    assert (cut.href, cut.status) == ("/b/", 507)


def test_members_are_read_for_address_etag_and_status_alone() -> None:
    answer = Members(ANSWER)
    assert answer.sync_token == ""
    assert list(answer) == [
        Member("/b/a%20b.vcf", '"1"', None, False),
        Member("/b/gone.vcf", "", 404, False),
        Member("/b/", "", 507, False),
    ]
    assert answer.sync_token == "token-2"


@pytest.mark.parametrize(
    ("inner", "member"),
    [
        (f"<propstat><prop>{ETAG}</prop></propstat>", Member("/b/a", '"1"', None, False)),
        (f"<propstat>{OK}<prop>{ETAG}</prop></propstat>", Member("/b/a", '"1"', None, False)),
        (f"<propstat><prop>{ETAG}</prop>{DENIED}</propstat>", Member("/b/a", "", None, False)),
        (f"<propstat>{DENIED}<prop>{ETAG}</prop></propstat>", Member("/b/a", "", None, False)),
        (
            f"<propstat><prop>{ETAG}</prop>{OK}</propstat><propstat><prop><getetag/></prop>{DENIED}</propstat>",
            Member("/b/a", '"1"', None, False),
        ),
        (
            f"<propstat><prop><resourcetype/></prop>{DENIED}</propstat><propstat><prop>{ETAG}</prop>{OK}</propstat>",
            Member("/b/a", '"1"', None, False),
        ),
        (
            f"<propstat><prop><owner><href>/me</href></owner>{ETAG}</prop>{OK}</propstat>",
            Member("/b/a", '"1"', None, False),
        ),
        (
            f"<propstat><prop><x><getetag>2</getetag></x>{ETAG}</prop>{OK}</propstat>",
            Member("/b/a", '"1"', None, False),
        ),
        (
            f"<propstat><prop><x:getetag xmlns:x='urn:x'>2</x:getetag></prop>{OK}</propstat>",
            Member("/b/a", "", None, False),
        ),
        (
            '<propstat><prop><getetag>"&#49;<![CDATA[&]]>"</getetag></prop></propstat>',
            Member("/b/a", '"1&"', None, False),
        ),
        (
            "<propstat><prop><resourcetype><collection/></resourcetype></prop></propstat>",
            Member("/b/a", "", None, True),
        ),
        (
            f"<propstat><prop/>{DENIED}</propstat><propstat><prop>{ETAG}</prop></propstat>",
            Member("/b/a", '"1"', None, False),
        ),
        ("<href>/b/another</href>", Member("/b/a", "", None, False)),
        ("<status>HTTP/2 404</status>", Member("/b/a", "", 404, False)),
        ("<status>nonsense</status>", Member("/b/a", "", None, False)),
    ],
)
def test_a_member_is_what_its_own_response_says(inner: str, member: Member) -> None:
    response = f"<response><href>/b/a</href>{inner}</response>"
    for body in (response, response.replace(">", ">\n  ").replace("\n  <![", "<![")):
        found = list(Members(f'<multistatus xmlns="DAV:">{body}<response/></multistatus>'.encode()))
        assert [found[0]._replace(etag=found[0].etag.replace("\n", "").replace(" ", "")), found[1]] == [
            member,
            Member("", "", None, False),
        ]


def test_a_long_listing_is_given_out_piece_by_piece() -> None:
    responses = "".join(f"<response><href>/b/{number}</href></response>" for number in range(20_000))
    members = iter(Members(f'<multistatus xmlns="DAV:">{responses}'.encode()))  # it has no end
    assert [next(members).href for _ in range(20_000)] == [f"/b/{number}" for number in range(20_000)]
    with pytest.raises(XmlProblem, match="well-formed"):
        next(members)


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
        list(responses(body))
    with pytest.raises(XmlProblem, match=what):
        list(Members(body))
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
    for body in (multiget_body([], [nasty]), sync_body(nasty, []), query_body([], "EMAIL", [nasty])):
        assert b"&lt;&amp;" in body
        assert b"<&" not in body
