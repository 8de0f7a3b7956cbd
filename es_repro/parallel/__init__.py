"""One run of many processes: who they are, what they tell one another, and how they end.

`world`: what the environment says of them; `ranks`: what they do together; `exchange`: losses on
their way to every score table; `sharding`: parameters in pieces; `bystander`: the record of those
that write none; `lost_ranks`: the end when one is gone.
"""
