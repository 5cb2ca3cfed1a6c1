"""Components of a user's own, small and without torch: what config tests name by dotted path."""

from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.config.schema import Frozen

NOT_A_COMPONENT = 3.0


class Model:
    """A model with a preset and a cross-field check."""

    def __init__(
        self,
        *,
        vocabulary: int,
        context: int,
        preset: Annotated[Literal["small", "large"] | None, Field(description="fills what is not given")] = None,
        width: Annotated[int, Field(ge=1, description="width")] = 8,
        heads: Annotated[int, Field(ge=1, description="heads")] = 2,
    ) -> None:
        self.vocabulary, self.context, self.width, self.heads = vocabulary, context, width, heads

    @classmethod
    def expand(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        return ({"width": 512, "heads": 8} if parameters.get("preset") == "large" else {}) | parameters

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        if parameters["width"] % parameters["heads"]:
            raise ValueError(f"heads ({parameters['heads']}) must divide width ({parameters['width']}).")


def optimizer(
    *,
    parameters: Any,
    lr: Annotated[float, Field(gt=0, description="learning rate")] = 3e-4,
    betas: Annotated[
        tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]],
        Field(description="decay rates"),
    ] = (0.9, 0.95),
) -> dict[str, Any]:
    """An optimiser that is only its parameters."""
    return {"parameters": parameters, "lr": lr, "betas": betas}


def other_optimizer(*, parameters: Any, momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9) -> None:
    """Another one."""


def schedule(*, steps: int, warmup: Annotated[int, Field(ge=0, description="steps")] = 0) -> None:
    """A schedule."""


class Loss:
    """A loss without parameters."""


class Hook:
    """A hook with a parameter that has no default."""

    def __init__(
        self, *, layers: Annotated[str, Field(description="which")], every: Annotated[int, Field(ge=1)] = 10
    ) -> None:
        self.layers, self.every = layers, every


class Positional:
    """Not configurable: its parameter is not keyword-only."""

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature


def unannotated(*, temperature=1.0):  # type: ignore[no-untyped-def]
    """Not configurable: no type."""


def reserved(*, name: str = "x", copy: int = 1) -> None:
    """Not configurable: `name` is the component's own."""


def shadowing(*, copy: int = 1) -> None:
    """Not configurable: pydantic's models have a method of this name."""


def forward_reference(*, value: "Missing" = 1) -> None:  # type: ignore[name-defined]
    """Not configurable: its annotation names nothing."""


class Sieve(Frozen):
    """A nested model."""

    mesh: Annotated[int, Field(ge=1, description="holes a side")] = 3


def sifted(*, sieve: Annotated[Sieve | None, Field(description="what is held back")] = None) -> Sieve | None:
    """A component with a nested model for a parameter."""
    return sieve
