"""Results made visible: tables, figures, a page; all from ``results.json`` alone.

| ``html``       the report, one file
| ``tables``     for the terminal and for the page
| ``figures``    with ``labels`` beside their points
| ``findings``   where a classic method does better than attention
| ``disputes``   sentences on which methods differ
| ``numbers``    how numbers are written
"""
