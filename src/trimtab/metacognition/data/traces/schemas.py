"""Rows of published reasoning traces: the schemas, and the thought and the answer in a response."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from trimtab.data.tasks.files import BadRowError, LeftOutRowError, checked_text, text_of, value_of

Schema = Literal["auto", "glaive", "openr1", "openthoughts"]

FORMS = (("<think>", "</think>"), ("<|begin_of_thought|>", "<|end_of_thought|>"))
"""The texts that open and close a thought in published data."""

_SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")

COLUMNS = (
    *("prompt", "response", "problem", "answer", "generations", "correctness_math_verify", "finish_reasons"),
    *("is_reasoning_complete", "system", "conversations"),
)
"""The keys that the schemas read. Other columns of a table are not decoded."""


class Trace(NamedTuple):
    """A question, the thought about it and the answer. A thought that is not `closed` has no answer.

    `final` is the right final answer, where the row has it apart from the response.
    """

    prompt: str
    thought: str
    answer: str
    closed: bool
    final: str | None
    schema: str


class _Response(NamedTuple):
    thought: str
    answer: str
    closed: bool


def trace(values: Mapping[str, Any], schema: Schema, *, system: bool, keep_open: bool) -> Trace:
    """The trace in a row.

    With `system` a system message stands before the question. `keep_open` keeps thoughts that nothing closes.

    Raises `BadRowError` for a row of no known schema or with a value that the schema does not allow, and `LeftOutRowError` for a
    sound row without a usable thought.
    """
    found = _schema(values) if schema == "auto" else schema
    prompt, response, final = _READ[found](values, system)
    thought, answer, closed = _response(response, keep_open=keep_open)
    return Trace(prompt, thought, answer, closed, final, found)


_KEYS = {"openr1": {"problem", "generations"}, "openthoughts": {"conversations"}, "glaive": {"prompt", "response"}}


def _schema(values: Mapping[str, Any]) -> str:
    for name, keys in _KEYS.items():
        if keys <= values.keys():
            return name
    present = ", ".join(repr(key) for key in list(values)[:8]) or "nothing"
    raise BadRowError(
        f"it has {present}, but the known schemas have 'prompt' and 'response', 'problem' and 'generations', or 'conversations'"
    )


def _glaive(values: Mapping[str, Any], system: bool) -> tuple[str, str, str | None]:
    del system
    return text_of(values, "prompt"), _text(value_of(values, "response"), "'response'"), None


def _openr1(values: Mapping[str, Any], system: bool) -> tuple[str, str, str | None]:
    """The first generation that was verified and finished."""
    del system
    prompt, final = text_of(values, "problem"), value_of(values, "answer")
    if final is None or (isinstance(final, str) and not final.strip()):
        raise LeftOutRowError("no_answer", "'answer' is empty")
    generations = value_of(values, "generations")
    if not isinstance(generations, list):
        raise BadRowError("'generations' is not a list")
    verified = _flags(values, "correctness_math_verify", len(generations))
    finished = _flags(values, "finish_reasons", len(generations)) or _flags(
        values, "is_reasoning_complete", len(generations)
    )
    for index, text in enumerate(generations):
        if verified and verified[index] is True and (not finished or finished[index] in ("stop", True)):
            return prompt, _text(text, f"'generations'[{index}]"), checked_text(final, "'answer'", numbers=True)
    raise LeftOutRowError("not_verified", "it has no generation that was verified and finished")


def _flags(values: Mapping[str, Any], key: str, count: int) -> list[Any]:
    """What is said of each generation; empty where nothing is."""
    flags = values.get(key)
    if flags is None:
        return []
    if not isinstance(flags, list) or len(flags) != count:
        raise BadRowError(f"{key!r} must be a list with one entry for each of the {count} generations")
    return flags


_ASKING, _ANSWERING = ("user", "human"), ("assistant", "gpt")


def _openthoughts(values: Mapping[str, Any], system: bool) -> tuple[str, str, str | None]:
    turns = value_of(values, "conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, Mapping) for turn in turns):
        raise BadRowError("'conversations' is not a list of turns")
    before = values.get("system")
    opening = [] if before in (None, "") else [checked_text(before, "'system'")]
    if turns and turns[0].get("from") == "system":
        opening.append(text_of(turns[0], "value"))
        turns = turns[1:]
    if len(turns) != 2:
        raise LeftOutRowError("several_turns", f"it has {len(turns)} turns where a question and a response are needed")
    asked, answered = turns
    if asked.get("from") not in _ASKING or answered.get("from") not in _ANSWERING:
        raise BadRowError(f"its turns are from {asked.get('from')!r} and {answered.get('from')!r}")
    question = text_of(asked, "value")
    prompt = "\n\n".join([*opening, question]) if system else question
    return prompt, _text(value_of(answered, "value"), "the response"), None


_READ: dict[str, Callable[[Mapping[str, Any], bool], tuple[str, str, str | None]]] = {
    "glaive": _glaive,
    "openr1": _openr1,
    "openthoughts": _openthoughts,
}


def _text(value: Any, name: str) -> str:
    """Text that may be empty, which is then left out instead of being an error."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise LeftOutRowError("no_thought", f"{name} is empty")
    return checked_text(value, name)


def _response(text: str, *, keep_open: bool) -> _Response:
    """The parts of a response, which is one thought between tags and an answer.

    Where text comes before the opening tag, or a tag stands twice, it is not known which text is thought, so the row is left out.
    """
    used = [(opener, closer) for opener, closer in FORMS if opener in text or closer in text]
    if not used:
        raise LeftOutRowError("no_thought", "its response has no thought")
    if len(used) > 1:
        raise LeftOutRowError("several_openers", "its response has tags of two forms")
    (opener, closer) = used[0]
    if text.count(opener) > 1:
        raise LeftOutRowError("several_openers", f"its response has {opener} {text.count(opener)} times")
    if text.count(closer) > 1:
        raise LeftOutRowError("several_closers", f"its response has {closer} {text.count(closer)} times")
    if not text.startswith(opener):
        raise LeftOutRowError("no_opener", f"its response does not begin with {opener}")
    thought, mark, answer = text.removeprefix(opener).partition(closer)
    thought, answer = thought.strip(), _solution(answer)
    if not thought:
        raise LeftOutRowError("no_thought", "its thought is empty")
    if not mark:
        if not keep_open:
            raise LeftOutRowError("no_closer", f"its response has no {closer}")
        return _Response(thought, "", closed=False)
    if not answer:
        raise LeftOutRowError("no_answer", "its answer is empty")
    return _Response(thought, answer, closed=True)


def _solution(text: str) -> str:
    """An answer without the tags around it."""
    text = text.strip()
    opener, closer = _SOLUTION
    return text.removeprefix(opener).removesuffix(closer).strip()
