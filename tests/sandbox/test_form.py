from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import pytest

from syncd.sandbox.contract import SIZE_LIMIT
from syncd.sandbox.form import FIELD_LIMIT, FormError, FormReader
from tests.sandbox import forms
from tests.sandbox.forms import BOUNDARY, CONTENT_TYPE, Sent


def read(folder: Path, body: bytes, step: int = 7, content_type: str = CONTENT_TYPE, most: int = 10) -> FormReader:
    reader = FormReader(content_type, folder, most)
    for start in range(0, len(body), step):
        reader.write(body[start : start + step])
    return reader


@pytest.mark.parametrize("step", [1, 2, 3, 17, 100_000])
def test_a_form_is_read_whatever_the_chunks(tmp_path: Path, step: int) -> None:
    content = b"\xff\xd8\xff\r\n--b0undar\r\n--" + b"x" * 50
    body = forms.body([("tags", "a"), ("tags", "ü")], [Sent("x.jpg", content), Sent("y.png", b"", "image/png")])
    reader = read(tmp_path, body, step)
    reader.finish()
    assert reader.fields == [("tags", "a"), ("tags", "ü")]
    first, second = reader.files
    assert (first.part.name, first.part.content_type, first.part.size) == ("x.jpg", "image/jpeg", len(content))
    assert first.part.start == content[:16]
    assert first.sha256 == hashlib.sha256(content).hexdigest()
    assert first.path.read_bytes() == content
    assert second.part.size == 0
    reader.discard()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        forms.body()[:-10],
        forms.body()[: len(forms.body()) // 2],
        b"--" + BOUNDARY.encode() + b"\r\n\r\nno headers\r\n--" + BOUNDARY.encode() + b"--\r\n",
        forms.part('Content-Disposition: attachment; name="files"', b"") + f"--{BOUNDARY}--\r\n".encode(),
        forms.part('Content-Disposition: form-data; name="file"; filename="a.jpg"', b"")
        + f"--{BOUNDARY}--\r\n".encode(),
        forms.field("tags", "x" * (FIELD_LIMIT + 1)) + f"--{BOUNDARY}--\r\n".encode(),
        forms.body([("tags", "t")] * 300),
        forms.part('Content-Disposition: form-data; name="tags"', b"\xff") + f"--{BOUNDARY}--\r\n".encode(),
    ],
    ids=range(10),
)
def test_what_is_no_whole_form_is_an_error_and_leaves_nothing(tmp_path: Path, body: bytes) -> None:
    reader = read(tmp_path, body, 1000)
    with pytest.raises(FormError):
        reader.finish()
    reader.discard()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/mixed; boundary=b0undary",
        f"multipart/form-data; boundary={'b' * 300}",
    ],
)
def test_another_content_type_is_an_error(tmp_path: Path, content_type: str) -> None:
    with pytest.raises(FormError):
        read(tmp_path, forms.body(), content_type=content_type).finish()


def test_a_file_above_the_limit_is_counted_and_not_kept(tmp_path: Path) -> None:
    reader = FormReader(CONTENT_TYPE, tmp_path, 10)
    before, after = forms.file(Sent(content=b"\xff\xd8\xff")).split(b"\xff\xd8\xff")
    reader.write(before)
    tracemalloc.start()
    for _ in range(400):
        reader.write(b"\xff" * 65536)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    reader.write(after + f"--{BOUNDARY}--\r\n".encode())
    reader.finish()
    assert reader.files[0].part.size == 400 * 65536
    assert reader.files[0].path.stat().st_size <= SIZE_LIMIT
    assert peak < 2_000_000, "26 MB went through"
    reader.discard()


def test_of_too_many_files_the_rest_is_passed_over(tmp_path: Path) -> None:
    reader = read(tmp_path, forms.body(files=[Sent()] * 30), 1000, most=3)
    reader.finish()
    assert len(reader.files) == 4
    assert len(list(tmp_path.iterdir())) == 4
    reader.discard()


def test_a_disk_that_takes_nothing_is_an_error_at_the_end(tmp_path: Path) -> None:
    reader = read(tmp_path / "missing", forms.body())
    with pytest.raises(OSError, match="No such file"):
        reader.finish()
    reader.discard()
