"""The Kubernetes API: one session, a few verbs, and a store of what is there. Nothing here decides anything."""
