"""A look-alike of Mailchimp's Marketing API, 3.0: audiences, members, tags and merge fields.

Settings (defaults in `MailchimpApp.defaults`):

- `token`: the API key (Basic with any user, or Bearer)
- `connection_limit`: requests that may be in progress at once (10); one more answers 429, without Retry-After
- `list_lag`, `read_lag`: seconds that listings and reads by id are behind (0)
- `listing_has_archived`: does a listing without `status` show archived members (no)
- `strict_compliance`: nobody who is unsubscribed can be subscribed by API (on); off: only who was by a human's doing
- `refuse_fake`: addresses at example.com and the like are refused (off, unlike Mailchimp: tests live there)
- `tags_touch`: a change of tags moves `last_changed` (on)
- `batch_revives`: a batch, too, brings an archived address back as `POST .../members` does (on: no document says that
  it does not); off: it is refused like any other address that is there
- `takes_status_lists`: a listing takes several statuses, with commas (on, undocumented); off: only the first counts

A member is shown with fifty of its tags at most; `tags_count` tells how many there are, and `.../tags` has them all.

A member is named by the hash of its address. Reading, changing and archiving it, and reading its tags, take its address
or its contact_id as well; changing its tags and deleting it for good do not.

Times have a resolution of one second. One audience is there from the start (`LIST_ID`); `add_list` makes more. A
member's collection, in logs and control routes, is the audience's id, or none for the first audience.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from twoway.sandbox.kit import (
    HUMAN,
    Answer,
    Call,
    Record,
    Refusal,
    Setting,
    VendorApp,
    basic_credentials,
    iso_seconds,
    parse_time,
)
from twoway.sandbox.mailchimp_audience import STATUSES, Audience, Rejected, contact_id, member_hash
from twoway.sandbox.mailchimp_fields import custom
from twoway.sandbox.mailchimp_listing import Listing, pick, query_of

LIST_ID = "5ad0b0c1d2"
MAX_COUNT = 1000
MAX_BATCH = 500


class MailchimpApp(VendorApp):
    """The app; see the module."""

    vendor = "mailchimp"
    defaults: ClassVar[Mapping[str, Setting]] = {
        "token": "sandbox-us1",
        "connection_limit": 10,
        "list_lag": 0.0,
        "read_lag": 0.0,
        "listing_has_archived": False,
        "strict_compliance": True,
        "refuse_fake": False,
        "tags_touch": True,
        "batch_revives": True,
        "takes_status_lists": True,
    }

    def __init__(self, **options: Any) -> None:
        self.audiences: dict[str, Audience] = {}
        self._listings: dict[str, Listing] = {}
        super().__init__(**options)
        self.add_list(LIST_ID, "Customers")
        base = "/3.0/lists/{list}"
        member = f"{base}/members/{{member}}"
        self.route("GET", "/3.0/ping", lambda _: Answer(200, {"health_status": "All is well"}))
        self.route("GET", "/3.0/", self._root)
        self.route("GET", "/3.0/lists", self._lists)
        self.route("GET", base, self._list_info)
        self.route("POST", base, self._batch)
        self.route("GET", f"{base}/members", self._members)
        self.route("POST", f"{base}/members", self._create)
        self.route("GET", member, self._read)
        self.route("PUT", member, self._put)
        self.route("PATCH", member, self._patch)
        self.route("DELETE", member, self._archive)
        self.route("POST", f"{member}/actions/delete-permanent", self._forget)
        self.route("GET", f"{member}/tags", self._tags)
        self.route("POST", f"{member}/tags", self._retag)
        self.route("GET", f"{base}/merge-fields", self._merge_fields)
        self.route("POST", f"{base}/merge-fields", self._define)
        self.route("GET", f"{base}/merge-fields/{{number}}", self._merge_field)

    def add_list(self, list_id: str, name: str) -> Audience:
        """A new, empty audience."""
        members = self.collection(list_id, resolution=1.0, first_id=1001, show_id=contact_id)
        audience = self.audiences[list_id] = Audience(list_id, name, members)
        self._listings[list_id] = Listing(audience)
        self.settings_changed()
        return audience

    # What every request passes

    def settings_changed(self) -> None:
        for audience in self.audiences.values():
            audience.refuse_fake = self.flag("refuse_fake")
            audience.strict_compliance = self.flag("strict_compliance")

    def authorise(self, call: Call) -> None:
        header = call.header("authorization")
        credentials = basic_credentials(header)
        key = credentials[1] if credentials else (header or "").removeprefix("Bearer ")
        if key != self.text("token"):
            raise self.unauthorised(call)

    def limit(self, call: Call) -> None:
        if self.open_requests > self.number("connection_limit"):
            raise self.too_many(call)

    def unauthorised(self, call: Call) -> Refusal:
        return _problem(call, 401, "API Key Invalid", "The API key may be invalid, or for another data center.")

    def not_found(self, call: Call) -> Refusal:
        return _problem(call, 404, "Resource Not Found", "The requested resource could not be found.")

    def bad_json(self, call: Call) -> Refusal:
        return _problem(call, 400, "JSON Parse Error", "The request's body is not valid JSON.")

    def too_many(self, call: Call, retry_after: float | None = None) -> Refusal:
        refusal = _problem(call, 429, "Too Many Requests", "You have exceeded the limit of simultaneous connections.")
        if retry_after is not None:
            refusal.answer.headers["retry-after"] = f"{retry_after:g}"
        return refusal

    # Audiences

    def _audience(self, call: Call) -> Audience:
        audience = self.audiences.get(call.params["list"])
        if audience is None:
            raise self.not_found(call)
        return audience

    def _root(self, call: Call) -> Answer:
        del call
        return Answer(200, {"account_id": "sandbox", "account_name": "Sandbox", "total_subscribers": 0, "_links": []})

    def _list_wire(self, audience: Audience) -> dict[str, Any]:
        live = [record for record in audience.members if not record.deleted]
        counts = dict.fromkeys(STATUSES, 0)
        for record in live:
            counts[record.fields["status"]] += 1
        return {
            "id": audience.id,
            "web_id": 1,
            "name": audience.name,
            "double_optin": False,
            "date_created": "2020-01-01T00:00:00+00:00",
            "stats": {
                "member_count": counts["subscribed"],
                "total_contacts": len(live),
                "unsubscribe_count": counts["unsubscribed"],
                "cleaned_count": counts["cleaned"],
                "merge_field_count": len(audience.fields),
            },
            "_links": [],
        }

    def _lists(self, call: Call) -> Answer:
        lists = [self._list_wire(audience) for audience in self.audiences.values()]
        return _shaped(call, {"lists": lists, "total_items": len(lists), "_links": []})

    def _list_info(self, call: Call) -> Answer:
        return _shaped(call, self._list_wire(self._audience(call)))

    # Members

    def _member(self, call: Call) -> tuple[Audience, Record]:
        audience = self._audience(call)
        record = audience.find(call.params["member"])
        if record is None:
            raise self.not_found(call)
        return audience, record

    def _hashed_member(self, call: Call) -> tuple[Audience, Record]:
        """The member, by the hash alone."""
        audience, record = self._member(call)
        if call.params["member"].lower() != member_hash(record.fields["email_address"]):
            raise self.not_found(call)
        return audience, record

    def _members(self, call: Call) -> Answer:
        audience = self._audience(call)
        count, offset = self._page(call)
        try:
            query = query_of(
                call.query, archived=self.flag("listing_has_archived"), lists=self.flag("takes_status_lists")
            )
        except ValueError as reason:
            raise _problem(call, 400, "Invalid Resource", str(reason)) from None
        hits = self._listings[audience.id].run(query, self.now() - self.number("list_lag"))
        members = [audience.wire(record, version) for record, version in hits[offset : offset + count]]
        return _shaped(call, {"members": members, "list_id": audience.id, "total_items": len(hits), "_links": []})

    def _create(self, call: Call) -> Answer:
        audience = self._audience(call)
        body = self._body(call)
        if body.get("status") is None:
            raise _problem(call, 400, "Invalid Resource", "Required fields were not provided: status")
        try:
            archived = audience.archived(body)
            changes = audience.check(body, archived, skip_required=_skips_required(call))
        except Rejected as reason:
            raise _refusal(call, reason) from None
        record = self._made(call, audience, changes, body, archived)
        return Answer(200, audience.wire(record, record.version()))

    def _made(
        self,
        call: Call,
        audience: Audience,
        changes: Mapping[str, Any],
        body: Mapping[str, Any],
        archived: Record | None,
    ) -> Record:
        """A new member, or the archived one that is back with what it had, and with this."""
        if archived is None:
            return audience.create(changes, _tag_names(body), call.by)
        audience.update(archived, changes, call.by)
        audience.retag(archived, _tag_names(body), [], call.by, touch=self.flag("tags_touch"))
        return archived

    def _read(self, call: Call) -> Answer:
        audience, record = self._member(call)
        version = audience.members.as_of(record, self.now() - self.number("read_lag"))
        if version is None:
            raise self.not_found(call)
        return _shaped(call, audience.wire(record, version))

    def _put(self, call: Call) -> Answer:
        audience = self._audience(call)
        body = self._body(call)
        record = audience.find(call.params["member"])
        if record is None:
            # An address that is listed under another hash is a member already; the check below says so.
            body = {**body, "status": body.get("status_if_new") or body.get("status")}
            if body["status"] is None:
                raise _problem(call, 400, "Invalid Resource", "Required fields were not provided: status_if_new")
        try:
            changes = audience.check(body, record, skip_required=_skips_required(call))
        except Rejected as reason:
            raise _refusal(call, reason) from None
        if record is None:
            record = audience.create(changes, [], call.by)
        else:
            audience.update(record, changes, call.by)
        return Answer(200, audience.wire(record, record.version()))

    def _patch(self, call: Call) -> Answer:
        audience, record = self._member(call)
        try:
            changes = audience.check(self._body(call), record, skip_required=_skips_required(call))
        except Rejected as reason:
            raise _refusal(call, reason) from None
        audience.update(record, changes, call.by)
        return Answer(200, audience.wire(record, record.version()))

    def _archive(self, call: Call) -> Answer:
        audience, record = self._member(call)
        if record.deleted:
            raise _problem(call, 405, "Method Not Allowed", "This list member cannot be removed.")
        audience.archive(record, call.by)
        return Answer(204)

    def _forget(self, call: Call) -> Answer:
        audience, record = self._hashed_member(call)
        audience.forget(record, call.by)
        return Answer(204)

    def _batch(self, call: Call) -> Answer:
        audience = self._audience(call)
        body = self._body(call)
        members = body.get("members")
        if not isinstance(members, list) or len(members) > MAX_BATCH:
            raise _problem(call, 400, "Invalid Resource", f"members must be a list of at most {MAX_BATCH}")
        new: list[dict[str, Any]] = []
        updated: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for member in members:
            call.step()
            try:
                record = audience.find(str(member.get("email_address") or "@"))
                archived = audience.archived(member) if self.flag("batch_revives") else None
                if record is not None and archived is None and not body.get("update_existing"):
                    _already_there(member)
                changes = audience.check(member, record, skip_required=_skips_required(call))
            except Rejected as reason:
                errors.append(_batch_error(member, reason))
                continue
            if record is None or (archived is not None and not body.get("update_existing")):
                changes.setdefault("status", "subscribed")
                record = self._made(call, audience, changes, member, archived)
                new.append(audience.wire(record, record.version()))
                continue
            audience.update(record, changes, call.by)
            if "tags" in member:
                kept = set(_tag_names(member))
                gone = (
                    [name for name in record.fields.get("tags", ()) if name not in kept]
                    if body.get("sync_tags")
                    else []
                )
                audience.retag(record, _tag_names(member), gone, call.by, touch=self.flag("tags_touch"))
            updated.append(audience.wire(record, record.version()))
        return _shaped(
            call,
            {
                "new_members": new,
                "updated_members": updated,
                "errors": errors,
                "total_created": len(new),
                "total_updated": len(updated),
                "error_count": len(errors),
                "_links": [],
            },
        )

    # Tags and merge fields

    def _tags(self, call: Call) -> Answer:
        audience, record = self._member(call)
        count, offset = self._page(call)
        names = record.fields.get("tags", ())
        added = iso_seconds(record.modified, zone="+00:00")
        tags = [{"id": audience.tag_ids[name], "name": name, "date_added": added} for name in names]
        return _shaped(call, {"tags": tags[offset : offset + count], "total_items": len(tags), "_links": []})

    def _retag(self, call: Call) -> Answer:
        audience, record = self._hashed_member(call)
        tags = self._body(call).get("tags")
        if not isinstance(tags, list) or not all(isinstance(tag, dict) and tag.get("name") for tag in tags):
            raise _problem(call, 400, "Invalid Resource", "tags must be a list of {name, status}")
        add = [str(tag["name"]) for tag in tags if tag.get("status") == "active"]
        remove = [str(tag["name"]) for tag in tags if tag.get("status") == "inactive"]
        audience.retag(record, add, remove, call.by, touch=self.flag("tags_touch"))
        return Answer(204)

    def _merge_fields(self, call: Call) -> Answer:
        audience = self._audience(call)
        count, offset = self._page(call)
        fields = [each.wire(audience.id) for each in audience.fields.values()]
        page = {"merge_fields": fields[offset : offset + count], "list_id": audience.id, "total_items": len(fields)}
        return _shaped(call, {**page, "_links": []})

    def _merge_field(self, call: Call) -> Answer:
        audience = self._audience(call)
        for each in audience.fields.values():
            if str(each.number) == call.params["number"]:
                return _shaped(call, each.wire(audience.id))
        raise self.not_found(call)

    def _define(self, call: Call) -> Answer:
        audience = self._audience(call)
        number = max((each.number for each in audience.fields.values()), default=0) + 1
        try:
            definition = custom(number, self._body(call))
        except ValueError as reason:
            raise _problem(call, 400, "Invalid Resource", str(reason)) from None
        if definition.tag in audience.fields:
            raise _problem(call, 400, "Invalid Resource", f"A merge field with the tag {definition.tag} exists.")
        audience.fields[definition.tag] = definition
        return Answer(200, definition.wire(audience.id))

    # Control

    def show(self, collection: str, record: Record) -> Any:
        """The member's whole JSON, with all its tags."""
        return self.audiences[collection].wire(record, record.version(), most_tags=None)

    def human(self, **edit: Any) -> Any:
        """`id` is a hash, an address or a contact_id; `delete` archives, and with `permanent` deletes for good."""
        return self._edit(**edit)

    def _edit(
        self,
        kind: str,
        fields: Mapping[str, Any] | None = None,
        id: str = "",
        collection: str | None = None,
        permanent: bool = False,
    ) -> Any:
        audience = self.audiences[collection or LIST_ID]
        values = dict(fields or {})
        record = audience.find(str(id)) if kind != "create" else None
        if record is None and kind != "create":
            raise ValueError(f"no such member: {id}")
        try:
            if record is None:
                changes = {"status": "subscribed", **audience.check(values, None, human=True)}
                record = audience.create(changes, _tag_names(values), HUMAN)
                return self.show(audience.id, record)
            match kind:
                case "update":
                    changes = audience.check(values, record, skip_required=True, human=True)
                    if changes:
                        audience.update(record, changes, HUMAN)
                    if "tags" in values:
                        gone = [name for name in record.fields.get("tags", ()) if name not in values["tags"]]
                        audience.retag(record, values["tags"], gone, HUMAN, touch=self.flag("tags_touch"))
                case "delete" if permanent:
                    shape = self.show(audience.id, record)
                    audience.forget(record, HUMAN)
                    return shape
                case "delete":
                    audience.archive(record, HUMAN)
                case "restore":
                    audience.members.restore(record, HUMAN)
                case _:
                    raise ValueError(f"Mailchimp has no such edit: {kind!r}")
        except Rejected as reason:
            raise ValueError(f"{reason.title}: {reason}") from None
        return self.show(audience.id, record)

    def load(self, records: Iterable[Mapping[str, Any]], collection: str | None = None) -> int:
        """Members as `{"email_address", "status"?, "merge_fields"?, "tags"?, "timestamp_opt"?, "last_changed"?}`."""
        audience = self.audiences[collection or LIST_ID]
        count = 0
        for entry in records:
            count += 1
            created, modified = entry.get("timestamp_opt"), entry.get("last_changed")
            audience.load(entry, parse_time(created) if created else None, parse_time(modified) if modified else None)
        audience.members.loaded()
        return count

    # Requests

    def _body(self, call: Call) -> dict[str, Any]:
        body = call.json()
        if not isinstance(body, dict):
            raise self.bad_json(call)
        return body

    def _page(self, call: Call) -> tuple[int, int]:
        """`count` (10 by default) and `offset`."""
        numbers = [call.query.get("count", "10"), call.query.get("offset", "0")]
        if not all(number.isdecimal() for number in numbers) or int(numbers[0]) > MAX_COUNT:
            raise _problem(call, 400, "Invalid Resource", f"count must be 0 to {MAX_COUNT}, offset 0 or more")
        return int(numbers[0]), int(numbers[1])


