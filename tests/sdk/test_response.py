"""What an answer is read as, and what it tells of the request."""

import httpx
import pytest
from tests.sdk.wire import Wire, get, post

from twoway.sdk import TellUser
from twoway.sdk.response import Headers, Response


def answer(body: bytes) -> Response:
    return Response(200, Headers(), body, url="https://app.test/", where="crm: GET /things")


def test_half_a_surrogate_pair_spoils_its_own_field_alone() -> None:
    rows = answer(b'[{"name": "caf\\ud83d"}, {"name": "Ann \\ud83d\\ude00"}]').json()
    assert rows == [{"name": "caf\ud83d"}, {"name": "Ann \U0001f600"}]


@pytest.mark.parametrize("body", [b'{"name": "caf\\ud83d"', b"{", b"\xff", b""])
def test_what_is_no_json_is_told(body: bytes) -> None:
    with pytest.raises(TellUser, match="crm: GET /things"):
        answer(body).json()


def test_an_answer_tells_that_an_earlier_attempt_may_have_been_taken_up() -> None:
    lost = httpx.ReadTimeout("no answer")
    again = Wire(lost, httpx.Response(409, json={}))
    assert again.run(post(retry_safe=True, expect=(201, 409))).landed
    once = Wire(httpx.Response(409, json={}))
    assert not once.run(post(retry_safe=True, expect=(201, 409))).landed
    read = Wire(lost, httpx.Response(200, json={"a": 1}))
    assert read.run(get()) == {"a": 1}
