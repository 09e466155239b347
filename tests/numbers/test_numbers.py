import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from chappe.numbers import NumberError, by_calling_code, countries, country, is_textable, parse, time_zones
from chappe.numbers.plan import CALLING_CODES

TYPES = {
    PhoneNumberType.FIXED_LINE: "fixed",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_or_mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
    PhoneNumberType.UNKNOWN: "unknown",
}


POSSIBLE = phonenumbers.ValidationResult.IS_POSSIBLE
_reason = phonenumbers.is_possible_number_with_reason


def e164(number):
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def examples():
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in TYPES:
            if number := phonenumbers.example_number_for_type(region, kind):
                yield region, number
    for code in (800, 808, 870, 878, 881, 882, 883, 888, 979):
        if number := phonenumbers.example_number_for_non_geo_entity(code):
            yield "001", number


EXAMPLES = list(examples())


def test_every_example_of_every_country_and_type_agrees_with_the_published_plans():
    assert len(EXAMPLES) > 1000
    for _, number in EXAMPLES:
        ours = parse(e164(number))
        assert ours.e164 == e164(number)
        assert ours.country == (phonenumbers.region_code_for_number(number) or "001"), ours
        assert ours.line_type == TYPES[phonenumbers.number_type(number)], ours


def test_every_example_dialled_at_home_is_the_same_number():
    for region, number in EXAMPLES:
        if region == "001":
            continue
        dialled = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        theirs = phonenumbers.parse(dialled, region)
        assert parse(dialled, region).e164 == e164(theirs), (region, dialled)


@given(st.sampled_from(sorted(CALLING_CODES)), st.text(alphabet="0123456789", min_size=1, max_size=14))
def test_random_digits_agree_on_what_is_possible_and_valid(code, national):
    raw = "+" + code + national
    try:
        theirs = phonenumbers.parse(raw)
    except phonenumbers.NumberParseException:
        theirs = None
    try:
        ours = parse(raw)
    except NumberError:
        assert theirs is None or _reason(theirs) != POSSIBLE or len(e164(theirs)) > 16
        return
    if code == "52" and len(national) == 11 and national[0] == "1":
        return  # the old mobile prefix is dropped on purpose
    assert theirs is not None
    if phonenumbers.is_valid_number(theirs) or ours.line_type != "unknown":
        assert ours.e164 == e164(theirs)
        assert ours.line_type == TYPES[phonenumbers.number_type(theirs)]
    if ours.line_type != "unknown":
        assert ours.country == phonenumbers.region_code_for_number(theirs)


@given(
    st.one_of(st.text(max_size=80), st.text(alphabet="+0123456789 ()-.", max_size=24)),
    st.sampled_from([None, "FR", "US", "XX"]),
)
def test_nothing_but_a_number_error_is_raised(raw, home):
    try:
        number = parse(raw, home)
    except NumberError as error:
        assert error.code.startswith("number_")
        assert error.message
    else:
        assert number.e164 == "+" + number.digits
        assert number.digits.isascii() and number.digits.isdigit() and len(number.digits) <= 15


@pytest.mark.parametrize(
    "raw",
    [
        "+33612345678",
        "0033612345678",
        "+33 6 12 34 56 78",
        "+33 (0)6.12.34.56.78",
        "(+33) 6-12-34-56-78",
        "\u202a+33\u00a0612\u2011345678\u202c",
        "＋３３ ６１２３４５６７８",
        "+٣٣٦١٢٣٤٥٦٧٨",
        "+330612345678",
    ],
)
def test_many_ways_of_writing_are_one_number(raw):
    number = parse(raw)
    assert (number.e164, number.country, number.calling_code, number.line_type) == (
        "+33612345678",
        "FR",
        "33",
        "mobile",
    )
    assert number.national == "612345678"


@pytest.mark.parametrize(
    ("raw", "home", "expected"),
    [
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("0612345678", "fr", "+33612345678"),
        ("33612345678", "FR", "+33612345678"),
        ("011 33 6 12 34 56 78", "US", "+33612345678"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("06 1234 5678", "IT", "+390612345678"),
        ("8 (916) 123-45-67", "RU", "+79161234567"),
        ("+5219981234567", None, "+529981234567"),
        ("+44 20 7946 0018", "FR", "+442079460018"),
    ],
)
def test_numbers_as_dialled_at_home(raw, home, expected):
    assert parse(raw, home).e164 == expected


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", "number_empty"),
        (" - ", "number_empty"),
        ("+", "number_not_e164"),
        ("hello", "number_not_e164"),
        ("+33612345678 ext 5", "number_not_e164"),
        ("612345678", "number_not_e164"),
        ("33612345678", "number_not_e164"),
        ("+999123456", "number_unknown_country"),
        ("+0612345678", "number_unknown_country"),
        ("+3361234", "number_too_short"),
        ("+336123456789", "number_too_long"),
        ("+" + "1" * 300, "number_too_long"),
        ("+7916123456789", "number_impossible"),
    ],
)
def test_each_fault_has_its_code_and_says_what_to_do(raw, code):
    with pytest.raises(NumberError) as error:
        parse(raw)
    assert error.value.code == code
    assert error.value.message.endswith(".")


def test_a_home_that_is_no_country_is_refused():
    with pytest.raises(NumberError) as error:
        parse("0612345678", "XX")
    assert error.value.code == "number_unknown_country"


@pytest.mark.parametrize(
    ("raw", "owner"),
    [
        ("+12025550123", "US"),
        ("+14165550123", "CA"),
        ("+12423595555", "BS"),
        ("+77012345678", "KZ"),
        ("+79161234567", "RU"),
        ("+447781123456", "GG"),
        ("+3906698123456", "VA"),
        ("+262639012345", "YT"),
        ("+881612345678", "001"),
    ],
)
def test_shared_calling_codes_have_the_right_owner(raw, owner):
    assert parse(raw).country == owner


@pytest.mark.parametrize(
    ("raw", "textable"),
    [
        ("+33612345678", True),
        ("+12025550123", True),
        ("+33700000000", True),  # a range the tables may not know yet
        ("+33123456789", False),
        ("+33891123456", False),
        ("+18002345678", False),
        ("+881612345678", False),
    ],
)
def test_only_lines_that_take_texts_are_textable(raw, textable):
    assert is_textable(parse(raw)) is textable


def test_countries_are_known_by_code_name_and_calling_code():
    assert len(countries()) == len(phonenumbers.SUPPORTED_REGIONS)
    assert (country("fr").name, country("FR").calling_code, country("FR").time_zones) == (
        "France",
        "33",
        ("Europe/Paris",),
    )
    assert country("XX") is None
    assert [found.iso for found in by_calling_code("7")] == ["KZ", "RU"]
    for found in countries().values():
        assert found.name and found.time_zones
        assert found.iso in CALLING_CODES[found.calling_code]


def test_time_zones_follow_the_prefix():
    assert time_zones(parse("+33612345678")) == ("Europe/Paris",)
    assert time_zones(parse("+12423595555")) == ("America/Nassau",)
    assert len(time_zones(parse("+79161234567"))) > 5
    assert "Asia/Vladivostok" in time_zones(parse("+79161234567"))
    assert "Asia/Almaty" in time_zones(parse("+77012345678"))
    assert len(time_zones(parse("+18002345678"))) > 20
    assert time_zones(parse("+881612345678")) == ()
