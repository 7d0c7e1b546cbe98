"""The types by which people are reached: e-mail address, phone number, web address.

Reading one of the first two costs tens of microseconds, and the same few thousand are read at every snapshot: both
are memoised.
"""

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import urlsplit

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from phonenumbers import PhoneNumber, PhoneNumberFormat, ValidationResult

from twoway.core.model import Raw
from twoway.core.raw import BLANKS, Invalid, kind_of, nfc

_MEMO = 65_536

# Apps hold addresses of intranets and of tests, too (`.local`, `.test`): whether mail reaches them is no business of
# ours. The library offers this list for changing, and no argument for it.
SPECIAL_USE_DOMAIN_NAMES.clear()


def parse_email(raw: Raw) -> str | None:
    """An address in lower case, its domain in Unicode form. Only the spelling is judged: nothing is looked up."""
    if raw in BLANKS:
        return None
    if not isinstance(raw, str):
        raise Invalid(f"{kind_of(raw)} where an e-mail address is expected")
    answer = _email(raw)
    if answer.__class__ is Invalid:
        raise Invalid(answer.why)
    return answer  # type: ignore[return-value]  # the other branch has raised


@lru_cache(_MEMO)
def _email(raw: str) -> str | Invalid | None:
    text = raw.strip()
    if not text:
        return None
    try:
        address = validate_email(
            text, check_deliverability=False, globally_deliverable=False, allow_quoted_local=True
        ).normalized
    except EmailNotValidError:
        # The library's message quotes the address.
        return Invalid("not an e-mail address")
    return _settled(address)


def _settled(address: str) -> str:
    """Lower case, and the domain as the library writes it once more: lowering may undo its normal form."""
    lower = address.lower()
    if lower.isascii():
        return lower
    return validate_email(
        lower, check_deliverability=False, globally_deliverable=False, allow_quoted_local=True
    ).normalized.lower()


def phone_parser(region: str | None) -> Callable[[Raw], str | None]:
    """Reads phone numbers to E.164 (`+15550100200`), an extension following as `;ext=12` (RFC 3966).

    `region` is the ISO country whose numbers are written without a country code. Numbers are judged by their length,
    not by whether they are assigned: numbering plans change faster than libraries are updated. Letters are no digits: a
    remark behind a number is not dialled, as the library would have it (1-800-FLOWERS).
    """

    @lru_cache(_MEMO)
    def read(text: str) -> str | Invalid | None:
        if not text.strip():
            return None
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException as error:
            if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and region is None:
                return Invalid("a phone number without a country code, and the field has no `region`")
            return Invalid("not a phone number")
        if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
            return Invalid("a phone number that is too short or too long for its country")
        if _dials_letters(text, number):
            return Invalid("letters in a phone number")
        plain = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        return f"{plain};ext={number.extension}" if number.extension else plain

    def parse(raw: Raw) -> str | None:
        if raw in BLANKS:
            return None
        if isinstance(raw, int) and not isinstance(raw, bool):
            raw = str(raw)
        if not isinstance(raw, str):
            raise Invalid(f"{kind_of(raw)} where a phone number is expected")
        answer = read(raw)
        if answer.__class__ is Invalid:
            raise Invalid(answer.why)
        return answer  # type: ignore[return-value]  # the other branch has raised

    return parse


def _dials_letters(text: str, number: PhoneNumber) -> bool:
    """Whether digits of the number were made of letters: then it does not end with the digits of the text."""
    if not any(one.isalpha() for one in text):
        return False
    digits = "".join(str(unicodedata.decimal(one)) for one in text if one.isdecimal())
    return not digits.endswith(f"{number.national_number}{number.extension or ''}")


def parse_url(raw: Raw) -> str | None:
    """A web address with scheme and host in lower case and no lone final slash; the rest is the app's, to the letter, a
    login before the host too.

    A scheme is neither asked for nor added: apps that store `example.com` would rewrite it at once.
    """
    if raw in BLANKS:
        return None
    if not isinstance(raw, str):
        raise Invalid(f"{kind_of(raw)} where a web address is expected")
    text = nfc(raw.strip())
    if not text:
        return None
    if any(one.isspace() for one in text):
        raise Invalid("a web address with spaces inside")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise Invalid("not a web address") from None
    if not parts.netloc:
        return text
    head = f"{parts.scheme}://" if parts.scheme else "//"
    rest = text[text.index("//") + 2 + len(parts.netloc) :]
    login, at, host = parts.netloc.rpartition("@")
    return head + login + at + host.lower() + ("" if rest == "/" else rest)
