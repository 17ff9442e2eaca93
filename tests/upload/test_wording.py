from __future__ import annotations

import pytest

from syncd.upload.wording import is_about_the_files, named_field, too_many


@pytest.mark.parametrize(
    ("words", "cap"),
    [
        ("The number of files exceeds the limit. At most 10 files.", 10),
        ("At most 10 files per request.", 10),
        ("A maximum of 10 images can be uploaded at once", 10),
        ("Maximum number of files is 10", 10),
        ("Max 10 files, got 12", 10),
        ("up to 10 pictures", 10),
        ("no more than 10 photos", 10),
        ("Too many files: 12 (10 allowed)", 10),
        ("Too many files (12 > 10)", 10),
        ("files count 12 exceeds max 10", 10),
        ("The number of files must not exceed 10", 10),
        ("file limit is 1 image per request", 1),
        ("You sent 12 images, the limit is 10", 10),
        ("The number of files exceeded the limit of 10", 10),
        ("Too many files", 0),
        ("The number of images is too large", 0),
        ("Too many files, at most 99", 0),
        ("Number of files exceeds the limit: 12", 0),
        ("Parameter error.", None),
        ("Only jpg, png files are allowed", None),
        ("File 3 of 12 is damaged", None),
        ("Image 3 of the 12 images cannot be read", None),
        ("The maximum file size of 10 MB is exceeded by 2 files", None),
        ("Files over 10MB are not supported, limit 10MB", None),
        ("images must be at most 8000 pixels wide", None),
        ("At most 10 tags for the files", None),
        ("Request has exceeded the limit.", None),
        ("", None),
    ],
)
def test_a_cap_is_learned_only_where_it_is_plainly_named(words: str, cap: int | None) -> None:
    assert too_many(words, 12) == cap


def test_one_file_is_never_too_many() -> None:
    assert too_many("At most 0 files.", 1) is None


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("datetime_taken must be yyyy-MM-dd HH:mm:ss", "datetime_taken"),
        ("datetimeTaken is invalid", "datetime_taken"),
        ("Camera model too long", "camera_model"),
        ("latitude and longitude go together", "latitude"),
        ("longitude without latitude", "longitude"),
        ("a tag is empty", "tags"),
        ("too many TAGS", "tags"),
        ("unique_id must not be empty", "unique_id"),
        ("uniqueId", "unique_id"),
        ("Parameter error.", None),
        ("stage percentage", None),
        ("", None),
    ],
)
def test_the_field_that_a_message_names(words: str, field: str | None) -> None:
    assert named_field(words) == field


@pytest.mark.parametrize(
    ("words", "about"),
    [
        ("Request has exceeded the limit.", False),
        ("The request rate exceeded the limit", False),
        ("Upload requests for images exceeded the limit", False),
        ("exceeded the limit", False),
        ("The number of files per request exceeded the limit of 10", True),
        ("The file size exceeded the limit", True),
        ("tags exceeded the limit", True),
        ("Images exceeded the limit", True),
    ],
)
def test_limits_on_files_are_told_from_limits_on_requests(words: str, *, about: bool) -> None:
    assert is_about_the_files(words, rejecting=False) is about


def test_a_single_file_counts_where_the_answer_rejects_files_anyway() -> None:
    assert is_about_the_files("File 3 exceeded the limit", rejecting=True)
    assert not is_about_the_files("File 3 exceeded the limit", rejecting=False)
