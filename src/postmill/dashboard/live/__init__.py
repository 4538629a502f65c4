"""What keeps an open page up to date: one poll of counters for all that watch, and a stream to each
browser.
"""
