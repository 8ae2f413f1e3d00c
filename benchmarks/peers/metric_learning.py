"""Metric learning beside pytorch-metric-learning, and OPIS beside a sort of all pairs.

    python -m benchmarks.peers.metric_learning [--turns 5] [--opis-rows 8000] [--write]

Both sides run in one process and take turns, on one thread; times are CPU seconds after compilation. Values are
compared before anything is timed. ``--write`` puts the table into benchmarks/README.md.
"""

import argparse
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_curve

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.metrics import opis_score

STEPS = 200


def batch(n_rows, n_components=64, per_class=4, seed=0):
    """Embeddings whose classes are near each other, so that both parts of the loss have hard pairs."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_rows // per_class), per_class)
    centres = rng.normal(size=(n_rows // per_class, n_components)) + 1.0
    Z = centres[labels] + 0.7 * rng.normal(size=(n_rows, n_components))
    return Z.astype(np.float32), labels.astype(np.int32)


def spread(values, digits=1):
    values = np.asarray(values)
    return f"{np.median(values):,.{digits}f} ({values.min():,.{digits}f} to {values.max():,.{digits}f})"


def in_turns(ours, theirs, turns, repeats):
    """CPU milliseconds of each call, for each turn."""
    taken = {"ours": [], "theirs": []}
    for _ in range(turns):
        seconds, _ = cpu_seconds(lambda: [ours() for _ in range(repeats)])
        taken["ours"].append(1e3 * seconds / repeats)
        taken["theirs"].append(1e3 * cpu_seconds(theirs)[0])
    return np.array(taken["ours"]), np.array(taken["theirs"])


def loss_line(name, ours, theirs, n_rows, turns):
    import jax
    import torch

    Z, labels = batch(n_rows)
    tensors = torch.tensor(Z), torch.tensor(labels.astype(np.int64))
    Z, labels = jax.device_put(Z), jax.device_put(labels)
    program = jax.jit(jax.value_and_grad(ours))

    def peer():
        embeddings = tensors[0].clone().requires_grad_(True)
        loss = theirs(embeddings, tensors[1])
        loss.backward()
        return loss.item(), embeddings.grad.numpy()

    value, gradient = program(Z, labels)
    expected, slope = peer()
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    np.testing.assert_allclose(gradient, slope, atol=1e-5 * np.abs(slope).max() * n_rows)
    taken = in_turns(lambda: jax.block_until_ready(program(Z, labels)), peer, turns, 50 if n_rows < 1000 else 10)
    return [
        f"{name}, loss and gradient, B={n_rows}; ms, beside pytorch-metric-learning",
        *(spread(t, 2) for t in taken),
        spread(taken[1] / taken[0], 0),
    ]


def step_line(turns):
    """A training step: multilayer perceptron 64-256-32, multi-similarity and TCM, B=128, Adam."""
    import jax
    import torch
    from pytorch_metric_learning import losses, miners

    from trustml._networks import MLP
    from trustml._training import Hyper, train
    from trustml.metric_learning._objective import EmbeddingObjective, bind_base_loss
    from trustml.metric_learning._sampler import ClassBalancedBatches

    rng = np.random.default_rng(0)
    X, labels = batch(STEPS * 128 // 20, per_class=16)
    numbers, options = bind_base_loss("multi_similarity", None)
    network = MLP(32, (256,))
    margins = {"margin_plus": 0.9, "margin_minus": 0.5, "lambda_plus": 1.0, "lambda_minus": 1.0}
    sampler = ClassBalancedBatches(np.arange(len(X)), labels, 32, 4)
    n_steps = len(sampler(rng))
    epochs = STEPS // n_steps
    start = {"network": network.init(jax.random.key(0), X[:1])}

    def ours():
        hyper = Hyper(loss={"tcm": margins, "base": numbers})
        objective = EmbeddingObjective(network, "multi_similarity", options)
        return train(
            objective, start, (X, labels), hyper=hyper, sampler=sampler, max_iter=epochs, n_iter_no_change=None
        )

    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 32))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    base, miner, tcm = (
        losses.MultiSimilarityLoss(),
        miners.MultiSimilarityMiner(0.1),
        losses.ThresholdConsistentMarginLoss(),
    )
    rows = [np.array(b) for b in sampler(rng)]
    tensors = torch.tensor(X), torch.tensor(labels.astype(np.int64))

    def theirs():
        for chosen in rows:
            embeddings, y = model(tensors[0][chosen]), tensors[1][chosen]
            loss = base(embeddings, y, miner(embeddings, y)) + tcm(embeddings, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    ours(), theirs()
    a, b = in_turns(ours, theirs, turns, 1)
    a, b = a / (epochs * n_steps), b / len(rows)
    name = "training step, MLP 64-256-32, multi-similarity + TCM, B=128; ms, beside the same in PyTorch"
    return [name, spread(a, 2), spread(b, 1), spread(b / a, 0)]


def opis_by_sorting(Z, labels, n_thresholds=201, far_range=(0.01, 0.1)):
    """The obvious way: all similarities at once, sorted for each class."""
    Z = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    distances = 1 - np.clip(Z @ Z.T, -1, 1)
    i, j = np.triu_indices(len(Z), 1)
    same = labels[i] == labels[j]
    negatives = np.sort(distances[i, j][~same])
    thresholds = np.linspace(*(negatives[int(far * len(negatives))] for far in far_range), n_thresholds)
    utility = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        inside = np.sort(distances[np.ix_(own, own)][np.triu_indices(len(own), 1)])
        across = np.sort(distances[np.ix_(own, np.flatnonzero(labels != label))].ravel())
        psi = np.searchsorted(inside, thresholds, side="right") / len(inside)
        phi = 1 - np.searchsorted(across, thresholds, side="right") / len(across)
        utility.append(2 * phi * psi / np.maximum(phi + psi, 1e-300))
    variance = np.var(utility, axis=0)
    return np.trapezoid(variance, thresholds) / (thresholds[-1] - thresholds[0])


def opis_by_roc_curves(Z, labels, n_thresholds=201, far_range=(0.01, 0.1)):
    """What scikit-learn offers: one ROC curve for all pairs and one for the pairs of each class."""
    Z = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    similarity = Z @ Z.T
    i, j = np.triu_indices(len(Z), 1)
    fpr, _, thresholds = roc_curve(labels[i] == labels[j], similarity[i, j], drop_intermediate=False)
    ends = [thresholds[np.searchsorted(fpr, far, side="right") - 1] for far in far_range]
    thresholds = np.linspace(*ends, n_thresholds)
    utility = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        pairs = np.ones((len(own), len(Z)), bool)
        pairs[:, own] = np.triu(np.ones((len(own), len(own)), bool), 1)
        a, b = np.nonzero(pairs)
        fpr, tpr, steps = roc_curve(labels[b] == label, similarity[own[a], b], drop_intermediate=False)
        last = np.searchsorted(-steps, -thresholds, side="right") - 1
        phi, psi = 1 - fpr[last], tpr[last]
        utility.append(2 * phi * psi / np.maximum(phi + psi, 1e-300))
    variance = np.var(utility, axis=0)
    return np.trapezoid(variance, thresholds) / (thresholds[-1] - thresholds[0])


def many_embeddings(n_rows, n_classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, n_rows)
    spreads = rng.uniform(0.3, 0.9, n_classes)[labels, None]
    Z = rng.normal(size=(n_classes, 64))[labels] + spreads * rng.normal(size=(n_rows, 64))
    return Z.astype(np.float32), labels


def opis_lines(n_rows, turns):
    Z, labels = many_embeddings(n_rows, 600)
    lines = []
    for way, other in (
        ("`sklearn.metrics.roc_curve` for each class", opis_by_roc_curves),
        ("`numpy.sort` of the pairs of each class", opis_by_sorting),
    ):
        np.testing.assert_allclose(opis_score(Z, labels), other(Z, labels), rtol=1e-3)
        ours, theirs = in_turns(partial(opis_score, Z, labels), partial(other, Z, labels), turns, 1)
        name = f"OPIS, N={n_rows:,}, 600 classes; ms (peak memory of a process of its own: {peak(n_rows)} MiB)"
        lines.append([name, spread(ours, 0), f"{spread(theirs, 0)}, {way}", spread(theirs / ours, 1), ">= 15"])
    return lines


def peak(n_rows):
    """MiB that a process takes for OPIS, imports included."""
    code = f"from benchmarks.peers.metric_learning import own_peak; own_peak({n_rows})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()[-1]


def own_peak(n_rows):
    opis_score(*many_embeddings(n_rows, 600))
    # Not getrusage: its peak is inherited from the process that started this one.
    (line,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    print(int(line) // 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--opis-rows", type=int, default=8000)
    parser.add_argument("--large-rows", type=int, default=50_000, help="rows of one OPIS without a peer; 0 for none")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()
    import torch
    from pytorch_metric_learning import losses

    from trustml.losses import multi_similarity_loss, tcm_loss

    torch.set_num_threads(1)
    plain = partial(multi_similarity_loss, mining=False)
    lines = []
    for n_rows, reach in ((128, 100), (512, 200), (1024, 200)):
        turns = arguments.turns if n_rows < 1000 else min(arguments.turns, 3)
        line = loss_line("TCM", tcm_loss, losses.ThresholdConsistentMarginLoss(), n_rows, turns)
        lines.append([*line, f">= {reach}"])
        print(line, flush=True)
    for n_rows in (128, 512, 1024):
        line = loss_line("multi-similarity", plain, losses.MultiSimilarityLoss(), n_rows, arguments.turns)
        lines.append([*line, ""])
        print(line, flush=True)
    lines.append([*step_line(arguments.turns), ">= 15"])
    print(lines[-1], flush=True)
    lines += opis_lines(arguments.opis_rows, min(arguments.turns, 3))
    print(lines[-2:], flush=True)
    if arguments.large_rows:
        taken, _ = cpu_seconds(opis_score, *many_embeddings(arguments.large_rows, 600))
        lines.append([f"OPIS, N={arguments.large_rows:,}, 600 classes; s", f"{taken:.1f}", "", "", ""])
    text = table(["what", "trustml", "peer", "ratio", "to reach"], lines)
    text += (
        f"\n\nfloat32, 64 dimensions, 4 rows per class in a batch. CPU time, compiled before, median of "
        f"{arguments.turns} turns (range; 3 turns of B=1024 and of OPIS); values and gradients agree. "
        f"{time.strftime('%d %B %Y')}; {machine('torch', 'pytorch-metric-learning')}."
    )
    print(text)
    if arguments.write:
        write_section("metric learning peers", text)


if __name__ == "__main__":
    main()
