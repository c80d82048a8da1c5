"""Scores: rank statistics and histograms against counting by hand, and honest sentences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.likelihood import (
    COLUMNS,
    DataChoice,
    Scores,
    auc,
    figure,
    histogram,
    mean_and_error,
    mean_text,
    rank_correlation,
    ranked,
    share_below,
    simplicity_sentence,
    table,
    titles,
    verdict,
)


def scores(bits: np.ndarray, source: str = "portraits", png: float = 2.0) -> Scores:
    count = len(bits)
    return Scores(
        DataChoice(source),
        "model",
        "f" * 64,
        -bits * 192 * math.log(2),
        bits,
        np.full(count, png),
        np.arange(count, dtype=np.int64),
        None,
        True,
        1,
        0,
        np.zeros(1, np.int64),
        np.full((1, 8, 8, 3), 7, np.uint8),
    )


def test_the_rank_statistic_counts_every_pair():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, 60) / 2.0, rng.integers(3, 12, 40) / 2.0
    pairs = [(b > a) + 0.5 * (b == a) for a in first for b in second]
    found = auc(first, second)
    assert found.value == pytest.approx(float(np.mean(pairs)))
    assert auc(second, first).value == pytest.approx(1 - found.value)
    assert auc(first, first).value == pytest.approx(0.5)


def test_its_error_is_that_of_drawing_again():
    rng = np.random.default_rng(1)
    drawn = [auc(rng.normal(0, 1, 80), rng.normal(1, 1, 60)) for _ in range(400)]
    spread = np.std([one.value for one in drawn])
    assert np.mean([one.error for one in drawn]) == pytest.approx(spread, rel=0.1)
    # Two normal distributions one standard deviation apart: Phi(1 / sqrt 2).
    assert np.mean([one.value for one in drawn]) == pytest.approx(0.7602, abs=0.005)


def test_a_histogram_shares_its_bins_and_holds_every_image():
    rng = np.random.default_rng(2)
    narrow, wide = rng.normal(3, 0.05, 500), rng.normal(5, 1, 300)
    found = histogram([narrow, wide])
    assert [share.sum() for share in found.shares] == pytest.approx([100, 100])
    inside = (narrow >= found.edges[3]) & (narrow < found.edges[4])
    assert found.shares[0][3] == pytest.approx(100 * inside.mean())
    assert 8 <= len(found.shares[0]) <= 60
    assert found.beyond == (0, int((wide > found.edges[-1]).sum() + (wide < found.edges[0]).sum()))
    far = histogram([np.append(narrow, 1e6)])
    assert far.edges[-1] < 4
    assert far.beyond == (1,)
    assert far.shares[0].sum() == pytest.approx(100)
    alone = histogram([np.array([2.0])])
    assert alone.shares[0].max() == 100
    with pytest.raises(LatentLabError, match="nothing to draw"):
        histogram([np.zeros(0)])


def test_a_mean_and_its_error_end_at_the_same_place():
    values = np.array([1.0, 1.2, 0.9, 1.13])
    mean, error = values.mean(), values.std(ddof=1) / 2
    assert mean_text(values) == f"{mean:.3f} ± {error:.3f}" == "1.058 ± 0.067"
    assert mean_text(1000 * values) == "1058 ± 67"
    assert mean_text(np.array([5.51234])) == "5.512"
    assert mean_text(np.ones(3)) == "1"


def test_places_among_others():
    values = np.array([1.0, 2.0, 2.0, 4.0])
    assert share_below(2.0, values) == 0.5
    assert share_below(5.0, values) == 1
    assert share_below(0.0, values) == 0
    assert ranked(values).tolist() == [3, 1, 2, 0]
    mean, error = mean_and_error(values)
    assert mean == 2.25
    assert error == pytest.approx(np.std(values, ddof=1) / 2)
    assert math.isnan(mean_and_error(values[:1])[1])


def test_a_sentence_says_when_the_likelihood_fails():
    rng = np.random.default_rng(3)
    own, simple = scores(rng.normal(5, 0.1, 300)), scores(rng.normal(4, 0.1, 300), "flat", png=0.2)
    said = verdict(own, simple, "bits")
    assert "AUC 0.000" in said
    assert "known failure" in said
    # Less the length of the file, simple images stand out.
    assert "tells flat well from portraits" in verdict(own, simple, "corrected")
    assert "cannot tell" in verdict(own, scores(rng.normal(5, 0.1, 300), "again"), "bits")
    assert "One image is too few" in verdict(own, scores(np.array([1.0]), "one"), "bits")


def test_how_much_of_the_order_is_simplicity():
    rng = np.random.default_rng(4)
    first = rng.normal(size=400)
    second = 0.6 * first + 0.8 * rng.normal(size=400)
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    assert rank_correlation(first, second) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert rank_correlation(first, np.exp(first)) == pytest.approx(1)
    assert math.isnan(rank_correlation(first, np.zeros(400)))
    found = scores(first)
    assert simplicity_sentence(found) == ""
    found.complexity[:] = first
    assert "1.00" in simplicity_sentence(found)
    assert "mostly" in simplicity_sentence(found)


def test_a_table_begins_with_the_least_likely():
    rows = table([scores(np.array([3.0, 5.0, 4.0]))])
    assert [row[1] for row in rows] == ["1", "2", "0"]
    named = dict(zip(COLUMNS, rows[0]))
    assert named["bits_per_dim"] == "5"
    assert named["corrected"] == "3"
    assert float(named["nats"]) == pytest.approx(-5 * 192 * math.log(2), rel=1e-8)


@pytest.mark.parametrize(
    "choice", [DataChoice(" "), DataChoice("portraits", count=0), DataChoice("prior", "train")]
)
def test_what_cannot_be_scored_is_said(choice: DataChoice):
    with pytest.raises(LatentLabError):
        choice.check()


def test_figures_are_never_powers_of_ten():
    assert [figure(v, 3) for v in (1893.9, 0.012345, -5.5, 3.0)] == ["1890", "0.0123", "-5.5", "3"]
    assert figure(math.nan, 3) == "unknown"


def test_titles():
    two = [DataChoice("portraits:seed=1"), DataChoice("portraits:seed=2")]
    assert titles(two) == ("portraits:seed=1", "portraits:seed=2")
    assert titles(two[:1]) == ("portraits",)
    assert DataChoice("portraits:count=5,seed=1").title == "portraits"
    assert DataChoice("prior").title == "own samples"
    assert DataChoice("/data/faces.zip", "train", faded=True).title == ("faded faces.zip (train)")
