"""What is done, and said, when what was decided could not be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from mutualtls.core.api import managed
from mutualtls.core.api.identity_status import IdentityStatus
from mutualtls.core.leaf import plan
from mutualtls.core.leaf.observed import Seen
from mutualtls.core.leaf.plan import Decision
from mutualtls.core.leaf.secret import SecretMetadata
from mutualtls.core.reasons import Reason


def bundle_at_least(seen: Seen, decision: Decision) -> Decision | None:
    """Keep the bundle current where a new leaf is refused: what refuses a key may take a bundle.

    None: it is current, or contested.
    """
    if decision.action not in plan.MAKES_A_LEAF or not seen.has_old_bundle or seen.contest is not None:
        return None
    return replace(decision, action=seen.bundle_action, reason=Reason.BUNDLE_OUTDATED)


def trouble(
    said: IdentityStatus,
    decision: Decision | None,
    message: str,
    *,
    is_lasting: bool,
    end: datetime | None,
    every: timedelta,
    now: datetime,
) -> Decision | None:
    """Say what could not be done, where it will not mend itself, and where the files have ended, whatever it is.

    `decision` is what was being done, None where nothing was decided; `message` what the API server said; `end` when
    the files end, None where they have or are not known; `every` how often it is tried again. Return None where
    nothing is to be said.
    """
    before, end = said.ready, end or plan.recorded_end(said)
    has_ended = before is not None and before.status == "True" and (end is None or end <= now)
    if not has_ended and (not is_lasting or (decision is None and before is not None)):
        return None
    decision = decision or plan.undecided(said, now=now)
    decision = plan.not_written(decision, message, every=every, is_lasting=is_lasting)
    return replace(decision, is_ready=decision.is_ready and not has_ended)


def is_repair(seen: Seen, decision: Decision, found: SecretMetadata | None) -> bool:
    """Tell whether what was done was made necessary by somebody else, so that it is not done for ever.

    `found` is what was there before. Neither a first issuance nor taking over the Secret of a predecessor is a repair.
    """
    is_change = decision.reason is Reason.FORMATS_CHANGED
    mends = decision.reason in plan.MENDED or (decision.action in plan.MENDS_FILES and not is_change)
    is_adoption = found is not None and found.identity_uid not in {None, seen.identity.uid}
    return mends and not is_adoption and not plan.is_first(seen)


def mended(seen: Seen, decision: Decision) -> Reason | None:
    """Tell what a repair put right that somebody else had changed; None where the spec or the bundle is another."""
    said, is_bundle = seen.identity.status, decision.reason not in plan.MENDED
    reason = Reason.BUNDLE_OUTDATED if is_bundle else decision.reason
    is_new_bundle = reason is Reason.BUNDLE_OUTDATED and said.bundle != seen.trust.bundle_hash
    return None if is_new_bundle or said.observed_generation != seen.identity.generation else reason


def overwriter(found: SecretMetadata | None) -> str | None:
    """Name who overwrote a Secret of ours; None where it was deleted.

    Where nobody but us wrote to it, what we wrote was changed on its way.
    """
    if found is None:
        return None
    is_unknown = found.manager == managed.UNKNOWN
    return "something that leaves no name (such as an admission policy)" if is_unknown else found.manager
