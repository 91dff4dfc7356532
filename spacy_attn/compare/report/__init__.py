"""What people see of a result: tables, figures, a page; all from ``results.json`` alone."""
