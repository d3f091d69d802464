"""Terms are linked once a text, whatever their form, and never inside other words or tags."""

import re

import pytest

from analysis.report import glossary


@pytest.mark.parametrize("term", glossary.TERMS, ids=lambda term: term.name)
def test_every_term_is_linked_by_its_name_and_listed_where_it_is_mentioned(term):
    text = glossary.linked(f"of {term.name}, and {term.name} again")
    assert text.count(f'href="#{glossary.anchor(term)}"') == 1
    assert glossary.mentioned(f"<p>{term.name}</p>")[glossary.anchor(term)] is term
    assert re.fullmatch(r"[A-Z9].*[.?]", term.means)


def test_other_forms_and_the_longest_name_count():
    assert ">Sparsities</a>" in glossary.linked("Sparsities are")
    assert ">random mask</a> or a <a" in glossary.linked("a random mask or a mask")
    assert glossary.linked("after Holm's correction").count("</a>") == 1
    assert "Holm&#39;s correction</a>" in glossary.linked("after Holm's correction")


def test_parts_of_words_are_left_alone_and_text_is_escaped():
    assert "<a" not in glossary.linked("unmasked, seedling, gainful, np, lossless, re-denser")
    assert glossary.linked("<b>&mask") == '&lt;b&gt;&amp;<a class="term" href="#term-mask">mask</a>'


def test_what_stands_in_scripts_pictures_and_tags_is_not_mentioned():
    page = '<p class="mask">WER</p><script>beam</script><svg><text>loss</text></svg>'
    assert [*glossary.mentioned(page)] == ["term-wer"]
