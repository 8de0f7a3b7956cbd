"""The selectors inside other people's trainers; each module needs its optional extra.

pip install 'es-repro[transformers]'    es_repro.integrations.transformers: SelectionMixin
pip install 'es-repro[lightning]'       es_repro.integrations.lightning: SelectionData
"""

__all__: list[str] = []
