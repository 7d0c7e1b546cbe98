"""A client of the look-alike Zendesk for the tests."""

import asyncio
import base64
from typing import Any

import httpx

from twoway.sandbox.kit import in_process
from twoway.sandbox.zendesk import ZendeskApp

START = 1_763_805_600.0
"""2025-11-22T10:00:00Z."""
API = "/api/v2"


class Client:
    """Calls the app in-process, without a socket; answers (status, body)."""

    def __init__(self, app: ZendeskApp) -> None:
        self.app = app
        credentials = base64.b64encode(b"admin@desk.example/token:zendesk-token").decode()
        self.headers = {"authorization": f"Basic {credentials}"}
        self.last = httpx.Response(0)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(in_process(self.app, httpx.ReadError))
            async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
                return await client.request(method, API + path, json=body, headers=self.headers | headers)

        self.last = asyncio.run(send())
        json = self.last.headers.get("content-type", "").startswith("application/json") and self.last.content
        return self.last.status_code, self.last.json() if json else None

    def get(self, path: str) -> Any:
        status, body = self("GET", path)
        assert status == 200, body
        return body

    def user(self, **fields: Any) -> Any:
        status, body = self("POST", "/users", {"user": {"name": "Ada", **fields}})
        assert status == 201, body
        return body["user"]

    def change(self, number: int, **fields: Any) -> Any:
        status, body = self("PUT", f"/users/{number}", {"user": fields})
        assert status == 200, body
        return body["user"]