def _shaped(call: Call, body: dict[str, Any]) -> Answer:
    """200 with what `fields` and `exclude_fields` leave of the body."""
    return Answer(200, pick(body, call.values("fields"), call.values("exclude_fields")))


def _skips_required(call: Call) -> bool:
    return call.truth("skip_merge_validation")


def _tag_names(body: Mapping[str, Any]) -> list[str]:
    return [str(tag["name"]) if isinstance(tag, dict) else str(tag) for tag in body.get("tags") or ()]


def _already_there(member: Mapping[str, Any]) -> None:
    raise Rejected(
        "Member Exists",
        f"{member['email_address']} is already a list member; set update_existing to change it",
        code="ERROR_CONTACT_EXISTS",
    )


def _batch_error(member: Mapping[str, Any], reason: Rejected) -> dict[str, Any]:
    field, message = next(iter(reason.errors.items()), ("", ""))
    return {
        "email_address": str(member.get("email_address") or ""),
        "error": str(reason),
        "error_code": reason.code,
        "field": field,
        "field_message": message,
    }


def _refusal(call: Call, reason: Rejected) -> Refusal:
    errors = [{"field": field, "message": message} for field, message in reason.errors.items()]
    return _problem(call, 400, reason.title, str(reason), errors)


def _problem(call: Call, status: int, title: str, detail: str, errors: list[dict[str, str]] | None = None) -> Refusal:
    body: dict[str, Any] = {
        "type": "https://mailchimp.com/developer/marketing/docs/errors/",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": call.trace(),
    }
    if errors:
        body["errors"] = errors
    return Refusal(status, body, {"content-type": "application/problem+json; charset=utf-8"})
