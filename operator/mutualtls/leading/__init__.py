"""Which of several operators leads: the Lease in the operator's namespace, by the protocol of client-go.

- `election`: What one candidate knows of the Lease, and what it does next. A pure state machine: times come in.
- `elector`: Take the Lease, renew it, give it up: the reads and writes between the moves of `election`.
- `lease`: The Lease as the API server holds it: who leads, since when, and how often that changed.
"""
