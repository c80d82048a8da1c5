"""Recipes as files that people, editors and foes wrote: a sentence, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentlab.core.errors import LatentLabError
from latentlab.core.recipe import load_recipe, parse_recipe
from tests.core.test_recipe import GOOD, refused


@pytest.mark.parametrize(
    "raw",
    [
        GOOD.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace(" = ", "\t=\t").replace("\n[", "\n\t[").encode(),
        GOOD.rstrip("\n").encode(),
        b"\xef\xbb\xbf\r\n\r\n" + GOOD.replace("\n", " # \u65e5\u672c \t\r\n").encode(),
    ],
    ids=["windows", "byte order mark", "tabs", "no last line end", "all"],
)
def test_files_edited_elsewhere(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "faces.toml"
    path.write_bytes(raw)
    recipe = load_recipe(path)
    assert recipe == parse_recipe(GOOD, default_id="faces")
    path.write_bytes(raw.replace(b"batch_size", b"batchsize"))
    lines = path.read_text(encoding="utf-8").splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "batchsize" in text)
    with pytest.raises(LatentLabError, match=rf"^faces\.toml, line {line}: 'train\.batchsize'"):
        load_recipe(path)


HOSTILE = {
    "dotted": ".".join("a" * 200_000) + " = 1",
    "arrays": "a = " + "[" * 200_000,
    "closed arrays": "a = " + "[" * 1000 + "]" * 1000,
    "inline tables": "a = " + "{a = " * 50_000,
    "header": "[" + ".".join("a" * 200_000) + "]",
    "quotes": '"' * 100_000,
    "open string": "a = '''\n" * 10_000,
    "backslashes": 'a = "' + "\\" * 100_000,
    "brackets": "[\n" * 20_000,
    "digits": "a = " + "9" * 100_000,
    "hex digits": GOOD.replace("batch_size = 32", "batch_size = 0x" + "f" * 50_000),
    "elements": GOOD.replace("0.99]", "0.99" + ", 0.5" * 20_000 + "]"),
    "many keys": GOOD + "".join(f"k{i} = 1\n" for i in range(3000)),
    "nul": "a = \0",
    "carriage returns": GOOD.replace("\n", "\r"),
    "line separator": "a = 1\u2028b = 2",
    "empty": "",
    "surrogate": 'a = "\\ud800"',
    "twice": GOOD + "half = true\nhalf = false\n",
    "path": GOOD.replace("'He said", '"C:\\Users\\me" # \'He said'),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts_give_one_short_sentence(text: str) -> None:
    message = refused(text)
    assert message.startswith("faces.toml")
    assert "\n" not in message
    assert len(message) < 700
    assert message.endswith(".")


def test_paths_of_windows_say_how_to_quote_them() -> None:
    assert "line 22: this is not valid TOML" in refused(HOSTILE["path"])
    assert "single quotes" in refused(HOSTILE["path"])


def test_a_text_of_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "faces.toml"
    for raw in (GOOD.encode("utf-16"), "# \u00e9".encode("latin-1")):
        path.write_bytes(raw)
        with pytest.raises(LatentLabError, match="is not text in UTF-8"):
            load_recipe(path)
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(LatentLabError, match="too large"):
        load_recipe(path)
    path.write_bytes(GOOD.encode() + b"#" * (2**20 - len(GOOD.encode())))
    assert load_recipe(path).train.steps == 100
    with pytest.raises(LatentLabError, match="cannot be read"):
        load_recipe(tmp_path / "a\0b")
