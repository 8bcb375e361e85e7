"""The CAs of an authority, as its ledger names them."""

from __future__ import annotations

from mutualtls.core.api.states import CAId, Role

ROOT, ISSUING = CAId(Role.ROOT, 1), CAId(Role.ISSUING, 1)
