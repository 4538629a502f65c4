"""A web-scraping worker, and a site for it to scrape: this Python's own library as web pages on loopback.

Start with ``worker.py``: it is what a user of Postmill writes. ``reading.py`` is the work itself;
``site.py``, ``sitemap.py`` and ``trouble.py`` are the site; the rest runs the demo and counts.
"""
