"""The e-mail address of a user who exists.

An `email` in an update would become one more, secondary address. The primary one is changed among the user's
identities. The address before stays as a secondary one: mail from it still finds the user.
"""

from typing import Any
from urllib.parse import quote

from twoway.sdk import Receipt, Write
from twoway.sdk.http import HttpClient
from twoway.sdk.response import Response
from twoway_connectors.zendesk.answers import Refusal
from twoway_connectors.zendesk.catalog import USERS

EMAIL = "email"


async def set_primary_email(http: HttpClient, write: Write, *, verify: bool) -> Receipt | None:
    """Make the write's e-mail address the primary one; None if it is now, else why not.

    With `verify` Zendesk mails the person to confirm a new address.
    """
    wanted = str(write.changed[EMAIL] or "").strip()
    if not wanted:
        return Receipt.refused("a user's primary e-mail address can be changed but not removed", EMAIL)
    path = USERS.path_of(str(write.id), "identities")
    answer = await http.request("GET", path, expect=(200, 404))
    if answer.status == 404:
        return Receipt.gone()
    known = [entry for entry in answer.json()["identities"] if entry["type"] == "email"]
    same = next((entry for entry in known if entry["value"].casefold() == wanted.casefold()), None)
    if same is None:
        new = {"type": "email", "value": wanted, "skip_verify_email": not verify}
        added = await http.request("POST", path, json={"identity": new}, expect=(201, 400, 404, 422))
        if added.status != 201:
            return _refused(added, write)
        same = added.json()["identity"]
    elif same["value"] != wanted:
        changed = await http.request("PUT", _one(path, same), json={"identity": {"value": wanted}}, expect=_ANSWERS)
        if changed.status != 200:
            return _refused(changed, write)
    if same["primary"]:
        return None
    made = await http.request("PUT", f"{_one(path, same)}/make_primary", json={}, expect=_ANSWERS)
    return None if made.status == 200 else _refused(made, write)


_ANSWERS = (200, 400, 404, 422)


def _one(path: str, identity: dict[str, Any]) -> str:
    return f"{path}/{quote(str(identity['id']), safe='')}"


def _refused(answer: Response, write: Write) -> Receipt:
    if answer.status == 404:
        return Receipt.gone()
    refusal = Refusal(answer.json())
    if refusal.taken():
        return Receipt.refused("another user has this e-mail address", EMAIL)
    return Receipt.refused(refusal.receipt(write).why or "", EMAIL)
