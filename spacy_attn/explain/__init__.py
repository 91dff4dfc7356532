"""Why this sense."""
