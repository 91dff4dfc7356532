"""The comparison: systems are asked about the same words and measured.

| ``dataset``     labelled data
| ``task``        what all systems are asked
| ``systems``     who answers: sense methods, published predictions
| ``process``     a process of its own for each
| ``experiment``  the whole comparison, as the command runs it
| ``metrics``, ``results``   accuracy, intervals, tests; ``results.json``
| ``tune``, ``curves``, ``vector_map``   a threshold; more examples, farther cues; a map of vectors
| ``manifest``    versions, processor and hashes
| ``report``      tables, figures and the page
"""
