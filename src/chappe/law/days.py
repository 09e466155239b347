"""Public holidays by country and region, as the library `holidays` keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from chappe.law.hours import date_of, day_number

# The library counts Alsace as one region; ISO 3166-2 has its two departments.
_ALSO = {("FR", "67"): "6AE", ("FR", "68"): "6AE"}


def holiday(country: str, region: str | None, day: int) -> str | None:
    """The name of the public holiday that a day (since the epoch) is there; `region` as ISO 3166-2 after the country.

    Without a region only those of the whole country; None, too, for a country that the library does not know.
    """
    return _of_year(country, region, date_of(day).year).get(day)


def somewhere(country: str, day: int) -> str | None:
    """The public holiday that a day is in a part of the country at least."""
    return _anywhere(country, date_of(day).year).get(day)


@lru_cache(maxsize=2_048)
def _of_year(country: str, region: str | None, year: int) -> Mapping[int, str]:
    import holidays  # loads a module a country; most processes need few

    if country not in holidays.list_supported_countries():
        return {}
    known = holidays.list_supported_countries()[country]
    region = _ALSO.get((country, region or ""), region)
    found = holidays.country_holidays(country, subdiv=region if region in known else None, years=year)
    return {day_number(day): name for day, name in found.items()}


@lru_cache(maxsize=512)
def _anywhere(country: str, year: int) -> Mapping[int, str]:
    import holidays

    regions = holidays.list_supported_countries().get(country, [])
    return {day: name for region in (None, *regions) for day, name in _of_year(country, region, year).items()}


__all__ = ["holiday", "somewhere"]
