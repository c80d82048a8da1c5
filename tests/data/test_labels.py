from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentlab.core.errors import LatentLabError
from latentlab.data import labels
from latentlab.data.labels import class_columns, read_attributes_csv

NAMES = ["a.png", "b.png", "c.png"]


def test_columns_get_their_kind_from_their_values(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(
        b"\xef\xbb\xbffile,smiling,hat,age,hair,old\r\n"
        b"b.png,1,-1,31.5,red,true\r\n"
        b'a.png,0,1,-2,"brown, dark",False\r\n'
        b"c.png,1,1,1e3,red,TRUE\r\n"
    )
    columns = read_attributes_csv(path, NAMES)
    found = {name: (c.kind, c.values.tolist(), c.classes) for name, c in columns.items()}
    assert found == {
        "smiling": ("binary", [0, 1, 1], ()),
        "hat": ("binary", [1, 0, 1], ()),
        "age": ("continuous", [-2, 31.5, 1000], ()),
        "hair": ("categorical", [0, 1, 1], ("brown, dark", "red")),
        "old": ("binary", [0, 1, 1], ()),
    }
    assert columns["age"].values.dtype == np.float32


def test_unknown_cells_and_images_without_a_row_are_nan() -> None:
    columns = read_attributes_csv("f;age;kind\na.png;3;\nc.png;;cat\n", NAMES)
    np.testing.assert_array_equal(columns["age"].values, [3, np.nan, np.nan])
    np.testing.assert_array_equal(columns["kind"].values, [np.nan, np.nan, 0])


def test_a_column_of_minus_one_zero_and_one_is_continuous() -> None:
    column = read_attributes_csv("f\tx\na.png\t-1\nb.png\t0\nc.png\t1\n", NAMES)["x"]
    assert (column.kind, column.values.tolist()) == ("continuous", [-1, 0, 1])


def test_files_are_found_by_path_and_by_a_name_that_is_unambiguous() -> None:
    names = ["x/a.png", "x/b.png", "y/b.png"]
    column = read_attributes_csv("f,v\na.png,5\nx\\b.png,6\n./y/b.png,7\n", names)["v"]
    assert column.values.tolist() == [5, 6, 7]
    with pytest.raises(LatentLabError, match=r"'b\.png' at line 2, which is not"):
        read_attributes_csv("f,v\nb.png,5\n", names)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("file\na.png\n", "no label column"),
        ("file,x\n", "no rows"),
        ("file,x,x\na.png,1,2\n", "doubled one for a column: 'x'"),
        ("file,x,\na.png,1,2\n", "no name"),
        ("file,x,y\na.png,1\n", "2 columns at line 2 and 3"),
        ("file,x\na.png,1\nz.png,1\n", "'z.png' at line 3, which is not among"),
        ("file,x\na.png,1\na.png,0\n", "'a.png' twice, again at line 3"),
        ("file,x\na.png,nan\n", "finite"),
        ("file,x\na.png,1\nb.png,inf\n", "finite"),
        ("file,x\na.png,-Infinity\n", "finite"),
        ("file,x\na.png,1e39\n", "finite"),
        ("file,x\na.png,red\nb.png,NaN\n", "NaN or infinity"),
        ("file,x\na.png,\n", "no values in column 'x'"),
        ('file,x\na.png,"1\n', "not a table at line"),
        ("file,x\na.png," + "1" * 200_000 + "\n", "not a table at line 2"),
        ("file," + ",".join(map(str, range(10_001))) + "\n", "too large"),
    ],
)
def test_every_fault_of_a_table_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(LatentLabError) as caught:
        read_attributes_csv(text, NAMES, title="t.csv")
    assert sentence in caught.value.message
    assert caught.value.message.startswith("'t.csv' ")
    assert "\n" not in caught.value.message


def test_tables_that_are_not_text_or_enormous(
    tmp_path: Path, pickle_bomb: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.csv"
    for data in (b"file,x\na.png,\xff\xfe\n", pickle_bomb):
        path.write_bytes(data)
        with pytest.raises(LatentLabError, match="UTF-8"):
            read_attributes_csv(path, NAMES)
    monkeypatch.setattr(labels, "MAX_CSV_BYTES", 2**20)
    path.write_bytes(b"file,x\n" + b"a" * 2**20)
    with pytest.raises(LatentLabError, match="larger than 1 MiB"):
        read_attributes_csv(path, NAMES)
    with pytest.raises(LatentLabError, match="There is no"):
        read_attributes_csv(tmp_path / "other.csv", NAMES)


def test_a_column_of_too_many_texts_is_refused() -> None:
    names = [f"{i}.png" for i in range(1001)]
    table = "file,note\n" + "".join(f"{i}.png,text {i}\n" for i in range(1001))
    with pytest.raises(LatentLabError, match="1001 different texts in column 'note'"):
        read_attributes_csv(table, names)


def test_class_columns_name_each_class_up_to_fifty() -> None:
    columns = class_columns(np.array([0, 2, 2]), ["cat", "class", "dog"])
    assert list(columns) == ["class", "cat", "dog"]
    assert columns["class"].kind == "categorical"
    assert columns["class"].classes == ("cat", "class", "dog")
    assert columns["dog"].values.tolist() == [0, 1, 1]
    assert columns["cat"].kind == "binary"
    assert list(class_columns(np.arange(51), [str(i) for i in range(51)])) == ["class"]
