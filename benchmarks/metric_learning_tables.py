"""Embeddings on classes that were not trained on: leaves, and Omniglot's unseen alphabets.

    python -m benchmarks.metric_learning_tables leaves --data-dir DIR [--seeds 5] [--write]
    python -m benchmarks.metric_learning_tables omniglot --data-dir DIR [--seeds 1] [--write]

Each method is fitted to the same training classes, holds the same fifth of them out for the threshold, and is judged on
classes that it never saw. LMNN and ITML are those of metric-learn, where it is installed. ``--write`` puts the table
into benchmarks/README.md.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._common import cpu_seconds, machine, one_thread, table, write_section
from trustml.metric_learning import PairVerifier, TCMEmbedding, train_test_class_split
from trustml.metrics import class_operating_curves, open_world_report, threshold_at_far


def reduced(model, data):
    """After 64 principal components, which the peers need to finish. Pixels have one unit, features of leaves many."""
    first = [StandardScaler()] if data == "leaves" else []
    return make_pipeline(*first, PCA(64, random_state=0), model)


def peer(model, data):
    return PairVerifier(reduced(model, data), random_state=0)


def peers(data, with_slow):
    methods = {
        "cosine of the rows": lambda: PairVerifier(reduced(None, data)[:-1], random_state=0),
        "LDA": lambda: peer(LinearDiscriminantAnalysis(), data),
        "NCA": lambda: peer(NeighborhoodComponentsAnalysis(n_components=32, max_iter=50, random_state=0), data),
    }
    try:
        import metric_learn
    except ImportError:
        return methods
    mend_metric_learn()
    if with_slow:
        methods["LMNN"] = lambda: peer(
            metric_learn.LMNN(n_components=32, max_iter=50, learn_rate=1e-6, random_state=0), data
        )
        methods["ITML"] = lambda: peer(
            metric_learn.ITML_Supervised(n_constraints=2000, max_iter=50, random_state=0), data
        )
    return methods


def mend_metric_learn():
    """metric-learn 0.7.0 names an argument that scikit-learn 1.8 has renamed."""
    import metric_learn._util as util

    def renamed(check):
        def checked(*arguments, force_all_finite=True, **keywords):
            return check(*arguments, ensure_all_finite=force_all_finite, **keywords)

        return checked

    util.check_array, util.check_X_y = renamed(util.check_array), renamed(util.check_X_y)


def own(components=None, **parameters):
    """TCMEmbedding, after principal components if their number is given."""
    model = TCMEmbedding(random_state=0, **parameters)
    if components is None:
        return lambda: model
    return lambda: AfterComponents(model, PCA(components, random_state=0))


class AfterComponents:
    """An embedding of principal components, with what the table asks of it."""

    def __init__(self, model, reduction):
        self.model, self.reduction = model, reduction

    def fit(self, X, y):
        self.model.fit(self.reduction.fit_transform(X), y)
        self.classes_, self.threshold_ = self.model.classes_, self.model.threshold_
        return self

    def transform(self, X):
        return self.model.transform(self.reduction.transform(X))


def contrastive(positive, negative, **parameters):
    margins = {"positive_margin": positive, "negative_margin": negative}
    return own(base_loss="contrastive", base_loss_params=margins, **parameters)


LEAVES = {
    "TCMEmbedding, defaults": own(),
    "the same without TCM": own(tcm_weight=0.0),
    "the same from principal directions": own(init="pca"),
    "contrastive": contrastive(1.0, 0.0, tcm_weight=0.0),
    "contrastive + TCM": contrastive(1.0, 0.0),
    "contrastive, margins 1 and 0.5": contrastive(1.0, 0.5, tcm_weight=0.0),
    "contrastive, margins 1 and 0.5 + TCM": contrastive(1.0, 0.5),
    "contrastive, margins 0.9 and 0.4": contrastive(0.9, 0.4, tcm_weight=0.0),
    "contrastive, margins 0.9 and 0.4 + TCM": contrastive(0.9, 0.4),
    "Proxy-Anchor": own(base_loss="proxy_anchor", tcm_weight=0.0),
    "Proxy-Anchor + TCM": own(base_loss="proxy_anchor"),
}
MLP = {"hidden_layer_sizes": (256,), "n_components": 64, "max_iter": 50}
OMNIGLOT = {
    "TCMEmbedding of pixels": own(),
    "TCMEmbedding of 64 components": own(64),
    "the same, 50 epochs": own(64, max_iter=50),
    "MLP 256 of pixels, 50 epochs": own(**MLP),
    "MLP 256 of 64 components, 50 epochs": own(64, **MLP),
    "the same without TCM": own(64, **MLP, tcm_weight=0.0),
    "MLP, contrastive": own(64, **MLP, base_loss="contrastive", tcm_weight=0.0),
    "MLP, contrastive + TCM": own(64, **MLP, base_loss="contrastive"),
}


def leaves(folder, seed):
    with np.load(folder / "leaves.npz") as data:
        return train_test_class_split(data["X"], y=data["y"], test_size=0.5, random_state=seed)


def omniglot(folder, seed):
    """Half of the alphabets to train on, the others to be judged on."""
    with np.load(folder / "omniglot_small.npz") as data:
        X, y, alphabets = data["X"].astype(float), data["y"], data["alphabet"]
    names = np.random.default_rng(seed).permutation(np.unique(alphabets))
    seen = np.isin(alphabets, names[: len(names) // 2])
    return X[seen], X[~seen], y[seen], y[~seen]


def measure(model, X, X_new, y, y_new):
    """Figures on unseen classes, in the order of the columns."""
    seconds, model = cpu_seconds(model.fit, X, y)
    Z = model.transform(X_new)
    report = open_world_report(Z, y_new, n_resamples=0)
    trained = np.isin(y, model.classes_)
    optimistic = threshold_at_far(model.transform(X[trained]), y[trained], n_resamples=0).threshold
    at = sorted([optimistic, 1 - model.threshold_])
    rates = dict(zip(at, class_operating_curves(Z, y_new, thresholds=at).mean_far, strict=True))
    return [
        report.recall_at_1,
        report.map_at_r,
        report.mean_utility,
        report.opis,
        report.epsilon_opis,
        report.tar,
        100 * rates[1 - model.threshold_],
        100 * rates[optimistic],
        seconds,
    ]


HEADER = [
    "",
    "R@1",
    "mAP@R",
    "mean utility",
    "OPIS",
    "10 %-OPIS",
    "TAR at 1 % FAR",
    "realised FAR, %",
    "the same, threshold from training classes",
    "CPU s of fit",
]
DIGITS = (3, 3, 3, 4, 3, 3, 2, 2, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["leaves", "omniglot"])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--slow-peers", action=argparse.BooleanOptionalAction, default=True, help="LMNN and ITML")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    arguments = parser.parse_args()
    one_thread()
    warnings.simplefilter("ignore")

    split, methods = {"leaves": (leaves, LEAVES), "omniglot": (omniglot, OMNIGLOT)}[arguments.data]
    found = {}
    for name, make in (peers(arguments.data, arguments.slow_peers) | methods).items():
        parts = [split(arguments.data_dir, seed) for seed in range(arguments.seeds)]
        found[name] = np.array([measure(make(), *part) for part in parts])
        print(name, found[name].mean(axis=0).round(4), flush=True)
    lines = [
        [name, *(f"{value:.{digits}f}" for value, digits in zip(figures.mean(axis=0), DIGITS, strict=True))]
        for name, figures in found.items()
    ]
    text = table(HEADER, lines)
    for name in [name for name in found if f"{name} + TCM" in found]:
        before, after = found[name][:, 3], found[f"{name} + TCM"][:, 3]
        text += (
            f"\n\nTCM beside {name}: OPIS is lower in {np.sum(after < before)} of {len(before)} seeds, "
            f"{np.exp(np.mean(np.log(after / before))):.2f} times as large in the geometric mean."
        )
    y, y_new = parts[0][2:]
    text += (
        f"\n\nMeans over {arguments.seeds} splits; {len(np.unique(y))} classes with {len(y)} rows to train and "
        f"calibrate on, {len(np.unique(y_new))} unseen ones with {len(y_new)} rows (of the first split). CPU seconds "
        f"include compilation. {time.strftime('%d %B %Y')}; {machine('metric-learn')}."
    )
    print(text)
    if arguments.write:
        write_section(f"metric learning {arguments.data}", text)


if __name__ == "__main__":
    main()
