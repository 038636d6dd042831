"""What channels may sell: rules of a SKU, everywhere and at one location, and the result at each location."""

from collections.abc import Sequence

from events.envelope import Refused
from events.refusal import already_so
from events.stock import commands as c
from events.stock import facts as f
from events.stock.decision import Decision
from events.stock.rules import Rules, resolved
from events.stock.state import Level
from events.values import Buffer, ChannelRule


def set_policy(decision: Decision, data: c.SetChannelPolicy) -> Refused | None:
    """Set the rules of the SKU, or of the SKU at one location. An unset part stays as it is."""
    stock = decision.stock
    if data.buffers is None and data.excluded_channels is None:
        return Refused(
            code="invalid",
            what=f"the channel policy of {data.sku} was not set",
            detail="it names neither buffers nor excluded_channels",
            hint="name at least one of them; an empty one removes the present values",
        )
    rules = stock.rules if data.location_id is None else stock.level(data.location_id).own_rules
    buffers = rules.buffers if data.buffers is None else data.buffers
    excluded = tuple(sorted(set(rules.excluded if data.excluded_channels is None else data.excluded_channels)))
    if (dict(buffers), excluded) == (dict(rules.buffers), tuple(sorted(rules.excluded))):
        return already_so(
            f"the channel policy of {data.sku} was not set",
            f"{data.location_id or 'everywhere'}: buffers are {dict(rules.buffers) or 'none'}, excluded channels are "
            f"{', '.join(excluded) or 'none'}",
        )
    decision.add(
        f.ChannelPolicySet(
            sku=data.sku,
            location_id=data.location_id,
            buffers=as_buffers(Rules(buffers)),
            excluded_channels=excluded,
        )
    )
    return None


def categorise(decision: Decision, data: c.AssignCategory) -> Refused | None:
    """Put the SKU into another category. The category's rules follow in their own command."""
    known = decision.stock.category
    if data.category_id == known:
        return already_so(
            f"the category of {data.sku} was not changed",
            f"it is {known} already" if known else "it belongs to no category",
        )
    decision.add(f.SkuCategorised(sku=data.sku, category_id=data.category_id, previous=known))
    return None


def apply_category(decision: Decision, data: c.ApplyCategoryPolicy) -> None:
    """Apply a newer policy of the SKU's own category; ignore any other."""
    stock = decision.stock
    if data.category_id == stock.category and data.policy_version > stock.category_version:
        decision.add(
            f.CategoryRulesSet(
                sku=data.sku, category_id=data.category_id, policy_version=data.policy_version, rules=data.rules
            )
        )


def as_buffers(rules: Rules) -> tuple[Buffer, ...]:
    """Buffers as facts have them, by channel."""
    return tuple(Buffer(channel=channel, quantity=quantity) for channel, quantity in sorted(rules.buffers.items()))


def state_rules(decision: Decision, changed: Sequence[tuple[str, Level, Level]]) -> None:
    """State what each channel may sell, wherever this decision changed it. So readers need not combine the rules."""
    restated = [fact.location_id for fact in decision.facts if type(fact) is f.StockPolicySet]
    for location_id, known, level in changed:
        if level.chain == known.chain and location_id not in restated:
            continue
        was, now = resolved(known.chain), resolved(level.chain)
        if not was and not now:
            continue
        decision.add(
            f.SellingRulesResolved(
                sku=decision.stock.sku,
                location_id=location_id,
                rules=tuple(
                    ChannelRule(
                        channel=channel,
                        buffer=(now[channel] or 0) if channel in now else None,
                        excluded=channel in now and now[channel] is None,
                    )
                    for channel in sorted(was.keys() | now.keys())
                ),
            )
        )
