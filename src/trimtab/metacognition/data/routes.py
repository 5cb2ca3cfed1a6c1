"""The task `routes`: following edges, where thinking is needed and the right length of a thought is known."""

import random
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from trimtab.data.problem import Problem
from trimtab.data.tasks.generated import GeneratedTask
from trimtab.metacognition.data.problem import ThoughtProblem

NODES = "abcdefghijklmnopqrstuvwxyz"
HOPS = "0123456789ABCDEF"
"""The number of hops in one character."""

TO_NODE, TO_SINK = 0, 1
"""The plans: count the hops, or go on to the end."""


class Routes(GeneratedTask):
    """Follow a route: `xy.bc ab cd.a2?` asks for the node two hops after a, which is c; `a.?` asks for the last node after a.

    The edges are shuffled paths that share no node, always equally many, so the length of a prompt says nothing about the number
    of hops; the last edge of a path has a full stop. The thought repeats the edges of the route, three characters each: with the
    number of hops that are left (`ab1bc0`), or as they are (`ab bc cd.`). A problem's level is its number of hops, and its plan
    whether hops are counted (0) or the end is sought (1). With a `stride`
    the thought shows every so many hops in one step: `ac0` for the two hops from a to c. With `repeats` it has each step several
    times.
    """

    name: ClassVar[str] = "routes"

    def __init__(
        self,
        *,
        hops: Annotated[
            tuple[Annotated[int, Field(ge=0, le=len(HOPS) - 1)], ...],
            Field(min_length=1, description="numbers of hops to draw from, in turn"),
        ] = tuple(range(13)),
        nodes: Annotated[int, Field(ge=4, le=len(NODES), description="number of nodes")] = 20,
        paths: Annotated[int, Field(ge=1, description="number of paths that the nodes are in")] = 4,
        sinks: Annotated[float, Field(ge=0, le=1, description="share of questions for the last node of a path")] = 0.5,
        stride: Annotated[int, Field(ge=1, description="hops that a step of the thought makes at once")] = 1,
        repeats: Annotated[int, Field(ge=1, description="how often the thought has each step")] = 1,
    ) -> None:
        self.levels, self.nodes, self.paths, self.sinks = hops, nodes, paths, sinks
        self.stride, self.repeats = stride, repeats
        self.check(dict(self.identity))

    @staticmethod
    def check(parameters: Mapping[str, Any]) -> None:
        """Refuse a path that is too short for the most hops.

        Raises:
            ValueError: one sentence that names the key.
        """
        nodes, paths, most = parameters["nodes"], parameters["paths"], max(parameters["hops"])
        if nodes < paths + most:
            raise ValueError(
                f"hops: {most} hops need {paths + most} nodes ({most + 1} on one path and one on each of the other "
                f"{paths - 1}), but there are {nodes}"
            )

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`."""
        identity = {
            "version": 1,
            "hops": list(self.levels),
            "nodes": self.nodes,
            "paths": self.paths,
            "sinks": self.sinks,
        }
        further = {"stride": self.stride, "repeats": self.repeats}
        return identity | {name: value for name, value in further.items() if value != 1}

    def problem(self, level: int, rng: random.Random) -> ThoughtProblem:
        """A question with `level` hops."""
        names = rng.sample(NODES, self.nodes)
        lengths = self._lengths(level, rng)
        paths = [[names.pop() for _ in range(length)] for length in lengths]
        sink = rng.random() < self.sinks
        route = paths[0]
        start = len(route) - 1 - level if sink else rng.randint(0, len(route) - 1 - level)
        edges = [edge for path in paths for edge in _edges(path)]
        rng.shuffle(edges)
        answer = route[start + level]
        return ThoughtProblem(
            prompt=f"{''.join(edges)}{route[start]}{'.' if sink else HOPS[level]}?",
            answer=answer,
            truth=answer,
            level=level,
            thought="".join(self._steps(route[start : start + level + 1], sink=sink)),
            plan=TO_SINK if sink else TO_NODE,
        )

    def _steps(self, walked: list[str], *, sink: bool) -> list[str]:
        """The steps of a thought: from a node to the one `stride` hops on, or to the last one, and what is left."""
        last = len(walked) - 1
        steps = []
        for place in range(0, last, self.stride):
            end = min(place + self.stride, last)
            left = (". "[end < last]) if sink else HOPS[last - end]
            steps += [f"{walked[place]}{walked[end]}{left}"] * self.repeats
        return steps

    def _lengths(self, level: int, rng: random.Random) -> list[int]:
        """The numbers of nodes of the paths; the first one has enough for the question."""
        spare = self.nodes - self.paths - level
        cuts = sorted(rng.randint(0, spare) for _ in range(self.paths - 1))
        extra = [b - a for a, b in zip([0, *cuts], [*cuts, spare], strict=True)]
        return [1 + level + extra[0], *(1 + more for more in extra[1:])]

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """Whether the response is the node."""
        return {"exact_match": float(response.strip() == problem.truth)}


def _edges(path: list[str]) -> list[str]:
    """The edges of a path, the last one with a full stop."""
    return [f"{a}{b}{'.' if b == path[-1] else ' '}" for a, b in zip(path, path[1:], strict=False)]
