"""The paper's figures from records: one module a figure, a frame in and a matplotlib Figure out.

Each module has `frame(source)`, which gathers what is drawn and says in one line what to run where
it is missing, and `draw(frame)`, which is pure. `catalogue` lists them.
"""
