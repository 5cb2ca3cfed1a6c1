"""Services drawn at random, as specifications and as requirements in sentences."""

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

from trimtab.data.tasks.writing import Pattern, pattern

T = TypeVar("T")

NAMES = (
    "mail",
    "search",
    "billing",
    "orders",
    "stock",
    "maps",
    "login",
    "media",
    "chat",
    "reports",
    "alerts",
    "photos",
)
ENDINGS = ("api", "web", "worker", "store", "gate", "sync", "proxy", "feed")
IMAGES = ("nginx", "python", "redis", "node", "alpine", "postgres", "golang", "caddy")
UNITS = {"MiB": "Mi", "GiB": "Gi", "mebibytes": "Mi", "gibibytes": "Gi"}
WORDS = {
    "LOG_LEVEL": ("debug", "info", "warning", "error"),
    "REGION": ("north", "south", "east", "west"),
    "MODE": ("fast", "safe", "batch"),
}
COUNTS = {"WORKERS": (2, 32), "TIMEOUT": (5, 90), "CACHE_SIZE": (16, 512)}
PATHS = ("/health", "/ready", "/status", "/ping")
VOLUMES = ("data", "logs", "cache", "backup", "models", "uploads")
FOLDERS = ("/var", "/srv", "/mnt", "/opt")

SENTENCES: dict[str, tuple[Pattern, ...]] = {
    field: tuple(pattern(sentence) for sentence in sentences)
    for field, sentences in {
        "name": (
            "Set up a service called {name}.",
            "We need a service with the name {name}.",
            "Please start {name} as a new service.",
        ),
        "port": (
            "It listens on port {port:c}.",
            "Clients reach it on port {port:c}.",
            "Open port {port:c} for it.",
        ),
        "image": (
            "It runs the image {image} in version {version:c}.",
            "Use version {version:c} of {image} as its image.",
        ),
        "replicas": (
            "Run {replicas:q} replicas.",
            "Keep {replicas:q} copies of it running.",
            "We want {replicas:q} instances.",
        ),
        "memory": ("Each copy may use {memory:q} {unit} of memory.", "Give it {memory:q} {unit} of memory."),
        "cpu": ("It needs {cpu:q} millicores.", "Reserve {cpu:q} millicores for it."),
        "tracing": ("Turn tracing on.", "Its requests must be traced."),
        "public": ("Anybody on the internet may reach it.", "Make it public."),
        "restart=on-failure": ("Restart it only when it fails.", "After a failure it starts again."),
        "restart=never": ("Never restart it.", "Once it stops, leave it stopped."),
        "env": ("Set {key} to {value}.", "In its environment {key} is {value}."),
        "env count": ("Set {key} to {value:q}.", "In its environment {key} is {value:q}."),
        "health": (
            "Check {path} every {interval:q} seconds.",
            "Its health is seen at {path}, to be asked every {interval:q} seconds.",
        ),
        "retries": ("Give up after {retries:q} failed checks.", "Allow {retries:q} failed checks."),
        "volume": (
            "Volume {index:i} is {volume}, {size:q} {unit} mounted at {mount}.",
            "Mount {volume} with {size:q} {unit} at {mount} as volume {index:i}.",
        ),
        "default replicas": ("One copy is enough.", "Run {1:q} replica."),
        "default tracing": ("Tracing stays off.", "Do not trace its requests."),
        "default public": ("Only our own network may reach it.", "It is not public."),
        "default restart": ("Restart it whenever it stops.", "It must always be restarted."),
        "default retries": ("Give up after {3:q} failed checks.", "Allow {3:q} failed checks."),
    }.items()
}

CHANCES = {
    1: {"replicas": 0.5},
    2: {"image": 0.7, "replicas": 0.7, "memory": 0.8, "cpu": 0.5, "tracing": 0.4, "public": 0.4},
    3: {
        "image": 0.6,
        "replicas": 0.6,
        "memory": 0.6,
        "cpu": 0.4,
        "tracing": 0.4,
        "public": 0.3,
        "restart": 0.5,
        "health": 0.5,
    },
}
"""By level: the probability of each field besides name and port; level 4 has the probabilities of level 3."""

DEFAULTS = ("replicas", "tracing", "public", "restart", "retries")

Sentence = tuple[Pattern, dict[str, Any]]


