"""The state of a sampled valuation between two rounds: kept for a warm start, or written to a file and read again."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import joblib
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SamplingState:
    """Everything that the next round needs.

    Attributes
    ----------
    identity : dict
        Digest, by name, of each thing that a run must share with the run that it goes on from.
    seed : int
        Seeds the draws.
    n_draws : int
        Draws finished (permutations, or pairs of subsets) in each game.
    n_observations : int
        Independent observations of each player that they gave.
    n_evaluations : ndarray of int of shape (n_games,)
        Scores looked at.
    means, squares : list of ndarray of shape (n_players,)
        For each game: mean observation of each player, and the sum of squared deviations from it.
    history : ndarray of shape (n_rounds, n_units)
        Values after the last rounds, the newest last: what the stopping rule looks at.
    """

    identity: dict
    seed: int
    n_draws: int
    n_observations: int
    n_evaluations: NDArray
    means: list
    squares: list
    history: NDArray

    def check_continues(self, identity: dict, origin: str) -> None:
        """Raise a ValueError if this state is of another run than the one with ``identity``."""
        names = [name for name in self.identity if self.identity[name] != identity.get(name)]
        if names:
            raise ValueError(
                f"{origin} belongs to another run: {', '.join(sorted(names))} differ from it. Expected the same data "
                "and parameters."
            )

    def save(self, path) -> None:
        """Write to ``path``; a process killed at any moment leaves the old file or the new one, never half of one."""
        path = Path(path)
        fields = asdict(self)
        arrays = {f"means_{g}": mean for g, mean in enumerate(fields.pop("means"))}
        arrays |= {f"squares_{g}": square for g, square in enumerate(fields.pop("squares"))}
        arrays |= fields | {"identity": json.dumps(fields["identity"])}
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        with open(partial, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)

    @classmethod
    def load(cls, path) -> "SamplingState":
        """Read what :meth:`save` wrote."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            n_games = len(arrays["n_evaluations"])
            return cls(
                identity=json.loads(str(arrays["identity"])),
                seed=int(arrays["seed"]),
                n_draws=int(arrays["n_draws"]),
                n_observations=int(arrays["n_observations"]),
                n_evaluations=arrays["n_evaluations"],
                means=[arrays[f"means_{g}"] for g in range(n_games)],
                squares=[arrays[f"squares_{g}"] for g in range(n_games)],
                history=arrays["history"],
            )
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise ValueError(f"checkpoint={str(path)!r} is not a checkpoint of a valuation: {error}") from error


def identity_of(valuation, problem, parameters) -> dict:
    """Digests of the data and of the parameters that a continued run must share."""
    split_rows = [split.rows for split in problem.splits]
    validation = [(split.X_val, split.y_val) for split in problem.splits]
    identity = {
        "X": problem.X,
        "y": problem.y_given,
        "sample_weight": problem.sample_weight,
        "units": problem.unit_of_row,
        "cv": split_rows,
        "X_val and y_val": validation,
        "estimator": (type(problem.estimator).__name__, problem.estimator.get_params()),
        **{name: getattr(valuation, name) for name in parameters},
        "method": type(valuation).__name__,
    }
    return {name: joblib.hash(value) for name, value in identity.items()}
