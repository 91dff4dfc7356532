"""``python -m benchmarks.tables``: write the tables into the pages."""

from benchmarks.tables import write_pages

write_pages()
