"""The comparison: data sets, systems, metrics, report."""
