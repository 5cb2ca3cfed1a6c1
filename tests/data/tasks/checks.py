"""What every generated task must keep: splits apart."""

from trimtab.data.tasks.generated import GeneratedTask


def check_splits(task: GeneratedTask, sizes: tuple[int, ...] = (30, 200)) -> None:
    """No question of a training split stands in any validation split, whatever the seeds and sizes; validation has no repeats."""
    train, held = set(), set()
    for seed in range(3):
        for size in sizes:
            drawn = task.split("train", 5 * size, seed)
            assert len(drawn) == 5 * size
            train |= {problem.question for problem in drawn}
            validation = [problem.question for problem in task.split("validation", size, seed)]
            assert len(set(validation)) == len(validation) == size
            held |= set(validation)
    assert not train & held
