"""What the answer of a server, or that there is none, means for users, and what they can do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

CHECK_ADDRESS = "check the address."
_LATER = "give the same command again later."
_LOG_IN = "check the address and its log-in (GDAL's variables, docs/data.md)."


@dataclass(frozen=True)
class Answer:
    """Why something at an address cannot be read."""

    reason: str
    advice: str

    def __str__(self) -> str:
        """Return the reason."""
        return self.reason


_STATUS = re.compile(
    r"(?:HTTP (?:response|error) code|response_code)(?: on \S+: )?\D{0,4}(\d{3})\b", re.I
)
_NO_STATUS = re.compile(r"HTTP response code on \S+: 0\b")
"""What GDAL says of an archive for which there is no answer, whatever the reason."""
_MEANINGS = {
    "401": "log-in needed", "403": "access denied", "404": "not found", "410": "gone",
    "416": "no such part", "429": "too many requests", "500": "server error",
    "502": "server error", "503": "server busy", "504": "server too slow",
}  # fmt: skip
_UNREACHED = Answer(
    "the server cannot be reached", "check the address, and that the network is up."
)
_LOCKED = "no log-in is set for this store"
_FAILURES = tuple(
    (re.compile(said, re.I), Answer(reason, advice))
    for said, reason, advice in (
        (r"resolve (?:proxy|host)|getaddrinfo|name or service not known|nodename nor servname",
         "no server of this name is known", "check the address, and that the network is up."),
        (r"certificate|SSL|TLS",
         "no secure connection to the server: it has no TLS, or a certificate that is not trusted",
         "check the address; CURL_CA_BUNDLE names a file of certificates to trust."),
        (r"timed? ?out|too slow", "the server does not answer in time",
         "try again, or allow more time: GDAL_HTTP_CONNECTTIMEOUT, GDAL_HTTP_LOW_SPEED_TIME."),
        (r"failed to connect|could ?n.t connect|could not connect|connection refused|unreachable",
         _UNREACHED.reason, _UNREACHED.advice),
        (r"connection reset|empty reply|recv failure|broken pipe|closed connection|\bsend failure",
         "the server ended the connection without an answer", _LATER),
        (r"no ?such ?bucket|bucket does not exist", "there is no such bucket", CHECK_ADDRESS),
        (r"no ?such ?key|key does not exist", "HTTP status 404, not found", CHECK_ADDRESS),
        (r"access ?denied|access ?key ?id you|signature we calculated|invalid ?access ?key|"
         r"expired ?token|signature ?does ?not ?match",
         "HTTP status 403, access denied", _LOG_IN),
        (r"AWS_\w+.*(?:not defined|not filled)|no valid AWS credentials", _LOCKED,
         "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_NO_SIGN_REQUEST=YES."),
        (r"GS_\w+.*not defined|no valid GCS credentials", _LOCKED,
         "set GOOGLE_APPLICATION_CREDENTIALS, or GS_NO_SIGN_REQUEST=YES."),
        (r"Missing AZURE_|no valid Azure credentials", _LOCKED,
         "set AZURE_STORAGE_ACCOUNT, and AZURE_STORAGE_ACCESS_KEY or AZURE_NO_SIGN_REQUEST=YES."),
        (r"configuration options? not (?:defined|set)|InvalidCredentials", _LOCKED,
         "set the variables that GDAL asks for (docs/data.md)."),
        (r"filename should be of the form", "it names no file in a bucket",
         "give the whole address, such as s3://bucket/scene.tif."),
    )
)  # fmt: skip


def of_status(status: str) -> Answer:
    """Return what an HTTP status means."""
    meaning = _MEANINGS.get(status, "")
    reason = f"HTTP status {status}" + (f", {meaning}" if meaning else "")
    if status in ("401", "403"):
        return Answer(reason, _LOG_IN)
    return Answer(reason, _LATER if status == "429" or status >= "500" else CHECK_ADDRESS)


def of_messages(said: Iterable[str]) -> Answer | None:
    """Return what messages of GDAL or Python say of a server; None if they say nothing of it."""
    said = list(said)
    for text in said:
        if status := _STATUS.search(text):
            return of_status(status[1])
        for pattern, answer in _FAILURES:
            if pattern.search(text):
                return answer
    return _UNREACHED if any(map(_NO_STATUS.search, said)) else None
