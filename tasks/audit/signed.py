"""What to say of a dossier's signatures where nobody checks them."""

from tasks.evidence.dossier import Dossier

UNSIGNED = "unsigned: nothing tells who wrote it"


def signature_note(dossier: Dossier) -> str:
    """``unsigned`` and why that matters, or the keys that signed every decision, and how to check them."""
    keys = dossier.signed_by()
    if not keys:
        return UNSIGNED
    named = ", ".join(key[:16] for key in keys)
    return f"signed with key {named}; `lorafirst verify --keyring` tells whether you trust it"
