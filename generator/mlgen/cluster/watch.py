"""Objects as they change: listed, then watched, and listed again whenever a watch is lost."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from queue import SimpleQueue

from mlgen.cluster.api import Api, ApiError, Object, Resource, Unreachable, Unreadable
from mlgen.cluster.events import Printed

GONE = 410  # the version that a watch was to go on from is too old
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: the objects of a kind that selectors choose."""

    resource: Resource
    labels: str = ""
    fields: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """All that there is, now: what is not in it is no more."""

    resource: Resource
    objects: tuple[Object, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    resource: Resource
    object: Object
    deleted: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The server does not answer; it is asked again."""

    reason: Unreachable


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not tell, and will not tomorrow."""

    resource: Resource
    reason: ApiError


@dataclass(frozen=True, slots=True)
class Broke:
    """A watch ended by what nobody foresaw: for whoever is told to raise, or it would wait for ever."""

    reason: Exception


News = Listed | Changed | Lost | Refused | Broke


@dataclass
class Watch:
    """Watches in threads of its own, which end with the program: one that is silent cannot be woken."""

    api: Api
    namespace: str
    news: SimpleQueue[News | Printed] = field(default_factory=SimpleQueue)
    _closed: threading.Event = field(default_factory=threading.Event)

    def tell(self, news: News | Printed) -> None:
        """Put in what comes from elsewhere, to be told with the rest."""
        self.news.put(news)

    def start(self, watched: Watched) -> None:
        threading.Thread(target=self._run, args=(watched,), daemon=True).start()

    def close(self) -> None:
        self._closed.set()

    def _run(self, watched: Watched) -> None:
        try:
            self._persist(watched)
        except Exception as reason:  # here as well: in a thread nobody else would hear of it
            self.news.put(Broke(reason))

    def _persist(self, watched: Watched) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._closed.is_set():
            try:
                version = self._list(watched)
                pause = FIRST_PAUSE_SECONDS
                self._follow(watched, version)
            except Unreachable as reason:
                self.news.put(Lost(reason))
                self._closed.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            except ApiError as reason:
                if reason.status != GONE:
                    self.news.put(Refused(watched.resource, reason))
                    return

    def _list(self, watched: Watched) -> str:
        """Tell all that there is; the version that it has."""
        found = self.api.list(watched.resource, self.namespace, labels=watched.labels, fields=watched.fields)
        items = found.get("items") or []  # null, as Go writes a list of nothing
        if "items" not in found or not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
            raise self._unreadable(watched)
        version = self._version(watched, found)
        self.news.put(Listed(watched.resource, tuple(items)))
        return version

    def _follow(self, watched: Watched, version: str) -> None:
        """Tell each change. Returns only when there is nobody to be told."""
        while not self._closed.is_set():
            events = self.api.watch(
                watched.resource, self.namespace, version=version, labels=watched.labels, fields=watched.fields
            )
            for event in events:
                version = self._version(watched, event.get("object"))
                if self._closed.is_set():
                    return
                if event.get("type") != "BOOKMARK":
                    self.news.put(Changed(watched.resource, event["object"], event.get("type") == "DELETED"))
            self._closed.wait(FIRST_PAUSE_SECONDS)  # a proxy may end every watch at once

    def _version(self, watched: Watched, found: object) -> str:
        """The resourceVersion of a list or an object. Raises Unreadable for what is neither."""
        metadata = found.get("metadata") if isinstance(found, dict) else None
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if not isinstance(version, str):
            raise self._unreadable(watched)
        return version

    def _unreadable(self, watched: Watched) -> Unreadable:
        what = f"{self.api.server} answered with what are no {watched.resource.plural}"
        return Unreadable(f"{what}: is it an API server, or a proxy before one?")
