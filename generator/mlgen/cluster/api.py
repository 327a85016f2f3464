"""A connection to an API server: JSON in, JSON out, and whatever goes wrong told as one thing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

Object = dict[str, Any]

CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
WATCH_SECONDS = 240  # the server ends a watch after that; bookmarks come each minute, so that silence is a lost one
SILENCE_SECONDS = 100.0
PAGE = 50  # items of a long list that are held at once: a pod takes 30 KB as JSON, and ten times that as objects
PARTIAL_PAGE = 500  # of metadata alone
PARTIAL = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects. group: with version, as paths have it. kind: for people."""

    group: str
    plural: str
    kind: str

    def path(self, namespace: str | None, name: str = "") -> str:
        scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return f"/{self.group}{scope}/{self.plural}{'/' if name else ''}{quote(name, safe='')}"


TEKTON = "apis/tekton.dev/v1"
PIPELINES = Resource(TEKTON, "pipelines", "Pipeline")
TASKS = Resource(TEKTON, "tasks", "Task")
PIPELINE_RUNS = Resource(TEKTON, "pipelineruns", "PipelineRun")
TASK_RUNS = Resource(TEKTON, "taskruns", "TaskRun")
PODS = Resource("api/v1", "pods", "Pod")
NAMESPACES = Resource("api/v1", "namespaces", "Namespace")


class ApiError(Exception):
    """The server answered no. status: of HTTP. message: the server's own."""

    def __init__(self, status: int, message: str, *, verb: str, what: str, typed: bool = True) -> None:
        self.status, self.message, self.verb, self.what = status, message, verb, what
        self.typed = typed  # by the API, as a Status; else by the HTTP server, which knows no such path
        super().__init__(f"{verb} {what}: {status} {message}")


class Unreachable(Exception):
    """No answer: nobody there, a connection that broke, a server that is starting or overloaded (429, 5xx)."""


class Unreadable(Unreachable):
    """An answer that is no JSON object, or nested deeper than any object of ours: to ask again may not help."""


