"""Which fields of the object an expression reads: where to look for what caused its verdict."""

from __future__ import annotations

from mlgen.policy.cel.pairs import of, parts
from mlgen.policy.cel.wire import Call, Const, Fold, Ident, ListOf, MapOf, Node, Select

Path = tuple[str, ...]


def fields(root: Node) -> frozenset[Path]:
    """The paths below `object`, without the indices of lists: ("spec", "steps", "image"); of all macros' elements."""
    found: set[Path] = set()
    _walk(root, {"object": ()}, found)
    return frozenset(p for p in found if not any(q != p and q[: len(p)] == p for q in found))


def unlooped(root: Node) -> frozenset[str] | None:
    """The policy's variables that an expression reads; None where it has a macro, or more than a few calls."""
    found: set[str] = set()
    waiting, calls = [root], 0
    while waiting:
        node = waiting.pop()
        calls += isinstance(node, Call)
        if isinstance(node, Fold) or calls > 20 or (isinstance(node, Call) and (of(node) or node.function in _LONG)):
            return None
        if isinstance(node, Select) and node.operand == Ident("variables"):
            found.add(node.name)
        elif node == Ident("variables"):
            return None
        else:
            waiting += parts(node)
    return frozenset(found)


_LONG = frozenset({"replace", "format", "matches", "find", "findAll"})  # of texts that may be long, more than once each


def _walk(node: Node, names: dict[str, Path], found: set[Path]) -> Path | None:
    """The path of what the node gives, if it is a part of the object."""
    match node:
        case Ident(name):
            return names.get(name)
        case Select():
            path = _walk(node.operand, names, found)
            return None if path is None else _add(found, (*path, node.name))
        case Call():
            parts = [node.target, *node.args] if node.target is not None else list(node.args)
            paths = [_walk(p, names, found) for p in parts]
            if node.function in ("_[_]", "_[?_]", "_?._") and paths[0] is not None:
                key = node.args[1]
                if isinstance(key, Const) and isinstance(key.value, str):
                    return _add(found, (*paths[0], key.value))
                return paths[0]
            return paths[0] if node.function in ("orValue", "or", "value") else None
        case ListOf():
            for element in node.elements:
                _walk(element, names, found)
        case MapOf():
            for entry in node.entries:
                _walk(entry.value, names, found)
        case Fold():
            return _fold(node, names, found)
    return None


def _fold(node: Fold, names: dict[str, Path], found: set[Path]) -> Path | None:
    over = _walk(node.over, names, found)
    init = _walk(node.init, names, found)
    inner = {k: v for k, v in names.items() if k not in (node.var, node.accu)}
    if over is not None:
        inner[node.var] = over
    if init is not None:
        inner[node.accu] = init
    for part in (node.condition, node.step, node.result):
        _walk(part, inner, found)
    return over


def _add(found: set[Path], path: Path) -> Path:
    found.add(path)
    return path
