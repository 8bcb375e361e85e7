"""Names: the canonical spelling of each kind, which namespace holds them by right, and who may hold which.

- `address_judge`: Which IP addresses, e-mail addresses and URIs identities of a namespace may hold.
- `constraints`: Name constraints of CAs (RFC 5280 §4.2.1.10), and whether names keep within them.
- `dns_judge`: Which DNS names identities of a namespace may hold.
- `judging`: Who may have which name. Denied unless allowed: without a permit no two namespaces can hold one name.
- `names`: The names in a certificate, in canonical form (RFC 5280 §4.2.1.6), so that comparing bytes compares names.
- `ownership`: Whose a name is: the namespaces that a DNS name or a URI speaks for, inside the cluster.
- `patterns`: Patterns of names, as permits hold them.
- `permits`: Permits: what an authority allows identities to be called beside the names that are theirs. Judged by in
  `judge`.
- `policy`: By what names are judged: what is asked for, by whom, and what the authority permits. How is in `judging`.
- `rule_of_before`: How the release before judged names. For one release: 0.2.0 is to judge without it.
- `subject_judge`: Which subjects identities of a namespace may have: above all a common name, which reads as many kinds
  of names.
- `top_level_domains`: The top-level domains of the internet, as IANA lists them.
- `uris`: URIs as certificates name somebody by them (RFC 5280 §4.2.1.6, RFC 3986), and SPIFFE IDs among them.
"""
