"""What the memory engine gains: the speed of one pair-step, and the number of steps that a pair takes."""

import itertools
from collections.abc import Callable
from statistics import median

import torch

from trimtab.bench.flops import matmul_peak
from trimtab.bench.reference_memory import plain_step
from trimtab.bench.timing import interleaved, median_ratio
from trimtab.data import PretrainedTokenizer
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.engine.solve import Settings, Solver, SolverTask
from trimtab.memory.modes import RandomModes
from trimtab.models.pretrained.model import Pretrained
from trimtab.runtime.device import has_native_bf16, keep_freed_memory

PLANNED = 5 * 500
"""Pair-steps of the planned budget: every restart of every pair to its last step."""

PLAIN = 4
"""Pair-steps of the plain loop in a round."""

TEXTS = (
    ("When did the first people walk on the moon?", "July 1969"),
    ("Which metal is liquid at room temperature?", "mercury"),
    ("Who wrote the play about the prince of Denmark?", "William Shakespeare"),
    ("What is the longest river of South America called?", "the Amazon"),
    ("How many sides does a hexagon have?", "six"),
    ("What do bees collect from flowers in order to make honey?", "nectar"),
    ("In which city does the Seine flow past the Louvre?", "Paris"),
    ("What is the name of the force that pulls things towards the earth?", "gravity"),
    ("Which planet of the solar system has the largest rings?", "Saturn"),
    ("What was the profession of the man who discovered penicillin?", "a bacteriologist from Scotland"),
    ("Why does the sea rise and fall twice a day?", "the pull of the moon"),
    ("What is the square root of one hundred and forty-four?", "12"),
)
"""Pairs of the lengths that people ask: 7 to 15 tokens a question, 1 to 6 an answer."""


def bench_memory(path: str, rounds: int, threads: int, say: Callable[[str], None]) -> dict[str, float]:
    """The model at `path`: pair-steps of a plain frozen fp32 loop and of the engine in turns, with 8 and 32 vectors, the share of
    the matrix-product peak, and pairs an hour against the planned budget, both factors apart."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    dtype = torch.bfloat16 if has_native_bf16("cpu") else torch.float32
    plain = Pretrained(path=path, adapt=()).network.float().requires_grad_(False).eval()
    network, tasks = _network_and_tasks(path, dtype)
    peak = matmul_peak(dtype)
    figures: dict[str, float] = {"memory.peak_flops": peak}
    for vectors in (8, 32):
        say(
            f"{rounds} rounds with {vectors} vectors: {PLAIN} pair-steps of the plain loop, one step of {len(tasks)} pairs"
        )
        figures |= _speed(plain, network, tasks, vectors, rounds, peak)
    say("Solving the pairs with 32 vectors")
    return figures | _solved(network, tasks, figures["memory.plain_seconds_k32"])


def pair_steps(path: str, vectors: int) -> Callable[[], object]:
    """A call that makes one step of all pairs of `TEXTS` with the model at `path`, without end."""
    keep_freed_memory()
    network, tasks = _network_and_tasks(path, torch.bfloat16 if has_native_bf16("cpu") else torch.float32)
    settings = _endless(vectors)
    return Solver(network, RandomModes.drawn(network, settings.seed), tasks, settings).step


def _endless(vectors: int) -> Settings:
    return Settings(vectors=vectors, steps=1 << 30, restarts=1, margin=float("inf"), positions=1 << 20)


def _network_and_tasks(path: str, dtype: torch.dtype) -> tuple[FrozenNetwork, list[SolverTask]]:
    tokenizer = PretrainedTokenizer(path=path)
    assert tokenizer.end is not None
    end = tokenizer.end
    tasks = [
        SolverTask(
            str(number),
            tuple(Branch(mode, (*map(int, tokenizer.encode(text)), end)) for mode, text in enumerate(pair)),
        )
        for number, pair in enumerate(TEXTS)
    ]
    return FrozenNetwork(path=path, dtype=dtype), tasks


def _speed(
    plain: torch.nn.Module, network: FrozenNetwork, tasks: list[SolverTask], vectors: int, rounds: int, peak: float
) -> dict[str, float]:
    settings = _endless(vectors)
    modes = RandomModes.drawn(network, settings.seed)
    solver = Solver(network, modes, tasks, settings)
    turn = itertools.cycle(tasks)
    held = {task.pair: solver.start(task.pair, 0).clone().requires_grad_() for task in tasks}
    optimizers = {name: torch.optim.AdamW([own], lr=0.22 * network.scale, betas=(0.9, 0.9), weight_decay=0.0)
                  for name, own in held.items()}  # fmt: skip

    def alone() -> None:
        for _ in range(PLAIN):
            task = next(turn)
            plain_step(plain, modes, held[task.pair], task.branches, optimizers[task.pair])

    seconds = interleaved({"plain": alone, "ours": solver.step}, rounds, warmup=2)
    one = [value / PLAIN for value in seconds["plain"]]
    ours = [value / len(tasks) for value in seconds["ours"]]
    positions = solver.step().positions / len(tasks)
    targets = sum(len(branch.ids) for task in tasks for branch in task.branches) / len(tasks)
    return {
        f"memory.ratio_k{vectors}": median_ratio(one, ours),
        f"memory.plain_seconds_k{vectors}": median(one),
        f"memory.ours_seconds_k{vectors}": median(ours),
        f"memory.share_of_peak_k{vectors}": _flops(network, positions, targets) / median(ours) / peak,
    }


def _flops(network: FrozenNetwork, positions: float, targets: float) -> float:
    """Of one pair-step: every matrix once forward and once for the inputs' gradient, the head at targets alone."""
    head = network.head.numel()
    tied = network.head.data_ptr() == network.embedding.data_ptr()
    matrices = sum(parameter.numel() for parameter in network.parameters() if parameter.ndim == 2)
    inner = matrices - head - (0 if tied else network.embedding.numel())
    return 4.0 * (inner * positions + head * targets)


def _solved(network: FrozenNetwork, tasks: list[SolverTask], plain_seconds: float) -> dict[str, float]:
    settings = Settings(vectors=32)
    solver = Solver(network, RandomModes.drawn(network, settings.seed), tasks, settings)
    seconds, pair_steps, solved = 0.0, 0, 0
    for step in solver.run():
        seconds, pair_steps = seconds + step.seconds, pair_steps + step.in_flight
        solved += sum(one.status == "solved" for one in step.finished)
    planned = PLANNED * plain_seconds
    return {
        "memory.pairs": float(len(tasks)),
        "memory.pairs_solved": float(solved),
        "memory.pairs_per_hour": 3600 * solved / seconds,
        "memory.planned_pairs_per_hour": 3600 / planned,
        "memory.end_to_end_ratio": solved / seconds * planned,
        "memory.factor_of_steps": PLANNED * solved / pair_steps,
        "memory.factor_of_speed": plain_seconds * pair_steps / seconds,
    }
