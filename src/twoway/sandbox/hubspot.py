"""A look-alike of HubSpot's CRM API, v3: contacts, companies and deals.

Settings (defaults in `HubSpotApp.defaults`):

- `token`: the private app's token
- `index_lag`: seconds that search is behind (30); `list_lag`, `read_lag`: the same of listings and of reads by id (0)
- `rate_limit` requests in any 10 s (100), `search_limit` searches in any second (5), `daily_limit` (250,000), of
  which 0 turns each off
- `search_cap`: how many results of one search can be paged through (10,000)
- `shuffle_batches`: a batch's results come in another order than its inputs (on: HubSpot promises none)
- `merges_anew`: two contacts or companies that are merged become a new record, to which both ids lead: so HubSpot does
  since 2025, and always did with deals; off: the primary one is left, with its id, as records merged before then show
- `trace_ids`: results of batches repeat the `objectWriteTraceId` of their input (on: HubSpot's examples for v3 lack it)
- `lifecycle_forward_only`: an API write that moves `lifecyclestage` back is dropped in silence (on)

Batches: without `objectWriteTraceId` on every input, one input that is refused refuses the batch, and nothing of it is
written; with it, and for ids that do not exist, the answer is 207 with what succeeded and what did not.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from twoway.sandbox.hubspot_batches import Batches
from twoway.sandbox.hubspot_errors import PORTAL_ID, error, not_found, refusal_of
from twoway.sandbox.hubspot_objects import Objects, Taken
from twoway.sandbox.hubspot_properties import OBJECT_TYPES, Invalid, custom
from twoway.sandbox.hubspot_search import MAX_BODY, Search, page_of
from twoway.sandbox.kit import (
    HUMAN,
    Answer,
    Call,
    Record,
    Refusal,
    Setting,
    SlidingWindow,
    VendorApp,
    parse_time,
)

LIST_PAGE = 100
HISTORY_PAGE = 50
DAY = 86_400


class HubSpotApp(VendorApp):
    """The app; see the module."""

    vendor = "hubspot"
    defaults: ClassVar[Mapping[str, Setting]] = {
        "token": "pat-sandbox",
        "index_lag": 30.0,
        "list_lag": 0.0,
        "read_lag": 0.0,
        "rate_limit": 100,
        "search_limit": 5,
        "daily_limit": 250_000,
        "search_cap": 10_000,
        "shuffle_batches": True,
        "merges_anew": False,
        "trace_ids": True,
        "lifecycle_forward_only": True,
    }
    demo: ClassVar[Mapping[str, Setting]] = {"index_lag": 1.0}

    def __init__(self, **options: Any) -> None:
        self.objects: dict[str, Objects] = {}
        self._searches: dict[str, Search] = {}
        self._day = (0, 0)
        super().__init__(**options)
        for n, object_type in enumerate(OBJECT_TYPES):
            objects = Objects(object_type, self.collection(object_type, first_id=101 + 100_000_000 * n))
            self.objects[object_type] = objects
            self._searches[object_type] = Search(objects)
        self.settings_changed()
        batches = Batches(self)
        base = "/crm/v3/objects/{type}"
        self.route("POST", f"{base}/search", self._search)
        self.route("POST", f"{base}/merge", self._merge)
        self.route("POST", f"{base}/gdpr-delete", self._gdpr_delete)
        self.route("POST", f"{base}/batch/{{action}}", batches.handle)
        self.route("GET", base, self._list)
        self.route("POST", base, self._create)
        self.route("GET", f"{base}/{{id}}", self._read)
        self.route("PATCH", f"{base}/{{id}}", self._update)
        self.route("DELETE", f"{base}/{{id}}", self._archive)
        self.route("GET", "/crm/v3/properties/{type}", self._properties)
        self.route("POST", "/crm/v3/properties/{type}", self._define)
        self.route("GET", "/crm/v3/properties/{type}/{name}", self._property)
        self.route("GET", "/account-info/v3/details", self._account)

    # What every request passes

    def settings_changed(self) -> None:
        self._burst = SlidingWindow(int(self.number("rate_limit")), 10.0)
        self._search_burst = SlidingWindow(int(self.number("search_limit")), 1.0)
        for objects in self.objects.values():
            objects.lifecycle_forward_only = self.flag("lifecycle_forward_only")
            objects.merges_anew = self.flag("merges_anew") or objects.type == "deals"

    def authorise(self, call: Call) -> None:
        if call.header("authorization") != f"Bearer {self.text('token')}":
            raise self.unauthorised(call)

    def unauthorised(self, call: Call) -> Refusal:
        return error(
            call, 401, "INVALID_AUTHENTICATION", "Authentication credentials not found or not valid for this account."
        )

    def not_found(self, call: Call) -> Refusal:
        return not_found(call)

    def bad_json(self, call: Call) -> Refusal:
        return error(call, 400, "VALIDATION_ERROR", "Invalid input JSON")

    def too_many(self, call: Call, retry_after: float | None = None) -> Refusal:
        headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
        return self._limited(call, "TEN_SECONDLY_ROLLING", headers)

    def limit(self, call: Call) -> None:
        now = self.now()
        day, daily = int(now // DAY), int(self.number("daily_limit"))
        spent = self._day[1] if self._day[0] == day else 0
        if daily and spent >= daily:
            raise self._limited(call, "DAILY", {})
        search = call.path.endswith("/search")
        if search and not self._search_burst.take(now):
            raise self._limited(call, "SECONDLY", {})
        if not self._burst.take(now):
            raise self.too_many(call)
        self._day = (day, spent + 1)
        # HubSpot's search answers carry no such headers; a limit that is off would look like one that is used up.
        if not search and self._burst.limit:
            call.headers_out |= {
                "x-hubspot-ratelimit-max": str(self._burst.limit),
                "x-hubspot-ratelimit-remaining": str(self._burst.remaining(now)),
                "x-hubspot-ratelimit-interval-milliseconds": "10000",
                "x-hubspot-ratelimit-daily": str(daily),
                "x-hubspot-ratelimit-daily-remaining": str(max(0, daily - spent - 1)),
            }

    def _limited(self, call: Call, policy: str, headers: Mapping[str, str]) -> Refusal:
        body = {
            "status": "error",
            "message": f"You have reached your {policy.lower()} limit.",
            "errorType": "RATE_LIMIT",
            "correlationId": call.trace(),
            "policyName": policy,
            "groupName": f"publicapi:private-apps:crm:{PORTAL_ID}",
        }
        return Refusal(429, body, headers)

    # Records

    def objects_of(self, call: Call) -> Objects:
        """The object type in the path."""
        objects = self.objects.get(call.params["type"])
        if objects is None:
            raise error(call, 400, "VALIDATION_ERROR", f"Unable to infer object type from: {call.params['type']}")
        return objects

    def lookup(self, objects: Objects, wanted: str, id_property: str | None = None) -> Record | None:
        """The record of an id (a merged one's leads to the winner) or of a unique property's value; None if none."""
        if id_property and id_property != "hs_object_id":
            return objects.owner(id_property, wanted)
        return objects.records.get(int(wanted)) if wanted.isdecimal() else None

    def _record(self, call: Call) -> Record:
        record = self.lookup(self.objects_of(call), call.params["id"], call.query.get("idProperty"))
        if record is None:
            raise not_found(call)
        return record

    def _live(self, call: Call) -> Record:
        record = self._record(call)
        if record.deleted:
            raise not_found(call)
        return record

    def _list(self, call: Call) -> Answer:
        objects = self.objects_of(call)
        names, history = call.values("properties"), call.values("propertiesWithHistory")
        most = HISTORY_PAGE if history else LIST_PAGE
        limit, after = _integer(call, "limit", 10), _integer(call, "after", 0)
        if not 0 < limit <= most:
            raise error(call, 400, "VALIDATION_ERROR", f"limit must be between 1 and {most}, not {limit}")
        archived = call.truth("archived")
        seen_at = self.now() - self.number("list_lag")
        results: list[dict[str, Any]] = []
        more = False
        for record in objects.records.after(after - 1 if after else 0):
            version = objects.records.as_of(record, seen_at)
            if version is None or version.deleted is not archived or record.id in objects.records.aliases:
                continue
            if len(results) == limit:
                more, after = True, record.id
                break
            results.append(objects.wire(record, version, names, history))
        return Answer(200, {"results": results, **(_paging(call, str(after)) if more else {})})

    def _create(self, call: Call) -> Answer:
        objects = self.objects_of(call)
        properties = _properties(call, call.json())
        try:
            record = objects.create(objects.check(properties, None), call.by)
        except (Invalid, Taken) as reason:
            raise refusal_of(call, reason, objects, None) from None
        return Answer(201, objects.wire(record, record.version(), list(properties)))

    def _read(self, call: Call) -> Answer:
        objects = self.objects_of(call)
        record = self._record(call)
        version = objects.records.as_of(record, self.now() - self.number("read_lag"))
        if version is None or version.deleted is not (call.truth("archived")):
            raise not_found(call)
        names, history = call.values("properties"), call.values("propertiesWithHistory")
        return Answer(200, objects.wire(record, version, names, history))

    def _update(self, call: Call) -> Answer:
        objects = self.objects_of(call)
        record = self._live(call)
        properties = _properties(call, call.json())
        try:
            objects.update(record, objects.check(properties, record), call.by)
        except (Invalid, Taken) as reason:
            raise refusal_of(call, reason, objects, record) from None
        return Answer(200, objects.wire(record, record.version(), list(properties)))

    def _archive(self, call: Call) -> Answer:
        record = self._record(call)
        if not record.deleted:
            self.objects_of(call).archive(record, call.by)
        return Answer(204)

    def _merge(self, call: Call) -> Answer:
        objects = self.objects_of(call)
        body = call.json()
        winner = self.lookup(objects, str(body.get("primaryObjectId")))
        loser = self.lookup(objects, str(body.get("objectIdToMerge")))
        if winner is None or loser is None or winner.deleted or loser.deleted:
            raise not_found(call)
        if winner is loser:
            raise error(call, 400, "VALIDATION_ERROR", "An object cannot be merged with itself")
        left = objects.merge(winner, loser, call.by)
        return Answer(200, objects.wire(left, left.version()))

    def _gdpr_delete(self, call: Call) -> Answer:
        objects = self.objects_of(call)
        body = call.json()
        record = self.lookup(objects, str(body.get("objectId")), body.get("idProperty"))
        if record is not None:
            objects.purge(record, call.by)
        return Answer(204)

    def _search(self, call: Call) -> Answer:
        objects = self.objects_of(call)
        body = call.json()
        if len(call.body.decode()) > MAX_BODY:
            raise error(call, 400, "VALIDATION_ERROR", f"A search can contain a maximum of {MAX_BODY} characters")
        try:
            limit, after = page_of(body, self.number("search_cap"))
            hits = self._searches[objects.type].run(body, self.now() - self.number("index_lag"))
        except (ValueError, TypeError, KeyError) as reason:
            raise error(call, 400, "VALIDATION_ERROR", f"There was a problem with the request: {reason}") from None
        names = [str(name) for name in body.get("properties") or ()]
        page = hits[after : after + limit]
        results = [objects.wire(hit.record, hit.version, names) for hit in page]
        paging = {"paging": {"next": {"after": str(after + limit)}}} if after + limit < len(hits) else {}
        return Answer(200, {"total": len(hits), "results": results, **paging})

    # Properties and the account

    def _properties(self, call: Call) -> Answer:
        return Answer(200, {"results": [each.wire() for each in self.objects_of(call).properties.values()]})

    def _property(self, call: Call) -> Answer:
        definition = self.objects_of(call).properties.get(call.params["name"])
        if definition is None:
            raise not_found(call)
        return Answer(200, definition.wire())

    def _define(self, call: Call) -> Answer:
        objects = self.objects_of(call)
        try:
            definition = custom(call.json(), self.now())
        except (ValueError, KeyError, TypeError) as reason:
            raise error(call, 400, "VALIDATION_ERROR", f"Invalid property: {reason}") from None
        if definition.name in objects.properties:
            raise error(call, 409, "OBJECT_ALREADY_EXISTS", f"A property named '{definition.name}' already exists.")
        objects.define(definition)
        return Answer(201, definition.wire())

    def _account(self, call: Call) -> Answer:
        del call
        return Answer(
            200,
            {
                "portalId": PORTAL_ID,
                "accountType": "STANDARD",
                "timeZone": "UTC",
                "companyCurrency": "USD",
                "dataHostingLocation": "na1",
                "uiDomain": "app.hubspot.com",
            },
        )

    # Control

    def show(self, collection: str, record: Record) -> Any:
        """All properties that the record has a value of."""
        objects = self.objects[collection]
        return objects.wire(record, record.version(), ["hs_merged_object_ids", *record.fields])

    def human(self, **edit: Any) -> Any:
        """`merge`: the record `id` goes into the record `into`; the answer is what is left of both.

        ValueError for what HubSpot's own pages refuse.
        """
        return self._edit(**edit)

    def _edit(
        self,
        kind: str,
        fields: Mapping[str, Any] | None = None,
        id: str | int = 0,
        collection: str = "contacts",
        into: str | int = 0,
    ) -> Any:
        objects = self.objects[collection]
        values = dict(fields or {})
        if kind == "create":
            return self.show(collection, objects.create(self._entered(objects, values, None), HUMAN))
        record = objects.records.get(int(id))
        if record is None:
            raise ValueError(f"no such record: {id}")
        match kind:
            case "update":
                objects.update(record, self._entered(objects, values, record), HUMAN)
            case "delete":
                objects.archive(record, HUMAN)
            case "restore":
                try:
                    objects.restore(record, HUMAN)
                except Taken as reason:
                    raise ValueError(str(reason)) from None
            case "merge":
                winner = objects.records.get(int(into))
                if winner is None or winner is record:
                    raise ValueError(f"no record to merge into: {into}")
                record = objects.merge(winner, record, HUMAN)
            case _:
                raise ValueError(f"no such kind of edit: {kind!r}")
        return self.show(collection, record)

    def _entered(self, objects: Objects, values: Mapping[str, Any], record: Record | None) -> Mapping[str, str]:
        """Values as a person enters them: the stage may go back."""
        objects.lifecycle_forward_only = False
        try:
            return objects.check(values, record)
        except Taken as reason:
            raise ValueError(str(reason)) from None
        finally:
            objects.lifecycle_forward_only = self.flag("lifecycle_forward_only")

    def load(self, records: Iterable[Mapping[str, Any]], collection: str | None = None) -> int:
        """Records as `{"id"?, "properties": {...}, "createdAt"?, "updatedAt"?}`, ISO times; contacts by default."""
        objects = self.objects[collection or "contacts"]
        count = 0
        for entry in records:
            count += 1
            created, modified = entry.get("createdAt"), entry.get("updatedAt")
            objects.load(entry, parse_time(created) if created else None, parse_time(modified) if modified else None)
        objects.records.loaded()
        return count


def _integer(call: Call, name: str, default: int) -> int:
    value = call.query.get(name, "")
    if value and not value.isdecimal():
        raise error(call, 400, "VALIDATION_ERROR", f"{name} must be a number, not {value!r}")
    return int(value) if value else default


def _properties(call: Call, body: Any) -> dict[str, Any]:
    properties = body.get("properties") if isinstance(body, dict) else None
    if not isinstance(properties, dict):
        raise error(call, 400, "VALIDATION_ERROR", "Invalid input JSON: properties must be an object")
    return properties


def _paging(call: Call, after: str) -> dict[str, Any]:
    return {"paging": {"next": {"after": after, "link": f"{call.base_url}{call.path}?after={after}"}}}
