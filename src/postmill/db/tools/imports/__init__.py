"""What ``postmill import`` brings over from other systems: one file a system, and what they share.

A run can be repeated: what was brought is moved, or has a mark, in the transaction that brings it.
"""
