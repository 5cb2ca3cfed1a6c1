"""The hooks of a run: built from its config, attached to its model, and checked to do only what their kind may."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from trimtab.config import REGISTRIES, ConfigError, WorkError
from trimtab.random import Streams
from trimtab.records import source_hash
from trimtab.training.config import HookComponent
from trimtab.training.loop.guard import WeightGuard
from trimtab.training.loop.hook import GradientTransform, Hook, LearningRule, Modulator, Observer, Row

Kind = TypeVar("Kind", bound=Hook)

KINDS: dict[str, type[Hook]] = {
    "observe": Observer,
    "modulate": Modulator,
    "gradient": GradientTransform,
    "rule": LearningRule,
}


class HookSet:
    """The enabled hooks of a config, in its order. No other hook can run.

    While `muted`, observers are not called.
    """

    def __init__(self, components: Sequence[HookComponent] = ()) -> None:
        self.hooks: list[tuple[str, Hook]] = []
        self.listing: list[dict[str, Any]] = []
        self.muted = False
        self._own: set[Callable[..., Any]] = set()
        self._guard: WeightGuard | None = None
        registry = REGISTRIES["hook"]
        for index, component in enumerate(components):
            spec = {key: value for key, value in component.spec.items() if key != "enabled"}
            # The label has the name and its occurrence, not the position, so that a fork that adds a hook before this one still
            # finds this one's state.
            label = f"{component.name}#{sum(other.name == component.name for other in components[:index])}"
            factory = registry.load(component.name)
            kind = getattr(factory, "kind", None)
            if kind not in KINDS or not (isinstance(factory, type) and issubclass(factory, KINDS[kind])):
                raise ConfigError(
                    f"hooks[{index}]: '{component.name}' is not a hook: its class must derive from one of "
                    f"{', '.join(base.__name__ for base in KINDS.values())} in trimtab.training."
                )
            self.listing.append(
                {
                    "name": component.name,
                    "kind": kind,
                    "enabled": component.enabled,
                    "config": {key: value for key, value in spec.items() if key != "name"},
                    "source_hash": source_hash(factory),
                }
            )
            if component.enabled:
                self.hooks.append((label, registry.build(spec)))
        if len(self.of(LearningRule)) > 1:
            raise ConfigError("hooks: a run has at most one learning rule. Disable the others (enabled: false).")

    def of(self, kind: type[Kind]) -> list[tuple[str, Kind]]:
        """The enabled hooks of one kind, with their labels."""
        return [(label, hook) for label, hook in self.hooks if isinstance(hook, kind)]

    def _observers(self) -> list[tuple[str, Observer]]:
        return [] if self.muted else self.of(Observer)

    @property
    def rule(self) -> LearningRule | None:
        """The learning rule, if the run has one."""
        rules = self.of(LearningRule)
        return rules[0][1] if rules else None

    def attach(self, model: nn.Module, streams: Streams) -> None:
        """Set up every hook on the model; called once."""
        self._guard = WeightGuard(model)
        for label, hook in self.hooks:
            try:
                with self._reading(label) if isinstance(hook, Observer) else nullcontext():
                    hook.setup(model, streams)
            except ValueError as error:
                raise ConfigError(f"hooks: {_named(label)}: {error}") from error
        for label, observer in self.of(Observer):
            if _reads_activations(observer) or observer.collects:
                self._matching(model, label, observer.layers)
        for label, modulator in self.of(Modulator):
            for name, module in self._matching(model, label, modulator.layers):
                function = _modulation(modulator, name)
                self._own.add(function)
                module.register_forward_hook(function)

    def refuse_foreign(self, model: nn.Module) -> None:
        """Raise `WorkError` if the model has a forward or backward hook that is not of this set.

        A hook that is a method of the model or of the module itself is part of the model and is allowed.
        """
        for kind in _GLOBAL:
            if getattr(nn.modules.module, kind):
                raise WorkError(
                    f"torch has a global module hook (torch.nn.modules.module.{kind}), which runs in every model and which "
                    "this run's config does not name. Write it as a hook class and list it under 'hooks', or remove it."
                )
        for name, module in model.named_modules():
            if (
                module._forward_hooks
                or module._forward_pre_hooks
                or module._backward_hooks
                or module._backward_pre_hooks
            ):
                self._refuse_foreign_of(module, name or type(model).__name__, (model, module))
            for own_name, parameter in module._parameters.items():
                if parameter is None or not (
                    parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None)
                ):
                    continue
                raise WorkError(
                    f"The parameter '{name}{'.' if name else ''}{own_name}' carries a gradient hook that this run's config does "
                    "not name. Write it as a GradientTransform and list it under 'hooks', or remove it."
                )

    def _refuse_foreign_of(self, module: nn.Module, name: str, own: tuple[nn.Module, nn.Module]) -> None:
        present = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
        present += [*module._backward_hooks.values(), *module._backward_pre_hooks.values()]
        foreign = [f for f in present if f not in self._own and getattr(f, "__self__", None) not in own]
        if foreign:
            raise WorkError(
                f"The module '{name}' carries a hook ({foreign[0]!r}) that this run's config does not name. Write it as a hook "
                "class and list it under 'hooks', or remove it from the model."
            )

    @contextmanager
    def observing(self, model: nn.Module, step: int) -> Iterator[None]:
        """A context in which observers that are due at `step` receive the activations of forward passes."""
        handles = []
        due = [(n, o) for n, o in self._observers() if _reads_activations(o) and step % o.every == 0]
        try:
            for label, observer in due:
                for name, module in self._matching(model, label, observer.layers):
                    reading = partial(self._reading, label, bits=False)
                    function = _observation(label, observer, name, reading)
                    handles.append(module.register_forward_hook(function))
            with self._reading(*(label for label, _ in due)):
                yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def collecting(self, model: nn.Module) -> Iterator[dict[str, Tensor]]:
        """A context that collects the outputs of the collecting observers' modules, by module name, with their graph."""
        activations: dict[str, Tensor] = {}
        handles = []
        try:
            for label, observer in self.of(Observer):
                if observer.collects:
                    for name, module in self._matching(model, label, observer.layers):
                        handles.append(module.register_forward_hook(_collection(activations, name)))
            yield activations
        finally:
            for handle in handles:
                handle.remove()

    def _reading(self, *labels: str, bits: bool = True) -> AbstractContextManager[None]:
        """A context in which the hooks of these labels may not write to the model (see `WeightGuard`)."""
        if self._guard is None or not labels:
            return nullcontext()
        return self._guard.unwritten([_named(label) for label in labels], bits=bits)

    def _matching(self, model: nn.Module, label: str, pattern: str) -> list[tuple[str, nn.Module]]:
        try:
            matching = [(name, module) for name, module in model.named_modules() if re.fullmatch(pattern, name)]
        except re.error as error:
            raise ConfigError(
                f"hooks: {_named(label)}: layers '{pattern}' is not a regular expression ({error})."
            ) from error
        if not matching:
            names = ", ".join([name for name, _ in model.named_modules() if name][:12])
            raise ConfigError(
                f"hooks: {_named(label)}: layers '{pattern}' matches no module. This model has {names}, ..."
            )
        return matching

    def on_step(self, row: Row) -> dict[str, Any]:
        """Call every observer with a step's row. Returns what they add to it, by the hook's name."""
        added: dict[str, Any] = {}
        for label, observer in self._with("on_step"):
            with self._reading(label, bits=row["step"] % observer.every == 0):
                columns = observer.on_step(dict(row))
            if columns:
                added[label.removesuffix("#0")] = dict(columns)
        return added

    def on_evaluation(self, row: Row) -> None:
        """Call every observer with an evaluation's row."""
        for label, observer in self._with("on_evaluation"):
            with self._reading(label):
                observer.on_evaluation(dict(row))

    def on_checkpoint(self, step: int) -> None:
        """Call every observer before a checkpoint is written."""
        for label, observer in self._with("on_checkpoint"):
            with self._reading(label):
                observer.on_checkpoint(step)

    def on_end(self, summary: Row) -> None:
        """Call every observer with the final figures."""
        for label, observer in self._with("on_end"):
            with self._reading(label):
                observer.on_end(dict(summary))

    def _with(self, method: str) -> list[tuple[str, Observer]]:
        """The observers that define this method themselves; none while muted."""
        return [(n, o) for n, o in self._observers() if getattr(type(o), method) is not getattr(Observer, method)]

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> bool:
        """Run the gradient transforms; returns whether there were any."""
        transforms = self.of(GradientTransform)
        for _, hook in transforms:
            hook.transform(gradients, generator)
        return bool(transforms)

    def activation_stats(self) -> dict[str, dict[str, float]]:
        """The newest activation figures of all observers that measure some, by layer."""
        stats: dict[str, dict[str, float]] = {}
        for _, observer in self.of(Observer):
            stats.update({layer: dict(figures) for layer, figures in observer.activation_stats().items()})
        return stats

    def measures_activations(self, step: int) -> bool:
        """Whether an observer measures activation figures at `step`."""
        return any(step % observer.every == 0 and observer.activation_stats() for _, observer in self.of(Observer))

    def state_dict(self) -> dict[str, Any]:
        """Every hook's state, by label."""
        return {label: state for label, hook in self.hooks if (state := hook.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set every hook's state; hooks that a fork added keep their initial one."""
        for label, hook in self.hooks:
            if label in state:
                hook.load_state_dict(state[label])


_GLOBAL = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)


def _named(label: str) -> str:
    return label.rpartition("#")[0]


def _reads_activations(observer: Observer) -> bool:
    return type(observer).on_activation is not Observer.on_activation


def _bits(tensor: Tensor) -> Tensor:
    """The bytes of a tensor, so that NaN equals itself and 0 differs from −0."""
    return tensor.contiguous().view(torch.uint8)


def _first_tensor(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else _first_tensor(output[0])


def _observation(
    label: str, observer: Observer, layer: str, reading: Callable[[], AbstractContextManager[None]]
) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        activation = _first_tensor(output).detach()
        version, before = activation._version, _bits(activation).clone()
        with reading():
            result = observer.on_activation(layer, activation)  # type: ignore[func-returns-value]
        if activation._version != version or not torch.equal(_bits(activation), before) or result is not None:
            raise WorkError(
                f"The hook '{_named(label)}' is an observer, and it wrote to the activation of '{layer}' (or returned "
                "something). Observers only read: change a copy, or make the hook a Modulator."
            )

    return hook


def _collection(activations: dict[str, Tensor], layer: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        activations[layer] = _first_tensor(output)

    return hook


def _modulation(modulator: Modulator, layer: str) -> Callable[..., Any]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            return modulator.modulate(layer, output)
        return (modulator.modulate(layer, output[0]), *output[1:])

    return hook
