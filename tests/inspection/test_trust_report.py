"""The trust report: what it finds, what it refuses, and that its page shows user strings and runs none of them."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from trustml import TrustReport
from trustml.__main__ import main
from trustml._tables import TableError, read_table
from trustml.datasets import make_flipped_labels
from trustml.inspection._trust_report._intervals import mean_interval, share_interval
from trustml.inspection._trust_report._probabilities import best_temperature, expected_calibration_error, tempered
from trustml.inspection._trust_report._rows import estimated_label_issues, robust_scores


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Boosting's threads, several times as many as cores where tests run in parallel, would wait for each other."""
    with threadpool_limits(1):
        yield


MODEL = make_pipeline(StandardScaler(), LogisticRegression())


@pytest.fixture(scope="module")
def flipped():
    """The breast cancer table with one label in twenty wrong, and a column of groups."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    y_flipped, is_flipped = make_flipped_labels(y.to_numpy(), 0.05, random_state=0)
    names = np.array(["malignant", "benign"])
    return X, names[y_flipped], is_flipped


@pytest.fixture(scope="module")
def report(flipped):
    X, y, _ = flipped
    return TrustReport(MODEL, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def of_numbers():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    X = X.assign(sex=np.where(X["sex"] > 0, "m", "f"), bmi=X["bmi"].where(X["bmi"] < 0.1))
    return TrustReport(sensitive_features=["sex"], random_state=0, cv=3).fit(X, y)


def section(report, name):
    (found,) = [section for section in report.sections_ if section.name == name]
    return found


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.ids, self.links, self.text = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[name] for name in ("href", "src", "xlink:href") if name in attrs]

    def handle_data(self, data):
        self.text.append(data)


def test_flipped_labels_are_checked_first(report, flipped):
    first = [row[0] for row in section(report, "rows").tables[0].rows]
    assert flipped[2][first].all()
    numbers = {number.label: number for number in section(report, "rows").numbers}
    assert numbers["rows that stand out"].value == pytest.approx(flipped[2].sum(), abs=12)
    assert numbers["gain by removal"].low > 0


@pytest.mark.slow
def test_every_section_has_an_answer(report, of_numbers):
    for found in (report, of_numbers):
        assert [s.name for s in found.sections_] == [
            "rows",
            "probabilities",
            "uncertainty",
            "quantiles",
            "groups",
            "targets",
        ]
        for s in found.sections_:
            assert s.verdict.endswith(".")
            assert s.status in ("good", "attention", "not applicable")
            assert s.status == "not applicable" or s.next_step
    assert section(report, "groups").status == "not applicable"
    assert section(of_numbers, "probabilities").status == "not applicable"
    assert section(of_numbers, "groups").tables[0].rows[0][0] in ("f", "m")


def test_json_is_plain_and_complete(report, tmp_path):
    report.to_json(tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["schema"] == 1
    assert content["table"]["rows"] == 569
    for s in content["sections"]:
        assert set(s) == {
            "name", "question", "verdict", "status", "next_step", "rows_used", "numbers", "tables", "figures"
        }  # fmt: skip
    assert content == json.loads(json.dumps(report.to_dict()))


def test_the_summary_gives_every_verdict(report):
    assert all(s.verdict in report.summary() for s in report.sections_)


@pytest.mark.slow
def test_the_page_fetches_nothing_and_its_links_lead_somewhere(of_numbers, tmp_path):
    html = of_numbers.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == html
    page = Page(html)
    assert len(set(page.ids)) == len(page.ids)
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert page.tags.count("h1") == 1
    assert not re.search(r"url\((?!#)", html)


HOSTILE = [
    '<script>alert("1")</script>',
    "\"'><img src=x onerror=alert(1)>",
    "$x_1^2$",
    "a & b",
    "naïve 漢字",
    " ",
    "\\frac{",
]


@pytest.mark.slow
def test_user_strings_are_shown_and_not_run():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(120, len(HOSTILE))), columns=HOSTILE)
    X[HOSTILE[0]] = np.array(HOSTILE)[rng.integers(0, 2, 120)]
    y = np.array(HOSTILE)[(X[HOSTILE[2]] + rng.normal(size=120) > 0).astype(int)]
    html = TrustReport(sensitive_features=[HOSTILE[0]], cv=2, random_state=0).fit(X, y).to_html(title=HOSTILE[1])
    page = Page(html)
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert HOSTILE[0] in "".join(page.text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.ones(40)}, r"y is constant \(1 in every row\)"),
        ({"y": ["a"] * 40}, "y holds one class only, 'a'"),
        ({"y": ["a"] * 39 + ["b"]}, "classes of fewer than 10 rows.*: b"),
        ({"y": np.arange(39)}, "y has 39 entries for 40 rows of X"),
        ({"sensitive_features": ["c"]}, r"sensitive_features names \['c'\], which X does not have"),
        ({"X": np.zeros((40, 2)), "sensitive_features": ["a"]}, "X is a ndarray without names"),
        ({"cv": 1}, "The 'cv' parameter"),
    ],
)
def test_bad_input_is_named(change, message):
    given = {"X": pd.DataFrame({"a": np.arange(40.0), "b": 1.0}), "y": np.arange(40) % 2, "cv": 5} | change
    X, y = given.pop("X"), given.pop("y")
    with pytest.raises(ValueError, match=message):
        TrustReport(**{"task": "regression" if np.asarray(y).dtype.kind == "f" else "auto"} | given).fit(X, y)


def test_confident_learning_on_a_case_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.2, 0.8], [0.4, 0.6]])
    # Means of their own class: (0.9 + 0.7 + 0.1) / 3 = 0.57 and (0.8 + 0.6) / 2 = 0.7. Row 2 claims class 1 by 0.9.
    np.testing.assert_array_equal(estimated_label_issues(probabilities, np.array([0, 0, 0, 1, 1])), np.arange(5) == 2)


def test_robust_scores_do_not_see_the_outlier():
    residuals = np.append(np.random.default_rng(0).normal(size=1000), 1e6)
    scores = robust_scores(residuals)
    assert scores[-1] > 1e5
    assert np.median(scores) == pytest.approx(0.6745, rel=0.1)


def test_the_temperature_is_found_again():
    rng = np.random.default_rng(0)
    truth = tempered(rng.dirichlet(np.ones(3), 20_000), 1.0)
    codes = (rng.random(len(truth))[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    overconfident = tempered(truth, 0.5)
    assert best_temperature(overconfident, codes) == pytest.approx(2.0, rel=0.03)
    hit = overconfident.argmax(axis=1) == codes
    assert expected_calibration_error(overconfident.max(axis=1), hit) > 0.1
    assert expected_calibration_error(truth.max(axis=1), hit) < 0.015


def test_intervals_cover():
    rng = np.random.default_rng(0)
    low, high = share_interval(rng.binomial(50, 0.1, 4000), 50)
    assert 0.93 < np.mean((low <= 0.1) & (high >= 0.1)) < 0.98
    covered = [abs(m) <= high - m for m, _, high in (mean_interval(rng.normal(size=200)) for _ in range(2000))]
    assert 0.93 < np.mean(covered) < 0.97
    assert share_interval(0, 0) == (0.0, 1.0)


@pytest.mark.slow
def test_command_line(tmp_path, capsys):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"size": rng.normal(size=200), "kind": rng.choice(["a", "b"], 200)})
    table["price"] = table["size"] * 3 + rng.normal(size=200)
    table.to_csv(tmp_path / "table.csv", index=False)
    page, numbers = tmp_path / "page.html", tmp_path / "numbers.json"
    options = ["--target", "price", "--sensitive", "kind", "--out", str(page), "--json", str(numbers)]
    assert main(["report", str(tmp_path / "table.csv"), *options]) == 0
    assert "Which rows may be wrong?" in capsys.readouterr().out
    assert json.loads(numbers.read_text())["table"]["rows"] == 200
    assert "Trust report: price" in page.read_text()


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("t.csv", "a,b\n", ["--target", "b"], "the table has no rows"),
        ("t.csv", "a,b\n1,2\n", [], r"--target is missing; the columns are \['a', 'b'\]"),
        ("t.csv", "a,b\n1,2\n", ["--target", "c"], "has no column 'c'"),
        ("t.csv", "a,b\n1,2\n", ["--target", "b", "--sensitive", "d"], "has no column 'd'"),
        ("t.csv", "a\n1\n2\n", ["--target", "a"], "has no column but 'a'"),
        ("t.csv", "a,b\n1,2\n2,\n", ["--target", "b"], "1 rows have no 'b' .the first is row 1"),
        ("t.csv", "a,b\n1,2\n", ["--target", "b"], "y holds one class only|y is constant|fewer than"),
        ("t.csv", "", ["--target", "b"], "not readable as .csv"),
        ("t.parquet", "no parquet", ["--target", "b"], "t.parquet: "),
        ("t.xlsx", "", ["--target", "b"], "the ending is none of"),
    ],
)
def test_command_line_names_what_is_wrong(tmp_path, capsys, name, content, options, message):
    (tmp_path / name).write_text(content)
    assert main(["report", str(tmp_path / name), *options, "--out", str(tmp_path / "page.html")]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "page.html").exists()


def test_columns_of_files_become_numbers_or_strings(tmp_path):
    table = pd.DataFrame(
        {
            "when": pd.to_datetime(["1970-01-02", None]),
            "yes": [True, False],
            "mixed": [1, "b"],
            "whole": pd.array([1, None], dtype="Int64"),
        }
    )
    table.to_pickle(tmp_path / "t.pkl")
    with pytest.raises(TableError, match="ending"):
        read_table(tmp_path / "t.pkl")
    table.to_csv(tmp_path / "t.csv", index=False)
    read = read_table(tmp_path / "t.csv")
    assert read["yes"].tolist() == [1, 0]
    assert read["mixed"].tolist() == ["1", "b"]
    assert read["whole"].iloc[0] == 1
    assert np.isnan(read["whole"].iloc[1])


@pytest.mark.slow
def test_a_regressor_of_the_users_own():
    X, y = load_diabetes(return_X_y=True)
    report = TrustReport(Ridge(), cv=2, random_state=0).fit(X, y)
    assert report.task_ == "regression"
    assert report.to_dict()["table"]["model"] == "Ridge"
