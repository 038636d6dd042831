"""The meaning of codes and country names in Online Retail II: two tables, and the rule for codes that are not goods.

A stock code is goods unless the table below says that it is money or a service. The file's usual goods are five digits
with up to three letters (`85048`, `79323P`), the `DCGS…` range, `SP1002` and `PADS` (cushion pads, invoiced at a tenth
of a penny, but put into the parcel). Any other code counts as goods too, and is listed in the account under
`unusual_codes`.

    service_code("POST") -> "postage"        service_code("85123A") -> None
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

SERVICE_CODES: Final = MappingProxyType(
    {
        r"POST": "postage",
        r"DOT": "postage of the web shop",
        r"C2": "carriage",
        r"C3": "carriage",
        r"M": "manual entry",
        r"D": "discount",
        r"S": "samples, booked by value",
        r"B": "bad debt",
        r"ADJUST\d*": "adjustment of the books",
        r"BANK CHARGES": "bank charges",
        r"AMAZONFEE": "marketplace fee",
        r"CRUK": "commission to a charity",
        r"TEST\d+": "test entry",
        r"GIFT(?:_\d+_\d+)?": "gift voucher: money owed to its holder, not goods",
    }
)
"""Pattern of a code that is not goods (whole code, any case: the file has `M` and `m`) -> its meaning."""

SERVICE_CODE_PATTERN: Final = r"(?i)^(?:" + "|".join(SERVICE_CODES) + r")$"
USUAL_STOCK_CODE_PATTERN: Final = r"(?i)^(?:\d{5}[A-Z]{0,3}|DCGS\w+|SP1002|PADS)$"

UNKNOWN_COUNTRY: Final = "ZZ"
"""ISO 3166 leaves ZZ to its users; CLDR uses it for an unknown region. A name that is not in the table becomes ZZ and
is reported."""

SELLER_TIME_ZONE: Final = "Europe/London"
"""The file's times are the seller's wall clock. An unknown country also gets the seller's time zone."""

COUNTRIES: Final = MappingProxyType(
    {
        "Australia": "AU",
        "Austria": "AT",
        "Bahrain": "BH",
        "Belgium": "BE",
        "Bermuda": "BM",
        "Brazil": "BR",
        "Canada": "CA",
        # Jersey and Guernsey are two codes; the file does not say which. Jersey is the larger, and the post is the
        # same.
        "Channel Islands": "JE",
        "Cyprus": "CY",
        "Czech Republic": "CZ",
        "Denmark": "DK",
        "EIRE": "IE",
        # Not a country, but ISO 3166 reserves EU for it.
        "European Community": "EU",
        "Finland": "FI",
        "France": "FR",
        "Germany": "DE",
        "Greece": "GR",
        "Hong Kong": "HK",
        "Iceland": "IS",
        "Israel": "IL",
        "Italy": "IT",
        "Japan": "JP",
        # South Korea: sales to North Korea would have been marked as an exception.
        "Korea": "KR",
        "Lebanon": "LB",
        "Lithuania": "LT",
        "Malta": "MT",
        "Netherlands": "NL",
        "Nigeria": "NG",
        "Norway": "NO",
        "Poland": "PL",
        "Portugal": "PT",
        "RSA": "ZA",
        "Saudi Arabia": "SA",
        "Singapore": "SG",
        "Spain": "ES",
        "Sweden": "SE",
        "Switzerland": "CH",
        "Thailand": "TH",
        "USA": "US",
        "United Arab Emirates": "AE",
        "United Kingdom": "GB",
        "Unspecified": UNKNOWN_COUNTRY,
        # A dozen states and territories: any choice would be arbitrary.
        "West Indies": UNKNOWN_COUNTRY,
    }
)
"""Country name of the file (both years) -> ISO 3166-1 alpha-2, or a reserved code (ZZ, EU)."""

TIME_ZONES: Final = MappingProxyType(
    {
        UNKNOWN_COUNTRY: SELLER_TIME_ZONE,
        "EU": "Europe/Brussels",
        "JE": "Europe/Jersey",
    }
)
"""Time zones sent with the address if the country code does not determine one."""


def service_code(code: str) -> str | None:
    """The meaning of a code that is not goods, or None for goods."""
    for pattern, meaning in SERVICE_CODES.items():
        if re.fullmatch(pattern, code.strip(), re.IGNORECASE):
            return meaning
    return None
