"""One HTML page of everything that records give: self-contained, readable offline and in print.

`blocks` is what a section may hold, `contents` makes the sections, `html` writes them through the
template `page.html.j2`, `command` is `python -m es_repro.report html`.
"""