def service(level: int, rng: Random) -> tuple[dict[str, Any], list[Sentence], list[str]]:
    """Draws a service; returns its specification, the sentences that require it, and the fields whose default a sentence states.

    The name comes first; from level 2 on, the other sentences are in random order. Levels 3 and 4 have one to three environment
    variables. Level 4 has one or two volumes and at least one sentence that states a default, which the specification omits.
    """
    chances = CHANCES[min(level, 3)]
    drawn = {field for field, chance in chances.items() if rng.random() < chance}
    defaults: list[str] = []
    if level == 4:
        drawn.add("health")
        if rng.random() < 0.3:
            drawn.add("retries")
        free = [field for field in DEFAULTS if field not in drawn]
        if not free:
            drawn.discard("tracing")
            free = ["tracing"]
        sure = free[int(rng.random() * len(free))]
        defaults = [field for field in free if field == sure or rng.random() < 0.3]
    spec: dict[str, Any] = {"name": f"{_pick(NAMES, rng)}-{_pick(ENDINGS, rng)}"}
    opening = (_pattern("name", rng), {"name": spec["name"]})
    sentences: list[Sentence] = []
    for field in ("image", "port", "replicas", "memory", "cpu", "tracing", "public", "restart"):
        if field in drawn or field == "port":
            _top_level(field, spec, sentences, rng)
    if level >= 3:
        _environment(spec, sentences, rng)
    if "health" in drawn:
        _health(spec, sentences, rng, retries="retries" in drawn)
    if level == 4:
        _volumes(spec, sentences, rng)
    sentences += [(_pattern(f"default {field}", rng), {}) for field in defaults]
    if level > 1:
        rng.shuffle(sentences)
    return spec, [opening, *sentences], defaults


def _top_level(field: str, spec: dict[str, Any], sentences: list[Sentence], rng: Random) -> None:
    """Draws a top-level field of the service."""
    values: dict[str, Any] = {}
    sentence = field
    if field == "image":
        values = {"image": _pick(IMAGES, rng), "version": f"{_whole(rng, 1, 9)}.{_whole(rng, 0, 20)}"}
        spec[field] = "{image}:{version}".format_map(values)
    elif field == "port":
        values[field] = spec[field] = _whole(rng, 1024, 9999)
    elif field == "replicas":
        values[field] = spec[field] = _whole(rng, 2, 12)
    elif field == "memory":
        spec[field] = _size("memory", values, rng)
    elif field == "cpu":
        values[field] = 50 * _whole(rng, 1, 40)
        spec[field] = f"{values[field]}m"
    elif field == "restart":
        spec[field] = _pick(("on-failure", "never"), rng)
        sentence = f"restart={spec[field]}"
    else:
        spec[field] = True
    sentences.append((_pattern(sentence, rng), values))


def _environment(spec: dict[str, Any], sentences: list[Sentence], rng: Random) -> None:
    names = rng.sample((*WORDS, *COUNTS), _whole(rng, 1, 3))
    spec["env"] = {}
    for key in sorted(names):
        value = _pick(WORDS[key], rng) if key in WORDS else _whole(rng, *COUNTS[key])
        spec["env"][key] = value
        sentences.append((_pattern("env" if key in WORDS else "env count", rng), {"key": key, "value": value}))


def _health(spec: dict[str, Any], sentences: list[Sentence], rng: Random, *, retries: bool) -> None:
    spec["health"] = {"path": _pick(PATHS, rng), "interval": 5 * _whole(rng, 1, 24)}
    sentences.append((_pattern("health", rng), dict(spec["health"])))
    if retries:
        spec["health"]["retries"] = _pick((2, 4, 5, 6, 7, 8), rng)
        sentences.append((_pattern("retries", rng), {"retries": spec["health"]["retries"]}))


def _volumes(spec: dict[str, Any], sentences: list[Sentence], rng: Random) -> None:
    spec["volumes"] = []
    for index, volume in enumerate(rng.sample(VOLUMES, _whole(rng, 1, 2)), 1):
        values: dict[str, Any] = {"index": index, "volume": volume, "mount": f"{_pick(FOLDERS, rng)}/{volume}"}
        spec["volumes"].append({"name": volume, "size": _size("size", values, rng), "mount": values["mount"]})
        sentences.append((_pattern("volume", rng), values))


def _size(field: str, values: dict[str, Any], rng: Random) -> str:
    """Draws a size in the notation of the specification; adds its number and its unit in words to `values`."""
    unit = _pick(tuple(UNITS), rng)
    values["unit"] = unit
    values[field] = 64 * _whole(rng, 1, 15) if UNITS[unit] == "Mi" else _whole(rng, 1, 48)
    return f"{values[field]}{UNITS[unit]}"


def _pattern(field: str, rng: Random) -> Pattern:
    return _pick(SENTENCES[field], rng)


def _pick(choices: Sequence[T], rng: Random) -> T:
    return choices[int(rng.random() * len(choices))]


def _whole(rng: Random, low: int, high: int) -> int:
    """Draws a whole number between `low` and `high`, inclusive."""
    return low + int(rng.random() * (high - low + 1))
