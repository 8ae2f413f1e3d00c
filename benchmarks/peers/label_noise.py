"""LDRClassifier on wrong labels beside scikit-learn and cleanlab; every loss beside the others; what losses cost.

    python -m benchmarks.peers.label_noise [--data-dir DIR] [--seeds 5] [--only PART ...] [--write]

Parts: ``peers`` compares linear models on the letters table, ``losses`` all fifteen losses of the LDR paper,
``kernels`` the cost of values and gradients beside optax, ``epochs`` that of an epoch beside scikit-learn's
MLPClassifier. DIR holds letter.npz with X (20000, 16) and y. Without it, scikit-learn's digits stand in.
``--write`` puts the tables
into benchmarks/README.md.
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax
from scipy.stats import rankdata
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.classification import LDRClassifier
from trustml.datasets import make_label_noise
from trustml.losses import PAPER_GRIDS, get_loss
from trustml.metrics import detection_auroc

EPOCHS = 50
NOISES = {
    "clean": ("uniform", 0.0),
    "uniform .3": ("uniform", 0.3),
    "uniform .6": ("uniform", 0.6),
    "uniform .9": ("uniform", 0.9),
    "swap .1": ("swap", 0.1),
    "swap .3": ("swap", 0.3),
    "swap .5": ("swap", 0.5),
}


def load(folder):
    """Rows, labels, and which classes are exchanged by "swap"."""
    if folder is None:
        X, y = load_digits(return_X_y=True)
        return X / 8 - 1, y, {0: 6, 1: 7, 2: 3, 4: 9, 5: 8}
    with np.load(folder / "letter.npz") as letter:
        X, y = letter["X"] / 7.5 - 1, letter["y"]
    if y.dtype.kind in "iu":
        y = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))[y - y.min()]
    return X, y, "letter"


def splits(X, y, noise, swaps, n_seeds):
    """Training rows with noisy labels, the mask of wrong ones, and clean test rows, for each seed."""
    kind, rate = NOISES.get(noise, noise)
    for seed in range(n_seeds):
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, stratify=y, random_state=seed)
        swapped = {"swaps": swaps} if kind == "swap" else {}
        y_noisy, is_wrong = make_label_noise(y_train, kind, rate, random_state=seed, **swapped)
        yield seed, X_train, y_noisy, is_wrong, X_test, y_test


def ldr(seed, **parameters):
    return LDRClassifier(max_iter=EPOCHS, n_iter_no_change=None, random_state=seed, **parameters)


def clean_learning(seed):
    from cleanlab.classification import CleanLearning

    return CleanLearning(LogisticRegression(max_iter=1000), seed=seed)


PEERS = {
    "`LogisticRegression`": lambda seed: LogisticRegression(max_iter=1000),
    "`CleanLearning(LogisticRegression)`": clean_learning,
    "`LDRClassifier(loss='ldr_kl', lam=1)`": partial(ldr, loss="ldr_kl", lam=1.0),
    "`LDRClassifier()`, `lam=3`": ldr,
    "`LDRClassifier(loss='ldr_kl', lam=10)`": partial(ldr, loss="ldr_kl", lam=10.0),
}


def percent(values):
    return f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else "-"


def compare_peers(X, y, swaps, arguments):
    noises = {"clean": ("uniform", 0.0), "uniform .3": ("uniform", 0.3), "uniform .8": ("uniform", 0.8)}
    lines = []
    for name, make in PEERS.items():
        cells, found, taken = [], [], []
        for noise in noises.values():
            scores = []
            for seed, X_train, y_noisy, is_wrong, X_test, y_test in splits(X, y, noise, swaps, arguments.seeds):
                codes = np.unique(y, return_inverse=True)[1] if "Clean" in name else y
                to_label = dict(zip(y, codes, strict=True))
                labels = np.array([to_label[label] for label in y_noisy])
                tests = np.array([to_label[label] for label in y_test])
                seconds, model = cpu_seconds(make(seed).fit, X_train, labels)
                taken.append(seconds)
                scores.append(np.mean(model.predict(X_test) == tests))
                if noise[1] == 0.3 and hasattr(model, "sample_loss_"):
                    found.append(detection_auroc(-model.sample_loss_, is_wrong))
            cells.append(percent(scores))
        lines.append([name, *cells, f"{np.mean(found):.4f}" if found else "", f"{np.median(taken):.2f}"])
    header = ["test accuracy, %", *noises, "AUROC of `sample_loss_`, uniform .3", "CPU s per fit"]
    return table(header, lines) + (
        f"\n\nLinear models on {len(X):,} rows of {X.shape[1]} features, {len(np.unique(y))} classes: a tenth is held "
        f"out, clean; mean ± standard deviation over {arguments.seeds} seeds. Noise redraws a label among all classes. "
        f"LDRClassifier: Adam at 0.01, {EPOCHS} epochs, nothing tuned. {machine('cleanlab')}."
    )


def compare_losses(X, y, swaps, arguments):
    """Each loss with the middle setting of the grid that the paper's code has."""
    settings = {name: {"loss": name, "loss_params": dict(grid[len(grid) // 2])} for name, grid in PAPER_GRIDS.items()}
    for name in ("ldr_kl", "aldr_kl"):
        settings |= {f"{name}, lam={lam:g}": {"loss": name, "lam": lam} for lam in (1.0, 3.0, 10.0)}
        del settings[name]
    scores = {}
    for name, parameters in settings.items():
        for noise in NOISES:
            for seed, X_train, y_noisy, _, X_test, y_test in splits(X, y, noise, swaps, arguments.loss_seeds):
                model = ldr(seed, hidden_layer_sizes=arguments.hidden, **parameters).fit(X_train, y_noisy)
                scores.setdefault((name, noise), []).append(model.score(X_test, y_test))
    means = np.array([[np.mean(scores[name, noise]) for noise in NOISES] for name in settings])
    ranks = np.mean([rankdata(-column) for column in means.T], axis=0)
    lines = [
        [
            f"`{name}`",
            *(
                percent(scores[name, noise]) if arguments.loss_seeds > 1 else f"{100 * at:.1f}"
                for at, noise in zip(row, NOISES, strict=True)
            ),
            f"{rank:.1f}",
        ]
        for name, row, rank in sorted(zip(settings, means, ranks, strict=True), key=lambda line: line[2])
    ]
    kind = f"networks of hidden layers {arguments.hidden}" if arguments.hidden else "linear models"
    return table(["test accuracy, %", *NOISES, "mean rank"], lines) + (
        f"\n\n{kind.capitalize()} on {len(X):,} rows, a tenth held out, clean; {arguments.loss_seeds} seed(s), Adam at "
        f"0.01, {EPOCHS} epochs, the last one scored. Losses with a grid in the paper's code have its middle value. "
        "The paper's protocol tunes rate and grid of each loss over five folds; this table does not."
    )


KERNELS = {
    "`cross_entropy`": {},
    "`ldr_kl`, no normalisation": {"normalize": None},
    "`ldr_kl`": {},
    "`aldr_kl`, no normalisation": {"normalize": None},
    "`aldr_kl`": {},
    **{f"`{name}`": {} for name in ("gce", "sce", "js", "rll", "mae", "mse", "focal", "nce_rce", "nce_agce")},
    **{f"`{name}`": {} for name in ("crammer_singer", "weston_watkins")},
}


def eight_times(function, *arguments):
    for _ in range(8):
        jax.block_until_ready(function(*arguments))


def time_kernels(turns=9):
    rng = np.random.default_rng(0)
    columns = {}
    for shape in ((65_536, 10), (4096, 100)):
        logits = jax.device_put(3 * rng.normal(size=shape).astype(np.float32))
        labels = jax.device_put(rng.integers(shape[1], size=shape[0]))
        losses = {"optax": optax.softmax_cross_entropy_with_integer_labels}
        losses |= {name: get_loss(name.split("`")[1], **params) for name, params in KERNELS.items()}
        compiled = {
            name: jax.jit(jax.value_and_grad(lambda f, y, loss=loss: loss(f, y).mean()))
            for name, loss in losses.items()
        }
        for function in compiled.values():
            jax.block_until_ready(function(logits, labels))
        seconds = {name: [] for name in compiled}
        for _ in range(turns):
            for name, function in compiled.items():
                seconds[name].append(cpu_seconds(eight_times, function, logits, labels)[0])
        columns[shape] = {
            name: np.array(taken) / np.array(seconds["optax"]) for name, taken in seconds.items() if name != "optax"
        }
    lines = [
        [name, *(f"{np.median(c[name]):.2f} ({c[name].min():.2f} to {c[name].max():.2f})" for c in columns.values())]
        for name in KERNELS
    ]
    header = ["CPU time over optax's cross-entropy", *(f"{n:,} x {k}" for n, k in columns)]
    return table(header, lines) + (
        f"\n\nValue and gradient of the mean loss, float32: median of {turns} turns (range), each of eight calls of "
        f"every loss. {machine('optax')}."
    )


def time_epochs(X, y, turns=5, epochs=10):
    shape = {"hidden_layer_sizes": (16, 16), "activation": "tanh", "solver": "sgd", "batch_size": 64}
    shape |= {"max_iter": epochs, "random_state": 0}
    models = {
        "`MLPClassifier`": MLPClassifier(n_iter_no_change=epochs, **shape),
        "`LDRClassifier(loss='cross_entropy')`": LDRClassifier(loss="cross_entropy", n_iter_no_change=None, **shape),
        "`LDRClassifier(loss='ldr_kl')`": LDRClassifier(loss="ldr_kl", n_iter_no_change=None, **shape),
        "`LDRClassifier()`": LDRClassifier(n_iter_no_change=None, **shape),
    }
    first = {name: cpu_seconds(model.fit, X, y)[0] for name, model in models.items()}
    taken = {name: [] for name in models}
    for _ in range(turns):
        for name, model in models.items():
            taken[name].append(cpu_seconds(model.fit, X, y)[0] / epochs)
    theirs = np.array(taken["`MLPClassifier`"])
    lines = []
    for name, seconds in taken.items():
        ratio = np.array(seconds) / theirs
        spread = f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
        lines.append([name, f"{1e3 * np.median(seconds):.1f}", spread, f"{first[name]:.1f}"])
    header = ["", "CPU ms per epoch", "over MLPClassifier", "CPU s of the first fit, compiled in it"]
    return table(header, lines) + (
        f"\n\n{len(X):,} rows, {X.shape[1]}-16-16-{len(np.unique(y))} with tanh, SGD of batch 64, {epochs} epochs "
        f"a fit, all of its overhead included; median of {turns} turns (range). {machine()}."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="holds letter.npz")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--loss-seeds", type=int, default=1, help="of the table of losses")
    parser.add_argument("--hidden", type=int, nargs="*", default=(), help="hidden layers in the table of losses")
    parser.add_argument("--only", nargs="*", default=["kernels", "epochs", "peers", "losses"])
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    arguments = parser.parse_args()
    arguments.hidden = tuple(arguments.hidden)
    one_thread()
    warnings.simplefilter("ignore")
    X, y, swaps = load(arguments.data_dir)
    parts = {
        "kernels": time_kernels,
        "epochs": lambda: time_epochs(X, y),
        "peers": lambda: compare_peers(X, y, swaps, arguments),
        "losses": lambda: compare_losses(X, y, swaps, arguments),
    }
    for name in arguments.only:
        text = f"{parts[name]()} {time.strftime('%d %B %Y')}."
        print(text, flush=True)
        if arguments.write:
            write_section(f"label noise {name}", text)


if __name__ == "__main__":
    main()
