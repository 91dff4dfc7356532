"""Results made visible: tables, figures, a page; all from ``results.json`` alone."""
