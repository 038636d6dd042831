"""Stock per SKU and location: on_hand = available + reserved + safety + damaged + quality_hold; holds that
expire, and goods on their way.
"""
