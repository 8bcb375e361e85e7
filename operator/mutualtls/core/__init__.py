"""Everything that is decided and signed, without IO and without a clock. These files are shared by its rooms.

- `bounded`: JSON texts that anybody may have written: bounded in length and depth before they are decoded.
- `digests`: Hashes: of content, and of values by their meaning.
- `errors`: The kinds of error, by who can mend them.
- `fitting`: What is written is bounded by its own schema, so that the API server never refuses the whole for its
  length.
- `histogram`: A histogram that costs next to nothing to add to: it counts by upper bounds, as Prometheus reads them.
- `reasons`: Why something is as it is. Reasons appear in conditions, Events and logs; they are API, and are not
  renamed.
- `times`: Durations, validity and when to renew. The time of day comes in as an argument; whole seconds throughout.
"""
