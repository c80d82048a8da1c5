"""What is offered again is what can be opened, never a description of it."""

from __future__ import annotations

import pytest

from latentlab.core.spec import ModelSpec, Provenance
from latentlab.ui.own_data import own_source
from tests.ui.test_effects_model import spec


def spec_of(source: object, described: str = "faces.zip, split train") -> ModelSpec:
    provenance = Provenance(data={"source": described}, recipe={"data": {"source": source}})
    return spec().model_copy(update={"provenance": provenance})


def test_a_file_that_is_there_is_offered_as_it_was_given(tmp_path):
    faces = tmp_path / "faces.zip"
    assert own_source(spec_of(str(faces))) == ""
    faces.write_bytes(b"")
    assert own_source(spec_of(str(faces))) == str(faces)


def test_portraits_need_no_file():
    assert own_source(spec_of("portraits:count=10,seed=3")) == "portraits:count=10,seed=3"


@pytest.mark.parametrize("source", [None, 3, "", "//host/share", "\\\\host\\share", "a\0b"])
def test_what_cannot_be_opened_is_not_offered(source):
    assert own_source(spec_of(source)) == ""
    assert own_source(None) == ""
