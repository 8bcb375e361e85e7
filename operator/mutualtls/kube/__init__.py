"""The Kubernetes API: sessions, a few verbs, and watches of metadata. Nothing here decides anything.

- `api`: A few verbs of the Kubernetes API. Every failure is a `ClusterError`; nothing is retried: the agenda does that.
- `clocks`: Our clock beside the API server's, by the `Date` of its answers.
- `events`: Kubernetes Events about identities, authorities and the Lease, for `kubectl describe`.
- `fence`: Whether a write may begin, and how long it may take: an operator writes only while it holds its Lease.
- `listing`: Lists of metadata, read page by page, one object at a time.
- `objects`: Objects as the API server sends them, decoded one at a time. Whatever a tenant wrote costs its own object
  alone.
- `outage`: Whether the API server takes writes at all.
- `paths`: Paths of the objects that the operator reads and writes.
- `requests`: Requests to the API server, counted as they are answered, and what each asks for in the words of access
  reviews.
- `rights`: Whether the account may still do what it must.
- `session`: Find the API server and make sessions with it: one for the work, which we lend to Kopf, and one for the
  Lease.
- `splitter`: Split a stream of JSON into single objects, whatever they hold: without recursion, with one in memory at a
  time.
- `streams`: Answers of the API server, read as they come: an object, a page of a list, a watch.
- `transport`: Requests to the API server and its answers, over one aiohttp session. Every failure is a `ClusterError`.
- `unread`: Objects that cannot be read: counted, and each named once in the log.
- `versions`: Versions that go back: etcd was put back to a backup under a running operator.
- `watch`: Follow the metadata of objects of ours: list, then watch; list again when the watch is too old, and now and
  then.
"""
