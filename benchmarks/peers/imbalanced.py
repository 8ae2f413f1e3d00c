"""The ConR loss beside the authors' code; and what a fit, a grid and SMOGN cost.

    python -m benchmarks.peers.imbalanced --reference CHECKOUT [--turns 5] [--write]

CHECKOUT is a clone of https://github.com/BorealisAI/ConR, whose licence (CC BY-NC-SA 4.0) keeps it out of this project:
its loss is loaded from there. Both take the same batches in turns, one thread each; values and gradients must agree.
``--write`` puts the table into benchmarks/README.md.
"""

import argparse
import importlib.util
import time
from datetime import date
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.imbalanced import SMOGN, ConRRegressor
from trustml.losses import conr_loss

# The authors' function overwrites its temperature with this one.
TEMPERATURE = 0.07


@jax.jit
def ours(z, y, p, w):
    def loss(z):
        options = {"window": 1.0, "push": 0.01, "temperature": TEMPERATURE, "denominator": "reference"}
        return jnp.mean(conr_loss(z, y, p, weights=w, **options))

    return jax.value_and_grad(loss)(z)


class Authors:
    """Their loss and its gradient, of NumPy arrays."""

    def __init__(self, checkout):
        import torch

        torch.set_num_threads(1)
        spec = importlib.util.spec_from_file_location("conr_reference", checkout / "agedb-dir" / "loss.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.torch, self.loss = torch, module.ConR

    def place(self, z, y, p, w):
        columns = [self.torch.tensor(a[:, None]) for a in (y, p, w)]
        return self.torch.tensor(z, requires_grad=True), *columns

    def __call__(self, z, y, p, w):
        z.grad = None
        loss = self.loss(z, y, p, w=1.0, weights=w, e=0.01)
        loss.backward()
        return loss.detach().numpy(), z.grad.numpy()


def batch(seed, n_rows, n_features=64):
    """Ages, predictions some years off, features and weights; each row twice, as two views."""
    rng = np.random.default_rng(seed)
    y = np.tile(rng.integers(20, 70, n_rows // 2), 2).astype(np.float32)
    p = (y + rng.normal(0, 9, n_rows)).astype(np.float32)
    w = np.tile(rng.uniform(0.5, 2, n_rows // 2), 2).astype(np.float32)
    return rng.normal(size=(n_rows, n_features)).astype(np.float32), y, p, w


def greatest_difference(authors, n_batches=100):
    """Of values and of gradients, relative to the largest entry."""
    value_gap = gradient_gap = 0.0
    for seed in range(n_batches):
        arrays = batch(seed, 128)
        (value, gradient), (expected, expected_gradient) = ours(*arrays), authors(*authors.place(*arrays))
        value_gap = max(value_gap, abs(float(value) / float(expected) - 1))
        scale = np.abs(expected_gradient).max()
        gradient_gap = max(gradient_gap, np.abs(np.asarray(gradient) - expected_gradient).max() / scale)
    return value_gap, gradient_gap


def loss_seconds(authors, n_rows, n_turns, n_calls):
    """CPU seconds of a call, by turn: ours and theirs."""
    arrays = batch(0, n_rows)
    here, there = jax.device_put(arrays), authors.place(*arrays)
    seconds = np.zeros((2, n_turns))
    for turn in range(-1, n_turns):  # turn -1 warms up, and is overwritten
        seconds[0, turn] = cpu_seconds(lambda: [jax.block_until_ready(ours(*here)) for _ in range(n_calls)])[0]
        seconds[1, turn] = cpu_seconds(lambda: [authors(*there) for _ in range(n_calls)])[0]
    return seconds / n_calls


def spread(values, digits=2):
    return f"{np.median(values):,.{digits}f} ({values.min():,.{digits}f} to {values.max():,.{digits}f})"


def fits(n_turns):
    """Rows of the table about fits."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 8))
    y = np.exp(X[:, 0]) + rng.normal(size=4000)
    model = ConRRegressor(max_iter=32, random_state=0)  # 32 epochs of 63 steps
    first = cpu_seconds(model.fit, X, y)[0]
    one = np.array([cpu_seconds(model.fit, X, y)[0] for _ in range(n_turns)])
    began = time.perf_counter()
    model.fit(X, y)
    wall = time.perf_counter() - began
    grid = np.geomspace(0.001, 1, 20)
    many = cpu_seconds(lambda: [model.set_params(conr_weight=weight).fit(X, y) for weight in grid])[0]
    numbers = np.column_stack([X, rng.normal(size=4000), rng.integers(0, 5, 4000)])
    smogn = SMOGN(categorical_features=[9], random_state=0)
    resample = np.array([cpu_seconds(smogn.fit_resample, numbers, y)[0] for _ in range(n_turns)])
    X_new, _ = smogn.fit_resample(numbers, y)
    kept = np.isfinite(X_new).all() and set(X_new[:, 9]) <= set(numbers[:, 9])
    return [
        ["fit, 4,000 x 8, 2,016 steps, two views; CPU s, warm", spread(one), "", "", "< 1 s"],
        [
            "the same, wall s on this shared machine; first fit of a process, CPU s",
            f"{wall:.2f}; {first:.1f}",
            "",
            "",
            "",
        ],
        ["20 fits of a grid over `conr_weight`, over one fit", f"{many / np.median(one):.1f}", "", "", "< 20"],
        [f"SMOGN, 4,000 x 10, CPU s; no NaN, categories kept: {kept}", spread(resample), "", "", "< 2 s"],
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, metavar="CHECKOUT", required=True, help="a clone of BorealisAI/ConR")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()
    authors = Authors(arguments.reference)
    values, gradients = greatest_difference(authors)
    rows = []
    for n_rows, n_calls in ((128, 100), (512, 20)):
        mine, theirs = loss_seconds(authors, n_rows, arguments.turns, n_calls)
        rows.append(
            [
                f"ConR loss and gradient, {n_rows // 2} rows in two views, 64 features; ms",
                spread(1e3 * mine),
                spread(1e3 * theirs),
                spread(theirs / mine, 1),
                ">= 3",
            ]
        )
    text = table(["what", "trustml", "authors' code", "ratio", "to reach"], rows + fits(arguments.turns))
    text += (
        f"\n\nGreatest relative difference over 100 random batches in float32: {values:.1e} of values, {gradients:.1e} "
        f"of gradients. Median of {arguments.turns} turns (range), CPU time, one thread. {date.today():%d %B %Y}; "
        f"{machine('torch')}."
    )
    print(text)
    if arguments.write:
        write_section("imbalanced peers", text)


if __name__ == "__main__":
    main()
