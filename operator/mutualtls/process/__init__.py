"""The process: workers, supervision, health, logs, and its place among other operators.

- `health`: Health as kubelet asks for it: `/healthz`, whether to start the operator again; `/readyz`, whether it
  serves.
- `leadership`: This process as a candidate for the Lease: its identity, its connection, and the fence before its
  writes.
- `operator`: One operator process: wait for what it needs, start the watches and the workers, end in order.
- `prerequisites`: What the cluster must have before the operator can begin.
- `supervision`: Tasks that are never to end: one that fails is logged, told to health, and begun again after a growing
  delay.
- `telemetry`: How the operator speaks: logs with a constant message and fields, each cut to what a line can hold.
- `worker`: The worker: takes keys off the agenda and has the reconciler of each kind finish them. It has the table of
  errors.
"""
