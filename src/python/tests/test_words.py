"""Sentences of others in ours."""

import pytest
from modelship_profile.words import first_line, listed, shortened


@pytest.mark.parametrize(
    "text, told",
    [
        ("as it is", "as it is"),
        ("one two three", "one two …"),
        ("one  two\n\tthree", "one two …"),
        ("onetwothreefour five", "onetwothr…"),
        ("exactly te", "exactly te"),
    ],
)
def test_what_is_too_long_ends_after_a_word_and_says_so(text, told):
    assert shortened(text, 10) == told and len(told) <= 10


def test_the_first_line_of_an_error_is_told_or_its_name():
    assert first_line(ValueError("\nit is away\nTraceback")) == "it is away"
    assert first_line(ValueError()) == "ValueError"
    assert first_line("word " * 100).endswith("word …") and len(first_line("word " * 100)) <= 300


def test_of_many_names_the_rest_is_counted():
    assert listed("abc", 3) == "a, b, c"
    assert listed("abcde", 3) == "a, b, c and 2 more"
