"""The API as the API server holds it: specs, statuses, orders, and every fault of a raw spec.

No cryptography is imported here.

- `algorithms`: What keys and certificates may be asked to be, by the names that the API has for it.
- `authority`: The `MutualTLSAuthority`, read from what the API server holds, its spec once.
- `authority_spec`: The spec of a `MutualTLSAuthority`: a source of its CRD. Descriptions are what `kubectl explain`
  prints.
- `authority_status`: The status of a `MutualTLSAuthority`: a source of its CRD. Descriptions are what `kubectl explain`
  prints.
- `bounds`: Rules of the schema over several fields, or about what a text must not be, once more: in the schema they are
  CEL.
- `earlier_words`: What version 0.1.0 wrote into statuses, in the words of this one.
- `identity`: The `MutualTLSIdentity`, read from what the API server holds, its texts once.
- `identity_spec`: The spec of a `MutualTLSIdentity`: a source of its CRD. Descriptions are what `kubectl explain`
  prints.
- `identity_status`: The status of a `MutualTLSIdentity`: a source of its CRD. Descriptions are what `kubectl explain`
  prints.
- `kept_spec`: The last spec of an authority that could be read, as text: it counts while that of now cannot be read.
- `managed`: `metadata.managedFields`: what of an object is still as we wrote it; and what else keeps us from writing
  it.
- `misfits`: What of a raw spec does not fit the typed model: all of it at once, where msgspec stops at the first.
- `orders`: Orders to an authority: annotations that name what they act on.
- `refusals`: What the API server says when it refuses something: passed on, bounded, and without a piece of what is
  secret.
- `states`: States of a CA and phases of a rotation, by the names that the API shows.
- `status`: Status types that both kinds share, after the Kubernetes API conventions.
"""
