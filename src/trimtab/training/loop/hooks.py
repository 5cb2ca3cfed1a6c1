"""The hooks of a run: made from its config, attached to its model, and kept to what their kind may do."""

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
    """The switched-on hooks of a config, in its order. What is not in here cannot run.

    While `muted`, observers are shown nothing.
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
            # By name and occurrence, not by place: another hook in front must not cost this one its state.
            label = f"{component.name}#{sum(other.name == component.name for other in components[:index])}"
            factory = registry.load(component.name)
            kind = getattr(factory, "kind", None)
            if kind not in KINDS or not (isinstance(factory, type) and issubclass(factory, KINDS[kind])):
                raise ConfigError(
                    f"hooks[{index}]: '{component.name}' is not a hook: its class derives from one of "
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
            raise ConfigError("hooks: a run has one learning rule at most; switch the others off (enabled: false).")

    def of(self, kind: type[Kind]) -> list[tuple[str, Kind]]:
        """The switched-on hooks of one kind, with their labels."""
        return [(label, hook) for label, hook in self.hooks if isinstance(hook, kind)]

    def _shown(self) -> list[tuple[str, Observer]]:
        return [] if self.muted else self.of(Observer)

    @property
    def rule(self) -> LearningRule | None:
        """The learning rule, if the run has one."""
        rules = self.of(LearningRule)
        return rules[0][1] if rules else None

    def attach(self, model: nn.Module, streams: Streams) -> None:
        """Set every hook up on the model, once."""
        self._guard = WeightGuard(model)
        for label, hook in self.hooks:
            try:
                with self._reading(label) if isinstance(hook, Observer) else nullcontext():
                    hook.setup(model, streams)
            except ValueError as error:
                raise ConfigError(f"hooks: {_named(label)}: {error}") from error
        for label, observer in self.of(Observer):
            if _sees_activations(observer) or observer.collects:
                self._matching(model, label, observer.layers)
        for label, modulator in self.of(Modulator):
            for name, module in self._matching(model, label, modulator.layers):
                function = _modulation(modulator, name)
                self._own.add(function)
                module.register_forward_hook(function)

    def refuse_foreign(self, model: nn.Module) -> None:
        """Raise `WorkError` if a forward or backward hook is there that this set did not put there.

        A method of the model itself is no hook but a part of it: its source is the model's.
        """
        for kind in _GLOBAL:
            if getattr(nn.modules.module, kind):
                raise WorkError(
                    f"torch has a global module hook (torch.nn.modules.module.{kind}), which runs in every model and which "
                    "this run's config does not name. Write it as a hook class and list it under 'hooks', or remove it."
                )
        for name, module in model.named_modules():
            present = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
            present += [*module._backward_hooks.values(), *module._backward_pre_hooks.values()]
            own = (model, module)
            foreign = [f for f in present if f not in self._own and getattr(f, "__self__", None) not in own]
            if foreign:
                raise WorkError(
                    f"The module '{name or type(model).__name__}' carries a hook ({foreign[0]!r}) that this run's config does "
                    "not name. Write it as a hook class and list it under 'hooks', or remove it from the model."
                )
        for name, parameter in model.named_parameters():
            if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
                raise WorkError(
                    f"The parameter '{name}' carries a gradient hook that this run's config does not name. Write it as a "
                    "GradientTransform and list it under 'hooks', or remove it."
                )

    @contextmanager
    def observing(self, model: nn.Module, step: int) -> Iterator[None]:
        """While open, forward passes are shown to the observers whose cadence falls on `step`."""
        handles = []
        looking = [(n, o) for n, o in self._shown() if _sees_activations(o) and step % o.every == 0]
        try:
            for label, observer in looking:
                for name, module in self._matching(model, label, observer.layers):
                    reading = partial(self._reading, label, bits=False)
                    function = _observation(label, observer, name, reading)
                    handles.append(module.register_forward_hook(function))
            with self._reading(*(label for label, _ in looking)):
                yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def collecting(self, model: nn.Module) -> Iterator[dict[str, Tensor]]:
        """While open, what the collecting observers' modules give out, by module name, with its graph."""
        found: dict[str, Tensor] = {}
        handles = []
        try:
            for label, observer in self.of(Observer):
                if observer.collects:
                    for name, module in self._matching(model, label, observer.layers):
                        handles.append(module.register_forward_hook(_collection(found, name)))
            yield found
        finally:
            for handle in handles:
                handle.remove()

    def _reading(self, *labels: str, bits: bool = True) -> AbstractContextManager[None]:
        """While open, the hooks of these labels may not write to the model (see `WeightGuard`)."""
        if self._guard is None or not labels:
            return nullcontext()
        return self._guard.unwritten([_named(label) for label in labels], bits=bits)

    def _matching(self, model: nn.Module, label: str, pattern: str) -> list[tuple[str, nn.Module]]:
        try:
            found = [(name, module) for name, module in model.named_modules() if re.fullmatch(pattern, name)]
        except re.error as error:
            raise ConfigError(
                f"hooks: {_named(label)}: layers '{pattern}' is not a regular expression ({error})."
            ) from error
        if not found:
            names = ", ".join([name for name, _ in model.named_modules() if name][:12])
            raise ConfigError(
                f"hooks: {_named(label)}: layers '{pattern}' matches no module. This model has {names}, ..."
            )
        return found

    def on_step(self, row: Row) -> dict[str, Any]:
        """Show the observers a step's row; returns what each adds to it, by the hook's name."""
        added: dict[str, Any] = {}
        for label, observer in self._with("on_step"):
            with self._reading(label, bits=row["step"] % observer.every == 0):
                columns = observer.on_step(dict(row))
            if columns:
                added[label.removesuffix("#0")] = dict(columns)
        return added

    def on_evaluation(self, row: Row) -> None:
        """Show the observers an evaluation's row."""
        for label, observer in self._with("on_evaluation"):
            with self._reading(label):
                observer.on_evaluation(dict(row))

    def on_checkpoint(self, step: int) -> None:
        """Tell the observers that a checkpoint is about to be written."""
        for label, observer in self._with("on_checkpoint"):
            with self._reading(label):
                observer.on_checkpoint(step)

    def on_end(self, summary: Row) -> None:
        """Show the observers the final figures."""
        for label, observer in self._with("on_end"):
            with self._reading(label):
                observer.on_end(dict(summary))

    def _with(self, method: str) -> list[tuple[str, Observer]]:
        """The observers that are shown anything and have a method of their own by this name."""
        return [(n, o) for n, o in self._shown() if getattr(type(o), method) is not getattr(Observer, method)]

    def transform(self, gradients: dict[str, Tensor], generator: torch.Generator) -> bool:
        """Run the gradient transforms; returns whether there were any."""
        transforms = self.of(GradientTransform)
        for _, hook in transforms:
            hook.transform(gradients, generator)
        return bool(transforms)

    def activation_stats(self) -> dict[str, dict[str, float]]:
        """The latest activation figures of the observers that measure some."""
        found: dict[str, dict[str, float]] = {}
        for _, observer in self.of(Observer):
            found.update({layer: dict(figures) for layer, figures in observer.activation_stats().items()})
        return found

    def measures_activations(self, step: int) -> bool:
        """Whether an observer measures activation figures at `step`."""
        return any(step % observer.every == 0 and observer.activation_stats() for _, observer in self.of(Observer))

    def state_dict(self) -> dict[str, Any]:
        """Every hook's state, by label."""
        return {label: state for label, hook in self.hooks if (state := hook.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Hand every hook its state; hooks that a fork added start afresh."""
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


def _sees_activations(observer: Observer) -> bool:
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
            answer = observer.on_activation(layer, activation)  # type: ignore[func-returns-value]
        if activation._version != version or not torch.equal(_bits(activation), before) or answer is not None:
            raise WorkError(
                f"The hook '{_named(label)}' is an observer, and it wrote to the activation of '{layer}' (or returned "
                "something). Observers only read: let it work on a copy, or make it a Modulator, whose kind is 'modulate'."
            )

    return hook


def _collection(found: dict[str, Tensor], layer: str) -> Callable[..., None]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        found[layer] = _first_tensor(output)

    return hook


def _modulation(modulator: Modulator, layer: str) -> Callable[..., Any]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        if isinstance(output, Tensor):
            return modulator.modulate(layer, output)
        return (modulator.modulate(layer, output[0]), *output[1:])

    return hook
