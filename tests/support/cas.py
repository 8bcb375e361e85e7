"""The first CAs of an authority, as its ledger names them."""

from __future__ import annotations

from mutualtls.core.api.states import CAId, Role

ROOT, ROOT_2, ROOT_3 = (CAId(Role.ROOT, number) for number in (1, 2, 3))
ISSUING, ISSUING_2, ISSUING_3 = (CAId(Role.ISSUING, number) for number in (1, 2, 3))
