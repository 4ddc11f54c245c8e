"""The methods of the ladder: what each makes trainable, found by name.

``registry`` finds them, ``adapters`` holds those that leave the base frozen, ``weights`` those that update
it. Installed packages add their own through the entry point group ``lorafirst.rungs``.
"""
