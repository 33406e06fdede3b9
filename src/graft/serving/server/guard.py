"""Around every request: the key, the headers that browsers obey, and the counters."""

import hashlib
import hmac
import time
from itertools import chain

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graft.serving.server.limits import Limits
from graft.serving.server.metrics import Metrics

OPEN = ("/", "/docs", "/healthz", "/openapi.json", "/page.css", "/page.js", "/readyz")  # without a key
KEYED = ("/metrics", "/v1/explain", "/v1/model", "/v1/predict")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
]


class Guard:
    """Refuses who has no key, adds the headers, and counts."""

    def __init__(self, app: ASGIApp, metrics: Metrics, limits: Limits, api_key: str | None) -> None:
        self.app, self.metrics, self.limits = app, metrics, limits
        self.digest = hashlib.sha256(api_key.encode()).digest() if api_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        path = scope["path"] if scope["path"] in OPEN + KEYED else "other"
        try:
            await self._checked(scope)(scope, receive, send_guarded)
        finally:
            self.metrics.requests.labels(
                path, str(status or 499)
            ).inc()  # 499: the client was gone, as in nginx
            self.metrics.seconds.labels(path).observe(time.perf_counter() - started)

    def _checked(self, scope: Scope) -> ASGIApp:
        headers, most = dict(scope["headers"]), self.limits.max_head
        head = chain([scope["raw_path"], scope["query_string"]], *scope["headers"])
        if sum(map(len, head)) > most:  # h11 lets one pass that arrives at once
            return self._refusal(400, "long_head", f"expected headers of at most {most:,} bytes")
        if b"transfer-encoding" in headers and b"content-length" in headers:  # as in a smuggled request
            return self._refusal(
                400, "malformed", "expected Transfer-Encoding or Content-Length, received both"
            )
        if self.digest and scope["path"] not in OPEN and not self._has_key(headers):
            said = "expected the API key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
            return self._refusal(401, "no_key", said)
        return self.app

    def _has_key(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        key = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
        return hmac.compare_digest(hashlib.sha256(key).digest(), self.digest or b"")

    def _refusal(self, status: int, reason: str, detail: str) -> JSONResponse:
        self.metrics.rejected.labels(reason).inc()
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Connection": "close"}
        return JSONResponse({"detail": detail}, status, headers)
