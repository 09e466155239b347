"""What people write is understood: refusals in every language, and nothing taken for an opt-in that is none."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chappe.consent.keywords import LONGEST, Meaning, hear, near, plain, table
from chappe.consent.keywords.table import words

# (text, country, what is heard)
STOP, HELP, START, WEAK, REVIEW, NOTHING = "stop", "help", "start", "weak", "review", None
TEXTS: list[tuple[str, str, str | None]] = [
    # English
    ("STOP", "US", STOP),
    ("stop", "", STOP),
    ("Stop.", "GB", STOP),
    ("STOP!!", "US", STOP),
    ("  s t o p ", "US", STOP),
    ("S.T.O.P.", "US", STOP),
    ("sToP", "BE", STOP),
    ("“STOP”", "US", STOP),
    ("STOP 🛑🛑", "US", STOP),
    ("ＳＴＯＰ", "JP", STOP),
    ("𝐒𝐓𝐎𝐏", "US", STOP),
    ("STO\u200bP", "US", STOP),
    ("please stop", "US", STOP),
    ("Stop please", "US", STOP),
    ("stop it", "US", STOP),
    ("Stop sms", "US", STOP),
    ("stop texting me", "US", STOP),
    ("STOP NOW!!!", "US", STOP),
    ("Stop, thank you", "GB", STOP),
    ("Hi, stop please, thanks", "GB", STOP),
    ("STOPALL", "US", STOP),
    ("stop all", "GB", STOP),
    ("STOP-ALL", "US", STOP),
    ("HELP STOP", "US", STOP),
    ("START STOP", "US", STOP),
    ("TSOP", "BE", STOP),
    ("sotp", "US", STOP),
    ("STPO", "US", STOP),
    ("stpp", "US", STOP),
    ("ST0P", "US", STOP),
    ("stopp", "US", STOP),
    ("STOOOOP", "US", STOP),
    ("dtop", "US", STOP),
    ("UNSUBSCRIBE", "US", STOP),
    ("unsuscribe", "US", STOP),
    ("Unsubscribe me", "US", STOP),
    ("un-subscribe", "US", STOP),
    ("End", "US", STOP),
    ("CANCEL", "US", STOP),
    ("cancel please", "US", STOP),
    ("quit", "US", STOP),
    ("REVOKE", "US", STOP),
    ("Opt out", "US", STOP),
    ("OPT-OUT", "US", STOP),
    ("optout", "US", STOP),
    ("REMOVE", "US", STOP),
    ("Remove me", "US", STOP),
    ("leave me alone", "US", STOP),
    ("no more texts", "US", STOP),
    ("please stop sending me messages", "US", REVIEW),
    ("Remove me from your list", "US", REVIEW),
    ("take me off this list please, I never signed up", "US", REVIEW),
    ("I want to unsubscribe from all of this", "US", REVIEW),
    ("I don't want to receive these texts anymore", "US", REVIEW),
    ("dont text me again", "US", REVIEW),
    ("do not contact me", "GB", REVIEW),
    ("Who is this? Stop messaging this number", "US", REVIEW),
    ("STOP. I never signed up for this", "US", REVIEW),
    ("I hereby revoke my consent", "US", REVIEW),
    ("i said stop", "US", REVIEW),
    ("I will see you at the end of the week", "US", NOTHING),
    ("QUIT smoking tips", "US", NOTHING),
    ("cancel my appointment", "US", NOTHING),
    ("please don't stop, I love these offers", "US", NOTHING),
    ("I do not want to unsubscribe", "US", NOTHING),
    ("never stop", "US", NOTHING),
    ("at the bus stop", "US", NOTHING),
    ("stop by tomorrow", "US", NOTHING),
    ("Stop by the shop whenever you like", "US", NOTHING),
    ("NO", "US", NOTHING),
    ("shop", "US", NOTHING),
    ("step", "US", NOTHING),
    ("top", "US", NOTHING),
    ("spot", "US", NOTHING),
    ("Atop", "US", NOTHING),
    ("the end", "US", NOTHING),
    ("thanks", "US", NOTHING),
    ("", "US", NOTHING),
    ("👍", "US", NOTHING),
    ("HELP", "US", HELP),
    ("help!", "US", HELP),
    ("Help please", "US", HELP),
    ("info", "US", HELP),
    ("hlep", "US", NOTHING),
    ("Can you help me with my order?", "US", NOTHING),
    ("START", "US", START),
    ("Start please", "US", START),
    ("UNSTOP", "US", START),
    ("subscribe", "US", START),
    ("YES", "US", WEAK),
    ("yes please", "US", WEAK),
    ("yes I will come at nine", "US", NOTHING),
    ("star", "US", NOTHING),
    ("strat", "US", NOTHING),
    ("when do you start", "US", NOTHING),
    ("start the car", "US", NOTHING),
    # French
    ("STOP", "FR", STOP),
    ("Stop svp", "FR", STOP),
    ("stop merci", "FR", STOP),
    ("STOP 36111", "FR", STOP),
    ("Stop pub", "FR", STOP),
    ("stop s'il vous plaît", "FR", STOP),
    ("ARRÊT", "CA", STOP),
    ("arret", "BE", STOP),
    ("Arrêter", "BE", STOP),
    ("Désabonner", "FR", STOP),
    ("DÉSINSCRIRE", "FR", STOP),
    ("désabonnement", "FR", STOP),
    ("Arrêtez les SMS", "FR", STOP),
    ("Ne m'envoyez plus de messages", "FR", REVIEW),
    ("ne m’envoyez plus rien", "FR", REVIEW),
    ("Bonjour, je souhaite me désabonner de votre liste", "FR", REVIEW),
    ("Je ne veux plus recevoir vos publicités", "FR", REVIEW),
    ("Merci de supprimer mon numéro de vos fichiers", "FR", REVIEW),
    ("laissez-moi tranquille avec vos pubs", "FR", REVIEW),
    ("Arrêt de travail envoyé ce matin", "FR", NOTHING),
    ("arrêt maladie", "FR", NOTHING),
    ("Surtout ne me désabonnez pas", "FR", NOTHING),
    ("stp", "FR", NOTHING),
    ("AIDE", "CA", HELP),
    ("Contact", "FR", HELP),
    ("OUI", "FR", WEAK),
    ("Oui merci", "FR", WEAK),
    # German
    ("STOPP", "CH", STOP),
    ("Stop bitte", "DE", STOP),
    ("Abmelden", "DE", STOP),
    ("abmeldne", "DE", STOP),
    ("Bitte keine SMS mehr", "DE", STOP),
    ("Bitte schicken Sie mir keine Werbung", "DE", REVIEW),
    ("Löschen Sie bitte meine Nummer", "DE", REVIEW),
    ("Ich habe keine Nachrichten erhalten", "DE", NOTHING),
    ("Anmelden", "DE", NOTHING),
    ("Bitte nicht abmelden", "DE", NOTHING),
    ("Hilfe", "DE", HELP),
    ("Ja", "DE", WEAK),
    # Dutch
    ("AFMELDEN", "NL", STOP),
    ("stoppen aub", "BE", STOP),
    ("Uit", "NL", STOP),
    ("uit", "DE", NOTHING),
    ("aanmelden", "NL", NOTHING),
    ("Stuur mij geen berichten meer", "NL", REVIEW),
    ("HULP", "NL", HELP),
    # Spanish
    ("BAJA", "ES", STOP),
    ("baja por favor", "ES", STOP),
    ("Alto", "MX", STOP),
    ("alto", "ES", NOTHING),
    ("alta", "ES", START),
    ("CANCELAR", "ES", STOP),
    ("salir", "ES", STOP),
    ("baja médica", "ES", NOTHING),
    ("No me envíen más mensajes", "MX", REVIEW),
    ("No quiero recibir publicidad", "ES", REVIEW),
    ("Quiero darme de baja de esta lista", "ES", REVIEW),
    ("ayuda", "ES", HELP),
    ("Sí", "ES", WEAK),
    ("si quieres vamos", "ES", NOTHING),
    # Portuguese and Italian
    ("SAIR", "BR", STOP),
    ("Pare", "BR", STOP),
    ("Não quero receber mais mensagens", "BR", REVIEW),
    ("parem de me mandar mensagem", "BR", REVIEW),
    ("ajuda", "BR", HELP),
    ("sim", "BR", WEAK),
    ("ANNULLA", "IT", STOP),
    ("disiscrivi", "IT", STOP),
    ("Non mi mandate più messaggi", "IT", REVIEW),
    ("Cancellatemi dalla vostra lista", "IT", REVIEW),
    ("sto", "IT", NOTHING),
    ("Aiuto", "IT", HELP),
    # Slavic languages and Hungarian, Romanian
    ("REZYGNACJA", "PL", STOP),
    ("zakończ", "PL", STOP),
    ("Proszę nie wysyłajcie mi SMS", "PL", REVIEW),
    ("stopa", "PL", NOTHING),
    ("tak", "PL", WEAK),
    ("Odhlásit", "CZ", STOP),
    ("POMOC", "PL", HELP),
    ("dezabonare", "RO", STOP),
    ("Leiratkozás", "HU", STOP),
    ("LEALLITAS", "HU", STOP),
    ("segítség", "HU", HELP),
    ("odjava", "HR", STOP),
    ("СТОП", "RU", STOP),
    ("стоп пожалуйста", "RU", STOP),
    ("стпо", "RU", STOP),
    ("стол", "RU", NOTHING),
    ("Отписаться", "RU", STOP),
    ("отписатся", "RU", STOP),
    ("ОТПИСКА", "RU", STOP),
    ("подписка", "RU", NOTHING),
    ("отказ", "BG", STOP),
    ("НЕТ", "RU", STOP),
    ("нет", "BG", NOTHING),
    ("Нет, я приду завтра", "RU", NOTHING),
    ("net", "RU", STOP),
    ("net", "FR", NOTHING),
    ("Больше не присылайте мне рекламу", "RU", REVIEW),
    ("Уберите мой номер из базы", "RU", REVIEW),
    ("хочу отписаться от рассылки", "RU", REVIEW),
    ("Отпишитесь, когда приедете", "RU", NOTHING),
    ("Деньги не пришли", "RU", NOTHING),
    ("помощь", "RU", HELP),
    ("да", "RU", WEAK),
    ("Відписатися", "UA", STOP),
    ("підписатися", "UA", NOTHING),
    ("допомога", "UA", HELP),
    # Turkish, Vietnamese, Arabic, Chinese
    ("İPTAL", "TR", STOP),
    ("ıptal", "TR", STOP),
    ("RET", "TR", STOP),
    ("ret", "FR", NOTHING),
    ("dur", "FR", NOTHING),
    ("YARDIM", "TR", HELP),
    ("Từ chối", "VN", STOP),
    ("HUY", "VN", STOP),
    ("TC", "VN", STOP),
    ("tc", "FR", NOTHING),
    ("Hủy đơn hàng số 5", "VN", NOTHING),
    ("توقف", "SA", STOP),
    ("تَوَقَّف", "SA", STOP),
    ("تـوقـف من فضلك", "SA", STOP),
    ("إلغاء", "AE", STOP),
    ("الغاء", "AE", STOP),
    ("مساعدة", "EG", HELP),
    ("TD", "CN", STOP),
    ("T", "CN", STOP),
    ("T", "US", NOTHING),
    ("退订", "CN", STOP),
    ("请退订", "CN", STOP),
    ("退订！", "CN", STOP),
    ("我想退订这个短信谢谢", "CN", REVIEW),
    ("不要退订", "CN", NOTHING),
    # Scandinavian
    ("Stopp", "NO", STOP),
    ("avsluta", "SE", STOP),
    ("AFMELD", "DK", STOP),
    ("stor", "SE", NOTHING),
]


def verdict(found: Meaning | None) -> str | None:
    return None if found is None else WEAK if found.weak else found.kind


@pytest.mark.parametrize(("text", "country", "expected"), TEXTS)
def test_what_people_write_is_understood(text: str, country: str, expected: str | None) -> None:
    assert verdict(hear(text, country=country)) == expected, hear(text, country=country)


def test_there_are_enough_examples_in_every_language_of_the_table() -> None:
    heard = {plain(text) for text, _, expected in TEXTS if expected in (STOP, HELP)}
    for one in table():
        country = one.countries[0] if one.countries else ""
        assert verdict(hear(one.keyword, country=country)) == (WEAK if one.weak else one.kind), one
        assert one.source and one.languages
    assert len(TEXTS) >= 150 and len(heard) >= 80


def test_the_language_is_told_where_the_word_or_the_manners_tell_it() -> None:
    for text, language in (
        ("STOP", ""),
        ("stop svp", "fr"),
        ("BAJA", "es"),
        ("stop bitte", "de"),
        ("ne m'envoyez plus rien", "fr"),
        ("退订", "zh"),
        ("ОТПИСКА", "ru"),
    ):
        found = hear(text)
        assert found is not None and found.language == language, text


def test_the_own_words_of_an_account_are_refusals_too() -> None:
    own = ("Raus!", "non merci")
    assert hear("raus", own=own) == Meaning("stop", "raus", "own")
    assert verdict(hear("Raus bitte", own=own)) == STOP
    assert hear("raus") is None
    assert hear("wir gehen raus", own=own) is None
    assert verdict(hear("Non, merci.", own=own)) is None, "the politeness is taken away first"


def test_every_word_that_is_kept_apart_from_a_keyword_would_be_taken_for_it() -> None:
    clear = [plain(one.keyword) for one in table() if one.clear]
    apart = sorted(word for word in words().another if not any(near(word, meant) for meant in clear))
    assert apart == [], "these are taken for no keyword anyway"
    assert all(hear(word) is None for word in words().another)


def test_a_slip_is_one_letter_or_two_swapped_neighbours() -> None:
    for word in ("tsop", "sotp", "stpo", "stpp", "sto", "stopx", "xstop", "stap"):
        assert near(word, "stop"), word
    for word in ("stop", "post", "pots", "st", "stopxx", "tops", ""):
        assert not near(word, "stop"), word


@given(
    st.text(max_size=200) | st.binary(max_size=200).map(lambda octets: octets.decode("latin-1")), st.text(max_size=2)
)
@example("\ud800STOP", "")
@example("ẞ\u0345İ", "TR")
def test_nothing_that_a_stranger_writes_raises(text: str, country: str) -> None:
    hear(text, country=country, own=(text, country))
    assert all(char.isalnum() or char == " " for char in plain(text))


@given(st.text(max_size=60))
def test_only_words_of_the_table_are_taken_for_an_opt_in(text: str) -> None:
    found = hear(text)
    if found is not None and found.kind == "start":
        assert found.how == "keyword" and found.keyword in {plain(one.keyword) for one in table()}


_KEYWORDS = [one for one in table() if one.kind == "stop"]
_AROUND = st.text(alphabet=" .,!?*-_\u200b\ufe0f\n\t«»\"'", max_size=6)


@given(
    st.sampled_from(_KEYWORDS), _AROUND, _AROUND, st.sampled_from([str.upper, str.lower, str.title, str]), st.booleans()
)
@settings(max_examples=300)
def test_case_accents_and_punctuation_change_nothing(
    one: object, before: str, after: str, case: object, bare: bool
) -> None:
    text = one.keyword  # type: ignore[attr-defined]
    if bare:
        text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    written = before + case(text) + after  # type: ignore[operator]
    country = one.countries[0] if one.countries else ""  # type: ignore[attr-defined]
    found = hear(written, country=country)
    assert found is not None and found.kind == "stop", written


@given(st.integers(0, 3), st.integers(0, 25))
def test_every_slip_in_stop_is_heard_unless_it_is_another_word(place: int, letter: int) -> None:
    word = "stop"[:place] + chr(97 + letter) + "stop"[place + 1 :]
    found = hear(word)
    another = {
        "shop",
        "slop",
        "step",
        "atop",
        "stip",
        "stap",
        "stow",
        "stor",
        "stof",
        "stol",
        "stom",
        "stok",
        "stos",
        "scop",
    }
    assert (found is None) == (word in another), word


def test_a_long_text_is_read_in_no_time_and_only_as_far_as_a_message_goes() -> None:
    assert hear("a " * LONGEST + "unsubscribe me") is None
    for nasty in ("stop " * 2_000, "ne " * 3_000, "please " * 5_000, "не " * 5_000, "a" * 100_000, "no me " * 2_000):
        hear(nasty)
    assert re.search("stop", plain("STOP"))
