"""The connector of `benchmarks.speed.server`: what anyone would write with the SDK, and nothing besides."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.speed import people
from twoway.sdk import (
    Absence,
    AccountInfo,
    Capabilities,
    CollectionInfo,
    ConnectorContext,
    Fetched,
    FieldInfo,
    FieldType,
    HookRefused,
    HookRequest,
    HttpClient,
    Kind,
    Page,
    Presence,
    Raw,
    RawValues,
    Receipt,
    ReceiptShape,
    Record,
    Write,
)

PAGE: Final = 1_000
BATCH: Final = 100


class Directory:
    """One side of the server. Its key is unique, its writes are conditional, and its feed is exact."""

    def __init__(self, context: ConnectorContext) -> None:
        self._side = context.collection
        fields = people.FIELDS[self._side]
        self._http: HttpClient = context.open_http(
            context.settings["base_url"], rate=1_000_000, burst=1_000, allow_http=True
        )
        self.capabilities = Capabilities(
            fetch_batch=PAGE,
            write_batch={Kind.CREATE: BATCH, Kind.UPDATE: BATCH},
            kinds=frozenset({Kind.CREATE, Kind.UPDATE}),
            conditional=True,
            unique=frozenset({fields[0]}),
            receipt=ReceiptShape.VERSION,
        )

    async def check(self) -> AccountInfo:
        await self._get("version")
        return AccountInfo(self._side)

    async def collections(self) -> Sequence[CollectionInfo]:
        return [CollectionInfo(side) for side in people.SIDES]

    async def describe(self) -> Sequence[FieldInfo]:
        unique = self.capabilities.unique
        fields = sorted(people.FIELDS[self._side])
        return [FieldInfo(name=name, type=FieldType.STRING, unique=name in unique) for name in fields]

    async def changes(self, cursor: str | None) -> Page:
        if cursor is None:
            return Page(cursor=str((await self._get("version"))["version"]), last=True)
        answer = await self._get("changes", since=cursor, limit=str(PAGE))
        return Page(
            [_record(row) for row in answer["records"]],
            cursor=str(answer["page"]["version"]),
            last=not answer["page"]["more"],
        )

    async def snapshot(self, cursor: str | None) -> Page:
        answer = await self._get("records", after=cursor or "0", limit=str(PAGE))
        following = answer["page"]["next"]
        records = [_record(row) for row in answer["records"]]
        return Page(records, cursor=None if following is None else str(following), last=following is None)

    async def fetch(self, ids: Sequence[str]) -> Mapping[str, Fetched]:
        answer = await self._post("fetch", {"ids": list(ids)}, reads=True)
        found: dict[str, Fetched] = {one: Absence(one, Presence.GONE) for one in ids}
        return found | {row["id"]: _record(row) for row in answer["records"]}

    async def find(self, field: str, values: Sequence[Raw]) -> Mapping[Raw, Sequence[str]]:
        raise NotImplementedError(f"this app looks nothing up by {field}, for {len(values)} values")

    async def apply(self, writes: Sequence[Write]) -> Sequence[Receipt]:
        if writes[0].kind is Kind.CREATE:
            answer = await self._post("create", {"records": [dict(write.changed) for write in writes]})
        else:
            rows = [
                {"id": write.id, "version": write.version and int(write.version), "fields": dict(write.changed)}
                for write in writes
            ]
            answer = await self._post("update", {"records": rows})
        return [_receipt(result) for result in answer["results"]]

    def normal(self, values: RawValues) -> RawValues:
        return values

    def parse_hook(self, request: HookRequest) -> Sequence[str]:
        raise HookRefused(f"this app sends no webhooks: {request.method}")

    async def close(self) -> None:
        await self._http.close()

    async def _get(self, what: str, **params: str) -> Any:
        return (await self._http.request("GET", f"/{self._side}/{what}", params=params)).json()

    async def _post(self, what: str, body: Any, *, reads: bool = False) -> Any:
        return (await self._http.request("POST", f"/{self._side}/{what}", json=body, reads=reads)).json()


def _record(row: Any) -> Record:
    return Record(row["id"], row["fields"], str(row["version"]))


def _receipt(result: Any) -> Receipt:
    match result.get("error"):
        case "duplicate":
            return Receipt.duplicate(result["id"])
        case "moved":
            return Receipt.moved()
    return Receipt.done(result["id"], version=str(result["version"]))
