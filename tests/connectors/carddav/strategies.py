"""Cards and values for the property tests: well-formed ones, and what real address books hold besides."""

from typing import Any

from hypothesis import strategies as st

ENDINGS = ("\r\n", "\n", "\r\r\n")

texts = st.text(
    alphabet=st.one_of(
        st.sampled_from("abcXYZ 019 \\,;:\"'=\n\t^éßøЖ中😀\u2028"),
        st.characters(codec="utf-8"),
    ),
    max_size=40,
)
words = st.text(alphabet="abcdefghijklmnopqrstuvwxyz-_0123456789", min_size=1, max_size=8)
types = st.one_of(
    st.sampled_from(["work", "home", "cell", "fax", "home fax", "work cell", "voice", "mobile", "pref"]), words
)


def _element(*keys: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={"type": types, "label": texts, "pref": st.booleans(), **dict.fromkeys(keys, texts)}
    )


phones = st.one_of(texts, st.from_regex(r"(tel:)?\+?[0-9]{3,12}(;ext=[0-9]{1,3})?", fullmatch=True))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **{
        name: st.one_of(st.none(), texts)
        for name in (
            *("additional", "email", "family", "given", "kind", "nickname", "note", "org", "prefix", "role", "suffix"),
            *("title", "uid", "url"),
        )
    },
    "fn": texts,
    "phone": st.one_of(st.none(), phones),
    "bday": st.one_of(st.none(), st.dates().map(str)),
    "categories": st.lists(texts, max_size=4),
    "emails": st.lists(_element("value"), max_size=5),
    "phones": st.lists(
        st.fixed_dictionaries({"value": phones}, optional={"type": types, "label": texts, "pref": st.booleans()}),
        max_size=5,
    ),
    "addresses": st.lists(
        _element("po_box", "extended", "street", "city", "region", "postal_code", "country"), max_size=4
    ),
}

_parameters = st.sampled_from(
    [
        "",
        ";TYPE=work",
        ";TYPE=HOME,VOICE",
        ";type=CELL;type=VOICE;type=pref",
        ';TYPE="work,cell"',
        ";WORK;FAX",
        ";PREF=1",
        ";PREF=2;TYPE=home",
        ";VALUE=uri",
        ';X-NOTE="a:b;c,d"',
        ";CHARSET=ISO-8859-1",
        ";ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8",
        ";LANGUAGE=de",
        ';LABEL="broken',
        ";ALTID=1",
    ]
)
_names = st.sampled_from(
    [
        *("FN", "N", "TEL", "EMAIL", "ADR", "ORG", "NOTE", "CATEGORIES", "BDAY", "URL", "TITLE", "NICKNAME", "KIND"),
        *("ROLE", "X-FOO", "PHOTO", "REV", "tel", "Email", "X-ABLabel", "X-SOCIALPROFILE", "GEO", "UID"),
    ]
)
_values = st.one_of(
    texts.map(lambda text: text.replace("\n", " ")),
    st.sampled_from(
        [
            "",
            "Doe;John;Philip,Paul;Dr.;Jr.,M.D.",
            ";;;;",
            ";;1 Main St\\, Apt 2;Town;;12345;USA",
            "tel:+1-555-555-5555;ext=5555",
            "+49 30 123456",
            "ann@example.org",
            "1985-04-12",
            "19850412",
            "--0412",
            "1996-10-22T14:00:00Z",
            "a,b\\,c,,d",
            "Caf=C3=A9=0Aline",
            "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ==",
            "_$!<Home>!$_",
        ]
    ),
)


@st.composite
def content_lines(draw: st.DrawFn, ending: str) -> str:
    """One content line, perhaps folded, with a value that an escape may end in the middle of."""
    group = draw(st.sampled_from(["", "", "", "item1.", "item2.", "ITEM1.", "g."]))
    line = group + draw(_names) + draw(_parameters) + ":" + draw(_values)
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(line) - 1)), max_size=2)), reverse=True)
    for cut in cuts:
        line = line[:cut] + ending + draw(st.sampled_from([" ", "\t"])) + line[cut:]
    return line + ending


@st.composite
def cards(draw: st.DrawFn) -> str:
    """One whole card of any version, with properties in any order."""
    ending = draw(st.sampled_from(ENDINGS))
    version = draw(st.sampled_from(["2.1", "3.0", "4.0"]))
    lines = draw(st.lists(content_lines(ending), max_size=10))
    return "".join(["BEGIN:VCARD" + ending, f"VERSION:{version}{ending}", *lines, "END:VCARD" + ending])
