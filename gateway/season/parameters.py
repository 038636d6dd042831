"""All numbers of the season in one place (shares, delays, dates), each with its source.

"Assumption" marks a number that was chosen so that the six KPIs are near their ideals at peak, with enough trouble left
to be interesting. No number is a measurement of a real business.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """Parameters of the season. Shares are of 1; delays are hours; times are UTC.

    A lognormal delay is given by its median and its sigma: waiting times of people and parcels have long tails to the
    right.
    """

    # Dates. Black Friday is the Friday after the fourth Thursday of November; these weeks are in the past.
    first_day: date = date(2025, 11, 24)
    days: int = 14
    black_friday: date = date(2025, 11, 28)
    stocked_at: datetime = datetime(2025, 11, 22, 6, tzinfo=UTC)
    # After the last order, so that stock never arrives before an order that waits for it.
    restocked_at: datetime = datetime(2025, 12, 8, 5, tzinfo=UTC)
    # After the last return: returns are requested up to 14 days after delivery and travel for up to 6.
    counted_at: datetime = datetime(2026, 1, 12, 6, tzinfo=UTC)

    # Days around Black Friday, as shares of its rise over a normal day. Assumption: published shop statistics agree on
    # the shape (Thursday evening starts, Cyber Monday is the second peak), not on the numbers.
    rise_of_days: tuple[tuple[date, float], ...] = (
        (date(2025, 11, 27), 0.10),
        (date(2025, 11, 28), 1.00),
        (date(2025, 11, 29), 0.30),
        (date(2025, 11, 30), 0.25),
        (date(2025, 12, 1), 0.45),
        (date(2025, 12, 2), 0.10),
    )
    # Orders by UTC hour, relative. Assumption: a small peak at lunch and a large one at 20-22 h Central European time.
    hour_weights: tuple[float, ...] = (
        0.8, 0.4, 0.3, 0.2, 0.3, 0.6, 1.2, 2.2, 3.2, 4.0, 4.6, 5.0, 5.0, 4.6, 4.4, 4.6, 5.2, 6.0, 7.0,
        7.6, 7.2, 5.4, 3.2, 1.6,
    )  # fmt: skip

    # Orders. Assumptions all; demand by rank follows Zipf's law, whose exponent is near 0.8 to 1 in retail sales data.
    zipf_exponent: float = 0.8
    channel_weights: tuple[float, ...] = (0.50, 0.22, 0.18, 0.10)
    lines_weights: tuple[float, ...] = (0.45, 0.27, 0.15, 0.08, 0.05)
    quantity_weights: tuple[float, ...] = (0.82, 0.13, 0.05)
    orders_per_customer: float = 1.3
    all_or_nothing_share: float = 0.08
    express_share: float = 0.18
    same_day_share: float = 0.30  # of the possible orders: before 11 h local time, in a city with a store
    attributes_share: float = 0.03
    standard_promise_days: int = 5
    express_promise_days: int = 2
    marketplace_dispatch_days: int = 2  # the marketplace promises the dispatch, not the delivery
    promotion_share_off: float = 0.20
    free_postage_from_minor: int = 5_000

    # What happens to an order before picking. Assumptions.
    payment_hold_share: float = 0.020
    fraud_hold_share: float = 0.010
    payment_hold_median_hours: float = 1.0
    fraud_hold_median_hours: float = 3.0
    hold_sigma: float = 0.6
    fraud_found_share: float = 0.10  # of the fraud holds: the seller cancels
    customer_cancel_share: float = 0.020
    amend_share: float = 0.006
    # Follow-ups come within this time after the order. Picking takes longer, so none comes after the parcel has left.
    follow_up_hours_max: float = 0.75

    # Errors of real channels that a ledger must handle: a few of each.
    repeats_per_thousand: float = 3.0
    reused_ids_per_thousand: float = 1.0
    reused_ids_max: int = 5

    # Stock. A short rank gets this share of its expected demand; all others get more than their demand. Assumptions,
    # chosen so that some 3 % of the orders find no stock: one deal sells out on Black Friday, one on Cyber Monday.
    short_ranks: tuple[tuple[int, float], ...] = ((3, 0.80), (9, 0.62), (17, 0.55))
    restocked_share: float = 0.92

    # Picking: placed (or released) to dispatched. Assumption; the vocabulary's ideal at peak is below 24 h on average.
    processing_median_hours: float = 7.0
    processing_sigma: float = 0.55
    processing_hours_min: float = 1.0
    processing_peak_factor: float = 1.4
    same_day_processing_median_hours: float = 1.8
    same_day_processing_sigma: float = 0.25
    late_dispatch_share: float = 0.006  # leaves only after the promise has passed
    other_location_share: float = 0.002  # leaves from another location than planned

    # Carriers. Medians by service; assumption: two days standard, one day express within Europe.
    standard_transit_median_hours: float = 44.0
    express_transit_median_hours: float = 20.0
    same_day_transit_median_hours: float = 2.5
    transit_sigma: float = 0.30
    late_share: float = 0.023  # the carrier's own delays, in addition to late dispatches and backorders
    failed_attempt_share: float = 0.02
    lost_share: float = 0.0015
    returned_to_sender_share: float = 0.002

    # Returns: a shop of general goods, below the vocabulary's ideal of 5 %. Assumptions.
    return_share: float = 0.04
    unannounced_share: float = 0.02  # of the returns
    exchange_share: float = 0.10
    # Why goods come back, by code. Assumption: two thirds do not fit or do not please, a fifth came wrong.
    return_reasons: tuple[tuple[str, str, float], ...] = (
        ("too small", "size", 0.20),
        ("too large", "size", 0.17),
        ("changed my mind", "changed_mind", 0.30),
        ("stopped working", "defective", 0.09),
        ("came too late", "late", 0.03),
        ("arrived damaged", "damaged", 0.08),
        ("not as described", "not_as_described", 0.07),
        ("another article than ordered", "wrong_item", 0.04),
        ("the gift box was empty", "missing", 0.02),
    )

    # Service desk. Assumption: one case per 60 orders; resolved below 2 h on average, longer on the peak days.
    case_share: float = 0.016
    case_median_hours: float = 0.6
    case_sigma: float = 0.7
    case_peak_factor: float = 2.2
    case_reopened_share: float = 0.04

    # Cycle counts. The vocabulary's ideal is 99.5 to 100 % within tolerance.
    count_off_share: float = 0.004
    count_within_tolerance_share: float = 0.03  # differs, but passes

    def crowded(self, day: date) -> bool:
        """Whether warehouse and desk have more work on that day than they can do at their usual pace."""
        return any(day == crowded and rise >= 0.25 for crowded, rise in self.rise_of_days)


SEASON: Final = Season()