class Api:
    """client: a `kubernetes.client.ApiClient`, for its connections and its ways to log in."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._base = str(client.configuration.host)
        self.server = re.sub(r"//[^/@]*@", "//", self._base)  # for people: without what may be a password

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        what = f"{resource.plural} {name}"
        return self._json("GET", resource.path(namespace, name), verb="get", what=_in(what, namespace))

    def list(
        self, resource: Resource, namespace: str, *, labels: str = "", fields: str = "", partial: bool = False
    ) -> Object:
        """The list. partial: only the metadata of its items."""
        path = resource.path(namespace) + _query(labelSelector=labels, fieldSelector=fields)
        accept = PARTIAL if partial else "application/json"
        return self._json("GET", path, verb="list", what=_in(resource.plural, namespace), accept=accept)

    def items(
        self, resource: Resource, namespace: str, *, labels: str = "", fields: str = "", partial: bool = False
    ) -> Iterator[Object]:
        """The items of a list that may be long, a page at a time. partial: only their metadata.

        Raises ApiError 410 when it took too long to read.
        """
        what, token = _in(resource.plural, namespace), ""
        while True:
            path = resource.path(namespace) + _query(
                labelSelector=labels,
                fieldSelector=fields,
                limit=str(PARTIAL_PAGE if partial else PAGE),
                **{"continue": token},
            )
            accept = PARTIAL if partial else "application/json"
            found = self._json("GET", path, verb="list", what=what, accept=accept)
            yield from found.get("items") or ()
            token = str((found.get("metadata") or {}).get("continue") or "")
            if not token:
                return

    def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """The object as stored. Never tried twice: after Unreachable it may be there or not."""
        what = _in(resource.plural, namespace)
        return self._json("POST", resource.path(namespace), verb="create", what=what, body=body)

    def patch(self, resource: Resource, namespace: str, name: str, patch: Object) -> Object:
        """Merge a patch (RFC 7396) into an object."""
        what = _in(f"{resource.plural} {name}", namespace)
        return self._json("PATCH", resource.path(namespace, name), verb="patch", what=what, body=patch)

    def delete(self, resource: Resource, namespace: str, name: str, *, uid: str, version: str = "") -> bool:
        """Delete an object, if it is still the one of that uid; it may take its time. False: it is not, or is gone.

        version: its resourceVersion, where it must not have changed either.
        """
        what = _in(f"{resource.plural} {name}", namespace)
        preconditions = {"uid": uid, **({"resourceVersion": version} if version else {})}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        try:
            self._json("DELETE", resource.path(namespace, name), verb="delete", what=what, body=body)
        except ApiError as error:
            if error.status not in (404, 409):  # 409: another one has its name now, or it was changed
                raise
            return False
        return True

    def watch(
        self, resource: Resource, namespace: str, *, version: str, labels: str = "", fields: str = ""
    ) -> Iterator[Object]:
        """Events `{type, object}` since a list's resourceVersion, until the server ends the watch.

        Raises ApiError 410 when that version is too old.
        """
        path = resource.path(namespace) + _query(
            labelSelector=labels,
            fieldSelector=fields,
            watch="true",
            allowWatchBookmarks="true",
            resourceVersion=version,
            timeoutSeconds=str(WATCH_SECONDS),
        )
        what = _in(resource.plural, namespace)
        response = self._request("GET", path, verb="watch", what=what, read_seconds=SILENCE_SECONDS)
        for line in _lines(response):
            event = self._parsed(line)
            if event.get("type") == "ERROR":
                raise _error(event.get("object"), verb="watch", what=what)
            yield event

    def log(
        self, namespace: str, pod: str, container: str, *, follow: bool = False, tail_lines: int | None = None
    ) -> Iterator[bytes]:
        """What a container printed, in chunks; while it runs, what there is so far, or with `follow` all to its end."""
        path = f"{PODS.path(namespace, pod)}/log" + _query(
            container=container,
            follow="true" if follow else "",
            tailLines="" if tail_lines is None else str(tail_lines),
        )
        what = _in(f"pods/log {pod}", namespace)
        # A program may be silent for hours.
        response = self._request("GET", path, verb="get", what=what, read_seconds=None if follow else READ_SECONDS)
        return _chunks(response)

    def _json(
        self,
        method: str,
        path: str,
        *,
        verb: str,
        what: str,
        body: Object | None = None,
        accept: str = "application/json",
    ) -> Object:
        response = self._request(method, path, verb=verb, what=what, body=body, accept=accept)
        return self._parsed(b"".join(_chunks(response)))

    def _parsed(self, data: bytes) -> Object:
        try:
            found = json.loads(data)
        except ValueError:
            raise Unreadable(f"{self.server} answered with what is no JSON: is it an API server?") from None
        except RecursionError:  # an embedded Pipeline may hold JSON of any depth
            raise Unreadable(f"{self.server} answered with JSON that is nested too deep") from None
        if not isinstance(found, dict):
            raise Unreadable(f"{self.server} answered with what is no object: is it an API server?")
        return found

    def _request(
        self,
        method: str,
        path: str,
        *,
        verb: str,
        what: str,
        body: Object | None = None,
        accept: str = "application/json",
        read_seconds: float | None = READ_SECONDS,
    ) -> Any:
        import urllib3  # here: only commands that ask a cluster pay for it

        headers = {"Accept": accept, "User-Agent": "mlgen"}
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            response = self._client.rest_client.pool_manager.request(
                method,
                self._base + path,
                body=None if body is None else json.dumps(body),
                headers=headers if body is None else {**headers, "Content-Type": kind},
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
                retries=urllib3.Retry(total=2, redirect=0, backoff_factor=0.2) if method == "GET" else False,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(_sentence(error)) from None
        if response.status >= 400:
            raise _refusal(response, verb=verb, what=what)
        return response


def _in(what: str, namespace: str | None) -> str:
    return f"{what} in namespace {namespace}" if namespace else what


def _query(**given: str) -> str:
    found: Mapping[str, str] = {name: text for name, text in given.items() if text}
    return f"?{urlencode(found)}" if found else ""


def _refusal(response: Any, *, verb: str, what: str) -> Exception:
    data = response.read(1 << 20)
    response.release_conn()
    try:
        status = json.loads(data)
        message = str(status["message"])
    except (ValueError, KeyError, TypeError):
        status, message = None, data[:200].decode(errors="replace").strip()
    if response.status == 429 or response.status >= 500:
        return Unreachable(f"it answered {response.status} {message}")
    return ApiError(response.status, message, verb=verb, what=what, typed=status is not None)


def _error(status: object, *, verb: str, what: str) -> Exception:
    """What a Status in a watch means: of an outage as an answer of that code would be."""
    told = status if isinstance(status, dict) else {}
    code, message = told.get("code"), str(told.get("message", ""))
    if not isinstance(code, int) or code == 429 or code >= 500:
        return Unreachable(f"it ended a watch: {code} {message}")
    return ApiError(code, message, verb=verb, what=what)


def _chunks(response: Any) -> Iterator[bytes]:
    import urllib3  # here: see `_request`

    try:
        yield from response.stream(1 << 16)
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(_sentence(error)) from None
    finally:
        response.close()


def _lines(response: Any) -> Iterator[bytes]:
    """Whole lines as they come: `stream` would wait for a full chunk of a reply that is not chunked."""
    held = b""
    for chunk in _chunks(response):
        *lines, held = (held + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())


def _sentence(error: Exception) -> str:
    """The innermost reason: the outer ones repeat it with addresses of objects."""
    reason: Any = getattr(error, "reason", None)
    while isinstance(reason, Exception):
        error, reason = reason, getattr(reason, "reason", None)
    text = str(error)
    return text.rpartition(": ")[2] or type(error).__name__
