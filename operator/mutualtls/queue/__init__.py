"""Work that is due, now or later: in which order, and how much of it at once.

- `agenda`: The agenda: everything that must happen, now or later, and in which order.
- `failures`: How often things failed in a row, and how long each waits until it is tried again.
- `pacing`: The pace of what would come all at once: log lines about an identity, re-issues for one authority.
- `repairs`: Repairs of one object, so that nobody who keeps overwriting it is answered for ever.
- `rounds`: Which thing is next: namespaces take turns, each with what it has in order of arrival, and so much of it at
  once.
- `shares`: What an identity and its namespace may have of what is scarce: changes that are made at once, places for
  slow keys.
- `slow_keys`: Keys that take long are made in threads of lower priority, so that whatever else there is to do goes on
  meanwhile.
- `trouble`: What the API server does not take: counted, told no more often than is of use, and noticed where it is
  statuses.
"""
