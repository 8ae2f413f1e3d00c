"""What the benchmarks share: one thread, CPU time, tables written into the README."""

import os
import platform
import re
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from trustml.datasets import make_flipped_labels

README = Path(__file__).with_name("README.md")


def one_thread():
    """One thread for BLAS, OpenMP and XLA. XLA reads its flags when its first program runs."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    threadpool_limits(1)


def cpu_seconds(function, *arguments, **keywords):
    """CPU seconds of this process, all its threads, that a call takes; and its result."""
    start = time.process_time()
    result = function(*arguments, **keywords)
    return time.process_time() - start, result


def breast_cancer(n_train=100, n_val=200, flip_fraction=0.2, seed=0):
    """Standardised rows: X, y with flipped labels, X_val, y_val, and the mask of flips."""
    X, y = load_breast_cancer(return_X_y=True)
    rows = np.random.RandomState(seed).permutation(len(y))
    X, y = StandardScaler().fit_transform(X)[rows], y[rows]
    y_train, is_flipped = make_flipped_labels(y[:n_train], flip_fraction, random_state=seed)
    end = n_train + n_val
    return X[:n_train], y_train, X[n_train:end], y[n_train:end], is_flipped


def machine(*packages):
    """One line about the machine and the versions that ran."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = re.findall(r"^model name\s*: (.*)$", cpuinfo.read_text(), flags=re.MULTILINE)
        model = names[0] if names else model
    versions = []
    for package in ("numpy", "scikit-learn", "jax", *packages):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} absent")
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {', '.join(versions)}"


def table(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def write_section(name, text):
    """Replace what stands between the markers of section ``name`` in benchmarks/README.md."""
    before, rest = README.read_text().split(f"<!-- {name} -->\n")
    _, after = rest.split(f"<!-- end of {name} -->")
    README.write_text(f"{before}<!-- {name} -->\n{text}\n<!-- end of {name} -->{after}")
