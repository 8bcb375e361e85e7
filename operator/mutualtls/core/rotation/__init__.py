"""The rotation of CAs: the next step, the phases of a root, their gates, and what the status reports.

- `drift`: Where the CAs that sign are not as the spec would have new ones, and what brings them there.
- `gates`: What a rotation waits for: that every bundle is brought up to date, and that every leaf is replaced.
- `holds`: Why the next step of an authority is not taken, and what signs nevertheless.
- `lifecycle`: How the CA generations of an authority come about and go, step by step: a pure function of a `View`.
- `phases`: How a root is replaced: the phases, their gates, and the orders.
- `progress`: What is said of an authority's CAs in its status: the phase, what it waits for, and which orders are not
  obeyed.
- `report`: What the status of an authority says: conditions, what it waits for, orders, and the CAs that there are.
- `schedule`: When an authority is checked next, if nothing happens before.
- `steps`: What is done about an authority's CAs, one step at a time, and what a step is decided by.
- `walk`: A walk: the steps that one look at an authority takes, and the phases of a rotation that it passes.
"""
