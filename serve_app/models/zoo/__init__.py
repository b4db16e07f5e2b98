"""Names of models: what there is, where its weights come from, and stages made of them.

Knows files, archives and the network; which runtime runs what is ``models.selection``'s business.
"""
