"""Why a word has its sense, and texts made to be read.

| ``explanation``   explains a word by several attribution methods
| ``decision``      what is explained
| ``attribution``   all methods by name; ``occlusion`` and ``gradients`` are two of them
| ``trust``         checks an explanation by taking words away
| ``page``          shows explanations
| ``attention``, ``syntax``   attention maps; heads that follow the parse

| ``reading``, ``reading_page``   texts with their senses, and their page
| ``side_by_side``  several methods beside each other
| ``tokens``, ``neighbourhood``, ``relevance``   tokens, neighbours of words, relevance to a query
| ``templates``     how pages are filled in
"""
