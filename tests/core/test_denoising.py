"""Options and branches of denoising as text and back."""

from __future__ import annotations

import pytest

from latentlab.core.denoising import (
    MOST_PARTS,
    SAMPLERS,
    Branch,
    Sampling,
    format_path,
    parse_path,
    sampler,
)
from latentlab.core.errors import LatentLabError
from latentlab.core.latents import Condition

PATHS = [
    (),
    (Branch(at=0),),
    (Branch(at=8, sampler="heun", steps=12, eta=0.25, guidance=3, noise=2**63 - 1),),
    (Branch(at=3, condition=Condition(class_index=2)),),
    (
        Branch(at=1, condition=Condition(attributes={"wavy_hair": 1.0, "age": -0.3})),
        Branch(at=4, condition=Condition(null=True), guidance=0.1 + 0.2),
    ),
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_read_back_as_it_was_written(path: tuple[Branch, ...]) -> None:
    assert parse_path(format_path(path)) == path


def test_a_path_means_what_the_manual_says() -> None:
    first, second = parse_path("8:guidance=3,attr.smile=1/16:noise=4")
    assert first == Branch(at=8, guidance=3, condition=Condition(attributes={"smile": 1}))
    assert second == Branch(at=16, noise=4)
    assert format_path((first, second)) == "8:guidance=3,attr.smile=1/16:noise=4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x:", "a number is wrong"),
        ("-1:", "a number is wrong"),
        ("3:steps=0", "a number is wrong"),
        ("3:steps=2.5", "a number is wrong"),
        ("3:guidance=nan", "a number is wrong"),
        ("3:guidance=51", "a number is wrong"),
        ("3:eta=1.1", "a number is wrong"),
        ("3:noise=" + "9" * 5000, "a number is wrong"),
        ("3:attr.smile=nan", "finite"),
        ("3:attr.smile=inf", "finite"),
        ("3:attr.=1", "nothing that a branch can change"),
        ("3:unconditional=false", "nothing that a branch can change"),
        ("3:speed=2", "'speed=2' is nothing that a branch can change"),
        ("3:sampler=plms", "no sampler 'plms'"),
        ("3://4:", "'' cannot be read"),
        ("/".join(["0:"] * 1000), f"joins 1,000 of them: at most {MOST_PARTS}"),
    ],
)
def test_what_is_no_path_is_one_sentence(text: str, words: str) -> None:
    for read in (parse_path, lambda path: Sampling.from_options({"branch": path[:2000]})):
        with pytest.raises(LatentLabError) as caught:
            read(text)
        assert len(caught.value.message) < 250
        if read is parse_path or len(text) < 2000:
            assert words in caught.value.message


def test_only_options_that_differ_are_kept() -> None:
    assert Sampling().to_options() == {}
    given = {"sampler": "ddim", "steps": 30, "eta": 0.5, "start_at": 0, "branch": "3:"}
    assert Sampling.from_options({**given, "row_keys": "anything"}).to_options() == given


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speed": 1}, "no option 'speed'; it has sampler, steps"),
        ({3: 1}, "no option '3'"),
        ({"sampler": 3}, "sampler cannot be 3"),
        ({"steps": 2.5}, "steps cannot be 2.5"),
        ({"steps": 1001}, "steps cannot be 1001"),
        ({"guidance": float("nan")}, "guidance cannot be nan"),
        ({"clip": "perhaps"}, "clip cannot be 'perhaps'"),
        ({"branch": None}, "branch cannot be None"),
        ({"branch": "0:" * 2000}, "branch cannot be '0:0:"),
        ({"factor": 3}, "factor cannot be 3"),
        ({"noise_seed": 2**63}, "noise_seed cannot be"),
        ({"start_at": -1}, "start_at cannot be -1"),
        ({"stop_at": 0}, "stop_at cannot be 0"),
    ],
)
def test_options_of_a_file_that_cannot_be_are_one_sentence(options: dict, words: str) -> None:
    with pytest.raises(LatentLabError) as caught:
        Sampling.from_options(options)
    assert words in caught.value.message
    assert len(caught.value.message) < 200


def test_samplers_are_found_by_their_ids() -> None:
    assert [sampler(row.id) for row in SAMPLERS] == list(SAMPLERS)
    assert Sampling().sampler == SAMPLERS[0].id
    with pytest.raises(LatentLabError, match="no sampler 'plms'; choose one of ddpm, ddim"):
        sampler("plms")


def test_a_value_that_an_option_cannot_have_is_told_in_one_sentence():
    with pytest.raises(LatentLabError) as caught:
        Sampling.from_options({"steps": 5000})
    assert caught.value.message == (
        "The option steps cannot be 5000: it should be less than or equal to 1000."
    )
