"""Benchmark of the memory engine: the time of one pair-step, and the number of steps that a pair needs."""

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
from trimtab.memory.engine.solve import PairTargets, Solver, SolverSettings
from trimtab.memory.modes import RandomModes
from trimtab.models.pretrained.model import Pretrained
from trimtab.runtime.device import has_native_bf16, keep_freed_memory

BUDGET = 5 * 500
"""Pair-steps per pair of a fixed budget: every restart runs to its last step."""

PLAIN = 4
"""Pair-steps of the plain loop per round."""

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
"""Pairs of typical lengths: 7 to 15 tokens per question, 1 to 6 per answer."""


def bench_memory(path: str, rounds: int, threads: int, say: Callable[[str], None]) -> dict[str, float]:
    """Measure the engine with the model at `path`, with 8 and 32 vectors.

    Compares pair-steps of a plain frozen fp32 loop and of the engine in alternation, gives the share of the peak of matrix
    products, and compares pairs per hour with the fixed budget; the speed and the number of steps are separate factors.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    dtype = torch.bfloat16 if has_native_bf16("cpu") else torch.float32
    plain = Pretrained(path=path, adapt=()).network.float().requires_grad_(False).eval()
    network, pairs = _network_and_pairs(path, dtype)
    peak = matmul_peak(dtype)
    figures: dict[str, float] = {"memory.peak_flops": peak}
    for vectors in (8, 32):
        say(
            f"{rounds} rounds with {vectors} vectors: {PLAIN} pair-steps of the plain loop, one step of {len(pairs)} pairs"
        )
        figures |= _speed(plain, network, pairs, vectors, rounds, peak)
    say("Solving the pairs with 32 vectors")
    return figures | _solved(network, pairs, figures["memory.plain_seconds_k32"])


def pair_steps(path: str, vectors: int) -> Callable[[], object]:
    """A function that makes one solver step of all pairs of `TEXTS` with the model at `path`; it can be called without end."""
    keep_freed_memory()
    network, pairs = _network_and_pairs(path, torch.bfloat16 if has_native_bf16("cpu") else torch.float32)
    settings = _endless(vectors)
    return Solver(network, RandomModes.draw(network, settings.seed), pairs, settings).step


def _endless(vectors: int) -> SolverSettings:
    return SolverSettings(vectors=vectors, steps=1 << 30, restarts=1, margin=float("inf"), positions=1 << 20)


def _network_and_pairs(path: str, dtype: torch.dtype) -> tuple[FrozenNetwork, list[PairTargets]]:
    tokenizer = PretrainedTokenizer(path=path)
    assert tokenizer.end is not None
    end = tokenizer.end
    pairs = [
        PairTargets(
            str(number),
            tuple(Branch(mode, (*map(int, tokenizer.encode(text)), end)) for mode, text in enumerate(texts)),
        )
        for number, texts in enumerate(TEXTS)
    ]
    return FrozenNetwork(path=path, dtype=dtype), pairs


def _speed(
    plain: torch.nn.Module, network: FrozenNetwork, pairs: list[PairTargets], vectors: int, rounds: int, peak: float
) -> dict[str, float]:
    settings = _endless(vectors)
    modes = RandomModes.draw(network, settings.seed)
    solver = Solver(network, modes, pairs, settings)
    turn = itertools.cycle(pairs)
    vectors_of = {pair.id: solver.start(pair.id, 0).clone().requires_grad_() for pair in pairs}
    optimizers = {name: torch.optim.AdamW([own], lr=0.22 * network.scale, betas=(0.9, 0.9), weight_decay=0.0)
                  for name, own in vectors_of.items()}  # fmt: skip

    def alone() -> None:
        for _ in range(PLAIN):
            pair = next(turn)
            plain_step(plain, modes, vectors_of[pair.id], pair.branches, optimizers[pair.id])

    seconds = interleaved({"plain": alone, "ours": solver.step}, rounds, warmup=2)
    one = [value / PLAIN for value in seconds["plain"]]
    ours = [value / len(pairs) for value in seconds["ours"]]
    positions = solver.step().positions / len(pairs)
    targets = sum(len(branch.ids) for pair in pairs for branch in pair.branches) / len(pairs)
    return {
        f"memory.ratio_k{vectors}": median_ratio(one, ours),
        f"memory.plain_seconds_k{vectors}": median(one),
        f"memory.ours_seconds_k{vectors}": median(ours),
        f"memory.share_of_peak_k{vectors}": _flops(network, positions, targets) / median(ours) / peak,
    }


def _flops(network: FrozenNetwork, positions: float, targets: float) -> float:
    """Operations of one pair-step: every matrix once forward and once for the inputs' gradient, the head at targets only."""
    head = network.head.numel()
    tied = network.head.data_ptr() == network.embedding.data_ptr()
    matrices = sum(parameter.numel() for parameter in network.parameters() if parameter.ndim == 2)
    inner = matrices - head - (0 if tied else network.embedding.numel())
    return 4.0 * (inner * positions + head * targets)


def _solved(network: FrozenNetwork, pairs: list[PairTargets], plain_seconds: float) -> dict[str, float]:
    settings = SolverSettings(vectors=32)
    solver = Solver(network, RandomModes.draw(network, settings.seed), pairs, settings)
    seconds, pair_steps, solved = 0.0, 0, 0
    for step in solver.run():
        seconds, pair_steps = seconds + step.seconds, pair_steps + step.in_flight
        solved += sum(one.status == "solved" for one in step.finished)
    budget_seconds = BUDGET * plain_seconds
    return {
        "memory.pairs": float(len(pairs)),
        "memory.pairs_solved": float(solved),
        "memory.pairs_per_hour": 3600 * solved / seconds,
        "memory.planned_pairs_per_hour": 3600 / budget_seconds,
        "memory.end_to_end_ratio": solved / seconds * budget_seconds,
        "memory.factor_of_steps": BUDGET * solved / pair_steps,
        "memory.factor_of_speed": plain_seconds * pair_steps / seconds,
    }
