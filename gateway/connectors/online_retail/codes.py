"""What the codes and country names of Online Retail II mean: two tables and the rule for what is not goods.

A stock code is goods unless the table below says that it is money or a service. The file's usual goods are five digits
with up to three letters (`85048`, `79323P`), the `DCGS…` range, `SP1002` and `PADS` (cushion pads, invoiced at a tenth
of a penny, yet put into the parcel). Any other code is taken as goods too, and named in the account under
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
"""Pattern of a code that is not goods (whole code, any case: the file writes `M` and `m`) -> what it is."""

SERVICE_CODE_PATTERN: Final = r"(?i)^(?:" + "|".join(SERVICE_CODES) + r")$"
USUAL_STOCK_CODE_PATTERN: Final = r"(?i)^(?:\d{5}[A-Z]{0,3}|DCGS\w+|SP1002|PADS)$"

UNKNOWN_COUNTRY: Final = "ZZ"
"""ISO 3166 keeps ZZ for the user; CLDR uses it for an unknown region. A name that the table lacks becomes this, and is
reported."""

SELLER_TIME_ZONE: Final = "Europe/London"
"""The file's times are the seller's wall clock, and a place that is no country is given the seller's time zone."""

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
        # No country: ISO 3166 reserves EU for it on request of the European Union.
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
        # The retailer shipped to Seoul's half; North Korea would have been an exception worth a name.
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
        # A dozen states and territories; choosing one would be an invention.
        "West Indies": UNKNOWN_COUNTRY,
    }
)
"""Country name of the file (both years) -> ISO 3166-1 alpha-2, or a code reserved for what is no country (ZZ, EU)."""

TIME_ZONES: Final = MappingProxyType(
    {
        UNKNOWN_COUNTRY: SELLER_TIME_ZONE,
        "EU": "Europe/Brussels",
        "JE": "Europe/Jersey",
    }
)
"""Time zone sent with the address where the country code alone does not settle it."""


def service_code(code: str) -> str | None:
    """What a code that is not goods stands for, or None for goods."""
    for pattern, meaning in SERVICE_CODES.items():
        if re.fullmatch(pattern, code.strip(), re.IGNORECASE):
            return meaning
    return None
