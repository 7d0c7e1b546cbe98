"""Phone numbers and web addresses as people write them: nothing is read into them that is not there."""

import pytest

from twoway.core.raw import Invalid
from twoway.core.types import make_type


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("030 1234567", "+49301234567", id="a number"),
        pytest.param("Tel. 030 1234567", "+49301234567", id="a word before it"),
        pytest.param("tel:+49-30-1234567", "+49301234567", id="an address for dialling"),
        pytest.param("030 1234567 ext. 12", "+49301234567;ext=12", id="an extension"),
        pytest.param("٠٣٠ ١٢٣٤٥٦٧ x12", "+49301234567;ext=12", id="other digits, and a sign for an extension"),
        pytest.param("+39 06 1234567 (a)", "+39061234567", id="a letter that is no digit to anybody"),
        pytest.param("030 12345 privat", None, id="a remark that would make the number longer"),
        pytest.param("0170 1234567 mobil", None, id="a remark behind a mobile number"),
        pytest.param("030 123456 Mo-Fr 9-17", None, id="when somebody is there"),
        pytest.param("+1 800 FLOWERS", None, id="letters for digits"),
    ],
)
def test_letters_behind_a_phone_number_are_never_digits(text: str, number: str | None) -> None:
    parse = make_type("phone", region="DE").parse
    if number is None:
        with pytest.raises(Invalid, match="letters in a phone number"):
            parse(text)
    else:
        assert parse(text) == number


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param(
            "HTTPS://Ann:SeCret@Example.COM:8080/Path", "https://Ann:SeCret@example.com:8080/Path", id="login"
        ),
        pytest.param("//Ann@Example.com", "//Ann@example.com", id="no scheme"),
        pytest.param("http://a@b@Example.com/", "http://a@b@example.com", id="a login with the sign in it"),
    ],
)
def test_the_login_in_a_web_address_is_the_apps_to_the_letter(text: str, address: str) -> None:
    assert make_type("url").parse(text) == address


def test_two_addresses_are_never_one_key() -> None:
    """`groß.de` and `gross.de` are two domains (IDNA 2008), and a path in another case is another page."""
    fold = make_type("email").fold
    assert fold is not None
    assert fold("info@groß.de") != fold("info@gross.de")
    fold = make_type("url").fold
    assert fold is not None
    assert fold("https://a.example/X") != fold("https://a.example/x")
