"""Building blocks of typed resources: the schema, one base, labels and selectors. The CRDs are generated from them.

- `labels`: Every name that this product writes into a cluster: the API group, labels, annotations and object names.
- `namespace`: A namespace of the cluster, as far as decisions depend on it.
- `object_key`: The key of an object within its kind.
- `resource`: The base of everything typed, and how a status is read, whatever somebody wrote there.
- `schema`: Annotations that turn a typed field into a documented and bounded field of the CRD.
- `scope`: Which authorities an operator serves where several share a cluster, and what it therefore follows.
- `selectors`: Label selectors, as Kubernetes understands them (metav1.LabelSelector).
- `shared`: Texts that many objects have in common, once in memory.
"""
