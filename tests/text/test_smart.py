import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.text import Change, TextError, normalise, suggest, transliterate
from chappe.text.alphabet import DEFAULT


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("‘a’ ‚b‛ `c´ d′", "'a' 'b' 'c' d'"),
        ("“a” „b «c»", '"a" "b "c"'),
        ("a‐b‑c‒d–e—f―g−h", "a-b-c-d-e-f-g-h"),
        ("a…b\u00a0c\u2009d", "a...b c d"),
        ("êëçâáãîïíôóõûúœŒÿ", "eecaaaiiiooouuoeOEy"),
        ("ÊÈËÀÂÎÔÛÙÉÇ", "EEEAAIOUUÉÇ"),
        ("łśżźćńąę", "lszzcnae"),
        ("⁄™©®º°", "/(TM)(C)(R)odeg"),
        ("ßøØæ", "ßøØæ"),
        ("ș ț Ő", "s t O"),
        ("ﬁn m²", "fin m2"),
    ],
)
def test_characters_become_what_reads_the_same(text, becomes):
    assert transliterate(text)[0] == becomes


@pytest.mark.parametrize("text", ["Ж", "😀", "中", "code ١٢٣", "see https://exämple.com/ê now", "www.forêt.fr"])
def test_what_has_no_equal_or_must_not_change_stays(text):
    assert transliterate(text) is None


def test_a_quoted_url_does_not_stop_the_quotes():
    assert transliterate("“https://a.fr/x” ok’")[0] == '"https://a.fr/x" ok\''


def test_turkish_and_cyrillic_are_lost_only_on_request():
    assert transliterate("İşığ") is None
    assert transliterate("İşığ", ("turkish",))[0] == "Isig"
    assert transliterate("Привет, щука", ("cyrillic",))[0] == "Privet, shchuka"
    assert transliterate("Київ", ("turkish",)) is None


def test_each_change_is_counted():
    assert set(transliterate("’a’…")[1]) == {Change("’", "'", 2, "smart"), Change("…", "...", 1, "smart")}


@given(st.text())
def test_a_transliterated_text_is_gsm7(text):
    found = transliterate(text, ("turkish", "cyrillic"))
    assert found is None or DEFAULT.encode(found[0]) is not None


@given(st.characters())
def test_a_suggestion_is_gsm7(char):
    becomes = suggest(char)
    assert becomes is None or DEFAULT.encode(becomes) is not None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_normalising_twice_changes_nothing_more(text):
    clean, _ = normalise(text)
    assert normalise(clean) == (clean, ())


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a\tb\r\nc\rd\u2028e", "a b\nc\nd\ne"),
        ("a\u200bb\u200e\ufeffc\x07", "abc"),
        ("a\u200db", "ab"),
        ("👨‍👩‍👧", "👨‍👩‍👧"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क\u094d\u200dष", "क\u094d\u200dष"),
    ],
)
def test_the_invisible_goes_but_joiners_that_mean_something_stay(text, clean):
    assert normalise(text)[0] == clean


def test_half_a_character_is_refused():
    with pytest.raises(TextError):
        normalise("\udc00")
