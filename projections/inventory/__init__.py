"""Stock per SKU and location: on_hand = available + reserved + safety + damaged + quality_hold. Also reservations that
expire, and incoming goods.
"""
