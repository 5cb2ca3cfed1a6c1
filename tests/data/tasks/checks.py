"""A check for every generated task: its splits have no question in common."""

from trimtab.data.tasks.generated import GeneratedTask


def check_splits(task: GeneratedTask, sizes: tuple[int, ...] = (30, 200)) -> None:
    """No question is in both splits, for several seeds and sizes, and no validation question is repeated."""
    train, validation_questions = set(), set()
    for seed in range(3):
        for size in sizes:
            drawn = task.split("train", 5 * size, seed)
            assert len(drawn) == 5 * size
            train |= {problem.question for problem in drawn}
            validation = [problem.question for problem in task.split("validation", size, seed)]
            assert len(set(validation)) == len(validation) == size
            validation_questions |= set(validation)
    assert not train & validation_questions
